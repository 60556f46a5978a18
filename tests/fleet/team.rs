//! Consumers on one table, and what they have handled.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, bounded};
use kinesis_consumer::leases::{Attribute, Item, KEY, LeaseTable};
use kinesis_consumer::testing::{MemoryKinesis, MemoryLeases};
use kinesis_consumer::{Batch, Config, Error, Fleet, Listener, Stream};
use parking_lot::Mutex;

use crate::common::{STREAM, numbers, quick};

/// The failover time of a test that counts no record twice.
pub(crate) const FAILOVER: Duration = Duration::from_secs(2);
/// That of a test in which leases are taken.
pub(crate) const SHORT: Duration = Duration::from_secs(1);
/// An event of a fleet takes some failover times, and more on a busy machine.
pub(crate) const LONG: Duration = Duration::from_secs(100);

/// A batch that was handled: by whom, of which shard, and its numbers.
#[derive(Clone, Debug)]
pub(crate) struct Handled {
    pub(crate) worker: String,
    pub(crate) shard: String,
    pub(crate) numbers: Vec<usize>,
    pub(crate) ends_shard: bool,
}

/// A stream, a table, and all that was handled by the consumers on them, in order.
#[derive(Clone)]
pub(crate) struct Team {
    pub(crate) kinesis: MemoryKinesis,
    pub(crate) table: MemoryLeases,
    failover: Duration,
    handled: Arc<Mutex<Vec<Handled>>>,
    put: Arc<Mutex<usize>>,
}

impl Team {
    pub(crate) fn new(shards: usize, failover: Duration) -> Self {
        Self::of(MemoryKinesis::new(), shards, failover)
    }

    pub(crate) fn of(kinesis: MemoryKinesis, shards: usize, failover: Duration) -> Self {
        kinesis.create_stream(STREAM, shards);
        let (table, handled, put) = (MemoryLeases::new(), Arc::default(), Arc::default());
        Self { kinesis, table, failover, handled, put }
    }

    pub(crate) fn fleet(&self, worker: &str) -> Fleet {
        self.fleet_on(self.table.clone(), worker)
    }

    pub(crate) fn fleet_on(&self, table: impl LeaseTable + 'static, worker: &str) -> Fleet {
        Fleet::new(table).worker_id(worker).failover(self.failover)
    }

    pub(crate) fn open(&self, fleet: Fleet) -> Stream {
        self.open_with(fleet, config())
    }

    pub(crate) fn open_with(&self, fleet: Fleet, config: Config) -> Stream {
        Stream::new(self.kinesis.clone(), STREAM, fleet, config).unwrap()
    }

    /// A consumer of this name, whose handler keeps what it sees.
    pub(crate) fn join(&self, worker: &str) -> Listener {
        self.spawn(worker, self.open(self.fleet(worker)))
    }

    pub(crate) fn spawn(&self, worker: &str, stream: Stream) -> Listener {
        let (team, worker) = (self.clone(), worker.to_owned());
        let handler = move |batch: &Batch| {
            team.keep(&worker, batch);
            Ok(())
        };
        stream.spawn(handler).unwrap()
    }

    pub(crate) fn keep(&self, worker: &str, batch: &Batch) {
        let (worker, shard) = (worker.to_owned(), batch.shard().to_owned());
        let (numbers, ends_shard) = (numbers(batch), batch.ends_shard());
        self.handled.lock().push(Handled { worker, shard, numbers, ends_shard });
    }

    /// Puts so many further numbers into each open shard.
    pub(crate) fn put(&self, records: usize) {
        for _ in 0..records {
            for shard in self.open_shards() {
                self.put_to(&shard);
            }
        }
    }

    pub(crate) fn put_to(&self, shard: &str) {
        let mut put = self.put.lock();
        self.kinesis.put_to(STREAM, shard, "key", put.to_string().as_bytes());
        *put += 1;
    }

    pub(crate) fn open_shards(&self) -> Vec<String> {
        let shards = self.kinesis.shards(STREAM).into_iter();
        shards.filter(|it| !it.is_closed()).map(|it| it.id().to_owned()).collect()
    }

    pub(crate) fn handled(&self) -> Vec<Handled> {
        self.handled.lock().clone()
    }

    /// Who has handled something since then: a place in `handled`.
    pub(crate) fn workers_since(&self, place: usize) -> BTreeSet<String> {
        self.handled.lock()[place..].iter().map(|it| it.worker.clone()).collect()
    }

    pub(crate) fn wait_for_all(&self) {
        let wanted: BTreeSet<_> = (0..*self.put.lock()).collect();
        let seen = || -> BTreeSet<usize> {
            self.handled.lock().iter().flat_map(|it| it.numbers.clone()).collect()
        };
        until(
            || format!("all is read, without {:?}", &wanted - &seen()),
            || seen().is_superset(&wanted),
        );
    }

