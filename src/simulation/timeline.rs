//! Virtual time: what happens when, and to whom.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::clock::Clock;
use super::world::EPOCH;
use crate::core::fleet::held::Moment;
use crate::delivery::commits;
use crate::store::leases::keeper;

/// The tasks of the world and of its workers, in the order of true time.
pub(super) struct Timeline<T> {
    now: Duration,
    /// The same in nanoseconds, for clocks.
    time: Arc<AtomicU64>,
    tasks: BTreeMap<(Duration, u64), (Whose, T)>,
    made: u64,
    workers: Vec<Worker>,
}

/// To whom a task belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// Nobody: it happens whoever lives.
    World,
    /// One life of one worker. When that is over, nobody does the task.
    Worker { worker: usize, life: u64 },
}

struct Worker {
    clock: Arc<Clock>,
    /// Which of its lives this is; 0 before the first.
    life: u64,
}

impl<T> Timeline<T> {
    /// One with a worker for each clock.
    pub(super) fn new(clocks: Vec<Clock>) -> Self {
        let worker = |clock| Worker { clock: Arc::new(clock), life: 0 };
        Self {
            now: Duration::ZERO,
            time: Arc::default(),
            tasks: BTreeMap::new(),
            made: 0,
            workers: clocks.into_iter().map(worker).collect(),
        }
    }

    /// The true time.
    pub(super) fn now(&self) -> Duration {
        self.now
    }

    /// Lets true time pass.
    pub(super) fn pass(&mut self, time: Duration) {
        self.now += time;
        self.time.store(self.now.as_nanos() as u64, Ordering::Relaxed);
    }

    /// A task of the world at a true time.
    pub(super) fn plan(&mut self, at: Duration, task: T) {
        self.insert(at, Whose::World, task);
    }

    /// A task of a worker in its present life, after so long by its own clock, and not while it stands still.
    pub(super) fn plan_for(&mut self, worker: usize, after: Duration, task: T) {
        let Worker { clock, life } = &self.workers[worker];
        let (at, life) = (clock.after(self.now, after), *life);
        self.insert(at, Whose::Worker { worker, life }, task);
    }

    /// A task of that life at a true time, or, if its worker stands still then, when it continues.
    pub(super) fn plan_at(&mut self, whose: Whose, at: Duration, task: T) {
        let at = match whose {
            Whose::World => at,
            Whose::Worker { worker, .. } => self.workers[worker].clock.thawed(at),
        };
        self.insert(at, whose, task);
    }

    /// The present life of a worker.
    pub(super) fn whose(&self, worker: usize) -> Whose {
        Whose::Worker { worker, life: self.workers[worker].life }
    }

    /// The next task, and when it is due.
    pub(super) fn next(&mut self) -> Option<(Duration, Whose, T)> {
        self.tasks.pop_first().map(|((at, _), (whose, task))| (at, whose, task))
    }

    /// How many tasks there were so far.
    pub(super) fn made(&self) -> u64 {
        self.made
    }

    /// Whether there is still somebody to do a task.
    pub(super) fn is_alive(&self, whose: Whose) -> bool {
        match whose {
            Whose::World => true,
            Whose::Worker { worker, life } => self.workers[worker].life == life,
        }
    }

    /// Begins another life of a worker: what was planned for the last one is void.
    pub(super) fn begin_life(&mut self, worker: usize) {
        self.workers[worker].life += 1;
    }

    /// How many workers there are.
    pub(super) fn workers(&self) -> usize {
        self.workers.len()
    }

    /// What a worker's monotonic clock shows.
    pub(super) fn monotonic(&self, worker: usize) -> Duration {
        self.workers[worker].clock.monotonic(self.now)
    }

    /// What both clocks of a worker show.
    pub(super) fn moment(&self, worker: usize) -> Moment {
        self.workers[worker].clock.moment(self.now, EPOCH)
    }

    /// Both clocks of a worker, to look at from anywhere.
    pub(super) fn moments(&self, worker: usize) -> keeper::Clock {
        let (time, clock) = (Arc::clone(&self.time), Arc::clone(&self.workers[worker].clock));
        Arc::new(move || clock.moment(Duration::from_nanos(time.load(Ordering::Relaxed)), EPOCH))
    }

    /// A worker's monotonic clock, to look at from anywhere.
    pub(super) fn clock(&self, worker: usize) -> commits::Clock {
        let (time, clock) = (Arc::clone(&self.time), Arc::clone(&self.workers[worker].clock));
        Arc::new(move || clock.monotonic(Duration::from_nanos(time.load(Ordering::Relaxed))))
    }

    fn insert(&mut self, at: Duration, whose: Whose, task: T) {
        self.made += 1;
        self.tasks.insert((at, self.made), (whose, task));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_task_dies_with_its_life_of_its_worker() {
        let mut timeline = Timeline::new(vec![Clock::default(), Clock::default()]);
        timeline.begin_life(0);
        timeline.begin_life(1);
        timeline.plan_for(0, SECOND * 2, "first worker");
        timeline.plan_for(1, SECOND, "second worker");
        timeline.plan(SECOND * 3, "world");
        timeline.begin_life(0);
        timeline.plan_for(0, SECOND * 4, "second life");
        let next = std::iter::from_fn(|| timeline.next()).collect::<Vec<_>>();
        let done = next.iter().filter(|(_, whose, _)| timeline.is_alive(*whose));
        assert_eq!(
            done.map(|(_, _, task)| *task).collect::<Vec<_>>(),
            ["second worker", "world", "second life"]
        );
    }

    #[test]
    fn each_worker_waits_by_its_own_clock() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut timeline = Timeline::new((0..20).map(|_| Clock::drawn(&mut rng)).collect());
        for worker in 0..20 {
            timeline.plan_for(worker, SECOND * 100, worker);
        }
        let mut times = Vec::new();
        while let Some((at, _, worker)) = timeline.next() {
            timeline.pass(at - timeline.now());
            let shown = timeline.monotonic(worker);
            assert!(shown >= SECOND * 100 && shown < SECOND * 101, "{shown:?}");
            assert_eq!(timeline.clock(worker)(), shown);
            times.push(at);
        }
        assert!(times[0] < SECOND * 97 && times[19] > SECOND * 103, "{times:?}");
    }
}
