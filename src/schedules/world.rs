//! A stream that is put and read in a scenario, and what must be true of what was read.

use std::collections::BTreeSet;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::slow::{self, SlowStore};
use crate::client::memory::MemoryKinesis;
use crate::config::Config;
use crate::control::shutdown::Shutdown;
use crate::delivery::batch::Batch;
use crate::store::local::LocalStore;
use crate::stream::Stream;
use crate::sync::controlled::schedule::{self, Member};
use crate::sync::{self, Mutex};

pub(super) const STREAM: &str = "orders";

/// What one call asks for at first.
pub(super) const ROOM: usize = 256 << 10;

/// How long a stop may take here in virtual time: a slow machine takes a part of it.
pub(super) const SOON: Duration = Duration::from_millis(400);

pub(super) struct World {
    pub(super) kinesis: MemoryKinesis,
    pub(super) store: Arc<LocalStore>,
    is_slow: bool,
    /// Shards and numbers of records, in the order in which they were read.
    read: Mutex<Vec<(String, u32)>>,
    put: Mutex<u32>,
    /// When the last stop was told.
    stopped: Mutex<Option<Instant>>,
}

impl World {
    /// A stream of `shards` shards, with up to three answers for each.
    pub(super) fn new(shards: u32) -> Self {
        let kinesis = MemoryKinesis::new();
        kinesis.create_stream(STREAM, shards as usize);
        let (read, put, stopped) = (Mutex::default(), Mutex::default(), Mutex::default());
        let is_slow = fastrand::bool();
        let world = Self { kinesis, store: Arc::default(), is_slow, read, put, stopped };
        world.put(shards * fastrand::u32(1..=6));
        world
    }

    /// Puts records with different keys; each holds its number.
    pub(super) fn put(&self, records: u32) {
        for _ in 0..records {
            let number = *self.put.lock();
            self.kinesis.put(STREAM, &format!("key-{number}"), &number.to_be_bytes());
            *self.put.lock() += 1;
        }
    }

    /// Puts a record into each shard. Returns the shards.
    pub(super) fn put_to_each(&self) -> Vec<String> {
        let shards = self.kinesis.shards(STREAM);
        let shards: Vec<_> = shards.iter().map(|shard| shard.id().to_owned()).collect();
        for shard in &shards {
            let number = *self.put.lock();
            self.kinesis.put_to(STREAM, shard, "a key", &number.to_be_bytes());
            *self.put.lock() += 1;
        }
        shards
    }

    /// Answers of two records, as soon as there are some.
    pub(super) fn config() -> Config {
        Config::new()
            .interval(Duration::from_millis(50))
            .limit(2)
            .capacity(1 + fastrand::usize(..3))
    }

    /// In half of the schedules calls and writes take some time.
    pub(super) fn stream(&self, config: Config) -> Stream {
        let (kinesis, store) = (self.kinesis.clone(), Arc::clone(&self.store));
        let stream = match self.is_slow {
            true => Stream::new(slow::client(kinesis), STREAM, SlowStore(store), config),
            false => Stream::new(kinesis, STREAM, store, config),
        };
        stream.unwrap()
    }

    pub(super) fn take(&self, batch: &Batch) {
        self.take_first(batch, batch.len());
    }

    /// Takes this number of records of the batch, from its first one on.
    pub(super) fn take_first(&self, batch: &Batch, records: usize) {
        let shard = batch.shard().to_owned();
        let number = |data: &[u8]| u32::from_be_bytes(data.try_into().unwrap());
        let read = batch.records().iter().map(|it| (shard.clone(), number(it.data())));
        self.read.lock().extend(read.take(records));
    }

    /// The same, and a stop when every record was read that is put.
    pub(super) fn take_until_all(&self, batch: &Batch, shutdown: &Shutdown) {
        self.take(batch);
        if self.is_read() {
            shutdown.now();
        }
    }

    /// How many records were read, those included that came again.
    pub(super) fn count(&self) -> usize {
        self.read.lock().len()
    }

