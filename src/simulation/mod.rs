//! The real core over an in-memory Kinesis in virtual time; a seed picks all faults.
//!
//! `SIMULATION_SEEDS` is how many seeds are run, `SIMULATION_SEED` the first of them.

mod aggregate;
mod clock;
mod consumer;
mod counts;
mod faults;
mod happenings;
mod machine;
mod oddities;
mod plan;
mod shard_truth;
mod store;
mod timeline;
mod truth;
mod world;

use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use parking_lot::Mutex;

use self::counts::Counts;
use self::world::World;

/// The default; a debug build takes ten times as long.
const SEEDS: u64 = if cfg!(debug_assertions) { 1_000 } else { 10_000 };
const THREADS: usize = 2;

#[test]
fn nothing_is_lost_repeated_or_out_of_order_whatever_the_seed() {
    let number = |name: &str| env::var(name).ok().and_then(|text| text.parse().ok());
    let first = number("SIMULATION_SEED");
    let seeds = number("SIMULATION_SEEDS").unwrap_or(if first.is_some() { 1 } else { SEEDS });
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
                    match catch_unwind(AssertUnwindSafe(|| World::new(seed).run())) {
                        Ok(counts) => *total.lock() += counts,
                        Err(_) => failed.lock().push(seed),
                    }
                }
            });
        }
    });
    for seed in failed.lock().iter() {
        println!(
            "failed; again: SIMULATION_SEED={seed} cargo test --lib simulation -- --nocapture"
        );
    }
    assert!(failed.lock().is_empty());
    let total = total.into_inner();
    println!("{total}: 0 lost, 0 out of order, 0 unexplained duplicates");
}

#[test]
fn a_seed_replays_exactly() {
    for seed in [1, 7, 23] {
        let run = || format!("{:?}", World::new(seed).run());
        assert_eq!(run(), run());
    }
}
