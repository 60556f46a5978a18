//! What the coordinator hears, and what it wants done.

use std::time::Duration;

use super::{Ours, Task};
use crate::client::Client;
use crate::control::call::Call;
use crate::core::event::{Action, Event};
use crate::core::fleet::steward::words::News;
use crate::core::shard::step::Outcome;
use crate::delivery::commits::flush_all;
use crate::error::Error;
use crate::error::client::{ClientError, ErrorClass};
use crate::error::lease_table::{LeaseTableError, LeaseTableErrorKind};
use crate::model::item::Item;
use crate::simulation::fleet::machine::Machine;
use crate::simulation::fleet::world::{STREAM, World};

impl Ours {
    pub(super) fn tell(&mut self, machine: &mut Machine<'_>, event: Event) {
        if self.result.is_some() {
            return;
        }
        let now = machine.now().monotonic;
        for action in self.coordinator.on(now, &mut machine.world.rng, event) {
            self.act(machine, action);
        }
        let wake = self.coordinator.wake();
        if let Some(wake) = wake.filter(|wake| self.tick.sets(*wake)) {
            Self::plan(machine, wake.saturating_sub(now), Task::Tick(wake));
        }
    }

    // long: one branch for each action.
    fn act(&mut self, machine: &mut Machine<'_>, action: Action) {
        let event = match action {
            Action::Load => unreachable!("it reads no positions"),
            Action::List { page } => Event::Listed(call(machine.world, "ListShards", |world| {
                world.kinesis.list_shards(STREAM, page.as_deref(), &Call::unbounded())
            })),
            Action::Describe => {
                Event::Described(call(machine.world, "DescribeStreamSummary", |world| {
                    world.kinesis.describe_stream(STREAM, &Call::unbounded())
                }))
            }
            Action::Flush => {
                self.all_commits.retain(|commits| !commits.is_settled());
                let flushed = Event::Flushed(flush_all(&self.all_commits));
                let time = self.failover.mul_f64(0.3 * machine.world.rng.f64());
                return Self::plan(machine, time, Task::Tell(Box::new(flushed)));
            }
            Action::Start { start, delay, epoch } => {
                let epoch = epoch.expect("every start has a tenure");
                return self.start(machine, start, delay, epoch);
            }
            Action::Confirm { shard, proof } => {
                let Some(epoch) = self.readers.get(&shard).map(|reader| reader.epoch) else {
                    return;
                };
                let outcome = Box::new(Outcome::Confirmed(proof));
                return Self::plan(machine, Duration::ZERO, Task::Poll(shard, epoch, outcome));
            }
            Action::StopShard { shard, epoch } => return self.stop_shard(machine, &shard, epoch),
            Action::GiveUp { shard, why } => return self.give_up(machine, &shard, &why),
            Action::Lease(word) => return self.keeper.hears(word),
            Action::Close => return,
            Action::Halt => return self.halt(),
            Action::Finish(result) => return self.finish(machine, result),
        };
        let time = latency(machine.world);
        Self::plan(machine, time, Task::Tell(Box::new(event)));
    }

    fn finish(&mut self, machine: &Machine<'_>, result: Result<(), Error>) {
        let flushed = flush_all(&self.all_commits);
        let flushed =
            flushed.map_err(|(shard, source)| Error::of_store(STREAM, Some(&shard), source));
        self.result = Some(result.and(flushed));
        self.keeper.steward().lock().end(machine.now());
    }

    /// Every shard's thread ends; queued batches stay unhandled, unless they are drained.
    pub(super) fn halt(&mut self) {
        self.is_stopping = true;
        for (shard, reader) in std::mem::take(&mut self.readers) {
            reader.commits.leaves();
            self.say(Event::Exited { shard });
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

    pub(super) fn say(&self, event: Event) {
        self.events.0.send(event).expect("the other end is in the same place");
    }

    /// The steward says something.
    pub(super) fn hears(&mut self, machine: &mut Machine<'_>, news: News) {
        let event = news.event(STREAM);
        let what = match news {
            News::Leased { .. } | News::ListingWanted | News::Completed | News::Failed(_) => None,
            News::Asked { by, .. } => Some(by.map_or("stopped", |_| "lease asked for")),
            News::Lost { shard, epoch, why } => {
                let tenure = self.tenure(epoch);
                machine.world.oracle.lock().loses(&shard, &tenure, &why.to_string());
                Some("lease lost")
            }
            News::Outage { .. } => Some("table outage told"),
            News::Answers { .. } => Some("end of an outage told"),
            News::Protocol { .. } => Some("version told"),
            News::Beside(refusal) => panic!("all have the same time, but {refusal:?}"),
            News::Gained { .. } => Some("lease gained"),
            News::Left { to, .. } => Some(to.map_or("lease released", |_| "lease handed over")),
            News::Fenced { .. } => Some("fenced"),
            News::Unfenced { .. } => Some("unfenced"),
        };
        what.iter().for_each(|what| machine.world.counts.fault(what));
        if let Some(event) = event {
            self.tell(machine, event);
        }
    }
}

/// A call of the stream, which may fail instead.
pub(super) fn call<T>(
    world: &mut World,
    operation: &'static str,
    act: impl FnOnce(&mut World) -> Result<T, ClientError>,
) -> Result<T, ClientError> {
    if world.is_rough() && world.rng.u8(0..50) == 0 {
        world.counts.fault("stream call failed");
        return Err(ClientError::new(ErrorClass::Transient, operation, "picked by the seed"));
    }
    act(world)
}

/// How long such a call takes.
pub(super) fn latency(world: &mut World) -> Duration {
    let is_slow = world.is_rough() && world.rng.u8(0..200) == 0;
    let most = world.plan.failover.mul_f64(if is_slow { 3.0 } else { 0.02 });
    most.mul_f64(world.rng.f64())
}

/// What the table of the versions says, which is that nobody has a later one; or the call fails.
pub(super) fn coordinator(world: &mut World) -> Result<Option<Item>, LeaseTableError> {
    if world.is_rough() && world.rng.u8(0..5) == 0 {
        world.counts.fault("coordinator call failed");
        return Err(LeaseTableError::new(LeaseTableErrorKind::Transient, "picked by the seed"));
    }
    Ok(None)
}
