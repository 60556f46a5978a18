//! How a consumer fares in its fleet.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::error::lease_table::LeaseTableErrorKind;
use crate::model::lease_call::LeaseCall;

/// What a consumer knows of its fleet, and how its table of leases answers; see [`Progress::fleet`](crate::Progress::fleet).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FleetProgress {
    /// The consumer's id as a worker of the fleet.
    pub worker: String,
    /// How many leases it holds. A shard that was read to its end does not count.
    pub held: usize,
    /// How many it should hold, by the last survey; 0 after a stop.
    pub target: usize,
    /// How many workers lived at the last survey, this one included; 0 before the first.
    pub workers: usize,
    /// How many leases nobody held at the last survey: they had no owner, or an owner that wrote nothing for the failover
    /// time. Shards that are read to their ends do not count. If it stays above 0, the workers hold as many as they may.
    pub unowned: usize,
    /// How long ago the last write of a lease was sent that is known to be done, of the held lease for which this is longest
    /// ago; `None` if none is held. At nine tenths of the failover time its shard is [fenced](crate::Notice::Fenced).
    pub oldest_beat: Option<Duration>,
    /// How long ago the last survey of the whole table ended; `None` before the first.
    pub surveyed: Option<Duration>,
    /// How many calls of the table were made, by what they were for, those that failed included.
    pub calls: BTreeMap<LeaseCall, u64>,
    /// How many writes the table refused, because another worker was quicker, or an earlier attempt was done. Some are
    /// normal while leases move.
    pub refused: u64,
    /// How many calls failed, by the kind of their errors.
    pub errors: BTreeMap<LeaseTableErrorKind, u64>,
}

impl FleetProgress {
    /// The same a while later, if nothing has happened since.
    pub(crate) fn after(&self, time: Duration) -> Self {
        let later = |age: Option<Duration>| age.map(|age| age.saturating_add(time));
        let (oldest_beat, surveyed) = (later(self.oldest_beat), later(self.surveyed));
        Self { oldest_beat, surveyed, ..self.clone() }
    }
}
