//! The real core, with the threads, channels and sockets around it played in virtual time.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, never, unbounded};
use parking_lot::Mutex;

use super::faults::{call, get_records, latency};
use super::oddities;
use super::truth::Truth;
use super::world::{STREAM, World};
use crate::client::Client;
use crate::control::call::Call;
use crate::core::event::{Action, Ending, Event, Start};
use crate::core::settings::{ChildrenStart, Plan};
use crate::core::shard::Poller;
use crate::core::shard::step::{Delivery, Outcome, Read, Step};
use crate::core::stream::Coordinator;
use crate::delivery::batch::Batch;
use crate::delivery::commits::{CommitContext, ShardCommits, flush_all};
use crate::delivery::dispatch::{Callback, Dispatcher};
use crate::delivery::in_flight::Slots;
use crate::delivery::on_error::OnError;
use crate::delivery::parked::{Parking, Time};
use crate::error::Error;
use crate::error::client::{ClientError, ErrorClass};
use crate::error::store::StoreError;
use crate::model::listed::ShardPage;
use crate::model::position::IteratorType;
#[cfg(feature = "kpl")]
use crate::record::aggregate;
#[cfg(feature = "kpl")]
use crate::record::aggregate::Deaggregation;
use crate::record::answer::Answer;
use crate::store::Store;

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
    /// The batch of each worker; a dispatcher is one.
    workers: Vec<Option<Batch>>,
    /// Handled by a worker, and to be committed later, in any order.
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

