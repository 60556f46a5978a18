//! How the user joins a fleet: a store whose positions are kept under leases.

use std::sync::Arc;
use std::time::Duration;
use std::{fmt, fs, process};

use crate::core::fleet::lease::checkpoint::Start;
use crate::core::fleet::lease::row::{Misread, Seen, read};
use crate::core::fleet::lease::writes::Marks;
use crate::core::fleet::steward::Settings;
use crate::core::settings::StoreEvery;
use crate::error::Error;
use crate::error::lease_table::{LeaseTableError, LeaseTableErrorKind};
use crate::error::store::StoreError;
use crate::model::item::Item;
use crate::model::position::{IteratorType, Position};
use crate::model::stream_id::name_in;
use crate::model::time::spoken;
use crate::store::Store;
use crate::store::leases::LeaseTable;

/// Shares a stream with other processes through a table of leases: give it to [`Stream::new`](crate::Stream::new) in the
/// place of a store.
///
/// Each shard has a row in the table, its lease: who holds it, a counter that grows while the holder lives, and how far
/// the shard is done. All consumers on one table, in one process or in many, divide the shards evenly among themselves
/// without a leader. A lease whose counter stands still for [`failover`](Self::failover) is taken; a consumer that has more
/// than its share is asked for leases, handles what it has read, stores its position and hands them over. A
/// [`drain`](crate::Shutdown::drain) hands over all of them, so that the others continue at once and nothing comes twice. The rows are
/// those of Amazon's Kinesis Client Library (KCL) 2.x, whose workers may share the table.
///
/// What no clock can promise: a process that hangs in its handler while its lease is taken may handle a batch that the new
/// holder handles too. As soon as the consumer knows of the loss, at the latest with its next sign of life, nothing new of the
/// shard is handed over, and a late [`commit`](crate::Batch::commit) is an error of kind
/// [`Lost`](crate::StoreErrorKind::Lost). It writes nothing in any case.
/// [`Batch::is_current`](crate::Batch::is_current) tells a handler that wants to know.
///
/// A table belongs to one application and to one stream. In a fleet there is no
/// [`choose`](crate::Stream::choose), [`start_at`](crate::Stream::start_at) or [`store_key`](crate::Stream::store_key), no
/// sequence number as [`iterator_type`](crate::Config::iterator_type), and [`store_patience`](crate::Config::store_patience)
/// has no effect: while the table fails, the consumer waits, and hands over nothing that somebody else may have taken. By default a
/// position is written with every fifth of the failover time, since such a write is a sign of life as well:
/// [`store_every`](crate::Config::store_every) says otherwise.
///
/// ```
/// use kinesis_consumer::testing::{MemoryKinesis, MemoryLeases};
/// use kinesis_consumer::{Config, Fleet, Stream};
///
/// let kinesis = MemoryKinesis::new();
/// kinesis.create_stream("orders", 2);
/// kinesis.put("orders", "customer-7", b"one espresso");
///
/// let fleet = Fleet::new(MemoryLeases::new());
/// let stream = Stream::new(kinesis, "orders", fleet, Config::new())?;
/// let shutdown = stream.shutdown();
/// stream.listen(|batch| {
///     println!("{}: {} records", batch.shard(), batch.len());
///     shutdown.now();
///     Ok(())
/// })?;
/// # Ok::<(), kinesis_consumer::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Fleet {
    leases: Leases,
}

/// The leases of a [`Fleet`]: what [`Store::leases`] gives. Only a `Fleet` has some.
#[derive(Clone)]
pub struct Leases {
    pub(crate) table: Arc<dyn LeaseTable>,
    worker: String,
    failover: Duration,
    max_leases: Option<usize>,
    handoff_patience: Duration,
    read_budget: u32,
    retires: bool,
    give_up_after: Option<Duration>,
}

const FAILOVER: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60 * 60));
const MAX_PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);
/// Longer ids would not be shown whole anywhere.
const MAX_WORKER: usize = 128;
/// With the numbers after it, it is still short enough.
const MAX_HOST: usize = 64;

impl Fleet {
    /// Shares the stream through this table. To use one table for several consumers of a process, pass an [`Arc`] of it, or
    /// clone the fleet, and give each clone a [worker id](Self::worker_id) of its own: otherwise it has that of the original.
    pub fn new(table: impl LeaseTable + 'static) -> Self {
        Self {
            leases: Leases {
                table: Arc::new(table),
                worker: default_worker(),
                failover: Duration::from_secs(10),
                max_leases: None,
                handoff_patience: Duration::from_secs(30),
                read_budget: 100,
                retires: true,
                give_up_after: None,
            },
        }
    }

