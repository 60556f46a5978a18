//! A stream that is put and read in a scenario, and what must be true of what was read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::client::memory::MemoryKinesis;
use crate::config::Config;
use crate::delivery::batch::Batch;
use crate::store::local::LocalStore;
use crate::stream::Stream;
use crate::sync::controlled::schedule::{self, Seat};
use crate::sync::{self, Mutex};

pub(super) const STREAM: &str = "orders";

pub(super) struct World {
    pub(super) kinesis: MemoryKinesis,
    pub(super) store: Arc<LocalStore>,
    /// Numbers of records by their shards, in the order in which they were read.
    read: Arc<Mutex<BTreeMap<String, Vec<u32>>>>,
    put: u32,
    /// When the last stop was told.
    pub(super) stopped: Mutex<Option<Instant>>,
}

impl World {
    /// So many shards, and up to three answers for each.
    pub(super) fn new(shards: u32) -> Self {
        let kinesis = MemoryKinesis::new();
        kinesis.create_stream(STREAM, shards as usize);
        let mut world = Self {
            kinesis,
            store: Arc::default(),
            read: Arc::default(),
            put: 0,
            stopped: Mutex::default(),
        };
        world.put(shards * fastrand::u32(1..=6));
        world
    }

    /// Puts so many records with different keys; each is its number.
    pub(super) fn put(&mut self, records: u32) {
        for number in self.put..self.put + records {
            self.kinesis.put(STREAM, &format!("key-{number}"), &number.to_be_bytes());
        }
        self.put += records;
    }

    /// Answers of two records, as soon as there are some.
    pub(super) fn config() -> Config {
        Config::new()
            .interval(Duration::from_millis(50))
            .limit(2)
            .capacity(1 + fastrand::usize(..3))
    }

    pub(super) fn stream(&self, config: Config) -> Stream {
        Stream::new(self.kinesis.clone(), STREAM, Arc::clone(&self.store), config).unwrap()
    }

    pub(super) fn take(&self, batch: &Batch) {
        let numbers =
            batch.records().iter().map(|it| u32::from_be_bytes(it.data().try_into().unwrap()));
        let numbers: Vec<_> = numbers.collect();
        self.read.lock().entry(batch.shard().to_owned()).or_default().extend(numbers);
    }

    /// Whether every record was read.
    pub(super) fn is_read(&self) -> bool {
        self.read.lock().values().map(Vec::len).sum::<usize>() >= self.put as usize
    }

    /// Another run, with nothing in its way, until no record is left that is not stored.
    pub(super) fn read_the_rest(&self) {
        let stream = self.stream(Self::config());
        let shutdown = stream.shutdown();
        let reads = || {
            let ended = stream.listen(|batch| {
                self.take(batch);
                Ok(())
            });
            ended.unwrap();
        };
        let stops = || {
            // Long enough for every record and every dawdling.
            current().sleep_for(Duration::from_secs(2));
            shutdown.now();
        };
        beside(stops, reads);
    }

    /// As `check`, but a record may come again.
    pub(super) fn check_that_nothing_is_lost(&self) {
        let all: BTreeSet<_> = self.read.lock().values().flatten().copied().collect();
        assert_eq!(all, (0..self.put).collect(), "each record at least once");
    }

    /// Nothing is lost, nothing comes twice, and each shard is in order.
    pub(super) fn check(&self) {
        let read = self.read.lock();
        let mut all: Vec<_> = read.values().flatten().copied().collect();
        all.sort_unstable();
        assert_eq!(all, (0..self.put).collect::<Vec<_>>(), "each record once");
        for (shard, numbers) in read.iter() {
            assert!(numbers.is_sorted(), "{shard}: {numbers:?}");
        }
    }
}

/// The calling thread's seat.
pub(super) fn current() -> Seat {
    schedule::current().expect("a scenario belongs to a schedule")
}

/// Some while, up to a quarter of a second, in which a consumer of these scenarios reads everything.
pub(super) fn a_while() {
    current().sleep_for(Duration::from_millis(fastrand::u64(..250)));
}

/// Runs `act` on a thread of its own, beside `main`, and waits for both.
pub(super) fn beside<T>(act: impl FnOnce() + Send, main: impl FnOnce() -> T) -> T {
    sync::thread::scope(|scope| {
        let thread = sync::thread::Builder::new().name("beside".to_owned());
        thread.spawn_scoped(scope, act).unwrap();
        main()
    })
}
