//! The threads that read shards, each in one tenure.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use crossbeam_channel::never;

use super::actions::{call, latency};
use super::{Ours, Task};
use crate::client::Client;
use crate::control::call::Call;
use crate::core::event::{Ending, Event, Start, StartAt};
use crate::core::settings::ChildrenStart;
use crate::core::shard::Poller;
use crate::core::shard::step::{Outcome, Read, Step};
use crate::delivery::batch::Batch;
use crate::delivery::commits::{CommitContext, ShardCommits};
use crate::delivery::in_flight::Slots;
use crate::delivery::tenancy::Tenancy;
use crate::error::store::StoreError;
use crate::model::notice::ShardState;
use crate::simulation::aggregate;
use crate::simulation::fleet::machine::Machine;
use crate::simulation::fleet::world::STREAM;
use crate::store::Store;

/// The thread of one shard.
pub(super) struct Reader {
    pub(super) epoch: u64,
    pub(super) commits: Arc<ShardCommits>,
    poller: Poller,
    slots: Slots,
    /// It has sent the last batch, and waits until the batch is handled.
    ending: Option<Ending>,
    /// It is to end, but a call of it may still be on its way.
    is_stopped: bool,
}

impl Ours {
    pub(super) fn start(
        &mut self,
        machine: &mut Machine<'_>,
        start: Start,
        delay: Duration,
        epoch: u64,
    ) {
        let shard = start.shard.id().to_owned();
        assert!(!self.readers.contains_key(&shard), "{shard} starts before its last thread exited");
        let tenant = self.keeper.tenant(&shard, epoch);
        let context = CommitContext {
            stream: STREAM.into(),
            store: Arc::clone(&tenant) as Arc<dyn Store>,
            events: self.events.0.clone(),
            tenancy: Some(tenant as Arc<dyn Tenancy>),
            every: self.config.store_every,
            clock: Arc::clone(&self.clock),
        };
        let commits = ShardCommits::new(context, &shard, never()).in_tenure(Some(epoch));
        let commits = Arc::new(commits);
        if let StartAt::Stored(position) = &start.at {
            commits.resumes(position);
        }
        self.all_commits.push(Arc::clone(&commits));
        let settings = self.config.shard_settings(false).in_fleet();
        let poller = Poller::new(STREAM.into(), start, settings, delay);
        let slots = Slots::new(self.user.is_none());
        let reader = Reader { epoch, commits, poller, slots, ending: None, is_stopped: false };
        self.readers.insert(shard.clone(), reader);
        self.poll(machine, &shard, epoch, Outcome::Waited);
    }

    fn reader(&mut self, shard: &str, epoch: u64) -> Option<&mut Reader> {
        self.readers.get_mut(shard).filter(|it| it.epoch == epoch && !it.is_stopped)
    }

    /// One step of a shard's thread.
    // long: one branch for each step.
    pub(super) fn poll(
        &mut self,
        machine: &mut Machine<'_>,
        shard: &str,
        epoch: u64,
        outcome: Outcome,
    ) {
        let (reads_aggregates, is_dispatching) = (self.reads_aggregates, self.user.is_none());
        let Some(reader) = self.reader(shard, epoch) else { return };
        let now = machine.now();
        let step = reader.poller.step(now.monotonic, &mut machine.world.rng, outcome);
        let (mut time, world) = (Duration::ZERO, &mut *machine.world);
        let outcome = match step {
            Step::Wait(wait) => {
                time = wait;
                Outcome::Waited
            }
            Step::GetIterator(at) => {
                let given = call(world, "GetShardIterator", |world| {
                    world.kinesis.get_shard_iterator(STREAM, shard, &at, &Call::unbounded())
                });
                Outcome::Iterator(given, UNIX_EPOCH + now.wall)
            }
            Step::GetRecords { token, limit } => {
                let answer = call(world, "GetRecords", |world| {
                    world.kinesis.get_records(&token, limit, &Call::unbounded())
                });
                let read = answer.map(|answer| match reads_aggregates {
                    true => aggregate::taken_apart(&reader.poller, answer),
                    false => Read::from(answer),
                });
                Outcome::Records { begun: now.monotonic, read }
            }
            Step::Describe => Outcome::Status(call(world, "DescribeStreamSummary", |world| {
                world.kinesis.describe_stream(STREAM, &Call::unbounded())
            })),
            Step::Store { to, how } => {
                let stored = reader.commits.begin(&to, how);
                if reader.commits.is_lost() {
                    return self.exit(shard, epoch);
                }
                Outcome::Stored(stored)
            }
            Step::Confirm => return self.say(Event::Claimed { shard: shard.into() }),
            Step::Deliver(delivery) => {
                return self.blocked.push((shard.into(), epoch, *delivery));
            }
            // Where the user takes the batches, nobody knows when they are handled.
            Step::End { ending, told: ChildrenStart::Handled } if is_dispatching => {
                reader.ending = Some(ending);
                return;
            }
            Step::End { ending, .. } => return self.end(shard, epoch, ending),
            Step::Fail(error) => {
                self.say(Event::Failed(error));
                return self.exit(shard, epoch);
            }
        };
        if time.is_zero() {
            time = latency(machine.world);
        }
        Self::plan(machine, time, Task::Poll(shard.into(), epoch, Box::new(outcome)));
    }

