//! Wrong streams, settings, stores and handlers: each ends in an error that names the stream, the
//! shard if there is one, what was tried, and what to do.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use crossbeam_channel::bounded;
use kinesis_consumer::testing::{MemoryKinesis, Operation};
use kinesis_consumer::{
    Batch, Client, Config, Error, ErrorClass, IteratorType, KinesisClient, LocalStore, Position,
    Store, StoreError, Stream,
};

use crate::common::SOON;
use crate::common::loopback::{self, Server, chain, described, ok, refusal, says, stream_of};

const FIRST: &str = "shardId-000000000000";

fn config() -> Config {
    Config::new().interval(Duration::from_millis(5))
}

fn kinesis(shards: usize) -> MemoryKinesis {
    let kinesis = MemoryKinesis::new();
    kinesis.create_stream("orders", shards);
    kinesis
}

fn stream(client: impl Client + 'static, config: Config) -> Stream {
    Stream::new(client, "orders", LocalStore::new(), config).unwrap()
}

/// What ends reading this stream.
#[track_caller]
fn failure(stream: Stream) -> Error {
    stream.listen(|_| Ok(())).unwrap_err()
}

fn client(server: &Server) -> KinesisClient {
    let builder = KinesisClient::builder().endpoint(server.url()).credentials("key", "secret");
    builder.build().unwrap()
}

/// A stream in this state whose listing says that it is in use.
fn in_use(status: &'static str) -> Server {
    Server::new(move |request| {
        Some(match request.operation() {
            "ListShards" => refusal("ResourceInUseException", "not yet"),
            _ => described(status),
        })
    })
}

#[test]
fn an_unknown_stream() {
    let error = failure(stream(MemoryKinesis::new(), config()));
    assert!(matches!(error, Error::StreamNotFound { .. }), "{error}");
    let facts =
        ["\"orders\"", "ListShards", "ResourceNotFoundException", "check its name, the region"];
    says(&chain(&error), &facts);
    let mut unread = stream(MemoryKinesis::new(), config());
    assert!(matches!(unread.shards(), Err(Error::StreamNotFound { .. })));
}

#[test]
fn a_stream_being_created_is_waited_for() {
    let (good, described_so_far) = (stream_of(1), AtomicUsize::new(0));
    let server = Server::new(move |request| {
        let is_created = described_so_far.load(Ordering::SeqCst) >= 2;
        Some(match request.operation() {
            "ListShards" if !is_created => refusal("ResourceInUseException", "not yet"),
            "DescribeStreamSummary" => {
                described_so_far.fetch_add(1, Ordering::SeqCst);
                described("CREATING")
            }
            _ => good(request),
        })
    });
    let listener = stream(client(&server), config()).spawn(|_| Ok(())).unwrap();
    let until = Instant::now() + SOON;
    while server.requests.recv_deadline(until).unwrap().operation() != "GetRecords" {}
    listener.shutdown().now();
    listener.join().unwrap();
}

#[test]
fn a_stream_being_created_is_not_waited_for_longer_than_the_start_patience() {
    let (server, start) = (in_use("CREATING"), Instant::now());
    let patience = Duration::from_millis(300);
    let error = failure(stream(client(&server), config().start_patience(patience)));
    assert!(start.elapsed() >= patience && start.elapsed() < SOON, "{:?}", start.elapsed());
    assert!(matches!(error, Error::StreamCreating { waited, .. } if waited == patience));
    says(&chain(&error), &["\"orders\"", "still being created after 300 ms", "wait longer"]);
}

#[test]
fn a_stream_being_deleted() {
    let error = failure(stream(client(&in_use("DELETING")), config()));
    assert!(matches!(error, Error::StreamDeleting { .. }), "{error}");
    says(&chain(&error), &["\"orders\"", "being deleted"]);
}

#[test]
fn a_stream_deleted_while_it_is_read() {
    let kinesis = kinesis(2);
    kinesis.put("orders", "key", b"1");
    let reading = stream(kinesis.clone(), config());
    let handler = |_: &Batch| {
        kinesis.delete_stream("orders");
        Ok(())
    };
    let error = reading.listen(handler).unwrap_err();
    assert!(matches!(error, Error::StreamNotFound { .. }), "{error}");
    says(&chain(&error), &["\"orders\"", "DescribeStreamSummary", "check its name"]);
}

#[test]
fn a_stream_without_shards() {
    let error = failure(stream(kinesis(0), config()));
    assert!(matches!(error, Error::NoShards { .. }), "{error}");
    says(&chain(&error), &["\"orders\"", "lists no shard", "check that the endpoint"]);
}

