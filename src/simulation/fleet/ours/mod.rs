//! Workers of ours: the real steward with its table, the real coordinator, pollers, commits and dispatcher. Threads,
//! channels and sockets are played in virtual time, as for one consumer that reads alone.

mod actions;
mod handling;
mod loops;
mod reading;
mod receiving;
mod table;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, unbounded};

use self::loops::{Alarm, Kind, Loops};
use self::reading::Reader;
use self::receiving::User;
use self::table::Told;
use super::machine::{Machine, Worker};
use super::world::{STREAM, Task as WorldTask};
use crate::config::Config;
use crate::core::event::Event;
use crate::core::fleet::lease::row::Holder;
use crate::core::fleet::lease::writes::Marks;
use crate::core::fleet::steward::Settings;
use crate::core::settings::{OnForeign, Plan};
use crate::core::shard::step::{Delivery, Outcome};
use crate::core::stream::Coordinator;
use crate::delivery::batch::Batch;
use crate::delivery::commits::{self, ShardCommits};
use crate::delivery::on_error::OnError;
use crate::delivery::parked::Parking;
use crate::error::Error;
use crate::model::position::{IteratorType, Position};
use crate::simulation::plan::pick;
use crate::store::leases::keeper::Keeper;

/// One life of a worker.
pub(in crate::simulation::fleet) struct Ours {
    process: String,
    failover: Duration,
    config: Config,
    keeper: Arc<Keeper>,
    clock: commits::Clock,
    loops: Loops,
    coordinator: Coordinator,
    readers: BTreeMap<String, Reader>,
    all_commits: Vec<Arc<ShardCommits>>,
    events: (Sender<Event>, Receiver<Event>),
    queue: VecDeque<Batch>,
    /// Batches that wait for a slot and a place in the queue, with the tenure whose thread waits.
    blocked: Vec<(String, u64, Delivery)>,
    parking: Parking,
    /// Whether a parked batch comes before a new one.
    is_parkeds_turn: bool,
    /// What the dispatcher, or the user, has.
    batch: Option<Batch>,
    /// Who takes the batches, if that is no dispatcher.
    user: Option<User>,
    reads_aggregates: bool,
    /// How far each tenure has handed over, by its text.
    told: BTreeMap<String, Position>,
    /// When the coordinator is woken, by its own clock.
    tick: Alarm,
    is_dispatching: bool,
    is_stopping: bool,
    /// Whether the queue is still handled.
    is_draining: bool,
    result: Option<Result<(), Error>>,
    /// Nothing is left to do, not even in the table.
    is_gone: bool,
}

/// A task of such a worker.
#[derive(Debug)]
pub(in crate::simulation::fleet) enum Task {
    /// One of the two loops looks for a call, as it was set to do at this time.
    Loop(Kind, Duration),
    /// The coordinator is woken in the same way.
    Tick(Duration),
    /// The coordinator hears of something.
    Tell(Box<Event>),
    /// The thread of a shard continues in this tenure, or exits.
    Poll(String, u64, Box<Outcome>),
    Exit(String, u64),
    /// The handler is done with a batch, or one that waited is due.
    Work,
    Due,
    /// The user commits one of the batches that lie at him.
    Commit,
    /// The limit of a drain is reached.
    Cut,
}

impl Ours {
    /// One with this id.
    // long: one line for each field.
    pub(in crate::simulation::fleet) fn new(
        id: String,
        failover: Duration,
        machine: &mut Machine<'_>,
    ) -> Self {
        let worker = machine.worker;
        let rng = &mut machine.world.rng;
        let config = drawn(failover, rng);
        let plan = &machine.world.plan;
        let user = (plan.has_receivers && rng.bool()).then(|| User::drawn(failover, rng));
        let start = match plan.starts_latest {
            true => IteratorType::Latest,
            false => IteratorType::TrimHorizon,
        };
        let process = format!("{id}/{:x}", rng.u64(..));
        let settings = Settings {
            worker: id,
            process: process.clone(),
            marks: Marks { failover, stream: STREAM.to_owned(), limit: None },
            patience: plan.handoff_patience(),
            budget: 100.0,
            retires: rng.bool(),
            start: start.clone(),
        };
        let reads_aggregates = plan.has_aggregates;
        let loops = Loops::new(pick(rng, &[1, 4]));
        let rng = rng.fork();
        let table = Arc::new(Told(machine.table()));
        let moments = machine.world.timeline.moments(worker);
        let plan = Plan {
            stream: STREAM.into(),
            iterator_type: start,
            chosen: None,
            on_foreign: OnForeign::Fail,
        };
        let in_fleet = config.stream_settings().in_fleet();
        Self {
            process,
            failover,
            keeper: Keeper::new(table, settings, moments, rng),
            clock: machine.world.timeline.clock(worker),
            loops,
            coordinator: Coordinator::new(plan, &in_fleet, None, user.is_none()),
            readers: BTreeMap::new(),
            all_commits: Vec::new(),
            events: unbounded(),
            queue: VecDeque::new(),
            blocked: Vec::new(),
            parking: Parking::new(config.on_error.clone()),
            config,
            is_parkeds_turn: false,
            batch: None,
            is_dispatching: user.is_none(),
            user,
            reads_aggregates,
            told: BTreeMap::new(),
            tick: Alarm::default(),
            is_stopping: false,
            is_draining: false,
            result: None,
            is_gone: false,
        }
    }

