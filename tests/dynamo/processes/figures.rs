//! Figures of a fleet of three processes, 24 shards and a failover time of 4 s: by hand, and printed.

use std::time::Duration;
use std::{fmt, fs};

use super::check::{Cause, Verdict};
use super::notes;
use super::test;
use super::torture::FAILOVER;
use super::world::{Plan, World};

const MEMBERS: usize = 3;
const SHARDS: usize = 24;
const SURVEYS: usize = 6;
/// kinesis-local is slow with more.
const PUT_EVERY: Duration = Duration::from_millis(500);

/// Three processes that have joined, and share the shards evenly.
fn fleet(name: &'static str) -> Option<(World, usize)> {
    let plan = Plan {
        name,
        test: test(),
        shards: SHARDS,
        // So that every shard has some.
        keys: 150,
        put_every: PUT_EVERY,
        failover: FAILOVER,
        work: Duration::from_millis(2),
        is_random: true,
    };
    let mut world = World::new(plan)?;
    (0..MEMBERS).for_each(|_| world.join());
    let surveys = world.calm();
    Some((world, surveys))
}

/// How long after a moment each shard was gained by another process, and handled by it.
#[derive(Default)]
struct Waits {
    gained: Vec<Duration>,
    handled: Vec<Duration>,
}

impl Waits {
    /// Of these shards, which a process has left. One that has no records is never handled.
    fn of(world: &World, left: usize, since: Duration, shards: &[String]) -> Self {
        let others = || world.lives.iter().enumerate().filter(|(place, _)| *place != left);
        let gained = |shard: &String| {
            let tenures = others().flat_map(|(_, life)| &life.tenures);
            let tenures = tenures.filter(|it| it.shard == *shard && it.gained > since);
            tenures.map(|tenure| tenure.gained - since).min()
        };
        let handled = |shard: &String| {
            let batches = others().flat_map(|(_, life)| &life.handled);
            let batches = batches.filter(|(_, it)| it.shard == *shard && it.begun > since);
            batches.map(|(_, batch)| batch.begun - since).min()
        };
        let waits = Self {
            gained: shards.iter().filter_map(gained).collect(),
            handled: shards.iter().filter_map(handled).collect(),
        };
        println!("{} of {} shards: {waits}", waits.gained.len(), shards.len());
        waits
    }

    fn add(&mut self, more: Self) {
        self.gained.extend(more.gained);
        self.handled.extend(more.handled);
    }
}

impl fmt::Display for Waits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "gained: {}; handled: {}", seconds(&self.gained), seconds(&self.handled))
    }
}

/// The shards of a member, which are not being handed over.
fn shards(world: &mut World, place: usize) -> Vec<String> {
    let look = world.look();
    let worker = &world.lives[place].worker;
    let mine = look.owners.into_iter().filter(|(_, owner)| owner.as_ref() == Some(worker));
    mine.map(|(shard, _)| shard).collect()
}

fn seconds(times: &[Duration]) -> String {
    let at = |share| part(times, share).as_secs_f64();
    format!("median {:.2} s, 9 of 10 {:.2} s, worst {:.2} s", at(0.5), at(0.9), at(1.0))
}

/// The time that this share of them took at most.
fn part(times: &[Duration], share: f64) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort();
    let last = sorted.len().saturating_sub(1) as f64;
    sorted.get((last * share) as usize).copied().unwrap_or_default()
}

/// A member at random.
fn any(world: &World) -> usize {
    let members = world.members();
    members[fastrand::usize(..members.len())]
}

/// Ends all, and says what became of the records.
fn verdict(mut world: World) -> Verdict {
    let done = world.producer.take().unwrap().end();
    world.until("every record is handled", |world, _| Verdict::of(world, done.rounds).lost == 0);
    world.end();
    let verdict = Verdict::of(&world, done.rounds);
    assert!(verdict.is_right(), "{:#?}", verdict.faults);
    verdict
}

#[test]
#[ignore = "by hand: two minutes"]
fn three_processes_share_24_shards_evenly_within_six_surveys() {
    let mut all = Vec::new();
    for _ in 0..5 {
        let Some((_, surveys)) = fleet("even") else { return };
        all.push(surveys);
    }
    println!("figure: even after {all:?} surveys of a member at most");
    assert!(all.iter().all(|surveys| *surveys <= SURVEYS), "{all:?}");
}

#[test]
#[ignore = "by hand: six minutes"]
fn the_shards_of_a_killed_process_are_read_again_soon() {
    let Some((mut world, _)) = fleet("kills") else { return };
    let (mut all, mut surveys) = (Waits::default(), Vec::new());
    for _ in 0..20 {
        let place = any(&world);
        // Kills are not to be in step with the surveys.
        world.watch(FAILOVER.mul_f64(fastrand::f64()));
        let shards = shards(&mut world, place);
        world.lives[place].kill();
        let at = notes::now();
        world.watch(FAILOVER * 3);
        all.add(Waits::of(&world, place, at, &shards));
        world.join();
        surveys.push(world.calm());
    }
    println!("figure: 20 kills, {} shards read again: {all}", all.gained.len());
    println!("figure: even after {surveys:?} surveys of a member at most");
    println!("figure: {}", verdict(world));
    assert!(part(&all.gained, 0.5) <= FAILOVER.mul_f64(1.7));
    assert!(part(&all.gained, 1.0) <= FAILOVER.mul_f64(2.5));
}