#[test]
fn settings_out_of_range_say_what_is_allowed() {
    let hour = Duration::from_secs(3_600);
    let future = IteratorType::AtTimestamp(SystemTime::now() + hour);
    for (name, config, facts) in [
        ("a b", config(), ["\"name\": \"a b\"", "1 to 128"]),
        ("orders", config().limit(0), ["the setting \"limit\": 0", "1 to 10000"]),
        ("orders", config().limit(10_001), ["\"limit\": 10001", "1 to 10000"]),
        ("orders", config().capacity(0), ["\"capacity\": 0", "1 to 16384"]),
        ("orders", config().interval(hour * 25), ["\"interval\": 25 h", "longer than a day"]),
        (
            "orders",
            config().iterator_type(future.clone()),
            ["\"iterator type\": ", "in the future"],
        ),
    ] {
        let stream = Stream::new(kinesis(1), name, LocalStore::new(), config);
        says(&chain(&stream.unwrap_err()), &facts);
    }
    let kinesis = kinesis(1);
    let mut late = stream(kinesis.clone(), config());
    let error = late.start_at(FIRST, future).unwrap_err();
    says(&chain(&error), &["\"start at\": the timestamp is 59 min", "start at LATEST"]);
    assert_eq!(kinesis.calls(Operation::ListShards), 0, "refused before any call");
}

#[test]
fn a_timestamp_just_ahead_is_left_to_the_service() {
    let soon = IteratorType::AtTimestamp(SystemTime::now() + Duration::from_secs(200));
    let error = failure(stream(kinesis(1), config().iterator_type(soon)));
    let Error::Client { source, .. } = &error else { panic!("{error}") };
    assert_eq!(source.class(), ErrorClass::InvalidArgument);
    says(&chain(&error), &["\"orders\"", FIRST, "GetShardIterator", "future"]);
}

#[test]
fn text_that_is_no_sequence_number() {
    let error = "shardId-0".parse::<kinesis_consumer::SequenceNumber>().unwrap_err();
    says(&chain(&error), &["\"shardId-0\"", "1 to 129 decimal digits"]);
}

#[test]
fn a_sequence_number_that_the_shard_does_not_know() {
    let at = IteratorType::AtSequenceNumber("7".parse().unwrap());
    let error = failure(stream(kinesis(1), config().iterator_type(at)));
    assert!(matches!(error, Error::Client { .. }), "{error}");
    says(&chain(&error), &["\"orders\"", FIRST, "GetShardIterator", "InvalidArgument", " 7 "]);
}

#[test]
fn a_sequence_number_for_several_shards() {
    let at = IteratorType::AfterSequenceNumber("7".parse().unwrap());
    let error = failure(stream(kinesis(3), config().iterator_type(at)));
    assert!(matches!(error, Error::SequenceNumberForSeveralShards { shards: 3, .. }), "{error}");
    says(&chain(&error), &["\"orders\"", "3 shards", "read one shard alone", "to its shard alone"]);
}

#[test]
fn a_shard_that_does_not_exist() {
    let mut stream = stream(kinesis(1), config());
    let unknown = "shardId-000000000042";
    for error in [
        stream.choose([FIRST, unknown]).unwrap_err(),
        stream.start_at(unknown, IteratorType::Latest).unwrap_err(),
    ] {
        assert_eq!(error.shard(), Some(unknown));
        says(&chain(&error), &["\"orders\"", unknown, "ListShards"]);
    }
}

/// A store that fails so many times to be read, and to be written.
struct Flaky {
    inner: LocalStore,
    reads: AtomicUsize,
    writes: AtomicUsize,
    error: fn(&str) -> StoreError,
}

impl Flaky {
    fn new(reads: usize, writes: usize, error: fn(&str) -> StoreError) -> Arc<Self> {
        let (reads, writes) = (AtomicUsize::new(reads), AtomicUsize::new(writes));
        Arc::new(Self { inner: LocalStore::new(), reads, writes, error })
    }

    fn fail(&self, left: &AtomicUsize, what: &str) -> Result<(), StoreError> {
        let counted = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
        counted.map_or(Ok(()), |_| Err((self.error)(what)))
    }
}

impl Store for Flaky {
    fn get_shard_iterator(
        &self,
        stream: &str,
        shard: &str,
    ) -> Result<Option<Position>, StoreError> {
        self.fail(&self.reads, "the disk cannot be read")?;
        self.inner.get_shard_iterator(stream, shard)
    }

    fn update_shard_iterator(
        &self,
        stream: &str,
        shard: &str,
        to: &Position,
    ) -> Result<(), StoreError> {
        self.fail(&self.writes, "the disk is full")?;
        self.inner.update_shard_iterator(stream, shard, to)
    }

    fn shard_iterators(&self, stream: &str) -> Result<Vec<(String, Position)>, StoreError> {
        self.fail(&self.reads, "the disk cannot be read")?;
        self.inner.shard_iterators(stream)
    }

    fn reset_shard_iterator(
        &self,
        stream: &str,
        shard: &str,
        to: Option<&Position>,
    ) -> Result<(), StoreError> {
        self.fail(&self.writes, "the disk is full")?;
        self.inner.reset_shard_iterator(stream, shard, to)
    }
}

