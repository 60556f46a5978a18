//! What the coordinator hears, and what it wants done.

use std::time::Duration;

use super::{Consumer, Task};
use crate::client::Client;
use crate::control::call::Call;
use crate::core::event::{Action, Event};
use crate::core::shard::step::Outcome;
use crate::delivery::commits::flush_all;
use crate::error::Error;
use crate::error::client::ClientError;
use crate::error::store::StoreError;
use crate::model::listed::ShardPage;
use crate::simulation::faults::{call, latency};
use crate::simulation::machine::Machine;
use crate::simulation::oddities;
use crate::simulation::world::{STREAM, World};
use crate::store::Store;

impl Consumer {
    pub(super) fn tell(&mut self, machine: &mut Machine<'_>, event: Event) {
        if self.is_over() {
            return;
        }
        for action in self.coordinator.on(machine.now(), &mut machine.world.rng, event) {
            self.act(machine, action);
        }
        if let Some(wake) = self.coordinator.wake() {
            let after = wake.saturating_sub(machine.now());
            machine.plan(after, Task::Tell(Box::new(Event::Tick)));
        }
    }

    pub(super) fn act(&mut self, machine: &mut Machine<'_>, action: Action) {
        let event = match action {
            Action::Load => {
                let loaded = machine.world.store.shard_iterators(STREAM);
                if let Ok(positions) = &loaded {
                    machine
                        .world
                        .truth
                        .lock()
                        .loaded(positions, machine.world.scenario.config.on_gap.foreign);
                    if std::mem::take(&mut self.lists_first) {
                        skip_for_latest(machine.world);
                    }
                }
                Event::Loaded(loaded)
            }
            Action::List { page } => Event::Listed(self.list(machine, page.as_deref())),
            Action::Describe => {
                Event::Described(call(machine.world, "DescribeStreamSummary", |world| {
                    world.kinesis.describe_stream(STREAM, &Call::unbounded())
                }))
            }
            Action::Flush => {
                let flushed = Box::new(Event::Flushed(flush_all(&self.all_commits)));
                let time = machine.world.scenario.flush_time.mul_f64(machine.world.rng.f64());
                return machine.plan(time, Task::Tell(flushed));
            }
            Action::Start { start, delay, .. } => {
                self.has_started = true;
                return machine.plan(Duration::ZERO, Task::Begin(Box::new(start), delay));
            }
            Action::Confirm { shard, proof } => {
                let outcome = Box::new(Outcome::Confirmed(proof));
                return machine.plan(Duration::ZERO, Task::Poll(shard, outcome));
            }
            Action::StopShard { .. } | Action::Lease(_) => unreachable!("it reads alone"),
            Action::GiveUp { shard, why } => return self.give_up(machine, &shard, &why),
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
        let latency = latency(machine.world);
        machine.plan(latency, Task::Tell(Box::new(event)));
    }

    pub(super) fn list(
        &mut self,
        machine: &mut Machine<'_>,
        page: Option<&str>,
    ) -> Result<ShardPage, ClientError> {
        let listed = call(machine.world, "ListShards", |world| {
            world.kinesis.list_shards(STREAM, page, &Call::unbounded())
        });
        let listed = listed.map(|page| oddities::listed(machine.world, page, !self.has_started));
        if page.is_none() {
            self.listed.clear();
        }
        let shown = listed.iter().flat_map(|page| &page.shards);
        self.listed.extend(shown.map(|shard| shard.id().to_owned()));
        // An incomplete listing is repeated before anything is read.
        if listed.as_ref().is_ok_and(|page| page.next_token.is_none()) && !self.has_started {
            machine.world.truth.lock().lists(&self.listed);
            skip_for_latest(machine.world);
        }
        listed
    }

    /// Every shard's thread ends; queued batches stay unhandled.
    pub(super) fn halt(&mut self) {
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
    pub(super) fn cut(&mut self) {
        self.is_draining = false;
        self.queue.clear();
    }

    /// The shard's thread ends, and its batches are not handed over; the next life may own it again.
    pub(super) fn give_up(&mut self, machine: &mut Machine<'_>, shard: &str, why: &StoreError) {
        machine.world.counts.fault("shard lost");
        machine.world.truth.lock().gives_up(shard);
        for commits in self.all_commits.iter().filter(|commits| commits.shard() == shard) {
            commits.give_up(why.clone());
        }
        self.blocked.retain(|(blocked, _)| blocked != shard);
        if self.readers.contains_key(shard) {
            self.exit(shard);
        }
        let restart = Duration::from_millis(machine.world.rng.u64(0..20_000));
        machine.plan(restart, Task::Crash);
    }
}

/// The store was read and the stream listed: the shards that need not be read if all start at `Latest`.
fn skip_for_latest(world: &World) {
    world.truth.lock().skips_for_latest();
}
