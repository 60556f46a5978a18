//! Leases that are given up because their handler stands still.

use std::time::Duration;

use super::desk::{Desk, F, act, id, settings};
use super::stream::Stream;
use crate::core::event::Word;
use crate::core::fleet::lease::refused::Loss;
use crate::core::fleet::steward::commit::Commit;
use crate::core::fleet::steward::lease::Stage;
use crate::core::fleet::steward::words::{Act, Call, News};
use crate::core::shard::step::Write;
use crate::error::store::StoreErrorKind;
use crate::model::position::Position;

const AGE: Duration = Duration::from_secs(300);

fn is_take(call: &Call) -> bool {
    matches!(act(call), Some(Act::Take { .. }))
}

fn hangs(desk: &mut Desk, shard: &str) -> u64 {
    let epoch = desk.epoch(shard);
    desk.hears(Word::Hangs { shard: shard.to_owned(), epoch, age: AGE });
    epoch
}

fn emptied(desk: &mut Desk, shard: &str, epoch: u64) {
    desk.hears(Word::Emptied { shard: shard.to_owned(), epoch });
}

/// A worker of two shards, of which the first one hangs; and its epoch.
fn hanging() -> (Desk, Stream, u64) {
    let (mut desk, stream) = Desk::reading(2);
    desk.said();
    let epoch = hangs(&mut desk, &id(0));
    (desk, stream, epoch)
}

#[test]
fn what_hangs_is_handed_over_no_more_and_is_released_where_it_is_done() {
    let (mut desk, stream) = Desk::reading(2);
    let done = stream.shards[&id(0)].after(5);
    desk.commit(&id(0), &done).unwrap();
    let before = desk.row(&id(0)).checkpoint;
    desk.said();
    let epoch = hangs(&mut desk, &id(0));
    assert!(desk.left(&id(0)).is_zero(), "at once");
    assert!(!desk.left(&id(1)).is_zero());
    desk.live(5);
    let why = Loss::GivenUp { after: AGE };
    assert_eq!(why.to_string(), "nothing that was read of it was committed for 5 min");
    assert_eq!(desk.said(), [News::Lost { shard: id(0), epoch, why }], "it is told once");
    assert_eq!((desk.row(&id(0)).owner, desk.row(&id(0)).holder), (None, None));
    assert_eq!(desk.row(&id(0)).checkpoint, before);
    assert_eq!(desk.row(&id(1)).owner.as_deref(), Some("me"));
}

#[test]
fn a_commit_after_that_is_lost_and_writes_nothing() {
    let (mut desk, stream, epoch) = hanging();
    desk.live(5);
    let before = desk.row(&id(0));
    let to = stream.shards[&id(0)].after(5);
    let error = desk.write(&mut Commit::new(&id(0), epoch, &to, Write::Forward)).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Lost);
    assert_eq!(desk.row(&id(0)), before);
}

#[test]
fn who_hangs_takes_nothing_until_the_last_batch_is_dropped() {
    let (mut desk, _, first) = hanging();
    let second = hangs(&mut desk, &id(1));
    desk.live(200);
    assert_eq!(desk.steward.held(), 0);
    emptied(&mut desk, &id(1), second);
    desk.live(100);
    assert_eq!(desk.steward.held(), 0, "there is a batch of the other one");
    emptied(&mut desk, &id(0), first);
    desk.live(100);
    assert_eq!(desk.steward.held(), 2);
    assert_ne!(desk.epoch(&id(0)), first);
    assert!(!desk.left(&id(0)).is_zero());
}

#[test]
fn rows_say_that_who_hangs_wants_no_more_than_it_has() {
    let (mut desk, _, epoch) = hanging();
    desk.live(5);
    assert_eq!(desk.row(&id(1)).limit, Some(1));
    emptied(&mut desk, &id(0), epoch);
    desk.live(5);
    assert_eq!(desk.row(&id(1)).limit, None);
    desk.live(60);
    assert_eq!((desk.steward.held(), desk.row(&id(0)).limit), (2, None));
}

