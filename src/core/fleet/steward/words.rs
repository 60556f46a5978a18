//! What a steward says and hears.

use std::time::Duration;

use crate::core::event::{Event, StartAt};
use crate::core::fleet::held::Moment;
use crate::core::fleet::lease::protocol::Newer;
use crate::core::fleet::lease::refused::Loss;
use crate::core::fleet::lease::row::Misread;
use crate::core::fleet::lease::writes::{Birth, Tenure};
use crate::core::fleet::steward::commit::lost;
use crate::error::Error;
use crate::error::fleet::FleetErrorKind;
use crate::error::lease_table::{LeaseTableError, LeaseTableErrorKind};
use crate::model::item::Item;
use crate::model::page::{Page, PageToken};
use crate::model::write::{Applied, Write};

/// A call of the table that is to be made now; the steward wants its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// Some rows.
    Page { after: Option<PageToken> },
    /// What the coordinator of KCL 3 has written, if there is one.
    Coordinator,
    /// One row, as it was last written.
    Get { shard: String },
    /// A conditional write.
    Write(Box<Job>),
}

/// The answer to a call.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// Of `Page`.
    Page(Result<Page, LeaseTableError>),
    /// Of `Coordinator` and of `Get`.
    Item(Result<Option<Item>, LeaseTableError>),
    /// Of `Write`.
    Applied(Result<Applied, LeaseTableError>),
}

/// A write, and what it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Job {
    /// The write.
    pub(crate) write: Write,
    /// What it is for.
    pub(crate) act: Act,
    /// When it was decided: later it may be wrong.
    pub(super) made: Moment,
    /// When it was sent first: an attempt without an answer may be the one that was done.
    pub(super) sent: Option<Moment>,
    /// Not before this time, after a failure.
    pub(super) due: Duration,
    /// How often it failed.
    pub(super) failures: u32,
}

/// What a write is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Shows that this process lives.
    Beat { epoch: u64 },
    /// Takes a lease; `from` had it before.
    Take { tenure: Tenure, from: Option<String> },
    /// Begins to hold a lease that was handed over; by `from`, if that is known.
    Accept { tenure: Tenure, from: Option<String> },
    /// Asks the worker `of` for a lease.
    Ask { of: String },
    /// Hands a lease over to the worker `to`, which has asked for it.
    HandOver { epoch: u64, to: String },
    /// Gives a lease up; `is_withdrawn` if that is because the worker that has asked for it wants it no more.
    Release { epoch: u64, is_withdrawn: bool },
    /// Frees a row that names this worker, which wants its lease no more.
    LetGo,
    /// Says that a shard is done which has left the stream.
    Expire { epoch: u64 },
    /// Creates a lease.
    Create(Birth),
    /// Deletes the lease of a shard that is done.
    Retire,
}

/// What a steward tells the consumer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum News {
    /// A lease is held: `from` had it before.
    Gained { shard: String, from: Option<String> },
    /// A shard whose lease is held may be read, from there.
    Leased { shard: String, at: StartAt, epoch: u64 },
    /// A lease is to be given up, after what was read is handled: to the worker that has asked for it, if one has.
    Asked { shard: String, epoch: u64, by: Option<String> },
    /// A lease is lost.
    Lost { shard: String, epoch: u64, why: Loss },
    /// A lease was handed over, or released.
    Left { shard: String, to: Option<String> },
    /// No batch of the shard may be handed over for now: somebody else may hold its lease.
    Fenced { shard: String },
    /// Batches may be handed over again: nobody took the lease.
    Unfenced { shard: String },
    /// All calls of the table have failed for this long, longer than a third of the failover time; why the last one did.
    Outage { lasted: Duration, why: String },
    /// The table answers again, after this time.
    Answers { lasted: Duration },
    /// KCL says another version than before, which is understood.
    Protocol { version: String },
    /// The stream must be listed.
    ListingWanted,
    /// Every shard is done to its end.
    Completed,
    /// A process runs that must not run beside this one, which stays all the same.
    Beside(Refusal),
    /// Nothing can go on.
    Failed(Refusal),
}

