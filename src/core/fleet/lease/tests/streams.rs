//! Streams that are split, merged and trimmed while two workers create rows, read and die, and while rows get lost. A seed
//! picks it all.

use std::collections::VecDeque;

use super::super::ancestry::Ancestry;
use super::super::audit::{Audit, Finding, Listing, Plan};
use super::super::births::heirs;
use super::super::writes::AtEnd;
use super::graphs::{at, id};
use super::*;
use crate::model::shard::{ChildShard, HashKeyRange, Shard};
use crate::model::write::{Act, Condition};

const SEEDS: u64 = 80;
const STEPS: usize = 250;

/// What happened in all seeds together: a test in which nothing happens finds nothing.
#[derive(Debug, Default)]
struct Counts {
    merges: usize,
    deaths: usize,
    lost_rows: usize,
    refilled: usize,
    retired: usize,
    ended: usize,
    unwanted: usize,
}

#[derive(Default)]
struct Worker {
    audit: Audit,
    queue: VecDeque<Write>,
}

struct World<'a> {
    rng: fastrand::Rng,
    counts: &'a mut Counts,
    configured: &'static str,
    loses_rows: bool,
    shards: Vec<(Shard, bool)>,
    table: MemoryLeases,
    workers: [Worker; 2],
    now: Duration,
    number: u64,
    tenures: u64,
    /// Shards that had a row at some time.
    known: BTreeSet<String>,
    /// Shards that were read to their ends.
    done: BTreeSet<String>,
    /// Shards from before a start at the next record.
    unwanted: BTreeSet<String>,
}

impl<'a> World<'a> {
    fn new(seed: u64, counts: &'a mut Counts) -> Self {
        let mut it = Self {
            rng: fastrand::Rng::with_seed(seed),
            counts,
            configured: ["TRIM_HORIZON", "LATEST", "AT_TIMESTAMP"][seed as usize % 3],
            loses_rows: seed % 2 == 0,
            shards: Vec::new(),
            table: MemoryLeases::new(),
            workers: Default::default(),
            now: Duration::ZERO,
            number: 1000,
            tenures: 0,
            known: BTreeSet::new(),
            done: BTreeSet::new(),
            unwanted: BTreeSet::new(),
        };
        it.open(HashKeyRange { start: 0, end: u128::MAX / 2 }, &[]);
        it.open(HashKeyRange { start: u128::MAX / 2 + 1, end: u128::MAX }, &[]);
        for _ in 0..it.rng.usize(0..8) {
            it.reshard();
        }
        it
    }

    fn open(&mut self, keys: HashKeyRange, parents: &[usize]) {
        self.number += 1;
        let number = self.number.to_string().parse().unwrap();
        let parents: Vec<_> = parents.iter().map(|it| self.shards[*it].0.id().to_owned()).collect();
        let shard = Shard::new(id(self.shards.len() as u64), keys, number).with_parents(parents);
        self.shards.push((shard, true));
    }

    fn close(&mut self, index: usize) -> HashKeyRange {
        self.number += 1;
        let number = self.number.to_string().parse().unwrap();
        self.shards[index].0.close(Some(&number));
        self.shards[index].0.hash_keys()
    }

    fn reshard(&mut self) {
        let open: Vec<_> =
            (0..self.shards.len()).filter(|it| !self.shards[*it].0.is_closed()).collect();
        let one = open[self.rng.usize(0..open.len())];
        let keys = self.shards[one].0.hash_keys();
        let next = open
            .iter()
            .find(|it| Some(self.shards[**it].0.hash_keys().start) == keys.end.checked_add(1));
        match next {
            Some(other) if self.rng.bool() => {
                self.counts.merges += 1;
                let (_, right) = (self.close(one), self.close(*other));
                self.open(HashKeyRange { start: keys.start, end: right.end }, &[one, *other]);
            }
            _ => {
                let middle = keys.start + (keys.end - keys.start) / 2;
                self.close(one);
                self.open(HashKeyRange { start: keys.start, end: middle }, &[one]);
                self.open(HashKeyRange { start: middle + 1, end: keys.end }, &[one]);
            }
        }
    }

    /// The oldest records leave the stream, and a closed shard with them.
    fn trim(&mut self) {
        let is_listed =
            |id: &String| self.shards.iter().any(|(it, listed)| it.id() == id && *listed);
        let is_old = |(it, listed): &(Shard, bool)| {
            *listed && it.is_closed() && !it.parents().iter().any(is_listed)
        };
        let oldest = self.shards.iter().position(is_old);
        if let Some(oldest) = oldest {
            self.shards[oldest].1 = false;
        }
    }

