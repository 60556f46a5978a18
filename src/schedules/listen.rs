//! `listen`, stopped at any moment, and run again.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use super::doors::stop_some_time;
use super::try_all;
use super::world::{World, a_while, current, with_thread};
use crate::client::memory::fault::Operation;

#[test]
fn stopped_and_run_again_it_reads_each_record_once() {
    try_all(|| {
        let world = World::new(2);
        let stream = world.stream(World::config());
        let shutdown = stream.shutdown();
        let listening = || {
            stream.listen(|batch| {
                world.take(batch);
                Ok(())
            })
        };
        with_thread(|| stop_some_time(&shutdown), listening).unwrap();
        world.read_the_rest();
        world.check();
    });
}

#[test]
fn a_drain_ends_at_the_earliest_of_its_limits_after_the_batch_in_hand() {
    const BATCH: Duration = Duration::from_secs(1);
    try_all(|| {
        let world = World::new(3);
        let stream = world.stream(World::config());
        let shutdown = stream.shutdown();
        let stopping = || {
            a_while();
            shutdown.drain(Duration::from_secs(60));
            a_while();
            world.stops(|| shutdown.drain(Duration::from_millis(fastrand::u64(..20))));
        };
        let listening = || {
            stream.listen(|batch| {
                current().sleep_for(BATCH);
                world.take(batch);
                Ok(())
            })
        };
        with_thread(stopping, listening).unwrap();
        let took = world.since_stop();
        assert!(took < BATCH + BATCH / 2, "{took:?}");
        world.read_the_rest();
        world.check();
    });
}

#[test]
fn a_long_drain_handles_all_that_was_sent() {
    try_all(|| {
        let world = World::new(2);
        let stream = world.stream(World::config());
        let (shutdown, monitor) = (stream.shutdown(), stream.monitor());
        let stopping = || {
            a_while();
            shutdown.drain(Duration::from_secs(60));
        };
        let listening = || {
            stream.listen(|batch| {
                current().sleep_for(Duration::from_millis(100));
                world.take(batch);
                Ok(())
            })
        };
        with_thread(stopping, listening).unwrap();
        let sent: u64 = monitor.progress().shards.iter().map(|shard| shard.records).sum();
        assert_eq!(world.count() as u64, sent);
    });
}

#[test]
fn a_panic_of_the_handler_comes_out_and_its_batch_comes_again() {
    const PANIC: &str = "the handler panics";
    try_all(|| {
        let world = World::new(2);
        let stream = world.stream(World::config());
        let (mut left, shutdown) = (fastrand::u32(..3), stream.shutdown());
        let ended = catch_unwind(AssertUnwindSafe(|| {
            stream.listen(|batch| {
                if left == 0 {
                    resume_unwind(Box::new(PANIC));
                }
                left -= 1;
                world.take_until_all(batch, &shutdown);
                Ok(())
            })
        }));
        match ended {
            Ok(ended) => ended.unwrap(),
            Err(panic) => assert_eq!(panic.downcast_ref::<&str>(), Some(&PANIC)),
        }
        world.read_the_rest();
        world.check();
    });
}

#[test]
fn while_it_is_paused_nothing_more_is_read_and_then_all() {
    try_all(|| {
        let world = World::new(2);
        let stream = world.stream(World::config());
        let (pauses, shutdown) = (stream.pauses(), stream.shutdown());
        let pausing = || {
            for _ in 0..fastrand::u32(1..4) {
                let one = fastrand::bool().then_some("shardId-000000000001");
                one.map_or_else(|| pauses.pause_all(), |shard| pauses.pause(shard));
                let calls = world.kinesis.calls(Operation::GetRecords);
                a_while();
                let more = world.kinesis.calls(Operation::GetRecords) - calls;
                // Each shard may be about to make a call.
                assert!(more <= 2 || one.is_some(), "{more} calls in a pause");
                one.map_or_else(|| pauses.resume_all(), |shard| pauses.resume(shard));
            }
        };
        let listening = || {
            stream.listen(|batch| {
                world.take_until_all(batch, &shutdown);
                Ok(())
            })
        };
        with_thread(pausing, listening).unwrap();
        world.check();
    });
}
