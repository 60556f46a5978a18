//! What shares cost, and how long they take, in numbers; the numbers on paper stand beside them.

use super::world::{Counts, SECOND, Settings, World};

const F: u64 = 10 * SECOND;
/// Workers have lived for long when something happens.
const LATER: u64 = 1_000 * SECOND;

/// A table, its workers, and what is expected of both.
#[derive(Clone, Copy)]
struct Scale {
    rows: usize,
    workers: usize,
    has_watch: bool,
}

impl Scale {
    fn world(self, drain: u64) -> World {
        let settings = Settings {
            failover: F,
            scan: SECOND,
            write: SECOND / 2,
            drain,
            budget: 100.0,
            has_watch: self.has_watch,
            tells_limits: true,
        };
        World::new(settings, self.rows, 1)
    }

    /// All workers have had their shares for long.
    fn settled(self, drain: u64) -> World {
        let mut world = self.world(drain);
        world.begin_at(LATER);
        // A watch needs two surveys before it takes rows, and after the first minute these are far apart.
        let began = if self.has_watch { LATER } else { 0 };
        for _ in 0..self.workers {
            world.join(began, None);
        }
        for row in 0..self.rows {
            world.give(row, row % self.workers);
        }
        // Each has made two surveys at least, and none is new.
        world.run_until(LATER + 7 * F);
        assert_eq!(world.counts.last_move, None);
        world.measure();
        world
    }

    /// Writes in a second: beats, and what moves cost.
    fn writes(self, counts: &Counts, time: f64) -> f64 {
        let beats = self.rows as f64 * 3.0 / seconds(F);
        // An ask is followed by the hand-over and by the first write of the new owner.
        let moves = counts.takes + counts.asks + 2 * counts.hand_overs + counts.refused;
        beats + moves as f64 / time
    }
}

fn seconds(time: u64) -> f64 {
    time as f64 / SECOND as f64
}

fn total(counts: &Counts) -> f64 {
    counts.reads.values().sum()
}

/// The second with most reads.
fn peak(counts: &Counts) -> f64 {
    counts.reads.values().copied().fold(0.0, f64::max)
}

/// A line of the page: what is measured, and what the design says on paper.
fn tell(page: &mut String, what: &str, measured: &str, paper: &str) {
    *page += &format!("  {what:42} {measured:46} {paper}\n");
}

fn idle(scale: Scale, page: &mut String) {
    let mut world = scale.settled(F);
    // With a watch each makes two surveys in this time.
    let surveys = scale.workers as u64 * scale.rows as u64 * 874 * SECOND / 1_000_000;
    let time = if scale.has_watch { surveys.max(12 * F) } else { 12 * F };
    world.run_until(world.now + time);
    let counts = &world.counts;
    let (reads, writes) = (total(counts) / seconds(time), scale.writes(counts, seconds(time)));
    let scan = scale.rows as f64 * 0.0437;
    let each = scale.workers as f64 * scan;
    let watched = if scale.has_watch { 2.0 * scan / (0.525 * seconds(F)) } else { 0.0 };
    let longest = if scale.has_watch { 3_600.0 } else { seconds(2 * F) };
    let paper = each / (each / 100.0).clamp(seconds(F / 2), longest) + watched;
    tell(page, "one scan, read units", &format!("{scan:.0}"), "437 for 10,000 rows");
    let formula = "surveys: the budget, or W scans in 2 F; watch: 2 scans in F/2";
    tell(page, "idle: read units/s", &format!("{reads:.0}"), &format!("{paper:.0} ({formula})"));
    let beats = scale.rows as f64 * 3.0 / seconds(F);
    tell(page, "idle: writes/s", &format!("{writes:.0}"), &format!("{beats:.0} (3 L / F)"));
    assert_eq!(counts.last_move, None, "all have their shares");
    assert!((0.8 * paper..1.2 * paper).contains(&reads), "{reads} {paper}");
}

fn crash(scale: Scale, page: &mut String) -> f64 {
    let mut world = scale.settled(F);
    world.kill(0);
    let began = world.now;
    world.run_until(began + 12 * F);
    let unread = &world.counts.unread;
    let mean = unread.iter().sum::<u64>() as f64 / unread.len() as f64 / SECOND as f64;
    let (first, last) =
        (seconds(*unread.iter().min().unwrap()), seconds(*unread.iter().max().unwrap()));
    let measured = format!("first {first:.1}, mean {mean:.1}, last {last:.1} s");
    tell(
        page,
        "one dies: its rows are read again after",
        &measured,
        "20-40 s; with a watch 15-17 s",
    );
    // The last beat was up to F/3 before.
    assert!(first > 6.6 && last < 60.0, "{measured}");
    assert_eq!(unread.len(), scale.rows / scale.workers);
    mean
}