/// Tells processes to end, one after the other. Another one joins at the same time, as a new version of a program does, or
/// after the others have the shards.
fn ends(joins_at_once: bool) -> Option<Waits> {
    let (mut world, _) = fleet("ends")?;
    let mut all = Waits::default();
    for _ in 0..10 {
        let place = any(&world);
        let shards = shards(&mut world, place);
        let at = notes::now();
        world.lives[place].terminate();
        if joins_at_once {
            world.join();
        }
        world.watch(FAILOVER * 2);
        assert!(world.lives[place].is_over);
        all.add(Waits::of(&world, place, at, &shards));
        if !joins_at_once {
            world.join();
        }
        world.calm();
    }
    let verdict = verdict(world);
    println!("figure: {verdict}");
    assert!(verdict.again.is_empty());
    Some(all)
}

#[test]
#[ignore = "by hand: three minutes"]
fn the_others_soon_read_what_a_process_has_left_that_is_told_to_end_and_repeat_nothing() {
    let Some(all) = ends(false) else { return };
    println!("figure: 10 ends, {} shards read again: {all}", all.gained.len());
    assert!(part(&all.gained, 1.0) <= FAILOVER);
}

#[test]
#[ignore = "by hand: three minutes"]
fn a_process_that_is_replaced_leaves_its_shards_to_others_soon_and_repeats_nothing() {
    let Some(all) = ends(true) else { return };
    println!("figure: 10 replacements, {} shards read again: {all}", all.gained.len());
    // Who is new takes one shard at first.
    assert!(part(&all.gained, 1.0) <= FAILOVER * 2);
}

#[test]
#[ignore = "by hand: three minutes"]
fn a_process_that_stood_still_hands_over_nothing_after_its_fence() {
    let Some((mut world, _)) = fleet("stops") else { return };
    for _ in 0..10 {
        let place = any(&world);
        world.lives[place].stop();
        world.watch(FAILOVER.mul_f64(1.2 + 2.0 * fastrand::f64()));
        world.lives[place].resume();
        world.calm();
    }
    let verdict = verdict(world);
    println!("figure: 10 stops: {verdict}");
    let expected = verdict.again.keys().all(|cause| *cause == Cause::Stopped);
    assert!(expected && verdict.late == 0);
}

#[test]
#[ignore = "by hand: two minutes"]
fn a_handler_that_sleeps_ten_failover_times_costs_no_lease() {
    let Some((mut world, _)) = fleet("sleeps") else { return };
    let tenures = |world: &World| {
        let tenures = world.lives.iter().flat_map(|life| &life.tenures);
        let closed = tenures.clone().filter(|tenure| tenure.closed.is_some()).count();
        let fenced = tenures.clone().filter(|tenure| tenure.was_fenced).count();
        (tenures.count(), closed, fenced)
    };
    let batches = |world: &World| world.lives.iter().map(|it| it.handled.len()).sum::<usize>();
    fs::write(world.sleep_mark(), "").unwrap();
    // Those that are at work end it.
    world.watch(FAILOVER);
    let (before, had, handled) = (world.look().owners, tenures(&world), batches(&world));
    world.watch(FAILOVER * 9);
    assert_eq!((world.look().owners, tenures(&world)), (before, had));
    let slept = batches(&world) - handled;
    fs::remove_file(world.sleep_mark()).unwrap();
    println!(
        "figure: handlers that sleep 40 s each handled {slept} batches, and lost no lease of {SHARDS}"
    );
    let verdict = verdict(world);
    println!("figure: {verdict}");
    assert!(slept <= MEMBERS && verdict.again.is_empty());
}

/// Calls of the table in a second, by their operations.
fn calls(world: &mut World, time: Duration) -> [f64; 3] {
    let sum = |world: &World| {
        let calls = world.proxy.counts().calls;
        ["UpdateItem", "Scan", "GetItem"].map(|operation| {
            let of = calls.iter().filter(|((_, name), _)| name == operation);
            of.map(|(_, count)| *count as f64).sum::<f64>()
        })
    };
    let (from, before) = (notes::now(), sum(world));
    world.watch(time);
    let after = sum(world);
    let seconds = (notes::now() - from).as_secs_f64();
    [0, 1, 2].map(|at| (after[at] - before[at]) / seconds)
}

#[test]
#[ignore = "by hand: four minutes"]
fn calls_of_the_table_are_as_many_as_the_manual_says() {
    let Some((mut world, _)) = fleet("costs") else { return };
    // New members look more often.
    world.watch(Duration::from_secs(65));
    let busy = calls(&mut world, Duration::from_secs(60));
    world.producer.take().unwrap().end();
    world.watch(Duration::from_secs(5));
    let idle = calls(&mut world, Duration::from_secs(60));
    let failover = FAILOVER.as_secs_f64();
    let beats = 3.0 * SHARDS as f64 / failover;
    // The first batch after a fifth of the time; a shard has one at every second read.
    let commits = SHARDS as f64 / 1.0_f64.max(failover / 5.0);
    let surveys = 2.0 * MEMBERS as f64 / failover;
    for (name, [writes, scans, reads], expected) in [("busy", busy, commits), ("idle", idle, beats)]
    {
        println!(
            "figure: {name}: {writes:.2} writes a second, {expected:.2} expected ({:+.1} %); {scans:.2} surveys, \
             {surveys:.2} expected ({:+.1} %); {reads:.2} reads of rows",
            (writes / expected - 1.0) * 100.0,
            (scans / surveys - 1.0) * 100.0
        );
    }
    let is_near = |found: f64, expected: f64| (found / expected - 1.0).abs() <= 0.1;
    assert!(is_near(idle[0], beats) && is_near(busy[0], commits));
    assert!(is_near(idle[1], surveys) && is_near(busy[1], surveys));
}
