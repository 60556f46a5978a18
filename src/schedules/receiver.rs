//! `receiver` and `receivers`: batches that are committed, dropped, or left, and listeners that are joined or dropped.

use std::collections::BTreeMap;
use std::time::Duration;

use super::try_all;
use super::world::{STREAM, World, a_while};
use crate::config::Config;
use crate::model::position::Position;
use crate::store::Store;

/// Commits that may wait for others.
fn config() -> Config {
    World::config().store_every(fastrand::u32(1..5), Duration::from_secs(60))
}

fn is_stored(world: &World, committed: &BTreeMap<String, Position>) {
    let stored: BTreeMap<_, _> = world.store.shard_iterators(STREAM).unwrap().into_iter().collect();
    for (shard, position) in committed {
        assert_eq!(stored.get(shard), Some(position), "{shard}");
    }
}

#[test]
fn however_it_is_left_what_was_committed_is_stored_and_no_thread_is_left() {
    try_all(|| {
        let world = World::new(2);
        let (batches, listener) = world.stream(config()).receiver().unwrap();
        let mut committed = BTreeMap::new();
        for _ in 0..fastrand::u32(..5) {
            let Ok(batch) = batches.recv_timeout(Duration::from_millis(200)) else { break };
            world.take(&batch);
            batch.commit().unwrap();
            committed.insert(batch.shard().to_owned(), batch.position().clone());
        }
        match fastrand::u32(..5) {
            // The last drop stops it.
            0 => {
                drop(batches);
                listener.join().unwrap();
            }
            1 => {
                drop(batches.clone());
                drop(listener);
            }
            2 => {
                a_while();
                drop(listener);
            }
            3 => {
                listener.shutdown().drain(Duration::from_millis(fastrand::u64(..100)));
                listener.join().unwrap();
            }
            _ => {
                listener.shutdown().now();
                listener.join().unwrap();
            }
        }
        is_stored(&world, &committed);
    });
}

#[test]
fn a_batch_that_is_committed_while_the_run_ends_is_stored() {
    try_all(|| {
        let world = World::new(1);
        let (batches, listener) = world.stream(config()).receiver().unwrap();
        let batch = batches.recv().unwrap();
        listener.shutdown().now();
        if fastrand::bool() {
            a_while();
        }
        batch.commit().unwrap();
        let committed = BTreeMap::from([(batch.shard().to_owned(), batch.position().clone())]);
        listener.join().unwrap();
        is_stored(&world, &committed);
    });
}

#[test]
fn one_of_two_receivers_is_dropped_and_the_other_one_ends() {
    try_all(|| {
        let world = World::new(2);
        let (mut receivers, listener) = world.stream(World::config()).receivers(2).unwrap();
        a_while();
        drop(receivers.pop());
        let other = receivers.pop().unwrap();
        while let Ok(batch) = other.recv() {
            batch.commit().unwrap();
        }
        listener.join().unwrap();
    });
}

/// A worker has both places of its shard: nothing of that shard goes on until it lets go of a batch.
#[test]
fn a_shard_whose_worker_keeps_its_batches_hears_a_stop() {
    try_all(|| {
        let world = World::new(1);
        world.put(fastrand::u32(2..=6)); // so that there are at least two batches
        let (receivers, listener) = world.stream(config()).receivers(1).unwrap();
        let kept = [(); 2].map(|()| receivers[0].recv().unwrap());
        if fastrand::bool() {
            // The shard may come to its end, which waits until its batches were handled.
            world.kinesis.split(STREAM, kept[0].shard());
        }
        a_while();
        let shutdown = listener.shutdown();
        match fastrand::u32(..4) {
            0 => shutdown.now(),
            // There it is the same.
            1 => shutdown.drain(Duration::from_secs(60)),
            2 => drop(receivers),
            _ => {}
        }
        match shutdown.is_stopped() && fastrand::bool() {
            true => listener.join().unwrap(),
            false => drop(listener),
        }
        let [first, second] = kept;
        second.commit().unwrap();
        first.commit().unwrap();
        is_stored(&world, &BTreeMap::from([(first.shard().into(), second.position().clone())]));
    });
}