    /// The name of this consumer in the table, which no other one has at the same time: 1 to 128 visible ASCII characters
    /// without `/` and `#`. Defaults to the name of the host, which is known on Linux alone, the number of the process and 16
    /// random digits.
    pub fn worker_id(mut self, id: impl Into<String>) -> Self {
        self.leases.worker = id.into();
        self
    }

    /// How long a lease stands still before another worker takes it; 1 second to 1 hour. All workers on the table need the
    /// same time, those of KCL too (`failoverTimeMillis`): one with a shorter time takes leases of workers that
    /// live. Each lease costs three writes in this time, and five while its shard has records. A call of the table that takes
    /// at most a sixth of it may fail without harm; the default deadline of a table in DynamoDB, 1.5 seconds, is that for 9
    /// seconds or more. Defaults to 10 seconds, as in KCL.
    pub fn failover(mut self, time: Duration) -> Self {
        self.leases.failover = time;
        self
    }

    /// How many shards this consumer reads at most, at least 1; the others take more. What all consumers together leave is
    /// read by nobody. Defaults to `None`: its even share, however large.
    pub fn max_leases(mut self, leases: impl Into<Option<usize>>) -> Self {
        self.leases.max_leases = leases.into();
        self
    }

    /// How long this consumer waits for a lease that it has asked for, before it takes the lease; the
    /// [failover time](Self::failover) comes on top. So long the holder may handle what it has read: if its handler needs
    /// longer for a batch, records come again here. At most a day. Defaults to 30 seconds.
    pub fn handoff_patience(mut self, patience: Duration) -> Self {
        self.leases.handoff_patience = patience;
        self
    }

    /// How many read units a second all consumers together spend on looking at the table, at least 1: a unit reads 8 KiB,
    /// which is about 20 leases ([`Page::units`](crate::leases::Page::units)). A consumer looks every half failover time, or
    /// less often if that costs too much for this budget, but at least about every two, whatever it costs. In its first
    /// minute, and while it finds free leases, it looks every half; and once more when the leases of a silent consumer run
    /// out. Defaults to 100.
    pub fn read_budget(mut self, units: u32) -> Self {
        self.leases.read_budget = units;
        self
    }

    /// How long a record may have been read and not be committed, before the consumer gives its shard up to the others; at
    /// least the failover time. It is for handlers that may hang: while the batches of such a shard are not dropped, the
    /// consumer takes no other lease, and lets its own be asked for. Time in a [pause](crate::Pauses) does not count. Defaults to
    /// `None`: a consumer whose handler hangs keeps its leases.
    pub fn give_up_after(mut self, time: impl Into<Option<Duration>>) -> Self {
        self.leases.give_up_after = time.into();
        self
    }

    /// Whether the row of a finished shard is deleted, five minutes after its children have begun, as KCL does.
    /// Defaults to `true`.
    pub fn retire_rows(mut self, retires: bool) -> Self {
        self.leases.retires = retires;
        self
    }
}

/// Positions can be read, for example by [`export_positions`](crate::export_positions); a shard that KCL has read to its end has
/// none, since KCL keeps no number of it. They are written by the consumer that holds the lease, and by nobody else.
impl Store for Fleet {
    fn update_shard_iterator(&self, _: &str, _: &str, _: &Position) -> Result<(), StoreError> {
        Err(read_only())
    }

    fn shard_iterators(&self, stream: &str) -> Result<Vec<(String, Position)>, StoreError> {
        let mut positions = Vec::new();
        let mut after = None;
        loop {
            let page = self.leases.table.page(after.as_ref()).map_err(unread)?;
            for item in &page.items {
                positions.extend(position(item, name_in(stream))?);
            }
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(positions),
            }
        }
    }

    fn reset_shard_iterator(
        &self,
        _: &str,
        _: &str,
        _: Option<&Position>,
    ) -> Result<(), StoreError> {
        Err(read_only())
    }

    fn leases(&self) -> Option<&Leases> {
        Some(&self.leases)
    }
}

