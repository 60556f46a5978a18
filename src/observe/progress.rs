//! How far a consumer has come.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use crate::error::client::ErrorClass;
use crate::model::notice::ShardState;
use crate::model::position::Position;
use crate::observe::fleet::FleetProgress;

/// How far a consumer has come, shard by shard; see [`Monitor::progress`](crate::Monitor::progress).
///
/// Not an atomic snapshot: shards are read one after another.
///
/// With feature `serde` it is written field by field: a [`Duration`] as seconds, a time as RFC 3339 text in UTC, a
/// position as its [key](Position::key), and a state, an error class, a call and a kind of error as in the labels of the metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// The shards that were started, or wait for their parents, in the order of their ids. A shard that was read to its
    /// end stays.
    pub shards: Vec<ShardProgress>,
    /// How much of the [`Budget`](crate::Budget) is in use, in bytes, including other streams that share it.
    pub budget_used: usize,
    /// How the consumer fares in its fleet; `None` for one that shares its shards with nobody.
    pub fleet: Option<FleetProgress>,
}

/// How far one shard has come since the consumer began.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShardProgress {
    /// The shard's id.
    pub shard: String,
    /// What it does now. [`Handling`](ShardState::Handling) and [`Parked`](ShardState::Parked) win over what the reader
    /// does.
    pub state: ShardState,
    /// The end of the last batch that was sent to the handler or the receiver.
    pub read: Option<Position>,
    /// The last position that the store is known to hold.
    pub stored: Option<Position>,
    /// How many records were sent to the handler or the receiver; a batch that is retried counts once.
    pub records: u64,
    /// How many bytes of data they had.
    pub bytes: u64,
    /// How many user records of aggregates were left out, because they belong to another shard; only with feature `kpl`
    /// and `Deaggregation::WithinShard`. See [`Notice::LeftOut`](crate::Notice::LeftOut).
    pub left_out: u64,
    /// How many calls of `GetRecords` were answered.
    pub answers: u64,
    /// How far reading may be behind the newest record: what the last answer said, to the millisecond, plus the time
    /// since then while calls fail or hang, or the shard waits for its handler, for the
    /// [`Budget`](crate::Budget) or in a pause. `None` if that time is zero and the server does not say how far; some
    /// servers always say 0. It is 0 for a shard that was read to its end.
    pub behind_latest: Option<Duration>,
    /// While calls fail, the time since the first failure after the last answer; an expired iterator is no failure.
    /// `None` if calls are answered.
    pub failing: Option<Duration>,
    /// How long ago the last answer came.
    pub answered: Option<Duration>,
    /// Time since the last empty answer that was not behind: everything until then was sent. A closed shard may get
    /// such an answer before its end.
    pub caught_up: Option<Duration>,
    /// How long ago a batch was last committed.
    pub committed: Option<Duration>,
    /// When the newest committed record arrived in the stream, by the service's clock, if known.
    pub committed_arrival: Option<SystemTime>,
    /// How often the handler failed on a batch, or a part of one.
    pub handler_failures: u64,
    /// How many records were put aside by the dead-letter callback.
    pub dead_letters: u64,
    /// How many calls failed, by class. An expired iterator counts too, and does no harm.
    pub errors: BTreeMap<ErrorClass, u64>,
}

impl Progress {
    /// How many records were sent, of all shards.
    pub fn records(&self) -> u64 {
        self.shards.iter().map(|shard| shard.records).sum()
    }

    /// How many bytes of data they had.
    pub fn bytes(&self) -> u64 {
        self.shards.iter().map(|shard| shard.bytes).sum()
    }

    /// How many calls failed, of all shards, by class.
    pub fn errors(&self) -> BTreeMap<ErrorClass, u64> {
        let mut all = BTreeMap::new();
        for (class, count) in self.shards.iter().flat_map(|shard| &shard.errors) {
            *all.entry(*class).or_default() += count;
        }
        all
    }

    /// How far the shard that is furthest behind may be [behind](ShardProgress::behind_latest) the newest record.
    pub fn behind_latest(&self) -> Option<Duration> {
        self.shards.iter().filter_map(|shard| shard.behind_latest).max()
    }

    /// The shard of this id.
    pub fn shard(&self, id: &str) -> Option<&ShardProgress> {
        self.shards.iter().find(|shard| shard.shard == id)
    }
}

impl ShardProgress {
    /// A shard of which nothing was read.
    pub(crate) fn new(shard: &str, state: ShardState) -> Self {
        Self {
            shard: shard.to_owned(),
            state,
            read: None,
            stored: None,
            records: 0,
            bytes: 0,
            left_out: 0,
            answers: 0,
            behind_latest: None,
            failing: None,
            answered: None,
            caught_up: None,
            committed: None,
            committed_arrival: None,
            handler_failures: 0,
            dead_letters: 0,
            errors: BTreeMap::new(),
        }
    }

    /// The same a while later, if nothing has happened since.
    pub(crate) fn after(&self, time: Duration) -> Self {
        let later = |age: Option<Duration>| age.map(|age| age.saturating_add(time));
        let (answered, caught_up) = (later(self.answered), later(self.caught_up));
        Self { answered, caught_up, committed: later(self.committed), ..self.clone() }
    }
}
