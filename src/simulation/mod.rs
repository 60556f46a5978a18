//! The real core over an in-memory Kinesis in virtual time; a seed picks all faults.
//!
//! `SIMULATION_SEEDS` is how many seeds are run, `SIMULATION_SEED` the first of them.

mod aggregate;
mod clock;
mod consumer;
mod counts;
mod faults;
mod fleet;
mod happenings;
mod machine;
mod oddities;
mod plan;
mod runs;
mod shard_truth;
mod store;
mod timeline;
mod truth;
mod world;

use self::runs::run;
use self::world::World;

/// The default; a debug build takes ten times as long.
const SEEDS: u64 = if cfg!(debug_assertions) { 1_000 } else { 10_000 };

#[test]
fn nothing_is_lost_repeated_or_out_of_order_whatever_the_seed() {
    let total = run(SEEDS, "simulation::nothing", |seed| World::new(seed).run());
    println!("{total}: 0 lost, 0 out of order, 0 unexplained duplicates");
}

#[test]
fn a_seed_replays_exactly() {
    for seed in [1, 7, 23] {
        let run = || format!("{:?}", World::new(seed).run());
        assert_eq!(run(), run());
    }
}
