//! How a stream is read.

use std::time::Duration;

use crate::budget::Budget;
use crate::core::settings::{ChildrenStart, OnGap, ShardSettings, StoreEvery, StreamSettings};
use crate::delivery::on_error::OnError;
#[cfg(test)]
use crate::delivery::tenancy::Tenancies;
use crate::error::Error;
use crate::model::notice::Notice;
use crate::model::position::IteratorType;
use crate::model::time::spoken;
use crate::observe::audience::Audience;
#[cfg(feature = "kpl")]
use crate::record::aggregate::Deaggregation;
use crate::sync;

/// The most records that Amazon gives in one answer.
const MAX_LIMIT: u32 = 10_000;
/// A longer interval would be longer than the shortest retention, and lose records.
const MAX_INTERVAL: Duration = Duration::from_secs(24 * 60 * 60);
/// With a shorter time the watchdog would do nothing else.
const MIN_STALL: Duration = Duration::from_millis(1);
/// More batches than this would only wait longer for the handler. A channel allocates all of its places at the start.
pub(crate) const MAX_CAPACITY: usize = 1 << 14;

/// How a stream is read: start from [`Config::new`] and change what you need.
///
/// ```
/// use std::time::Duration;
/// use kinesis_consumer::{Config, IteratorType};
///
/// let config = Config::new()
///     .interval(Duration::from_millis(250))
///     .iterator_type(IteratorType::Latest);
/// # drop(config);
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Config {
    pub(crate) interval: Duration,
    pub(crate) catch_up_interval: Option<Duration>,
    pub(crate) iterator_type: IteratorType,
    pub(crate) limit: u32,
    pub(crate) capacity: usize,
    pub(crate) budget: Option<Budget>,
    pub(crate) start_patience: Duration,
    pub(crate) max_outage: Option<Duration>,
    pub(crate) store_patience: Duration,
    pub(crate) store_every: Option<StoreEvery>,
    pub(crate) on_error: OnError,
    pub(crate) on_gap: OnGap,
    #[cfg(feature = "kpl")]
    pub(crate) deaggregation: Deaggregation,
    pub(crate) stall_after: Option<Duration>,
    pub(crate) audience: Audience,
    /// Tests decide by themselves when batches may be handed over.
    #[cfg(test)]
    pub(crate) tenancies: Option<Tenancies>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(1),
            catch_up_interval: None,
            iterator_type: IteratorType::TrimHorizon,
            limit: MAX_LIMIT,
            capacity: 16,
            budget: None,
            start_patience: Duration::from_secs(30),
            max_outage: None,
            store_patience: Duration::from_secs(60),
            store_every: None,
            on_error: OnError::default(),
            on_gap: OnGap::default(),
            #[cfg(feature = "kpl")]
            deaggregation: Deaggregation::default(),
            stall_after: Some(Duration::from_secs(5 * 60)),
            audience: Audience::default(),
            #[cfg(test)]
            tenancies: None,
        }
    }
}

impl Config {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// The time from the start of one `GetRecords` of a shard to the start of its next; at most a day.
    ///
    /// Amazon allows five calls a second for each shard, shared by all its consumers, so less than
    /// 200 ms is throttled there. Defaults to 1 second.
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// A shorter interval for a shard that is behind, by what its last answer said
    /// (`MillisBehindLatest`); values above [`interval`](Self::interval) have no effect.
    ///
    /// Amazon allows five calls a second for each shard, so less than 200 ms is throttled even for a single
    /// consumer. Defaults to `None`: the interval is the same for all shards.
    pub fn catch_up_interval(mut self, interval: impl Into<Option<Duration>>) -> Self {
        self.catch_up_interval = interval.into();
        self
    }

    /// Where a shard starts if neither it nor an ancestor has a stored position. A sequence number is accepted only if one
    /// shard is read. A timestamp more than five minutes ahead of this machine's clock is refused. In a
    /// [`Fleet`](crate::Fleet) it counts for an empty table alone, and is no sequence number. Defaults to
    /// [`IteratorType::TrimHorizon`].
    pub fn iterator_type(mut self, iterator_type: IteratorType) -> Self {
        self.iterator_type = iterator_type;
        self
    }

