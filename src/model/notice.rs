//! Events that the user is told of while the consumer continues.

use std::fmt;
use std::time::Duration;

use crate::model::gap::Gap;

/// An event that does not stop the consumer, and that you should know.
///
/// Each is logged as a warning too. See [`Config::on_notice`](crate::Config::on_notice).
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
    /// Somebody else owns the shard: the store said so, with [`StoreErrorKind::Lost`](crate::StoreErrorKind::Lost), of
    /// this shard or of one that it descends from. It is not read any more, its batches in the queue are not handled, and
    /// its children are left to the owner. All other shards continue.
    #[non_exhaustive]
    Lost {
        /// The shard.
        shard: String,
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
    /// It was read to its end.
    Ended,
    /// Somebody else owns it: see [`Notice::Lost`].
    Lost,
}

impl ShardState {
    /// Every state, in the order of their numbers.
    pub(crate) const ALL: [Self; 13] = [
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
            Self::Ended => "ended",
            Self::Lost => "owned by somebody else",
        })
    }
}
