//! From any assignment each worker gets its share, by few moves and soon; and then nothing moves.

use super::world::{SECOND, Settings, World};

const F: u64 = 10 * SECOND;

/// How a table of rows is when it is left to its workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    /// One worker has all rows; the others have just begun.
    One,
    /// Nobody has a row, and all workers have just begun.
    Nobody,
    Random,
    /// Half of the rows has no owner; half of the workers has the other half.
    HalfUnowned,
    /// All have their shares, and one more worker begins.
    OneJoins,
    /// All have their shares, and half of them dies.
    HalfDies,
    /// Workers begin one after another within a minute, and nobody has a row.
    OneByOne,
}

use self::Start::{HalfDies, HalfUnowned, Nobody, One, OneByOne, OneJoins, Random};

const ALL: [Start; 7] = [One, Nobody, Random, HalfUnowned, OneJoins, HalfDies, OneByOne];

fn settings() -> Settings {
    Settings {
        failover: F,
        scan: SECOND,
        write: SECOND / 2,
        drain: F,
        budget: 100.0,
        has_watch: false,
        tells_limits: true,
    }
}

fn world(start: Start, rows: usize, workers: usize, seed: u64) -> World {
    let mut world = World::new(settings(), rows, seed);
    let mut rng = fastrand::Rng::with_seed(seed);
    let began =
        |at: usize| if start == OneByOne { at as u64 * 60 * SECOND / workers as u64 } else { 0 };
    for at in 0..workers {
        world.join(began(at), None);
    }
    for row in 0..rows {
        match start {
            One => world.give(row, 0),
            Random => world.give(row, rng.usize(..workers)),
            HalfUnowned if rng.bool() => world.give(row, rng.usize(..workers.div_ceil(2))),
            OneJoins | HalfDies => world.give(row, row % workers),
            Nobody | HalfUnowned | OneByOne => {}
        }
    }
    if matches!(start, OneJoins | HalfDies) {
        world.run_until(100 * SECOND);
        assert_eq!(world.counts.last_move, None, "all had their shares");
    }
    match start {
        OneJoins => world.join(100 * SECOND, None),
        HalfDies => (0..workers / 2).for_each(|at| world.kill(at * 2)),
        _ => {}
    }
    world
}

/// What one world came to.
#[derive(Default)]
struct Outcome {
    least: usize,
    need: usize,
    moves: usize,
    refused: usize,
    surveys: u32,
    /// From the begin to the balance, in seconds.
    time: f64,
}

/// Runs a world until long after it is balanced.
fn run(mut world: World, seed: u64) -> Outcome {
    let began = world.now;
    world.measure();
    let (least, need) = world.least();
    let end = began + 200 * SECOND;
    world.run_until(end);
    let balanced = world.counts.balanced;
    let at = balanced.unwrap_or_else(|| panic!("seed {seed} is never balanced"));
    world.run_until(at.max(end) + 20 * F);
    let counts = &world.counts;
    assert_eq!(counts.balanced, Some(at), "seed {seed} is balanced no more");
    // What was planned before is still written.
    let rest = at + SECOND + SECOND / 2;
    assert!(counts.last_move.is_none_or(|it| it <= rest), "seed {seed} does not come to rest");
    let moves = counts.takes + counts.asks;
    let time = (at - began) as f64 / SECOND as f64;
    Outcome { least, need, moves, refused: counts.refused, surveys: counts.surveys.0, time }
}

/// The most surveys that each worker makes before all is balanced. `need` is how many rows the worker lacks that lacks most.
fn most_surveys(start: Start, need: usize) -> u32 {
    // One to be seen, up to two while many are new, and one in which a refused write is made up for; each of the others
    // halves what is missing.
    let halvings = need.max(1).next_power_of_two().ilog2();
    // A counter stands still for F before a worker is dead; at the fastest pace these are three surveys.
    4 + halvings + if start == HalfDies { 3 } else { 0 }
}

fn most_moves(start: Start, rows: usize, workers: usize, least: usize) -> f64 {
    // The first move of each is made before it knows of the others. It matters if all have few rows.
    let blind = if rows >= 10 * workers && start != HalfUnowned {
        0.0
    } else {
        4.0 + workers as f64 / 10.0
    };
    // A worker that begins early takes more than its share of rows that nobody reads, rather than wait for others.
    let factor = if start == OneByOne { 2.5 } else { 1.3 };
    factor * least as f64 + blind
}

