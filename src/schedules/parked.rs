//! Batches that the handler refuses: parked, or put aside as dead letters.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::doors;
use super::try_all;
use super::world::{SOON, STREAM, World, a_while, current, with_thread};
use crate::delivery::batch::Batch;
use crate::delivery::on_error::OnError;
use crate::error::{BoxError, Error};
use crate::model::position::Position;
use crate::sync::{self, Mutex};

const FIRST: &str = "shardId-000000000000";

/// Refuses a batch with one of these records, whenever it comes.
fn refuse_some(world: &World, batch: &Batch) -> Result<(), BoxError> {
    if batch.records().iter().any(|record| record.data()[3] % 3 == 0) {
        return Err("not this one".into());
    }
    world.take(batch);
    Ok(())
}

#[test]
fn a_batch_that_is_parked_for_ever_delays_no_stop() {
    try_all(|| {
        let world = World::new(2);
        let on_error = OnError::retry(None).halve(fastrand::bool());
        let stream = world.stream(World::config().on_error(on_error));
        let shutdown = stream.shutdown();
        let is_drained = fastrand::bool();
        let limit = Duration::from_millis(if is_drained { fastrand::u64(..2_000) } else { 0 });
        let stopping = || {
            current().sleep_for(Duration::from_millis(fastrand::u64(..3_000)));
            if fastrand::bool() {
                shutdown.drain(Duration::from_secs(60));
                a_while();
            }
            let stop = || if is_drained { shutdown.drain(limit) } else { shutdown.now() };
            world.stops(stop);
        };
        with_thread(stopping, || stream.listen(|batch| refuse_some(&world, batch))).unwrap();
        let took = world.since_stop();
        assert!(took < limit + SOON, "{took:?}, {limit:?}");
        world.read_the_rest();
        world.check();
    });
}

