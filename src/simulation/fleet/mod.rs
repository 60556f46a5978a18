//! Workers that share a stream through a table of leases, in virtual time; a seed picks all faults.
//!
//! Whatever plays is a [`machine::Worker`]; those of Amazon's library are in `java/`. `oracle/` judges them all, by what they
//! hand over and by each change of the table. `SIMULATION_SEEDS` and `SIMULATION_SEED` are as for one consumer.

mod java;
mod machine;
mod oracle;
mod ours;
mod table;
mod world;

use self::java::Library::{Kcl2, Kcl3};
use self::world::Player::{Java, Ours};
use self::world::World;
use super::runs::run;

/// The default; a debug build takes ten times as long.
const SEEDS: u64 = if cfg!(debug_assertions) { 100 } else { 1_000 };

#[test]
fn workers_of_amazons_library_lose_nothing_whatever_the_seed() {
    let total = run(SEEDS, "simulation::fleet::workers", |seed| {
        World::new(seed, &[Java(Kcl2), Java(Kcl3)]).run()
    });
    println!("{total}: 0 lost, 0 rules broken");
}

#[test]
fn workers_of_ours_lose_nothing_whatever_the_seed() {
    let total =
        run(SEEDS, "simulation::fleet::workers_of_ours", |seed| World::new(seed, &[Ours]).run());
    println!("{total}: 0 lost, 0 rules broken");
}

#[test]
fn workers_of_ours_and_of_amazons_library_lose_nothing_whatever_the_seed() {
    let total = run(SEEDS, "simulation::fleet::workers_of_ours_and", |seed| {
        World::new(seed, &[Ours, Java(Kcl2), Java(Kcl3)]).run()
    });
    println!("{total}: 0 lost, 0 rules broken");
}

#[test]
fn a_seed_of_a_fleet_replays_exactly() {
    for seed in [1, 7, 23] {
        let run = || format!("{:?}", World::new(seed, &[Java(Kcl2), Java(Kcl3)]).run());
        assert_eq!(run(), run());
    }
}
