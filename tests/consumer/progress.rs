//! What a consumer tells of itself, and what it does while it is paused.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::bounded;
use kinesis_consumer::testing::MemoryKinesis;
use kinesis_consumer::{
    Config, ErrorClass, IteratorType, LocalStore, Monitor, OnError, Position, ShardProgress,
    ShardState, Store, Stream,
};

use crate::common::{SOON, STREAM, id, kinesis, numbers, quick, until};

fn open(kinesis: &MemoryKinesis, config: Config) -> Stream {
    Stream::new(kinesis.clone(), STREAM, LocalStore::new(), config).unwrap()
}

fn shard(monitor: &Monitor, shard: usize) -> ShardProgress {
    monitor.progress().shard(&id(shard)).unwrap().clone()
}

/// Waits until a shard is in this state.
fn reaches(monitor: &Monitor, id: &str, state: ShardState) {
    until(&format!("{id}: {state}"), || {
        monitor.progress().shard(id).is_some_and(|shard| shard.state == state)
    });
}

#[test]
fn counts_positions_and_ages_are_those_of_what_was_read_and_committed() {
    let kinesis = kinesis(1, 10);
    let stream = open(&kinesis, quick().limit(4).interval(Duration::from_millis(1)));
    let monitor = stream.monitor();
    assert!(monitor.progress().shards.is_empty(), "nothing runs yet");
    let (batches, listener) = stream.receiver().unwrap();
    let first = batches.recv_timeout(SOON).unwrap();
    let second = batches.recv_timeout(SOON).unwrap();
    let third = batches.recv_timeout(SOON).unwrap();
    until("three batches", || shard(&monitor, 0).records == 10);
    let before = shard(&monitor, 0);
    assert_eq!(before.read.as_ref(), Some(third.position()));
    assert_eq!((before.stored, before.committed), (None, None));
    let bytes = first.records().iter().map(|record| record.data().len() as u64).sum::<u64>();
    assert!(before.bytes > bytes && before.answers >= 3, "{} {}", before.bytes, before.answers);
    assert!(before.answered.unwrap() < SOON && before.errors.is_empty());

    second.commit().unwrap();
    assert_eq!(shard(&monitor, 0).stored, None, "the first one is not committed");
    first.commit().unwrap();
    let after = shard(&monitor, 0);
    assert_eq!(after.stored.as_ref(), Some(second.position()));
    assert!(after.committed.unwrap() < SOON);
    let all = listener.progress();
    assert_eq!((all.records(), all.bytes()), (10, after.bytes));
    drop(listener);
    assert_eq!(monitor.progress().records(), 10, "it tells of what was when it has ended");
    drop(third);
}

#[test]
fn a_consumer_that_resumes_tells_what_was_stored() {
    let (kinesis, store) = (kinesis(1, 3), Arc::new(LocalStore::new()));
    let at = Position::after(kinesis.held(STREAM)[1].sequence.clone());
    store.update_shard_iterator(STREAM, &id(0), &at).unwrap();
    let stream = Stream::new(kinesis.clone(), STREAM, store, quick()).unwrap();
    let (batches, listener) = stream.receiver().unwrap();
    let batch = batches.recv_timeout(SOON).unwrap();
    let progress = shard(&listener.monitor(), 0);
    assert_eq!((progress.stored, progress.read.as_ref()), (Some(at), Some(batch.position())));
    drop(batch);
}

#[test]
fn every_state_is_told() {
    let parent = id(0);
    let kinesis = kinesis(1, 1);
    let child = kinesis.split(STREAM, &parent)[0].clone();
    let (go_on, wait) = bounded::<()>(0);
    let mut stream = open(&kinesis, quick());
    // Listed before: no listing tells the monitor of the shards that wait.
    assert_eq!(stream.shards().unwrap().len(), 3);
    let monitor = stream.monitor();
    kinesis.fail_shard(STREAM, &parent, 3, ErrorClass::Throttled);
    let listener = stream.spawn(move |_| {
        let _ = wait.recv_timeout(SOON);
        Ok(())
    });
    reaches(&monitor, &parent, ShardState::BackingOff);
    reaches(&monitor, &child, ShardState::WaitingForParents);
    reaches(&monitor, &parent, ShardState::Handling);
    assert_eq!(monitor.progress().errors()[&ErrorClass::Throttled], 3);
    go_on.send(()).unwrap();
    reaches(&monitor, &parent, ShardState::Ended);
    reaches(&monitor, &child, ShardState::Idle);
    kinesis.hang(STREAM, true);
    reaches(&monitor, &child, ShardState::Calling);
    drop(listener);
}