/// Why a process cannot take part in a fleet.
#[derive(Clone, Debug)]
pub(crate) enum Refusal {
    /// A protocol that is not understood.
    Protocol(Newer),
    /// Another process has the same name.
    WorkerIdInUse {
        /// The worker.
        worker: String,
    },
    /// Another worker waits for another time before it takes a lease.
    FailoverDiffers {
        /// The other worker.
        worker: String,
        /// Its time.
        theirs: Duration,
        /// This worker's.
        ours: Duration,
    },
    /// A row that is not understood, or is about another stream.
    Row(Misread),
    /// Rows are about an earlier stream of the same name.
    Recreated {
        /// The shards.
        shards: Vec<String>,
    },
    /// The table cannot be used.
    Table(LeaseTableError),
}

impl News {
    /// What follows from it for the consumer of this stream; `None` if people alone need to know it.
    pub(crate) fn event(&self, stream: &str) -> Option<Event> {
        let event = match self.clone() {
            Self::Leased { shard, at, epoch } => Event::Leased { shard, at, epoch },
            Self::Asked { shard, epoch, .. } => Event::Asked { shard, epoch },
            Self::Lost { shard, epoch, why } => Event::LeaseLost { shard, epoch, why: lost(&why) },
            Self::ListingWanted => Event::ListingWanted,
            Self::Completed => Event::Completed,
            Self::Failed(refusal) => {
                let (stream, kind) = (stream.to_owned(), refusal.into_kind());
                Event::Failed(Error::Fleet { stream, kind })
            }
            Self::Gained { .. }
            | Self::Left { .. }
            | Self::Fenced { .. }
            | Self::Unfenced { .. }
            | Self::Outage { .. }
            | Self::Answers { .. }
            | Self::Protocol { .. }
            | Self::Beside(_) => return None,
        };
        Some(event)
    }
}

impl Answer {
    /// Why there is none.
    pub(crate) fn failure(&self) -> Option<&LeaseTableError> {
        match self {
            Self::Page(outcome) => outcome.as_ref().err(),
            Self::Item(outcome) => outcome.as_ref().err(),
            Self::Applied(outcome) => outcome.as_ref().err(),
        }
    }
}

impl Job {
    pub(super) fn new(write: Write, act: Act, made: Moment) -> Self {
        Self { write, act, made, sent: None, due: Duration::ZERO, failures: 0 }
    }

    /// Whether others wait for it: a lease that is handed over, given up or accepted is read by nobody meanwhile.
    pub(super) fn is_urgent(&self) -> bool {
        matches!(
            self.act,
            Act::HandOver { .. }
                | Act::Release { .. }
                | Act::LetGo
                | Act::Accept { .. }
                | Act::Expire { .. }
        )
    }

    /// Whether a lease is held after it.
    pub(super) fn gains(&self) -> bool {
        matches!(self.act, Act::Take { .. } | Act::Accept { .. })
    }

    /// Whether it is for a lease that is not held yet.
    pub(super) fn wants(&self) -> bool {
        self.gains() || matches!(self.act, Act::Ask { .. })
    }
}

impl PartialEq for Refusal {
    /// By all that it has: errors are not compared otherwise.
    fn eq(&self, other: &Self) -> bool {
        format!("{self:?}") == format!("{other:?}")
    }
}

impl Refusal {
    /// What the user is told.
    pub(crate) fn into_kind(self) -> FleetErrorKind {
        use FleetErrorKind::{NewerProtocol, NoTable, Table};
        match self {
            Self::Protocol(newer) => NewerProtocol { version: newer.cv },
            Self::WorkerIdInUse { worker } => FleetErrorKind::WorkerIdInUse { worker },
            Self::FailoverDiffers { worker, theirs, ours } => {
                FleetErrorKind::FailoverDiffers { worker, theirs, ours }
            }
            Self::Row(misread) => misread.into_kind(),
            Self::Recreated { shards } => FleetErrorKind::Recreated { shards },
            Self::Table(source) if source.kind() == LeaseTableErrorKind::NoTable => {
                NoTable { source }
            }
            Self::Table(source) => Table { source },
        }
    }
}
