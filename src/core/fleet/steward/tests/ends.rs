//! Shards that are done to their ends, and their children.

use super::desk::{Desk, F, act, id, is_beat, key, leased, settings, transient};
use super::stream::Stream;
use crate::core::event::Word;
use crate::core::fleet::lease::checkpoint::{At, Checkpoint};
use crate::core::fleet::lease::row::Row;
use crate::core::fleet::steward::commit::Commit;
use crate::core::fleet::steward::lease::Stage;
use crate::core::fleet::steward::words::{Act, News};
use crate::core::shard::step::Write;
use crate::error::store::StoreErrorKind;
use crate::model::position::Position;

/// A worker that reads a shard which has been split.
pub(super) fn split() -> (Desk, Stream, Position) {
    let (mut desk, mut stream) = Desk::reading(1);
    stream.split(&id(0));
    desk.shards = Some(stream.listing());
    desk.said();
    let end = Position::End { sequence: stream.shards[&id(0)].ending() };
    (desk, stream, end)
}

pub(super) fn named(desk: &mut Desk, stream: &Stream) {
    let epoch = desk.epoch(&id(0));
    desk.steward.ends_with(&id(0), epoch, &stream.children(&id(0)));
}

/// A worker of KCL holds the lease of the second shard, and shows that it lives.
fn with_kcl(desk: &Desk) {
    let counter = desk.row(&id(1)).counter + 1;
    desk.edit(&id(1), |row| {
        row.insert("leaseCounter".to_owned(), counter.into());
        row.insert("leaseOwner".to_owned(), "java".into());
        row.remove("kcHolder");
    });
}

#[test]
fn the_rows_of_children_come_before_the_end_of_their_parent() {
    let (mut desk, stream, end) = split();
    named(&mut desk, &stream);
    let mut commit = Commit::new(&id(0), desk.epoch(&id(0)), &end, Write::Forward);
    let keys = std::iter::from_fn(|| {
        let write = desk.steward.next_write(&mut commit).unwrap()?;
        let is_end = desk.row(&id(0)).checkpoint.is_end();
        assert!(!is_end);
        desk.send(&mut commit, &write).unwrap();
        Some(write.key().to_owned())
    });
    let keys: Vec<_> = keys.take(4).collect();
    assert_eq!(keys, [id(1), id(2), id(0), id(0)]);
    let row = desk.row(&id(0));
    assert!(row.checkpoint.is_end());
    assert_eq!(row.children.into_iter().collect::<Vec<_>>(), [id(1), id(2)]);
}

#[test]
fn the_end_of_a_shard_gives_its_lease_up_among_workers_of_this_library() {
    let (mut desk, stream, end) = split();
    named(&mut desk, &stream);
    desk.commit(&id(0), &end).unwrap();
    assert_eq!(desk.stage(&id(0)), None);
    assert_eq!(desk.row(&id(0)).owner, None);
}

#[test]
fn a_child_is_held_from_its_birth_and_read_only_after_its_parents_end() {
    let (mut desk, stream, end) = split();
    named(&mut desk, &stream);
    desk.list(&stream);
    let mut commit = Commit::new(&id(0), desk.epoch(&id(0)), &end, Write::Forward);
    while !desk.row(&id(0)).checkpoint.is_end() {
        assert_eq!(leased(&desk.said(), &id(1)), None, "its parent is not done");
        let write = desk.steward.next_write(&mut commit).unwrap().unwrap();
        desk.send(&mut commit, &write).unwrap();
    }
    assert!(leased(&desk.said(), &id(1)).is_some(), "it is read at once");
}

