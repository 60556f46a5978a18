//! The real threads of a consumer, under schedules that a seed picks: see `sync::controlled::schedule`.
//!
//! Each scenario asserts what its schedules may break; a rule that no scenario asserts is not tested here. A schedule that
//! fails prints the command that repeats it.
//!
//! A seed names one schedule of one state of the code: any change of what the threads wait for makes it another one. So a bug
//! of the past is kept as the scenario that finds it, which every run tries, and as a patch in `tests/mutants` that brings the
//! bug back and names the scenario. No list of seeds is kept.

mod budget;
mod closed;
mod commits;
mod doors;
mod drained;
mod ends;
mod faults;
mod fenced;
mod fleets;
mod hooked;
mod journal;
mod listen;
mod listeners;
mod listing;
mod logs;
mod lost;
mod panics;
mod parked;
mod pauses;
mod receiver;
mod refusing;
mod scheduler;
mod slow;
mod stops;
mod stored;
mod tally;
mod threads;
mod workers;
mod world;

use std::env;
use std::thread;

use self::tally::Tally;
use crate::sync::controlled::schedule;

/// An ordinary run of the tests takes this many schedules of each scenario: on a busy machine each step waits for a
/// processor.
const FEW: u64 = 40;

/// The first of them run twice, and must take the same steps.
const TWICE: u64 = 5;

/// Tries a scenario with `SCHEDULES` seeds from `SCHEDULE_FIRST` on, or with the one of `SCHEDULE_SEED`. After
/// `SCHEDULE_STEPS` steps no further one begins: short scenarios have more schedules in the same time.
///
/// # Panics
/// At the first schedule that fails, with the command that repeats it.
fn try_all(scenario: fn()) -> Tally {
    let number = |variable: &str| env::var(variable).ok().map(|text| text.parse::<u64>().unwrap());
    let first = number("SCHEDULE_FIRST").unwrap_or(0);
    let seeds = match number("SCHEDULE_SEED") {
        Some(seed) => seed..seed + 1,
        None => first..first + number("SCHEDULES").unwrap_or(FEW).max(1),
    };
    // A test's thread has the name of the test.
    let test = thread::current().name().unwrap_or("schedules::").to_owned();
    let (mut tally, mut steps) = (Tally::default(), 0);
    let most = number("SCHEDULE_STEPS").unwrap_or(u64::MAX);
    for seed in seeds.clone() {
        if steps >= most {
            break;
        }
        match schedule::run(seed, scenario) {
            Ok(ran) => {
                let is_again = seed - seeds.start < TWICE;
                assert!(
                    !is_again || schedule::run(seed, scenario).as_ref() == Ok(&ran),
                    "{test}: seed {seed} differs"
                );
                steps += ran.steps;
                tally.add(ran);
            }
            Err(report) => {
                panic!(
                    "{report}\nagain: SCHEDULE_SEED={seed} cargo test --features full --lib {test}"
                )
            }
        }
    }
    println!("{test}: {} schedules from seed {}, {}", tally.count(), seeds.start, tally.summary());
    tally
}
