//! What is stored when a run ends by an error, and by two consumers over one store.

use std::collections::BTreeMap;
use std::time::Duration;

use super::try_all;
use super::world::{STREAM, World, a_while, current, with_thread};
use crate::client::memory::fault::Operation;
use crate::error::Error;
use crate::error::client::ErrorClass;
use crate::model::position::Position;
use crate::store::Store;

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

fn stored(world: &World) -> BTreeMap<String, Position> {
    world.store.shard_iterators(STREAM).unwrap().into_iter().collect()
}
