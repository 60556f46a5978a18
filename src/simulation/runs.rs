//! Many seeds, on several threads.

use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use parking_lot::Mutex;

use super::counts::Counts;

const THREADS: usize = 2;

/// Runs as many seeds as the environment says, or else this many, until one fails. `filter` finds the test again.
pub(super) fn run(seeds: u64, filter: &str, world: impl Fn(u64) -> Counts + Sync) -> Counts {
    let number = |name: &str| env::var(name).ok().and_then(|text| text.parse().ok());
    let first = number("SIMULATION_SEED");
    let seeds = number("SIMULATION_SEEDS").unwrap_or(if first.is_some() { 1 } else { seeds });
    let first: u64 = first.unwrap_or(0);
    let (next, total) = (AtomicU64::new(first), Mutex::new(Counts::default()));
    let failed = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + seeds || !failed.lock().is_empty() {
                        return;
                    }
                    match catch_unwind(AssertUnwindSafe(|| world(seed))) {
                        Ok(counts) => *total.lock() += counts,
                        Err(_) => failed.lock().push(seed),
                    }
                }
            });
        }
    });
    for seed in failed.lock().iter() {
        println!("failed; again: SIMULATION_SEED={seed} cargo test --lib {filter} -- --nocapture");
    }
    assert!(failed.lock().is_empty());
    total.into_inner()
}
