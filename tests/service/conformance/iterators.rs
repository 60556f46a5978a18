//! The five iterator types, for the whole stream and for one shard, and after a restart.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::{Duration, SystemTime};

use kinesis_consumer::{Config, Error, IteratorType};

use super::reader::{Door, Entry, Reader, Seen};
use super::server::Case;
use super::stream::{TestStream, config};

/// Keeps two lots apart on servers that tell the time of arrival in whole seconds; and a position
/// that is a time covers the second before it.
const APART: Duration = Duration::from_millis(2200);

pub(crate) fn trim_horizon(case: &Case) {
    let stream = TestStream::new(case, 2);
    let old = stream.put(20);
    let config = || config().iterator_type(IteratorType::TrimHorizon);
    let reader = stream.read(config());
    reader.wait_for(20);
    let new = stream.put(20);
    reader.wait_for(40);
    reader.stop().assert_is(old.start..new.end);
    stream.assert_resumes(config());
}

pub(crate) fn latest(case: &Case) {
    let stream = TestStream::new(case, 2);
    stream.put(20);
    let config = || config().iterator_type(IteratorType::Latest);
    let reader = stream.read(config());
    stream.store().wait_for(stream.name(), 2);
    let new = stream.put(20);
    reader.wait_for(20);
    reader.stop().assert_is(new);
    stream.assert_resumes(config());
}

pub(crate) fn latest_silent_then_restarted(case: &Case) {
    let stream = TestStream::new(case, 2);
    stream.put(20);
    sleep(APART);
    let config = || config().iterator_type(IteratorType::Latest);
    let reader = stream.read(config());
    stream.store().wait_for(stream.name(), 2);
    reader.stop().assert_is([]);

    let unseen = stream.put(20);
    let reader = stream.read(config());
    reader.wait_for(20);
    reader.stop().assert_is(unseen);
    stream.assert_resumes(config());
}

pub(crate) fn at_timestamp(case: &Case) {
    let stream = TestStream::new(case, 2);
    stream.put(20);
    sleep(APART);
    let new = stream.put(20);
    let all = stream.read_fresh(config(), 40);
    let between = between(all.records.iter(), new.start);
    assert_reads(&stream, IteratorType::AtTimestamp(between), new);
}

pub(crate) fn at_sequence_number(case: &Case) {
    let stream = TestStream::new(case, 1);
    stream.put(20);
    let all = stream.read_fresh(config(), 20);
    let tenth = all.records[10].sequence.clone();
    assert_reads(&stream, IteratorType::AtSequenceNumber(tenth), ids(&all, 10));
}

pub(crate) fn after_sequence_number(case: &Case) {
    let stream = TestStream::new(case, 1);
    stream.put(20);
    let all = stream.read_fresh(config(), 20);
    let tenth = all.records[10].sequence.clone();
    assert_reads(&stream, IteratorType::AfterSequenceNumber(tenth), ids(&all, 11));
}

pub(crate) fn number_for_several_shards(case: &Case) {
    let stream = TestStream::new(case, 2);
    stream.put(20);
    let number = stream.read_fresh(config(), 20).records[0].sequence.clone();
    let config = config().iterator_type(IteratorType::AtSequenceNumber(number));
    let error = stream.consumer(config).listen(|_| panic!("nothing is read")).unwrap_err();
    assert!(
        matches!(error, Error::SequenceNumberForSeveralShards { shards: 2, .. }),
        "{error}: {error:?}"
    );
}

/// Five shards, each started at its own type.
pub(crate) fn each_type_per_shard(case: &Case) {
    let stream = TestStream::new(case, 5);
    stream.put(100);
    sleep(APART);
    let second = stream.put(100);
    let before = stream.read_fresh(config(), 200);
    let by_shard = before.by_shard();
    assert_eq!(by_shard.len(), 5, "{by_shard:?}");

    let mut consumer = stream.consumer(config());
    let mut expected = Vec::new();
    for (place, (shard, entries)) in by_shard.iter().enumerate() {
        let middle = entries.len() / 2;
        let number = || entries[middle].sequence.clone();
        let (at, from) = match place {
            0 => (IteratorType::TrimHorizon, 0),
            1 => (IteratorType::AtSequenceNumber(number()), middle),
            2 => (IteratorType::AfterSequenceNumber(number()), middle + 1),
            3 => {
                let first = entries.iter().position(|entry| entry.id >= second.start).unwrap();
                let time = between(entries.iter().copied(), second.start);
                (IteratorType::AtTimestamp(time), first)
            }
            _ => (IteratorType::Latest, entries.len()),
        };
        consumer.start_at(shard, at).unwrap();
        expected.extend(entries[from..].iter().map(|entry| entry.id));
    }
    let reader = Reader::start(consumer, Door::Spawn);
    reader.wait_for(expected.len());
    // The one shard that has not read anything is the last.
    stream.store().wait_for(stream.name(), 5);
    let third = stream.put(50);
    expected.extend(third);
    reader.wait_for(expected.len());
    expected.sort_unstable();
    reader.stop().assert_is(expected);
    stream.assert_resumes(config());
}

/// Reads exactly these at this type, for the whole stream; then for its only shards.
fn assert_reads(
    stream: &TestStream,
    at: IteratorType,
    expected: impl IntoIterator<Item = usize> + Clone,
) {
    let count = expected.clone().into_iter().count();
    let config = || -> Config { config().iterator_type(at.clone()) };
    stream.read_fresh(config(), count).assert_is(expected.clone());
    let reader = stream.read(config());
    reader.wait_for(count);
    reader.stop().assert_is(expected);
    stream.assert_resumes(config());
}

/// The ids from this place on, sorted.
fn ids(seen: &Seen, from: usize) -> Vec<usize> {
    let mut ids: Vec<_> = seen.records[from..].iter().map(|entry| entry.id).collect();
    ids.sort_unstable();
    ids
}

/// A moment between the arrival of the records before this id and of the others.
fn between<'a>(entries: impl Iterator<Item = &'a Entry>, id: usize) -> SystemTime {
    let mut times = BTreeMap::<bool, Vec<SystemTime>>::new();
    entries.for_each(|entry| times.entry(entry.id < id).or_default().push(entry.arrival));
    let (old, new) = (times[&true].iter().max().unwrap(), times[&false].iter().min().unwrap());
    *old + new.duration_since(*old).expect("the lots are apart") / 2
}
