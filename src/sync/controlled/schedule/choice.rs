//! The seed's choices: half of the seeds walk at random, half go by urgency.

use std::time::Duration;

use fastrand::Rng;

/// Time passes although somebody could go on: once in so many steps, and by so many milliseconds at most.
const DAWDLES: u32 = 64;
const DAWDLED: u64 = 20;

/// Within how many steps an urgency changes, and how often: few changes find what needs few.
const CHANGES: u64 = 400;
const CHANGED: usize = 4;

pub(super) struct Choice {
    rng: Rng,
    way: Way,
}

enum Way {
    /// Keeps the turn in so many of a hundred choices; otherwise anybody may have it.
    Walk { keep: u32 },
    /// The most urgent one goes on. At these steps the one that goes on becomes the least urgent.
    Urgency { changes: Vec<u64>, least: u64 },
}

impl Choice {
    pub(super) fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let way = if rng.bool() {
            Way::Walk { keep: rng.choice([0, 50, 90, 97]).unwrap_or(0) }
        } else {
            let changes = (0..CHANGED).map(|_| rng.u64(1..CHANGES)).collect();
            Way::Urgency { changes, least: u64::from(u32::MAX) }
        };
        Self { rng, way }
    }

    /// The urgency of a new thread. Those that changes give are below all of these.
    pub(super) fn rank(&mut self) -> u64 {
        self.rng.u64(u64::from(u32::MAX)..)
    }

    pub(super) fn dawdles(&mut self) -> Option<Duration> {
        let dawdles = self.rng.u32(..DAWDLES) == 0;
        dawdles.then(|| Duration::from_millis(self.rng.u64(..=DAWDLED)))
    }

    /// In which order to ask who may go on.
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

    /// The new urgency of the one that goes on, if it changes at this step.
    pub(super) fn demotes(&mut self, step: u64) -> Option<u64> {
        let Way::Urgency { changes, least } = &mut self.way else { return None };
        changes.contains(&step).then(|| {
            *least -= 1;
            *least
        })
    }
}
