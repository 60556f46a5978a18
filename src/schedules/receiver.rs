//! `receiver` and `receivers`: batches that are committed, dropped, or left, and listeners that are joined or dropped.

use std::collections::BTreeMap;
use std::time::Duration;

use crossbeam_channel::bounded;

use super::closed;
use super::try_all;
use super::world::{ROOM, SOON, STREAM, World, a_while, current, with_thread};
use crate::budget::Budget;
use crate::config::Config;
use crate::delivery::batches::Batches;
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

/// A worker has both places of its shard: nothing more of that shard is sent until the worker drops a batch.
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

#[test]
fn what_a_dropped_receiver_leaves_in_its_channel_holds_no_memory() {
    let outcomes = try_all(|| {
        let world = World::new(2);
        let budget = Budget::new(Budget::MIN);
        let config = config().budget(budget.clone());
        let capacity = config.capacity;
        let (receivers, listener) = match fastrand::u32(..3) {
            0 => world.stream(config).receiver().map(|(batches, it)| (vec![batches], it)).unwrap(),
            workers => world.stream(config).receivers(workers as usize).unwrap(),
        };
        // As long as there is an end of a channel, it keeps its messages.
        let channels: Vec<_> = receivers.iter().map(|it| it.as_crossbeam().clone()).collect();
        a_while();
        for batches in receivers {
            match batches.len() {
                0 => current().note("empty"),
                full if full == capacity => current().note("full"),
                _ => {}
            }
            drop(batches);
        }
        listener.join().unwrap();
        assert_eq!(budget.used(), 0);
        drop(channels);
    });
    outcomes.each_occurs(&["empty", "full"]);
}

#[test]
fn a_stream_whose_receiver_is_dropped_leaves_the_budget_to_another_one() {
    try_all(|| {
        let budget = Budget::new(Budget::MIN);
        let (_stop, stopped) = bounded(0);
        // There is room for one call, and for none as long as another stream has a batch.
        let held = budget.reserve(Budget::MIN - ROOM, &stopped).unwrap();
        let (unread, read) = (World::new(2), World::new(1));
        let config = || config().budget(budget.clone());
        let (batches, listener) = unread.stream(config()).receiver().unwrap();
        let channel = batches.as_crossbeam().clone();
        let stream = read.stream(config());
        let shutdown = stream.shutdown();
        let dropping = || {
            a_while();
            drop(batches);
        };
        let listening = || {
            stream.listen(|batch| {
                read.take_until_all(batch, &shutdown);
                Ok(())
            })
        };
        with_thread(dropping, listening).unwrap();
        listener.join().unwrap();
        drop((held, channel));
        assert_eq!(budget.used(), 0);
    });
}

#[test]
fn the_last_drop_of_a_receiver_ends_a_silent_stream_at_once() {
    try_all(|| {
        let world = World::new(2);
        let config = config().interval(Duration::from_secs(60)).capacity(16);
        let (batches, listener) = world.stream(config).receiver().unwrap();
        let clone = batches.clone();
        let drops = |batches: Batches| {
            a_while();
            drop(batches);
        };
        with_thread(|| drops(clone), || drops(batches));
        world.stops(|| ());
        listener.join().unwrap();
        let took = world.since_stop();
        assert!(took < SOON, "{took:?}");
    });
}

#[test]
fn a_shard_has_two_batches_on_their_way_and_no_more() {
    try_all(|| {
        let world = World::new(1);
        world.put(10);
        let (receivers, listener) = world.stream(World::config().capacity(8)).receivers(1).unwrap();
        let mut stored = None;
        for _ in 0..fastrand::u32(..3) {
            let batch = receivers[0].recv().unwrap();
            batch.commit().unwrap();
            stored = Some(batch.position().clone());
        }
        let kept = [(); 2].map(|()| receivers[0].recv().unwrap());
        current().sleep_for(Duration::from_secs(1));
        assert_eq!(receivers[0].len(), 0);
        let shown = listener.progress().shards.remove(0);
        assert_eq!((shown.stored, shown.read.as_ref()), (stored, Some(kept[1].position())));
        let [first, second] = kept;
        drop(first);
        current().sleep_for(Duration::from_secs(1));
        assert_eq!(receivers[0].len(), 1);
        drop((second, receivers));
        listener.join().unwrap();
    });
}

#[test]
fn what_a_shard_has_sent_before_it_ended_waits_for_its_receiver() {
    try_all(|| {
        let world = World::new(2);
        let stream = closed::stream(&world, World::config());
        let (batches, listener) = stream.receiver().unwrap();
        a_while();
        while let Ok(batch) = batches.recv_timeout(Duration::MAX) {
            world.take(&batch);
            batch.commit().unwrap();
            a_while();
        }
        listener.join().unwrap();
        world.check();
    });
}
