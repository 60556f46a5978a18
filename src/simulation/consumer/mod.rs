//! The real core, with the threads, channels and sockets around it played in virtual time.

mod actions;
mod dispatching;
mod readers;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, unbounded};

use self::dispatching::on_error;
use self::readers::Reader;
use super::machine::Machine;
use super::world::STREAM;
use crate::core::event::{Event, Start};
use crate::core::settings::Plan;
use crate::core::shard::step::{Delivery, Outcome};
use crate::core::stream::Coordinator;
use crate::delivery::batch::Batch;
use crate::delivery::commits::ShardCommits;
use crate::delivery::parked::Parking;
use crate::error::Error;

/// One life of the consumer, from its start to its end or crash.
pub(super) struct Consumer {
    coordinator: Coordinator,
    readers: BTreeMap<String, Reader>,
    all_commits: Vec<Arc<ShardCommits>>,
    events: (Sender<Event>, Receiver<Event>),
    queue: VecDeque<Batch>,
    /// Batches that wait for a slot and a place in the queue, with the shard whose thread waits.
    blocked: Vec<(String, Delivery)>,
    parking: Parking,
    /// Whether a parked batch comes before a new one.
    is_parkeds_turn: bool,
    /// The batch of each thread that handles batches; a dispatcher is one.
    threads: Vec<Option<Batch>>,
    /// Handled by such a thread, and to be committed later, in any order.
    uncommitted: Vec<Batch>,
    is_dispatching: bool,
    pub(super) has_started: bool,
    /// Whether the stream was listed before the store is read.
    lists_first: bool,
    /// What the pages of the listing in progress have shown.
    listed: BTreeSet<String>,
    is_stopping: bool,
    /// Whether the queue is still handled.
    is_draining: bool,
    result: Option<Result<(), Error>>,
}

/// A task at some time.
pub(super) enum Task {
    /// An operator changes the stream.
    Happening,
    /// From now on there are no faults.
    Calm,
    /// Records that are too old leave the stream.
    Retain,
    /// The silence is over.
    Wake,
    /// The consumer crashes.
    Crash,
    /// The consumer is asked to stop.
    Stop,
    /// The consumer is asked to drain its queue, and to stop.
    Drain,
    /// The limit of the drain is reached.
    Cut,
    Begin(Box<Start>, Duration),
    Poll(String, Box<Outcome>),
    Tell(Box<Event>),
    Work(usize),
    /// A parked batch is due.
    Due,
    Commit,
}

impl Consumer {
    pub(super) fn new(machine: &Machine<'_>) -> Self {
        let config = &machine.world.scenario.config;
        let plan = Plan {
            stream: STREAM.into(),
            iterator_type: config.iterator_type.clone(),
            chosen: machine.world.truth.lock().chosen.clone(),
            on_foreign: config.on_gap.foreign,
        };
        let is_dispatching = machine.world.scenario.threads == 0;
        // As `Stream::shards` does before a door is opened.
        let listed = machine.world.scenario.lists_first.then(|| {
            let mut truth = machine.world.truth.lock();
            let mut shards = machine.world.kinesis.shards(STREAM);
            truth.lists(&shards.iter().map(|shard| shard.id().to_owned()).collect());
            for shard in &mut shards {
                shard.start_at = truth.own_starts.get(shard.id()).cloned();
            }
            shards
        });
        Self {
            has_started: false,
            lists_first: listed.is_some(),
            listed: BTreeSet::new(),
            coordinator: Coordinator::new(plan, &config.stream_settings(), listed, is_dispatching),
            readers: BTreeMap::new(),
            all_commits: Vec::new(),
            events: unbounded(),
            queue: VecDeque::new(),
            blocked: Vec::new(),
            parking: Parking::new(on_error(machine.world)),
            is_parkeds_turn: false,
            threads: (0..machine.world.scenario.threads.max(1)).map(|_| None).collect(),
            uncommitted: Vec::new(),
            is_dispatching,
            is_stopping: false,
            is_draining: false,
            result: None,
        }
    }

    pub(super) fn begin(&mut self, machine: &mut Machine<'_>) {
        self.tell(machine, Event::Begun);
    }

    pub(super) fn is_over(&self) -> bool {
        self.result.is_some()
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.is_stopping
    }

    pub(super) fn result(&self) -> Option<&Error> {
        self.result.as_ref()?.as_ref().err()
    }

    /// Stops it as `Shutdown::now` does.
    pub(super) fn stop(&mut self, machine: &mut Machine<'_>) {
        self.halt();
        self.tell(machine, Event::Stopped);
        self.settle(machine);
    }

    pub(super) fn does(&mut self, machine: &mut Machine<'_>, task: Task) {
        match task {
            Task::Happening | Task::Calm | Task::Retain | Task::Wake => {}
            Task::Crash | Task::Due => {}
            Task::Stop => self.stop(machine),
            Task::Drain => {
                self.is_draining = self.is_dispatching;
                let limit = Duration::from_millis(machine.world.rng.u64(0..20_000));
                machine.plan(limit, Task::Cut);
                self.stop(machine);
            }
            Task::Cut => self.cut(),
            Task::Begin(start, delay) => self.start(machine, *start, delay),
            Task::Poll(shard, outcome) => self.poll(machine, &shard, *outcome),
            Task::Tell(event) => self.tell(machine, *event),
            Task::Work(thread) => self.work(machine, thread),
            Task::Commit => self.commit_some(machine),
        }
        self.settle(machine);
    }

    /// The direct consequences of the last task: blocked sends, idle threads, events of commits.
    fn settle(&mut self, machine: &mut Machine<'_>) {
        while let Ok(event) = self.events.1.try_recv() {
            self.tell(machine, event);
        }
        self.unblock(machine);
        for thread in 0..self.threads.len() {
            let is_over = self.is_stopping && self.is_dispatching && !self.is_draining;
            if self.threads[thread].is_some() || is_over {
                continue;
            }
            if let Some(batch) = self.next_batch(machine) {
                self.threads[thread] = Some(batch);
                let time = Duration::from_millis(machine.world.rng.u64(0..80));
                machine.plan(time, Task::Work(thread));
            }
        }
        self.end_handled(machine);
        let has_more = self.is_draining && !(self.queue.is_empty() && self.parking.is_empty());
        let is_done = self.threads.iter().all(Option::is_none) && !has_more;
        if self.is_stopping && self.is_dispatching && is_done {
            self.is_dispatching = false;
            self.tell(machine, Event::Dispatched);
        }
    }
}
