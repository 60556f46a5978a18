//! Beats, fences, and what the answer to a beat tells.

use std::time::Duration;

use super::desk::{Desk, F, act, failure, id, is_beat, transient};
use crate::core::fleet::lease::refused::Loss;
use crate::core::fleet::steward::words::{Act, Answer, Call, News};
use crate::error::lease_table::LeaseTableErrorKind;
use crate::model::write::Applied;

#[test]
fn a_lease_is_beaten_three_times_in_the_failover_time() {
    let (mut desk, _) = Desk::reading(1);
    let call = desk.until(is_beat);
    desk.answer(call);
    assert!(!desk.would(3, is_beat), "it is too early");
    assert!(desk.would(1, is_beat));
}

#[test]
fn a_beat_whose_answer_is_to_come_is_not_sent_again() {
    let (mut desk, _) = Desk::reading(1);
    let _on_its_way = desk.until(is_beat);
    assert!(!desk.would(30, is_beat));
}

#[test]
fn the_lease_that_is_lost_first_is_beaten_first() {
    let (mut desk, _) = Desk::reading(3);
    desk.pass(8.0);
    let sooner = (0..3).map(id).min_by_key(|shard| desk.left(shard)).unwrap();
    let Some(Call::Write(job)) = desk.steward.next_beat(desk.now) else { panic!("no beat") };
    assert_eq!(job.write.key(), sooner);
}

#[test]
fn a_beat_counts_from_the_moment_when_it_was_sent() {
    let (mut desk, _) = Desk::reading(1);
    let call = desk.until(is_beat);
    let (sent, answer) = (desk.now, desk.make(&call));
    desk.pass(5.0);
    desk.answered(sent, call, answer);
    assert_eq!(desk.left(&id(0)), F / 10 * 9 - Duration::from_secs(5));
}

#[test]
fn a_beat_that_failed_shows_nothing_and_comes_again_soon() {
    let (mut desk, _) = Desk::reading(1);
    let call = desk.until(is_beat);
    let left = desk.left(&id(0));
    desk.fails(call, transient());
    assert_eq!(desk.left(&id(0)), left);
    assert!(desk.would(1, is_beat));
}

#[test]
fn a_fence_is_told_once_and_so_is_its_end() {
    let (mut desk, _) = Desk::reading(1);
    let call = desk.until(is_beat);
    desk.said();
    desk.pass(10.0);
    for _ in 0..3 {
        assert_eq!(desk.steward.next_beat(desk.now), None);
    }
    assert_eq!(desk.said(), [News::Fenced { shard: id(0) }]);
    assert!(desk.left(&id(0)).is_zero());
    desk.answer(call);
    desk.steward.next_beat(desk.now);
    assert!(desk.said().contains(&News::Unfenced { shard: id(0) }));
}

#[test]
fn a_suspension_that_the_monotonic_clock_does_not_show_is_a_fence() {
    let (mut desk, _) = Desk::reading(1);
    desk.now.wall += F;
    assert!(desk.left(&id(0)).is_zero());
    assert!(is_beat(&desk.next().unwrap()), "whether it is still held is asked at once");
}

#[test]
fn a_request_in_the_answer_to_a_beat_is_told_once() {
    let (mut desk, _) = Desk::reading(1);
    let epoch = desk.epoch(&id(0));
    desk.ask(&id(0), "you");
    desk.said();
    desk.live(12);
    let asked = News::Asked { shard: id(0), epoch, by: Some("you".to_owned()) };
    assert_eq!(desk.said(), [asked]);
    assert!(!desk.left(&id(0)).is_zero(), "what was read is handled meanwhile");
}

#[test]
fn a_lease_that_another_worker_has_taken_is_lost() {
    let (mut desk, _) = Desk::reading(2);
    let epoch = desk.epoch(&id(0));
    desk.steal(&id(0), "you");
    let call = desk.until(|call| matches!(call, Call::Write(job) if job.write.key() == id(0)));
    desk.answer(call);
    let why = Loss::Taken { by: Some("you".to_owned()) };
    assert!(desk.said().contains(&News::Lost { shard: id(0), epoch, why }));
    assert!(desk.steward.left(&id(0), epoch, desk.now).is_zero());
    assert_eq!(desk.steward.held(), 1);
}

#[test]
fn a_lease_whose_row_is_gone_is_lost_and_created_again() {
    let (mut desk, _) = Desk::reading(2);
    let epoch = desk.epoch(&id(0));
    desk.table.delete(&id(0));
    desk.live(5);
    assert!(desk.said().contains(&News::Lost { shard: id(0), epoch, why: Loss::Gone }));
    desk.live(150);
    assert!(desk.epoch(&id(0)) > epoch, "it is another tenure");
}

