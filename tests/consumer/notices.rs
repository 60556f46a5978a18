//! Notices while the consumer continues: stalls, with the state of the shard, and gaps.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded, unbounded};
use kinesis_consumer::testing::{MemoryKinesis, Operation};
use kinesis_consumer::{
    ClientError, Config, ErrorClass, Gap, LocalStore, Notice, OnError, OnForeign, OnGap, Position,
    ShardProgress, ShardState, Store, Stream,
};

use log::Level;

use crate::common::{HOUR, SOON, STREAM, Watched, id, kinesis, logs, quick, until};

const AFTER: Duration = Duration::from_millis(30);

/// Tells all notices to the receiver.
fn telling(config: Config) -> (Config, Receiver<Notice>) {
    let (tell, notices) = unbounded();
    // Nobody may be listening any more.
    let config = config.stall_after(AFTER).on_notice(move |notice| drop(tell.send(notice.clone())));
    (config, notices)
}

fn open(kinesis: &MemoryKinesis, config: Config) -> Stream {
    Stream::new(kinesis.clone(), STREAM, LocalStore::new(), config).unwrap()
}

/// The state in which a shard is said to have stalled.
fn stalled(notices: &Receiver<Notice>, wanted: &str) -> ShardState {
    loop {
        match notices.recv_timeout(SOON).unwrap() {
            Notice::Stalled { shard, state, age, .. } if shard == wanted => {
                assert!(age >= AFTER && age < SOON, "{age:?}");
                return state;
            }
            _ => {}
        }
    }
}

#[test]
fn a_handler_that_hangs_is_told_and_so_is_that_it_goes_on() {
    let (config, notices) = telling(quick());
    let (go_on, wait) = bounded::<()>(0);
    let kinesis = kinesis(1, 1);
    let listener = open(&kinesis, config).spawn(move |_| {
        wait.recv_timeout(SOON * 2)?;
        Ok(())
    });
    while stalled(&notices, &id(0)) != ShardState::Handling {}
    go_on.send(()).unwrap();
    let resumed = notices.recv_timeout(SOON).unwrap();
    assert!(matches!(&resumed, Notice::Resumed { shard, .. } if *shard == id(0)), "{resumed:?}");
    drop(listener);
}

#[test]
fn a_call_that_hangs_is_told_and_so_are_children_that_wait_for_its_shard() {
    let (config, notices) = telling(quick().limit(1));
    let (kinesis, parent) = (kinesis(1, 2), id(0));
    let child = kinesis.split(STREAM, &parent)[0].clone();
    let (hanging, calls) = (kinesis.clone(), AtomicUsize::new(0));
    // The second call of the parent, which has one more record.
    let client = Watched::new(&kinesis, move |operation| {
        if operation == Operation::GetRecords && calls.fetch_add(1, Ordering::Relaxed) == 1 {
            hanging.hang(STREAM, true);
        }
        Ok(())
    });
    let stream = Stream::new(client, STREAM, LocalStore::new(), config).unwrap();
    let listener = stream.spawn(|_| Ok(()));
    while stalled(&notices, &parent) != ShardState::Calling {}
    while stalled(&notices, &child) != ShardState::WaitingForParents {}
    kinesis.hang(STREAM, false);
    drop(listener);
}

#[test]
fn calls_that_fail_for_long_are_told() {
    let (config, notices) = telling(quick());
    let kinesis = kinesis(1, 1);
    kinesis.fail_shard(STREAM, &id(0), usize::MAX, ErrorClass::Transient);
    let listener = open(&kinesis, config).spawn(|_| Ok(()));
    while stalled(&notices, &id(0)) != ShardState::BackingOff {}
    drop(listener);
}

#[test]
fn a_full_channel_is_told() {
    let (config, notices) = telling(quick().limit(1).capacity(1));
    let (batches, listener) = open(&kinesis(1, 9), config).receiver().unwrap();
    while stalled(&notices, &id(0)) != ShardState::WaitingForChannel {}
    listener.shutdown().now();
    batches.iter().for_each(|batch| batch.commit().unwrap());
}

#[test]
fn a_parked_batch_is_told() {
    let (config, notices) = telling(quick().on_error(OnError::retry(None)));
    let listener = open(&kinesis(1, 1), config).spawn(|_| Err("refused".into()));
    while stalled(&notices, &id(0)) != ShardState::Parked {}
    drop(listener);
}