struct Reader {
    poller: Poller,
    commits: Arc<ShardCommits>,
    slots: Slots,
    /// Its thread has sent the last batch, and waits until the batch is handled.
    ending: Option<Ending>,
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
    pub(super) fn new(world: &World) -> Self {
        let config = &world.scenario.config;
        let plan = Plan {
            stream: STREAM.into(),
            iterator_type: config.iterator_type.clone(),
            chosen: world.truth.lock().chosen.clone(),
            on_foreign: config.on_gap.foreign,
        };
        let is_dispatching = world.scenario.workers == 0;
        // As `Stream::shards` does before a door is opened.
        let listed = world.scenario.lists_first.then(|| {
            let mut truth = world.truth.lock();
            let mut shards = world.kinesis.shards(STREAM);
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
            parking: Parking::new(on_error(world)),
            is_parkeds_turn: false,
            workers: (0..world.scenario.workers.max(1)).map(|_| None).collect(),
            uncommitted: Vec::new(),
            is_dispatching,
            is_stopping: false,
            is_draining: false,
            result: None,
        }
    }

    pub(super) fn begin(&mut self, world: &mut World) {
        self.tell(world, Event::Begun);
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
    pub(super) fn stop(&mut self, world: &mut World) {
        self.halt();
        self.tell(world, Event::Stopped);
        self.settle(world);
    }

    pub(super) fn does(&mut self, world: &mut World, task: Task) {
        match task {
            Task::Happening | Task::Calm | Task::Retain | Task::Wake => {}
            Task::Crash | Task::Due => {}
            Task::Stop => self.stop(world),
            Task::Drain => {
                self.is_draining = self.is_dispatching;
                let limit = Duration::from_millis(world.rng.u64(0..20_000));
                world.plan(limit, Task::Cut);
                self.stop(world);
            }
            Task::Cut => self.cut(),
            Task::Begin(start, delay) => self.start(world, *start, delay),
            Task::Poll(shard, outcome) => self.poll(world, &shard, *outcome),
            Task::Tell(event) => self.tell(world, *event),
            Task::Work(worker) => self.work(world, worker),
            Task::Commit => self.commit_some(world),
        }
        self.settle(world);
    }

    /// The direct consequences of the last task: blocked sends, idle workers, events of commits.
    fn settle(&mut self, world: &mut World) {
        while let Ok(event) = self.events.1.try_recv() {
            self.tell(world, event);
        }
        self.unblock(world);
        for worker in 0..self.workers.len() {
            let is_over = self.is_stopping && self.is_dispatching && !self.is_draining;
            if self.workers[worker].is_some() || is_over {
                continue;
            }
            if let Some(batch) = self.next_batch(world) {
                self.workers[worker] = Some(batch);
                let time = Duration::from_millis(world.rng.u64(0..80));
                world.plan(time, Task::Work(worker));
            }
        }
        self.end_handled(world);
        let has_more = self.is_draining && !(self.queue.is_empty() && self.parking.is_empty());
        let is_done = self.workers.iter().all(Option::is_none) && !has_more;
        if self.is_stopping && self.is_dispatching && is_done {
            self.is_dispatching = false;
            self.tell(world, Event::Dispatched);
        }
    }

    /// Sends what can be sent.
    fn unblock(&mut self, world: &mut World) {
        for (shard, delivery) in std::mem::take(&mut self.blocked) {
            let reader = &self.readers[&shard];
            let has_place = self.queue.len() < world.scenario.config.capacity;
            match Some(&reader.slots).filter(|_| has_place).and_then(Slots::try_take) {
                None => self.blocked.push((shard, delivery)),
                Some(slot) => {
                    self.queue.push_back(Batch::new(&reader.commits, delivery, slot));
                    world.plan(Duration::ZERO, Task::Poll(shard, Box::new(Outcome::Delivered)));
                }
            }
        }
    }

    /// The next work of a worker.
    fn next_batch(&mut self, world: &World) -> Option<Batch> {
        if std::mem::take(&mut self.is_parkeds_turn) {
            if let Some(batch) = self.parking.take(world.now) {
                return Some(batch);
            }
        }
        while let Some(batch) = self.queue.pop_front() {
            self.is_parkeds_turn = true;
            world.truth.lock().delivered(&batch);
            let passed = self.parking.pass(batch);
            if passed.is_some() {
                return passed;
            }
        }
        self.parking.take(world.now)
    }

    /// Shards whose thread waited for the last batch.
    fn end_handled(&mut self, world: &mut World) {
        let is_over = |reader: &Reader| reader.ending.is_some() && reader.slots.are_free();
        let over = self.readers.iter().filter(|(_, reader)| is_over(reader));
        for shard in over.map(|(shard, _)| shard.clone()).collect::<Vec<_>>() {
            if let Some(ending) = self.exit(&shard).and_then(|reader| reader.ending) {
                world.plan(Duration::ZERO, Task::Tell(Box::new(Event::Ended { shard, ending })));
            }
        }
    }

    fn tell(&mut self, world: &mut World, event: Event) {
        if self.is_over() {
            return;
        }
        for action in self.coordinator.on(world.now, &mut world.rng, event) {
            self.act(world, action);
        }
        if let Some(wake) = self.coordinator.wake() {
            let after = wake.saturating_sub(world.now);
            world.plan(after, Task::Tell(Box::new(Event::Tick)));
        }
    }

    fn act(&mut self, world: &mut World, action: Action) {
        let event = match action {
            Action::Load => {
                let loaded = world.store.shard_iterators(STREAM);
                if let Ok(positions) = &loaded {
                    world.truth.lock().loaded(positions, world.scenario.config.on_gap.foreign);
                    if std::mem::take(&mut self.lists_first) {
                        skip_for_latest(world);
                    }
                }
                Event::Loaded(loaded)
            }
            Action::List { page } => Event::Listed(self.list(world, page.as_deref())),
            Action::Describe => Event::Described(call(world, "DescribeStreamSummary", |world| {
                world.kinesis.describe_stream(STREAM, &Call::unbounded())
            })),
            Action::Flush => {
                let flushed = Box::new(Event::Flushed(flush_all(&self.all_commits)));
                let time = world.scenario.flush_time.mul_f64(world.rng.f64());
                return world.plan(time, Task::Tell(flushed));
            }
            Action::Start { start, delay, .. } => {
                self.has_started = true;
                return world.plan(Duration::ZERO, Task::Begin(Box::new(start), delay));
            }
            Action::Confirm { shard, proof } => {
                let outcome = Box::new(Outcome::Confirmed(proof));
                return world.plan(Duration::ZERO, Task::Poll(shard, outcome));
            }
            Action::StopShard { .. } | Action::Lease(_) => unreachable!("it reads alone"),
            Action::GiveUp { shard, why } => return self.give_up(world, &shard, &why),
            Action::Close => return,
            Action::Halt => {
                self.halt();
                return;
            }
            Action::Finish(result) => {
                let flushed = flush_all(&self.all_commits);
                let flushed = flushed
                    .map_err(|(shard, source)| Error::of_store(STREAM, Some(&shard), source));
                self.result = Some(result.and(flushed));
                return;
            }
        };
        let latency = latency(world);
        world.plan(latency, Task::Tell(Box::new(event)));
    }

    fn list(&mut self, world: &mut World, page: Option<&str>) -> Result<ShardPage, ClientError> {
        let listed = call(world, "ListShards", |world| {
            world.kinesis.list_shards(STREAM, page, &Call::unbounded())
        });
        let listed = listed.map(|page| oddities::listed(world, page, !self.has_started));
        if page.is_none() {
            self.listed.clear();
        }
        let shown = listed.iter().flat_map(|page| &page.shards);
        self.listed.extend(shown.map(|shard| shard.id().to_owned()));
        // An incomplete listing is repeated before anything is read.
        if listed.as_ref().is_ok_and(|page| page.next_token.is_none()) && !self.has_started {
            world.truth.lock().lists(&self.listed);
            skip_for_latest(world);
        }
        listed
    }

    /// Every shard's thread ends; queued batches stay unhandled.
    fn halt(&mut self) {
        self.is_stopping = true;
        for shard in std::mem::take(&mut self.readers).into_keys() {
            self.events.0.send(Event::Exited { shard }).unwrap();
        }
        self.blocked.clear();
        if self.is_dispatching && !self.is_draining {
            self.queue.clear();
        }
    }

    /// The rest of the queue stays unhandled.
    fn cut(&mut self) {
        self.is_draining = false;
        self.queue.clear();
    }

    fn start(&mut self, world: &mut World, start: Start, delay: Duration) {
        let shard = start.shard.id().to_owned();
        if self.is_stopping {
            self.events.0.send(Event::Exited { shard }).unwrap();
            return;
        }
        world.truth.lock().starts(&shard);
        let time = Arc::clone(&world.time);
        let context = CommitContext {
            stream: STREAM.into(),
            store: Arc::clone(&world.store) as Arc<dyn Store>,
            events: self.events.0.clone(),
            tenancy: None,
            every: world.scenario.config.store_every,
            clock: Arc::new(move || Duration::from_nanos(time.load(Ordering::Relaxed))),
        };
        let commits = Arc::new(ShardCommits::new(context, &shard, never()));
        let parents =
            self.all_commits.iter().filter(|it| start.shard.parents().contains(&it.shard().into()));
        commits.descends_from(parents.map(Arc::downgrade));
        self.all_commits.push(Arc::clone(&commits));
        let settings = world.scenario.config.shard_settings(false);
        let poller = Poller::new(STREAM.into(), start, settings, delay);
        let slots = Slots::new(world.scenario.workers == 0);
        self.readers.insert(shard.clone(), Reader { poller, commits, slots, ending: None });
        self.poll(world, &shard, Outcome::Waited);
    }

    /// One step of a shard's thread.
    fn poll(&mut self, world: &mut World, shard: &str, outcome: Outcome) {
        let Some(reader) = self.readers.get_mut(shard) else { return };
        let step = reader.poller.step(world.now, &mut world.rng, outcome);
        let outcome = match step {
            Step::Wait(time) => {
                return world.plan(time, Task::Poll(shard.into(), Box::new(Outcome::Waited)));
            }
            Step::GetIterator(at) => {
                let given = call(world, "GetShardIterator", |world| {
                    let call = Call::unbounded();
                    let iterator = world.kinesis.get_shard_iterator(STREAM, shard, &at, &call);
                    match (&at, &iterator) {
                        (IteratorType::Latest, Ok(_)) => world.truth.lock().starts_latest(shard),
                        (IteratorType::TrimHorizon, Ok(_)) => {
                            world.truth.lock().starts_oldest(shard);
                        }
                        (IteratorType::AtTimestamp(_), Err(error))
                            if error.class() == ErrorClass::InvalidArgument =>
                        {
                            world.truth.lock().refuses_time(shard);
                            world.counts.fault("time later than the service's");
                        }
                        _ => {}
                    }
                    iterator.map(|given| oddities::iterator(world, given))
                });
                Outcome::Iterator(given, oddities::wall(world))
            }
            Step::GetRecords { token, limit } => {
                let answer = get_records(world, shard, &token, limit);
                if let Ok(answer) = &answer {
                    let tells = !answer.records.is_empty() || answer.next.is_none();
                    world.truth.lock().reads(shard, tells);
                }
                let read = answer.map(|answer| take_apart(world, &reader.poller, answer));
                Outcome::Records { begun: world.now, read }
            }
            Step::Describe => Outcome::Status(call(world, "DescribeStreamSummary", |world| {
                world.kinesis.describe_stream(STREAM, &Call::unbounded())
            })),
            Step::Store { to, how } => {
                let stored = reader.commits.begin(&to, how);
                if reader.commits.is_lost() {
                    self.exit(shard);
                    return;
                }
                Outcome::Stored(stored)
            }
            Step::Confirm => return self.tell(world, Event::Claimed { shard: shard.into() }),
            Step::Deliver(delivery) => return self.blocked.push((shard.into(), *delivery)),
            // Where the user takes the batches, nobody knows when they are handled.
            Step::End { ending, told: ChildrenStart::Handled } if self.is_dispatching => {
                reader.ending = Some(ending);
                return;
            }
            Step::End { ending, .. } => {
                self.exit(shard);
                return self.tell(world, Event::Ended { shard: shard.into(), ending });
            }
            Step::Fail(error) => {
                self.exit(shard);
                return self.tell(world, Event::Failed(error));
            }
        };
        let latency = latency(world);
        world.plan(latency, Task::Poll(shard.into(), Box::new(outcome)));
    }

    /// The shard's thread ends, and its batches are not handed over; the next life may own it again.
    fn give_up(&mut self, world: &mut World, shard: &str, why: &StoreError) {
        world.counts.fault("shard lost");
        world.truth.lock().gives_up(shard);
        for commits in self.all_commits.iter().filter(|commits| commits.shard() == shard) {
            commits.give_up(why.clone());
        }
        self.blocked.retain(|(blocked, _)| blocked != shard);
        if self.readers.contains_key(shard) {
            self.exit(shard);
        }
        let restart = Duration::from_millis(world.rng.u64(0..20_000));
        world.plan(restart, Task::Crash);
    }

    fn exit(&mut self, shard: &str) -> Option<Reader> {
        self.events.0.send(Event::Exited { shard: shard.into() }).unwrap();
        self.readers.remove(shard)
    }

    /// A worker has done its work.
    fn work(&mut self, world: &mut World, worker: usize) {
        let Some(batch) = self.workers[worker].take() else { return };
        if !self.is_dispatching {
            self.uncommitted.push(batch);
            let time = Duration::from_millis(world.rng.u64(0..2000));
            return world.plan(time, Task::Commit);
        }
        let fails = world.is_chaotic && world.rng.f64() < world.scenario.handler_faults;
        let (truth, faults) = (Arc::clone(&world.truth), Cell::new(0));
        let poison = world.scenario.poison;
        let part = (world.rng.u8(0..8) == 0).then(|| world.rng.usize(1..=batch.len().max(1)));
        world.counts.faults_of("part committed", u64::from(part.is_some()));
        let handler: Callback<'_> = Box::new(|batch| {
            truth.lock().hands_over(batch);
            if let Some(part) = part {
                commit_first(&truth, batch, part);
            }
            if fails || batch.records().iter().any(|record| is_poison(&record, poison)) {
                faults.set(1);
                return Err("the handler fails".into());
            }
            truth.lock().handled(batch);
            Ok(())
        });
        let time = Time { now: world.now, wall: world.kinesis.now() };
        let (parking, rng) = (&mut self.parking, &mut world.rng);
        let attended = Dispatcher { handler, parking, rng, clock: &|| time }.attend(batch);
        world.counts.faults_of("handler refused", faults.get());
        if let Some(due) = self.parking.due() {
            world.plan(due.saturating_sub(world.now), Task::Due);
        }
        if let Err(error) = attended {
            self.is_draining = false;
            self.halt();
            self.tell(world, Event::Failed(error));
        }
    }