    fn plan(machine: &mut Machine<'_>, after: Duration, task: Task) {
        machine.plan(after, WorldTask::Ours(task));
    }

    /// What tells a tenure from all others.
    fn tenure(&self, epoch: u64) -> String {
        Holder::new(&self.process, epoch).text().to_owned()
    }

    /// All that follows from the last task without a delay.
    fn settle(&mut self, machine: &mut Machine<'_>) {
        loop {
            let mut is_quiet = true;
            while let Ok(event) = self.events.1.try_recv() {
                is_quiet = false;
                self.tell(machine, event);
            }
            for news in self.keeper.take_news() {
                is_quiet = false;
                self.hears(machine, news);
            }
            self.unblock(machine);
            self.dispatch(machine);
            self.end_handled();
            if is_quiet && self.events.1.is_empty() {
                break;
            }
        }
        self.run_loops(machine);
    }
}

impl Worker for Ours {
    fn begin(&mut self, machine: &mut Machine<'_>) {
        self.tell(machine, Event::Begun);
        self.settle(machine);
    }

    fn does(&mut self, machine: &mut Machine<'_>, task: WorldTask) {
        match task {
            WorldTask::Reply(reply) => self.answered(*reply),
            WorldTask::Ours(Task::Loop(kind, set)) => self.loops.wakes(kind, set),
            WorldTask::Ours(Task::Tick(set)) => {
                self.tick.rings(set);
                self.tell(machine, Event::Tick);
            }
            WorldTask::Ours(Task::Tell(event)) => self.tell(machine, *event),
            WorldTask::Ours(Task::Poll(shard, epoch, outcome)) => {
                self.poll(machine, &shard, epoch, *outcome);
            }
            WorldTask::Ours(Task::Exit(shard, epoch)) => self.exit(&shard, epoch),
            WorldTask::Ours(Task::Work) => self.work(machine),
            WorldTask::Ours(Task::Due) => {}
            WorldTask::Ours(Task::Commit) => self.commit_some(machine),
            WorldTask::Ours(Task::Cut) => self.cut(),
            _ => panic!("a task of somebody else"),
        }
        self.settle(machine);
    }

    fn stop(&mut self, machine: &mut Machine<'_>, limit: Option<Duration>) -> bool {
        if self.is_stopping || self.result.is_some() {
            return true;
        }
        if let Some(limit) = limit {
            self.is_draining = true;
            Self::plan(machine, limit, Task::Cut);
        }
        self.halt();
        self.tell(machine, Event::Stopped);
        self.settle(machine);
        true
    }

    fn is_over(&self) -> bool {
        self.is_gone
    }

    fn result(&self) -> Option<&Error> {
        self.result.as_ref()?.as_ref().err()
    }
}

/// The settings of one life.
fn drawn(failover: Duration, rng: &mut fastrand::Rng) -> Config {
    let interval = failover.mul_f64(pick(rng, &[0.1, 0.2, 0.4]));
    let waits = [None, None, Some((1, 0.1)), Some((3, 0.5)), Some((100, 2.0))];
    let config = Config::new()
        .interval(interval)
        .limit(pick(rng, &[1, 3, 10, 10_000]))
        .capacity(pick(rng, &[1, 2, 16]))
        // Faults are not to end a life.
        .start_patience(failover * 1_000)
        .on_error(OnError::retry(None).halve(rng.bool()));
    match pick(rng, &waits) {
        Some((batches, times)) => config.store_every(batches, failover.mul_f64(times)),
        None => config,
    }
}
