//! Writes of a commit whose answers come late, or never.

use std::time::Duration;

use super::desk::{Desk, id, is_beat, transient};
use super::ends::{named, split};
use crate::core::event::Word;
use crate::core::fleet::held::Moment;
use crate::core::fleet::steward::answers::Span;
use crate::core::fleet::steward::commit::Commit;
use crate::core::fleet::steward::words::{Call, News};
use crate::core::shard::step::Write;
use crate::model::position::Position;
use crate::store::leases::LeaseTable;

/// The commit of the end of a shard that was split, before its first write.
fn ending() -> (Desk, Commit) {
    let (mut desk, stream, end) = split();
    named(&mut desk, &stream);
    let commit = Commit::new(&id(0), desk.epoch(&id(0)), &end, Write::Forward);
    (desk, commit)
}

/// Makes the next write; its answer comes, or none does.
fn write(desk: &mut Desk, commit: &mut Commit, is_heard: bool) -> String {
    let now = desk.now;
    write_since(desk, commit, now, is_heard)
}

fn write_since(desk: &mut Desk, commit: &mut Commit, sent: Moment, is_heard: bool) -> String {
    let write = desk.steward.next_write(commit).unwrap().expect("it is not done");
    let outcome = desk.table.apply(&write);
    let outcome = if is_heard { outcome } else { Err(transient()) };
    let answered = desk.steward.committed(Span { sent, now: desk.now }, commit, outcome);
    assert_eq!(answered.is_ok(), is_heard);
    write.key().to_owned()
}

/// Writes what comes before the end; the end is next.
fn before_the_end(desk: &mut Desk, commit: &mut Commit) {
    while desk.row(&id(0)).children.is_empty() {
        write(desk, commit, true);
    }
}

fn is_beat_of_parent(call: &Call) -> bool {
    is_beat(call) && matches!(call, Call::Write(job) if job.write.key() == id(0))
}

#[test]
fn a_beat_that_is_answered_before_the_end_of_its_shard_tells_no_loss() {
    let (mut desk, mut commit) = ending();
    before_the_end(&mut desk, &mut commit);
    let end = desk.steward.next_write(&mut commit).unwrap().expect("the end");
    let beat = desk.until(is_beat_of_parent);
    let outcome = desk.table.apply(&end);
    assert!(desk.row(&id(0)).checkpoint.is_end());
    desk.answer(beat);
    let at = Span { sent: desk.now, now: desk.now };
    assert!(desk.steward.committed(at, &mut commit, outcome).unwrap());
    let said = desk.said();
    assert!(!said.iter().any(|it| matches!(it, News::Lost { .. })), "{said:?}");
}

#[test]
fn an_end_that_was_stored_unheard_is_done_though_a_beat_is_answered_first() {
    let (mut desk, mut commit) = ending();
    before_the_end(&mut desk, &mut commit);
    write(&mut desk, &mut commit, false);
    assert!(desk.row(&id(0)).checkpoint.is_end());
    let beat = desk.until(is_beat_of_parent);
    desk.answer(beat);
    desk.write(&mut commit).unwrap();
    assert!(desk.stage(&id(0)).is_none());
}

#[test]
fn the_fence_of_a_shard_whose_end_was_stored_unheard_is_over() {
    let (mut desk, mut commit) = ending();
    before_the_end(&mut desk, &mut commit);
    write(&mut desk, &mut commit, false);
    desk.pass(10.0);
    // A fence is seen when somebody looks; no beat is sent.
    let _unsent = desk.steward.next_beat(desk.now);
    assert!(desk.said().contains(&News::Fenced { shard: id(0) }));
    desk.write(&mut commit).unwrap();
    assert!(desk.stage(&id(0)).is_none());
    assert!(desk.said().contains(&News::Unfenced { shard: id(0) }));
}

#[test]
fn an_end_that_was_stored_unheard_before_a_stop_is_no_loss() {
    for is_asked in [false, true] {
        let (mut desk, mut commit) = ending();
        before_the_end(&mut desk, &mut commit);
        if is_asked {
            desk.ask(&id(0), "third");
            let beat = desk.until(is_beat_of_parent);
            desk.answer(beat);
        }
        write(&mut desk, &mut commit, false);
        desk.said();
        desk.steward.end(desk.now);
        desk.work();
        assert!(desk.stage(&id(0)).is_none());
        let of_it = |it: &News| match it {
            News::Lost { shard, .. } | News::Left { shard, .. } => *shard == id(0),
            _ => false,
        };
        let said = desk.said();
        assert!(!said.iter().any(of_it), "{is_asked}: {said:?}");
    }
}

/// The commits of the ends of two shards that were merged, before their first writes.
fn merged() -> (Desk, [Commit; 2]) {
    let (mut desk, mut stream) = Desk::reading(2);
    stream.merge(&id(0));
    desk.shards = Some(stream.listing());
    let ends = [0, 1].map(|shard| {
        let (shard, end) = (id(shard), stream.shards[&id(shard)].ending());
        let epoch = desk.epoch(&shard);
        desk.steward.ends_with(&shard, epoch, &stream.children(&shard));
        Commit::new(&shard, epoch, &Position::End { sequence: end }, Write::Forward)
    });
    (desk, ends)
}

