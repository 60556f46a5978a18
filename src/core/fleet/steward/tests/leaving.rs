//! Leases that are handed over or released.

use super::desk::{Desk, act, failure, id, is_beat, settings, transient};
use crate::core::event::Word;
use crate::core::fleet::lease::refused::Loss;
use crate::core::fleet::steward::lease::Stage;
use crate::core::fleet::steward::words::{Act, Call, News};
use crate::error::lease_table::LeaseTableErrorKind;
use crate::model::item::Item;

fn is_hand_over(call: &Call) -> bool {
    matches!(act(call), Some(Act::HandOver { .. }))
}

fn is_release(call: &Call) -> bool {
    matches!(act(call), Some(Act::Release { .. }))
}

/// A worker that was asked for its lease, and has drained it.
fn drained() -> Desk {
    let (mut desk, _) = Desk::reading(1);
    desk.ask(&id(0), "you");
    desk.live(5);
    let epoch = desk.epoch(&id(0));
    desk.hears(Word::Drained { shard: id(0), epoch });
    desk.said();
    desk
}

#[test]
fn what_is_drained_is_handed_over_to_the_worker_that_has_asked() {
    let mut desk = drained();
    desk.work();
    assert_eq!(desk.said(), [News::Left { shard: id(0), to: Some("you".to_owned()) }]);
    let row = desk.row(&id(0));
    assert_eq!((row.owner.as_deref(), row.checkpoint_owner, row.holder), (Some("you"), None, None));
    assert!(desk.steward.is_idle());
}

#[test]
fn nothing_is_handed_over_before_it_is_drained() {
    let (mut desk, _) = Desk::reading(1);
    desk.ask(&id(0), "you");
    desk.live(25);
    assert_eq!(desk.stage(&id(0)), Some(Stage::Draining { to: Some("you".to_owned()) }));
    assert_eq!(desk.row(&id(0)).checkpoint_owner.as_deref(), Some("me"));
}

#[test]
fn nothing_more_is_handed_over_of_what_is_being_given_up() {
    let (mut desk, _) = Desk::reading(1);
    assert!(!desk.left(&id(0)).is_zero());
    desk.steward.end(desk.now);
    // The answer to the release may take long, and the next worker hands over meanwhile.
    let release = desk.until(is_release);
    desk.make(&release);
    assert!(desk.left(&id(0)).is_zero());
}

#[test]
fn a_hand_over_whose_answer_was_lost_is_done() {
    let mut desk = drained();
    let call = desk.until(is_hand_over);
    desk.make(&call);
    desk.fails(call, transient());
    desk.live(5);
    assert_eq!(desk.said(), [News::Left { shard: id(0), to: Some("you".to_owned()) }]);
    assert!(desk.steward.is_idle());
}

#[test]
fn a_lease_whose_request_was_withdrawn_is_released() {
    let mut desk = drained();
    desk.edit(&id(0), |row| {
        row.insert("leaseOwner".to_owned(), "me".into());
        row.remove("checkpointOwner");
    });
    desk.work();
    assert_eq!(desk.said()[0], News::Left { shard: id(0), to: None });
}

#[test]
fn a_lease_that_another_worker_asks_for_meanwhile_is_handed_over_to_that_one() {
    let mut desk = drained();
    desk.edit(&id(0), |row| {
        row.insert("leaseOwner".to_owned(), "third".into());
    });
    desk.work();
    assert_eq!(desk.row(&id(0)).owner.as_deref(), Some("third"));
    assert!(desk.steward.is_idle());
}

#[test]
fn a_lease_that_was_taken_before_it_was_handed_over_is_lost() {
    let mut desk = drained();
    desk.steal(&id(0), "third");
    desk.work();
    assert!(matches!(&desk.said()[..], [News::Lost { .. }]));
    assert_eq!(desk.row(&id(0)).owner.as_deref(), Some("third"));
}

#[test]
fn a_stop_asks_for_what_is_read_once_and_releases_what_is_drained() {
    let (mut desk, _) = Desk::reading(2);
    desk.said();
    desk.hears(Word::Stopping);
    desk.hears(Word::Stopping);
    let asked = desk.said();
    assert_eq!(asked.len(), 2);
    for shard in [id(0), id(1)] {
        let epoch = desk.epoch(&shard);
        assert!(asked.contains(&News::Asked { shard: shard.clone(), epoch, by: None }));
        assert_eq!(desk.row(&shard).owner.as_deref(), Some("me"));
        desk.hears(Word::Drained { shard, epoch });
    }
    desk.work();
    assert!(desk.steward.is_idle());
    assert!([id(0), id(1)].iter().all(|shard| desk.row(shard).owner.is_none()));
}

#[test]
fn while_a_stopped_process_drains_it_beats_and_asks_for_nothing() {
    let (mut desk, _) = Desk::reading(1);
    desk.hears(Word::Stopping);
    desk.live(60);
    assert!(!desk.left(&id(0)).is_zero());
    assert_eq!(desk.steward.until_call(desk.now), None);
}

#[test]
fn the_end_releases_what_is_not_drained() {
    let (mut desk, _) = Desk::reading(1);
    desk.steward.end(desk.now);
    desk.work();
    assert!(desk.steward.is_idle());
    assert_eq!(desk.row(&id(0)).owner, None);
}

