//! Logs failures of the handler: few lines, however often it fails.

use std::fmt;
use std::time::Duration;

use log::Level;

use crate::core::outage::{Outage, Tally};
use crate::core::quota::Quota;

/// In this time one failure, and one batch that is put aside, are logged for all.
const WINDOW: Duration = Duration::from_secs(10);

/// The log of one dispatcher about its handler.
#[derive(Debug)]
pub(crate) struct Refusals {
    outage: Outage,
    /// Whether the log knows of the outage.
    is_told: bool,
    failures: Quota,
    letters: Quota,
    /// Records in the dead letters that were not logged.
    records: u64,
}

/// What was not logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hidden {
    failures: u64,
    letters: u64,
    records: u64,
}

impl Refusals {
    pub(crate) fn new() -> Self {
        let quota = || Quota::new(1, WINDOW);
        let (failures, letters) = (quota(), quota());
        Self { outage: Outage::default(), is_told: false, failures, letters, records: 0 }
    }

    /// The handler failed on a batch of this shard, which will be retried.
    pub(crate) fn failed(&mut self, now: Duration, shard: &str) -> Level {
        if self.outage.failed(now, shard, ()) != Level::Warn {
            return Level::Debug;
        }
        self.is_told = self.failures.shows(now);
        if self.is_told { Level::Warn } else { Level::Debug }
    }

    /// The handler took a batch. Returns what to log if that ends an outage.
    pub(crate) fn handled(&mut self, now: Duration, shard: &str) -> Option<Tally> {
        self.outage.recovered(now, shard).filter(|_| self.is_told)
    }

    /// The dead-letter callback took a batch with this many records.
    pub(crate) fn put_aside(&mut self, now: Duration, shard: &str, records: usize) -> Level {
        // It does not wait any more, but the handler has not recovered: no recovery is logged.
        let _ = self.outage.recovered(now, shard);
        if self.letters.shows(now) {
            return Level::Warn;
        }
        self.records += records as u64;
        Level::Debug
    }

    /// What was not logged, if it is time to say so.
    pub(crate) fn summary(&mut self, now: Duration) -> Option<Hidden> {
        match (self.failures.summary(now), self.letters.summary(now)) {
            (None, None) => None,
            (failures, letters) => self.hidden(failures, letters),
        }
    }

    /// The same, before it is time.
    pub(crate) fn rest(&mut self) -> Option<Hidden> {
        self.hidden(None, None)
    }

    /// When `summary` may have something to say.
    pub(crate) fn due(&self) -> Option<Duration> {
        self.failures.due().into_iter().chain(self.letters.due()).min()
    }

    fn hidden(&mut self, failures: Option<u64>, letters: Option<u64>) -> Option<Hidden> {
        let failures = failures.or_else(|| self.failures.rest()).unwrap_or_default();
        let letters = letters.or_else(|| self.letters.rest()).unwrap_or_default();
        let records = std::mem::take(&mut self.records);
        (failures + letters > 0).then_some(Hidden { failures, letters, records })
    }
}

impl fmt::Display for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { failures, letters, records } = self;
        write!(f, "{failures} more failures, {records} more records in {letters} batches put aside")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_thousand_records_that_are_put_aside_are_a_few_lines() {
        let mut refusals = Refusals::new();
        let (mut lines, mut told) = (0, Vec::new());
        for number in 0..1_000 {
            // A success is between any two of them, and all take 25 seconds.
            let now = SECOND * number / 40;
            lines += usize::from(refusals.failed(now, "a") == Level::Warn);
            lines += usize::from(refusals.put_aside(now, "a", 2) == Level::Warn);
            lines += usize::from(refusals.handled(now, "a").is_some());
            told.extend(refusals.summary(now));
        }
        told.extend(refusals.rest());
        assert_eq!((lines, told.len()), (2, 3));
        let sum = |of: fn(&Hidden) -> u64| told.iter().map(of).sum::<u64>();
        assert_eq!([sum(|it| it.failures), sum(|it| it.letters)], [999, 999]);
        assert_eq!((sum(|it| it.records), refusals.rest()), (1_998, None));
    }

    #[test]
    fn a_recovery_is_told_if_its_failure_was() {
        let mut refusals = Refusals::new();
        assert_eq!(refusals.handled(SECOND, "a"), None);
        assert_eq!(refusals.failed(SECOND, "a"), Level::Warn);
        assert_eq!(refusals.failed(SECOND * 2, "a"), Level::Debug, "it is the same row");
        assert_eq!(refusals.handled(SECOND * 3, "b"), None);
        let lasted = SECOND * 2;
        assert_eq!(refusals.handled(SECOND * 3, "a"), Some(Tally { lasted, shards: 1 }));
        assert_eq!(refusals.failed(SECOND * 4, "a"), Level::Debug, "too soon");
        assert_eq!(refusals.handled(SECOND * 5, "a"), None);
        assert_eq!(refusals.due(), Some(SECOND * 11));
        let hidden = Hidden { failures: 1, letters: 0, records: 0 };
        assert_eq!(refusals.summary(SECOND * 11), Some(hidden));
    }

    #[test]
    fn a_shard_whose_batch_was_put_aside_without_a_line_does_not_fail_any_more() {
        let mut refusals = Refusals::new();
        for second in 1..3 {
            refusals.failed(SECOND * second, "a");
            refusals.put_aside(SECOND * second, "a", 1);
        }
        refusals.summary(SECOND * 20);
        assert_eq!(refusals.failed(SECOND * 40, "b"), Level::Warn, "that is another row");
        assert!(refusals.handled(SECOND * 41, "b").is_some());
    }
}
