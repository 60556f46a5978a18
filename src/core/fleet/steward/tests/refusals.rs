//! Processes and tables beside which a process refuses to run.

use super::desk::{Desk, F, act, id, is_beat, settings};
use super::stream::Stream;
use crate::core::fleet::lease::writes::Marks;
use crate::core::fleet::steward::words::{Act, Answer, Call, News, Refusal};
use crate::core::fleet::steward::{Phase, Settings};
use crate::model::item::Item;
use crate::store::leases::LeaseTable;
use crate::store::leases::memory::MemoryLeases;

/// Why a worker stopped that does not write a row after that.
#[track_caller]
fn refusal(desk: &mut Desk) -> Refusal {
    desk.live(60);
    let failed = desk.said().into_iter().find_map(|news| match news {
        News::Failed(refusal) => Some(refusal),
        _ => None,
    });
    let before = desk.table.rows();
    desk.live(60);
    assert_eq!(desk.table.rows(), before, "it writes after its refusal");
    assert!(desk.steward.is_idle(), "something is left: {:?}", desk.steward.jobs);
    failed.expect("a refusal")
}

#[test]
fn rows_of_an_earlier_stream_are_refused_and_none_is_adopted_or_taken() {
    let (mut desk, stream) = Desk::reading(2);
    let after = stream.shards[&id(1)].after(5);
    desk.commit(&id(1), &after).unwrap();
    desk.edit(&id(1), |row| {
        row.insert("checkpoint".to_owned(), "7".into());
    });
    desk.edit(&id(0), |row| {
        row.insert("leaseOwner".to_owned(), "new".into());
        row.remove("kcHolder");
    });
    let mut new = Desk::new(settings("new"), &desk.table);
    new.list(&stream);
    let before = new.table.rows();
    assert!(matches!(refusal(&mut new), Refusal::Recreated { shards } if shards == [id(1)]));
    assert_eq!(new.table.rows(), before);
}

#[test]
fn a_row_of_another_stream_is_refused_before_anything_is_written() {
    let (desk, stream) = Desk::reading(1);
    desk.edit(&id(0), |row| {
        row.insert("kcStream".to_owned(), "payments".into());
    });
    let mut new = Desk::new(settings("new"), &desk.table);
    new.list(&stream);
    assert!(matches!(refusal(&mut new), Refusal::Row(_)));
}

#[test]
fn a_newer_protocol_is_refused_and_what_is_held_is_given_up() {
    let (mut desk, _) = Desk::reading(1);
    desk.said();
    let call = desk.until(|call| *call == Call::Coordinator);
    let newer = Item::from([("cv".to_owned(), "CLIENT_VERSION_3X".into())]);
    desk.answered(desk.now, call, Answer::Item(Ok(Some(newer))));
    let page = desk.until(|call| matches!(call, Call::Page { .. }));
    desk.answer(page);
    let said = desk.said();
    assert!(matches!(
        &said[..],
        [News::Asked { by: None, .. }, News::Failed(Refusal::Protocol(_))]
    ));
    assert!(!desk.would(60, |call| !is_beat(call)), "it surveys after its refusal");
}

/// Both live for so many seconds, one after the other.
fn live(one: &mut Desk, other: &mut Desk, seconds: u64) {
    for _ in 0..seconds {
        one.live(1);
        other.live(1);
    }
}

/// A process that wants one of two leases, and holds it; and a later one with these settings, which would want the other.
fn later(settings_of_later: Settings) -> (Desk, Desk) {
    let stream = Stream::new(2);
    let marks = Marks { limit: Some(1), ..settings("me").marks };
    let mut desk = Desk::new(Settings { marks, ..settings("me") }, &MemoryLeases::new());
    desk.list(&stream);
    desk.live(60);
    assert_eq!(desk.steward.held(), 1);
    let mut later = Desk::new(settings_of_later, &desk.table);
    later.list(&stream);
    later.now = desk.now;
    (desk, later)
}

/// The later one is refused without a write, and the other one hears nothing.
#[track_caller]
fn is_refused(desk: &mut Desk, later: &mut Desk) -> Refusal {
    desk.said();
    let is_free = |desk: &Desk| {
        let rows = [0, 1].map(|shard| desk.row(&id(shard)));
        rows.iter().filter(|row| row.owner.is_none() && row.holder.is_none()).count() == 1
    };
    let mut refusal = None;
    for _ in 0..60 {
        live(desk, later, 1);
        assert!(is_free(desk), "it writes before it is refused");
        refusal = refusal.or_else(|| {
            later.said().into_iter().find_map(|news| match news {
                News::Failed(refusal) => Some(refusal),
                _ => None,
            })
        });
    }
    assert_eq!(desk.said(), []);
    assert!(desk.steward.phase == Phase::Running && desk.steward.held() == 1);
    refusal.expect("a refusal")
}

#[test]
fn a_later_process_with_the_same_id_is_refused_before_it_writes_and_the_other_stays() {
    let (mut desk, mut later) = later(Settings { process: "me/2".to_owned(), ..settings("me") });
    let refusal = is_refused(&mut desk, &mut later);
    assert!(matches!(refusal, Refusal::WorkerIdInUse { worker } if worker == "me"));
}

