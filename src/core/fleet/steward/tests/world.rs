//! The table, the workers, and virtual time.

use std::collections::BTreeMap;
use std::time::Duration;

use super::judge::{Counts, check_write, mark, rows};
use super::stream::Stream;
use super::worker::Worker;
use crate::core::event::Word;
use crate::core::fleet::held::Moment;
use crate::core::fleet::steward::answers::Span;
use crate::core::fleet::steward::words::{Act, Answer, Call};
use crate::error::lease_table::{LeaseTableError, LeaseTableErrorKind};
use crate::model::write::{Applied, Write};
use crate::store::leases::LeaseTable;
use crate::store::leases::memory::MemoryLeases;

/// The failover time.
pub(super) const F: Duration = Duration::from_secs(10);
/// More events than this mean that time does not pass.
const MOST: u64 = 2_000_000;

/// The table, and the faults of its calls.
pub(super) struct Table {
    pub(super) leases: MemoryLeases,
    pub(super) rng: fastrand::Rng,
    /// How often a call fails.
    faults: f64,
    /// Every call fails until then.
    down: Duration,
    throttled: Duration,
    now: Duration,
}

pub(super) struct World {
    rng: fastrand::Rng,
    now: Duration,
    table: Table,
    stream: Stream,
    /// By their places; `None` after a crash.
    workers: Vec<Option<Worker>>,
    events: BTreeMap<(Duration, u64), (usize, Event)>,
    made: u64,
    /// How many processes there were.
    processes: u64,
    counts: Counts,
    is_calm: bool,
    last_move: Duration,
    latency: Duration,
}

enum Event {
    /// A loop of the worker looks for something to do.
    Loop(Kind, u64),
    /// A call arrives at the table.
    Arrive(Kind, u64, Call, Moment),
    /// Its answer arrives.
    Reply(Kind, u64, Call, Box<Answer>, Moment),
    Read(u64, String, u64),
    Listed(u64),
    /// The last batch of a tenure that hangs is dropped.
    Emptied(u64, String, u64),
    Happening,
}

/// Which loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Heart,
    Survey,
}

