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
use crate::model::notice::{LossReason, Notice};

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
fn fences_of_many_shards_are_one_warning_a_count_and_an_end() {
    const LINES: [&str; 3] = [
        ": its lease could not be kept up, so its batches wait",
        ": batches of 200 shards wait, the first for 10 s",
        ": no shard is fenced any more, after 20 s, 200 shards",
    ];
    try_all(|| {
        logs::keep();
        let journal = Journal::new(STREAM.into());
        let seconds = Duration::from_secs;
        let shards: Vec<_> = (0..200).map(|number| format!("shard-{number}")).collect();
        for shard in &shards {
            journal.lease(seconds(0), &Notice::Fenced { shard: shard.clone() });
        }
        (0..20).for_each(|second| journal.tick(seconds(second).max(seconds(10))));
        for (place, shard) in shards.iter().enumerate() {
            let shard = shard.clone();
            // Whatever becomes of them.
            let notice = match place % 3 {
                0 => Notice::Unfenced { shard },
                1 => Notice::Released { shard, to: None },
                _ => Notice::Lost { shard, why: LossReason::RowGone },
            };
            journal.lease(seconds(20), &notice);
        }
        assert_eq!(logs::told(&LINES), LINES, "{:#?}", current().lines());
    });
}

#[test]
fn leases_that_move_together_are_twenty_lines_and_a_count() {
    try_all(|| {
        logs::keep();
        let journal = Journal::new(STREAM.into());
        for number in 0..50 {
            let (shard, from) = (format!("shard-{number}"), Some("two".to_owned()));
            journal.lease(WAIT, &Notice::Gained { shard, from });
        }
        for number in 0..30 {
            let shard = format!("shard-{number}");
            journal.lease(WAIT, &Notice::Released { shard, to: None });
        }
        journal.ends(Ok(()), true);
        let held = ": its lease is held from now on, and was held by the worker \"two\"";
        let more = ": 30 more leases are held from now on";
        let left = ": its lease was given up, and left to nobody";
        let more_left = ": 10 more leases were given up";
        let told = logs::told(&[held, more, left, more_left]);
        let expected = [&[held; 20][..], &[left; 20], &[more, more_left]].concat();
        assert_eq!(told, expected, "{:#?}", current().lines());
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
