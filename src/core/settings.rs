//! The settings of the core: plain values, without callbacks.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::model::position::IteratorType;

/// What to do when a stored position is [`Gap::Foreign`](crate::Gap::Foreign) or
/// [`Gap::Recreated`](crate::Gap::Recreated) at the start.
///
/// A stream that is deleted and created again while it is read always stops with [`Error::Gap`](crate::Error::Gap): the new
/// one may have other shards. The next start decides by this.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OnGap {
    /// Stop with [`Error::Gap`](crate::Error::Gap).
    #[default]
    Fail,
    /// Forget the position, and read the shard from its oldest record.
    Earliest,
    /// Forget the position, and read the shard from what arrives next.
    Latest,
}

/// The choices of the user.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) stream: String,
    pub(crate) iterator_type: IteratorType,
    /// `None`: all shards.
    pub(crate) chosen: Option<BTreeSet<String>>,
    pub(crate) on_gap: OnGap,
}

/// How the stream as a whole is read.
#[derive(Clone, Debug)]
pub(crate) struct StreamSettings {
    pub(crate) interval: Duration,
    pub(crate) start_patience: Duration,
    pub(crate) max_outage: Option<Duration>,
    pub(crate) store_patience: Duration,
    pub(crate) store_every: Option<StoreEvery>,
}

/// How one shard is read.
#[derive(Clone, Debug)]
pub(crate) struct ShardSettings {
    pub(crate) interval: Duration,
    pub(crate) catch_up_interval: Option<Duration>,
    pub(crate) limit: u32,
    pub(crate) max_outage: Option<Duration>,
    pub(crate) store_patience: Duration,
    pub(crate) on_gap: OnGap,
    pub(crate) fail_on_trim: bool,
}

/// How often positions are stored: after a number of batches, or a time after the first of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StoreEvery {
    pub(crate) batches: u32,
    pub(crate) time: Duration,
}