impl World {
    // long: one line for each field.
    pub(super) fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let page = rng.usize(1..50);
        let table = Table {
            leases: MemoryLeases::new().with_pages_of(page),
            rng: rng.fork(),
            faults: if rng.bool() { 0.0 } else { 0.15 * rng.f64() },
            down: Duration::ZERO,
            throttled: Duration::ZERO,
            now: Duration::ZERO,
        };
        let shards = rng.u64(1..=12);
        let mut stream = Stream::new(shards);
        for truth in stream.shards.values_mut() {
            truth.last = rng.u64(0..200);
        }
        let slow = rng.u8(0..4) == 0;
        let latency = Duration::from_millis(if slow { 800 } else { 20 });
        let mut world = Self {
            rng,
            now: Duration::ZERO,
            table,
            stream,
            workers: Vec::new(),
            events: BTreeMap::new(),
            made: 0,
            processes: 0,
            counts: Counts::default(),
            is_calm: false,
            last_move: Duration::ZERO,
            latency,
        };
        let workers = world.rng.usize(1..=6);
        for at in 0..workers {
            world.workers.push(None);
            world.begin(at, at);
        }
        world
    }

    // long: the whole life of a world, in order.
    pub(super) fn run(mut self) -> Counts {
        let chaos = Duration::from_secs(self.rng.u64(60..600));
        for _ in 0..self.rng.u64(0..40) {
            let at = chaos.mul_f64(self.rng.f64());
            self.plan_at(at, 0, Event::Happening);
        }
        self.run_until(chaos);
        self.calm();
        let begun = self.now;
        while !self.is_done() {
            assert!(self.now < begun + F * 100, "no end: {}", self.missing());
            self.run_until(self.now + F);
            self.revive();
        }
        // Whoever took last sees what others took at its next survey.
        self.run_until(self.now + F * 12);
        let (rest, held) = (self.now, self.held());
        let spread = held.iter().max().unwrap() - held.iter().min().unwrap();
        assert!(spread <= 1, "{held:?} {}", self.missing());
        self.run_until(self.now + F * 20);
        assert!(self.last_move <= rest, "a move {:?} after all is even", self.last_move - rest);
        assert_eq!(self.held(), held);
        self.join_and_stop();
        self.stop_all();
        self.counts.count("seeds");
        self.counts
    }

    /// All faults end; every worker runs, and what was put is read.
    fn calm(&mut self) {
        self.is_calm = true;
        (self.table.faults, self.table.down, self.table.throttled) = (0.0, self.now, self.now);
        self.latency = Duration::from_millis(20);
        for at in 0..self.workers.len() {
            if let Some(worker) = &mut self.workers[at] {
                worker.thaw(self.now);
            }
        }
        self.revive();
    }

    /// What has stopped, or has the id of another, gives its place to a new process.
    fn revive(&mut self) {
        for at in 0..self.workers.len() {
            let prefix = format!("worker-{at}/");
            let is_well = |it: &Worker| !it.is_stopping && it.process.starts_with(&prefix);
            if !self.workers[at].as_ref().is_some_and(is_well) {
                self.workers[at] = None;
                self.begin(at, at);
            }
        }
    }

    /// All that is held is given back, and nothing else is.
    fn stop_all(&mut self) {
        let before = self.counts.clone();
        for worker in self.workers.iter_mut().flatten() {
            worker.readers.clear();
            let now = worker.moment(self.now);
            worker.steward.end(now);
        }
        for at in 0..self.workers.len() {
            self.nudge(at);
        }
        self.run_until(self.now + F);
        let idle = self.workers.iter().flatten().all(|it| it.steward.is_idle());
        assert!(idle, "not all leases are given back");
        for (shard, row) in rows(&self.table.leases) {
            // An end may keep the name of a process that is gone: it is nobody's load.
            let is_kept = row.owner.is_some() && !row.checkpoint.is_end();
            assert!(!is_kept, "{shard} is kept: {row:?}");
        }
        assert_eq!(before.0.get("lost"), self.counts.0.get("lost"));
    }

    /// One more joins, and stops while others may be handing over what it has asked for: no row names it any more.
    fn join_and_stop(&mut self) {
        let at = self.workers.len();
        self.workers.push(None);
        self.begin(at, at);
        let wait = F.mul_f64(2.5 * self.rng.f64());
        self.run_until(self.now + wait);
        self.stop(at);
        self.nudge(at);
        // Its handler, and those of the others, end.
        self.run_until(self.now + F * 4);
        let id = format!("worker-{at}");
        for (shard, row) in rows(&self.table.leases) {
            let names = [row.owner.as_ref(), row.checkpoint_owner.as_ref(), row.asker.as_ref()];
            let is_named = names.contains(&Some(&id)) && !row.checkpoint.is_end();
            assert!(!is_named, "{shard} names {id}, which has stopped: {row:?}");
        }
        let worker = self.workers[at].take().expect("it has not crashed");
        assert!(worker.is_over(), "{id} does not end");
        self.run_until(self.now + F * 4);
        assert!(self.is_done(), "after {id} was there: {}", self.missing());
    }

    fn is_done(&self) -> bool {
        let all = self.stream.shards.values().all(|it| it.is_done());
        let rows = rows(&self.table.leases);
        let is_held = |shard: &String| {
            let row = rows.get(shard);
            let holder = row.and_then(|row| row.holder.as_ref()).map(|it| it.process().to_owned());
            let lives =
                |process: &String| self.workers.iter().flatten().any(|it| it.process == *process);
            holder.as_ref().is_some_and(lives)
        };
        all && self.stream.open_shards().iter().all(is_held)
    }

    fn missing(&self) -> String {
        let shards = self.stream.shards.iter().filter(|(_, it)| !it.is_done());
        let shards: Vec<_> = shards.map(|(id, it)| (id, it.last, it.handled.len())).collect();
        let rows = rows(&self.table.leases);
        let failed: Vec<_> =
            self.workers.iter().flatten().filter_map(|it| it.failed.as_ref()).collect();
        format!("shards {shards:?}, rows {rows:#?}, failed {failed:?}")
    }

    /// How many leases each has that wants as many as it gets.
    fn held(&self) -> Vec<usize> {
        let open = self.workers.iter().flatten().filter(|it| it.max.is_none());
        open.map(|it| it.steward.held()).collect()
    }

    fn run_until(&mut self, end: Duration) {
        while let Some(entry) = self.events.first_entry().filter(|it| it.key().0 <= end) {
            assert!(self.made < MOST, "time does not pass");
            let ((at, _), (worker, event)) = entry.remove_entry();
            self.now = at;
            self.table.now = at;
            let frozen = self.workers.get(worker).and_then(Option::as_ref).map(|it| it.frozen);
            // The table does not freeze.
            let is_theirs = !matches!(event, Event::Arrive(..) | Event::Happening);
            match frozen.filter(|until| is_theirs && *until > at) {
                Some(until) => self.plan_at(until, worker, event),
                None => self.on(worker, event),
            }
        }
        self.now = end;
        self.table.now = end;
    }

    fn plan_at(&mut self, at: Duration, worker: usize, event: Event) {
        self.made += 1;
        self.events.insert((at, self.made), (worker, event));
    }

    fn plan(&mut self, after: Duration, worker: usize, event: Event) {
        self.plan_at(self.now + after, worker, event);
    }

    /// A process begins at a place, with the id of that place or of another one.
    fn begin(&mut self, at: usize, of: usize) {
        self.processes += 1;
        let max = (at > 0 && self.rng.u8(0..6) == 0).then(|| self.rng.usize(1..4));
        if max.is_some() {
            self.counts.count("limited");
        }
        let id = format!("worker-{of}");
        let worker = Worker::new(&id, self.processes, &mut self.rng, self.now, max);
        self.workers[at] = Some(worker);
        self.counts.count("processes");
        let wait = Duration::from_millis(self.rng.u64(1..3_000));
        self.plan(wait, at, Event::Listed(self.processes));
        for kind in [Kind::Heart, Kind::Survey] {
            self.plan(Duration::ZERO, at, Event::Loop(kind, self.processes));
        }
    }

    fn worker(&mut self, at: usize, process: u64) -> Option<&mut Worker> {
        let suffix = format!("/{process:x}");
        self.workers[at].as_mut().filter(|it| it.process.ends_with(&suffix))
    }

    fn process(&self, at: usize) -> Option<u64> {
        let process = &self.workers[at].as_ref()?.process;
        u64::from_str_radix(process.rsplit('/').next()?, 16).ok()
    }

    /// Its loops look again.
    fn nudge(&mut self, at: usize) {
        let Some(process) = self.process(at) else { return };
        for kind in [Kind::Heart, Kind::Survey] {
            self.plan(Duration::ZERO, at, Event::Loop(kind, process));
        }
    }

    // long: one branch for each kind of event.
    fn on(&mut self, at: usize, event: Event) {
        match event {
            Event::Loop(kind, process) => self.look(at, kind, process),
            Event::Arrive(kind, process, call, sent) => {
                let answer = self.table.answer(&self.stream, &call, &mut self.counts);
                if let (Call::Write(job), Answer::Applied(Ok(Applied::Done(_)))) = (&call, &answer)
                {
                    match job.act {
                        Act::Take { .. } | Act::Ask { .. } => self.last_move = self.now,
                        Act::LetGo => self.counts.count("withdrawn"),
                        _ => {}
                    }
                }
                let wait = self.latency.mul_f64(self.rng.f64());
                self.plan(wait, at, Event::Reply(kind, process, call, Box::new(answer), sent));
            }
            Event::Reply(kind, process, call, answer, sent) => {
                let now = self.now;
                let Some(worker) = self.worker(at, process) else { return };
                let span = Span { sent, now: worker.moment(now) };
                worker.steward.answered(span, call, *answer);
                self.hear(at, process);
                self.plan(Duration::ZERO, at, Event::Loop(kind, process));
            }
            Event::Read(process, shard, epoch) => self.read(at, process, shard, epoch),
            Event::Listed(process) => {
                let (now, listing) = (self.now, self.stream.listing());
                let Some(worker) = self.worker(at, process) else { return };
                let now = worker.moment(now);
                worker.steward.hears(now, Word::Listed(listing));
                self.hear(at, process);
            }
            Event::Emptied(process, shard, epoch) => {
                let now = self.now;
                let Some(worker) = self.worker(at, process) else { return };
                worker.hanging.remove(&epoch);
                let now = worker.moment(now);
                worker.steward.hears(now, Word::Emptied { shard, epoch });
            }
            Event::Happening => self.happen(),
        }
    }

    // long: the call, and when the loop looks again.
    fn look(&mut self, at: usize, kind: Kind, process: u64) {
        let now = self.now;
        let Some(worker) = self.worker(at, process) else { return };
        let moment = worker.moment(now);
        let call = match kind {
            Kind::Heart => worker.steward.next_beat(moment),
            Kind::Survey => worker.steward.next_call(moment),
        };
        let wait = match kind {
            Kind::Heart => worker.steward.until_beat(moment),
            Kind::Survey => worker.steward.until_call(moment),
        };
        let wait = wait.map(|wait| worker.real(wait).max(Duration::from_millis(1)));
        self.hear(at, process);
        match call {
            Some(call) => {
                self.check_who_hangs(at, &call);
                let is_slow = !self.is_calm && self.rng.u16(..400) == 0;
                let most = if is_slow { F * 3 } else { self.latency };
                let wait = most.mul_f64(self.rng.f64());
                self.plan(wait, at, Event::Arrive(kind, process, call, moment));
            }
            None => {
                // As a nudge would be, for what is known later.
                let wait = wait.unwrap_or(F).min(Duration::from_millis(500));
                self.plan(wait, at, Event::Loop(kind, process));
            }
        }
    }

    /// Whose handler stands still gets no lease.
    fn check_who_hangs(&self, at: usize, call: &Call) {
        let hangs = self.workers[at].as_ref().is_some_and(|it| !it.hanging.is_empty());
        if let Call::Write(job) = call {
            let gains = matches!(job.act, Act::Take { .. } | Act::Accept { .. } | Act::Ask { .. });
            assert!(!hangs || !gains, "{call:?} of who hangs");
        }
    }

    fn hear(&mut self, at: usize, process: u64) {
        let Some(worker) = self.workers[at].as_mut() else { return };
        let begun = worker.hears(&self.stream, &mut self.counts);
        for shard in begun {
            let Some(worker) = self.workers[at].as_ref() else { return };
            let epoch = worker.readers[&shard].epoch;
            self.plan(Duration::ZERO, at, Event::Read(process, shard, epoch));
        }
        let Some(worker) = self.workers[at].as_mut() else { return };
        if std::mem::take(&mut worker.wants_listing) {
            let wait = Duration::from_millis(self.rng.u64(1..3_000));
            self.plan(wait, at, Event::Listed(process));
        }
    }

    fn read(&mut self, at: usize, process: u64, shard: String, epoch: u64) {
        if self.process(at) != Some(process) {
            return;
        }
        let Some(worker) = self.workers[at].as_mut() else { return };
        let goes_on = worker.read(
            &mut self.table,
            &mut self.stream,
            &shard,
            epoch,
            self.now,
            &mut self.counts,
        );
        self.hear(at, process);
        if goes_on {
            // A handler that takes long now and then.
            let is_slow = self.rng.u8(0..100) == 0;
            let most = if is_slow { 20_000 } else { 600 };
            let wait = Duration::from_millis(self.rng.u64(1..most));
            self.plan(wait, at, Event::Read(process, shard, epoch));
        }
    }

    // long: one branch for each kind of event.
    fn happen(&mut self) {
        let at = self.rng.usize(..self.workers.len());
        let open = self.stream.open_shards();
        let shard = open[self.rng.usize(..open.len())].clone();
        if self.workers[at].as_ref().is_some_and(Worker::is_over) {
            self.workers[at] = None;
        }
        match self.rng.u8(0..18) {
            0 | 1 => {
                if self.workers[at].take().is_some() {
                    self.counts.count("crashes");
                }
            }
            2 | 3 if self.workers[at].is_none() => self.begin(at, at),
            kind @ (4 | 11) => {
                self.counts.count(if kind == 4 { "freezes" } else { "suspensions" });
                let until = self.now + F.mul_f64(10.0 * self.rng.f64());
                if let Some(worker) = &mut self.workers[at] {
                    worker.freeze(self.now, until, kind == 11);
                }
            }
            12 => {
                let by = F.mul_f64(3.0 * self.rng.f64());
                if let Some(worker) = &mut self.workers[at] {
                    self.counts.count("clocks set");
                    worker.set_forward(by);
                }
            }
            13 => self.stop(at),
            14 => self.delete(),
            15 => self.take_a_name(at),
            16 => self.hang(at),
            5 | 6 => {
                self.counts.count("splits");
                self.stream.split(&shard);
                self.put();
            }
            7 => {
                self.counts.count("merges");
                self.stream.merge(&shard);
                self.put();
            }
            8 => {
                self.counts.count("outages");
                self.table.down = self.now + F.mul_f64(20.0 * self.rng.f64());
            }
            9 => {
                self.counts.count("throttled");
                self.table.throttled = self.now + F.mul_f64(5.0 * self.rng.f64());
            }
            10 => {
                let rows = self.table.leases.rows();
                if let Some(mut item) = self.rng.choice(rows) {
                    mark(&mut item);
                    self.table.leases.put(item);
                }
            }
            _ => self.put(),
        }
    }

    /// A process begins with the id of one that runs.
    fn take_a_name(&mut self, at: usize) {
        let others = (0..self.workers.len()).filter(|of| *of != at);
        let others =
            others.filter(|of| self.workers[*of].as_ref().is_some_and(|it| !it.is_stopping));
        if let Some(of) = self.rng.choice(others.collect::<Vec<_>>()) {
            self.counts.count("namesakes");
            self.begin(at, of);
        }
    }

    /// The handler of a shard stands still, or of all that a process reads.
    fn hang(&mut self, at: usize) {
        let (now, Some(process)) = (self.now, self.process(at)) else { return };
        let Some(worker) = self.workers[at].as_mut().filter(|it| it.frozen <= now) else { return };
        let moment = worker.moment(now);
        let all: Vec<_> = worker.readers.iter().map(|(id, it)| (id.clone(), it.epoch)).collect();
        let most = if self.rng.bool() { all.len() } else { 1 };
        for (shard, epoch) in all.into_iter().take(most) {
            let Some(worker) = self.workers[at].as_mut() else { return };
            self.counts.count("hangs");
            worker.hanging.insert(epoch);
            let age = F * 5;
            worker.steward.hears(moment, Word::Hangs { shard: shard.clone(), epoch, age });
            let wait = F.mul_f64(6.0 * self.rng.f64());
            self.plan(wait, at, Event::Emptied(process, shard, epoch));
        }
        self.hear(at, process);
    }

    /// A process is told to stop, and drains what it reads.
    fn stop(&mut self, at: usize) {
        let (now, Some(process)) = (self.now, self.process(at)) else { return };
        let Some(worker) = self.workers[at].as_mut().filter(|it| it.frozen <= now) else { return };
        self.counts.count("stops");
        worker.is_stopping = true;
        let moment = worker.moment(now);
        worker.steward.hears(moment, Word::Stopping);
        self.hear(at, process);
    }

    /// A row is deleted by hand. The last one is not: an empty table is a first start.
    fn delete(&mut self) {
        let rows = rows(&self.table.leases);
        let touched = rows.values().filter(|row| row.counter > 0).count();
        let Some(shard) = self.rng.choice(rows.into_keys()).filter(|_| touched > 1) else { return };
        self.counts.count("deleted rows");
        self.table.leases.delete(&shard);
        if let Some(truth) = self.stream.shards.get_mut(&shard) {
            truth.drained = 0;
        }
    }

    /// Records are put into open shards.
    fn put(&mut self) {
        for truth in self.stream.shards.values_mut().filter(|it| !it.is_closed) {
            truth.last += self.rng.u64(0..100);
        }
    }
}