    fn listing(&self) -> Vec<Shard> {
        self.shards.iter().filter(|(_, listed)| *listed).map(|(it, _)| it.clone()).collect()
    }

    fn rows(&self) -> Vec<Row> {
        self.table.rows().iter().map(lease).collect()
    }

    fn lose_a_row(&mut self) {
        let rows = self.rows();
        // Before anybody has read, a first start begins again, and at a later record.
        if !self.loses_rows || rows.len() < 3 || rows.iter().all(|it| it.counter == 0) {
            return;
        }
        let row = &rows[self.rng.usize(0..rows.len())];
        done(&self.table, &Write::delete(&row.shard, Condition::Exists(KEY)));
        self.counts.lost_rows += 1;
    }

    fn plan(&mut self, worker: usize) -> Plan {
        let (listing, rows) = (self.listing(), self.rows());
        let listing = Listing { shards: &listing, made: self.now };
        let audit = &mut self.workers[worker].audit;
        let found = audit.survey(self.now, listing, &rows, &at(self.configured));
        let Finding::Plan(plan) = found else { panic!("{found:?}") };
        self.workers[worker].queue = plan.changes.iter().map(|it| it.write(&marks())).collect();
        plan
    }

    fn write(&mut self, worker: usize) {
        let Some(write) = self.workers[worker].queue.pop_front() else { return };
        let Applied::Done(item) = self.table.apply(&write).unwrap() else { return };
        let row = lease(&item);
        match write.act() {
            Act::Put(_) => self.created(&row),
            Act::Update(_) if row.checkpoint.is_end() => {
                self.counts.ended += usize::from(self.done.insert(row.shard));
            }
            Act::Update(_) => {}
            Act::Delete => {
                assert!(self.done.contains(&row.shard), "{} was not done", row.shard);
                for child in row.children.iter().filter(|_| !self.loses_rows) {
                    let kept = self.table.get(child).unwrap().map(|it| lease(&it).checkpoint.at);
                    let has_begun = kept.map_or(self.is_over(child), |at| at != At::TrimHorizon);
                    assert!(has_begun, "{} is retired before {child} has begun", row.shard);
                }
                self.counts.retired += 1;
            }
        }
    }

    fn created(&mut self, row: &Row) {
        let (listing, rows) = (self.listing(), self.rows());
        let ancestry = Ancestry::new(&listing, &rows);
        if row.checkpoint.at == At::Latest {
            assert_eq!(self.configured, "LATEST");
            let above = ancestry.ancestors([row.shard.as_str()].into_iter());
            let above = above.into_iter().filter(|it| !self.known.contains(*it)).map(str::to_owned);
            let before = self.unwanted.len();
            self.unwanted.extend(above);
            self.counts.unwanted += self.unwanted.len() - before;
        }
        self.counts.refilled += usize::from(!self.known.insert(row.shard.clone()));
        if row.checkpoint.at == At::TrimHorizon && !self.loses_rows {
            for parent in &row.parents {
                let is_known = ancestry.row(parent).is_some() || self.is_over(parent);
                assert!(is_known, "{} has no row, and its child {} gets one", parent, row.shard);
            }
        }
    }

    fn die(&mut self, worker: usize) {
        self.counts.deaths += usize::from(!self.workers[worker].queue.is_empty());
        self.workers[worker] = Worker::default();
    }

    /// Whether nothing of the shard is left to read.
    fn is_over(&self, shard: &str) -> bool {
        let is_listed = self.shards.iter().any(|(it, listed)| it.id() == shard && *listed);
        self.done.contains(shard) || self.unwanted.contains(shard) || !is_listed
    }

    /// Reads a shard: some records of it, or all.
    fn read(&mut self, worker: usize, row: &Row, is_whole: bool) {
        let (listing, rows) = (self.listing(), self.rows());
        let ancestry = Ancestry::new(&listing, &rows);
        if row.checkpoint.is_end() || !ancestry.may_start(&row.shard) {
            return;
        }
        for parent in &row.parents {
            assert!(self.is_over(parent), "{} is read before {parent}", row.shard);
        }
        self.tenures += 1;
        let me = Tenure { shard: row.shard.clone(), ..tenure("me", self.tenures) };
        let mut now = done(&self.table, &me.take(row, &marks()));
        let shard = &self.shards.iter().find(|(it, _)| it.id() == row.shard).unwrap().0;
        let first = number(shard.starting_sequence_number().as_str());
        if self.rng.bool() || !shard.is_closed() {
            now = done(&self.table, &me.commit(&now.checkpoint, &first));
        }
        let last = shard.ending_sequence_number().filter(|_| is_whole).cloned();
        let Some(last) = last else { return };
        let children: Vec<_> = self
            .shards
            .iter()
            .map(|(it, _)| it)
            .filter(|it| it.parents().contains(&row.shard))
            .collect();
        let named = |it: &&Shard| ChildShard::new(it.id(), it.parents().to_vec(), it.hash_keys());
        let named: Vec<_> = children.iter().map(named).collect();
        let rows = self.rows();
        let ancestry = Ancestry::new(&listing, &rows);
        let answered = if self.rng.bool() { &named[..] } else { &[] };
        let Ok(heirs) = heirs(&ancestry, &row.shard, answered, true)
            .or_else(|_| heirs(&ancestry, &row.shard, &named, true))
        else {
            panic!("{named:?}");
        };
        let births = heirs.births.iter().map(|it| super::super::writes::create(it, &marks()));
        let then = [me.children(&heirs.children), me.end(&now.checkpoint, &last, AtEnd::Release)];
        self.workers[worker].queue = births.chain(then).collect();
    }