/// What is told of a lease whose release finds the row as somebody has made it; perhaps after an attempt without an answer.
fn released(is_tried_before: bool, edit: impl FnOnce(&Desk)) -> Vec<News> {
    let (mut desk, _) = Desk::reading(1);
    desk.steward.end(desk.now);
    if is_tried_before {
        let call = desk.until(is_release);
        desk.make(&call);
        desk.fails(call, transient());
    }
    edit(&desk);
    let call = desk.until(is_release);
    desk.said();
    desk.answer(call);
    assert!(desk.steward.is_idle());
    desk.said()
}

#[test]
fn a_lease_that_was_taken_before_it_was_released_is_lost_and_not_released() {
    let told = released(false, |desk| desk.steal(&id(0), "third"));
    let by = Some("third".to_owned());
    assert!(
        matches!(&told[..], [News::Lost { why: Loss::Taken { by: found }, .. }] if *found == by),
        "{told:?}"
    );
    for is_tried_before in [false, true] {
        let told = released(is_tried_before, |desk| drop(desk.table.delete(&id(0))));
        assert!(matches!(&told[..], [News::Lost { why: Loss::Gone, .. }]), "{told:?}");
    }
}

#[test]
fn a_lease_whose_release_was_done_unheard_is_released_whoever_has_taken_it_since() {
    let left = [News::Left { shard: id(0), to: None }];
    assert_eq!(released(true, |_| {}), left);
    assert_eq!(released(true, |desk| desk.steal(&id(0), "third")), left);
    // The client may have sent it twice.
    let is_free =
        |row: &mut Item| ["leaseOwner", "kcHolder"].iter().for_each(|it| drop(row.remove(*it)));
    assert_eq!(released(false, |desk| desk.edit(&id(0), is_free)), left);
}

#[test]
fn a_lease_that_was_handed_over_unheard_is_left_whoever_asks_the_next_holder_for_it() {
    let (mut desk, _) = Desk::reading(1);
    desk.ask(&id(0), "third");
    let beat = desk.until(is_beat);
    desk.answer(beat);
    let epoch = desk.epoch(&id(0));
    desk.hears(Word::Drained { shard: id(0), epoch });
    let call = desk.until(is_hand_over);
    desk.make(&call);
    desk.fails(call, transient());
    // It is accepted, and the next one asks.
    desk.steal(&id(0), "third");
    desk.ask(&id(0), "fourth");
    desk.said();
    let call = desk.until(is_hand_over);
    desk.answer(call);
    assert_eq!(desk.said(), [News::Left { shard: id(0), to: Some("third".to_owned()) }]);
}

#[test]
fn what_failed_before_the_end_is_tried_again_at_the_end() {
    let (mut desk, _) = Desk::reading(1);
    let epoch = desk.epoch(&id(0));
    desk.hears(Word::Drained { shard: id(0), epoch });
    let call = desk.until(is_release);
    desk.fails(call, failure(LeaseTableErrorKind::Throttled));
    assert!(desk.steward.next_call(desk.now).is_none(), "it is tried at once");
    desk.steward.end(desk.now);
    assert!(desk.steward.next_call(desk.now).is_some_and(|call| is_release(&call)));
}

#[test]
fn a_word_about_an_earlier_tenure_ends_no_later_one() {
    let (mut desk, _) = Desk::reading(1);
    let epoch = desk.epoch(&id(0)) - 1;
    desk.hears(Word::Drained { shard: id(0), epoch });
    desk.hears(Word::GivenUp { shard: id(0), epoch });
    desk.live(5);
    assert_eq!(desk.stage(&id(0)), Some(Stage::Reading));
}

#[test]
fn a_lease_that_the_consumer_has_given_up_is_released() {
    let (mut desk, _) = Desk::reading(1);
    let epoch = desk.epoch(&id(0));
    desk.hears(Word::GivenUp { shard: id(0), epoch });
    desk.work();
    assert_eq!(desk.row(&id(0)).owner, None);
}

#[test]
fn a_release_that_failed_is_tried_until_it_is_done_and_not_at_once() {
    let (mut desk, _) = Desk::reading(1);
    desk.steward.end(desk.now);
    for _ in 0..6 {
        let call = desk.until(is_release);
        desk.fails(call, transient());
        assert!(!desk.next().is_some_and(|call| is_release(&call)));
        assert!(!desk.steward.is_idle());
    }
    desk.live(5);
    assert!(desk.steward.is_idle());
}

#[test]
fn a_lease_whose_release_cannot_be_written_is_left_to_its_failover_time() {
    for kind in [LeaseTableErrorKind::Fatal, LeaseTableErrorKind::NoTable] {
        let (mut desk, _) = Desk::reading(1);
        desk.steward.end(desk.now);
        let call = desk.until(is_release);
        desk.fails(call, failure(kind));
        assert!(desk.steward.is_idle(), "it is beaten for ever");
        assert!(!desk.would(20, |_| true));
    }
}

#[test]
fn a_table_that_is_gone_stops_the_process() {
    let (mut desk, _) = Desk::reading(1);
    let call = desk.until(|call| matches!(call, Call::Page { .. }));
    desk.fails(call, failure(LeaseTableErrorKind::NoTable));
    let said = desk.said();
    assert!(said.iter().any(|it| matches!(it, News::Failed(_))));
    assert!(said.iter().any(|it| matches!(it, News::Asked { by: None, .. })));
}

#[test]
fn a_released_lease_is_taken_by_the_next_worker_at_once() {
    let (mut desk, stream) = Desk::reading(1);
    desk.steward.end(desk.now);
    desk.work();
    let mut next = Desk::new(settings("next"), &desk.table);
    next.list(&stream);
    next.live(8);
    assert_eq!(next.steward.held(), 1);
}