impl Table {
    fn answer(&mut self, stream: &Stream, call: &Call, counts: &mut Counts) -> Answer {
        match call {
            Call::Write(job) => Answer::Applied(self.apply_faulty(stream, &job.write, counts)),
            Call::Coordinator => Answer::Item(self.fault(counts).map_or(Ok(None), Err)),
            Call::Get { shard } => {
                let fault = self.fault(counts);
                Answer::Item(fault.map_or_else(|| self.leases.get(shard), Err))
            }
            Call::Page { after } => {
                let fault = self.fault(counts);
                Answer::Page(fault.map_or_else(|| self.leases.page(after.as_ref()), Err))
            }
        }
    }

    fn fault(&mut self, counts: &mut Counts) -> Option<LeaseTableError> {
        let kind = if self.now < self.down {
            LeaseTableErrorKind::Transient
        } else if self.now < self.throttled && self.rng.u8(0..3) > 0 {
            LeaseTableErrorKind::Throttled
        } else if self.rng.f64() < self.faults {
            if self.rng.bool() {
                LeaseTableErrorKind::Throttled
            } else {
                LeaseTableErrorKind::Transient
            }
        } else {
            return None;
        };
        counts.count("refused calls");
        Some(LeaseTableError::new(kind, "a fault"))
    }

    pub(super) fn apply_faulty(
        &mut self,
        stream: &Stream,
        write: &Write,
        counts: &mut Counts,
    ) -> Result<Applied, LeaseTableError> {
        if let Some(error) = self.fault(counts) {
            return Err(error);
        }
        let before = self.leases.get(write.key())?;
        let applied = self.leases.apply(write)?;
        if let Applied::Done(_) = &applied {
            let after = self.leases.get(write.key())?;
            check_write(stream, write, before.as_ref(), after.as_ref());
        }
        if self.rng.f64() < self.faults {
            counts.count("lost replies");
            return Err(LeaseTableError::new(LeaseTableErrorKind::Transient, "a lost reply"));
        }
        Ok(applied)
    }
}
