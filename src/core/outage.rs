//! Logs a failure that many shards share: one warning for any number of shards.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use log::Level;

use crate::error::client::ClientError;
use crate::error::store::StoreError;
use crate::model::time::spoken;

/// How long after a warning the number of failing shards is logged: shards that are read once a second have failed by
/// then.
const COUNT_AFTER: Duration = Duration::from_secs(5);

/// Failures of one kind of work, from the first failure until no shard fails any more. Each value of `K` gets its own
/// warning.
#[derive(Debug)]
pub(crate) struct Outage<K = ()> {
    since: Duration,
    /// The shards that have failed, and whether they still do.
    shards: BTreeMap<String, bool>,
    failing: usize,
    warned: Vec<K>,
    /// The number of failing shards that was last logged, and when.
    told: usize,
    told_at: Duration,
}

/// How long an outage has lasted, and how many shards have failed in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) lasted: Duration,
    pub(crate) shards: usize,
}

/// A poller's report of failures; the shell logs it once for all shards.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// A call failed, and is retried after this time.
    Failed { error: ClientError, wait: Duration },
    /// Calls are answered again.
    Recovered,
    /// A write of the shard's start failed, and is retried after this time.
    Unstored { error: StoreError, wait: Duration },
    /// The start was written.
    Stored,
}

/// `31 s`, or `31 s, 12 shards`.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&spoken(self.lasted))?;
        if self.shards > 1 { write!(f, ", {} shards", self.shards) } else { Ok(()) }
    }
}

impl<K> Default for Outage<K> {
    fn default() -> Self {
        let (since, told_at) = (Duration::ZERO, Duration::ZERO);
        Self { since, shards: BTreeMap::new(), failing: 0, warned: Vec::new(), told: 0, told_at }
    }
}

impl<K: PartialEq> Outage<K> {
    /// A shard failed, perhaps again. Returns the level of the log line. `now` counts from any fixed moment.
    pub(crate) fn failed(&mut self, now: Duration, shard: &str, kind: K) -> Level {
        if self.failing == 0 {
            *self = Self { since: now, told_at: now, ..Self::default() };
        }
        match self.shards.get_mut(shard) {
            Some(fails) => self.failing += usize::from(!std::mem::replace(fails, true)),
            None => {
                self.shards.insert(shard.to_owned(), true);
                self.failing += 1;
            }
        }
        if self.warned.contains(&kind) {
            return Level::Debug;
        }
        self.warned.push(kind);
        Level::Warn
    }

    /// A shard does not fail any more. Returns what to log if it was the last one.
    pub(crate) fn recovered(&mut self, now: Duration, shard: &str) -> Option<Tally> {
        let fails = self.shards.get_mut(shard)?;
        self.failing -= usize::from(std::mem::take(fails));
        self.told = self.told.min(self.failing.max(1));
        if self.failing == 0 { self.over(now) } else { None }
    }

    /// No shard fails any more. Returns what to log if a shard had failed.
    pub(crate) fn over(&mut self, now: Duration) -> Option<Tally> {
        let Self { since, shards, .. } = std::mem::take(self);
        let shards = Some(shards.len()).filter(|shards| *shards > 0)?;
        Some(Tally { lasted: now.saturating_sub(since), shards })
    }

    /// Time has passed. Returns how many shards fail, if that is at least twice the number that was logged.
    pub(crate) fn spread(&mut self, now: Duration) -> Option<Tally> {
        let is_due = now.saturating_sub(self.told_at) >= COUNT_AFTER;
        if !is_due || self.failing < self.told.max(1) * 2 {
            return None;
        }
        (self.told, self.told_at) = (self.failing, now);
        Some(Tally { lasted: now.saturating_sub(self.since), shards: self.failing })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::client::ErrorClass::{self, Throttled, Transient};

    const SECOND: Duration = Duration::from_secs(1);

    fn tally(seconds: u32, shards: usize) -> Option<Tally> {
        Some(Tally { lasted: SECOND * seconds, shards })
    }

    #[test]
    fn an_outage_of_many_shards_is_a_warning_a_count_and_a_recovery() {
        let mut outage = Outage::<ErrorClass>::default();
        let ids: Vec<_> = (0..1_000).map(|at| at.to_string()).collect();
        let mut told = (0, Vec::new());
        for second in 10..41 {
            for id in &ids {
                let level = outage.failed(SECOND * second, id, Transient);
                told.0 += usize::from(level == Level::Warn);
            }
            told.1.extend(outage.spread(SECOND * second));
        }
        assert_eq!(told, (1, vec![tally(5, 1_000).unwrap()]));
        let recovered: Vec<_> =
            ids.iter().filter_map(|id| outage.recovered(SECOND * 41, id)).collect();
        assert_eq!(recovered, [tally(31, 1_000).unwrap()]);
        let level = outage.failed(SECOND * 50, "7", Transient);
        assert_eq!(level, Level::Warn, "the next outage is another");
        assert_eq!(outage.recovered(SECOND * 52, "7"), tally(2, 1));
    }

    #[test]
    fn who_fails_again_before_all_have_recovered_is_counted_once() {
        let mut outage = Outage::default();
        let levels = ["a", "b"].map(|shard| outage.failed(SECOND, shard, ()));
        assert_eq!(levels, [Level::Warn, Level::Debug]);
        assert_eq!(outage.recovered(SECOND * 2, "a"), None);
        assert_eq!(outage.recovered(SECOND * 2, "a"), None, "it said so before");
        assert_eq!(outage.failed(SECOND * 3, "a", ()), Level::Debug);
        assert_eq!(outage.recovered(SECOND * 4, "b"), None);
        assert_eq!(outage.recovered(SECOND * 5, "a"), tally(4, 2));
        assert_eq!(outage.recovered(SECOND * 5, "a"), None, "nobody fails");
    }

    #[test]
    fn another_class_of_failure_is_warned_about_too() {
        let mut outage = Outage::default();
        let warned = [(1, "a", Throttled), (2, "b", Throttled), (3, "b", Transient)]
            .map(|(second, shard, class)| outage.failed(SECOND * second, shard, class));
        assert_eq!(warned, [Level::Warn, Level::Debug, Level::Warn]);
    }

    #[test]
    fn a_tally_counts_shards_if_there_are_several() {
        let tally = |shards| Tally { lasted: SECOND * 31, shards }.to_string();
        assert_eq!([tally(1), tally(12)], ["31 s", "31 s, 12 shards"]);
    }

    #[test]
    fn an_outage_of_all_is_told_though_one_shard_had_failed_for_long() {
        let mut outage = Outage::default();
        outage.failed(SECOND, "a", ());
        for second in [6, 600] {
            assert_eq!(outage.spread(SECOND * second), None, "it was told by its name");
        }
        for round in 1..3 {
            let now = SECOND * 1_000 * round;
            for shard in ["b", "c", "d"] {
                outage.failed(now, shard, ());
            }
            assert_eq!(outage.spread(now), tally(1_000 * round - 1, 4));
            assert_eq!(outage.spread(now + SECOND * 60), None, "it was told");
            for shard in ["b", "c", "d"] {
                assert_eq!(outage.recovered(now, shard), None);
            }
        }
    }
}