#[test]
fn waiting_for_the_interval_or_for_parents_that_wait_for_it_is_no_stall() {
    let (kinesis, parent) = (kinesis(1, 2), id(0));
    let child = kinesis.split(STREAM, &parent)[0].clone();
    let (config, notices) = telling(quick().limit(1).interval(HOUR));
    let listener = open(&kinesis, config).spawn(|_| Ok(())).unwrap();
    let reaches = |id: &str, state| {
        until(&format!("{id}: {state}"), || {
            listener
                .progress()
                .shard(id)
                .is_some_and(|it| it.state == state && it.committed.is_some())
        });
    };
    reaches(&parent, ShardState::Idle);
    let waits = listener.progress().shard(&child).map(|it| it.state);
    assert_eq!(waits, Some(ShardState::WaitingForParents));
    // Until here a busy machine may have held them up.
    while notices.recv_timeout(AFTER * 5).is_ok() {}
    assert!(notices.recv_timeout(AFTER * 5).is_err());
    drop(listener);
}

#[test]
fn a_gap_that_is_passed_over_is_told() {
    let (kinesis, store) = (kinesis(1, 5), Arc::new(LocalStore::new()));
    let run = |config| {
        let stream = Stream::new(kinesis.clone(), STREAM, Arc::clone(&store), config).unwrap();
        let shutdown = stream.shutdown();
        stream.listen(|_| {
            shutdown.now();
            Ok(())
        })
    };
    run(quick()).unwrap();
    kinesis.trim(STREAM, &id(0), 5);
    kinesis.put(STREAM, "key", b"5");
    let (config, notices) = telling(quick());
    run(config).unwrap();
    let told = notices.recv_timeout(SOON).unwrap();
    assert!(matches!(told, Notice::Gap(Gap::Trimmed { ref shard, .. }) if *shard == id(0)));
}

#[test]
fn a_panic_of_who_is_told_reaches_the_caller() {
    for is_stall in [true, false] {
        let (kinesis, store) = (kinesis(1, 1), LocalStore::new());
        let other = Position::after("1".parse().unwrap());
        let config = quick().stall_after(AFTER).on_notice(|_| panic!("too loud"));
        // A stall is told by the coordinator, a gap by the shard's thread.
        if is_stall {
            kinesis.fail_shard(STREAM, &id(0), usize::MAX, ErrorClass::Transient);
        } else {
            kinesis.split(STREAM, &id(0));
            kinesis.retire(STREAM, &id(0));
            store.update_shard_iterator(STREAM, &id(1), &other).unwrap();
        }
        let stream = Stream::new(
            kinesis,
            STREAM,
            store,
            config.on_gap(OnGap::new().foreign(OnForeign::Earliest)),
        )
        .unwrap();
        let listener = stream.spawn(|_| Ok(())).unwrap();
        let panic = catch_unwind(AssertUnwindSafe(|| listener.join()));
        assert_eq!(panic.unwrap_err().downcast_ref(), Some(&"too loud"));
    }
}

fn stream_of(name: &str, shards: usize) -> MemoryKinesis {
    logs::keep();
    let kinesis = MemoryKinesis::new();
    kinesis.create_stream(name, shards);
    kinesis
}

#[test]
fn an_outage_of_all_shards_is_one_warning_and_one_recovery() {
    const NAME: &str = "outage";
    let kinesis = stream_of(NAME, 12);
    let fails = Arc::new(AtomicBool::new(false));
    let failing = Arc::clone(&fails);
    let client = Watched::new(&kinesis, move |operation| {
        if operation == Operation::GetRecords && failing.load(Ordering::Relaxed) {
            return Err(ClientError::new(ErrorClass::Throttled, operation.name(), "too much"));
        }
        Ok(())
    });
    let stream = Stream::new(client, NAME, LocalStore::new(), quick()).unwrap();
    let (batches, listener) = stream.receiver().unwrap();
    let shards = |is_so: fn(&ShardProgress) -> bool| {
        listener.progress().shards.iter().filter(|shard| is_so(shard)).count()
    };
    until("all are read", || shards(|it| it.answers > 0) == 12);
    fails.store(true, Ordering::Relaxed);
    until("all fail", || shards(|it| it.failing.is_some()) == 12);
    let worst = listener.progress().behind_latest().unwrap();
    until("all fall behind", || listener.progress().behind_latest().unwrap() > worst);
    fails.store(false, Ordering::Relaxed);
    until("all are read again", || shards(|it| it.failing.is_none()) == 12);
    // The last of them is told of just after it is seen.
    until("that is told", || logs::lines(Level::Warn, NAME).last().unwrap().contains("recovered"));
    let lines = logs::lines(Level::Warn, NAME);
    let counts = lines.iter().filter(|line| line.contains("calls fail for 12 shards")).count();
    let [first, .., last] = &lines[..] else { panic!("{lines:#?}") };
    // On a slow machine it took long enough to be counted.
    assert!(lines.len() == 2 + counts && counts <= 1, "{lines:#?}");
    assert!(first.contains("too much; again in "), "{first}");
    assert!(last.starts_with("reads recovered after ") && last.ends_with(", 12 shards"), "{last}");
    drop((batches, listener));
}

