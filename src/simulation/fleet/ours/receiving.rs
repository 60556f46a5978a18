//! A user who takes the batches from a receiver, and commits them when he likes.

use std::sync::Arc;
use std::time::Duration;

use super::handling::{commit_first, positions, tell};
use super::{Ours, Task, WorldTask};
use crate::delivery::batch::Batch;
use crate::error::Error;
use crate::error::store::StoreErrorKind;
use crate::simulation::fleet::machine::Machine;
use crate::simulation::plan::pick;

/// What a user does with batches.
pub(super) struct User {
    /// Whether they are committed in the order in which they came.
    is_orderly: bool,
    /// For how long a batch lies at him, and how many do, at most.
    time: Duration,
    most: usize,
    /// Handled, and not committed.
    lying: Vec<Batch>,
    /// A batch was dropped uncommitted: its shard stays where it was.
    has_dropped: bool,
}

impl User {
    pub(super) fn drawn(failover: Duration, rng: &mut fastrand::Rng) -> Self {
        Self {
            is_orderly: rng.bool(),
            time: failover.mul_f64(pick(rng, &[0.01, 0.3, 2.0])),
            most: pick(rng, &[1, 4, 100]),
            lying: Vec::new(),
            has_dropped: false,
        }
    }
}

impl Ours {
    /// The user takes the next batch, if he has room.
    pub(super) fn receive(&mut self, machine: &mut Machine<'_>) {
        let has_room = self.user.as_ref().is_some_and(|user| user.lying.len() < user.most);
        if self.batch.is_none() && has_room {
            self.batch = self.queue.pop_front();
            if self.batch.is_some() {
                let time = self.work_time(machine);
                Self::plan(machine, time, Task::Work);
            }
        }
    }

    /// The user has handled a batch, also one of a shard that is lost; he commits it later.
    pub(super) fn lies(&mut self, machine: &mut Machine<'_>, batch: Batch) {
        let tenure = self.tenure(batch.commits().epoch().expect("it is read in a tenure"));
        let mut oracle = machine.world.oracle.lock();
        if batch.is_current() {
            oracle.begins(&tenure, batch.shard());
        }
        tell(&mut oracle, &mut self.told, machine.worker, &tenure, &batch);
        oracle.handled(batch.shard(), &positions(&batch));
        drop(oracle);
        let Some(user) = &mut self.user else { return };
        user.lying.push(batch);
        let time = user.time.mul_f64(machine.world.rng.f64());
        Self::plan(machine, time, Task::Commit);
    }

    /// The user commits one of the batches that lie at him, or a part of it, or drops it.
    pub(super) fn commit_some(&mut self, machine: &mut Machine<'_>) {
        let world = &mut *machine.world;
        let Some(user) = self.user.as_mut().filter(|user| !user.lying.is_empty()) else { return };
        let place = if user.is_orderly { 0 } else { world.rng.usize(0..user.lying.len()) };
        if world.is_rough() && world.rng.u8(0..60) == 0 {
            world.counts.fault("batch dropped uncommitted");
            user.has_dropped = true;
            drop(user.lying.remove(place));
            let restart = self.failover.mul_f64(2.0 * world.rng.f64());
            let worker = machine.worker;
            let end = if world.rng.bool() { WorldTask::Crash } else { WorldTask::Stop };
            return machine.plan(restart, end(worker));
        }
        if world.rng.u8(0..6) == 0 && !user.lying[place].is_empty() {
            world.counts.fault("part committed");
            let batch = &user.lying[place];
            commit_first(batch, world.rng.usize(1..=batch.len()));
            let time = user.time.mul_f64(world.rng.f64());
            return Self::plan(machine, time, Task::Commit);
        }
        let batch = user.lying.remove(place);
        let is_in_order = user.is_orderly && !user.has_dropped;
        self.commit(machine, &batch, is_in_order);
    }

    /// Whoever is told that a commit is done can rely on it, and whoever has lost the shard is told so.
    fn commit(&self, machine: &mut Machine<'_>, batch: &Batch, is_in_order: bool) {
        let oracle = Arc::clone(&machine.world.oracle);
        let is_lost = batch.commits().is_lost() || batch.commits().is_drained();
        let committed = batch.commit();
        let says_lost = matches!(
            &committed,
            Err(Error::Store { source, .. }) if source.kind() == StoreErrorKind::Lost
        );
        let plan = &machine.world.plan;
        assert!(says_lost || !is_lost, "a late commit says {committed:?} in {plan:?}");
        let is_at_once = self.config.store_every.is_none() && is_in_order;
        if committed.is_ok() && is_at_once && !plan.is_meddled_with {
            let last = positions(batch).pop().filter(|_| !batch.ends_shard());
            let to = last.as_ref().unwrap_or(batch.position());
            let is_stored = oracle.lock().is_stored(batch.shard(), to);
            assert!(is_stored, "{to} of {} is not stored in {plan:?}", batch.shard());
        }
        let what = if says_lost { "late commit refused" } else { "batch committed later" };
        machine.world.counts.fault(what);
    }
}
