//! The real threads of a consumer, under schedules that a seed picks: see `sync::schedule`.
//!
//! Each scenario asserts what its schedules may break; a rule that no scenario asserts is not tested here. One schedule
//! of one scenario again: `SCHEDULE_SEED=110 cargo test --features full --lib schedules::receiver`.

mod budget;
mod faults;
mod listen;
mod receiver;
mod scheduler;
mod workers;
mod world;

use std::env;

use crate::sync::controlled::schedule::{self, Ran};

/// Schedules of each scenario in an ordinary run of the tests.
const FEW: u64 = 200;

/// Tries a scenario with as many seeds as `SCHEDULES` says, or with the one of `SCHEDULE_SEED`.
///
/// # Panics
/// At the first schedule that fails, with the command that repeats it.
fn try_all(name: &str, scenario: fn()) {
    let number = |variable: &str| env::var(variable).ok().map(|text| text.parse::<u64>().unwrap());
    let first = number("SCHEDULE_FIRST").unwrap_or(0);
    let seeds = match number("SCHEDULE_SEED") {
        Some(seed) => seed..seed + 1,
        None => first..first + number("SCHEDULES").unwrap_or(FEW),
    };
    let count = seeds.end - seeds.start;
    let mut all: Vec<Ran> = Vec::new();
    for seed in seeds {
        match schedule::run(seed, scenario) {
            Ok(ran) => all.push(ran),
            Err(report) => panic!(
                "{report}\nagain: SCHEDULE_SEED={seed} cargo test --features full --lib schedules::{name}"
            ),
        }
    }
    all.sort_unstable_by_key(|ran| ran.steps);
    let median = all[all.len() / 2];
    println!(
        "{name}: {count} schedules, {} steps and {} threads in the middle",
        median.steps, median.threads
    );
}
