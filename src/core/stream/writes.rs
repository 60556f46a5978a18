//! When the positions that wait in the trackers are written.

use std::time::Duration;

use crate::core::outage::Outage;
use crate::core::retry::Retry;
use crate::core::settings::{StoreEvery, StreamSettings};
use crate::error::Error;
use crate::error::store::{StoreError, StoreErrorKind};

/// Rounds of writes: for positions that a commit could not write, or left for later.
#[derive(Debug)]
pub(crate) struct Writes {
    stream: String,
    /// `None` in a fleet: whoever holds a lease waits for the table.
    patience: Option<Duration>,
    every: Option<StoreEvery>,
    retry: Retry,
    outage: Outage,
    round: Round,
    /// A write failed while other writes were retried, perhaps after its turn.
    missed: Option<(String, StoreError)>,
    /// When failed writes are retried. Everything that waits is written with them.
    retry_at: Option<Duration>,
    /// When the positions left for later are written.
    deferred_until: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Round {
    Idle,
    UnderWay,
    /// Another round follows: this one may have missed work that became due since it began.
    UnderWayAndAgain,
}

impl Writes {
    pub(crate) fn new(stream: &str, settings: &StreamSettings) -> Self {
        Self {
            stream: stream.into(),
            patience: (!settings.is_fleet).then_some(settings.store_patience),
            every: settings.store_every,
            retry: Retry::default(),
            outage: Outage::default(),
            round: Round::Idle,
            missed: None,
            retry_at: None,
            deferred_until: None,
        }
    }

    /// When `tick` is due.
    pub(crate) fn wake(&self) -> Option<Duration> {
        self.retry_at.into_iter().chain(self.deferred_until).min()
    }

    /// Whether a position that may wait is not written yet.
    pub(crate) fn is_deferring(&self) -> bool {
        self.deferred_until.is_some()
    }

    /// Whether a write is in progress, or failed and will be retried.
    pub(crate) fn is_storing(&self) -> bool {
        self.round != Round::Idle || self.retry_at.is_some()
    }

    /// A commit did not write its position, because the write may wait.
    pub(crate) fn deferred(&mut self, now: Duration) {
        let until = now + self.every.map_or(Duration::ZERO, |every| every.time);
        self.deferred_until.get_or_insert(until);
    }

    /// A write failed.
    ///
    /// # Errors
    /// If it failed for good, or `store_patience` has passed.
    // long: what a failed write means depends on the round that it meets.
    pub(crate) fn unstored(
        &mut self,
        now: Duration,
        rng: &mut fastrand::Rng,
        shard: String,
        error: StoreError,
    ) -> Result<(), Error> {
        let may_pass = error.kind() == StoreErrorKind::Retry;
        if may_pass && self.round != Round::Idle {
            self.missed = Some((shard, error));
            return Ok(());
        }
        if may_pass {
            let level = self.outage.failed(now, &shard, ());
            log::log!(level, "stream {:?}, shard {shard:?}: {error:#}", self.stream);
        }
        if may_pass && self.retry_at.is_some() {
            return Ok(());
        }
        let wait = may_pass.then(|| self.retry.wait(now, rng, self.patience)).flatten();
        let Some(wait) = wait else {
            return Err(Error::of_store(&self.stream, Some(&shard), error));
        };
        self.retry_at = Some(now + wait);
        Ok(())
    }

    /// A round has ended. Returns whether another must begin.
    ///
    /// # Errors
    /// As `unstored`.
    pub(crate) fn flushed(
        &mut self,
        now: Duration,
        rng: &mut fastrand::Rng,
        outcome: Result<(), (String, StoreError)>,
    ) -> Result<bool, Error> {
        let round = std::mem::replace(&mut self.round, Round::Idle);
        let missed = self.missed.take();
        if let Err((shard, error)) = outcome {
            return self.unstored(now, rng, shard, error).map(|()| false);
        }
        // Everything that had failed is stored: the wait for newer failures begins only now.
        self.retry.succeeded(now);
        if let Some(tally) = self.outage.over(now) {
            log::warn!("stream {:?}: positions are stored again after {tally}", self.stream);
        }
        match missed {
            Some((shard, error)) => self.unstored(now, rng, shard, error).map(|()| false),
            None => Ok(round == Round::UnderWayAndAgain && self.begin()),
        }
    }

    /// Time has passed. Returns whether a round must begin.
    pub(crate) fn tick(&mut self, now: Duration) -> bool {
        let is_due = |timer: &mut Option<Duration>| timer.take_if(|at| *at <= now).is_some();
        let (is_retry, is_deferred) =
            (is_due(&mut self.retry_at), is_due(&mut self.deferred_until));
        // All other writes wait for a failed one: they are written with it.
        (is_retry || (is_deferred && self.retry_at.is_none())) && self.begin()
    }

    /// Positions that were left for later must be written now. Returns whether a round must begin.
    pub(crate) fn hurry(&mut self) -> bool {
        // As above, they are written with a failed one.
        self.every.is_some() && self.retry_at.is_none() && self.begin()
    }

    /// Everything that waits must be written. Returns whether a round must begin; if one is in progress, another
    /// follows it.
    pub(crate) fn begin(&mut self) -> bool {
        (self.retry_at, self.deferred_until) = (None, None);
        let was_idle = self.round == Round::Idle;
        self.round = if was_idle { Round::UnderWay } else { Round::UnderWayAndAgain };
        was_idle
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    const SECOND: Duration = Duration::from_secs(1);

    fn fresh() -> (Writes, fastrand::Rng) {
        let config = Config::new().store_every(100, SECOND);
        (Writes::new("orders", &config.stream_settings()), fastrand::Rng::with_seed(1))
    }

    #[test]
    fn what_is_due_behind_a_failed_write_waits_for_its_retry() {
        let (mut writes, mut rng) = fresh();
        writes.deferred(Duration::ZERO);
        assert_eq!(writes.wake(), Some(SECOND));
        for _ in 0..9 {
            assert!(writes.round == Round::Idle);
            let error = StoreError::retry("busy");
            writes.unstored(SECOND, &mut rng, "a".into(), error).unwrap();
        }
        let retry_at = writes.retry_at.unwrap();
        let first = writes.tick(SECOND.min(retry_at));
        assert!(!first && writes.wake() == Some(retry_at), "{first} {retry_at:?}");
        assert!(writes.tick(retry_at) && writes.wake().is_none());
    }

    #[test]
    fn what_is_due_or_fails_while_a_round_is_under_way_is_written_in_another() {
        let (mut writes, mut rng) = fresh();
        assert!(writes.begin() && !writes.begin());
        assert!(writes.flushed(SECOND, &mut rng, Ok(())).unwrap());
        let error = StoreError::retry("busy");
        writes.unstored(SECOND, &mut rng, "a".into(), error).unwrap();
        assert!(!writes.flushed(SECOND, &mut rng, Ok(())).unwrap());
        assert!(writes.is_storing() && writes.wake().is_some());
    }
}