    /// The most records asked for in one answer, 1 to 10,000. Defaults to 10,000, Amazon's maximum.
    pub fn limit(mut self, limit: u32) -> Self {
        self.limit = limit;
        self
    }

    /// How many batches may wait for the handler or the receiver, of all shards together, 1 to
    /// 16,384. Each of several workers has a channel of this capacity; all workers together have at most 16,384.
    /// When the channel is full, reading waits. A shard has at most two batches on their way to the
    /// handler, so that no shard fills the channel alone; with [`Stream::receiver`](crate::Stream::receiver)
    /// this bound does not exist. Defaults to 16.
    pub fn capacity(mut self, capacity: usize) -> Self {
        self.capacity = capacity;
        self
    }

    /// How much memory answers may take, in all shards together; at least 32 MiB. Streams that are given clones
    /// of one budget share it. Defaults to [`Budget::DEFAULT`], 64 MiB, for each stream.
    pub fn budget(mut self, budget: Budget) -> Self {
        self.budget = Some(budget);
        self
    }

    /// How long the service may be unreachable, or the stream in creation, before the first
    /// success; longer is an error. Defaults to 30 seconds.
    pub fn start_patience(mut self, patience: Duration) -> Self {
        self.start_patience = patience;
        self
    }

    /// How long calls for a shard may fail, after the first success, before that is an error; `None`
    /// retries for ever. A refusal that may pass, for example of keys shortly before their renewal, is retried
    /// as long; with `None` for a minute. Defaults to `None`.
    pub fn max_outage(mut self, outage: impl Into<Option<Duration>>) -> Self {
        self.max_outage = outage.into();
        self
    }

    /// How long the store may fail before that is an error. Defaults to 60 seconds. It has no effect in a
    /// [`Fleet`](crate::Fleet), which waits for its table.
    pub fn store_patience(mut self, patience: Duration) -> Self {
        self.store_patience = patience;
        self
    }

    /// Writes a shard's position after `batches` commits or `time`, whichever is first; at least 1 batch, at most a
    /// day.
    ///
    /// Fewer writes reach the store, and after a crash up to `batches` batches of each shard, or the batches of that
    /// `time`, come again. A shutdown and an error store all commits at once, a shard's end
    /// those of that shard.
    /// Defaults to storing at every commit, and in a [`Fleet`](crate::Fleet) after a fifth of its failover time or 1,000
    /// batches.
    pub fn store_every(mut self, batches: u32, time: Duration) -> Self {
        self.store_every = Some(StoreEvery { batches, time });
        self
    }

    /// What to do when the handler fails. It has no effect with [`Stream::receiver`](crate::Stream::receiver), where
    /// you handle and commit yourself. Defaults to [`OnError::stop`].
    pub fn on_error(mut self, on_error: OnError) -> Self {
        self.on_error = on_error;
        self
    }

    /// What to do about a [`Gap`](crate::Gap). By default records that left the stream before they were read are
    /// reported, and a stored position of another stream is an error.
    pub fn on_gap(mut self, on_gap: OnGap) -> Self {
        self.on_gap = on_gap;
        self
    }

    /// What to do with aggregated records of Amazon's producer library. User records have the sequence number of
    /// their aggregate, and [numbers](crate::Record::sub_sequence_number) of their own within it, from 0. An aggregate
    /// may be [committed in the middle](crate::Batch::commit_through), and is then resumed there. A record that only
    /// looks like an aggregate, with a wrong checksum or a broken message, is delivered as a plain record; the log
    /// warns of the first such record of a shard if its checksum is right. Defaults to [`Deaggregation::Off`].
    #[cfg(feature = "kpl")]
    pub fn deaggregation(mut self, deaggregation: Deaggregation) -> Self {
        self.deaggregation = deaggregation;
        self
    }

    /// A shard that makes no progress for this long is reported as [`Notice::Stalled`] (checked four times in it); at
    /// least a millisecond. Waiting for the interval or for parents that make progress is not a stall.
    /// Defaults to 5 minutes, the life of a shard iterator; `None` reports nothing.
    pub fn stall_after(mut self, time: impl Into<Option<Duration>>) -> Self {
        self.stall_after = time.into();
        self
    }

