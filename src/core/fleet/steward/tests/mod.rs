//! Stewards over one table in memory, in virtual time; a seed picks all faults.

mod beats;
mod desk;
mod ends;
mod judge;
mod leaving;
mod refusals;
mod requests;
mod stream;
mod surveys;
mod takes;
mod worker;
mod world;

use std::env;

use self::world::World;

/// How many seeds are run.
fn seeds() -> u64 {
    let number = env::var("FLEET_SEEDS").ok().and_then(|text| text.parse().ok());
    number.unwrap_or(if cfg!(debug_assertions) { 60 } else { 2_000 })
}

#[test]
fn nothing_is_lost_and_nobody_hands_over_what_another_holds() {
    let first = env::var("FLEET_SEED").ok().and_then(|text| text.parse::<u64>().ok());
    let range = first.map_or(0..seeds(), |seed| seed..seed + 1);
    let mut total = judge::Counts::default();
    for seed in range {
        println!("FLEET_SEED={seed}");
        total.add(World::new(seed).run());
    }
    println!("{total:?}");
}
