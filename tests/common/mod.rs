//! What the tests of whole consumers share: clients and stores that are watched, and that fail on demand.

#![allow(dead_code, reason = "each binary of tests uses a part")]

pub(crate) mod children;
pub(crate) mod directory;
pub(crate) mod logs;
pub(crate) mod loopback;
pub(crate) mod promptly;
#[path = "../../examples/support/mod.rs"]
pub(crate) mod support;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use kinesis_consumer::testing::{MemoryKinesis, Operation};
use kinesis_consumer::{
    Answer, Batch, Call, Client, ClientError, Config, IteratorType, LocalStore, Position,
    ShardIterator, ShardPage, Store, StoreError, StreamId, StreamStatus, Token,
};
use md5::{Digest, Md5};
use parking_lot::Mutex;
use serde_json::Value;

/// How long an event may take on a machine that is busy with something else.
pub(crate) const SOON: Duration = Duration::from_secs(20);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);
pub(crate) const STREAM: &str = "orders";

pub(crate) fn quick() -> Config {
    Config::new().interval(Duration::from_millis(2))
}

pub(crate) fn id(shard: usize) -> String {
    format!("shardId-{shard:012}")
}

/// A stream in memory; records `0`, `1` and so on are in its shards by their keys.
pub(crate) fn kinesis(shards: usize, records: usize) -> MemoryKinesis {
    let kinesis = MemoryKinesis::new();
    kinesis.create_stream(STREAM, shards);
    for record in 0..records {
        kinesis.put(STREAM, &format!("key-{record}"), record.to_string().as_bytes());
    }
    kinesis
}

/// What Amazon's aggregator for Python has made: each aggregate, with the data of its user records.
pub(crate) fn golden() -> Vec<(Vec<u8>, Vec<Vec<u8>>)> {
    let golden: Value = serde_json::from_str(include_str!("../golden/kpl.json")).unwrap();
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

/// For what no event tells.
pub(crate) fn until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + SOON;
    while !is_so() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::yield_now();
    }
}

/// The records of a batch, which are numbers.
pub(crate) fn numbers(batch: &Batch) -> Vec<usize> {
    let number = |data: &[u8]| std::str::from_utf8(data).unwrap().parse().unwrap();
    batch.records().iter().map(|record| number(record.data())).collect()
}

/// A message as Amazon's producer library puts it into a record: between a mark and a digest.
pub(crate) fn aggregate_of(message: &[u8]) -> Vec<u8> {
    [&b"\xf3\x89\x9a\xc2"[..], message, &Md5::digest(message)].concat()
}

pub(crate) fn stored(store: &impl Store, shard: usize) -> Option<Position> {
    store.get_shard_iterator(STREAM, &id(shard)).unwrap()
}

type Hook<T, E> = Box<dyn Fn(T) -> Result<(), E> + Send + Sync>;

/// An in-memory Kinesis with a hook before each call, which may fail or panic.
#[derive(Clone)]
pub(crate) struct Watched {
    kinesis: MemoryKinesis,
    hook: Arc<Hook<Operation, ClientError>>,
    stop: Arc<Mutex<Option<Sender<Infallible>>>>,
    place: Option<&'static str>,
    is_elsewhere: bool,
}

impl Watched {
    pub(crate) fn new(
        kinesis: &MemoryKinesis,
        hook: impl Fn(Operation) -> Result<(), ClientError> + Send + Sync + 'static,
    ) -> Self {
        let (kinesis, stop) = (kinesis.clone(), Arc::default());
        Self { kinesis, hook: Arc::new(Box::new(hook)), stop, place: None, is_elsewhere: false }
    }

    /// The same, which says that it is there.
    pub(crate) fn at(self, place: &'static str) -> Self {
        Self { place: Some(place), ..self }
    }

    /// The same, which reads no ARN.
    pub(crate) fn elsewhere(self) -> Self {
        Self { is_elsewhere: true, ..self }
    }

    /// Tells of each call when it begins.
    pub(crate) fn telling(kinesis: &MemoryKinesis) -> (Self, Receiver<Operation>) {
        let (tell, calls) = unbounded();
        // Nobody may be listening any more.
        let watched = Self::new(kinesis, move |operation| {
            let _ = tell.send(operation);
            Ok(())
        });
        (watched, calls)
    }