#[test]
fn a_beat_of_its_former_life_that_an_old_page_did_not_show_is_no_other_process() {
    let (before, stream) = Desk::reading(1);
    let mut desk = before.next_life("me", &stream);
    // The first page is from before the last beat.
    desk.steward.survey_at = desk.now.monotonic;
    let page = desk.until(|call| matches!(call, Call::Page { .. }));
    desk.answer(page);
    let counter = desk.row(&id(0)).counter + 1;
    desk.edit(&id(0), |row| {
        row.insert("leaseCounter".to_owned(), counter.into());
    });
    desk.live(60);
    assert_eq!((desk.steward.phase, desk.steward.held()), (Phase::Running, 1), "{:?}", desk.news);
}

#[test]
fn a_page_that_is_older_than_what_is_known_shows_no_other_process() {
    let (before, stream) = Desk::reading(1);
    let mut desk = before.next_life("me", &stream);
    let take = desk.until(|call| matches!(act(call), Some(Act::Take { .. })));
    // The row of its former life was taken by KCL, and the next page is from before that.
    let old = desk.table.get(&id(0)).unwrap().unwrap();
    desk.steal(&id(0), "java");
    desk.answer(take);
    let stolen = desk.table.get(&id(0)).unwrap().unwrap();
    let page = desk.until(|call| matches!(call, Call::Page { .. }));
    desk.table.put(old);
    desk.answer(page);
    desk.table.put(stolen);
    assert_eq!(desk.steward.phase, Phase::Running, "{:?}", desk.news);
}

#[test]
fn a_later_process_with_another_failover_time_is_refused_before_it_writes_and_the_other_stays() {
    for time in [F / 2, F * 2] {
        let marks = Marks { failover: time, ..settings("new").marks };
        let (mut desk, mut later) = later(Settings { marks, ..settings("new") });
        match is_refused(&mut desk, &mut later) {
            Refusal::FailoverDiffers { worker, theirs, ours } => {
                assert_eq!((worker.as_str(), theirs, ours), ("me", F, time));
            }
            other => panic!("{other:?}"),
        }
    }
}

/// Two with different failover times: one holds one of these shards, and the other has joined without seeing that.
fn joined(shards: u64) -> (Desk, Desk) {
    let (stream, table) = (Stream::new(shards), MemoryLeases::new());
    let marks = Marks { limit: Some(1), ..settings("one").marks };
    let mut one = Desk::new(Settings { marks, ..settings("one") }, &table);
    one.list(&stream);
    one.live(60);
    let marks = Marks { failover: F * 2, ..settings("two").marks };
    let mut two = Desk::new(Settings { marks, ..settings("two") }, &table);
    two.list(&stream);
    (two.now, two.steward.has_joined) = (one.now, true);
    live(&mut one, &mut two, 200);
    (one, two)
}

#[test]
fn two_with_different_failover_times_that_joined_at_once_say_so_once_and_stay() {
    let (mut one, mut two) = joined(2);
    assert_eq!((one.steward.held(), two.steward.held()), (1, 1));
    for (desk, other) in [(&mut one, "two"), (&mut two, "one")] {
        let said = desk.said();
        let is_told = |news: &&News| matches!(news, News::Beside(Refusal::FailoverDiffers { worker, .. }) if worker == other);
        assert_eq!(said.iter().filter(is_told).count(), 1, "{said:?}");
        assert!(!said.iter().any(|news| matches!(news, News::Failed(_) | News::Lost { .. })));
    }
}

#[test]
fn of_two_with_different_failover_times_who_holds_nothing_ends() {
    let (mut one, mut two) = joined(1);
    assert_eq!((one.steward.held(), two.steward.held()), (1, 0));
    let is_refused = |news: &News| matches!(news, News::Failed(Refusal::FailoverDiffers { .. }));
    assert!(two.said().iter().any(is_refused));
    assert!(!one.said().iter().any(|news| matches!(news, News::Failed(_) | News::Beside(_))));
}

#[test]
fn a_process_that_has_died_leaves_its_id_and_its_leases_to_the_next_one() {
    let (desk, stream) = Desk::reading(1);
    let next = Settings { process: "me/2".to_owned(), ..settings("me") };
    let mut next = Desk::new(next, &desk.table);
    next.list(&stream);
    next.live(9);
    assert_eq!(next.steward.held(), 0, "the other one may still hand over");
    next.live(20);
    assert_eq!(next.steward.held(), 1);
    assert!(!next.said().iter().any(|it| matches!(it, News::Failed(_))));
}

#[test]
fn a_dead_worker_with_another_failover_time_is_no_conflict() {
    let (desk, stream) = Desk::reading(1);
    let marks = Marks { failover: F * 2, ..settings("new").marks };
    let mut new = Desk::new(Settings { marks, ..settings("new") }, &desk.table);
    new.list(&stream);
    new.live(60);
    assert_eq!(new.steward.held(), 1);
    assert_eq!(new.row(&id(0)).failover, Some(F * 2));
}