#[test]
fn of_two_ends_of_one_child_each_knows_its_own_attempt_to_create_it() {
    let (mut desk, [mut one, mut two]) = merged();
    let first = desk.now;
    // Each has a tenure of its own for the child.
    for commit in [&mut one, &mut two] {
        desk.steward.next_write(commit).unwrap().expect("a birth");
    }
    assert_eq!(write_since(&mut desk, &mut one, first, false), id(2));
    desk.pass(3.0);
    assert_eq!(write(&mut desk, &mut two, true), id(2));
    assert_eq!(write(&mut desk, &mut one, true), id(2));
    assert_eq!(desk.left(&id(2)), Duration::from_secs(6), "nine tenths, 3 s ago");
}

#[test]
fn a_child_that_two_ends_create_in_one_tenure_is_held_once_and_no_longer() {
    let (mut desk, [mut one, mut two]) = merged();
    let first = desk.now;
    assert_eq!(write_since(&mut desk, &mut one, first, false), id(2));
    // Its tenure for the child is that of the attempt of which nothing was heard.
    desk.steward.next_write(&mut two).unwrap().expect("a birth");
    desk.pass(3.0);
    assert_eq!(write(&mut desk, &mut one, true), id(2));
    desk.said();
    assert_eq!(write(&mut desk, &mut two, true), id(2));
    assert_eq!(desk.said(), [], "it is held already");
    assert_eq!(desk.left(&id(2)), Duration::from_secs(6), "nine tenths, 3 s ago");
}

#[test]
fn a_child_that_was_born_unheard_is_held_since_the_first_attempt() {
    let (mut desk, mut commit) = ending();
    let first = desk.now;
    desk.pass(3.0);
    assert_eq!(write_since(&mut desk, &mut commit, first, false), id(1));
    assert_eq!(write(&mut desk, &mut commit, true), id(1));
    assert_eq!(desk.left(&id(1)), Duration::from_secs(6), "nine tenths, 3 s ago");
}

#[test]
fn a_child_that_was_born_unheard_is_held_by_the_next_commit_of_the_end() {
    let (mut desk, mut commit) = ending();
    write(&mut desk, &mut commit, false);
    let end = commit.to.clone();
    desk.commit(&id(0), &end).unwrap();
    assert!(desk.stage(&id(1)).is_some());
}

#[test]
fn a_child_that_had_a_later_tenure_is_not_born_again_in_an_earlier_one() {
    let (mut desk, mut commit) = ending();
    let birth = desk.steward.next_write(&mut commit).unwrap().expect("a birth");
    let at = Span { sent: desk.now, now: desk.now };
    desk.steward.committed(at, &mut commit, Err(transient())).unwrap_err();
    // The next attempt is on its way, while somebody else has created the row, and is dead.
    desk.steward.next_write(&mut commit).unwrap().expect("a birth");
    desk.table.apply(&birth).unwrap();
    desk.edit(&id(1), |row| {
        row.remove("kcHolder");
        row.insert("leaseOwner".to_owned(), "other".into());
    });
    desk.live(40);
    let later = desk.epoch(&id(1));
    desk.steward.committed(at, &mut commit, Err(transient())).unwrap_err();
    desk.table.delete(&id(1));
    desk.live(10);
    assert_eq!(desk.stage(&id(1)), None, "the row is gone");
    // Nor by the commit itself, when it is tried again.
    let again = desk.steward.next_write(&mut commit).unwrap().expect("a birth");
    desk.table.apply(&again).unwrap();
    assert_eq!(desk.row(&id(1)).owner, None);
    desk.table.delete(&id(1));
    desk.steward.committed(at, &mut commit, Err(transient())).unwrap_err();
    let end = commit.to.clone();
    desk.commit(&id(0), &end).unwrap();
    assert!(desk.epoch(&id(1)) > later, "whoever hears of it ignores what came before");
}

#[test]
fn a_child_that_was_born_unheard_names_nobody_after_a_stop() {
    for is_stopped_first in [false, true] {
        let (mut desk, mut commit) = ending();
        // What is to be held was known before.
        let birth = desk.steward.next_write(&mut commit).unwrap().expect("a birth");
        if is_stopped_first {
            desk.hears(Word::Stopping);
        }
        desk.table.apply(&birth).unwrap();
        let at = Span { sent: desk.now, now: desk.now };
        desk.steward.committed(at, &mut commit, Err(transient())).unwrap_err();
        assert_eq!(desk.row(&id(1)).owner.as_deref(), Some("me"));
        desk.hears(Word::Stopping);
        desk.steward.end(desk.now);
        desk.live(5);
        assert!(desk.steward.is_idle());
        assert_eq!(desk.row(&id(1)).owner, None, "{is_stopped_first}");
    }
}