    /// A worker commits a batch that it has handled.
    fn commit_some(&mut self, world: &mut World) {
        if self.uncommitted.is_empty() {
            return;
        }
        let batch = self.uncommitted.swap_remove(world.rng.usize(0..self.uncommitted.len()));
        if world.is_chaotic && world.rng.u8(0..60) == 0 {
            world.counts.fault("batch dropped uncommitted");
            // The shard's position stays before it until the next start.
            let restart = Duration::from_millis(world.rng.u64(0..20_000));
            world.plan(restart, Task::Crash);
            return;
        }
        if world.rng.u8(0..6) == 0 && !batch.is_empty() {
            world.counts.fault("part committed");
            let part = world.rng.usize(1..=batch.len());
            commit_first(&world.truth, &batch, part);
            let time = Duration::from_millis(world.rng.u64(0..2000));
            self.uncommitted.push(batch);
            return world.plan(time, Task::Commit);
        }
        world.truth.lock().handled(&batch);
        // A failure is told to the coordinator.
        let _ = batch.commit();
    }
}

/// The seed's policy, with the judge as dead-letter callback.
fn on_error(world: &World) -> OnError {
    let on_error = world.scenario.config.on_error.clone();
    if world.scenario.poison == 0 {
        return on_error;
    }
    let truth = Arc::clone(&world.truth);
    on_error.dead_letter(move |letter| {
        truth.lock().handled(letter.batch());
        Ok(())
    })
}

