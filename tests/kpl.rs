//! Aggregated records, read as user records; a crash in the middle of an aggregate.

#![allow(clippy::unwrap_used, reason = "helpers of tests, which Clippy does not see as tests")]

mod common;

use std::sync::Arc;

use kinesis_consumer::{
    Batch, Config, Deaggregation, LocalStore, MemoryKinesis, Position, Store, Stream,
};
use serde_json::Value;

use self::common::{SOON, STREAM, id, quick, until};

/// What Amazon's aggregator for Python has made: each aggregate, with the data of its user records.
fn golden() -> Vec<(Vec<u8>, Vec<Vec<u8>>)> {
    let golden: Value = serde_json::from_str(include_str!("kpl/golden.json")).unwrap();
    let bytes = |text: &Value| {
        let digits = text.as_str().unwrap().as_bytes();
        let byte =
            |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        digits.chunks(2).map(byte).collect::<Vec<u8>>()
    };
    let users = |golden: &Value| {
        golden["records"].as_array().unwrap().iter().map(|user| bytes(&user["data"])).collect()
    };
    let all = golden.as_array().unwrap().iter();
    all.map(|golden| (bytes(&golden["aggregate"]), users(golden))).collect()
}

/// One shard with every aggregate between plain records, and the data that is to be read.
fn aggregated() -> (MemoryKinesis, Vec<Vec<u8>>) {
    let kinesis = MemoryKinesis::new();
    kinesis.create_stream(STREAM, 1);
    let mut wanted = Vec::new();
    for (aggregate, users) in golden() {
        kinesis.put(STREAM, "outer", &aggregate);
        kinesis.put(STREAM, "plain", b"plain");
        wanted.extend(users);
        wanted.push(b"plain".to_vec());
    }
    (kinesis, wanted)
}

fn config() -> Config {
    quick().deaggregation(Deaggregation::WithinShard)
}

fn open(kinesis: &MemoryKinesis, store: &Arc<LocalStore>, config: Config) -> Stream {
    Stream::new(kinesis.clone(), STREAM, Arc::clone(store), config).unwrap()
}

fn data(batch: &Batch) -> Vec<Vec<u8>> {
    batch.records().iter().map(|record| record.data().to_vec()).collect()
}

#[test]
fn user_records_are_read_in_order_and_plain_ones_between_them() {
    let (kinesis, wanted) = aggregated();
    let store = Arc::new(LocalStore::new());
    let (batches, listener) = open(&kinesis, &store, config().limit(3)).receiver().unwrap();
    let mut read = Vec::new();
    while read.len() < wanted.len() {
        let batch = batches.recv_timeout(SOON).unwrap();
        read.extend(data(&batch));
        batch.commit().unwrap();
    }
    assert_eq!(read, wanted);
    // Counted once it is sent.
    until("all are counted", || listener.progress().records() == wanted.len() as u64);
}

#[test]
fn as_they_are_they_are_as_many_as_kinesis_holds() {
    let (kinesis, _) = aggregated();
    let store = Arc::new(LocalStore::new());
    let (batches, _listener) = open(&kinesis, &store, quick()).receiver().unwrap();
    assert_eq!(batches.recv_timeout(SOON).unwrap().len(), golden().len() * 2);
}

