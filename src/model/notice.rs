//! What the user is told of while the consumer goes on.

use std::fmt;
use std::time::Duration;

use crate::model::gap::Gap;

/// Something that does not stop the consumer, and that somebody should know.
///
/// Each is logged as a warning too. See [`Config::on_notice`](crate::Config::on_notice).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Notice {
    /// Reading goes on behind a gap, as the configuration says.
    Gap(Gap),
    /// A shard has made no progress for [`Config::stall_after`](crate::Config::stall_after): no answer came,
    /// nothing was sent, nothing was handled. Told once, until it goes on.
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
    /// was near. Amazon's producer library does that only if it had put nothing for a long time, and sends them again. Of
    /// any other aggregator they are lost to the consumer: read its records with `Deaggregation::All`. Told once for
    /// each shard.
    ///
    /// A split or a merge is near for 10 minutes after the first known record of a shard that has parents, and for 10
    /// minutes before the end of a shard; also where arrival times are unknown.
    #[non_exhaustive]
    LeftOut {
        /// The shard.
        shard: String,
        /// How many user records were left out so far. [`ShardProgress::left_out`](crate::ShardProgress::left_out)
        /// counts on.
        records: u64,
    },
    /// A shard that had stalled goes on.
    #[non_exhaustive]
    Resumed {
        /// The shard.
        shard: String,
    },
}

/// What a shard does, or waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ShardState {
    /// The shards that it descends from are not read to their ends yet.
    WaitingForParents,
    /// Between two calls, by the interval.
    Idle,
    /// There is no room for the next answer in the [`Budget`](crate::Budget).
    WaitingForBudget,
    /// A call is in progress.
    Calling,
    /// A call, or a write of its start to the store, failed, and will be tried again.
    BackingOff,
    /// Its start is being written to the store.
    Storing,
    /// The next batch waits for a place in the channel, or for an earlier batch to be handled.
    WaitingForChannel,
    /// The handler has one of its batches.
    Handling,
    /// The handler refused a batch, which waits to be tried again.
    Parked,
    /// Nothing more is read of it until somebody [resumes](crate::Pauses::resume) it.
    Paused,
    /// An answer said, without saying why, that the shard has ended: the stream is listed, to know whether it has.
    ConfirmingEnd,
    /// It was read to its end.
    Ended,
}

impl ShardState {
    /// Every state, in the order of their numbers.
    pub(crate) const ALL: [Self; 12] = [
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
            Self::ConfirmingEnd => "asking whether it has ended",
            Self::Ended => "ended",
        })
    }
}