#[test]
fn waiting_and_parking_are_told() {
    let kinesis = kinesis(1, 9);
    let (batches, listener) = open(&kinesis, quick().limit(1).capacity(1)).receiver().unwrap();
    reaches(&listener.monitor(), &id(0), ShardState::WaitingForChannel);
    drop((batches, listener));
    let config = quick().on_error(OnError::retry(None));
    let listener = open(&kinesis, config).spawn(|_| Err("refused".into())).unwrap();
    reaches(&listener.monitor(), &id(0), ShardState::Parked);
}

#[test]
fn a_shard_has_caught_up_when_nothing_was_left_to_read() {
    for tells_how_far_behind in [true, false] {
        let kinesis = kinesis(1, 10);
        kinesis.report_behind_latest(STREAM, tells_how_far_behind);
        let config = quick().limit(3).capacity(1);
        let (batches, listener) = open(&kinesis, config).receiver().unwrap();
        let monitor = listener.monitor();
        reaches(&monitor, &id(0), ShardState::WaitingForChannel);
        assert_eq!(shard(&monitor, 0).caught_up, None);
        let mut read = 0;
        while read < 10 {
            let batch = batches.recv_timeout(SOON).unwrap();
            read += batch.len();
            batch.commit().unwrap();
        }
        until("it has caught up", || shard(&monitor, 0).caught_up.is_some());
    }
}

#[test]
fn a_pause_longer_than_an_iterators_life_loses_nothing() {
    let kinesis = kinesis(2, 10);
    let config = quick().limit(2).iterator_type(IteratorType::TrimHorizon);
    let (batches, listener) = open(&kinesis, config).receiver().unwrap();
    let (monitor, pauses) = (listener.monitor(), listener.pauses());
    let mut read = numbers(&batches.recv_timeout(SOON).unwrap());
    pauses.pause_all();
    for shard in [0, 1] {
        reaches(&monitor, &id(shard), ShardState::Paused);
    }
    // What is in the channel is read all the same.
    read.extend(batches.try_iter().flat_map(|batch| numbers(&batch)));
    for number in 10..20 {
        kinesis.put(STREAM, &number.to_string(), number.to_string().as_bytes());
    }
    kinesis.expire_iterators(STREAM);
    assert!(batches.recv_timeout(Duration::from_millis(50)).is_err());

    pauses.resume(&id(0));
    assert!(batches.recv_timeout(Duration::from_millis(50)).is_err(), "all are paused");
    pauses.resume_all();
    while read.len() < 20 {
        read.extend(numbers(&batches.recv_timeout(SOON).unwrap()));
    }
    read.sort_unstable();
    assert_eq!(read, (0..20).collect::<Vec<_>>());
}

#[test]
fn one_shard_is_paused_while_others_go_on_and_a_stop_ends_the_pause() {
    let kinesis = kinesis(2, 0);
    let stream = open(&kinesis, quick());
    let (monitor, pauses) = (stream.monitor(), stream.pauses());
    pauses.pause(&id(0));
    let (batches, listener) = stream.receiver().unwrap();
    for shard in [0, 1] {
        kinesis.put_to(STREAM, &id(shard), "key", b"1");
    }
    assert_eq!(batches.recv_timeout(SOON).unwrap().shard(), id(1));
    reaches(&monitor, &id(0), ShardState::Paused);
    assert!(batches.recv_timeout(Duration::from_millis(20)).is_err());
    pauses.resume(&id(0));
    assert_eq!(batches.recv_timeout(SOON).unwrap().shard(), id(0));
    pauses.pause_all();
    reaches(&monitor, &id(1), ShardState::Paused);
    listener.shutdown().now();
    listener.join().unwrap();
}
