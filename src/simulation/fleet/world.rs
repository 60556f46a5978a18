//! A stream, a table of leases, and the workers that share both, in virtual time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::costs::Limits;
use super::java::{self, Java, Library};
use super::machine::{Machine, Reply, Request, Worker};
use super::oracle::Oracle;
use super::ours::{self, Ours};
use super::table::{Faults, Table, Trip};
use crate::client::memory::MemoryKinesis;
use crate::core::fleet::lease::row::{Seen, read};
use crate::error::Error;
use crate::error::fleet::FleetErrorKind;
use crate::error::store::StoreErrorKind;
use crate::model::item::Item;
use crate::simulation::clock::Clock;
use crate::simulation::counts::Counts;
use crate::simulation::plan::pick;
use crate::simulation::timeline::{Timeline, Whose};
use crate::simulation::world::epoch;

pub(super) const STREAM: &str = "orders";
/// In how many failover times all must be done after the last fault, but for one more for each record: a worker may read one
/// a call.
const PATIENCE: u32 = 400;
/// More tasks than this mean that time does not pass.
const MAX_TASKS: u64 = 1_000_000;

/// What plays in a world.
#[derive(Clone, Copy, Debug)]
pub(super) enum Player {
    /// A worker of Amazon's library.
    Java(Library),
    /// One of ours.
    Ours,
    /// Any other, which this makes anew for each life, with an id that no other life has.
    Other(fn(String) -> Box<dyn Worker>),
}

/// The decisions of a seed before the run.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) players: Vec<Player>,
    pub(super) shards: usize,
    pub(super) failover: Duration,
    /// How long faults happen.
    pub(super) chaos: Duration,
    pub(super) faults: Faults,
    /// How many changes the stream and the table have meanwhile, and how many crashes there are.
    pub(super) happenings: u32,
    pub(super) crashes: u32,
    /// How many workers are asked to stop.
    pub(super) stops: u32,
    /// Whether somebody with a tool changes rows.
    pub(super) is_meddled_with: bool,
    /// Whether handlers fail or take long, and calls of the stream.
    pub(super) is_rough: bool,
    /// How often a worker stands still, at most.
    pub(super) freezes: u32,
    /// Whether workers of ours may give batches to a user, who commits them when he likes.
    pub(super) has_receivers: bool,
    /// Whether handlers may stand still for a hundred failover times.
    pub(super) is_stuck: bool,
    /// Whether reading begins with the latest records. Amazon's library forgets where that was.
    pub(super) starts_latest: bool,
    pub(super) has_aggregates: bool,
    /// Whether all lives of a worker of ours have one id, as where a supervisor names them.
    pub(super) reuses_ids: bool,
}

/// One simulated fleet.
pub(super) struct World {
    pub(super) rng: fastrand::Rng,
    pub(super) plan: Plan,
    pub(super) timeline: Timeline<Task>,
    pub(super) kinesis: MemoryKinesis,
    pub(super) table: Table,
    pub(super) oracle: Arc<Mutex<Oracle>>,
    pub(super) counts: Counts,
    /// `None` while a worker is dead, or acts.
    workers: Vec<Option<Box<dyn Worker>>>,
    /// The ids of their present lives.
    ids: Vec<String>,
    /// Those of whose former lives a call has come since the present one began.
    haunted: BTreeSet<usize>,
    is_chaotic: bool,
    calls: u64,
    lives: u64,
}

/// A task at some time.
pub(super) enum Task {
    /// Somebody changes the stream or the table.
    Happening,
    /// From now on there are no faults.
    Calm,
    /// A worker dies, is asked to stop, or begins again.
    Crash(usize),
    Stop(usize),
    Begin(usize),
    /// A call reaches the table.
    Arrive(Box<Sent>),
    /// A call has an answer, for the worker that made it.
    Reply(Box<Reply>),
    /// A worker of Amazon's library continues.
    Java(java::Task),
    /// One of ours continues.
    Ours(ours::Task),
    /// Any other worker continues, with what it knows by this number.
    Own(u64),
}