    /// Called for events that do not stop the consumer: skipped gaps, stalled and lost shards, user records that are left
    /// out of aggregates, and, in a fleet, what becomes of leases. It runs on
    /// threads of the consumer and must not block. A panic in it stops the consumer and reaches the caller
    /// of `listen` or `join`. Defaults to none; each event is logged too.
    pub fn on_notice(mut self, tell: impl Fn(&Notice) + Send + Sync + 'static) -> Self {
        self.audience = Audience::new(tell);
        self
    }

    /// How often positions are stored, if nobody has said it.
    pub(crate) fn stored_by_default(mut self, every: Option<StoreEvery>) -> Self {
        self.store_every = self.store_every.or(every);
        self
    }

    /// What the coordinator needs of it.
    pub(crate) fn stream_settings(&self) -> StreamSettings {
        StreamSettings {
            interval: self.interval,
            start_patience: self.start_patience,
            max_outage: self.max_outage,
            store_patience: self.store_patience,
            store_every: self.store_every,
            is_fleet: false,
        }
    }

    /// What a poller needs of it, where a shard's batches and those of its children may come to different workers, or
    /// not.
    pub(crate) fn shard_settings(&self, has_workers: bool) -> ShardSettings {
        ShardSettings {
            interval: self.interval,
            catch_up_interval: self.catch_up_interval,
            limit: self.limit,
            max_outage: self.max_outage,
            store_patience: self.store_patience,
            on_gap: self.on_gap,
            children_start: ChildrenStart::after(self.on_error.parks(), has_workers),
        }
    }

    // long: one check for each setting.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        let invalid = |setting, reason: String| Err(Error::InvalidSetting { setting, reason });
        if !(1..=MAX_LIMIT).contains(&self.limit) {
            return invalid("limit", format!("{} is not within 1 to {MAX_LIMIT}", self.limit));
        }
        if !(1..=MAX_CAPACITY).contains(&self.capacity) {
            let reason = format!("{} is not within 1 to {MAX_CAPACITY}", self.capacity);
            return invalid("capacity", reason);
        }
        if let Some(limit) = self.budget.as_ref().map(Budget::limit).filter(|it| *it < Budget::MIN)
        {
            let least = Budget::MIN >> 20;
            let reason = format!("{limit} bytes: at least {least} MiB, for the largest record");
            return invalid("budget", reason);
        }
        if self.on_error.max_attempts == Some(0) {
            return invalid("on_error", "0 attempts: at least 1, which is to stop at once".into());
        }
        if let Some(StoreEvery { batches, time }) = self.store_every {
            if batches == 0 || time > MAX_INTERVAL {
                let time = spoken(time);
                let reason = format!(
                    "{batches} batches or {time}: it must be at least 1 batch, and at most a day"
                );
                return invalid("store_every", reason);
            }
        }
        if self.stall_after.is_some_and(|time| time < MIN_STALL) {
            return invalid("stall_after", format!("it must be at least {}", spoken(MIN_STALL)));
        }
        if self.interval > MAX_INTERVAL {
            let reason = format!("{} is longer than a day", spoken(self.interval));
            return invalid("interval", reason);
        }
        let start = self.iterator_type.check(sync::wall());
        start.or_else(|reason| invalid("iterator_type", reason))
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn a_setting_out_of_range_is_named() {
        let cases = [
            (Config::new().limit(0), "limit"),
            (Config::new().limit(10_001), "limit"),
            (Config::new().capacity(0), "capacity"),
            (Config::new().capacity(usize::MAX), "capacity"),
            (Config::new().budget(Budget::new(Budget::MIN - 1)), "budget"),
            (Config::new().on_error(OnError::retry(0)), "on_error"),
            (Config::new().stall_after(Duration::ZERO), "stall_after"),
            (Config::new().store_every(0, Duration::ZERO), "store_every"),
            (Config::new().store_every(9, Duration::MAX), "store_every"),
            (Config::new().interval(MAX_INTERVAL * 2), "interval"),
            (
                Config::new()
                    .iterator_type(IteratorType::AtTimestamp(SystemTime::now() + MAX_INTERVAL)),
                "iterator_type",
            ),
        ];
        for (config, name) in cases {
            let error = config.validate().unwrap_err();
            assert!(matches!(error, Error::InvalidSetting { setting, .. } if setting == name));
        }
        assert!(Config::new().validate().is_ok());
    }
}
