//! Stewards over one table in memory, in virtual time; a seed picks all faults.

mod beats;
mod children;
mod desk;
mod ends;
mod hangs;
mod judge;
mod kcl;
mod leaving;
mod outages;
mod outline;
mod refusals;
mod requests;
mod stream;
mod surveys;
mod takes;
mod unheard;
mod withdrawing;
mod worker;
mod world;

use std::env;

use self::world::World;

/// What each run of all seeds must have seen.
const HAPPENINGS: [&str; 28] = [
    "asked",
    "clocks set",
    "crashes",
    "deleted rows",
    "drained",
    "duplicates",
    "ended",
    "fenced",
    "freezes",
    "gained",
    "handed over",
    "hangs",
    "limited",
    "lost",
    "lost replies",
    "merges",
    "namesakes",
    "outages",
    "outages told",
    "recoveries told",
    "refused ids",
    "released",
    "splits",
    "stops",
    "suspensions",
    "throttled",
    "unfenced",
    "withdrawn",
];

/// How many seeds are run.
fn seeds() -> u64 {
    let number = env::var("FLEET_SEEDS").ok().and_then(|text| text.parse().ok());
    number.unwrap_or(if cfg!(debug_assertions) { 36 } else { 2_000 })
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
    if first.is_none() {
        for what in HAPPENINGS {
            assert!(total.0.contains_key(what), "there were no {what}");
        }
    }
}