#[test]
fn while_beats_are_refused_for_being_too_many_nothing_else_is_asked() {
    let (mut desk, _) = Desk::reading(1);
    let call = desk.until(is_beat);
    desk.steward.survey_at = desk.now.monotonic;
    desk.fails(call, failure(LeaseTableErrorKind::Throttled));
    assert_eq!(desk.steward.next_call(desk.now), None);
    assert!(desk.steward.until_call(desk.now).unwrap() > Duration::ZERO);
}

#[test]
fn the_refusal_of_an_earlier_tenures_beat_does_not_end_a_later_one() {
    let (mut desk, _) = Desk::reading(1);
    let late = desk.until(is_beat);
    desk.table.delete(&id(0));
    desk.steward.lose(&id(0), Loss::Gone);
    desk.live(150);
    let epoch = desk.epoch(&id(0));
    desk.answer(late);
    assert_eq!(desk.epoch(&id(0)), epoch);
}

#[test]
fn the_answer_to_an_earlier_tenures_beat_does_not_lengthen_a_later_one() {
    let (mut desk, _) = Desk::reading(1);
    let late = desk.until(is_beat);
    let answer = desk.make(&late);
    desk.table.delete(&id(0));
    desk.steward.lose(&id(0), Loss::Gone);
    desk.live(150);
    let (left, now) = (desk.left(&id(0)), desk.now);
    desk.answered(now, late, answer);
    assert_eq!(desk.left(&id(0)), left);
}

#[test]
fn what_an_older_answer_says_of_the_row_is_passed_over() {
    let (mut desk, _) = Desk::reading(1);
    let call = desk.until(is_beat);
    let old = desk.table.row(&id(0)).unwrap();
    desk.ask(&id(0), "you");
    let answer = desk.make(&call);
    desk.answered(desk.now, call, answer);
    let call = desk.until(is_beat);
    desk.answered(desk.now, call, Answer::Applied(Ok(Applied::Done(old))));
    assert_eq!(desk.steward.leases[&id(0)].row.owner.as_deref(), Some("you"));
}

#[test]
fn a_refused_beat_of_a_lease_that_is_given_up_is_not_sent_again_at_once() {
    let (mut desk, _) = Desk::reading(1);
    desk.steward.end(desk.now);
    let release = desk.until(|call| matches!(act(call), Some(Act::Release { .. })));
    let answer = desk.make(&release);
    // The release is done; its answer is slow.
    desk.pass(5.0);
    let mut beats = 0;
    for _ in 0..20 {
        while let Some(beat) = desk.steward.next_beat(desk.now) {
            desk.answer(beat);
            beats += 1;
            assert!(beats < 40, "it beats in a loop");
        }
        desk.pass(0.1);
    }
    desk.answered(desk.now, release, answer);
    assert!(desk.steward.is_idle());
}

#[test]
fn a_first_commit_that_is_done_while_somebody_asks_tells_of_that() {
    let (mut desk, stream) = Desk::reading(1);
    // The lease was taken from somebody.
    desk.edit(&id(0), |row| {
        row.insert("ownerSwitchesSinceCheckpoint".to_owned(), 1_u64.into());
    });
    let call = desk.until(is_beat);
    desk.answer(call);
    desk.said();
    desk.ask(&id(0), "other");
    desk.commit(&id(0), &stream.shards[&id(0)].after(1)).unwrap();
    let asked = |it: &News| matches!(it, News::Asked { by: Some(by), .. } if by == "other");
    assert!(desk.said().iter().any(asked));
    let call = desk.until(is_beat);
    desk.answer(call);
    assert!(desk.said().is_empty(), "it is held until it is handed over");
}

#[test]
fn a_lease_is_kept_if_somebody_asks_after_a_first_commit_without_an_answer() {
    let (mut desk, stream) = Desk::reading(1);
    // The lease was taken from somebody.
    desk.edit(&id(0), |row| {
        row.insert("ownerSwitchesSinceCheckpoint".to_owned(), 1_u64.into());
    });
    let call = desk.until(is_beat);
    desk.answer(call);
    desk.said();
    desk.commit_unheard(&id(0), &stream.shards[&id(0)].after(1));
    desk.ask(&id(0), "other");
    let call = desk.until(is_beat);
    desk.answer(call);
    let said = desk.said();
    assert!(matches!(&said[..], [News::Asked { by: Some(by), .. }] if by == "other"), "{said:?}");
}
