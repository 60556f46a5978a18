//! A long history that has been read: it must not slow down the start.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kinesis_consumer::testing::MemoryKinesis;
use kinesis_consumer::{Config, Store, Stream};

use super::reader::{Door, Reader};
use super::server::Case;
use super::store::WatchedStore;
use super::stream::{TestStream, config};
use crate::common::promptly::promptly;

/// Merging one open shard after the other into the first closes two each time.
const SHARDS: usize = 51;
const CLOSED: usize = 2 * (SHARDS - 1);
const SOON: Duration = Duration::from_secs(1);

pub(crate) fn hundred_stored_ends(case: &Case) {
    let stream = TestStream::new(case, SHARDS as i64);
    stream.put(10);
    for _ in 1..SHARDS {
        stream.merge_first();
    }
    let reader = stream.read(config().interval(Duration::from_millis(20)));
    reader.wait(|seen| seen.ended.len() == CLOSED);
    reader.wait_for(10);
    reader.stop().assert_is(0..10);
    assert_eq!(ends(&**stream.store(), stream.name()), CLOSED);

    is_quick(|| {
        let expected = stream.put(1);
        (stream.consumer(Config::new()), expected.start)
    });
    stream.assert_resumes(config());
}

#[test]
fn hundred_stored_ends_in_memory() {
    let kinesis = MemoryKinesis::new();
    kinesis.create_stream("orders", SHARDS);
    kinesis.put("orders", "key", b"00000000");
    let mut open: Vec<String> =
        kinesis.shards("orders").iter().map(|shard| shard.id().to_owned()).collect();
    let mut merged = open.remove(0);
    for other in open {
        merged = kinesis.merge("orders", &merged, &other);
    }
    let store = Arc::new(WatchedStore::default());
    let stream =
        |config| Stream::new(kinesis.clone(), "orders", Arc::clone(&store), config).unwrap();
    let reader = Reader::start(stream(config().interval(Duration::ZERO)), Door::Spawn);
    reader.wait(|seen| seen.ended.len() == CLOSED);
    reader.stop().assert_is([0]);
    assert_eq!(ends(&*store, "orders"), CLOSED);

    let mut record = 0;
    is_quick(|| {
        record += 1;
        kinesis.put("orders", "key", format!("{record:08}").as_bytes());
        (stream(Config::new()), record)
    });
}

/// From `listen` to the first record, of a stream that is given with its new record.
fn is_quick(mut next: impl FnMut() -> (Stream, usize)) {
    promptly(SOON, "the first record after a long history", || {
        let (stream, expected) = next();
        let start = Instant::now();
        let reader = Reader::start(stream, Door::Listen);
        reader.wait_for(1);
        let taken = start.elapsed();
        reader.stop_now().assert_is([expected]);
        taken
    });
}

fn ends(store: &dyn Store, stream: &str) -> usize {
    let positions = store.shard_iterators(stream).unwrap();
    positions.iter().filter(|(_, position)| position.is_end()).count()
}