    /// Sends what can be sent.
    pub(super) fn unblock(&mut self, machine: &mut Machine<'_>) {
        for (shard, epoch, delivery) in std::mem::take(&mut self.blocked) {
            let has_place = self.queue.len() < self.config.capacity;
            let Some(reader) = self.reader(&shard, epoch) else { continue };
            match Some(&reader.slots).filter(|_| has_place).and_then(Slots::try_take) {
                None => self.blocked.push((shard, epoch, delivery)),
                Some(slot) => {
                    if delivery.through.is_end() {
                        reader.commits.ends_with(reader.poller.children());
                    }
                    let batch = Batch::new(&reader.commits, delivery, slot);
                    self.queue.push_back(batch);
                    let delivered = Box::new(Outcome::Delivered);
                    Self::plan(machine, Duration::ZERO, Task::Poll(shard, epoch, delivered));
                }
            }
        }
    }

    /// Shards whose thread waited for the last batch.
    pub(super) fn end_handled(&mut self) {
        let is_over = |reader: &mut Reader| {
            let is_over = reader.slots.are_free() && !reader.is_stopped;
            reader.ending.take_if(|_| is_over).map(|ending| (reader.epoch, ending))
        };
        let over = self.readers.iter_mut();
        let over = over.filter_map(|(shard, reader)| Some((shard.clone(), is_over(reader)?)));
        for (shard, (epoch, ending)) in over.collect::<Vec<_>>() {
            self.end(&shard, epoch, ending);
        }
    }

    fn end(&mut self, shard: &str, epoch: u64, ending: Ending) {
        if let Some(reader) = self.reader(shard, epoch) {
            reader.commits.reads(ShardState::Ended);
        }
        self.say(Event::Ended { shard: shard.into(), ending });
        self.exit(shard, epoch);
    }

    /// The thread of a tenure ends.
    pub(super) fn exit(&mut self, shard: &str, epoch: u64) {
        if self.readers.get(shard).is_none_or(|reader| reader.epoch != epoch) {
            return;
        }
        if let Some(reader) = self.readers.remove(shard) {
            reader.commits.leaves();
            self.say(Event::Exited { shard: shard.into() });
        }
    }

    /// What was sent is still handled and committed.
    pub(super) fn stop_shard(&mut self, machine: &mut Machine<'_>, shard: &str, epoch: u64) {
        let mut all = self.all_commits.iter();
        match all.find(|it| it.shard() == shard && it.epoch() == Some(epoch)) {
            Some(commits) => commits.drains(),
            None => self.say(Event::Drained { shard: shard.into(), epoch }),
        }
        self.interrupt(machine, shard);
    }

    /// Nothing more of a shard is handed over or stored.
    pub(super) fn give_up(&mut self, machine: &mut Machine<'_>, shard: &str, why: &StoreError) {
        machine.world.counts.fault("shard given up");
        // As the newest tenure that was started is the one that is lost.
        if let Some(commits) = self.all_commits.iter().rfind(|commits| commits.shard() == shard) {
            commits.give_up(why.clone());
        }
        self.interrupt(machine, shard);
    }

    /// The thread of a shard ends when the call returns that it makes.
    fn interrupt(&mut self, machine: &mut Machine<'_>, shard: &str) {
        let Some(reader) = self.readers.get_mut(shard).filter(|it| !it.is_stopped) else { return };
        reader.is_stopped = true;
        let epoch = reader.epoch;
        let time = latency(machine.world) * 3;
        Self::plan(machine, time, Task::Exit(shard.into(), epoch));
    }
}
