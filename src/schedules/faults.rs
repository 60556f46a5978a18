//! A service that fails, or hangs until the stop; a store that fails or is slow; a handler that fails or panics; two
//! streams with one budget.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::bounded;

use super::try_all;
use super::world::{ROOM, SOON, STREAM, World, a_while, current, with_thread};
use crate::budget::Budget;
use crate::client::memory::fault::Operation;
use crate::delivery::on_error::OnError;
use crate::error::Error;
use crate::error::client::ErrorClass;
use crate::error::store::StoreError;
use crate::model::notice::ShardState;
use crate::model::position::Position;
use crate::store::Store;
use crate::store::local::LocalStore;
use crate::stream::Stream;

/// Fails now and then, and takes its time.
struct Flaky(Arc<LocalStore>);

impl Flaky {
    fn call(&self) -> Result<(), StoreError> {
        if fastrand::bool() {
            current().sleep_for(Duration::from_millis(fastrand::u64(..30)));
        }
        match fastrand::u32(..4) {
            0 => Err(StoreError::retry("not now")),
            _ => Ok(()),
        }
    }
}

impl Store for Flaky {
    fn get_shard_iterator(&self, of: &str, shard: &str) -> Result<Option<Position>, StoreError> {
        self.call().and_then(|()| self.0.get_shard_iterator(of, shard))
    }

    fn update_shard_iterator(
        &self,
        of: &str,
        shard: &str,
        to: &Position,
    ) -> Result<(), StoreError> {
        self.call().and_then(|()| self.0.update_shard_iterator(of, shard, to))
    }

    fn shard_iterators(&self, of: &str) -> Result<Vec<(String, Position)>, StoreError> {
        self.call().and_then(|()| self.0.shard_iterators(of))
    }

    fn reset_shard_iterator(
        &self,
        of: &str,
        shard: &str,
        to: Option<&Position>,
    ) -> Result<(), StoreError> {
        self.call().and_then(|()| self.0.reset_shard_iterator(of, shard, to))
    }
}

#[test]
fn a_stop_ends_every_wait_soon_whatever_fails_or_hangs() {
    try_all(|| {
        let world = World::new(2);
        let kinesis = &world.kinesis;
        let config = World::config()
            .interval([Duration::from_millis(10), Duration::from_secs(60)][fastrand::usize(..2)]);
        let (budget, (_stop, stopped)) = (Budget::new(Budget::MIN), bounded(0));
        let stream = world.stream(config.budget(budget.clone()));
        let (shutdown, pauses) = (stream.shutdown(), stream.pauses());
        let mut held = None;
        match fastrand::u32(..6) {
            0 => kinesis.hang_all(true),
            1 => kinesis.fail_next(Operation::ListShards, 100, ErrorClass::Throttled),
            2 => kinesis.fail_next(Operation::GetRecords, 100, ErrorClass::Transient),
            3 => kinesis.fail_next(Operation::GetShardIterator, 100, ErrorClass::Throttled),
            4 => pauses.pause_all(),
            _ => held = budget.reserve(Budget::MIN, &stopped),
        }
        let stopping = || {
            a_while();
            if fastrand::bool() {
                kinesis.hang(STREAM, true);
            }
            // Back-offs have grown by then.
            current().sleep_for(Duration::from_secs(fastrand::u64(..20)));
            world.stops(|| shutdown.now());
        };
        let listening = || {
            stream.listen(|batch| {
                world.take(batch);
                Ok(())
            })
        };
        with_thread(stopping, listening).unwrap();
        let took = world.since_stop();
        assert!(took < SOON, "{took:?}");
        drop(held);
    });
}

#[test]
fn a_run_over_a_flaky_store_ends_well_only_if_all_is_stored() {
    let outcomes = try_all(|| {
        let world = World::new(2);
        let store = Flaky(Arc::clone(&world.store));
        let config = World::config().store_every(fastrand::u32(1..4), Duration::from_secs(60));
        let stream = Stream::new(world.kinesis.clone(), STREAM, store, config).unwrap();
        let (shutdown, mut left) = (stream.shutdown(), fastrand::u32(1..6));
        let ended = stream.listen(|batch| {
            world.take(batch);
            left -= 1;
            if left == 0 || world.is_read() {
                shutdown.drain(Duration::ZERO);
            }
            Ok(())
        });
        // A stop tries the last writes once.
        let is_stored =
            ended.map_err(|error| assert!(matches!(error, Error::Store { .. }))).is_ok();
        world.read_the_rest();
        if is_stored {
            current().note("stored");
            world.check();
        } else {
            current().note("not stored");
            world.check_that_nothing_is_lost();
        }
    });
    outcomes.each_occurs(&["stored", "not stored"]);
}

#[test]
fn a_batch_that_is_parked_comes_again_before_what_follows_it() {
    try_all(|| {
        let world = World::new(2);
        let on_error = OnError::retry(None).catch_panics(true);
        let stream = world.stream(World::config().on_error(on_error));
        let shutdown = stream.shutdown();
        let ended = stream.listen(|batch| {
            match fastrand::u32(..4) {
                0 => return Err("not now".into()),
                1 => std::panic::resume_unwind(Box::new("nor now")),
                _ => world.take(batch),
            }
            if world.is_read() {
                shutdown.now();
            }
            Ok(())
        });
        ended.unwrap();
        world.check();
    });
}

#[test]
fn two_streams_with_one_budget_do_not_wait_for_each_other() {
    let outcomes = try_all(|| {
        let budget = Budget::new(Budget::MIN);
        let (_stop, stopped) = bounded(0);
        // There is room for one call, and then a little more.
        let held = budget.reserve(Budget::MIN - ROOM, &stopped).unwrap();
        let worlds = [World::new(1), World::new(2)];
        let listen = |world: &World| {
            let stream = world.stream(World::config().budget(budget.clone()));
            let (shutdown, monitor) = (stream.shutdown(), stream.monitor());
            let ended = stream.listen(|batch| {
                // What is in hand counts.
                assert!(budget.used() > Budget::MIN - ROOM);
                let shards = monitor.progress().shards;
                if shards.iter().any(|shard| shard.state == ShardState::WaitingForBudget) {
                    current().note("a shard waits for room");
                }
                world.take_until_all(batch, &shutdown);
                Ok(())
            });
            ended.unwrap();
            world.check();
        };
        with_thread(|| listen(&worlds[0]), || listen(&worlds[1]));
        drop(held);
        assert_eq!(budget.used(), 0);
    });
    outcomes.each_occurs(&["a shard waits for room"]);
}

#[test]
fn a_client_without_room_that_says_not_how_much_it_needs_is_called_after_a_wait() {
    try_all(|| {
        let world = World::new(1);
        world.kinesis.fail_next(Operation::GetRecords, 1_000, ErrorClass::OverBudget);
        let stream = world.stream(World::config());
        let shutdown = stream.shutdown();
        let stops = || {
            current().sleep_for(Duration::from_secs(2));
            shutdown.now();
        };
        with_thread(stops, || stream.listen(|_| Ok(()))).unwrap();
        let calls = world.kinesis.calls(Operation::GetRecords);
        assert!((2..20).contains(&calls), "{calls} calls");
    });
}