    /// Whether a record of this shard was read.
    pub(super) fn has_read(&self, shard: &str) -> bool {
        self.read.lock().iter().any(|(of, _)| of == shard)
    }

    pub(super) fn is_read(&self) -> bool {
        let put = *self.put.lock();
        self.count() >= put as usize
    }

    /// Stops, and remembers since when the consumer must have stopped.
    pub(super) fn stops(&self, stop: impl FnOnce()) {
        *self.stopped.lock() = Some(sync::now());
        stop();
    }

    /// How long ago that was.
    pub(super) fn since_stop(&self) -> Duration {
        let stopped = *self.stopped.lock();
        sync::since(stopped.expect("it was stopped"))
    }

    /// Another run, with nothing in its way and long enough for everything: what was not stored comes now.
    pub(super) fn read_the_rest(&self) {
        let config = Self::config().interval(Duration::from_millis(100)).limit(1_000);
        let stream = self.stream(config);
        let shutdown = stream.shutdown();
        let reads = || {
            let ended = stream.listen(|batch| {
                self.take(batch);
                Ok(())
            });
            ended.unwrap();
        };
        let stops = || {
            // What comes again comes with the first answers.
            current().sleep_for(Duration::from_millis(200));
            for _ in 0..18 {
                if self.has_each() {
                    break;
                }
                current().sleep_for(Duration::from_millis(100));
            }
            shutdown.now();
        };
        with_thread(stops, reads);
    }

    /// Nothing is lost, nothing comes twice, each shard is in order, and children come after their parents.
    pub(super) fn check(&self) {
        self.check_that_nothing_is_lost();
        let read = self.read.lock();
        assert_eq!(read.len(), *self.put.lock() as usize, "each record once: {read:?}");
        let of = |shard: &str| {
            let places = read.iter().enumerate().filter(|(_, (of, _))| of == shard);
            places.map(|(place, (_, number))| (place, *number)).collect::<Vec<_>>()
        };
        for shard in self.kinesis.shards(STREAM) {
            let own = of(shard.id());
            let numbers = own.iter().map(|(_, number)| number);
            assert!(numbers.is_sorted(), "{}: {own:?}", shard.id());
            let first = own.first().map_or(usize::MAX, |(place, _)| *place);
            for parent in shard.parents() {
                let last = of(parent).last().map_or(0, |(place, _)| *place);
                assert!(
                    last < first || own.is_empty(),
                    "{} came before its parent {parent}",
                    shard.id()
                );
            }
        }
    }

    /// As `check`, but a record may come again.
    pub(super) fn check_that_nothing_is_lost(&self) {
        assert_eq!(self.numbers(), (0..*self.put.lock()).collect(), "each record at least once");
    }

    /// Whether each record was read at least once.
    pub(super) fn has_each(&self) -> bool {
        self.numbers().len() >= *self.put.lock() as usize
    }

    fn numbers(&self) -> BTreeSet<u32> {
        self.read.lock().iter().map(|(_, number)| *number).collect()
    }
}

/// The calling thread, which belongs to a schedule.
pub(super) fn current() -> Member {
    schedule::current().expect("a scenario belongs to a schedule")
}

/// Some while: up to a quarter of a second, in which a consumer of these scenarios reads everything, or a few turns of
/// other threads. Time passes when all wait: what follows would never fall into the middle of a call or a commit.
pub(super) fn a_while() {
    if fastrand::bool() {
        current().sleep_for(Duration::from_millis(fastrand::u64(..250)));
    } else {
        (0..fastrand::u32(..100)).for_each(|_| sync::point());
    }
}

/// Runs `act` on a thread of its own while `main` runs, and waits for both.
pub(super) fn with_thread<T>(act: impl FnOnce() + Send, main: impl FnOnce() -> T) -> T {
    sync::thread::scope(|scope| {
        let thread = sync::thread::Builder::new().name("the other".to_owned());
        let other = thread.spawn_scoped(scope, act).unwrap();
        let result = main();
        other.join().unwrap_or_else(|panic| resume_unwind(panic));
        result
    })
}