/// Commits this many records of a batch, if it has them.
fn commit_first(truth: &Mutex<Truth>, batch: &Batch, count: usize) {
    if let Some(record) = batch.records().iter().take(count).last() {
        truth.lock().handled_first(batch, count);
        // A failure is told to the coordinator.
        let _ = batch.commit_through(&record);
    }
}

/// Whether the handler always refuses this record; it refuses one of a fixed number.
fn is_poison(record: &crate::Record<'_>, one_of: u64) -> bool {
    let number: u128 = record.sequence_number().parse().unwrap_or_default();
    one_of > 0 && number % u128::from(one_of) == 0
}

/// The store was read and the stream listed: the shards that need not be read if all start at `Latest`.
fn skip_for_latest(world: &World) {
    world.truth.lock().skips_for_latest();
}

/// The work of a reader on aggregates.
fn take_apart(world: &World, poller: &Poller, answer: Answer) -> Read {
    let mut read = Read::from(answer);
    #[cfg(feature = "kpl")]
    if world.scenario.config.deaggregation != Deaggregation::Off {
        let records = &read.answer.records;
        let found = aggregate::find(records);
        let wanted = aggregate::Wanted { shard: None, read: poller.read() };
        (read.answer.records, _) = aggregate::expand(records, &found, &wanted, None);
    }
    #[cfg(not(feature = "kpl"))]
    let _ = (world, poller);
    read
}