/// Two shards that were split end at once, and this is how many leases the worker may have. Which shards it then holds.
fn held_after_two_ends(target: usize, prepare: impl FnOnce(&mut Desk)) -> Vec<String> {
    let (mut desk, mut stream) = Desk::reading(2);
    let commits = [0, 1].map(|shard| {
        stream.split(&id(shard));
        let end = Position::End { sequence: stream.shards[&id(shard)].ending() };
        Commit::new(&id(shard), desk.epoch(&id(shard)), &end, Write::Forward)
    });
    desk.list(&stream);
    prepare(&mut desk);
    desk.steward.target = target;
    let firsts = commits.map(|mut commit| {
        let write = desk.steward.next_write(&mut commit).unwrap().unwrap();
        (commit, write)
    });
    for (mut commit, write) in firsts {
        assert!(!desk.send(&mut commit, &write).unwrap());
        desk.write(&mut commit).unwrap();
    }
    desk.steward.leases.keys().cloned().collect()
}

#[test]
fn two_shards_that_end_at_once_leave_no_more_children_than_may_be_held() {
    for target in 2..=5 {
        let held = held_after_two_ends(target, |_| {});
        assert_eq!(held.len(), target.min(4), "{held:?} of {target}");
    }
}

#[test]
fn what_was_asked_for_leaves_no_room_for_children() {
    let held = held_after_two_ends(3, |desk| {
        desk.steward.requests.add("another", None, desk.now.monotonic);
    });
    assert_eq!(held.len(), 2, "{held:?}");
}

#[test]
fn children_that_nobody_knows_are_listed_first() {
    let (mut desk, mut stream) = Desk::reading(1);
    stream.split(&id(0));
    desk.said();
    let end = Position::End { sequence: stream.shards[&id(0)].ending() };
    let error = desk.commit(&id(0), &end).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Retry);
    assert!(desk.steward.take_news().contains(&News::ListingWanted));
    desk.list(&stream);
    desk.commit(&id(0), &end).unwrap();
    assert!(desk.table.row(&id(2)).is_some());
}

#[test]
fn a_merged_child_waits_for_both_parents() {
    let (mut desk, mut stream) = Desk::reading(2);
    stream.merge(&id(0));
    desk.list(&stream);
    desk.said();
    for parent in [0, 1] {
        assert_eq!(leased(&desk.said(), &id(2)), None);
        let end = Position::End { sequence: stream.shards[&id(parent)].ending() };
        desk.commit(&id(parent), &end).unwrap();
        desk.live(20);
    }
    assert!(leased(&desk.said(), &id(2)).is_some());
}

#[test]
fn beside_kcl_an_ended_lease_is_kept_and_is_no_load() {
    let (mut desk, _, end) = beside_kcl();
    desk.commit(&id(0), &end).unwrap();
    assert_eq!(desk.stage(&id(0)), Some(Stage::Ended));
    assert_eq!(desk.row(&id(0)).owner.as_deref(), Some("me"));
    assert_eq!(desk.steward.held() + 1, desk.steward.leases());
    let is_its = |call: &_| is_beat(call) && key(call) == Some(&id(0));
    assert!(desk.would(5, is_its), "KCL expects beats");
}

#[test]
fn beside_a_worker_that_has_not_accepted_yet_an_ended_lease_is_given_up() {
    let (mut desk, mut stream) = Desk::reading(2);
    desk.ask(&id(1), "other");
    desk.edit(&id(1), |row| {
        row.insert("kcAsker".to_owned(), "other".into());
    });
    desk.live(5);
    let epoch = desk.epoch(&id(1));
    desk.hears(Word::Drained { shard: id(1), epoch });
    desk.live(1);
    assert_eq!(desk.row(&id(1)).owner.as_deref(), Some("other"));
    stream.split(&id(0));
    desk.list(&stream);
    let end = Position::End { sequence: stream.shards[&id(0)].ending() };
    desk.commit(&id(0), &end).unwrap();
    assert_eq!((desk.stage(&id(0)), desk.row(&id(0)).owner), (None, None));
}

