//! The threads that handle batches, and the user's commits.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::{Consumer, Task};
use crate::core::event::Event;
use crate::delivery::batch::Batch;
use crate::delivery::dispatch::{Callback, Dispatcher};
use crate::delivery::on_error::OnError;
use crate::delivery::parked::Time;
use crate::simulation::machine::Machine;
use crate::simulation::truth::Truth;
use crate::simulation::world::World;

impl Consumer {
    /// The next work of a thread.
    pub(super) fn next_batch(&mut self, machine: &Machine<'_>) -> Option<Batch> {
        if std::mem::take(&mut self.is_parkeds_turn) {
            if let Some(batch) = self.parking.take(machine.now()) {
                return Some(batch);
            }
        }
        while let Some(batch) = self.queue.pop_front() {
            self.is_parkeds_turn = true;
            machine.world.truth.lock().delivered(&batch);
            let passed = self.parking.pass(batch);
            if passed.is_some() {
                return passed;
            }
        }
        self.parking.take(machine.now())
    }

    /// A thread has done its work.
    pub(super) fn work(&mut self, machine: &mut Machine<'_>, thread: usize) {
        let Some(batch) = self.threads[thread].take() else { return };
        if !self.is_dispatching {
            self.uncommitted.push(batch);
            let time = Duration::from_millis(machine.world.rng.u64(0..2000));
            return machine.plan(time, Task::Commit);
        }
        let fails = machine.world.is_chaotic
            && machine.world.rng.f64() < machine.world.scenario.handler_faults;
        let (truth, faults) = (Arc::clone(&machine.world.truth), Cell::new(0));
        let poison = machine.world.scenario.poison;
        let part = (machine.world.rng.u8(0..8) == 0)
            .then(|| machine.world.rng.usize(1..=batch.len().max(1)));
        machine.world.counts.faults_of("part committed", u64::from(part.is_some()));
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
        let time = Time { now: machine.now(), wall: machine.wall() };
        let (parking, rng) = (&mut self.parking, &mut machine.world.rng);
        let attended = Dispatcher { handler, parking, rng, clock: &|| time }.attend(batch);
        machine.world.counts.faults_of("handler refused", faults.get());
        if let Some(due) = self.parking.due() {
            machine.plan(due.saturating_sub(machine.now()), Task::Due);
        }
        if let Err(error) = attended {
            self.is_draining = false;
            self.halt();
            self.tell(machine, Event::Failed(error));
        }
    }

    /// The user commits a batch that it has handled.
    pub(super) fn commit_some(&mut self, machine: &mut Machine<'_>) {
        if self.uncommitted.is_empty() {
            return;
        }
        let batch =
            self.uncommitted.swap_remove(machine.world.rng.usize(0..self.uncommitted.len()));
        if machine.world.is_chaotic && machine.world.rng.u8(0..60) == 0 {
            machine.world.counts.fault("batch dropped uncommitted");
            // The shard's position stays before it until the next start.
            let restart = Duration::from_millis(machine.world.rng.u64(0..20_000));
            machine.plan(restart, Task::Crash);
            return;
        }
        if machine.world.rng.u8(0..6) == 0 && !batch.is_empty() {
            machine.world.counts.fault("part committed");
            let part = machine.world.rng.usize(1..=batch.len());
            commit_first(&machine.world.truth, &batch, part);
            let time = Duration::from_millis(machine.world.rng.u64(0..2000));
            self.uncommitted.push(batch);
            return machine.plan(time, Task::Commit);
        }
        machine.world.truth.lock().handled(&batch);
        // A failure is told to the coordinator.
        let _ = batch.commit();
    }
}

/// The seed's policy, with the judge as dead-letter callback.
pub(super) fn on_error(world: &World) -> OnError {
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