    /// Every record was handled, none came twice, and the shards kept their order.
    #[track_caller]
    pub(crate) fn check_once(&self) {
        let handled = self.handled();
        let mut all: Vec<_> = handled.iter().flat_map(|it| it.numbers.clone()).collect();
        all.sort_unstable();
        let repeated: Vec<_> = all.windows(2).filter(|it| it[0] == it[1]).collect();
        assert!(repeated.is_empty(), "came twice: {repeated:?} of {handled:#?}");
        assert!(all.iter().copied().eq(0..*self.put.lock()), "{all:?}");
        let mut shards = BTreeMap::<_, Vec<_>>::new();
        for it in &handled {
            shards.entry(&it.shard).or_default().extend(it.numbers.clone());
        }
        for (shard, numbers) in shards {
            assert!(numbers.is_sorted(), "{shard}: {numbers:?}");
        }
    }

    /// How many leases each consumer holds, that of one whose shard is done not counted.
    pub(crate) fn shares(&self) -> BTreeMap<String, usize> {
        let mut shares = BTreeMap::new();
        for owner in self.table.rows().iter().filter(|row| !is_done(row)).filter_map(owner) {
            *shares.entry(owner.to_owned()).or_default() += 1;
        }
        shares
    }

    /// Waits until each of these holds so many leases, and nobody else any.
    pub(crate) fn wait_for_shares(&self, shares: &[(&str, usize)]) {
        let wanted: BTreeMap<_, _> =
            shares.iter().map(|(worker, leases)| ((*worker).to_owned(), *leases)).collect();
        let settled = || {
            let rows = self.table.rows();
            self.shares() == wanted && rows.iter().all(|row| !row.contains_key("checkpointOwner"))
        };
        until(|| format!("{wanted:?}, and not {:?}", self.shares()), settled);
    }

    /// What a row says.
    pub(crate) fn text(&self, shard: &str, name: &str) -> Option<String> {
        self.table.row(shard)?.get(name)?.text().map(str::to_owned)
    }

    pub(crate) fn counter(&self, shard: &str) -> u64 {
        let row = self.table.row(shard).unwrap();
        row["leaseCounter"].number().unwrap().parse().unwrap()
    }

    /// No row has an owner: every lease was given back, and nobody had asked for one.
    #[track_caller]
    pub(crate) fn check_released(&self) {
        for row in self.table.rows() {
            assert_eq!(owner(&row), None, "{row:?}");
            assert!(!row.contains_key("checkpointOwner"), "{row:?}");
        }
    }
}

/// Fast enough to be read soon, and slow enough for many consumers on two cores.
pub(crate) fn config() -> Config {
    quick().interval(Duration::from_millis(20))
}

pub(crate) fn owner(row: &Item) -> Option<&str> {
    row.get("leaseOwner").and_then(Attribute::text)
}

pub(crate) fn is_done(row: &Item) -> bool {
    row.get("checkpoint").and_then(Attribute::text) == Some("SHARD_END")
}

/// A row as Amazon's library makes it for a shard that nobody has read.
pub(crate) fn fresh(shard: &str) -> Item {
    let values: [(&str, Attribute); 5] = [
        (KEY, shard.into()),
        ("checkpoint", "TRIM_HORIZON".into()),
        ("checkpointSubSequenceNumber", 0_u64.into()),
        ("leaseCounter", 0_u64.into()),
        ("ownerSwitchesSinceCheckpoint", 0_u64.into()),
    ];
    values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The row with another attribute, or another value of it.
pub(crate) fn with(mut row: Item, name: &str, value: impl Into<Attribute>) -> Item {
    row.insert(name.to_owned(), value.into());
    row
}

/// For what no event tells.
#[track_caller]
pub(crate) fn until(what: impl Fn() -> String, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + LONG;
    while !is_so() {
        assert!(Instant::now() < deadline, "not in time: {}", what());
        // The machine has better things to do meanwhile: it runs a whole fleet.
        thread::sleep(Duration::from_millis(5));
    }
}

/// What a call returns that ends by itself; a panic continues here.
#[track_caller]
pub(crate) fn in_time<T: Send + 'static>(what: impl FnOnce() -> T + Send + 'static) -> T {
    let (tell, told): (Sender<()>, _) = bounded(0);
    let thread = thread::spawn(move || {
        let _tell = tell;
        what()
    });
    // Disconnected when it ends, however it does.
    let ended = told.recv_timeout(LONG).is_err_and(|error| error.is_disconnected());
    assert!(ended, "it hangs");
    thread.join().unwrap_or_else(|panic| resume_unwind(panic))
}

/// How a consumer ends that ends by itself.
#[track_caller]
pub(crate) fn end(listener: Listener) -> Result<(), Error> {
    in_time(move || listener.join())
}

/// Stops a consumer that handles what it has read, and waits for its end.
#[track_caller]
pub(crate) fn drain(listener: Listener) {
    listener.shutdown().drain(LONG);
    end(listener).unwrap();
}