/// A worker that reads a shard which has been split. The other shard is one of KCL's.
fn beside_kcl() -> (Desk, Stream, Position) {
    let (mut desk, mut stream) = Desk::reading(2);
    with_kcl(&desk);
    desk.live(8);
    stream.split(&id(0));
    desk.list(&stream);
    let end = Position::End { sequence: stream.shards[&id(0)].ending() };
    (desk, stream, end)
}

/// An ended lease that was kept for a worker of KCL, which is gone now.
fn kept() -> (Desk, Stream) {
    let (mut desk, stream, end) = beside_kcl();
    desk.commit(&id(0), &end).unwrap();
    assert_eq!(desk.stage(&id(0)), Some(Stage::Ended));
    (desk, stream)
}

#[test]
fn an_ended_lease_is_given_up_when_no_worker_of_kcl_is_left() {
    let (mut desk, _) = kept();
    desk.live(60);
    assert_eq!(desk.row(&id(0)).owner, None);
    assert_eq!(desk.stage(&id(0)), None);
}

#[test]
fn the_row_of_an_ended_lease_that_is_deleted_is_no_loss() {
    let (mut desk, _) = kept();
    desk.said();
    desk.table.delete(&id(0));
    let call = desk.until(|call| key(call) == Some(&id(0)));
    desk.answer(call);
    assert_eq!(desk.stage(&id(0)), None);
    assert!(!desk.said().iter().any(|it| matches!(it, News::Lost { .. })));
}

#[test]
fn an_ended_lease_whose_row_is_gone_or_taken_when_it_is_given_up_is_no_loss() {
    for (is_asked, is_deleted) in [(false, false), (false, true), (true, false), (true, true)] {
        let (mut desk, _) = kept();
        desk.said();
        if is_asked {
            desk.ask(&id(0), "third");
        } else {
            desk.hears(Word::Stopping);
        }
        let call = desk
            .until(|call| matches!(act(call), Some(Act::Release { .. } | Act::HandOver { .. })));
        match is_deleted {
            true => drop(desk.table.delete(&id(0))),
            false => desk.steal(&id(0), "third"),
        }
        desk.answer(call);
        assert_eq!(desk.stage(&id(0)), None);
        let told = desk.said();
        let is_loss = |it: &News| matches!(it, News::Lost { shard, .. } if *shard == id(0));
        assert!(!told.iter().any(is_loss), "{is_asked} {is_deleted}: {told:?}");
    }
}

#[test]
fn a_stop_releases_what_has_ended_without_asking_for_it() {
    let (mut desk, _) = kept();
    desk.said();
    desk.hears(Word::Stopping);
    let asked = |it: &News| matches!(it, News::Asked { shard, .. } if *shard == id(0));
    assert!(!desk.said().iter().any(asked));
    desk.work();
    assert_eq!(desk.row(&id(0)).owner, None);
}

#[test]
fn an_end_whose_answer_was_lost_and_which_a_beat_shows_is_an_end() {
    let (mut desk, _, end) = beside_kcl();
    desk.commit_unheard(&id(0), &end);
    let beat = desk.until(|call| is_beat(call) && key(call) == Some(&id(0)));
    desk.answer(beat);
    desk.commit(&id(0), &end).unwrap();
    assert_eq!(desk.stage(&id(0)), Some(Stage::Ended));
}

#[test]
fn an_end_whose_answer_was_lost_is_done_at_the_next_try() {
    let (mut desk, stream, end) = split();
    named(&mut desk, &stream);
    desk.commit_unheard(&id(0), &end);
    desk.commit(&id(0), &end).unwrap();
    assert_eq!(desk.stage(&id(0)), None);
    assert!(!desk.said().iter().any(|it| matches!(it, News::Lost { .. })));
}

/// Everything that an end needs before the write of its shard's row with this number, which is not made: the first is that
/// of the children's names, the second that of the end.
fn before_write(desk: &mut Desk, commit: &mut Commit, number: usize) -> crate::model::write::Write {
    let mut left = number;
    loop {
        let write = desk.steward.next_write(commit).unwrap().unwrap();
        left -= usize::from(write.key() == id(0));
        if left == 0 {
            return write;
        }
        assert!(!desk.send(commit, &write).unwrap());
    }
}

