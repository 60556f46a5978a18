//! A stream with known records, read through the fault layer.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::RecvTimeoutError;
use ferrokinesis::store::StoreOptions;
use kinesis_consumer::{
    Batch, ClientBuilder, Config, Error, Gap, KinesisClient, LocalStore, SequenceNumber, Stream,
};

use crate::common::logs;
use crate::common::support::{Admin, Fault, Faults, Operation, Rule, Server};

/// The deadline of a call, unless a test is about it. An answer that nothing is wrong with takes less on a
/// machine that is busy as well.
pub(crate) const DEADLINE: Duration = Duration::from_secs(3);
pub(crate) const SHARD: &str = "shardId-000000000000";
pub(crate) const OTHER_SHARD: &str = "shardId-000000000001";
/// How long the next batch may take on a machine that is busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// How long a refusal is borne that may pass.
pub(crate) const BORNE: Duration = Duration::from_millis(500);
/// Time for whatever should not come any more: five intervals.
const LULL: Duration = Duration::from_millis(100);
const INTERVAL: Duration = Duration::from_millis(20);
/// Enough calls for a fault in the middle of the stream.
const LIMIT: u32 = 8;
/// Partition keys.
const KEYS: usize = 50;

pub(crate) struct Trial {
    // Before the server, whose connections it holds.
    pub(crate) faults: Faults,
    pub(crate) admin: Admin,
    pub(crate) store: Arc<LocalStore>,
    pub(crate) server: Server,
    put: AtomicUsize,
}

/// The result of one run of a consumer.
pub(crate) struct Run {
    pub(crate) result: Result<(), Error>,
    /// The numbers of the records, as they came, by shard.
    pub(crate) records: BTreeMap<String, Vec<usize>>,
    pub(crate) gaps: Vec<Gap>,
    /// The batches, as they came: of which shard, how many records, and whether it was the last one.
    pub(crate) batches: Vec<(String, usize, bool)>,
    pub(crate) took: Duration,
    /// The last sequence number of each shard.
    last: BTreeMap<String, SequenceNumber>,
}

/// Tries every case at the same time: most of it is waiting.
pub(crate) fn at_once<T: Send>(cases: impl IntoIterator<Item = T>, attempt: impl Fn(T) + Sync) {
    std::thread::scope(|scope| {
        for case in cases {
            scope.spawn(|| attempt(case));
        }
    });
}

impl Trial {
    /// A stream of this name that holds so many records.
    pub(crate) fn new(name: &str, shards: i64, records: usize) -> Self {
        Self::with(name, shards, records, |options| options)
    }

    pub(crate) fn with(
        name: &str,
        shards: i64,
        records: usize,
        options: impl FnOnce(StoreOptions) -> StoreOptions,
    ) -> Self {
        logs::keep();
        let server = Server::with(options(Server::options()), |router| router).unwrap();
        let faults = Faults::before(server.endpoint(), 1).unwrap();
        let admin = Admin::new(server.endpoint(), name).unwrap();
        admin.create(shards).unwrap();
        let store = Arc::new(LocalStore::new());
        let trial = Self { faults, admin, store, server, put: AtomicUsize::new(0) };
        trial.put(records);
        trial
    }

    /// Puts so many more, numbered on, to all shards.
    pub(crate) fn put(&self, records: usize) {
        self.put_of_size(records, 0);
    }

    /// The same, with data of so many bytes at least.
    pub(crate) fn put_of_size(&self, records: usize, size: usize) {
        let from = self.put.fetch_add(records, Ordering::Relaxed);
        let record = |number: usize| {
            let mut data = number.to_string().into_bytes();
            data.resize(size.max(data.len()), b' ');
            (format!("key-{}", number % KEYS), data)
        };
        self.admin.put((from..from + records).map(record).collect()).unwrap();
    }

    /// How many were put.
    pub(crate) fn count(&self) -> usize {
        self.put.load(Ordering::Relaxed)
    }

    pub(crate) fn config() -> Config {
        Config::new().interval(INTERVAL).limit(LIMIT)
    }

    pub(crate) fn builder(&self) -> ClientBuilder {
        let builder = KinesisClient::builder().endpoint(self.faults.endpoint());
        builder.region("us-east-1").credentials("key", "secret").deadline(DEADLINE)
    }

    pub(crate) fn client(&self) -> KinesisClient {
        self.builder().build().unwrap()
    }

    pub(crate) fn stream(&self, config: Config) -> Stream {
        let store = Arc::clone(&self.store);
        Stream::new(self.client(), self.admin.stream(), store, config).unwrap()
    }

    /// Reads until so many different records have come, or an error.
    pub(crate) fn read(&self, records: usize) -> Run {
        Run::of(self.stream(Self::config()), records, |_| {})
    }

    /// Reads all records through this fault, which must have happened, and checks that nothing is lost, nothing comes
    /// twice, and the order is kept.
    pub(crate) fn read_all_through(&self, fault: &Fault, rule: impl FnOnce(Fault) -> Rule) -> Run {
        self.faults.add(rule(fault.clone()));
        let run = self.read(self.count());
        run.result.as_ref().unwrap();
        self.check_all([&run]);
        assert!(self.faults.count(fault) > 0, "{fault:?} was not put in");
        run
    }

