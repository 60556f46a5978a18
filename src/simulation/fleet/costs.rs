//! What a fleet costs: how often it calls the table.

use std::ops::Sub;
use std::time::Duration;

use crate::core::fleet::lease::names;
use crate::model::write::{Act, Write};

/// The calls of a table that were done so far. A write that is refused costs as much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Costs {
    pub(super) pages: u64,
    pub(super) gets: u64,
    /// Writes that only show that a holder lives, and all others.
    pub(super) beats: u64,
    pub(super) writes: u64,
}

/// What a quiet fleet may need: in this time nothing begins, ends, fails or is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) workers: usize,
    /// All rows, and those of leases that are held.
    pub(super) rows: usize,
    pub(super) leases: usize,
    /// How often a lease is asked for.
    pub(super) asks: u64,
    pub(super) failover: Duration,
    pub(super) time: Duration,
}

/// How much faster a clock may run, and how much earlier a beat may come than a third of the failover time.
const FAST: f64 = 1.05;
const EARLY: f64 = 0.95;
/// For how long a worker is new, and surveys more often.
const JOINING: Duration = Duration::from_secs(60);

impl Costs {
    pub(super) fn count(&mut self, write: &Write) {
        let is_beat = match write.act() {
            Act::Update(update) => update.changes().keys().eq([&names::COUNTER]),
            Act::Put(_) | Act::Delete => false,
        };
        *(if is_beat { &mut self.beats } else { &mut self.writes }) += 1;
    }

    /// Which calls are more than the formulas of the manual say, if any are:
    ///
    /// - three beats for a lease in a failover time, and a tenth more, for clocks and for chance;
    /// - a survey of a worker in half a failover time and a quarter less, in its first minute a half less: a page each;
    /// - a look in a second at what was asked for, for as long as that may last;
    /// - no other write, but that each worker deletes the row of what is done.
    pub(super) fn exceeds(&self, limits: &Limits) -> Option<String> {
        let times = limits.time.as_secs_f64() / limits.failover.as_secs_f64() * FAST;
        let is_new = limits.failover < JOINING;
        let surveys = (times / if is_new { 0.25 } else { 0.375 }) as u64 + 1;
        let beats = (times * 3.0 / EARLY) as u64 + 1;
        let looks = limits.failover.as_secs() * 6 + 2;
        let most = Self {
            pages: limits.workers as u64 * surveys,
            gets: limits.asks * looks,
            beats: limits.leases as u64 * beats,
            writes: (limits.rows * limits.workers) as u64 + limits.asks * 4,
        };
        let is_more = self.pages > most.pages
            || self.gets > most.gets
            || self.beats > most.beats
            || self.writes > most.writes;
        is_more.then(|| format!("{self:?} is more than {most:?}, by {limits:?}"))
    }
}

impl Sub for Costs {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            pages: self.pages - earlier.pages,
            gets: self.gets - earlier.gets,
            beats: self.beats - earlier.beats,
            writes: self.writes - earlier.writes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::item::KEY;
    use crate::model::write::{Condition, Update};

    const F: Duration = Duration::from_secs(10);

    #[test]
    fn each_kind_of_call_that_comes_too_often_is_found() {
        let time = F * 20;
        let limits = Limits { workers: 2, rows: 6, leases: 4, asks: 0, failover: F, time };
        // As the formulas say, without chance: 3 beats, and a survey in half a failover time.
        let fair = Costs { pages: 80, gets: 0, beats: 240, writes: 0 };
        assert_eq!(fair.exceeds(&limits), None);
        let retires = Costs { writes: 12, ..fair };
        assert_eq!(retires.exceeds(&limits), None);
        for dear in [
            Costs { pages: 200, ..fair },
            Costs { gets: 1, ..fair },
            Costs { beats: 280, ..fair },
            Costs { writes: 13, ..fair },
        ] {
            assert!(dear.exceeds(&limits).is_some(), "{dear:?}");
            assert_eq!((dear - dear).exceeds(&limits), None);
        }
        let asked = Costs { gets: 50, writes: 4, ..fair };
        assert_eq!(asked.exceeds(&Limits { asks: 1, ..limits }), None);
    }

    #[test]
    fn only_what_changes_the_counter_alone_is_a_beat() {
        let mut costs = Costs::default();
        let beat = Update::new().add(names::COUNTER, 1);
        let commit = beat.clone().set(names::CHECKPOINT, "1");
        for update in [beat, commit] {
            costs.count(&Write::update("shard", Condition::Exists(KEY), update));
        }
        costs.count(&Write::delete("shard", Condition::Exists(KEY)));
        assert_eq!(costs, Costs { beats: 1, writes: 2, ..Costs::default() });
    }
}
