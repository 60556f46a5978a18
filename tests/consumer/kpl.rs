//! Aggregated records, read as user records; a crash in the middle of an aggregate.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use crossbeam_channel::{Receiver, unbounded};
use kinesis_consumer::testing::MemoryKinesis;
use kinesis_consumer::{
    Batch, Config, Deaggregation, LocalStore, Notice, OnGap, OnTrimmed, Position, Store, Stream,
};

use crate::common::{SOON, STREAM, aggregate_of, golden, id, logs, quick, until};

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

/// Commits in the middle, at any place, and drops the consumer: the next one resumes directly after it.
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
    let mut stream = open(kinesis, store, config.on_gap(OnGap::new().trimmed(OnTrimmed::Fail)));
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

/// An aggregate of 40 user records, each with a key of its own: `user-0` and so on. The shard of the first key has 9 of
/// four shards' 40.
fn of_forty_keys() -> Vec<u8> {
    golden().pop().unwrap().0
}

/// A configuration that tells of notices.
fn telling(config: Config) -> (Config, Receiver<Notice>) {
    let (tell, notices) = unbounded();
    // Nobody may be listening any more.
    (config.on_notice(move |notice| drop(tell.send(notice.clone()))), notices)
}

/// Of how many user records notices say that they were left out, by shard.
fn left_out(notices: &Receiver<Notice>) -> Vec<(String, u64)> {
    let told = notices.try_iter().filter_map(|notice| match notice {
        Notice::LeftOut { shard, records, .. } => Some((shard, records)),
        _ => None,
    });
    told.collect()
}

#[test]
fn user_records_that_another_aggregator_put_into_one_shard_are_left_out_and_that_is_told_once() {
    logs::keep();
    let stream = "of-another-aggregator";
    let kinesis = MemoryKinesis::new();
    kinesis.create_stream(stream, 4);
    kinesis.put(stream, "user-0", &of_forty_keys());
    let shard = kinesis.put(stream, "user-0", &of_forty_keys()).shard;
    for (how, arrive) in [(Deaggregation::WithinShard, 9), (Deaggregation::All, 40)] {
        let (config, notices) = telling(quick().limit(1).deaggregation(how));
        let consumer = Stream::new(kinesis.clone(), stream, LocalStore::new(), config).unwrap();
        let (batches, listener) = consumer.receiver().unwrap();
        for _ in 0..2 {
            let batch = batches.recv_timeout(SOON).unwrap();
            assert_eq!((batch.shard(), batch.len()), (shard.as_str(), arrive));
        }
        let progress = listener.progress();
        assert_eq!(progress.shard(&shard).unwrap().left_out, 2 * (40 - arrive as u64));
        let told = if arrive < 40 { vec![(shard.clone(), 31)] } else { vec![] };
        assert_eq!(left_out(&notices), told);
    }
    let warnings =
        logs::warnings(stream, "31 user records that belong to other shards were left out");
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].contains(&shard) && warnings[0].contains("take all user records"));
}

#[test]
fn user_records_that_are_left_out_soon_after_a_split_are_not_told_but_later_ones_are() {
    let kinesis = MemoryKinesis::with_manual_clock(UNIX_EPOCH + Duration::from_secs(1_000_000));
    kinesis.create_stream(STREAM, 1);
    let children = kinesis.split(STREAM, &id(0));
    let minutes = |minutes: u64| kinesis.advance(Duration::from_secs(60 * minutes));
    minutes(1);
    let child = kinesis.put(STREAM, "user-0", &of_forty_keys()).shard;
    assert!(children.contains(&child));
    let (config, notices) = telling(config().limit(1));
    let (batches, _listener) =
        open(&kinesis, &Arc::new(LocalStore::new()), config).receiver().unwrap();
    let next = || loop {
        let batch = batches.recv_timeout(SOON).unwrap();
        if batch.shard() == child {
            return batch.len();
        }
    };
    let kept = next();
    assert!((1..40).contains(&kept));
    minutes(9);
    kinesis.put(STREAM, "user-0", &of_forty_keys());
    assert_eq!((next(), left_out(&notices)), (kept, vec![]));
    minutes(1);
    kinesis.put(STREAM, "user-0", &of_forty_keys());
    assert_eq!((next(), left_out(&notices)), (kept, vec![(child.clone(), 3 * (40 - kept as u64))]));
}

#[test]
fn an_aggregate_that_cannot_be_taken_apart_comes_as_it_is_and_is_told_once_with_its_number() {
    logs::keep();
    let stream = "of-a-broken-aggregator";
    let kinesis = MemoryKinesis::new();
    kinesis.create_stream(stream, 1);
    let message = b"\x0a\x03key\x1a\x02\x08\x00"; // a user record without data
    let broken = aggregate_of(message);
    let first = kinesis.put(stream, "outer", &broken).sequence;
    kinesis.put(stream, "outer", &broken);
    let consumer = Stream::new(kinesis, stream, LocalStore::new(), config().limit(1)).unwrap();
    let (batches, _listener) = consumer.receiver().unwrap();
    for _ in 0..2 {
        assert_eq!(data(&batches.recv_timeout(SOON).unwrap()), [&broken[..]]);
    }
    let warnings = logs::warnings(stream, "delivered as it is");
    assert_eq!(warnings.len(), 1);
    for fact in [id(0).as_str(), first.as_str(), "no data"] {
        assert!(warnings[0].contains(fact), "{fact} is not in {}", warnings[0]);
    }
}

#[test]
fn an_aggregate_whose_hash_key_is_no_number_is_taken_apart_all_the_same() {
    let kinesis = MemoryKinesis::new();
    kinesis.create_stream(STREAM, 1);
    let message = b"\x0a\x03key\x12\x09undefined\x1a\x08\x08\x00\x10\x00\x1a\x02hi";
    let aggregate = aggregate_of(message);
    kinesis.put(STREAM, "outer", &aggregate);
    for how in [Deaggregation::WithinShard, Deaggregation::All] {
        let store = Arc::new(LocalStore::new());
        let config = quick().deaggregation(how);
        let (batches, _listener) = open(&kinesis, &store, config).receiver().unwrap();
        assert_eq!(data(&batches.recv_timeout(SOON).unwrap()), [b"hi"]);
    }
}