    /// Checks that these runs together read all that was put, once, and in order.
    pub(crate) fn check_all<'a>(&self, runs: impl IntoIterator<Item = &'a Run>) {
        let mut all = Vec::new();
        let mut keys = BTreeMap::new();
        for run in runs {
            for (shard, records) in &run.records {
                for number in records {
                    all.push(*number);
                    let last = keys.insert((shard, number % KEYS), *number);
                    assert!(last.is_none_or(|last| last < *number), "{number} after {last:?}");
                }
            }
        }
        all.sort_unstable();
        let lost = (0..self.count()).filter(|number| all.binary_search(number).is_err());
        assert_eq!(lost.collect::<Vec<_>>(), [0; 0], "lost");
        assert_eq!(all.len(), self.count(), "some came twice");
    }

    /// Checks that there was one warning when the shard began to fail, and one when it recovered.
    pub(crate) fn check_warnings(&self, shard: &str) {
        let warnings = logs::warnings(self.admin.stream(), shard);
        let [failing, recovered] = &warnings[..] else { panic!("{warnings:#?}") };
        assert!(failing.contains("; again in "), "{failing}");
        assert!(recovered.contains("reads recovered after "), "{recovered}");
    }

    /// Checks that each warning of a failure was followed by one of the recovery, except perhaps the
    /// last, since a run may end while its shard fails.
    pub(crate) fn check_warnings_in_pairs(&self, shard: &str) {
        let warnings = logs::warnings(self.admin.stream(), shard);
        assert!(warnings.len() >= 2, "{warnings:#?}");
        for pair in warnings.chunks_exact(2) {
            let [failing, recovered] = pair else { unreachable!() };
            assert!(failing.contains("; again in "), "{failing}");
            assert!(recovered.contains("reads recovered after "), "{recovered}");
        }
    }

    /// The limits that were asked for, call by call.
    pub(crate) fn limits(&self, shard: &str) -> Vec<u64> {
        let seen = self.faults.seen();
        let seen = seen.iter().filter(|request| request.shard.as_deref() == Some(shard));
        seen.filter_map(|request| request.limit).collect()
    }

    /// How many calls of this kind there were.
    pub(crate) fn calls(&self, operation: Operation) -> usize {
        self.faults.seen().iter().filter(|request| request.operation == operation).count()
    }
}

impl Run {
    /// `each` sees every batch before it is committed.
    pub(crate) fn of(stream: Stream, records: usize, mut each: impl FnMut(&Batch)) -> Self {
        let began = Instant::now();
        let (batches, listener) = stream.receiver().unwrap();
        let mut run = Self {
            result: Ok(()),
            records: BTreeMap::new(),
            gaps: Vec::new(),
            batches: Vec::new(),
            took: Duration::ZERO,
            last: BTreeMap::new(),
        };
        let mut distinct = std::collections::BTreeSet::new();
        let mut is_late = false;
        loop {
            let is_complete = distinct.len() >= records;
            if is_complete && run.took.is_zero() {
                run.took = began.elapsed();
            }
            match batches.recv_timeout(if is_complete { LULL } else { PATIENCE }) {
                Ok(batch) => {
                    distinct.extend(run.take(&batch));
                    each(&batch);
                    batch.commit().unwrap();
                }
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    is_late = !is_complete;
                    break;
                }
            }
        }
        listener.shutdown().now();
        run.result = listener.join();
        if run.took.is_zero() {
            run.took = began.elapsed();
        }
        assert!(!is_late, "{} of {records} were read: {:?}", distinct.len(), run.result);
        run
    }

    fn take(&mut self, batch: &Batch) -> Vec<usize> {
        for record in batch.records() {
            let number: SequenceNumber = record.sequence_number().parse().unwrap();
            let last = self.last.insert(batch.shard().into(), number.clone());
            assert!(last.is_none_or(|last| last < number), "{number} is out of order");
        }
        let text = |data: &[u8]| String::from_utf8(data.to_vec()).unwrap();
        let number = |data: &[u8]| text(data).trim_end().parse().unwrap();
        let numbers = batch.records().iter().map(|record| number(record.data()));
        let numbers: Vec<usize> = numbers.collect();
        self.records.entry(batch.shard().into()).or_default().extend(&numbers);
        self.gaps.extend(batch.gap().cloned());
        self.batches.push((batch.shard().into(), batch.len(), batch.ends_shard()));
        numbers
    }

    pub(crate) fn count(&self) -> usize {
        self.records.values().map(Vec::len).sum()
    }

    /// The last batch of a shard: its place among all, and how many records it held.
    pub(crate) fn end(&self, shard: &str) -> (usize, usize) {
        let mut ends = self.batches.iter().enumerate().filter(|(_, it)| it.2 && it.0 == shard);
        let (place, (_, length, _)) = ends.next().expect("a batch that ends the shard");
        assert!(ends.next().is_none(), "shard {shard} ended twice");
        (place, *length)
    }

    /// Checks that a shard's batches came after the last ones of its parents.
    pub(crate) fn check_order(&self, shard: &str, parents: &[&str]) {
        let first = self.batches.iter().position(|(of, ..)| of == shard).expect("a batch");
        for parent in parents {
            assert!(self.end(parent).0 < first, "{shard} came before the end of {parent}");
        }
    }

    /// What the error and its sources say.
    pub(crate) fn error(&self) -> String {
        let error = self.result.as_ref().unwrap_err();
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            text = format!("{text}: {error}");
            source = error.source();
        }
        text
    }
}