/// Commits in the middle, wherever that is, and forgets the consumer: the next one goes on right behind it.
#[test]
fn a_crash_in_the_middle_of_an_aggregate_loses_nothing_and_repeats_nothing() {
    let (kinesis, wanted) = aggregated();
    let store = Arc::new(LocalStore::new());
    let (mut read, mut rng) = (Vec::new(), fastrand::Rng::with_seed(5));
    let (mut runs, mut inside) = (0, 0);
    while read.len() < wanted.len() {
        let limit = rng.u32(1..4);
        let (batches, listener) = open(&kinesis, &store, config().limit(limit)).receiver().unwrap();
        let batch = batches.recv_timeout(SOON).unwrap();
        let through = rng.usize(..batch.len());
        let record = batch.records().get(through).unwrap();
        batch.commit_through(&record).unwrap();
        read.extend(data(&batch).into_iter().take(through + 1));
        let stored = store.get_shard_iterator(STREAM, &id(0)).unwrap();
        // The last record is the whole batch, and with it the whole aggregate.
        let is_whole = through + 1 == batch.len();
        let expected = if is_whole { batch.position().clone() } else { record.position() };
        assert_eq!(stored, Some(expected));
        let is_inside = |sub: u64| sub < u64::MAX;
        inside +=
            usize::from(matches!(stored, Some(Position::After { sub, .. }) if is_inside(sub)));
        drop((listener, batches, batch));
        runs += 1;
    }
    assert_eq!(read, wanted);
    assert!(runs > 20 && inside > 10, "{runs} {inside}");
}

#[test]
fn commits_through_records_go_forward_only_and_the_whole_batch_is_the_rest() {
    let (kinesis, wanted) = aggregated();
    let store = Arc::new(LocalStore::new());
    let (batches, _listener) = open(&kinesis, &store, config()).receiver().unwrap();
    let batch = batches.recv_timeout(SOON).unwrap();
    assert_eq!(batch.len(), wanted.len());
    let at = |place: usize| batch.records().get(place).unwrap();
    let stored = || store.get_shard_iterator(STREAM, &id(0)).unwrap();
    batch.commit_through(&at(9)).unwrap();
    batch.commit_through(&at(4)).unwrap();
    assert_eq!(stored(), Some(at(9).position()));
    batch.commit().unwrap();
    assert_eq!(stored(), Some(at(wanted.len() - 1).position()));
}

/// What a shard of two holds: a plain record, and an aggregate that belongs to the other one.
fn astray() -> MemoryKinesis {
    let kinesis = MemoryKinesis::new();
    kinesis.create_stream(STREAM, 2);
    kinesis.put_to(STREAM, &id(0), "plain", b"plain");
    kinesis.put_to(STREAM, &id(0), "outer", &golden()[0].0);
    kinesis
}

/// Reads so many records of the first shard, and commits them.
fn read(
    kinesis: &MemoryKinesis,
    store: &Arc<LocalStore>,
    config: Config,
    count: usize,
) -> Vec<Vec<u8>> {
    let mut stream = open(kinesis, store, config.fail_on_trim(true));
    stream.choose([id(0).as_str()]).unwrap();
    let (batches, listener) = stream.receiver().unwrap();
    let mut read = Vec::new();
    while read.len() < count {
        let Ok(batch) = batches.recv_timeout(SOON) else { break };
        read.extend(data(&batch));
        batch.commit().unwrap();
    }
    listener.shutdown().now();
    listener.join().unwrap();
    read
}

#[test]
fn an_aggregate_of_another_shard_that_was_read_as_it_is_is_not_missed_later() {
    for next in [&b"next"[..], &golden()[0].0] {
        let (kinesis, store) = (astray(), Arc::new(LocalStore::new()));
        assert_eq!(read(&kinesis, &store, quick(), 2), [&b"plain"[..], &golden()[0].0]);
        kinesis.put_to(STREAM, &id(0), "key", next);
        kinesis.put_to(STREAM, &id(0), "key", b"last");
        let found = read(&kinesis, &store, config().limit(1), if next == b"next" { 2 } else { 1 });
        assert_eq!(found.last().unwrap(), b"last");
        assert!(!found.contains(&b"plain".to_vec()));
    }
}

#[test]
fn an_aggregate_that_was_committed_does_not_come_again_as_it_is() {
    let (kinesis, store) = (astray(), Arc::new(LocalStore::new()));
    let all = quick().deaggregation(Deaggregation::All);
    assert_eq!(read(&kinesis, &store, all, 2), [&b"plain"[..], &golden()[0].1[0]]);
    kinesis.put_to(STREAM, &id(0), "key", b"next");
    assert_eq!(read(&kinesis, &store, quick(), 1), [b"next"]);
}
