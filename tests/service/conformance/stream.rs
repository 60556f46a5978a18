//! A stream of a case: made for it, filled by it, deleted with it.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kinesis_consumer::{BoxError, Config, KinesisClient, Stream};
use rusoto_kinesis::Shard;

use super::reader::{Door, PATIENCE, Reader, Seen};
use super::server::{Case, client};
use super::store::WatchedStore;
use crate::common::support::Admin;

/// Between two reads of a shard.
pub(crate) const INTERVAL: Duration = Duration::from_millis(100);
/// The digits of an id, at the start of the data; the rest is filled up with dots.
const DIGITS: usize = 8;

/// A stream with a store for its consumers; dropping it deletes it.
pub(crate) struct TestStream {
    endpoint: String,
    admin: Admin,
    store: Arc<WatchedStore>,
    next: AtomicUsize,
}

pub(crate) fn config() -> Config {
    Config::new().interval(INTERVAL).start_patience(PATIENCE)
}

/// The id that stands in this data, if it is as it was put.
pub(crate) fn id(data: &[u8]) -> Result<usize, BoxError> {
    let (digits, rest) = data.split_at_checked(DIGITS).ok_or("a record was cut")?;
    if rest.iter().any(|byte| *byte != b'.') {
        return Err("a record was changed".into());
    }
    Ok(std::str::from_utf8(digits)?.parse()?)
}

impl TestStream {
    pub(crate) fn new(case: &Case, shards: i64) -> Self {
        Self::at(case.endpoint(), case.name(), shards)
    }

    pub(crate) fn at(endpoint: &str, name: &str, shards: i64) -> Self {
        let stream = Self::unborn(endpoint, name);
        stream.admin.create(shards).unwrap();
        stream
    }

    /// Not created yet.
    pub(crate) fn unborn(endpoint: &str, name: &str) -> Self {
        let admin = Admin::new(endpoint, format!("{name}-{}", std::process::id())).unwrap();
        let (endpoint, store) = (endpoint.into(), Arc::default());
        Self { endpoint, admin, store, next: AtomicUsize::new(0) }
    }

    pub(crate) fn name(&self) -> &str {
        self.admin.stream()
    }

    pub(crate) fn admin(&self) -> &Admin {
        &self.admin
    }

    pub(crate) fn client(&self) -> KinesisClient {
        client(&self.endpoint)
    }

    pub(crate) fn store(&self) -> &Arc<WatchedStore> {
        &self.store
    }

    /// Puts records over all shards, and says their ids: the next ones.
    pub(crate) fn put(&self, records: usize) -> Range<usize> {
        self.put_sized(records, 32)
    }

    pub(crate) fn put_sized(&self, records: usize, size: usize) -> Range<usize> {
        let first = self.next.fetch_add(records, Ordering::Relaxed);
        let ids = first..first + records;
        let record = |id: usize| {
            let mut data = format!("{id:0DIGITS$}").into_bytes();
            data.resize(size, b'.');
            (format!("key-{id}"), data)
        };
        self.admin.put(ids.clone().map(record).collect()).unwrap();
        ids
    }

    /// A consumer on the stream's store.
    pub(crate) fn consumer(&self, config: Config) -> Stream {
        let store = Arc::clone(&self.store);
        Stream::new(self.client(), self.name(), store, config).unwrap()
    }

    /// Starts a consumer on the stream's store.
    pub(crate) fn read(&self, config: Config) -> Reader {
        Reader::start(self.consumer(config), Door::Spawn)
    }

    /// All of these are read by a consumer that knows nothing, and nothing else.
    pub(crate) fn read_fresh(&self, config: Config, records: usize) -> Seen {
        let store = WatchedStore::default();
        let stream = Stream::new(self.client(), self.name(), store, config).unwrap();
        let reader = Reader::start(stream, Door::Spawn);
        reader.wait_for(records);
        reader.stop()
    }

    /// Another run on the same store reads what is put now, and nothing again.
    pub(crate) fn assert_resumes(&self, config: Config) {
        let reader = self.read(config);
        let new = self.put(10);
        reader.wait_for(new.len());
        reader.stop().assert_is(new);
    }

    /// Puts, splits, puts, merges, puts, splits, puts: four closed shards, and two open ones.
    pub(crate) fn grow_family(&self, lot: usize) -> Range<usize> {
        let first = self.put(lot);
        self.split_first();
        self.put(lot);
        self.merge_first();
        self.put(lot);
        self.split_first();
        let last = self.put(lot);
        first.start..last.end
    }

    pub(crate) fn split_first(&self) {
        self.admin.split(&self.open()[0]).unwrap();
    }

    pub(crate) fn merge_first(&self) {
        let open = self.open();
        self.admin.merge(&open[0], &open[1]).unwrap();
    }

    fn open(&self) -> Vec<Shard> {
        self.admin.open_shards().unwrap()
    }
}

impl Drop for TestStream {
    fn drop(&mut self) {
        if let Err(error) = self.admin.delete() {
            println!("stream {:?} is left behind: {error}", self.name());
        }
    }
}
