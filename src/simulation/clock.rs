//! The clocks of a worker's machine, and the times when it stands still.

use std::time::Duration;

use crate::core::fleet::held::Moment;

/// One million: rates are in parts of it.
const MILLION: u128 = 1_000_000;
/// No clock runs faster or slower than the true one by more.
const MAX_DRIFT: i64 = 50_000;
const HOUR: i64 = 3_600;

/// The two clocks of one machine, as a function of true time. What is not drawn is exact.
#[derive(Clone, Debug, Default)]
pub(super) struct Clock {
    /// By how many seconds the wall clock is ahead, or behind.
    offset: i64,
    /// By how many parts in a million both clocks are fast, or slow.
    drift: i64,
    /// One after the other.
    freezes: Vec<Freeze>,
}

/// A time in which nothing of the worker runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Freeze {
    pub(super) from: Duration,
    pub(super) to: Duration,
    /// Whether the whole machine was suspended: then its monotonic clock stood still.
    pub(super) is_suspension: bool,
}

impl Clock {
    /// Up to an hour wrong, up to 5 % fast or slow.
    pub(super) fn drawn(rng: &mut fastrand::Rng) -> Self {
        let (offset, drift) = (rng.i64(-HOUR..=HOUR), rng.i64(-MAX_DRIFT..=MAX_DRIFT));
        Self { offset, drift, freezes: Vec::new() }
    }

    /// The same machine, which stands still at some moments before `end`, each time for at most `most`.
    pub(super) fn with_freezes(
        mut self,
        rng: &mut fastrand::Rng,
        times: u32,
        end: Duration,
        most: Duration,
    ) -> Self {
        let mut begins: Vec<_> = (0..times).map(|_| end.mul_f64(rng.f64())).collect();
        begins.sort();
        for from in begins {
            let last = self.freezes.last().map_or(Duration::ZERO, |freeze| freeze.to);
            let (to, is_suspension) = (from + most.mul_f64(rng.f64()), rng.bool());
            if from > last && from < to {
                self.freezes.push(Freeze { from, to, is_suspension });
            }
        }
        self
    }

    /// When it stands still, in true time.
    pub(super) fn freezes(&self) -> &[Freeze] {
        &self.freezes
    }

    /// What both clocks show at a true time. Virtual time begins at `epoch`, since 1970.
    pub(super) fn moment(&self, now: Duration, epoch: Duration) -> Moment {
        let wall = epoch + self.scaled(now);
        let offset = Duration::from_secs(self.offset.unsigned_abs());
        let wall = if self.offset < 0 { wall.saturating_sub(offset) } else { wall + offset };
        Moment { monotonic: self.monotonic(now), wall }
    }

    /// What the monotonic clock shows at a true time.
    pub(super) fn monotonic(&self, now: Duration) -> Duration {
        self.scaled(now - self.suspended(now))
    }

    /// When something that waits for so long by the monotonic clock continues, in true time: never while the worker
    /// stands still.
    pub(super) fn after(&self, now: Duration, wait: Duration) -> Duration {
        let until = (self.monotonic(now) + wait).as_nanos();
        // Rounded up, or else it would wake before its time.
        let running = nanos((until * MILLION).div_ceil(self.rate()));
        let (mut left, mut at) = (running.saturating_sub(now - self.suspended(now)), now);
        for freeze in self.freezes.iter().filter(|it| it.is_suspension && it.to > now) {
            let before = freeze.from.saturating_sub(at);
            if left < before {
                break;
            }
            (left, at) = (left - before, freeze.to);
        }
        self.thawed(at + left)
    }

    /// This true time, or the end of the freeze that it falls into.
    pub(super) fn thawed(&self, at: Duration) -> Duration {
        let freeze = self.freezes.iter().find(|freeze| freeze.from <= at && at < freeze.to);
        freeze.map_or(at, |freeze| freeze.to)
    }

    /// For how long the machine was suspended until a true time.
    fn suspended(&self, now: Duration) -> Duration {
        let suspensions = self.freezes.iter().filter(|it| it.is_suspension && it.from < now);
        suspensions.map(|freeze| freeze.to.min(now) - freeze.from).sum()
    }

    fn scaled(&self, time: Duration) -> Duration {
        nanos(time.as_nanos() * self.rate() / MILLION)
    }

    fn rate(&self) -> u128 {
        MILLION.saturating_add_signed(self.drift.into())
    }
}

fn nanos(count: u128) -> Duration {
    let count = u64::try_from(count).expect("virtual time ends before the year 2500");
    Duration::from_nanos(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn freeze(from: u64, to: u64, is_suspension: bool) -> Freeze {
        Freeze { from: SECOND * from as u32, to: SECOND * to as u32, is_suspension }
    }

    #[test]
    fn a_clock_that_is_not_drawn_is_exact() {
        let (clock, now) = (Clock::default(), Duration::from_nanos(7_123_456_789));
        let expected = Moment { monotonic: now, wall: SECOND * 100 + now };
        assert_eq!(clock.moment(now, SECOND * 100), expected);
        assert_eq!(clock.after(now, SECOND), now + SECOND);
    }

    #[test]
    fn no_wait_is_shorter_by_its_own_clock_than_it_should_be() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut stood_still = 0;
        for _ in 0..1_000 {
            let clock = Clock::drawn(&mut rng).with_freezes(&mut rng, 3, SECOND * 60, SECOND * 20);
            let now = clock.thawed(SECOND.mul_f64(60.0 * rng.f64()));
            let wait = SECOND.mul_f64(30.0 * rng.f64()) * rng.u32(0..3);
            let end = clock.after(now, wait);
            let waited = clock.monotonic(end) - clock.monotonic(now);
            assert!(waited >= wait, "{clock:?}: {waited:?} of {wait:?}");
            assert_eq!(clock.thawed(end), end, "it continues while it stands still");
            stood_still += u32::from(end > now + wait + SECOND * 2);
        }
        assert!(stood_still > 100, "{stood_still}");
    }

    #[test]
    fn a_suspension_stops_the_monotonic_clock_and_a_stopped_process_stops_none() {
        let clock = Clock {
            offset: -10,
            drift: 50_000,
            freezes: vec![freeze(2, 5, true), freeze(8, 9, false)],
        };
        let moment = clock.moment(SECOND * 10, SECOND * 100);
        assert_eq!(moment.monotonic, Duration::from_millis(7_350));
        assert_eq!(moment.wall, Duration::from_millis(100_500));
        let exact = Clock { drift: 0, ..clock };
        assert_eq!(exact.after(SECOND, SECOND * 2), SECOND * 6);
        assert_eq!(exact.after(SECOND * 6, Duration::from_millis(2_500)), SECOND * 9);
        assert_eq!(exact.after(SECOND * 3, Duration::ZERO), SECOND * 5);
    }

    #[test]
    fn drawn_clocks_are_as_wrong_as_they_may_be() {
        let mut rng = fastrand::Rng::with_seed(1);
        let clocks: Vec<_> = (0..1_000).map(|_| Clock::drawn(&mut rng)).collect();
        assert!(clocks.iter().all(|it| it.offset.abs() <= HOUR && it.drift.abs() <= MAX_DRIFT));
        assert!(clocks.iter().any(|it| it.offset < -3_000 && it.drift > 40_000));
        assert!(clocks.iter().any(|it| it.offset > 3_000 && it.drift < -40_000));
    }
}
