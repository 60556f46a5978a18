//! How many threads make the beats, by which leases are kept up.

use std::time::Duration;

/// How long the beats of one process take.
#[derive(Debug)]
pub(crate) struct Hearts {
    /// The time from one beat of a lease to the next.
    period: Duration,
    /// The longest time that a beat took. With each quicker beat it falls by a twentieth at most.
    latency: Duration,
}

/// A table would throttle more beats at once.
const MOST: usize = 16;

impl Hearts {
    /// Nothing is known yet of beats.
    pub(crate) fn new(failover: Duration) -> Self {
        Self { period: failover / 3, latency: Duration::ZERO }
    }

    /// A beat took that long.
    pub(crate) fn took(&mut self, time: Duration) {
        self.latency = time.max(self.latency.mul_f64(0.95));
    }

    /// How many threads this number of leases needs, also if each beat takes half as long again.
    pub(crate) fn wanted(&self, leases: usize) -> usize {
        let busy = leases as f64 * self.latency.as_secs_f64() * 1.5 / self.period.as_secs_f64();
        // Too large a number becomes the largest one.
        (busy.ceil() as usize).clamp(1, MOST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_beats_of_many_leases_are_made_by_several_threads() {
        let mut hearts = Hearts::new(Duration::from_secs(9));
        assert_eq!(hearts.wanted(10_000), 1, "nothing is known yet");
        hearts.took(Duration::from_millis(10));
        let wanted =
            |hearts: &Hearts| [0, 200, 201, 400, 1_000, 100_000].map(|it| hearts.wanted(it));
        assert_eq!(wanted(&hearts), [1, 1, 2, 2, 5, 16]);
        // One quick beat proves little, many do.
        hearts.took(Duration::from_millis(1));
        assert_eq!(hearts.wanted(1_000), 5);
        (0..100).for_each(|_| hearts.took(Duration::from_millis(1)));
        assert_eq!(hearts.wanted(1_000), 1);
    }
}
