//! Events that the user is told of while the consumer continues.

use std::fmt;
use std::time::Duration;

use crate::model::gap::Gap;

/// An event that does not stop the consumer, and that you should know.
///
/// Each is logged too: what comes with every move of a lease as information, all else as a warning. See [`Config::on_notice`](crate::Config::on_notice).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Notice {
    /// Reading continues after a gap, as the configuration says.
    Gap(Gap),
    /// A shard has made no progress for [`Config::stall_after`](crate::Config::stall_after): no answer came,
    /// nothing was sent, nothing was handled. Reported once, until it makes progress again.
    #[non_exhaustive]
    Stalled {
        /// The shard.
        shard: String,
        /// What it waits for.
        state: ShardState,
        /// How long ago it last made progress.
        age: Duration,
    },
    /// User records of aggregates were left out of a shard by `Deaggregation::WithinShard`, while no split and no merge
    /// was near. With Amazon's producer library this happens only if it had put nothing for a long time, and it sends
    /// them again. User records of any other aggregator are lost to the consumer: read them with `Deaggregation::All`.
    /// Reported once for each shard.
    ///
    /// A split or a merge is near for 10 minutes after the first known record of a shard that has parents, and for 10
    /// minutes before the end of a shard; also if arrival times are unknown.
    #[non_exhaustive]
    LeftOut {
        /// The shard.
        shard: String,
        /// How many user records were left out so far. [`ShardProgress::left_out`](crate::ShardProgress::left_out)
        /// continues to count.
        records: u64,
    },
    /// A shard that had stalled makes progress again.
    #[non_exhaustive]
    Resumed {
        /// The shard.
        shard: String,
    },
    /// The consumer has lost the shard: somebody else owns it or, in a fleet, may take it. It is not read any more, and its
    /// batches in the queue are not handled. All other shards continue. Its children are left to the owner; in a fleet each
    /// of them has a lease of its own.
    ///
    /// A batch that the handler has at this moment is handled to its end, and its commit fails.
    #[non_exhaustive]
    Lost {
        /// The shard.
        shard: String,
        /// How that is known.
        why: LossReason,
    },
    /// In a fleet, the consumer holds the lease of the shard from now on, and nobody else reads it. No batch of it comes
    /// before this notice. It is read when its parents are read to their ends, whoever reads them.
    ///
    /// The lease is held until a `Lost` or a `Released` of the shard, or until the shard is read to its end, which no notice
    /// tells.
    #[non_exhaustive]
    Gained {
        /// The shard.
        shard: String,
        /// The worker that held the lease before, if there was one.
        from: Option<String>,
    },
    /// In a fleet, the lease of the shard was given up in good order, for another worker or at a stop: everything that was
    /// read is committed, or was dropped.
    #[non_exhaustive]
    Released {
        /// The shard.
        shard: String,
        /// The worker that has asked for the lease; without one, whoever comes first takes it.
        to: Option<String>,
    },
    /// In a fleet, no write of the lease was done in time, so that another worker may have taken it: no batch of the shard is
    /// handed to the handler. `Unfenced`, `Lost` or `Released` follows.
    ///
    /// A receiver of yours gets its batches all the same: ask [`Batch::is_current`](crate::Batch::is_current).
    #[non_exhaustive]
    Fenced {
        /// The shard.
        shard: String,
    },
    /// In a fleet, nobody has taken the lease of a fenced shard: its batches are handed over again, and none was lost or
    /// repeated.
    #[non_exhaustive]
    Unfenced {
        /// The shard.
        shard: String,
    },
    /// In a fleet, all calls of the table of leases have failed for longer than a third of the failover time. Told once for
    /// each outage. Shards are fenced soon if it lasts.
    #[non_exhaustive]
    TableOutage {
        /// For how long.
        since: Duration,
    },
    /// In a fleet, the table of leases answers again.
    #[non_exhaustive]
    TableRecovered {
        /// How long it did not.
        lasted: Duration,
    },
    /// In a fleet, Amazon's library says in the table that the application's version has changed, to one beside which this
    /// consumer may run. It may change again, to one that ends this consumer.
    #[non_exhaustive]
    Protocol {
        /// The version in the words of Amazon's library, such as `CLIENT_VERSION_UPGRADE_FROM_2X`.
        version: String,
    },
}

