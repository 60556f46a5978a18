//! What the log says of a run and its shards.

use std::sync::Arc;
use std::time::Duration;

use super::closed;
use super::logs;
use super::try_all;
use super::world::{STREAM, World, a_while, current, with_thread};
use crate::client::memory::fault::Operation;
use crate::core::outage::Trouble;
use crate::engine::journal::Journal;
use crate::error::client::{ClientError, ErrorClass};

const WAIT: Duration = Duration::from_millis(10);

#[test]
fn the_failures_of_a_shard_are_one_warning_and_then_its_recovery() {
    const LINES: [&str; 2] = ["; again in ", ": reads recovered after "];
    let outcomes = try_all(|| {
        logs::keep();
        let world = World::new(1);
        let stream = world.stream(World::config());
        let shutdown = stream.shutdown();
        let fails = || {
            for _ in 0..fastrand::u32(1..4) {
                let times = fastrand::usize(1..4);
                world.kinesis.fail_next(Operation::GetRecords, times, ErrorClass::Transient);
                current().sleep_for(Duration::from_millis(fastrand::u64(..2_000)));
            }
            shutdown.now();
        };
        with_thread(fails, || stream.listen(|_| Ok(()))).unwrap();
        let told = logs::told(&LINES);
        for (place, line) in told.iter().enumerate() {
            assert_eq!(*line, LINES[place % 2], "{:#?}", current().lines());
        }
        match told.len() {
            0 | 1 => {}
            2 | 3 => current().note("one outage"),
            _ => current().note("several outages"),
        }
    });
    outcomes.each_occurs(&["one outage", "several outages"]);
}

#[test]
fn a_shard_that_leaves_while_it_fails_does_not_hold_up_the_recovery_of_the_others() {
    try_all(|| {
        logs::keep();
        let journal = Arc::new(Journal::new(STREAM.into()));
        let fails = |shard: &str| {
            a_while();
            let error = ClientError::new(ErrorClass::Transient, "GetRecords", "not now");
            journal.told(Duration::ZERO, shard, Trouble::Failed { error, wait: WAIT });
            a_while();
        };
        let leaves = || {
            fails("leaves");
            journal.leaves(WAIT, "leaves");
        };
        with_thread(leaves, || fails("stays"));
        journal.told(WAIT, "stays", Trouble::Recovered);
        // Perhaps there were two outages, the first of which ended as its shard left: that is no recovery.
        assert_eq!(logs::told(&["recovered"]).len(), 1, "{:#?}", current().lines());
    });
}

#[test]
fn the_log_says_why_a_run_has_ended() {
    const ENDS: [&str; 3] = ["it was stopped", "all was read", "it failed"];
    let outcomes = try_all(|| {
        logs::keep();
        let world = World::new(1);
        let end = fastrand::usize(..3);
        let stream = match end {
            1 => closed::stream(&world, World::config()),
            _ => world.stream(World::config()),
        };
        let shutdown = stream.shutdown();
        let ends = || {
            a_while();
            match end {
                0 => shutdown.now(),
                1 => {}
                _ => world.kinesis.fail_next(Operation::GetRecords, 1, ErrorClass::Fatal),
            }
        };
        let ended = with_thread(ends, || stream.listen(|_| Ok(())));
        assert_eq!(ended.is_ok(), end < 2, "{ended:?}");
        let lines = current().lines();
        let last = lines.last().expect("that it ends is told");
        let why = match &ended {
            Ok(()) => format!("the consumer ends: {}", ENDS[end]),
            Err(error) => format!("the consumer ends: {error:#}"),
        };
        assert_eq!(*last, format!("stream {STREAM:?}: {why}"), "{lines:#?}");
        assert_eq!(lines[0], format!("stream {STREAM:?}: the consumer starts"), "{lines:#?}");
        current().note(ENDS[end]);
    });
    outcomes.each_occurs(&ENDS);
}
