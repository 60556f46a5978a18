//! How long to wait before a retry, and when to give up.

use std::time::Duration;

use crate::error::client::{ClientError, ErrorClass};

/// The shortest wait, also if the interval is zero.
const FLOOR: Duration = Duration::from_millis(50);
/// The upper bound of the first wait; it doubles with every failure in a row.
const BASE: Duration = Duration::from_millis(250);
/// The upper bound of every wait: Amazon's throttling windows are a second long.
const CAP: Duration = Duration::from_secs(10);

/// How long a refusal that may pass is retried: during a renewal of keys, for a signature's time, for a stream that is
/// not known everywhere yet.
const REFUSAL_PATIENCE: Duration = Duration::from_secs(60);
/// A refusal is final only after this number of refusals, however long ago the first one was.
const MIN_REFUSALS: u32 = 3;

/// Failures in a row of one kind of call.
#[derive(Debug, Default)]
pub(crate) struct Retry {
    since: Option<Duration>,
    attempts: u32,
    /// Since when, and how often, the service has refused the call; other failures in between do not change that.
    refused: Option<(Duration, u32)>,
}

impl Retry {
    /// Counts a failure. Returns how long to wait, or `None` if it has lasted longer than `limit`, or a retry cannot
    /// help. Without a limit a refusal is retried for a minute.
    pub(crate) fn failed(
        &mut self,
        now: Duration,
        rng: &mut fastrand::Rng,
        error: &ClientError,
        limit: Option<Duration>,
    ) -> Option<Duration> {
        if !is_refusal(error) {
            return self.wait(now, rng, limit);
        }
        // Keys that were new a moment ago may be replaced already, after another shard's refusal.
        let is_renewed = error.refuses_new_keys() && self.refused.is_none();
        if !error.may_pass() && !is_renewed {
            return None;
        }
        self.refused(now, rng, limit)
    }

    /// The same for a refusal that may pass, although its class does not say so.
    pub(crate) fn refused(
        &mut self,
        now: Duration,
        rng: &mut fastrand::Rng,
        limit: Option<Duration>,
    ) -> Option<Duration> {
        let (since, count) = self.refused.get_or_insert((now, 0));
        *count += 1;
        let has_lasted = now.saturating_sub(*since) >= limit.unwrap_or(REFUSAL_PATIENCE);
        if has_lasted && *count >= MIN_REFUSALS {
            return None;
        }
        self.wait(now, rng, None)
    }

    /// The same for a failure of something other than a call.
    pub(crate) fn wait(
        &mut self,
        now: Duration,
        rng: &mut fastrand::Rng,
        limit: Option<Duration>,
    ) -> Option<Duration> {
        let since = *self.since.get_or_insert(now);
        if limit.is_some_and(|limit| now.saturating_sub(since) >= limit) {
            return None;
        }
        let wait = backoff(self.attempts, rng);
        self.attempts += 1;
        // The last attempt is made when the limit ends, not long after.
        let left = limit.map_or(wait, |limit| since.saturating_add(limit).saturating_sub(now));
        Some(wait.min(left).max(FLOOR))
    }

    /// How long the row has lasted, if it is given up because of its length.
    pub(crate) fn lasted(&self, now: Duration, error: &ClientError) -> Option<Duration> {
        let since = match is_refusal(error) {
            true => self.refused.filter(|_| error.may_pass()).map(|(since, _)| since),
            false => self.since,
        };
        since.map(|since| now.saturating_sub(since))
    }

    /// Ends the row. Returns how long it lasted, if there was one.
    pub(crate) fn succeeded(&mut self, now: Duration) -> Option<Duration> {
        let since = std::mem::take(self).since?;
        Some(now.saturating_sub(since))
    }

    /// Whether the last call failed.
    pub(crate) fn is_failing(&self) -> bool {
        self.since.is_some()
    }
}

/// Whether the service answered, and refused.
fn is_refusal(error: &ClientError) -> bool {
    use ErrorClass::{Credentials, Fatal, InvalidArgument, NotFound};
    matches!(error.class(), Credentials | Fatal | InvalidArgument | NotFound)
}

/// Full jitter above a floor, so that consumers that failed together do not retry together.
fn backoff(attempts: u32, rng: &mut fastrand::Rng) -> Duration {
    let bound = BASE.saturating_mul(1 << attempts.min(16)).min(CAP);
    FLOOR + (bound - FLOOR).mul_f64(rng.f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(class: ErrorClass) -> ClientError {
        ClientError::new(class, "GetRecords", "")
    }

    #[test]
    fn waits_grow_to_a_cap_and_never_fall_below_the_floor() {
        let mut rng = fastrand::Rng::with_seed(1);
        for attempts in [0, 1, 5, 40, u32::MAX] {
            for _ in 0..200 {
                let wait = backoff(attempts, &mut rng);
                assert!((FLOOR..=CAP).contains(&wait));
                assert!(attempts > 0 || wait <= BASE);
            }
        }
    }

    #[test]
    fn patience_is_counted_from_the_first_failure_in_a_row() {
        let mut rng = fastrand::Rng::with_seed(1);
        let (mut retry, limit) = (Retry::default(), Some(Duration::from_secs(30)));
        let transient = error(ErrorClass::Transient);
        let mut at = |seconds, retry: &mut Retry| {
            retry.failed(Duration::from_secs(seconds), &mut rng, &transient, limit)
        };
        assert!(at(100, &mut retry).is_some() && at(129, &mut retry).is_some());
        assert_eq!(retry.succeeded(Duration::from_secs(129)), Some(Duration::from_secs(29)));
        assert!(at(130, &mut retry).is_some() && at(159, &mut retry).is_some());
        assert_eq!(at(160, &mut retry), None);
    }

    #[test]
    fn patience_may_be_endless() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut retry = Retry::default();
        for seconds in [100, 1_000_000] {
            let now = Duration::from_secs(seconds);
            let wait =
                retry.failed(now, &mut rng, &error(ErrorClass::Transient), Some(Duration::MAX));
            assert!(wait.is_some_and(|wait| wait <= CAP));
        }
    }

    #[test]
    fn a_refusal_that_may_pass_is_borne_for_a_while_and_one_that_cannot_is_final() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut at = |seconds, retry: &mut Retry, error: &ClientError| {
            retry.failed(Duration::from_secs(seconds), &mut rng, error, None).is_some()
        };
        let (refused, denied) = (error(ErrorClass::Credentials), error(ErrorClass::Fatal));
        let mut retry = Retry::default();
        assert!(!at(0, &mut retry, &denied));
        assert!(at(0, &mut retry, &refused) && at(59, &mut retry, &refused));
        // Other failures in between do not change that.
        assert!(at(60, &mut retry, &error(ErrorClass::Throttled)));
        assert!(!at(61, &mut retry, &refused));
        let renewed = error(ErrorClass::Credentials).with_new_keys_refused();
        let mut retry = Retry::default();
        assert!(at(0, &mut retry, &renewed) && !at(0, &mut retry, &renewed));
    }

    #[test]
    fn a_single_refusal_after_a_long_outage_is_not_final() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut at = |seconds, retry: &mut Retry, class| {
            retry.failed(Duration::from_secs(seconds), &mut rng, &error(class), None).is_some()
        };
        let mut retry = Retry::default();
        assert!(at(0, &mut retry, ErrorClass::Credentials));
        for seconds in 1..7200 {
            assert!(at(seconds, &mut retry, ErrorClass::Transient));
        }
        assert!(at(7200, &mut retry, ErrorClass::Credentials));
    }
}