/// A call on its way.
pub(super) struct Sent {
    number: u64,
    worker: usize,
    whose: Whose,
    tenure: Option<String>,
    request: Request,
    back: Duration,
}

impl Player {
    pub(super) fn is_ours(&self) -> bool {
        matches!(self, Self::Ours)
    }
}

impl Plan {
    /// That of one seed.
    pub(super) fn new(rng: &mut fastrand::Rng, players: &[Player]) -> Self {
        let failover = Duration::from_secs(pick(rng, &[1, 10, 10, 60]));
        let chaos = failover * rng.u32(20..80);
        let players: Vec<_> = (0..rng.usize(1..=4)).map(|_| pick(rng, players)).collect();
        Self {
            starts_latest: players.iter().all(Player::is_ours) && rng.u8(0..4) == 0,
            players,
            shards: rng.usize(1..6),
            failover,
            chaos,
            faults: Faults::drawn(rng, failover, chaos),
            happenings: rng.u32(10..60),
            crashes: pick(rng, &[0, 1, 5]),
            stops: pick(rng, &[0, 1, 5]),
            is_meddled_with: rng.bool(),
            is_rough: rng.u8(0..4) > 0,
            freezes: pick(rng, &[0, 0, 2]),
            has_receivers: rng.bool(),
            is_stuck: false,
            has_aggregates: cfg!(feature = "kpl") && rng.u8(0..3) == 0,
            reuses_ids: rng.bool(),
        }
    }

    /// One in which nothing happens, for so long.
    pub(super) fn calm(players: Vec<Player>, failover: Duration, time: Duration) -> Self {
        Self {
            players,
            shards: 1,
            failover,
            chaos: time,
            faults: Faults::none(failover),
            happenings: 0,
            crashes: 0,
            stops: 0,
            is_meddled_with: false,
            is_rough: false,
            freezes: 0,
            has_receivers: false,
            is_stuck: false,
            starts_latest: false,
            has_aggregates: false,
            reuses_ids: false,
        }
    }

    /// How long a holder that was asked for a lease may take.
    pub(super) fn handoff_patience(&self) -> Duration {
        self.failover * 3
    }
}