/// A worker of KCL takes the lease, and stores the end.
fn ends_at_kcl(desk: &Desk) {
    desk.edit(&id(0), |row| {
        row.insert("leaseOwner".to_owned(), "java".into());
        row.insert("leaseCounter".to_owned(), 1_000_u64.into());
        row.insert("checkpoint".to_owned(), "SHARD_END".into());
    });
}

#[test]
fn a_lease_whose_end_a_worker_of_kcl_has_stored_is_left_to_it() {
    for number in [1, 2] {
        let (mut desk, _, end) = beside_kcl();
        let mut commit = Commit::new(&id(0), desk.epoch(&id(0)), &end, Write::Forward);
        let write = before_write(&mut desk, &mut commit, number);
        ends_at_kcl(&desk);
        assert!(desk.send(&mut commit, &write).unwrap(), "the end is stored");
        assert_eq!(desk.stage(&id(0)), None);
    }
}

/// Once the end was tried, beats of its lease say nothing: the answer to the next try does.
#[test]
fn a_child_that_is_gained_after_a_worker_of_kcl_has_stored_a_tried_end_is_read() {
    let (mut desk, mut stream) = Desk::reading(2);
    stream.split(&id(0));
    desk.list(&stream);
    let end = Position::End { sequence: stream.shards[&id(0)].ending() };
    let mut commit = Commit::new(&id(0), desk.epoch(&id(0)), &end, Write::Forward);
    before_write(&mut desk, &mut commit, 2);
    let at = crate::core::fleet::steward::answers::Span { sent: desk.now, now: desk.now };
    desk.steward.committed(at, &mut commit, Err(transient())).unwrap_err();
    ends_at_kcl(&desk);
    with_kcl(&desk);
    desk.live(8);
    desk.commit(&id(0), &end).unwrap();
    // One is lost, and gained again after a survey.
    desk.steal(&id(2), "java");
    desk.live(5);
    desk.said();
    for _ in 0..60 {
        with_kcl(&desk);
        desk.live(1);
    }
    let said = desk.said();
    assert!(said.iter().any(|it| matches!(it, News::Gained { shard, .. } if *shard == id(2))));
    assert!(leased(&said, &id(2)).is_some(), "{said:?}");
}

#[test]
fn an_end_that_somebody_takes_back_by_hand_is_believed() {
    let (mut desk, stream, end) = split();
    named(&mut desk, &stream);
    desk.commit(&id(0), &end).unwrap();
    desk.live(10);
    desk.edit(&id(0), |row| {
        row.insert("checkpoint".to_owned(), "TRIM_HORIZON".into());
        row.remove("kcEnd");
    });
    desk.said();
    desk.live(60);
    assert!(leased(&desk.said(), &id(0)).is_some(), "it is not read again");
}

#[test]
fn a_shard_that_has_left_the_stream_is_over_and_its_children_are_read() {
    let (mut desk, mut stream) = Desk::reading(1);
    desk.commit(&id(0), &stream.shards[&id(0)].after(5)).unwrap();
    desk.steward.end(desk.now);
    desk.work();
    stream.split(&id(0));
    // Its records expire, and with them the shard, while nobody reads.
    let mut listing = stream.listing();
    listing.retain(|shard| shard.id() != id(0));
    let mut next = Desk::new(settings("next"), &desk.table);
    next.shards = Some(listing.clone());
    next.hears(Word::Listed(listing));
    next.live(240);
    let said = next.said();
    assert!(next.row(&id(0)).checkpoint.is_end(), "{:?}", next.stage(&id(0)));
    assert_eq!(next.row(&id(0)).owner, None);
    assert!(leased(&said, &id(1)).is_some() && leased(&said, &id(2)).is_some());
}

