//! What is stored when a run ends by an error, and by two consumers over one store.

use std::collections::BTreeMap;
use std::iter::from_fn;
use std::sync::Arc;
use std::time::Duration;

use super::hooked::Countdown;
use super::refusing::{Refusing, not_now};
use super::try_all;
use super::world::{STREAM, World, a_while, current, with_thread};
use crate::client::memory::fault::Operation;
use crate::error::Error;
use crate::error::client::ErrorClass;
use crate::model::position::Position;
use crate::store::Store;
use crate::stream::Stream;

#[test]
fn what_was_committed_before_an_error_is_stored() {
    try_all(|| {
        let world = World::new(2);
        let stream = world.stream(World::config().store_every(5, Duration::from_secs(60)));
        let (batches, listener) = stream.receiver().unwrap();
        let fails = || {
            a_while();
            world.kinesis.fail_next(Operation::GetRecords, 1, ErrorClass::Fatal);
        };
        let mut committed = BTreeMap::new();
        let commits = || {
            while let Ok(batch) = batches.recv() {
                world.take(&batch);
                batch.commit().unwrap();
                committed.insert(batch.shard().to_owned(), batch.position().clone());
                a_while();
            }
        };
        with_thread(fails, commits);
        assert!(matches!(listener.join(), Err(Error::Client { shard: Some(_), .. })));
        assert_eq!(stored(&world), committed);
        world.read_the_rest();
        world.check();
    });
}

#[test]
fn two_consumers_over_one_store_lose_nothing_and_move_no_position_back() {
    try_all(|| {
        let world = World::new(2);
        let reads = || {
            a_while();
            let stream = world.stream(World::config());
            let shutdown = stream.shutdown();
            let listening = || {
                stream.listen(|batch| {
                    world.take(batch);
                    Ok(())
                })
            };
            let stops = || {
                a_while();
                shutdown.now();
            };
            with_thread(stops, listening).unwrap();
        };
        let mut before = BTreeMap::new();
        let looks = || {
            for _ in 0..8 {
                let now = stored(&world);
                for (shard, position) in &before {
                    assert!(now.get(shard) >= Some(position), "{shard} moved back to {now:?}");
                }
                before = now;
                current().sleep_for(Duration::from_millis(fastrand::u64(..100)));
            }
        };
        with_thread(reads, || with_thread(reads, looks));
        world.read_the_rest();
        world.check_that_nothing_is_lost();
    });
}

#[test]
fn of_two_positions_that_are_written_at_the_same_time_the_later_one_stays() {
    try_all(|| {
        let world = World::new(1);
        let at = |number: u32| Position::after(number.to_string().parse().unwrap());
        let writes = |from: u32| {
            for number in (from..6).step_by(2) {
                world.store.update_shard_iterator(STREAM, "a shard", &at(number)).unwrap();
            }
        };
        with_thread(|| writes(0), || writes(1));
        assert_eq!(stored(&world).get("a shard"), Some(&at(5)));
    });
}

#[test]
fn a_commit_that_failed_for_a_moment_is_written_again_without_another_one() {
    try_all(|| {
        let world = World::new(2);
        let left = Countdown::new(fastrand::u32(1..6));
        let refuses = move |_: &str| {
            left.is_over_now();
            not_now(!left.is_over())
        };
        let store = Refusing { inside: Arc::clone(&world.store), refuses };
        let every = fastrand::bool().then_some((fastrand::u32(1..3), Duration::from_secs(1)));
        let config = || World::config().interval(Duration::from_millis(500));
        let config =
            every.map_or_else(config, |(batches, time)| config().store_every(batches, time));
        let stream = Stream::new(world.kinesis.clone(), STREAM, store, config).unwrap();
        let (batches, listener) = stream.receiver().unwrap();
        let mut committed = BTreeMap::new();
        for batch in from_fn(|| batches.recv_timeout(Duration::from_secs(2)).ok()) {
            // An error is told, and the position is kept for later.
            let _ = batch.commit();
            committed.insert(batch.shard().to_owned(), batch.position().clone());
        }
        // Longer than the back-off of so many writes.
        current().sleep_for(Duration::from_secs(15));
        assert_eq!(stored(&world), committed);
        listener.shutdown().now();
        listener.join().unwrap();
    });
}

#[test]
fn a_shard_whose_last_write_fails_keeps_back_no_other_one() {
    try_all(|| {
        let world = World::new(3);
        let refused = world.put_to_each().swap_remove(fastrand::usize(..3));
        let shard = refused.clone();
        let refuses = move |it: &str| not_now(it == shard);
        let store = Refusing { inside: Arc::clone(&world.store), refuses };
        // Nothing is written before the end.
        let config = World::config().store_every(100, Duration::from_secs(60));
        let stream = Stream::new(world.kinesis.clone(), STREAM, store, config).unwrap();
        let (shutdown, mut handled) = (stream.shutdown(), BTreeMap::new());
        let ended = stream.listen(|batch| {
            handled.insert(batch.shard().to_owned(), batch.position().clone());
            world.take_until_all(batch, &shutdown);
            Ok(())
        });
        assert!(
            matches!(&ended, Err(Error::Store { shard: Some(it), .. }) if *it == refused),
            "{ended:?}"
        );
        handled.remove(&refused);
        assert_eq!(stored(&world), handled);
    });
}

fn stored(world: &World) -> BTreeMap<String, Position> {
    world.store.shard_iterators(STREAM).unwrap().into_iter().collect()
}