impl Leases {
    /// Whether the settings are within their ranges.
    // long: one check for each setting.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        let invalid = |setting, reason: String| Err(Error::InvalidSetting { setting, reason });
        let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"/#".contains(&byte);
        if !(1..=MAX_WORKER).contains(&self.worker.len()) || !self.worker.bytes().all(is_plain) {
            let shown: String = self.worker.chars().take(MAX_WORKER).collect();
            let reason = format!(
                "{shown:?} is not 1 to {MAX_WORKER} visible ASCII characters without \"/\" and \"#\""
            );
            return invalid("worker_id", reason);
        }
        let (least, most) = FAILOVER;
        if !(least..=most).contains(&self.failover) {
            let given = spoken(self.failover);
            let reason = format!("{given} is not within {} to {}", spoken(least), spoken(most));
            return invalid("failover", reason);
        }
        if self.max_leases == Some(0) {
            return invalid("max_leases", "0 leases: at least 1".into());
        }
        if self.handoff_patience > MAX_PATIENCE {
            let reason = format!("{} is longer than a day", spoken(self.handoff_patience));
            return invalid("handoff_patience", reason);
        }
        if self.give_up_after.is_some_and(|time| time < self.failover) {
            let reason = format!("it is shorter than the failover time, {}", spoken(self.failover));
            return invalid("give_up_after", reason);
        }
        if self.read_budget == 0 {
            return invalid("read_budget", "0 read units: at least 1".into());
        }
        Ok(())
    }

    /// How often a position is written, unless the program says otherwise: soon enough to be the sign of life that is due
    /// next.
    pub(crate) fn store_every(&self) -> StoreEvery {
        StoreEvery { batches: 1_000, time: self.failover / 5 }
    }

    /// For how long a lease is kept of which something was read and nothing is committed.
    pub(crate) fn give_up_after(&self) -> Option<Duration> {
        self.give_up_after
    }

    /// What the steward of a run needs. No other run has its nonce.
    pub(crate) fn settings(&self, stream: &str, start: IteratorType) -> Settings {
        Settings {
            worker: self.worker.clone(),
            process: format!("{}/{:016x}", self.worker, fastrand::u64(..)),
            marks: Marks {
                failover: self.failover,
                limit: self.max_leases,
                stream: stream.to_owned(),
            },
            patience: self.handoff_patience,
            budget: f64::from(self.read_budget),
            retires: self.retires,
            start,
        }
    }
}

impl fmt::Debug for Leases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leases")
            .field("worker_id", &self.worker)
            .field("failover", &self.failover)
            .field("max_leases", &self.max_leases)
            .field("handoff_patience", &self.handoff_patience)
            .field("read_budget", &self.read_budget)
            .field("retire_rows", &self.retires)
            .field("give_up_after", &self.give_up_after)
            .finish_non_exhaustive()
    }
}

/// The host, the process and chance: a program that is started again on its host is another worker.
fn default_worker() -> String {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let is_kept = |char: &char| char.is_ascii_alphanumeric() || "-._".contains(*char);
    let host: String = host.chars().filter(is_kept).take(MAX_HOST).collect();
    let host = if host.is_empty() { "host" } else { &host };
    format!("{host}-{}-{:016x}", process::id(), fastrand::u64(..))
}

/// The position of a lease; none of a row that is no lease, or of a shard of which nothing is done.
fn position(item: &Item, stream: &str) -> Result<Option<(String, Position)>, StoreError> {
    let misread =
        |why: Misread| StoreError::fatal("reading a position failed").with_source(why.into_kind());
    let Seen::Lease(row) = read(item).map_err(misread)? else { return Ok(None) };
    row.check_stream(stream).map_err(misread)?;
    let start = row.checkpoint.start(None);
    let stored = |start| match start {
        Start::Stored(position) => Some(position),
        Start::TrimHorizon | Start::Configured => None,
    };
    // KCL keeps no number of a shard that is done.
    Ok(start.ok().and_then(stored).map(|position| (row.shard, position)))
}

fn read_only() -> StoreError {
    StoreError::fatal("a position of a fleet is written by the consumer that holds the lease")
}

fn unread(error: LeaseTableError) -> StoreError {
    let told = "the table of leases was not read";
    let error_of = match error.kind() {
        LeaseTableErrorKind::Throttled | LeaseTableErrorKind::Transient => StoreError::retry(told),
        LeaseTableErrorKind::NoTable | LeaseTableErrorKind::Fatal => StoreError::fatal(told),
    };
    error_of.with_source(error)
}