#[test]
fn the_life_of_a_run_and_of_its_shards_is_logged() {
    const NAME: &str = "life";
    let kinesis = stream_of(NAME, 2);
    let client = Watched::new(&kinesis, |_| Ok(())).at("the end of the world");
    let [low, high] = kinesis.split(NAME, &id(0));
    let merged = kinesis.merge(NAME, &low, &high);
    let stream = Stream::new(client, NAME, LocalStore::new(), quick()).unwrap();
    let monitor = stream.monitor();
    let listener = stream.spawn(|_| Ok(())).unwrap();
    until("the merged shard is read", || {
        monitor.progress().shard(&merged).is_some_and(|shard| shard.answers > 0)
    });
    listener.shutdown().now();
    listener.join().unwrap();
    let lines = logs::lines(Level::Info, NAME);
    let has = |line: &str| assert!(lines.iter().any(|it| it == line), "{line}: {lines:#?}");
    assert_eq!(lines[0], "the consumer starts at the end of the world");
    for shard in [&id(0), &id(1), &low, &high, &merged] {
        has(&format!("shard {shard:?}: starts at the oldest record"));
    }
    has("3 shards wait for their parents");
    has(&format!("shard {:?}: was read to its end and was split into {low:?} and {high:?}", id(0)));
    has(&format!(
        "shard {low:?}: was read to its end and was merged with {high:?} into {merged:?}"
    ));
    assert_eq!(lines.last().unwrap(), "the consumer ends: it was stopped");
}

#[test]
fn a_consumer_that_ends_says_why() {
    const NAME: &str = "why";
    let kinesis = stream_of(NAME, 1);
    kinesis.put(NAME, "key", b"1");
    let stream = Stream::new(kinesis, NAME, LocalStore::new(), quick()).unwrap();
    stream.listen(|_| Err("no paper".into())).unwrap_err();
    let lines = logs::lines(Level::Info, NAME);
    let last = lines.last().unwrap();
    assert!(last.starts_with("the consumer ends: the handler failed"), "{last}");
    assert!(last.ends_with(": no paper"), "{last}");
}

#[test]
fn of_many_shards_that_start_and_end_twenty_are_named() {
    const NAME: &str = "many";
    let kinesis = stream_of(NAME, 50);
    let stream = Stream::new(kinesis.clone(), NAME, LocalStore::new(), quick()).unwrap();
    let (monitor, pauses) = (stream.monitor(), stream.pauses());
    let listener = stream.spawn(|_| Ok(())).unwrap();
    let states =
        |state| monitor.progress().shards.iter().filter(|shard| shard.state == state).count();
    until("all are read", || {
        monitor.progress().shards.iter().filter(|it| it.answers > 0).count() == 50
    });
    let named = |text: &str| {
        let lines = logs::lines(Level::Info, NAME);
        lines.iter().filter(|line| line.contains(text)).count()
    };
    assert_eq!((named("starts at the oldest"), named("30 more shards start")), (20, 1));
    pauses.pause_all();
    until("all are paused", || states(ShardState::Paused) == 50);
    for shard in 0..50 {
        kinesis.split(NAME, &id(shard));
    }
    pauses.resume_all();
    until("all have ended", || states(ShardState::Ended) == 50);
    listener.shutdown().now();
    listener.join().unwrap();
    // On a slow machine they ended in more than one go.
    let (ends, more) = (named("was read to its end"), named("more shards were read to their ends"));
    assert!(ends >= 20 && (more >= 1 || ends == 50), "{ends} {more}");
}