/// Of all seeds the largest number of each kind.
fn balances(start: Start, rows: usize, workers: usize, seeds: u64) {
    let mut worst = Outcome::default();
    let mut ratio = 0.0_f64;
    for seed in 0..seeds {
        let result = run(world(start, rows, workers, seed), seed);
        let Outcome { least, need, moves, refused, surveys, time } = result;
        let case = format!("{start:?}: {rows} rows, {workers} workers, seed {seed}");
        let most = most_surveys(start, need);
        assert!(
            start == OneByOne || surveys <= most,
            "{case}: {surveys} surveys, more than {most}"
        );
        let most = most_moves(start, rows, workers, least);
        assert!(moves as f64 <= most, "{case}: {moves} moves, more than {most}");
        ratio = ratio.max(moves as f64 / least.max(1) as f64);
        worst = Outcome {
            least: worst.least.max(least),
            need: worst.need.max(need),
            moves: worst.moves.max(moves),
            refused: worst.refused.max(refused),
            surveys: worst.surveys.max(surveys),
            time: worst.time.max(time),
        };
    }
    let Outcome { least, need, moves, refused, surveys, time } = worst;
    println!(
        "{:11} {rows:6} rows {workers:3} workers: need {need:4}, surveys {surveys:2} of {:2}, moves {moves:5} (least \
         {least:5}, at worst x{ratio:.2}), refused {refused:3}, {time:5.1} s",
        format!("{start:?}"),
        most_surveys(start, need),
    );
}

#[test]
fn any_assignment_becomes_even_and_stays_so() {
    for (rows, workers) in [(101, 10), (40, 20), (11, 10), (12, 3), (5, 8), (60, 40)] {
        ALL.iter().for_each(|start| balances(*start, rows, workers, 2));
    }
}

/// The same with more seeds and larger numbers.
#[test]
#[ignore = "minutes"]
fn any_assignment_becomes_even_and_stays_so_for_many_seeds() {
    for (rows, workers) in [(101, 10), (40, 20), (11, 10), (12, 3), (5, 8), (60, 40), (7, 2)] {
        ALL.iter().for_each(|start| balances(*start, rows, workers, 100));
    }
    for (rows, workers) in [(1_000, 20), (300, 200), (500, 50)] {
        ALL.iter().for_each(|start| balances(*start, rows, workers, 5));
    }
}

/// What five workers have, two of which want few rows, and when the last row moved.
fn with_limits(tells_limits: bool, seed: u64) -> (Vec<usize>, u64) {
    let mut world = World::new(Settings { tells_limits, ..settings() }, 100, seed);
    for limit in [Some(5), None, Some(7), None, None] {
        world.join(0, limit);
    }
    world.run_until(50 * F);
    let (held, is_whole) = world.held();
    assert!(is_whole, "seed {seed}: a row has no worker");
    (held, world.counts.last_move.unwrap())
}

#[test]
fn what_limits_forbid_the_others_have() {
    for seed in 0..10 {
        let (mut held, last_move) = with_limits(true, seed);
        assert_eq!((held[0], held[2]), (5, 7), "seed {seed}: {held:?}");
        held.sort_unstable();
        assert_eq!(held, [5, 7, 29, 29, 30], "seed {seed}");
        assert!(last_move < 8 * F, "seed {seed}: {last_move}");
    }
}

#[test]
fn rows_that_a_worker_does_not_want_are_read_at_last_although_it_does_not_say_so() {
    for seed in 0..10 {
        let (held, last_move) = with_limits(false, seed);
        assert!(held[0] <= 5 && held[2] <= 7, "seed {seed}: {held:?}");
        let others = [held[1], held[3], held[4]];
        assert!(others.iter().all(|has| (28..=31).contains(has)), "seed {seed}: {held:?}");
        assert!(last_move < 12 * F, "seed {seed}: {last_move}");
    }
}

/// As KCL 2.x does.
#[test]
fn a_holder_that_ignores_requests_loses_its_rows_all_the_same() {
    for seed in 0..10 {
        let mut world = World::new(Settings { drain: 1_000 * F, ..settings() }, 12, seed);
        for _ in 0..3 {
            world.join(0, None);
        }
        (0..12).for_each(|row| world.give(row, 0));
        world.run_until(100 * F);
        assert_eq!(world.holders(), [4, 4, 4], "seed {seed}");
        assert!(world.counts.last_move.unwrap() < 30 * F, "seed {seed}");
    }
}
