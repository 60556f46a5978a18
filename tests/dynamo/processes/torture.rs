//! Kills, stops, ends, splits, merges and faults of the table, at random.

use std::collections::BTreeMap;
use std::env;
use std::time::{Duration, Instant};

use super::check::Verdict;
use super::test;
use super::world::{Plan, World};
use crate::proxy::Fault;

const MEMBERS: usize = 5;
const SHARDS: usize = 8;
const KEYS: u64 = 40;
pub(crate) const FAILOVER: Duration = Duration::from_secs(4);
/// How long things happen, before all come to rest.
const STORM: Duration = Duration::from_secs(15);
/// How many surveys of a member may pass after the last event until all is even, on a machine that has time for it; beside
/// other tests a server takes seconds for an answer, and a lease waits for it.
const SURVEYS: usize = 6;
const SURVEYS_BESIDE_OTHERS: usize = 12;
/// Between two events.
const EVENTS: Duration = Duration::from_millis(1500);

/// How often what was done.
#[derive(Debug, Default)]
struct Deeds {
    kills: usize,
    stops: usize,
    ends: usize,
    outages: usize,
}

/// What is done to the members, and what is still to be done.
struct Storm<'a> {
    world: &'a mut World,
    deeds: &'a mut Deeds,
    /// When members are to continue, and when one is to be started.
    resumed: BTreeMap<usize, Instant>,
    started: Vec<Instant>,
    /// Those that kill themselves, and when they are killed at the latest.
    dying: Vec<(usize, Instant)>,
    /// Until when no call of the table is answered.
    outage: Option<Instant>,
}

/// How long the test takes, about, and how many surveys may pass: whoever says how long has the machine for it.
fn limits() -> (Duration, usize) {
    match env::var("FLEET_SECONDS") {
        Ok(text) => (Duration::from_secs(text.parse().unwrap()), SURVEYS),
        Err(_) => (Duration::from_secs(50), SURVEYS_BESIDE_OTHERS),
    }
}

/// Five processes share a stream, until the time is over.
pub(crate) fn run() {
    let plan = Plan {
        name: "torture",
        test: test(),
        shards: SHARDS,
        keys: KEYS,
        put_every: Duration::from_millis(200),
        failover: FAILOVER,
        work: Duration::from_millis(600),
        is_random: true,
    };
    let Some(mut world) = World::new(plan) else { return };
    let (length, most) = limits();
    let until = Instant::now() + length;
    let (mut deeds, mut calms) = (Deeds::default(), Vec::new());
    (0..MEMBERS).for_each(|_| world.join());
    calms.push(world.calm());
    while calms.len() == 1 || Instant::now() + STORM < until {
        Storm::over(&mut world, &mut deeds);
        calms.push(world.calm());
    }
    let done = world.producer.take().unwrap().end();
    let wanted = (done.rounds * KEYS) as usize;
    let counted = |world: &World| Verdict::of(world, done.rounds).lost;
    world.until("every record is handled", |world, _| counted(world) == 0);
    world.end();
    let verdict = Verdict::of(&world, done.rounds);
    let Deeds { kills, stops, ends, outages } = deeds;
    let faults = world.proxy.counts().faults;
    let worst = calms.iter().max().unwrap();
    println!(
        "fleet: {wanted} records, {kills} kills, {stops} stops, {ends} ends, {} splits, {} merges, {outages} outages, \
         {faults:?}; {verdict}; even after {calms:?} surveys",
        done.splits, done.merges
    );
    assert!(verdict.is_right(), "{:#?}", verdict.faults);
    assert!(*worst <= most, "even after {calms:?} surveys");
}

