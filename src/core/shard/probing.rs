//! Quick calls after a token was replaced.

use std::time::Duration;

use crate::core::shard::TOKEN_LIFE;

/// The time between the first calls. Amazon allows five a second for a shard, for all its consumers.
pub(crate) const QUICK: Duration = Duration::from_millis(200);
/// The time between later calls, slow enough for a shard with several consumers.
const SLOW: Duration = Duration::from_secs(1);
/// Some servers send one or two empty answers before the end of a shard.
pub(crate) const MAX_QUIET: u32 = 3;
/// No shard is probed more often than this after one renewal, however far behind its answers are.
pub(crate) const MAX_PROBES: u32 = 100;

/// Answers with nothing new since a token was replaced. If tokens do not outlive the interval, reading would otherwise
/// start at the same place for ever.
#[derive(Debug, Default)]
pub(crate) struct Probing(Option<Probes>);

#[derive(Debug)]
struct Probes {
    since: Duration,
    count: u32,
}

impl Probing {
    /// The token was replaced.
    pub(crate) fn begin(&mut self, now: Duration) {
        self.0 = Some(Probes { since: now, count: 0 });
    }

    /// A new record was read.
    pub(crate) fn end(&mut self) {
        self.0 = None;
    }

    /// How long to wait before the next call, after an answer with nothing new; `None` if the interval holds again.
    pub(crate) fn wait(
        &mut self,
        now: Duration,
        interval: Duration,
        is_behind: bool,
    ) -> Option<Duration> {
        let probes = self.0.as_mut()?;
        // Tokens that outlive the interval make progress by themselves.
        let is_urgent = is_behind && interval >= TOKEN_LIFE;
        let most = if is_urgent { MAX_PROBES } else { MAX_QUIET };
        let is_alive = now.saturating_sub(probes.since) < TOKEN_LIFE;
        if probes.count >= most || !is_alive {
            self.0 = None;
            return None;
        }
        probes.count += 1;
        Some(interval.min(if probes.count <= MAX_QUIET { QUICK } else { SLOW }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many quick calls are made in an hour, and how long they take.
    fn probed(interval: Duration, is_behind: bool) -> (u32, Duration) {
        let (mut probing, mut now, mut calls) = (Probing::default(), Duration::ZERO, 0);
        probing.begin(now);
        while let Some(wait) = probing.wait(now, interval, is_behind) {
            (now, calls) = (now + wait, calls + 1);
        }
        (calls, now)
    }

    #[test]
    fn a_lag_that_is_never_zero_is_not_probed_for_ever() {
        let (calls, took) = probed(Duration::from_secs(3600), true);
        assert!(calls == MAX_PROBES && took < TOKEN_LIFE, "{calls} in {took:?}");
        assert_eq!(probed(Duration::from_secs(1), true).0, MAX_QUIET);
        assert_eq!(probed(Duration::from_secs(3600), false).0, MAX_QUIET);
    }

    #[test]
    fn slow_answers_are_not_probed_beyond_the_life_of_a_token() {
        let mut probing = Probing::default();
        probing.begin(Duration::ZERO);
        assert!(probing.wait(Duration::from_secs(200), TOKEN_LIFE, true).is_some());
        assert!(probing.wait(TOKEN_LIFE, TOKEN_LIFE, true).is_none());
    }
}