#[test]
fn a_long_drain_handles_what_is_parked_too() {
    try_all(|| {
        let world = World::new(2);
        let stream = world.stream(World::config().on_error(OnError::retry(None)));
        let (shutdown, monitor) = (stream.shutdown(), stream.monitor());
        let stopping = || {
            a_while();
            shutdown.drain(Duration::from_secs(60));
        };
        let listening = || {
            stream.listen(|batch| {
                if fastrand::bool() {
                    return Err("not now".into());
                }
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
fn what_is_parked_is_tried_again_in_a_pause_and_then_the_rest_comes() {
    try_all(|| {
        let world = World::new(2);
        let stream = world.stream(World::config().on_error(OnError::retry(None)));
        let (shutdown, pauses) = (stream.shutdown(), stream.pauses());
        let (mut attempts, tries) = (0, fastrand::u32(1..4));
        let ended = stream.listen(|batch| {
            if batch.shard() == FIRST && attempts < tries {
                attempts += 1;
                pauses.pause_all();
                return Err("not in a pause".into());
            }
            if batch.shard() == FIRST {
                pauses.resume_all();
            }
            world.take_until_all(batch, &shutdown);
            Ok(())
        });
        ended.unwrap();
        world.check();
    });
}

#[test]
fn new_batches_and_parked_ones_take_turns() {
    // Longer than any back-off: something is due after each batch.
    const BATCH: Duration = Duration::from_secs(12);
    try_all(|| {
        let world = World::new(2);
        world.put(24);
        let stream = world.stream(World::config().on_error(OnError::retry(None)));
        let shutdown = stream.shutdown();
        let mut handled = Vec::new();
        let ended = stream.listen(|batch| {
            current().sleep_for(BATCH);
            let is_refused = batch.shard() == FIRST;
            handled.push(is_refused);
            if handled.len() == 6 {
                shutdown.now();
            }
            if is_refused { Err("never".into()) } else { Ok(()) }
        });
        ended.unwrap();
        let first = handled.iter().position(|is_refused| *is_refused).unwrap();
        let turns = handled[first..].windows(2).filter(|two| two[0] != two[1]).count();
        assert!(turns + 2 >= handled.len() - first, "{handled:?}");
    });
}

#[test]
fn a_dead_letter_that_was_taken_comes_once() {
    try_all(|| {
        let world = Arc::new(World::new(2));
        let letters = Arc::clone(&world);
        let on_error = OnError::retry(2).halve(fastrand::bool()).dead_letter(move |letter| {
            a_while();
            letters.take(letter.batch());
            Ok(())
        });
        let stream = world.stream(World::config().on_error(on_error));
        let shutdown = stream.shutdown();
        let stopping = || {
            current().sleep_for(Duration::from_millis(fastrand::u64(..2_000)));
            shutdown.now();
        };
        with_thread(stopping, || stream.listen(|batch| refuse_some(&world, batch))).unwrap();
        world.read_the_rest();
        world.check();
    });
}

#[test]
fn a_dead_letter_that_was_not_taken_ends_the_run_and_comes_again() {
    const PANIC: &str = "the callback panics";
    let outcomes = try_all(|| {
        let world = Arc::new(World::new(2));
        let (letters, of) = (Arc::new(Mutex::new(Vec::new())), Arc::clone(&world));
        let seen = Arc::clone(&letters);
        let on_error = OnError::retry(fastrand::u32(1..3)).dead_letter(move |letter| {
            seen.lock().push(letter.batch().position().clone());
            match fastrand::u32(..3) {
                0 => resume_unwind(Box::new(PANIC)),
                1 => Err("no place for it".into()),
                _ => {
                    of.take(letter.batch());
                    Ok(())
                }
            }
        });
        let stream = world.stream(World::config().on_error(on_error));
        let shutdown = stream.shutdown();
        let handling = Arc::clone(&world);
        let handle = move |batch: &Batch| {
            let handled = refuse_some(&handling, batch);
            if handling.is_read() {
                shutdown.now();
            }
            handled
        };
        let stopper = stream.shutdown();
        let listener = stream.spawn(handle).unwrap();
        current().sleep_for(Duration::from_secs(fastrand::u64(..3)));
        stopper.drain(Duration::from_secs(60));
        let ended = catch_unwind(AssertUnwindSafe(|| listener.join()));
        let letters = letters.lock().len();
        match ended {
            Ok(Ok(())) => current().note("taken, or none"),
            Ok(Err(Error::DeadLetter { .. })) if letters > 0 => current().note("refused"),
            Err(panic) if panic.downcast_ref::<&str>() == Some(&PANIC) => current().note("panic"),
            other => panic!("{other:?} after {letters} letters"),
        }
        world.read_the_rest();
        world.check();
    });
    outcomes.each_occurs(&["taken, or none", "refused", "panic"]);
}

/// What tells a batch from its halves.
pub(super) fn key(batch: &Batch) -> (String, Position) {
    let first = batch.records().first().expect("it has records");
    (first.sequence_number().to_owned(), batch.position().clone())
}

#[test]
fn each_batch_has_attempts_and_waits_of_its_own() {
    // The second wait is half a second at most; a slow machine takes a part of it.
    const WAIT: Duration = Duration::from_secs(1);
    try_all(|| {
        let world = Arc::new(World::new(1));
        world.put(12);
        let most = fastrand::u32(1..4);
        let (letters, takes) = (Arc::new(Mutex::new(Vec::new())), Arc::clone(&world));
        let (taken, slot) = (Arc::clone(&letters), Arc::new(OnceLock::new()));
        let stop = Arc::clone(&slot);
        let on_error = match most {
            1 => OnError::stop(),
            _ => OnError::retry(most).halve(fastrand::bool()),
        };
        let on_error = on_error.dead_letter(move |letter| {
            taken.lock().push((key(letter.batch()), letter.attempts()));
            takes.take_until_all(letter.batch(), stop.get().expect("it is set before the run"));
            Ok(())
        });
        let stream = world.stream(World::config().on_error(on_error));
        assert!(slot.set(stream.shutdown()).is_ok());
        let mut refused = BTreeMap::<_, (u32, Instant)>::new();
        let ended = stream.listen(|batch| {
            let now = sync::now();
            let (attempts, last) = refused.entry(key(batch)).or_insert_with(|| (0, now));
            let waited = now.saturating_duration_since(*last);
            assert!(waited < WAIT, "{waited:?} before attempt {attempts}");
            (*attempts, *last) = (*attempts + 1, now);
            Err("not this one".into())
        });
        ended.unwrap();
        for (batch, attempts) in &*letters.lock() {
            assert_eq!((*attempts, refused[batch].0), (most, most), "{batch:?}");
        }
        world.check();
    });
}

#[test]
fn the_halves_of_a_last_batch_come_before_the_children_and_both_come() {
    let outcomes = try_all(|| {
        let world = Arc::new(World::new(1));
        world.kinesis.split(STREAM, FIRST);
        world.put(4);
        let on_error = OnError::retry([Some(1), Some(3), None][fastrand::usize(..3)]).halve(true);
        let stream = world.stream(World::config().limit(10).on_error(on_error));
        let (shutdown, takes) = (stream.shutdown(), Arc::clone(&world));
        let (stopper, ended) = (shutdown.clone(), Mutex::new(BTreeSet::new()));
        let handle = move |batch: &Batch| {
            if batch.len() > 1 {
                return Err("too many at once".into());
            }
            // Only the last part of the last batch says so.
            let is_after_the_end = match batch.ends_shard() {
                true => !ended.lock().insert(batch.shard().to_owned()),
                false => ended.lock().contains(batch.shard()),
            };
            assert!(!is_after_the_end);
            current().note("a part");
            a_while();
            takes.take_until_all(batch, &shutdown);
            Ok(())
        };
        let stops = || {
            current().sleep_for(Duration::from_millis(fastrand::u64(..4_000)));
            stopper.now();
        };
        with_thread(stops, || doors::run(stream, handle)).unwrap();
        world.read_the_rest();
        world.check();
    });
    outcomes.each_occurs(&["a part"]);
}
