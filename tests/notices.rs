//! What the user is told of while the consumer goes on: stalls, by what a shard waits for, and gaps.

#![allow(clippy::unwrap_used, reason = "helpers of tests, which Clippy does not see as tests")]

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, bounded, unbounded};
use kinesis_consumer::{
    Config, ErrorClass, Gap, LocalStore, MemoryKinesis, Notice, OnError, OnGap, Operation,
    Position, ShardState, Store, Stream,
};

use self::common::{HOUR, SOON, STREAM, Watched, id, kinesis, quick};

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

/// Waits until a shard is said to have stalled in this state. On a busy machine others last so long too.
fn stalls(notices: &Receiver<Notice>, wanted: &str, in_state: ShardState) {
    loop {
        match notices.recv_timeout(SOON).unwrap() {
            Notice::Stalled { shard, state, age, .. } if shard == wanted && state == in_state => {
                assert!(age >= AFTER, "{age:?}");
                return;
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
    stalls(&notices, &id(0), ShardState::Handling);
    go_on.send(()).unwrap();
    let resumed = notices.recv_timeout(SOON).unwrap();
    assert!(matches!(&resumed, Notice::Resumed { shard, .. } if *shard == id(0)), "{resumed:?}");
    drop(listener);
}

#[test]
fn a_call_that_hangs_is_told_and_so_are_children_that_wait_for_its_shard() {
    let (config, notices) = telling(quick());
    let kinesis = kinesis(1, 1);
    let (config, parent) = (config.limit(1), id(0));
    kinesis.put_to(STREAM, &parent, "key", b"1");
    let child = kinesis.split(STREAM, &parent)[0].clone();
    let (hanging, reads) = (kinesis.clone(), Operation::GetRecords);
    let client = Watched::new(&kinesis, move |operation| {
        // The second read, which is the parent's and is not its last.
        if operation == reads && hanging.calls(reads) == 1 {
            hanging.hang(STREAM, true);
        }
        Ok(())
    });
    let stream = Stream::new(client, STREAM, LocalStore::new(), config).unwrap();
    let listener = stream.spawn(|_| Ok(()));
    stalls(&notices, &parent, ShardState::Calling);
    stalls(&notices, &child, ShardState::WaitingForParents);
    kinesis.hang(STREAM, false);
    drop(listener);
}

#[test]
fn calls_that_fail_for_long_are_told() {
    let (config, notices) = telling(quick());
    let kinesis = kinesis(1, 1);
    kinesis.fail_shard(STREAM, &id(0), usize::MAX, ErrorClass::Transient);
    let listener = open(&kinesis, config).spawn(|_| Ok(()));
    stalls(&notices, &id(0), ShardState::BackingOff);
    drop(listener);
}

#[test]
fn a_full_channel_is_told() {
    let (config, notices) = telling(quick().limit(1).capacity(1));
    let (batches, listener) = open(&kinesis(1, 9), config).receiver().unwrap();
    stalls(&notices, &id(0), ShardState::WaitingForChannel);
    listener.shutdown().now();
    batches.iter().for_each(|batch| batch.commit().unwrap());
}

#[test]
fn a_parked_batch_is_told() {
    let (config, notices) = telling(quick().on_error(OnError::retry(None)));
    let listener = open(&kinesis(1, 1), config).spawn(|_| Err("refused".into()));
    stalls(&notices, &id(0), ShardState::Parked);
    drop(listener);
}

#[test]
fn waiting_for_the_interval_or_for_parents_that_work_is_no_stall() {
    let kinesis = kinesis(1, 40);
    let (config, notices) = telling(quick().limit(1).interval(HOUR));
    let listener = open(&kinesis, config).spawn(|_| Ok(())).unwrap();
    no_wait_is_told(&notices, &id(0));
    drop(listener);

    kinesis.split(STREAM, &id(0));
    let (config, notices) = telling(quick().limit(1).interval(AFTER / 3));
    let listener = open(&kinesis, config).spawn(|_| Ok(())).unwrap();
    no_wait_is_told(&notices, &id(0));
    drop(listener);
}

/// For a while only what does stall on a busy machine: this shard in its work, and then those that wait for it.
fn no_wait_is_told(notices: &Receiver<Notice>, parent: &str) {
    let (deadline, mut parent_stalls) = (Instant::now() + AFTER * 5, false);
    while let Ok(notice) = notices.recv_deadline(deadline) {
        match notice {
            Notice::Stalled { shard, state, .. } if shard == parent => {
                assert!(state != ShardState::Idle, "waiting for the interval");
                parent_stalls = true;
            }
            Notice::Stalled { shard, .. } => {
                assert!(parent_stalls, "{shard} waits for a shard that works");
            }
            Notice::Resumed { shard, .. } if shard == parent => parent_stalls = false,
            _ => {}
        }
    }
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
    let is_gap =
        |told: &Notice| matches!(told, Notice::Gap(Gap::Trimmed { shard, .. }) if *shard == id(0));
    while !is_gap(&notices.recv_timeout(SOON).unwrap()) {}
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
        let stream = Stream::new(kinesis, STREAM, store, config.on_gap(OnGap::Earliest)).unwrap();
        let listener = stream.spawn(|_| Ok(())).unwrap();
        let panic = catch_unwind(AssertUnwindSafe(|| listener.join()));
        assert_eq!(panic.unwrap_err().downcast_ref(), Some(&"too loud"));
    }
}