    /// Disconnected when the consumer stops.
    pub(crate) fn stopped(&self) -> Receiver<Infallible> {
        let (stop, stopped) = bounded(0);
        *self.stop.lock() = Some(stop);
        stopped
    }
}

impl Client for Watched {
    fn describe_stream(&self, stream: &str, call: &Call) -> Result<StreamStatus, ClientError> {
        (self.hook)(Operation::DescribeStreamSummary)?;
        self.kinesis.describe_stream(stream, call)
    }

    fn list_shards(
        &self,
        stream: &str,
        token: Option<&str>,
        call: &Call,
    ) -> Result<ShardPage, ClientError> {
        (self.hook)(Operation::ListShards)?;
        self.kinesis.list_shards(stream, token, call)
    }

    fn get_shard_iterator(
        &self,
        stream: &str,
        shard: &str,
        at: &IteratorType,
        call: &Call,
    ) -> Result<ShardIterator, ClientError> {
        (self.hook)(Operation::GetShardIterator)?;
        self.kinesis.get_shard_iterator(stream, shard, at, call)
    }

    fn get_records(&self, token: &Token, limit: u32, call: &Call) -> Result<Answer, ClientError> {
        (self.hook)(Operation::GetRecords)?;
        self.kinesis.get_records(token, limit, call)
    }

    fn check_stream(&self, stream: &StreamId) -> Result<(), String> {
        match self.is_elsewhere && stream.is_arn() {
            true => Err(format!("{stream} is elsewhere")),
            false => Ok(()),
        }
    }

    fn place(&self) -> Option<String> {
        self.place.map(str::to_owned)
    }

    fn session(&self) -> Option<Arc<dyn Client>> {
        Some(Arc::new(self.clone()))
    }

    fn interrupt(&self) {
        self.stop.lock().take();
    }
}

/// A call of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StoreCall {
    Load,
    Update,
    /// An update was made; an error is an answer that is lost.
    Updated,
    Reset,
}

/// A store in memory with a hook before each call of the consumer, which may fail or panic.
pub(crate) struct Hooked {
    pub(crate) inside: Arc<LocalStore>,
    hook: Hook<StoreCall, StoreError>,
    /// The shard whose updates it is for; `None`: of all.
    only: Option<String>,
}

impl Hooked {
    pub(crate) fn new(
        inside: &Arc<LocalStore>,
        hook: impl Fn(StoreCall) -> Result<(), StoreError> + Send + Sync + 'static,
    ) -> Self {
        Self { inside: Arc::clone(inside), hook: Box::new(hook), only: None }
    }

    /// The hook is for updates of this shard alone.
    pub(crate) fn only_for(self, shard: &str) -> Self {
        Self { only: Some(shard.into()), ..self }
    }
}

impl Store for Hooked {
    fn get_shard_iterator(
        &self,
        stream: &str,
        shard: &str,
    ) -> Result<Option<Position>, StoreError> {
        self.inside.get_shard_iterator(stream, shard)
    }

    fn update_shard_iterator(
        &self,
        stream: &str,
        shard: &str,
        to: &Position,
    ) -> Result<(), StoreError> {
        if self.only.as_deref().is_some_and(|only| only != shard) {
            return self.inside.update_shard_iterator(stream, shard, to);
        }
        (self.hook)(StoreCall::Update)?;
        self.inside.update_shard_iterator(stream, shard, to)?;
        (self.hook)(StoreCall::Updated)
    }

    fn shard_iterators(&self, stream: &str) -> Result<Vec<(String, Position)>, StoreError> {
        (self.hook)(StoreCall::Load)?;
        self.inside.shard_iterators(stream)
    }

    fn reset_shard_iterator(
        &self,
        stream: &str,
        shard: &str,
        to: Option<&Position>,
    ) -> Result<(), StoreError> {
        (self.hook)(StoreCall::Reset)?;
        self.inside.reset_shard_iterator(stream, shard, to)
    }
}
