//! Shards that somebody else owns, as the store says.

use std::sync::Arc;
use std::time::Duration;

use super::hooked::Countdown;
use super::logs;
use super::refusing::Refusing;
use super::try_all;
use super::world::{STREAM, World, a_while, current, with_thread};
use crate::config::Config;
use crate::delivery::batch::Batch;
use crate::delivery::on_error::OnError;
use crate::error::Error;
use crate::error::store::{StoreError, StoreErrorKind};
use crate::model::notice::{LossReason, Notice, ShardState};
use crate::model::position::Position;
use crate::store::Store;
use crate::stream::Stream;
use crate::sync::Mutex;

/// The first shard of each scenario is lost.
const LOST: &str = "shardId-000000000000";

/// Whether the shard is lost, and whether the consumer was told.
#[derive(Default)]
struct Loss {
    /// Writes of the shard that are still taken.
    left: Mutex<u32>,
    is_lost: Mutex<bool>,
    notices: Mutex<Vec<String>>,
}

impl Loss {
    fn after(writes: u32) -> Arc<Self> {
        Arc::new(Self { left: Mutex::new(writes), ..Self::default() })
    }

    fn stream(self: &Arc<Self>, world: &World, config: Config) -> Stream {
        let (loss, told) = (Arc::clone(self), Arc::clone(self));
        let refuses = move |shard: &str| (shard == LOST).then(|| loss.refuses()).flatten();
        let config = config.on_notice(move |notice| {
            if let Notice::Lost { shard, why } = notice {
                let is_its = shard == LOST;
                let reason = if is_its { LossReason::Store } else { LossReason::Ancestor };
                assert_eq!(*why, reason, "{shard}");
                told.notices.lock().push(shard.clone());
            }
        });
        let store = Refusing { inside: Arc::clone(&world.store), refuses };
        Stream::new(world.kinesis.clone(), STREAM, store, config).unwrap()
    }

    fn refuses(&self) -> Option<StoreError> {
        let mut left = self.left.lock();
        match left.checked_sub(1) {
            Some(rest) => {
                *left = rest;
                return None;
            }
            None => *self.is_lost.lock() = true,
        }
        Some(StoreError::lost("somebody else owns the shard"))
    }

    fn is_lost(&self) -> bool {
        *self.is_lost.lock()
    }
}

/// The run ended with the error of the lost shard.
fn check_lost(ended: &Result<(), Error>) {
    let is_lost = matches!(
        ended,
        Err(Error::Store { shard: Some(shard), source, .. })
            if shard == LOST && source.kind() == StoreErrorKind::Lost
    );
    assert!(is_lost, "{ended:?}");
}

#[test]
fn a_lost_shard_is_neither_handled_nor_read_on_and_the_others_are() {
    let outcomes = try_all(|| {
        logs::keep();
        let world = World::new(2);
        // Two batches at least.
        (0..3).for_each(|_| drop(world.put_to_each()));
        let (loss, left) = (Loss::after(fastrand::u32(..2)), Countdown::new(fastrand::u32(..6)));
        let config = World::config().on_error(OnError::retry(None));
        let stream = loss.stream(&world, config);
        let (shutdown, monitor) = (stream.shutdown(), stream.monitor());
        let handle = |batch: &Batch| {
            // This thread has committed, and was refused: it knows.
            assert!(batch.shard() != LOST || !loss.is_lost(), "it is handled on");
            if left.is_over_now() {
                current().note("parked");
                return Err("not now".into());
            }
            world.take(batch);
            Ok(())
        };
        let looks = || {
            let answers =
                || monitor.progress().shard(LOST).map(|shard| (shard.state, shard.answers));
            while !loss.is_lost() {
                current().sleep_for(Duration::from_millis(500));
            }
            // A call may be in progress.
            a_while();
            current().sleep_for(Duration::from_secs(1));
            let read = answers();
            world.put_to_each();
            current().sleep_for(Duration::from_secs(2));
            let later = answers();
            assert!(matches!(read, Some((ShardState::Lost, _))), "{read:?}");
            assert_eq!(read, later, "it is read on");
            shutdown.now();
        };
        check_lost(&with_thread(looks, || stream.listen(handle)));
        assert_eq!(*loss.notices.lock(), [LOST]);
        let lines = ["it is given up", "dropped uncommitted"];
        assert_eq!(logs::told(&lines), lines[..1], "{:#?}", current().lines());
        world.read_the_rest();
        world.check_that_nothing_is_lost();
    });
    outcomes.each_occurs(&["parked"]);
}

#[test]
fn a_commit_of_a_lost_shard_fails_and_its_batches_are_not_current() {
    try_all(|| {
        let world = World::new(2);
        (0..3).for_each(|_| drop(world.put_to_each()));
        let loss = Loss::after(fastrand::u32(..2));
        // The loss is noticed by a commit, or by the coordinator, which writes for it.
        let config = match fastrand::bool() {
            true => World::config(),
            false => World::config().store_every(2, Duration::from_millis(50)),
        };
        let (batches, listener) = loss.stream(&world, config).receiver().unwrap();
        let mut refused = 0;
        while let Ok(batch) = batches.recv_timeout(Duration::from_secs(1)) {
            let was_current = batch.is_current();
            match batch.commit() {
                Ok(()) => world.take(&batch),
                Err(Error::Store { source, .. }) => {
                    refused += 1;
                    assert_eq!(source.kind(), StoreErrorKind::Lost);
                    assert!(!batch.is_current() && batch.shard() == LOST);
                }
                Err(error) => panic!("{error}"),
            }
            assert!(was_current || !batch.is_current(), "a lost shard came back");
            a_while();
        }
        assert!(!listener.is_finished(), "the other shard is read on");
        listener.shutdown().now();
        let ended = listener.join();
        if loss.is_lost() {
            check_lost(&ended);
        } else {
            // One write may be of several commits.
            assert!(ended.is_ok() && refused == 0, "{ended:?}");
        }
        world.read_the_rest();
        world.check_that_nothing_is_lost();
    });
}

#[test]
fn a_run_ends_when_all_that_is_left_follows_a_lost_shard() {
    let outcomes = try_all(|| {
        let world = World::new(1);
        world.kinesis.split(STREAM, LOST);
        world.put(fastrand::u32(1..8));
        // Of the shard itself, or of its end.
        let loss = Loss::after(fastrand::u32(..5));
        let stream = loss.stream(&world, World::config());
        let shutdown = stream.shutdown();
        let stops = || {
            current().sleep_for(Duration::from_secs(5));
            // It was not lost: each write was taken before there was none left.
            if !loss.is_lost() {
                current().note("not lost");
                shutdown.now();
            }
        };
        let ended = with_thread(stops, || {
            stream.listen(|batch| {
                world.take(batch);
                Ok(())
            })
        });
        if loss.is_lost() {
            check_lost(&ended);
            let stored = world.store.shard_iterators(STREAM).unwrap();
            let others = stored.iter().filter(|(shard, _)| shard != LOST);
            assert_eq!(others.count(), 0, "{stored:?}: a child is stored before its parent's end");
            assert!(!stored.iter().any(|(_, at)| matches!(at, Position::End { .. })));
            if loss.notices.lock().len() > 1 {
                current().note("a child too");
            }
        }
        world.read_the_rest();
        world.check_that_nothing_is_lost();
    });
    outcomes.each_occurs(&["a child too", "not lost"]);
}