/// Reads five records with this store: how many were handled. Stops after them, unless the store will
/// end it.
fn read_with(store: &Arc<Flaky>) -> (usize, Result<(), Error>) {
    let kinesis = kinesis(1);
    (0..5).for_each(|_| drop(kinesis.put("orders", "key", b"1")));
    kinesis.split("orders", FIRST);
    let config = config().store_patience(Duration::from_millis(300));
    let mut stream = Stream::new(kinesis, "orders", Arc::clone(store), config).unwrap();
    stream.choose([FIRST]).unwrap();
    let (shutdown, mut handled) = (stream.shutdown(), 0);
    let result = stream.listen(|batch| {
        handled += batch.len();
        // Its children are empty, and would be read for ever.
        if batch.ends_shard() && store.writes.load(Ordering::SeqCst) <= 1 {
            shutdown.now();
        }
        Ok(())
    });
    (handled, result)
}

#[test]
fn a_store_that_fails_once_is_asked_again_and_nothing_is_lost() {
    for (reads, writes) in [(1, 0), (0, 1)] {
        let store = Flaky::new(reads, writes, |what| StoreError::retry(what));
        let (handled, result) = read_with(&store);
        result.unwrap();
        assert_eq!(handled, 5);
        let stored = store.inner.get_shard_iterator("orders", FIRST).unwrap();
        assert!(stored.as_ref().is_some_and(Position::is_end), "{stored:?}");
    }
}

#[test]
fn a_store_that_always_fails_ends_it_when_its_patience_ends() {
    let store = Flaky::new(usize::MAX, 0, |what| StoreError::retry(what));
    let (handled, result) = read_with(&store);
    let error = result.unwrap_err();
    assert!(matches!(error, Error::Store { shard: None, .. }), "{error}");
    assert_eq!(handled, 0, "nothing is read before the positions are known");
    says(&chain(&error), &["could not read or store", "\"orders\"", "cannot be read"]);

    let store = Flaky::new(0, usize::MAX, |what| StoreError::retry(what));
    let (handled, result) = read_with(&store);
    let error = result.unwrap_err();
    assert_eq!((handled, error.shard()), (5, Some(FIRST)));
    let expected =
        ["could not read or store", "\"orders\"", FIRST, "delivered again", "disk is full"];
    says(&chain(&error), &expected);
    assert!(store.inner.shard_iterators("orders").unwrap().is_empty());
}

#[test]
fn a_store_that_fails_for_good_ends_it_at_once() {
    let fatal: [fn(&str) -> StoreError; 2] =
        [|what| StoreError::fatal(what), |what| StoreError::lost(what)];
    for error in fatal {
        let store = Flaky::new(0, usize::MAX, error);
        let kinesis = kinesis(1);
        kinesis.put("orders", "key", b"1");
        // A patience without an end: the kind of the error alone stops it.
        let config = config().store_patience(Duration::MAX);
        let stream = Stream::new(kinesis, "orders", store, config).unwrap();
        let error = failure(stream);
        assert!(matches!(error, Error::Store { .. }), "{error}");
        says(&chain(&error), &["\"orders\"", FIRST, "disk is full"]);
    }
}

#[test]
fn a_handler_that_fails_names_its_batch() {
    let kinesis = kinesis(1);
    kinesis.put("orders", "key", b"1");
    let error = stream(kinesis, config()).listen(|_| Err("no room".into())).unwrap_err();
    says(&chain(&error), &["\"orders\"", FIRST, "comes again", "no room"]);
}

/// A stop is bounded by the handler, and by nothing else.
#[test]
fn a_handler_that_never_returns_holds_up_the_join_alone() {
    // Ids of its own, so that the threads can be told from those of other tests.
    const SHARDS: std::ops::Range<usize> = 777_000..777_004;
    let good = loopback::stream(SHARDS);
    let server = Server::new(move |request| {
        let record = r#"{"SequenceNumber":"5","Data":"MQ==","PartitionKey":"k","ApproximateArrivalTimestamp":1}"#;
        Some(match request.operation() {
            "GetRecords" => ok(&format!(r#"{{"Records":[{record}],"NextShardIterator":"t"}}"#)),
            _ => good(request),
        })
    });
    let (entered, inside) = bounded(1);
    let (release, released) = bounded::<()>(0);
    let listener = stream(client(&server), config().capacity(1))
        .spawn(move |_| {
            entered.send(())?;
            // Until the test drops its end.
            let _ = released.recv();
            Ok(())
        })
        .unwrap();
    inside.recv_timeout(SOON).unwrap();
    let start = Instant::now();
    listener.shutdown().now();
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    #[cfg(target_os = "linux")]
    while !pollers("kc-00000077700").is_empty() {
        assert!(start.elapsed() < SOON, "{:?}", pollers("kc-00000077700"));
        std::thread::yield_now();
    }
    assert!(!listener.is_finished(), "the handler is waited for");
    drop(release);
    listener.join().unwrap();
}

/// The threads of this process whose names begin so.
#[cfg(target_os = "linux")]
fn pollers(start: &str) -> Vec<String> {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let names = threads.filter_map(|it| std::fs::read_to_string(it.ok()?.path().join("comm")).ok());
    names.filter(|name| name.starts_with(start)).collect()
}
