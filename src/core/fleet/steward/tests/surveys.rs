//! Surveys of the table.

use super::desk::{Desk, F, act, id, is_beat, settings, transient};
use super::stream::Stream;
use crate::core::event::Word;
use crate::core::fleet::steward::words::{Act, Answer, Call, News};
use crate::model::write::Act as Kind;
use crate::store::leases::memory::MemoryLeases;

fn is_page(call: &Call) -> bool {
    matches!(call, Call::Page { .. })
}

/// A worker that begins on a stream of this many shards.
fn new(shards: u64, table: MemoryLeases) -> (Desk, Stream) {
    let stream = Stream::new(shards);
    let mut desk = Desk::new(settings("me"), &table);
    desk.list(&stream);
    (desk, stream)
}

#[test]
fn nothing_is_written_before_the_protocol_is_known() {
    let (mut desk, _) = new(1, MemoryLeases::new());
    for _ in 0..300 {
        while let Some(call) = desk.next() {
            assert!(!matches!(call, Call::Write(_)), "{call:?}");
            match call {
                Call::Coordinator => desk.fails(call, transient()),
                call => desk.answer(call),
            }
        }
        desk.pass(0.1);
    }
    desk.live(30);
    assert_eq!(desk.steward.held(), 1);
}

#[test]
fn the_table_is_read_less_and_less_often_while_the_protocol_stays_unknown() {
    let (mut desk, _) = new(1, MemoryLeases::new());
    let mut pages = 0;
    for _ in 0..600 {
        while let Some(call) = desk.next() {
            pages += u32::from(is_page(&call));
            match call {
                Call::Coordinator => desk.fails(call, transient()),
                call => desk.answer(call),
            }
        }
        desk.pass(0.1);
    }
    // Waits grow up to 10 s; without that there would be two pages a second.
    assert!((4..20).contains(&pages), "{pages} in a minute");
}

#[test]
fn a_page_that_failed_is_read_again_and_no_row_is_missed() {
    let (mut desk, _) = new(5, MemoryLeases::new().with_pages_of(2));
    desk.live(10);
    let second = desk.until(|call| matches!(call, Call::Page { after: Some(_) }));
    desk.fails(second.clone(), transient());
    assert_eq!(desk.next().filter(is_page), None, "not at once");
    assert_eq!(desk.until(is_page), second);
    desk.answer(second);
    desk.live(60);
    assert_eq!(desk.steward.held(), 5);
}

#[test]
fn one_survey_is_made_at_a_time() {
    let (mut desk, _) = new(1, MemoryLeases::new());
    let page = desk.until(is_page);
    assert!(!desk.would(60, |call| !is_beat(call)));
    assert_eq!(desk.steward.until_call(desk.now), None);
    desk.answer(page);
    assert!(desk.would(20, |_| true));
}

#[test]
fn a_page_that_comes_after_the_stop_changes_nothing() {
    let (mut desk, _) = Desk::reading(1);
    let page = desk.until(is_page);
    let answer = desk.make(&page);
    desk.hears(Word::Stopping);
    desk.said();
    desk.answered(desk.now, page, answer);
    assert!(desk.steward.jobs.is_empty() && desk.steward.scan.is_none());
    assert_eq!(desk.said(), []);
}

#[test]
fn an_error_that_comes_after_the_stop_starts_no_survey() {
    let (mut desk, _) = Desk::reading(1);
    let page = desk.until(is_page);
    desk.hears(Word::Stopping);
    desk.fails(page, transient());
    assert!(!desk.would(60, |call| !is_beat(call)));
}

#[test]
fn without_a_listing_no_row_is_created() {
    let table = MemoryLeases::new();
    let mut desk = Desk::new(settings("me"), &table);
    desk.live(60);
    assert_eq!(table.rows(), []);
    assert!(desk.steward.view.listing().is_none());
}

#[test]
fn a_first_start_has_a_row_for_each_shard_and_no_owner_before_a_take() {
    let (mut desk, _) = new(3, MemoryLeases::new());
    let is_create =
        |call: &Call| matches!(call, Call::Write(job) if matches!(job.write.act(), Kind::Put(_)));
    for _ in 0..3 {
        let call = desk.until(is_create);
        desk.answer(call);
    }
    assert!((0..3).all(|shard| desk.row(&id(shard)).owner.is_none()));
}

#[test]
fn no_more_leases_are_taken_than_a_worker_wants() {
    let stream = Stream::new(6);
    let mut limited = settings("me");
    limited.marks.limit = Some(2);
    let mut desk = Desk::new(limited, &MemoryLeases::new());
    desk.list(&stream);
    desk.live(300);
    assert_eq!(desk.steward.held(), 2);
}

#[test]
fn two_workers_share_and_then_nothing_moves() {
    let (mut one, stream) = Desk::reading(4);
    let mut two = Desk::new(settings("two"), &one.table);
    two.list(&stream);
    two.now = one.now;
    let mut is_even = None;
    for second in 0..240 {
        for desk in [&mut one, &mut two] {
            desk.live(1);
            for news in desk.said() {
                if let News::Asked { shard, epoch, .. } = news {
                    assert!(is_even.is_none(), "asked at {second} after all was even");
                    desk.hears(Word::Drained { shard, epoch });
                }
            }
        }
        if (one.steward.held(), two.steward.held()) == (2, 2) {
            is_even.get_or_insert(second);
        }
    }
    assert!(is_even.is_some_and(|second| second < 120), "{is_even:?}");
}

#[test]
fn a_survey_with_a_failure_is_no_failure_of_the_process() {
    let (mut desk, _) = Desk::reading(1);
    for _ in 0..20 {
        let call = desk.until(|call| !is_beat(call));
        desk.fails(call, transient());
    }
    assert!(!desk.said().iter().any(|it| matches!(it, News::Failed(_))));
    assert_eq!(desk.steward.held(), 1);
    let call = desk.until(|call| *call == Call::Coordinator || is_page(call));
    desk.answered(
        desk.now,
        call.clone(),
        match call {
            Call::Coordinator => Answer::Item(Ok(None)),
            call => desk.make(&call),
        },
    );
}

#[test]
fn a_survey_falls_on_the_moment_at_which_the_lease_of_a_dead_worker_may_be_taken() {
    let (mut desk, _) = Desk::reading(2);
    // Surveys of a new worker are closer to each other.
    desk.live(70);
    for _ in 0..5 {
        desk.steal(&id(0), "you");
        // A beat tells that it is lost, and the next survey that somebody has it.
        while desk.stage(&id(0)).is_some() {
            let beat = desk.until(is_beat);
            desk.answer(beat);
        }
        let page = desk.until(is_page);
        desk.answer(page);
        let seen = desk.now.monotonic;
        let is_take = |call: &Call| matches!(act(call), Some(Act::Take { .. }));
        let take = desk.until(is_take);
        let time = desk.now.monotonic - seen;
        assert!(time > F && time < F.mul_f64(1.15), "{time:?}");
        desk.answer(take);
        desk.live(70);
    }
}