    fn step(&mut self) {
        let worker = self.rng.usize(0..2);
        let is_idle = self.workers[worker].queue.is_empty();
        self.now += Duration::from_secs(self.rng.u64(0..40));
        match self.rng.u8(0..32) {
            0 | 1 if self.shards.len() < 40 => self.reshard(),
            2 => self.trim(),
            3 => self.lose_a_row(),
            4 => self.die(worker),
            5..=10 if is_idle => drop(self.plan(worker)),
            11..=18 if is_idle => {
                let rows = self.rows();
                if !rows.is_empty() {
                    let row = &rows[self.rng.usize(0..rows.len())];
                    let is_whole = self.rng.bool();
                    self.read(worker, row, is_whole);
                }
            }
            _ => self.write(worker),
        }
    }

    fn finish(&mut self, worker: usize) {
        while !self.workers[worker].queue.is_empty() {
            self.write(worker);
        }
    }

    /// Calm: everything that is to be read is read, and all that is needless goes.
    fn settle(&mut self) {
        self.finish(0);
        self.finish(1);
        let (mut last, mut still, mut rounds) = (Vec::new(), 0, 0);
        // What is seen once goes when it is seen again.
        while still < 3 {
            rounds += 1;
            assert!(rounds < 500, "it does not come to rest");
            self.now += Duration::from_secs(301);
            self.plan(0);
            self.finish(0);
            for row in self.rows() {
                if !self.is_read(&row) {
                    self.read(0, &row, true);
                    self.finish(0);
                }
            }
            let rows = self.rows();
            still = if rows == last { still + 1 } else { 0 };
            last = rows;
        }
    }

    /// Whether there is nothing to read for now.
    fn is_read(&self, row: &Row) -> bool {
        let is_open = |(it, _): &(Shard, bool)| it.id() == row.shard && !it.is_closed();
        let is_caught_up = has_number(row) && self.shards.iter().any(is_open);
        row.checkpoint.is_end() || is_caught_up
    }

    fn check(&mut self) {
        let plan = self.plan(1);
        assert_eq!(plan, Plan::default(), "something is left to do");
        let (listing, rows) = (self.listing(), self.rows());
        let ancestry = Ancestry::new(&listing, &rows);
        for shard in &listing {
            let id = shard.id();
            assert!(ancestry.row(id).is_some() || ancestry.is_over(id), "{id} has no row");
            if shard.is_closed() {
                assert!(self.done.contains(id) || self.unwanted.contains(id), "{id} was not read");
            } else {
                assert!(has_number(ancestry.row(id).unwrap()), "{id} was not read");
            }
        }
        let open = listing.iter().filter(|it| !it.is_closed()).count();
        assert_eq!(rows.len(), open, "the others are retired");
    }
}

fn has_number(row: &Row) -> bool {
    matches!(row.checkpoint.at, At::Number(_))
}

#[test]
fn no_shard_is_forgotten_and_no_child_is_read_too_early() {
    let mut counts = Counts::default();
    for seed in 0..SEEDS {
        let run = std::panic::AssertUnwindSafe(|| {
            let mut world = World::new(seed, &mut counts);
            for _ in 0..STEPS {
                world.step();
            }
            world.settle();
            world.check();
        });
        if let Err(panic) = std::panic::catch_unwind(run) {
            eprintln!("seed {seed}");
            std::panic::resume_unwind(panic);
        }
    }
    let Counts { merges, deaths, lost_rows, refilled, retired, ended, unwanted } = counts;
    for happened in [merges, deaths, lost_rows, refilled, retired, ended, unwanted] {
        assert!(happened > 50, "{counts:?}");
    }
}