fn join(scale: Scale, page: &mut String) {
    let mut world = scale.settled(F);
    let began = world.now;
    world.join(began, None);
    world.measure();
    let (least, _) = world.least();
    world.run_until(began + 10 * F);
    let counts = &world.counts;
    let share = seconds(counts.balanced.unwrap() - began);
    let moves = counts.asks + counts.takes;
    let measured = format!("{share:.1} s, {moves} moves ({least} are needed)");
    tell(page, "one joins: it has asked for its share after", &measured, "15-30 s");
    assert!(share < 60.0 && moves <= least + 2, "{measured}");
}

fn leave(scale: Scale, page: &mut String) {
    let mut world = scale.settled(F);
    world.leave(0);
    let began = world.now;
    world.run_until(began + 6 * F);
    let last = seconds(*world.counts.unread.iter().max().unwrap());
    tell(
        page,
        "one stops: its rows are read again after",
        &format!("{last:.1} s at last"),
        "F/2 in small fleets",
    );
    assert!(last < 30.0, "{last}");
}

fn cold_start(scale: Scale, page: &mut String) {
    let mut world = scale.world(F);
    for _ in 0..scale.workers {
        world.join(0, None);
    }
    world.measure();
    world.run_until(6 * F);
    let counts = &world.counts;
    let (whole, even) = (seconds(counts.whole.unwrap()), seconds(counts.balanced.unwrap()));
    let measured = format!("all read after {whole:.1} s, even after {even:.1} s");
    tell(page, "cold start of all", &measured, "<= 60 s");
    let moves = counts.takes + counts.asks;
    let measured = format!("{moves} moves, {} refused", counts.refused);
    tell(page, "cold start: moves", &measured, &format!("{} are needed", scale.rows));
    let (mean, peak) = (total(counts) / 60.0, peak(counts));
    let paper = scale.workers as f64 * scale.rows as f64 * 0.0437 / 5.0;
    let measured = format!("{mean:.0} in the first minute, {peak:.0} at most");
    tell(page, "cold start: read units/s", &measured, &format!("{paper:.0} (W scans in F/2)"));
    assert!(even < 60.0 && moves as f64 <= 1.3 * scale.rows as f64, "{even} {moves}");
}

fn one_has_all(scale: Scale, page: &mut String) {
    let mut world = scale.world(F);
    for _ in 0..scale.workers {
        world.join(0, None);
    }
    (0..scale.rows).for_each(|row| world.give(row, 0));
    world.measure();
    let (least, _) = world.least();
    world.run_until(9 * F);
    let counts = &world.counts;
    let even = seconds(counts.balanced.unwrap());
    let moves = counts.takes + counts.asks;
    let measured = format!("even after {even:.1} s, {moves} moves, {} refused", counts.refused);
    tell(
        page,
        "one has all, all others join",
        &measured,
        &format!("17 min with KCL 2.x; {least} moves are needed"),
    );
    assert!(even < 90.0 && moves as f64 <= 1.3 * least as f64, "{measured}");
}

fn half_dies(scale: Scale, page: &mut String) {
    let mut world = scale.settled(F);
    (0..scale.workers / 2).for_each(|at| world.kill(at * 2));
    let began = world.now;
    world.measure();
    world.run_until(began + 15 * F);
    let counts = &world.counts;
    let (last, even) = (*counts.unread.iter().max().unwrap(), counts.balanced.unwrap() - began);
    let measured = format!("{:.1} s at last, even after {:.1} s", seconds(last), seconds(even));
    tell(page, "half die: all rows are read again after", &measured, "");
    assert!(even < 10 * F, "{measured}");
}

/// Returns after how many seconds the rows of a dead worker are read again, on average.
fn figures(rows: usize, workers: usize, has_watch: bool) -> f64 {
    let scale = Scale { rows, workers, has_watch };
    let watch = if has_watch { "with a watch" } else { "without a watch" };
    let mut page =
        format!("{rows} rows, {workers} workers, F = 10 s, {watch}: simulated, and on paper\n");
    idle(scale, &mut page);
    let mean = crash(scale, &mut page);
    let figures = [half_dies, leave, join, cold_start, one_has_all];
    figures.iter().for_each(|figure| figure(scale, &mut page));
    print!("{page}");
    mean
}

#[test]
fn costs_and_times_are_those_on_paper_and_a_watch_finds_rows_sooner() {
    let (without, with) = (figures(1_000, 20, false), figures(1_000, 20, true));
    assert!(with < 0.9 * without, "{with} {without}");
}

#[test]
#[ignore = "minutes"]
fn costs_and_times_of_ten_thousand_rows_are_those_on_paper() {
    let (without, with) = (figures(10_000, 200, false), figures(10_000, 200, true));
    assert!(with < 0.9 * without, "{with} {without}");
}
