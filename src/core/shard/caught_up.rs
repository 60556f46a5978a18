//! The time until which nothing of a shard can be missing.

use std::time::{Duration, SystemTime};

/// Amazon keeps every record for a day at least: records since then can be unread, but not gone.
const LEAST_RETENTION: Duration = Duration::from_secs(24 * 60 * 60);
/// Servers send their clock in whole seconds.
const GRAIN: Duration = Duration::from_secs(1);

/// When a shard was last known to have nothing left to read.
#[derive(Debug, Default)]
pub(crate) struct CaughtUp(Option<Witness>);

/// An answer that was empty, or claimed to be the last one, and said that it was not behind.
#[derive(Debug)]
struct Witness {
    at: Duration,
    /// The service's clock at that moment, if known.
    service: Option<SystemTime>,
}

impl CaughtUp {
    /// An answer was empty, or claimed to be the last one, and said that it was not behind. `is_resuming` says that its
    /// token is new: then the answer proves nothing about records that left the stream before.
    pub(crate) fn see(&mut self, now: Duration, service: Option<SystemTime>, is_resuming: bool) {
        if !is_resuming || self.is_recent(now) {
            self.0 = Some(Witness { at: now, service });
        }
    }

    /// Whether no record before this one can be missing; without a record, no record at all. `service` is the service's
    /// clock now, and `arrival` when the record arrived in the stream, if known.
    pub(crate) fn vouches(
        &self,
        now: Duration,
        service: Option<SystemTime>,
        arrival: Option<SystemTime>,
    ) -> bool {
        let Some(witness) = self.0.as_ref().filter(|_| self.is_recent(now)) else { return false };
        // Our own clock stops while the machine sleeps.
        if let Some((then, now)) = witness.service.zip(service) {
            if now.duration_since(then).is_ok_and(|age| age >= LEAST_RETENTION) {
                return false;
            }
        }
        // A record that existed already contradicts the empty answer.
        match (witness.service, arrival) {
            (Some(service), Some(arrival)) => {
                arrival.checked_add(GRAIN).is_none_or(|arrival| arrival >= service)
            }
            _ => true,
        }
    }

    fn is_recent(&self, now: Duration) -> bool {
        self.0.as_ref().is_some_and(|it| now.saturating_sub(it.at) < LEAST_RETENTION)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn noon() -> Option<SystemTime> {
        Some(SystemTime::UNIX_EPOCH + HOUR * 12)
    }

    #[test]
    fn a_day_after_the_last_witness_something_may_be_missing() {
        let mut caught_up = CaughtUp::default();
        assert!(!caught_up.vouches(HOUR, None, None));
        caught_up.see(HOUR, noon(), false);
        assert!(
            caught_up.vouches(HOUR * 24, None, None) && !caught_up.vouches(HOUR * 25, None, None)
        );
    }

    #[test]
    fn a_token_made_anew_prolongs_what_is_known_but_does_not_begin_it() {
        let mut caught_up = CaughtUp::default();
        caught_up.see(HOUR, noon(), true);
        assert!(!caught_up.vouches(HOUR, None, None));
        caught_up.see(HOUR, noon(), false);
        for hour in (13..200).step_by(12) {
            caught_up.see(HOUR * hour, noon(), true);
            assert!(caught_up.vouches(HOUR * (hour + 1), None, None), "{hour}");
        }
        // Longer than a day without a call.
        caught_up.see(HOUR * 300, noon(), true);
        assert!(!caught_up.vouches(HOUR * 300, None, None));
    }

    #[test]
    fn a_record_that_was_there_before_contradicts_the_witness() {
        let mut caught_up = CaughtUp::default();
        caught_up.see(HOUR, noon(), false);
        let arrival = |seconds: u64| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        let noon = 12 * 3600;
        assert!(caught_up.vouches(HOUR * 2, None, arrival(noon + 60)));
        assert!(caught_up.vouches(HOUR * 2, None, arrival(noon - 1)));
        assert!(!caught_up.vouches(HOUR * 2, None, arrival(noon - 60)));
        assert!(caught_up.vouches(HOUR * 2, None, None));
    }

    #[test]
    fn a_machine_that_slept_for_days_does_not_vouch() {
        let mut caught_up = CaughtUp::default();
        caught_up.see(HOUR, noon(), false);
        let later = |hours: u32| noon().map(|noon| noon + HOUR * hours);
        assert!(caught_up.vouches(HOUR * 2, later(1), None));
        assert!(!caught_up.vouches(HOUR * 2, later(72), None));
    }
}
