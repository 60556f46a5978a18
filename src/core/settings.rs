//! The settings of the core: plain values, without callbacks.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::model::position::IteratorType;

/// What to do about a [`Gap`](crate::Gap): a choice for each of the two ways in which reading cannot continue exactly.
///
/// ```
/// use kinesis_consumer::{Config, OnForeign, OnGap, OnTrimmed};
///
/// let strict = OnGap::new().trimmed(OnTrimmed::Fail);
/// let lenient = OnGap::new().foreign(OnForeign::Earliest);
/// for on_gap in [strict, lenient] {
///     let config = Config::new().on_gap(on_gap);
/// #   drop(config);
/// }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[must_use]
pub struct OnGap {
    pub(crate) trimmed: OnTrimmed,
    pub(crate) foreign: OnForeign,
}

/// What to do about records that may have left the stream before they were read: [`Gap::Trimmed`](crate::Gap::Trimmed).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OnTrimmed {
    /// Report it, and continue at the oldest record.
    #[default]
    Report,
    /// Stop with [`Error::Gap`](crate::Error::Gap).
    Fail,
}

/// What to do about a stored position of another stream: [`Gap::Foreign`](crate::Gap::Foreign), or
/// [`Gap::Recreated`](crate::Gap::Recreated).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OnForeign {
    /// Stop with [`Error::Gap`](crate::Error::Gap).
    #[default]
    Fail,
    /// Report it, forget the position, and read the shard from its oldest record.
    Earliest,
    /// Report it, forget the position, and read the shard from the next record that arrives.
    Latest,
}

impl OnGap {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// What to do about records that may have left the stream before they were read. Defaults to
    /// [`OnTrimmed::Report`].
    pub fn trimmed(mut self, trimmed: OnTrimmed) -> Self {
        self.trimmed = trimmed;
        self
    }

    /// What to do at the start about a stored position that the service does not know, or that is older than the
    /// shard. Defaults to [`OnForeign::Fail`].
    ///
    /// A stream that is deleted and created again while it is read always stops with
    /// [`Error::Gap`](crate::Error::Gap): the new one may have other shards. The next start decides by this.
    pub fn foreign(mut self, foreign: OnForeign) -> Self {
        self.foreign = foreign;
        self
    }
}

/// The choices of the user.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) stream: String,
    pub(crate) iterator_type: IteratorType,
    /// `None`: all shards.
    pub(crate) chosen: Option<BTreeSet<String>>,
    pub(crate) on_foreign: OnForeign,
}

/// How the stream as a whole is read.
#[derive(Clone, Debug)]
pub(crate) struct StreamSettings {
    pub(crate) interval: Duration,
    pub(crate) start_patience: Duration,
    pub(crate) max_outage: Option<Duration>,
    pub(crate) store_patience: Duration,
    pub(crate) store_every: Option<StoreEvery>,
    /// Whether a table of leases says which shards are read: other processes read the rest.
    pub(crate) is_fleet: bool,
}

/// When the children of a shard may be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChildrenStart {
    /// When its last batch was sent.
    Sent,
    /// When its last batch was handled.
    Handled,
}

impl ChildrenStart {
    /// A batch that waits for another attempt (`parks`), or is in another worker's hands (`has_workers`), would come
    /// after what its children hold.
    pub(crate) fn after(parks: bool, has_workers: bool) -> Self {
        if parks || has_workers { Self::Handled } else { Self::Sent }
    }
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
    pub(crate) children_start: ChildrenStart,
}

impl StreamSettings {
    /// In a fleet leases say which shards are read.
    pub(crate) fn in_fleet(self) -> Self {
        Self { is_fleet: true, ..self }
    }
}

impl ShardSettings {
    /// In a fleet whoever holds a lease waits for the table.
    pub(crate) fn in_fleet(self) -> Self {
        Self { store_patience: Duration::MAX, ..self }
    }
}

/// How often positions are stored: after a number of batches, or a time after the first of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StoreEvery {
    pub(crate) batches: u32,
    pub(crate) time: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_choice_leaves_the_other_as_it_was() {
        let both = OnGap { trimmed: OnTrimmed::Fail, foreign: OnForeign::Latest };
        assert_eq!(OnGap::new().trimmed(OnTrimmed::Fail).foreign(OnForeign::Latest), both);
        assert_eq!(OnGap::new().foreign(OnForeign::Latest).trimmed(OnTrimmed::Fail), both);
    }
}