/// How it is known that a shard is lost: somebody else owns it or, in a fleet, may take it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LossReason {
    /// The store said so of this shard, with [`StoreErrorKind::Lost`](crate::StoreErrorKind::Lost).
    Store,
    /// The store said so of a shard that this one descends from.
    Ancestor,
    /// In a fleet, the row of its lease is another worker's. That worker saw no write of this consumer for the failover
    /// time; or it had asked for the lease, and did not get it within its
    /// [`handoff_patience`](crate::Fleet::handoff_patience) and the failover time; or it takes leases without asking, as KCL 2
    /// does.
    #[non_exhaustive]
    Taken {
        /// The worker that holds it, which may be this one, by a later write; `None` if nobody does.
        by: Option<String>,
    },
    /// In a fleet, somebody has deleted the row of its lease.
    RowGone,
    /// In a fleet, somebody has written something into the row of its lease that is not understood.
    RowUnreadable,
    /// In a fleet, this consumer gave it up: nothing of it was committed for
    /// [`give_up_after`](crate::Fleet::give_up_after).
    #[non_exhaustive]
    GivenUp {
        /// For how long nothing was committed.
        after: Duration,
    },
}

/// What a shard does, or waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ShardState {
    /// Its parents or older ancestors are not read to their ends yet.
    WaitingForParents,
    /// Between two calls, by the interval.
    Idle,
    /// There is no room for the next answer in the [`Budget`](crate::Budget).
    WaitingForBudget,
    /// A call is in progress.
    Calling,
    /// A call, or a write of its start to the store, failed, and will be retried.
    BackingOff,
    /// Its start is being written to the store.
    Storing,
    /// The next batch waits for a place in the channel, or for an earlier batch to be handled.
    WaitingForChannel,
    /// The handler has one of its batches.
    Handling,
    /// The handler refused a batch, which waits for another attempt.
    Parked,
    /// Nothing more is read of it until somebody [resumes](crate::Pauses::resume) it.
    Paused,
    /// An answer said that the shard has ended, but named no children: the stream is listed to confirm the end.
    ConfirmingEnd,
    /// In a fleet, its lease could not be kept up, so that its batches wait: see [`Notice::Fenced`].
    Fenced,
    /// In a fleet, its lease is given up when everything that was read is handled: nothing more is read.
    Draining,
    /// It was read to its end.
    Ended,
    /// It is lost: somebody else owns it or, in a fleet, may take it. See [`Notice::Lost`].
    Lost,
}

impl ShardState {
    /// Every state, in the order of their numbers.
    pub(crate) const ALL: [Self; 15] = [
        Self::WaitingForParents,
        Self::Idle,
        Self::WaitingForBudget,
        Self::Calling,
        Self::BackingOff,
        Self::Storing,
        Self::WaitingForChannel,
        Self::Handling,
        Self::Parked,
        Self::Paused,
        Self::ConfirmingEnd,
        Self::Fenced,
        Self::Draining,
        Self::Ended,
        Self::Lost,
    ];

    /// The value of the label `state`.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::WaitingForParents => "waiting_for_parents",
            Self::Idle => "idle",
            Self::WaitingForBudget => "waiting_for_budget",
            Self::Calling => "calling",
            Self::BackingOff => "backing_off",
            Self::Storing => "storing",
            Self::WaitingForChannel => "waiting_for_channel",
            Self::Handling => "handling",
            Self::Parked => "parked",
            Self::Paused => "paused",
            Self::ConfirmingEnd => "confirming_end",
            Self::Fenced => "fenced",
            Self::Draining => "draining",
            Self::Ended => "ended",
            Self::Lost => "lost",
        }
    }
}

impl fmt::Display for ShardState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WaitingForParents => "waiting for its parents",
            Self::Idle => "between two calls",
            Self::WaitingForBudget => "waiting for room in the budget",
            Self::Calling => "in a call",
            Self::BackingOff => "backing off",
            Self::Storing => "writing to the store",
            Self::WaitingForChannel => "waiting for a place in the channel",
            Self::Handling => "in the handler",
            Self::Parked => "parked for another attempt",
            Self::Paused => "paused",
            Self::ConfirmingEnd => "confirming its end",
            Self::Fenced => "fenced, since its lease could not be kept up",
            Self::Draining => "draining, since its lease is given up",
            Self::Ended => "ended",
            Self::Lost => "lost to somebody else",
        })
    }
}

impl LossReason {
    /// The values of the label `why`, in the order of `index`.
    pub(crate) const LABELS: [&str; 6] =
        ["store", "ancestor", "taken", "row_gone", "row_unreadable", "given_up"];

    /// Its place in `LABELS`.
    pub(crate) fn index(&self) -> usize {
        match self {
            Self::Store => 0,
            Self::Ancestor => 1,
            Self::Taken { .. } => 2,
            Self::RowGone => 3,
            Self::RowUnreadable => 4,
            Self::GivenUp { .. } => 5,
        }
    }
}