#[test]
fn the_run_is_complete_after_a_listing_that_shows_no_further_shard() {
    let (mut desk, mut stream) = Desk::reading(1);
    stream.split(&id(0));
    desk.list(&stream);
    let end =
        |stream: &Stream, shard| Position::End { sequence: stream.shards[&id(shard)].ending() };
    desk.commit(&id(0), &end(&stream, 0)).unwrap();
    desk.live(20);
    // The children are merged, and their child is closed without any of its own.
    stream.merge(&id(1));
    desk.list(&stream);
    for shard in [1, 2] {
        desk.commit(&id(shard), &end(&stream, shard)).unwrap();
    }
    desk.live(20);
    assert!(!desk.said().contains(&News::Completed), "a shard is read");
    desk.shards = None;
    desk.edit(&id(3), |row| {
        row.insert("checkpoint".to_owned(), "SHARD_END".into());
    });
    desk.live(20);
    assert!(!desk.said().contains(&News::Completed), "no listing has shown it");
    desk.list(&stream);
    assert!(desk.said().contains(&News::Completed));
}

/// A page may show a row late, when the end of its shard is newer than the last listing.
#[test]
fn a_row_that_appears_as_done_needs_a_listing_of_its_own() {
    let (mut desk, mut stream) = Desk::reading(1);
    let row = desk.row(&id(0));
    let checkpoint = Checkpoint { at: At::ShardEnd, ..row.checkpoint.clone() };
    let done = |shards| -> Vec<_> {
        let done = |it| Row { shard: id(it), checkpoint: checkpoint.clone(), ..row.clone() };
        (0..shards).map(done).collect()
    };
    let view = &mut desk.steward.view;
    stream.split(&id(0));
    for (shards, further) in [(1, None), (3, None), (5, Some(true))] {
        view.surveyed(done(shards), std::iter::empty(), F);
        assert_eq!(view.is_complete(), Some(false), "{shards} are done, and not listed since");
        if shards == 3 {
            stream.split(&id(1));
        }
        view.listed(F, stream.listing());
        assert_eq!(view.is_complete(), further);
    }
}

#[test]
fn a_commit_of_an_earlier_tenure_is_lost() {
    let (mut desk, stream) = Desk::reading(1);
    let epoch = desk.epoch(&id(0)) - 1;
    let to = stream.shards[&id(0)].after(5);
    let mut commit = Commit::new(&id(0), epoch, &to, Write::Forward);
    let error = desk.write(&mut commit).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Lost);
}

#[test]
fn the_answer_to_an_earlier_tenures_commit_says_nothing_of_a_later_one() {
    let (mut desk, stream) = Desk::reading(1);
    let to = stream.shards[&id(0)].after(5);
    let mut commit = Commit::new(&id(0), desk.epoch(&id(0)), &to, Write::Forward);
    let write = desk.steward.next_write(&mut commit).unwrap().unwrap();
    let outcome = crate::store::leases::LeaseTable::apply(&desk.table, &write);
    desk.table.delete(&id(0));
    desk.steward.lose(&id(0), crate::core::fleet::lease::refused::Loss::Gone);
    desk.live(150);
    let before = desk.steward.leases[&id(0)].row.clone();
    let at = crate::core::fleet::steward::answers::Span { sent: desk.now, now: desk.now };
    drop(desk.steward.committed(at, &mut commit, outcome));
    let lease = &desk.steward.leases[&id(0)];
    assert_eq!(lease.row.checkpoint, before.checkpoint);
}

#[test]
fn a_position_that_another_worker_has_covered_is_done_and_its_row_asks_for_nothing() {
    let (mut desk, stream) = Desk::reading(1);
    let nine = stream.shards[&id(0)].after(9);
    let sequence = nine.sequence().unwrap().as_str().to_owned();
    desk.steal(&id(0), "you");
    desk.edit(&id(0), |row| {
        row.insert("checkpoint".to_owned(), sequence.as_str().into());
    });
    desk.said();
    desk.commit(&id(0), &stream.shards[&id(0)].after(5)).unwrap();
    assert!(!desk.said().iter().any(|it| matches!(it, News::Asked { .. })));
    desk.live(5);
    assert!(desk.said().iter().any(|it| matches!(it, News::Lost { .. })));
}