impl<'a> Storm<'a> {
    /// Lets things happen for a while, and ends them.
    fn over(world: &'a mut World, deeds: &'a mut Deeds) {
        let (resumed, started) = (BTreeMap::new(), Vec::new());
        let dying = Vec::new();
        let mut storm = Self { world, deeds, resumed, started, dying, outage: None };
        storm.world.producer.as_ref().unwrap().reshard(Some(Duration::from_secs(4)));
        let until = Instant::now() + STORM;
        let mut next = Instant::now();
        while Instant::now() < until {
            storm.due();
            if Instant::now() >= next {
                next = Instant::now() + EVENTS.mul_f64(0.5 + fastrand::f64());
                storm.event();
            }
            storm.world.watch(Duration::from_millis(100));
        }
        storm.end();
    }

    /// Ends what has begun.
    fn end(mut self) {
        self.world.producer.as_ref().unwrap().reshard(None);
        let dying = self.dying.iter().map(|(_, at)| at);
        let wait = self.resumed.values().chain(&self.started).chain(dying).max().copied();
        while wait.is_some_and(|wait| Instant::now() < wait) {
            self.world.watch(Duration::from_millis(100));
            self.due();
        }
        self.due();
        self.world.proxy.heal();
    }

    /// What is due.
    fn due(&mut self) {
        let now = Instant::now();
        for (place, _) in self.resumed.iter().filter(|(_, at)| **at <= now) {
            self.world.lives[*place].resume();
        }
        self.resumed.retain(|_, at| *at > now);
        for (place, _) in self.dying.iter().filter(|(_, at)| *at <= now) {
            self.world.lives[*place].kill();
        }
        self.dying.retain(|(_, at)| *at > now);
        let before = self.started.len();
        self.started.retain(|at| *at > now);
        (self.started.len()..before).for_each(|_| self.world.join());
        if self.outage.is_none_or(|until| until <= now) {
            self.outage = None;
            self.world.proxy.choose(|_| {
                let slow = Duration::from_millis(fastrand::u64(50..1_500));
                match fastrand::u16(..1_000) {
                    ..10 => Some(Fault::Refused),
                    10..20 => Some(Fault::Throttled),
                    20..30 => Some(Fault::Lost),
                    30..40 => Some(Fault::Cut),
                    40..60 => Some(Fault::Slow(slow)),
                    _ => None,
                }
            });
        }
    }

    /// One thing happens.
    fn event(&mut self) {
        let members = self.world.members();
        // Before it is ready, one that is told to end does not know how.
        let is_up = |it: &usize| self.world.lives[*it].is_ready && !self.resumed.contains_key(it);
        let up: Vec<_> = members.into_iter().filter(is_up).collect();
        let now = Instant::now();
        let soon = now + Duration::from_millis(fastrand::u64(..2_000));
        match fastrand::u8(..9) {
            0..3 if up.len() > 1 => {
                let place = up[fastrand::usize(..up.len())];
                match fastrand::bool() {
                    true => self.world.lives[place].kill(),
                    false => {
                        self.world.lives[place].kill_at_work();
                        self.dying.push((place, now + FAILOVER / 4));
                    }
                }
                self.started.push(soon);
                self.deeds.kills += 1;
            }
            3..6 if up.len() > 1 => {
                let place = up[fastrand::usize(..up.len())];
                self.world.lives[place].stop();
                // Less than a failover time, or more.
                let time = FAILOVER.mul_f64(0.2 + 2.3 * fastrand::f64());
                self.resumed.insert(place, now + time);
                self.deeds.stops += 1;
            }
            6..8 if up.len() > 1 => {
                let place = up[fastrand::usize(..up.len())];
                self.world.lives[place].terminate();
                self.started.push(soon);
                self.deeds.ends += 1;
            }
            8 if self.outage.is_none() => {
                let fault = [Fault::Refused, Fault::Throttled, Fault::Lost, Fault::Cut];
                let fault = fault[fastrand::usize(..4)];
                self.world.proxy.choose(move |_| Some(fault));
                self.outage = Some(now + FAILOVER.mul_f64(0.2 + 1.5 * fastrand::f64()));
                self.deeds.outages += 1;
            }
            _ => {}
        }
    }
}