impl World {
    /// The world of a seed, in which some of these play.
    pub(super) fn new(seed: u64, players: &[Player]) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let plan = Plan::new(&mut rng, players);
        Self::with_plan(rng, plan)
    }

    pub(super) fn with_plan(mut rng: fastrand::Rng, plan: Plan) -> Self {
        let clock = |_: &Player| {
            let clock = Clock::drawn(&mut rng);
            clock.with_freezes(&mut rng, plan.freezes, plan.chaos, plan.failover * 10)
        };
        let clocks: Vec<_> = plan.players.iter().map(clock).collect();
        let oracle = Arc::new(Mutex::new(Oracle::default()));
        let table = Table::new(Arc::clone(&oracle), plan.faults.clone(), rng.fork());
        let kinesis = MemoryKinesis::with_manual_clock(epoch());
        kinesis.create_stream(STREAM, plan.shards);
        for shard in kinesis.shards(STREAM) {
            oracle.lock().born(shard.id(), &[]);
        }
        tell_workers(&mut oracle.lock(), &plan, &clocks);
        Self {
            workers: plan.players.iter().map(|_| None).collect(),
            ids: vec![String::new(); plan.players.len()],
            timeline: Timeline::new(clocks),
            counts: Counts { seeds: 1, ..Counts::default() },
            haunted: BTreeSet::new(),
            is_chaotic: true,
            calls: 0,
            lives: 0,
            rng,
            plan,
            kinesis,
            table,
            oracle,
        }
    }

    /// Runs until all is done, or panics.
    pub(super) fn run(mut self) -> Counts {
        self.prepare();
        while self.is_chaotic || !self.oracle.lock().is_complete() {
            self.step();
            let patience = PATIENCE + u32::try_from(self.counts.records).expect("there are few");
            let end = self.plan.chaos + self.plan.failover * patience;
            let missing = || format!("{:?} of {:?}", self.oracle.lock().missing(), self.plan);
            assert!(self.now() < end, "no end: {}: {:#?}", missing(), self.table.rows());
            assert!(self.timeline.made() < MAX_TASKS, "too many tasks: {}", missing());
        }
        self.oracle.lock().ends();
        self.check();
        if self.plan.players.iter().all(Player::is_ours) {
            self.rest();
        }
        let duplicates = self.oracle.lock().duplicates();
        self.counts.faults_of("record handled again", duplicates);
        self.counts += self.table.counts();
        self.counts
    }

    /// Lets what is planned happen until a time.
    pub(super) fn run_until(&mut self, end: Duration) {
        while self.now() < end {
            self.step();
        }
    }

    /// The true time.
    pub(super) fn now(&self) -> Duration {
        self.timeline.now()
    }

    /// Draws what happens in the chaos.
    pub(super) fn prepare(&mut self) {
        let chaos = self.plan.chaos;
        for worker in 0..self.workers.len() {
            let at = self.plan.failover.mul_f64(2.0 * self.rng.f64());
            self.timeline.plan(at, Task::Begin(worker));
        }
        for _ in 0..self.plan.happenings {
            let at = chaos.mul_f64(self.rng.f64());
            self.timeline.plan(at, Task::Happening);
        }
        for _ in 0..self.plan.crashes {
            let (at, worker) =
                (chaos.mul_f64(self.rng.f64()), self.rng.usize(0..self.workers.len()));
            self.timeline.plan(at, Task::Crash(worker));
        }
        for _ in 0..self.plan.stops {
            let (at, worker) =
                (chaos.mul_f64(self.rng.f64()), self.rng.usize(0..self.workers.len()));
            self.timeline.plan(at, Task::Stop(worker));
        }
        self.timeline.plan(chaos, Task::Calm);
    }

    /// A worker calls the table.
    pub(super) fn send(&mut self, worker: usize, request: Request, tenure: Option<&str>) -> u64 {
        self.calls += 1;
        let (number, Trip { there, back }) = (self.calls, self.table.trip(worker));
        let (whose, tenure) = (self.timeline.whose(worker), tenure.map(str::to_owned));
        let sent = Sent { number, worker, whose, tenure, request, back };
        self.timeline.plan(self.now() + there, Task::Arrive(Box::new(sent)));
        number
    }

    /// The next task.
    pub(super) fn step(&mut self) {
        let (at, whose, task) = self.timeline.next().expect("somebody always has a task");
        let time = at.saturating_sub(self.now());
        self.timeline.pass(time);
        self.kinesis.advance(time);
        self.table.passes(self.now());
        self.oracle.lock().passes(self.now());
        match task {
            _ if !self.timeline.is_alive(whose) => {}
            Task::Happening => self.happen(),
            Task::Calm => self.calm(),
            Task::Crash(worker) => self.crash(worker),
            Task::Stop(worker) => self.stop(worker),
            Task::Begin(worker) => self.begin(worker),
            Task::Arrive(sent) => self.arrive(*sent),
            Task::Reply(_) | Task::Java(_) | Task::Ours(_) | Task::Own(_) => {
                let Whose::Worker { worker, .. } = whose else { return };
                self.with(worker, |worker, machine| worker.does(machine, task));
            }
        }
        self.check();
    }

    fn check(&self) {
        let oracle = self.oracle.lock();
        assert!(oracle.broken().is_empty(), "{:#?} in {:?}", oracle.broken(), self.plan);
    }

    fn arrive(&mut self, sent: Sent) {
        if !self.timeline.is_alive(sent.whose) {
            self.haunted.insert(sent.worker);
        }
        let table = self.table.of(sent.worker);
        let table = match &sent.tenure {
            Some(tenure) => table.in_tenure(tenure),
            None => table,
        };
        let reply = Reply { number: sent.number, answer: sent.request.done_by(&table) };
        let at = self.now() + sent.back;
        self.timeline.plan_at(sent.whose, at, Task::Reply(Box::new(reply)));
    }

    fn with(&mut self, worker: usize, act: impl FnOnce(&mut dyn Worker, &mut Machine<'_>)) {
        let Some(mut acting) = self.workers[worker].take() else { return };
        act(&mut *acting, &mut Machine { world: self, worker });
        if acting.is_over() {
            self.judge(worker, acting.result());
            return self.pause(worker);
        }
        self.workers[worker] = Some(acting);
    }

    /// A worker has come to its end, with this error: the last write may fail.
    fn judge(&self, worker: usize, error: Option<&Error>) {
        // A call of the last trouble may be on its way for three failover times, and who stands still hears of it late.
        let trouble = self.plan.chaos.max(self.oracle.lock().patience().thaws(worker));
        let is_troubled = self.now() < trouble + self.plan.failover * 4;
        let is_excused = error.is_none_or(|error| match error {
            Error::Store { source, .. } => is_troubled && source.kind() == StoreErrorKind::Retry,
            // What its life before has sent came late, and looked like a life.
            Error::Fleet { kind: FleetErrorKind::WorkerIdInUse { .. }, .. } => {
                self.plan.reuses_ids && self.haunted.contains(&worker)
            }
            _ => false,
        });
        assert!(is_excused, "no reason to fail: {error:?} in {:?}", self.plan);
    }

    fn begin(&mut self, worker: usize) {
        self.lives += 1;
        self.timeline.begin_life(worker);
        self.haunted.remove(&worker);
        let is_reused = self.plan.reuses_ids && self.plan.players[worker].is_ours();
        let id = match is_reused {
            true => format!("worker-{worker}"),
            false => format!("worker-{worker}.{}", self.lives),
        };
        self.oracle.lock().patience().begins(worker, &id, self.timeline.now());
        let failover = self.plan.failover;
        self.ids[worker].clone_from(&id);
        self.workers[worker] = Some(match self.plan.players[worker] {
            Player::Ours => Box::new(Ours::new(id, failover, &mut Machine { world: self, worker })),
            Player::Java(library) => Box::new(Java::new(id, library, failover)),
            Player::Other(make) => make(id),
        });
        self.with(worker, |worker, machine| worker.begin(machine));
    }

    /// A worker dies, and later begins another life.
    pub(super) fn crash(&mut self, worker: usize) {
        // One that has not begun, or is dead already, does not die.
        if self.workers[worker].take().is_some() {
            self.counts.crashes += 1;
            self.pause(worker);
        }
    }

    /// A life is over, and another begins later.
    fn pause(&mut self, worker: usize) {
        self.oracle.lock().patience().leaves(worker);
        self.timeline.begin_life(worker);
        let pause = self.plan.failover.mul_f64(4.0 * self.rng.f64());
        self.timeline.plan(self.now() + pause, Task::Begin(worker));
    }

    /// Whether handlers and calls of the stream go wrong now.
    pub(super) fn is_rough(&self) -> bool {
        self.is_chaotic && self.plan.is_rough
    }

    /// Whether handlers may stand still for long.
    pub(super) fn is_stuck(&self) -> bool {
        self.is_chaotic && self.plan.is_stuck
    }

    /// A worker is asked to stop, with a limit for what it has read, or at once.
    fn stop(&mut self, worker: usize) {
        let limit = self.rng.bool().then(|| self.plan.failover.mul_f64(3.0 * self.rng.f64()));
        self.oracle.lock().patience().leaves(worker);
        let mut knows = true;
        self.with(worker, |worker, machine| knows = worker.stop(machine, limit));
        if !knows {
            self.crash(worker);
        }
    }

    /// All leases are held, evenly, and then nothing moves any more, and the table costs what it should.
    fn rest(&mut self) {
        // Who was asked to stop in the last trouble is at its end by then: a handler and a call may have taken three failover
        // times each.
        self.run_until(self.plan.chaos + self.plan.failover * 12);
        self.settle();
        let (held, moves) = (self.held(), self.oracle.lock().moves());
        let (begun, costs, rows) = (self.now(), self.table.costs(), self.table.rows().len());
        let failover = self.plan.failover;
        self.run_until(begun + failover * 20);
        assert_eq!(self.oracle.lock().moves(), moves, "moves after all is even: {:?}", self.plan);
        assert_eq!(self.held(), held);
        let (workers, leases) = (held.len(), self.beaten());
        let time = self.now() - begun;
        let limits = Limits { workers, rows, leases, asks: 0, failover, time };
        if let Some(how) = (self.table.costs() - costs).exceeds(&limits) {
            self.oracle.lock().costs(how);
        }
        self.check();
    }

    /// Soon all leases are held, by all workers alike, for some time.
    fn settle(&mut self) {
        let end = self.now() + self.plan.failover * 30;
        let (mut moves, mut quiet) = (0, 0);
        while quiet < 8 {
            self.run_until(self.now() + self.plan.failover);
            let (held, now) = (self.held(), self.oracle.lock().moves());
            let spread = held.values().max().unwrap_or(&0) - held.values().min().unwrap_or(&0);
            let is_whole = held.values().sum::<usize>() == self.open_shards().len();
            let is_even = spread <= 1 && is_whole && now == moves;
            (quiet, moves) = (if is_even { quiet + 1 } else { 0 }, now);
            let rows = || self.table.rows();
            assert!(self.now() < end || quiet > 0, "{held:?}: {:#?} in {:?}", rows(), self.plan);
        }
    }

    /// How many rows have a holder that lives. Some may be of shards that are done: whoever has seen a worker of Amazon's
    /// keeps those, and what was handed over to a worker that has died meanwhile looks like one of its rows.
    fn beaten(&self) -> usize {
        let owner = |item: &Item| match read(item) {
            Ok(Seen::Lease(row)) => row.owner,
            _ => None,
        };
        let owners = self.table.rows().iter().filter_map(owner).collect::<Vec<_>>();
        owners.iter().filter(|owner| self.ids.contains(owner)).count()
    }

    /// How many leases each living worker has.
    fn held(&self) -> BTreeMap<String, usize> {
        let mut held: BTreeMap<_, _> = self.ids.iter().map(|id| (id.clone(), 0)).collect();
        for item in self.table.rows() {
            let Ok(Seen::Lease(row)) = read(&item) else { continue };
            let owner = row.owner.filter(|_| !row.checkpoint.is_end());
            if let Some(count) = owner.and_then(|owner| held.get_mut(&owner)) {
                *count += 1;
            }
        }
        held
    }

    /// A last record for each open shard lets also those be written again that were set back by hand.
    fn calm(&mut self) {
        self.is_chaotic = false;
        self.table.calms();
        for shard in self.open_shards() {
            let put = self.kinesis.put_to(STREAM, shard.id(), "key", b"");
            self.tell_put(&put, None);
        }
    }
}

/// What the judge must know of the workers.
fn tell_workers(oracle: &mut Oracle, plan: &Plan, clocks: &[Clock]) {
    oracle.patience().limits(plan.failover, plan.handoff_patience());
    for (worker, (player, clock)) in plan.players.iter().zip(clocks).enumerate() {
        if player.is_ours() {
            oracle.is_ours(worker);
        }
        for freeze in clock.freezes() {
            oracle.patience().freezes(worker, freeze.from, freeze.to);
        }
    }
}
