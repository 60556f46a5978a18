//! Commits, by any thread, in any order, of a part of a batch, and after the end.

use std::collections::BTreeMap;
use std::iter::from_fn;
use std::time::Duration;

use super::try_all;
use super::world::{STREAM, World, a_while, current, with_thread};
use crate::delivery::batch::Batch;
use crate::model::position::Position;
use crate::store::Store;

/// Longer than the silence between two batches of these scenarios.
const SILENCE: Duration = Duration::from_secs(1);

/// Commits of each batch this number of records, from its first one on, and drops the rest.
fn commit(batches: Vec<(Batch, usize)>) {
    for (batch, records) in batches {
        if fastrand::bool() {
            a_while();
        }
        match records {
            0 => drop(batch),
            all if all == batch.len() && fastrand::bool() => {
                let (records, commit) = batch.into_parts();
                drop(records);
                commit.commit().unwrap();
            }
            some => {
                let last = batch.records().get(some - 1).unwrap();
                batch.commit_through(&last).unwrap();
            }
        }
    }
}

#[test]
fn the_next_run_begins_at_the_first_gap_between_commits() {
    try_all(|| {
        let world = World::new(1);
        let every = World::config().store_every(fastrand::u32(1..4), Duration::from_secs(60));
        let (batches, listener) = world.stream(every).receiver().unwrap();
        let (mut one, mut other, mut has_gap) = (Vec::new(), Vec::new(), false);
        for batch in from_fn(|| batches.recv_timeout(SILENCE).ok()).take(3) {
            let records = fastrand::usize(..=batch.len()).max(fastrand::usize(..=batch.len()));
            if !has_gap {
                world.take_first(&batch, records);
            }
            has_gap |= records < batch.len();
            let whose = if fastrand::bool() { &mut one } else { &mut other };
            whose.push((batch, records));
        }
        fastrand::shuffle(&mut one);
        fastrand::shuffle(&mut other);
        let stops = || {
            a_while();
            listener.shutdown().now();
            listener.join().unwrap();
        };
        with_thread(|| commit(one), || with_thread(|| commit(other), stops));
        world.read_the_rest();
        world.check();
    });
}

#[test]
fn a_child_that_is_committed_first_is_stored_soon_after_the_ends_of_its_parents() {
    try_all(|| {
        let world = World::new(2);
        let parents = world.kinesis.shards(STREAM);
        if fastrand::bool() {
            parents.iter().for_each(|shard| drop(world.kinesis.split(STREAM, shard.id())));
        } else {
            world.kinesis.merge(STREAM, parents[0].id(), parents[1].id());
        }
        world.put(2);
        let (batches, listener) = world.stream(World::config()).receiver().unwrap();
        let taken: Vec<_> = from_fn(|| batches.recv_timeout(SILENCE).ok()).collect();
        let stored = |shard: &str| world.store.get_shard_iterator(STREAM, shard).unwrap();
        let shards = world.kinesis.shards(STREAM);
        let parents_of = |shard: &str| {
            shards.iter().find(|it| it.id() == shard).map_or(&[][..], |it| it.parents())
        };
        let (mut of_parents, of_children): (Vec<_>, Vec<_>) =
            taken.iter().partition(|batch| parents_of(batch.shard()).is_empty());
        if fastrand::bool() {
            // The parent that ended first may be the last one whose end is stored.
            of_parents.reverse();
        }
        let is_end = |shard: &String| stored(shard).is_some_and(|it| it.is_end());
        let checks = || {
            for shard in &shards {
                // It first: if it is stored now, the ends of its parents were before.
                let is_stored = stored(shard.id()).is_some();
                let may_be = shard.parents().iter().all(is_end);
                assert!(!is_stored || may_be, "{} before an end of its parents", shard.id());
            }
        };
        let commits = |batches: Vec<&Batch>| {
            for batch in batches {
                batch.commit().unwrap();
                checks();
                a_while();
                checks();
            }
        };
        let commits_children = || commits(of_children);
        let commits_parents = || commits(of_parents);
        with_thread(commits_children, commits_parents);
        // Nobody commits again.
        current().sleep_for(SILENCE);
        let ends: BTreeMap<_, &Position> =
            taken.iter().map(|batch| (batch.shard(), batch.position())).collect();
        for (shard, end) in ends {
            assert_eq!(stored(shard).as_ref(), Some(end), "{shard}");
        }
        listener.shutdown().now();
        listener.join().unwrap();
    });
}