#[test]
fn others_take_all_that_who_hangs_leaves() {
    let (mut me, stream) = Desk::reading(4);
    let mut other = Desk::new(settings("other"), &me.table);
    other.list(&stream);
    other.now = me.now;
    for shard in 0..3 {
        hangs(&mut me, &id(shard));
    }
    for _ in 0..40 {
        me.live(1);
        other.live(1);
    }
    // By halves it would leave one to the other one.
    assert_eq!((me.steward.held(), other.steward.held()), (1, 3));
}

#[test]
fn what_was_on_its_way_when_the_handler_stood_still_is_given_back() {
    let (mut desk, _) = Desk::reading(2);
    let release = |desk: &mut Desk| {
        let epoch = desk.epoch(&id(1));
        desk.hears(Word::GivenUp { shard: id(1), epoch });
    };
    release(&mut desk);
    let take = desk.until(is_take);
    hangs(&mut desk, &id(0));
    desk.answer(take);
    desk.live(5);
    assert_eq!((desk.steward.held(), desk.row(&id(1)).owner), (0, None));
}

#[test]
fn a_take_that_is_planned_is_not_made() {
    let (mut desk, _) = Desk::reading(2);
    let epoch = desk.epoch(&id(1));
    desk.hears(Word::GivenUp { shard: id(1), epoch });
    let page = loop {
        let page = desk.until(|call| matches!(call, Call::Page { .. }));
        if desk.row(&id(1)).owner.is_none() {
            break page;
        }
        desk.answer(page);
    };
    desk.answer(page);
    assert!(desk.steward.jobs.iter().any(|job| job.gains()), "nothing is planned");
    hangs(&mut desk, &id(0));
    assert!(!desk.would(60, is_take));
}

#[test]
fn a_shard_that_hangs_is_handed_over_to_who_has_asked_for_it() {
    let (mut desk, _) = Desk::reading(1);
    desk.ask(&id(0), "you");
    desk.live(5);
    assert!(matches!(desk.stage(&id(0)), Some(Stage::Draining { to: Some(_) })));
    hangs(&mut desk, &id(0));
    desk.live(5);
    let row = desk.row(&id(0));
    assert_eq!((row.owner.as_deref(), row.checkpoint_owner), (Some("you"), None));
}

#[test]
fn children_that_are_born_while_a_handler_stands_still_are_left_to_others() {
    let (mut desk, mut stream, _) = hanging();
    stream.split(&id(1));
    desk.list(&stream);
    let end = Position::End { sequence: stream.shards[&id(1)].ending() };
    desk.commit(&id(1), &end).unwrap();
    assert_eq!([2, 3].map(|child| desk.row(&id(child)).owner), [None, None]);
}

#[test]
fn a_word_about_an_earlier_tenure_gives_up_nothing() {
    let (mut desk, _) = Desk::reading(1);
    let epoch = desk.epoch(&id(0));
    desk.said();
    desk.hears(Word::Hangs { shard: id(0), epoch: epoch - 1, age: AGE });
    desk.live(30);
    assert_eq!(desk.said(), []);
    assert_eq!((desk.steward.held(), desk.epoch(&id(0))), (1, epoch));
}

#[test]
fn what_is_handed_over_meanwhile_is_not_accepted_but_left_to_who_sees_it_stand_still() {
    let (mut desk, _, epoch) = hanging();
    desk.live(5);
    desk.edit(&id(0), |row| {
        row.insert("leaseOwner".to_owned(), "me".into());
    });
    let before = desk.row(&id(0));
    desk.live(60);
    assert_eq!(desk.row(&id(0)), before);
    emptied(&mut desk, &id(0), epoch);
    desk.live(60);
    assert_eq!(desk.steward.held(), 2);
}

#[test]
fn what_is_emptied_before_its_release_is_answered_is_told_once() {
    let (mut desk, _, epoch) = hanging();
    desk.said();
    let release = desk.until(|call| matches!(act(call), Some(Act::Release { .. })));
    emptied(&mut desk, &id(0), epoch);
    desk.answer(release);
    assert_eq!(desk.said(), [], "its loss was told");
}

#[test]
fn what_is_given_up_is_not_fenced_while_it_cannot_be_released() {
    let (mut desk, ..) = hanging();
    desk.said();
    desk.now.monotonic += F * 2;
    desk.steward.watch_fences(desk.now);
    assert_eq!(desk.said(), [News::Fenced { shard: id(1) }], "the other one is");
}
