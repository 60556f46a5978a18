//! How the schedules of a scenario end.

use std::sync::atomic::{AtomicU64, Ordering};

use super::FEW;

/// Counts the ways in which a scenario ends, each of which must occur.
pub(super) struct Outcomes<const N: usize> {
    names: [&'static str; N],
    counts: [AtomicU64; N],
}

impl<const N: usize> Outcomes<N> {
    pub(super) const fn new(names: [&'static str; N]) -> Self {
        Self { names, counts: [const { AtomicU64::new(0) }; N] }
    }

    pub(super) fn saw(&self, outcome: usize) {
        self.counts[outcome].fetch_add(1, Ordering::Relaxed);
    }

    /// Call it after all schedules.
    ///
    /// # Panics
    /// If one never occurred, unless the schedules were too few to say so.
    pub(super) fn each_occurred(&self) {
        let counts = self.counts.each_ref().map(|count| count.load(Ordering::Relaxed));
        println!("    {:?}", self.names.iter().zip(counts).collect::<Vec<_>>());
        let all: u64 = counts.iter().sum();
        assert!(all < FEW || !counts.contains(&0), "an outcome never occurred");
    }
}
