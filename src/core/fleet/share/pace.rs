//! How often a worker surveys the table.

use std::time::Duration;

/// How long a worker counts as new.
const JOINING: Duration = Duration::from_secs(60);

/// The longest time between two surveys of a worker that watches a part of the table.
const LONGEST: Duration = Duration::from_secs(3600);

/// When a worker surveys.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// How long a counter may stand still.
    pub(crate) failover: Duration,
    /// Read units in a second, of all workers together.
    pub(crate) budget: f64,
    /// When this worker began.
    pub(crate) joined: Duration,
    /// Whether the worker watches a part of the table, so that surveys may be as far apart as the budget demands.
    pub(crate) has_watch: bool,
}

impl Pace {
    /// The time from the worker's begin to its first survey, so that workers that begin together do not read together.
    pub(crate) fn first(&self, rng: &mut fastrand::Rng) -> Duration {
        (self.failover / 2).mul_f64(rng.f64())
    }

    /// The time from one survey to the next. `workers` is the number of workers that live, `units` what a survey costs in
    /// read units. All workers together keep to the budget, but each surveys every two failover times, or every hour if it has
    /// a watch, and a quarter later at most; and more often while it is new, and when its plan is urgent.
    pub(crate) fn next(
        &self,
        now: Duration,
        workers: usize,
        units: f64,
        is_urgent: bool,
        rng: &mut fastrand::Rng,
    ) -> Duration {
        let shortest = self.failover / 2;
        if is_urgent || now.saturating_sub(self.joined) < JOINING {
            return shortest.mul_f64(0.5 + rng.f64());
        }
        let seconds = self.seconds(workers, units);
        let longest =
            if self.has_watch { LONGEST.max(self.failover * 2) } else { self.failover * 2 };
        let (least, most) = (shortest.as_secs_f64(), longest.as_secs_f64());
        // A budget of nothing makes this infinite, or no number at all: the longest time.
        let seconds = if seconds < most { seconds.max(least) } else { most };
        Duration::from_secs_f64(seconds * (0.75 + rng.f64() / 2.0))
    }

    /// In what time all workers survey once that have the same reason to, as the budget allows; at most half of a failover
    /// time.
    pub(crate) fn spread(&self, workers: usize, units: f64) -> Duration {
        let (seconds, most) = (self.seconds(workers, units), (self.failover / 2).as_secs_f64());
        Duration::from_secs_f64(if seconds < most { seconds } else { most })
    }

    /// How many seconds of the budget one survey of every worker costs; infinite, or no number, without a budget.
    fn seconds(&self, workers: usize, units: f64) -> f64 {
        workers as f64 * units / self.budget
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const F: Duration = Duration::from_secs(10);

    /// The shortest and the longest time, in units of a failover time, for workers and a budget.
    fn bounds(now: u64, workers: usize, units: f64, budget: f64) -> (f64, f64) {
        bounds_of(false, now, workers, units, budget)
    }

    fn bounds_of(has_watch: bool, now: u64, workers: usize, units: f64, budget: f64) -> (f64, f64) {
        let mut rng = fastrand::Rng::with_seed(1);
        let pace = Pace { failover: F, budget, joined: Duration::from_secs(1_000), has_watch };
        let mut next = || {
            pace.next(Duration::from_secs(now), workers, units, false, &mut rng).as_secs_f64()
                / 10.0
        };
        let times: Vec<_> = (0..2_000).map(|_| next()).collect();
        (times.iter().copied().fold(f64::MAX, f64::min), times.iter().copied().fold(0.0, f64::max))
    }

    #[track_caller]
    fn is_about((least, most): (f64, f64), expected: (f64, f64)) {
        assert!((expected.0..expected.0 + 0.02).contains(&least), "{least} for {}", expected.0);
        assert!((expected.1 - 0.02..=expected.1).contains(&most), "{most} for {}", expected.1);
    }

    #[test]
    fn all_workers_together_keep_to_the_budget_between_half_and_twice_the_failover_time() {
        is_about(bounds(1_060, 20, 50.0, 100.0), (0.75, 1.25));
        is_about(bounds(1_060, 3, 1.0, 100.0), (0.375, 0.625));
        is_about(bounds(1_060, 200, 437.0, 100.0), (1.5, 2.5));
        is_about(bounds(1_060, 200, 437.0, 0.0), (1.5, 2.5));
        is_about(bounds(1_060, 0, 0.0, 0.0), (1.5, 2.5));
    }

    #[test]
    fn workers_with_the_same_reason_survey_at_once_only_as_the_budget_allows() {
        let spread = |workers, units, budget| {
            Pace { failover: F, budget, joined: Duration::ZERO, has_watch: false }
                .spread(workers, units)
        };
        assert_eq!(spread(3, 1.0, 100.0), Duration::from_millis(30));
        assert_eq!(spread(200, 437.0, 100.0), F / 2);
        assert_eq!(spread(200, 437.0, 0.0), F / 2);
        assert_eq!(spread(0, 0.0, 0.0), F / 2);
    }

    #[test]
    fn with_a_watch_surveys_are_as_rare_as_the_budget_demands() {
        is_about(bounds_of(true, 1_060, 200, 5.0, 100.0), (0.75, 1.25));
        let (least, most) = bounds_of(true, 1_060, 200, 437.0, 100.0);
        assert!((65.5..66.0).contains(&least) && (108.5..109.3).contains(&most), "{least} {most}");
        let (least, most) = bounds_of(true, 1_060, 200, 437.0, 0.0);
        assert!((270.0..271.0).contains(&least) && (449.0..=450.0).contains(&most));
    }

    #[test]
    fn a_new_worker_surveys_often_whatever_the_budget() {
        is_about(bounds(1_000, 200, 437.0, 100.0), (0.25, 0.75));
        is_about(bounds(1_059, 200, 437.0, 100.0), (0.25, 0.75));
    }

    #[test]
    fn after_an_urgent_plan_a_worker_surveys_soon() {
        let mut rng = fastrand::Rng::with_seed(1);
        let pace = Pace { failover: F, budget: 1.0, joined: Duration::ZERO, has_watch: true };
        for _ in 0..100 {
            let next = pace.next(Duration::from_secs(9_000), 200, 437.0, true, &mut rng);
            assert!((F / 4..F * 3 / 4).contains(&next), "{next:?}");
        }
    }

    #[test]
    fn first_surveys_are_spread() {
        let mut rng = fastrand::Rng::with_seed(1);
        let pace = Pace { failover: F, budget: 1.0, joined: Duration::ZERO, has_watch: false };
        let times: Vec<_> = (0..2_000).map(|_| pace.first(&mut rng)).collect();
        assert!(times.iter().all(|time| *time < F / 2));
        let early = times.iter().filter(|time| **time < F / 4).count();
        assert!((900..1_100).contains(&early), "{early}");
    }
}
