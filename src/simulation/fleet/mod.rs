//! Workers that share a stream through a table of leases, in virtual time; a seed picks all faults.
//!
//! Whatever plays is a [`machine::Worker`]; those of Amazon's library are in `java/`, ours in `ours/`. `oracle/` judges them
//! all, by what they hand over and by each change of the table. `SIMULATION_SEEDS` and `SIMULATION_SEED` are as for one
//! consumer.

mod costs;
mod happenings;
mod java;
mod machine;
mod oracle;
mod ours;
mod table;
mod world;

use self::java::Library::{Kcl2, Kcl3};
use self::table::Faults;
use self::world::Player::{Java, Ours};
use self::world::{Plan, World};
use super::runs::run;

/// How many seeds each has by default, all together 10,000 and six in ten of them with workers of ours; a debug build
/// takes ten times as long.
const fn seeds(release: u64) -> u64 {
    if cfg!(debug_assertions) { release / 80 } else { release }
}

#[test]
fn workers_of_amazons_library_lose_nothing_whatever_the_seed() {
    let total = run(seeds(4_000), "simulation::fleet::workers_of_amazons", |seed| {
        World::new(seed, &[Java(Kcl2), Java(Kcl3)]).run()
    });
    println!("{total}: 0 lost, 0 rules broken");
}

#[test]
fn workers_of_ours_lose_nothing_whatever_the_seed() {
    let total = run(seeds(2_000), "simulation::fleet::workers_of_ours_lose", |seed| {
        World::new(seed, &[Ours]).run()
    });
    println!("{total}: 0 lost, 0 rules broken");
}

#[test]
fn workers_of_ours_and_of_amazons_library_lose_nothing_whatever_the_seed() {
    let total = run(seeds(3_000), "simulation::fleet::workers_of_ours_and", |seed| {
        World::new(seed, &[Ours, Java(Kcl2), Java(Kcl3)]).run()
    });
    println!("{total}: 0 lost, 0 rules broken");
}

/// Workers come and go in good order, shards are split and merged, and nothing goes wrong.
#[test]
fn no_record_is_handled_twice_if_workers_only_come_and_go() {
    let total = run(seeds(750), "simulation::fleet::no_record", |seed| {
        let mut rng = fastrand::Rng::with_seed(seed);
        let plan = Plan::new(&mut rng, &[Ours]);
        let failover = plan.failover;
        let plan = Plan {
            faults: Faults::none(failover),
            crashes: 0,
            freezes: 0,
            stops: rng.u32(1..20),
            is_meddled_with: false,
            is_rough: false,
            // What their users have not committed when they stop comes again.
            has_receivers: false,
            ..plan
        };
        let counts = World::with_plan(rng, plan).run();
        assert_eq!(counts.faults.get("record handled again"), Some(&0));
        assert_eq!(counts.faults.get("lease lost"), None);
        counts
    });
    println!("{total}: 0 handled twice, 0 leases lost");
}

/// Handlers stand still for a hundred failover times, and with them channels, while the table answers.
#[test]
fn no_lease_is_lost_to_a_handler_that_stands_still() {
    let total = run(seeds(250), "simulation::fleet::no_lease", |seed| {
        let mut rng = fastrand::Rng::with_seed(seed);
        let plan = Plan::new(&mut rng, &[Ours]);
        let chaos = plan.failover * rng.u32(105..120);
        let calm = Plan::calm(plan.players, plan.failover, chaos);
        let plan = Plan {
            shards: plan.shards,
            happenings: 15,
            has_receivers: true,
            is_stuck: true,
            starts_latest: plan.starts_latest,
            ..calm
        };
        World::with_plan(rng, plan).run()
    });
    println!("{total}: 0 leases lost that nobody asked for");
}

#[test]
fn a_seed_of_a_fleet_replays_exactly() {
    for seed in [1, 7, 23] {
        let run = || format!("{:?}", World::new(seed, &[Ours, Java(Kcl2), Java(Kcl3)]).run());
        assert_eq!(run(), run());
    }
}
