//! The dispatcher, which has one thread.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use super::{Ours, Task};
use crate::core::event::Event;
use crate::delivery::batch::Batch;
use crate::delivery::dispatch::{Callback, Dispatcher};
use crate::delivery::parked::Time;
use crate::model::position::Position;
use crate::simulation::fleet::machine::Machine;
use crate::simulation::fleet::oracle::{HandOver, Oracle};

impl Ours {
    /// Its next work, and its end.
    pub(super) fn dispatch(&mut self, machine: &mut Machine<'_>) {
        if self.user.is_some() {
            return self.receive(machine);
        }
        let may_handle = !self.is_stopping || self.is_draining;
        if self.batch.is_none() && self.is_dispatching && may_handle {
            self.batch = self.next_batch(machine);
            if self.batch.is_some() {
                let time = self.work_time(machine);
                Self::plan(machine, time, Task::Work);
            }
        }
        let has_more = self.is_draining && !(self.queue.is_empty() && self.parking.is_empty());
        if self.is_stopping && self.is_dispatching && self.batch.is_none() && !has_more {
            self.is_dispatching = false;
            self.say(Event::Dispatched);
        }
    }

    /// The handler of the batch before may take long.
    pub(super) fn work_time(&self, machine: &mut Machine<'_>) -> Duration {
        let world = &mut *machine.world;
        if world.is_stuck() && world.rng.u8(0..20) == 0 {
            world.counts.fault("handler stuck");
            return self.failover * 100;
        }
        let is_slow = world.is_rough() && world.rng.u8(0..60) == 0;
        let most = self.failover.mul_f64(if is_slow { 3.0 } else { 0.02 });
        most.mul_f64(world.rng.f64())
    }

    fn next_batch(&mut self, machine: &Machine<'_>) -> Option<Batch> {
        let now = machine.now().monotonic;
        if std::mem::take(&mut self.is_parkeds_turn) {
            if let Some(batch) = self.parking.take(now) {
                return Some(batch);
            }
        }
        while let Some(batch) = self.queue.pop_front() {
            self.is_parkeds_turn = true;
            let passed = self.parking.pass(batch);
            if passed.is_some() {
                return passed;
            }
        }
        self.parking.take(now)
    }

    /// The handler gets a batch.
    pub(super) fn work(&mut self, machine: &mut Machine<'_>) {
        let Some(batch) = self.batch.take() else { return };
        if self.user.is_some() {
            return self.lies(machine, batch);
        }
        let world = &mut *machine.world;
        let fails = world.is_rough() && world.rng.u8(0..100) == 0;
        let part = (world.rng.u8(0..8) == 0).then(|| world.rng.usize(1..=batch.len().max(1)));
        let (oracle, worker) = (Arc::clone(&world.oracle), machine.worker);
        let tenure = self.tenure(batch.commits().epoch().expect("it is read in a tenure"));
        let told = &mut self.told;
        let handler: Callback<'_> = Box::new(|batch| {
            oracle.lock().begins(&tenure, batch.shard());
            tell(&mut oracle.lock(), told, worker, &tenure, batch);
            let (shard, records) = (batch.shard(), positions(batch));
            let (first, rest) = records.split_at(part.unwrap_or(0).min(records.len()));
            oracle.lock().handled(shard, first);
            commit_first(batch, first.len());
            if fails {
                return Err("the handler fails".into());
            }
            oracle.lock().handled(shard, rest);
            Ok(())
        });
        let now = machine.now();
        let time = Time { now: now.monotonic, wall: UNIX_EPOCH + now.wall };
        let (parking, rng) = (&mut self.parking, &mut machine.world.rng);
        let attended = Dispatcher { handler, parking, rng, clock: &|| time }.attend(batch);
        machine.world.counts.faults_of("handler refused", u64::from(fails));
        machine.world.counts.faults_of("part committed", u64::from(part.is_some()));
        if let Some(due) = self.parking.due() {
            Self::plan(machine, due.saturating_sub(now.monotonic), Task::Due);
        }
        if let Err(error) = attended {
            self.is_draining = false;
            self.halt();
            self.tell(machine, Event::Failed(error));
        }
    }
}

/// Tells what of a batch is handed over for the first time in its tenure.
pub(super) fn tell(
    oracle: &mut Oracle,
    told: &mut BTreeMap<String, Position>,
    worker: usize,
    tenure: &str,
    batch: &Batch,
) {
    let (shard, records) = (batch.shard(), positions(batch));
    let place = records.partition_point(|it| Some(it) <= told.get(tenure));
    let new = &records[place..];
    if let Some(last) = new.last() {
        oracle.hands_over(&HandOver { worker, tenure, shard, records: new });
        told.insert(tenure.to_owned(), last.clone());
    }
}

/// Commits this many records of a batch, if it has them.
pub(super) fn commit_first(batch: &Batch, count: usize) {
    if let Some(record) = batch.records().iter().take(count).last() {
        // The consumer is told of a failure.
        let _ = batch.commit_through(&record);
    }
}

pub(super) fn positions(batch: &Batch) -> Vec<Position> {
    batch.records().iter().map(|record| record.position()).collect()
}