#[test]
fn a_position_that_stands_already_is_not_written_again() {
    let (mut desk, stream) = Desk::reading(1);
    let to = stream.shards[&id(0)].after(5);
    desk.commit(&id(0), &to).unwrap();
    let before = desk.row(&id(0));
    desk.commit(&id(0), &to).unwrap();
    desk.commit(&id(0), &stream.shards[&id(0)].after(4)).unwrap();
    assert_eq!(desk.row(&id(0)), before);
}

#[test]
fn a_commit_is_a_beat_as_well() {
    let (mut desk, stream) = Desk::reading(1);
    desk.pass(3.0);
    desk.commit(&id(0), &stream.shards[&id(0)].after(5)).unwrap();
    assert_eq!(desk.left(&id(0)), super::desk::F / 10 * 9);
}

#[test]
fn rows_of_shards_that_are_done_are_retired_five_minutes_after_their_children_began() {
    let (mut desk, mut stream) = Desk::reading(1);
    stream.split(&id(0));
    desk.list(&stream);
    let end = Position::End { sequence: stream.shards[&id(0)].ending() };
    desk.commit(&id(0), &end).unwrap();
    desk.live(10);
    for child in [1, 2] {
        desk.commit(&id(child), &stream.shards[&id(child)].after(1)).unwrap();
    }
    desk.live(280);
    assert!(desk.table.row(&id(0)).is_some());
    let retires = desk.until(|call| matches!(act(call), Some(Act::Retire)));
    desk.answer(retires);
    assert!(desk.table.row(&id(0)).is_none());
}

#[test]
fn the_fence_of_a_shard_whose_end_is_stored_is_over_whether_or_not_its_row_is_kept() {
    let (alone, beside_kcl) = (Desk::reading(2), Desk::reading(2));
    with_kcl(&beside_kcl.0);
    for ((mut desk, mut stream), kept) in [(alone, None), (beside_kcl, Some(Stage::Ended))] {
        desk.live(8);
        stream.split(&id(0));
        desk.list(&stream);
        desk.said();
        desk.pass(10.0);
        // A fence is seen when somebody looks; no beat is sent.
        desk.steward.until_beat(desk.now);
        let _unsent = desk.steward.next_beat(desk.now);
        assert!(desk.said().contains(&News::Fenced { shard: id(0) }));
        let end = Position::End { sequence: stream.shards[&id(0)].ending() };
        desk.commit(&id(0), &end).unwrap();
        assert_eq!(desk.stage(&id(0)), kept);
        let of_it = |news: &News| {
            *news == News::Unfenced { shard: id(0) } || *news == News::Fenced { shard: id(0) }
        };
        let told = desk.said().into_iter().filter(of_it).count();
        assert_eq!(told, 1, "it is over");
        desk.pass(10.0);
        let _unsent = desk.steward.next_beat(desk.now);
        assert_eq!(desk.said().into_iter().filter(of_it).count(), 0, "nobody reads it");
    }
}

#[test]
fn an_ended_lease_that_is_given_up_is_left_to_nobody() {
    let (mut desk, _) = kept();
    desk.said();
    desk.hears(Word::Stopping);
    // Nobody reads it, however long that takes.
    desk.pass(10.0);
    desk.steward.watch_fences(desk.now);
    assert!(!desk.said().contains(&News::Fenced { shard: id(0) }));
    desk.work();
    assert_eq!(desk.row(&id(0)).owner, None);
    let left = |it: &News| matches!(it, News::Left { shard, .. } if *shard == id(0));
    assert!(!desk.said().iter().any(left));
}
