//! The threads that read shards.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::never;

use super::{Consumer, Task};
use crate::client::Client;
use crate::control::call::Call;
use crate::core::event::{Ending, Event, Start};
use crate::core::settings::ChildrenStart;
use crate::core::shard::Poller;
use crate::core::shard::step::{Outcome, Read, Step};
use crate::delivery::batch::Batch;
use crate::delivery::commits::{CommitContext, ShardCommits};
use crate::delivery::in_flight::Slots;
use crate::error::client::ErrorClass;
use crate::model::position::IteratorType;
#[cfg(feature = "kpl")]
use crate::record::aggregate::Deaggregation;
use crate::record::answer::Answer;
use crate::simulation::aggregate;
use crate::simulation::faults::{call, get_records, latency};
use crate::simulation::machine::Machine;
use crate::simulation::oddities;
use crate::simulation::world::{STREAM, World};
use crate::store::Store;

/// The thread of one shard.
pub(super) struct Reader {
    pub(super) poller: Poller,
    pub(super) commits: Arc<ShardCommits>,
    pub(super) slots: Slots,
    /// Its thread has sent the last batch, and waits until the batch is handled.
    pub(super) ending: Option<Ending>,
}

impl Consumer {
    pub(super) fn start(&mut self, machine: &mut Machine<'_>, start: Start, delay: Duration) {
        let shard = start.shard.id().to_owned();
        if self.is_stopping {
            self.events.0.send(Event::Exited { shard }).unwrap();
            return;
        }
        machine.world.truth.lock().starts(&shard);
        let context = CommitContext {
            stream: STREAM.into(),
            store: Arc::clone(&machine.world.store) as Arc<dyn Store>,
            events: self.events.0.clone(),
            tenancy: None,
            every: machine.world.scenario.config.store_every,
            clock: machine.clock(),
        };
        let commits = Arc::new(ShardCommits::new(context, &shard, never()));
        let parents =
            self.all_commits.iter().filter(|it| start.shard.parents().contains(&it.shard().into()));
        commits.descends_from(parents.map(Arc::downgrade));
        self.all_commits.push(Arc::clone(&commits));
        let settings = machine.world.scenario.config.shard_settings(false);
        let poller = Poller::new(STREAM.into(), start, settings, delay);
        let slots = Slots::new(machine.world.scenario.threads == 0);
        self.readers.insert(shard.clone(), Reader { poller, commits, slots, ending: None });
        self.poll(machine, &shard, Outcome::Waited);
    }

    /// One step of a shard's thread.
    pub(super) fn poll(&mut self, machine: &mut Machine<'_>, shard: &str, outcome: Outcome) {
        let Some(reader) = self.readers.get_mut(shard) else { return };
        let step = reader.poller.step(machine.now(), &mut machine.world.rng, outcome);
        let outcome = match step {
            Step::Wait(time) => {
                return machine.plan(time, Task::Poll(shard.into(), Box::new(Outcome::Waited)));
            }
            Step::GetIterator(at) => {
                let given = call(machine.world, "GetShardIterator", |world| {
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
                Outcome::Iterator(given, oddities::wall(machine))
            }
            Step::GetRecords { token, limit } => {
                let answer = get_records(machine.world, shard, &token, limit);
                if let Ok(answer) = &answer {
                    let tells = !answer.records.is_empty() || answer.next.is_none();
                    machine.world.truth.lock().reads(shard, tells);
                }
                let read = answer.map(|answer| take_apart(machine.world, &reader.poller, answer));
                Outcome::Records { begun: machine.now(), read }
            }
            Step::Describe => {
                Outcome::Status(call(machine.world, "DescribeStreamSummary", |world| {
                    world.kinesis.describe_stream(STREAM, &Call::unbounded())
                }))
            }
            Step::Store { to, how } => {
                let stored = reader.commits.begin(&to, how);
                if reader.commits.is_lost() {
                    self.exit(shard);
                    return;
                }
                Outcome::Stored(stored)
            }
            Step::Confirm => return self.tell(machine, Event::Claimed { shard: shard.into() }),
            Step::Deliver(delivery) => return self.blocked.push((shard.into(), *delivery)),
            // Where the user takes the batches, nobody knows when they are handled.
            Step::End { ending, told: ChildrenStart::Handled } if self.is_dispatching => {
                reader.ending = Some(ending);
                return;
            }
            Step::End { ending, .. } => {
                self.exit(shard);
                return self.tell(machine, Event::Ended { shard: shard.into(), ending });
            }
            Step::Fail(error) => {
                self.exit(shard);
                return self.tell(machine, Event::Failed(error));
            }
        };
        let latency = latency(machine.world);
        machine.plan(latency, Task::Poll(shard.into(), Box::new(outcome)));
    }

    /// Sends what can be sent.
    pub(super) fn unblock(&mut self, machine: &mut Machine<'_>) {
        for (shard, delivery) in std::mem::take(&mut self.blocked) {
            let reader = &self.readers[&shard];
            let has_place = self.queue.len() < machine.world.scenario.config.capacity;
            match Some(&reader.slots).filter(|_| has_place).and_then(Slots::try_take) {
                None => self.blocked.push((shard, delivery)),
                Some(slot) => {
                    self.queue.push_back(Batch::new(&reader.commits, delivery, slot));
                    machine.plan(Duration::ZERO, Task::Poll(shard, Box::new(Outcome::Delivered)));
                }
            }
        }
    }

    /// Shards whose thread waited for the last batch.
    pub(super) fn end_handled(&mut self, machine: &mut Machine<'_>) {
        let is_over = |reader: &Reader| reader.ending.is_some() && reader.slots.are_free();
        let over = self.readers.iter().filter(|(_, reader)| is_over(reader));
        for shard in over.map(|(shard, _)| shard.clone()).collect::<Vec<_>>() {
            if let Some(ending) = self.exit(&shard).and_then(|reader| reader.ending) {
                machine.plan(Duration::ZERO, Task::Tell(Box::new(Event::Ended { shard, ending })));
            }
        }
    }

    pub(super) fn exit(&mut self, shard: &str) -> Option<Reader> {
        self.events.0.send(Event::Exited { shard: shard.into() }).unwrap();
        self.readers.remove(shard)
    }
}

/// The work of a reader on aggregates.
fn take_apart(world: &World, poller: &Poller, answer: Answer) -> Read {
    #[cfg(feature = "kpl")]
    if world.scenario.config.deaggregation == Deaggregation::Off {
        return Read::from(answer);
    }
    #[cfg(not(feature = "kpl"))]
    let _ = world;
    aggregate::taken_apart(poller, answer)
}
