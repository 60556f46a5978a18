//! Limits how many lines of one kind the log gets at once.

use std::time::Duration;

/// Lines of one kind: the first lines are shown, the others are counted until some time has passed.
#[derive(Debug)]
pub(crate) struct Quota {
    most: u32,
    window: Duration,
    /// Since when lines are counted; `None` while there are none.
    since: Option<Duration>,
    shown: u32,
    hidden: u64,
}

impl Quota {
    /// This many lines in this time.
    pub(crate) fn new(most: u32, window: Duration) -> Self {
        Self { most, window, since: None, shown: 0, hidden: 0 }
    }

    /// Counts a line. Returns whether it is shown. `now` counts from any fixed moment.
    pub(crate) fn shows(&mut self, now: Duration) -> bool {
        if self.hidden == 0 && self.due().is_some_and(|due| due <= now) {
            self.since = None;
        }
        if self.since.is_none() {
            (self.since, self.shown) = (Some(now), 0);
        }
        let is_shown = self.shown < self.most;
        if is_shown {
            self.shown += 1;
        } else {
            self.hidden += 1;
        }
        is_shown
    }

    /// How many lines were not shown, if it is time to say so. While lines keep coming, only this is shown.
    pub(crate) fn summary(&mut self, now: Duration) -> Option<u64> {
        self.due().filter(|due| *due <= now)?;
        let hidden = std::mem::take(&mut self.hidden);
        self.since = (hidden > 0).then_some(now);
        self.since.map(|_| hidden)
    }

    /// The same, before it is time.
    pub(crate) fn rest(&mut self) -> Option<u64> {
        Some(std::mem::take(&mut self.hidden)).filter(|hidden| *hidden > 0)
    }

    /// When `summary` has something to say.
    pub(crate) fn due(&self) -> Option<Duration> {
        self.since.map(|since| since + self.window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn what_is_too_much_is_counted_and_told_once_in_a_while() {
        let mut quota = Quota::new(2, SECOND * 10);
        let shown = (0..1_000).filter(|_| quota.shows(SECOND)).count();
        assert_eq!((shown, quota.summary(SECOND * 10)), (2, None));
        assert_eq!(quota.summary(SECOND * 11), Some(998));
        assert!(!quota.shows(SECOND * 12), "it has not stopped");
        assert_eq!((quota.summary(SECOND * 20), quota.summary(SECOND * 21)), (None, Some(1)));
        assert_eq!((quota.summary(SECOND * 31), quota.due()), (None, None));
        assert!(quota.shows(SECOND * 32), "it had stopped");
    }

    #[test]
    fn lines_that_come_now_and_then_are_all_shown() {
        let mut quota = Quota::new(1, SECOND * 10);
        assert!((0..100).all(|line| quota.shows(SECOND * 10 * line)));
        assert_eq!((quota.rest(), quota.summary(SECOND * 2_000)), (None, None));
    }
}
