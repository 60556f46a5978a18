//! The seed's choices: half of the seeds walk at random, half go by urgency.

use std::time::Duration;

use fastrand::Rng;

/// In one of this many steps time passes although a thread could continue, as on a slow machine.
const SLOW_ONE_IN: u32 = 64;
/// By this many milliseconds at most.
const SLOW_MILLIS: u64 = 20;

/// The number of steps that make a thread the least urgent one: few find what needs few.
const CHANGES: usize = 4;
/// They are among this many first steps.
const CHANGES_WITHIN: u64 = 400;

pub(super) struct Choice {
    rng: Rng,
    way: Way,
}

enum Way {
    /// In `keep` of a hundred choices the same thread continues; in the others any thread may.
    Walk { keep: u32 },
    /// The most urgent thread continues. At the steps `changes` it becomes the least urgent one.
    Urgency { changes: Vec<u64>, least: u64 },
}

impl Choice {
    pub(super) fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let way = if rng.bool() {
            Way::Walk { keep: rng.choice([0, 50, 90, 97]).unwrap_or(0) }
        } else {
            let changes = (0..CHANGES).map(|_| rng.u64(1..CHANGES_WITHIN)).collect();
            Way::Urgency { changes, least: u64::from(u32::MAX) }
        };
        Self { rng, way }
    }

    /// The urgency of a new thread. Those that changes give are below all of these.
    pub(super) fn rank(&mut self) -> u64 {
        self.rng.u64(u64::from(u32::MAX)..)
    }

    /// How much time passes at this step, if any does.
    pub(super) fn slowness(&mut self) -> Option<Duration> {
        let is_slow = self.rng.u32(..SLOW_ONE_IN) == 0;
        is_slow.then(|| Duration::from_millis(self.rng.u64(..=SLOW_MILLIS)))
    }

    /// In which order to ask who may continue.
    pub(super) fn order(&mut self, running: usize, ranks: &[u64]) -> Vec<usize> {
        let mut order: Vec<_> = (0..ranks.len()).collect();
        match &self.way {
            Way::Walk { keep } => {
                let keeps = self.rng.u32(..100) < *keep;
                self.rng.shuffle(&mut order);
                if keeps {
                    order.retain(|it| *it != running);
                    order.insert(0, running);
                }
            }
            Way::Urgency { .. } => order.sort_by_key(|it| std::cmp::Reverse(ranks[*it])),
        }
        order
    }

    /// The new urgency of the thread that continues, if this step changes it.
    pub(super) fn demotes(&mut self, step: u64) -> Option<u64> {
        let Way::Urgency { changes, least } = &mut self.way else { return None };
        changes.contains(&step).then(|| {
            *least -= 1;
            *least
        })
    }
}
