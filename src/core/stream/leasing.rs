//! A process of a fleet: it reads the shards whose leases it was given, and hands its listings to the steward.

#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::core::event::{Action, Ending, Event, Proof, Start, StartAt, Word};
use crate::core::settings::Plan;
use crate::core::stream::missing::{Look, PATIENCE};
use crate::core::stream::shown::Shown;
use crate::core::stream::start::resumed;
use crate::core::stream::tenures::{Lease, Tenures};
use crate::core::stream::{Coordinator, Phase, Round, Turn};
use crate::error::Error;
use crate::error::store::StoreError;
use crate::model::shard::Shard;

/// What the coordinator of a process of a fleet knows, instead of a lineage.
#[derive(Debug)]
pub(crate) struct Leasing {
    plan: Plan,
    shown: Shown,
    tenures: Tenures,
}

impl Leasing {
    pub(crate) fn new(plan: Plan) -> Self {
        let shown = Shown::new(plan.stream.clone());
        Self { plan, shown, tenures: Tenures::default() }
    }

    pub(crate) fn listing_begins(&mut self) {
        self.shown.listing_begins();
    }

    /// What the last listing proves about a shard.
    pub(crate) fn proof(&self, shard: &str) -> Proof {
        self.shown.proof(shard)
    }

    fn listed(&mut self, shards: &[Shard]) -> Result<(), Error> {
        let Self { shown, tenures, .. } = self;
        shown.listed(shards, |shard| tenures.is_busy(shard))?;
        tenures.forget(|shard| shown.get(shard).is_some());
        Ok(())
    }

    /// When the stream must be listed again, after a listing.
    pub(crate) fn look(&self, now: Duration) -> Option<Look> {
        if self.shown.is_in_doubt() {
            return Some(Look::Soon);
        }
        let unknown = self.tenures.waiting().filter(|(shard, _)| self.shown.get(shard).is_none());
        // A row may be left of a shard that has left the stream: the steward decides what becomes of it.
        let newest = unknown.map(|(_, lease)| lease.since).max()?;
        let is_old = now.saturating_sub(newest) >= PATIENCE;
        Some(if is_old { Look::Rarely } else { Look::Soon })
    }

    /// Whether a lease waits for a listing.
    fn must_list(&self, shard: &str) -> bool {
        let is_known = self.shown.get(shard).is_some() && !self.shown.is_in_doubt();
        !is_known && self.tenures.ready(shard).is_some()
    }

    /// Starts a shard if its lease waits, its last thread has exited, and a listing shows it.
    fn start(&mut self, id: &str, actions: &mut Vec<Action>) -> Result<bool, Error> {
        let shard = self.shown.get(id).filter(|_| !self.shown.is_in_doubt());
        let (Some(lease), Some(shard)) = (self.tenures.ready(id), shard) else { return Ok(false) };
        let (shard, epoch) = (shard.clone(), lease.epoch);
        let start = match &lease.at {
            StartAt::Stored(position) => resumed(&self.plan, shard, position)?,
            at => Some(Start { shard, at: at.clone(), gap: None }),
        };
        let Some(start) = start else {
            // Its end is stored: nothing is left to do.
            self.tenures.asked(id, epoch, actions);
            return Ok(false);
        };
        self.tenures.starts(id);
        // Leases are taken one after the other, which spreads the first polls.
        let delay = Duration::ZERO;
        actions.push(Action::Start { start, delay, epoch: Some(epoch) });
        Ok(true)
    }
}

/// In a fleet. Alone these do nothing.
impl Coordinator {
    pub(super) fn begin_in_fleet(&mut self, turn: &mut Turn) {
        // A listing from before the start may be old, and the steward compares it with the table.
        if self.listed.take().is_some() {
            self.listing.succeed();
        }
        self.list(turn);
    }

    // long: one branch for each event.
    pub(super) fn on_lease(&mut self, turn: &mut Turn, event: Event) {
        let Some(Leasing { tenures, .. }) = &mut self.leasing else { return };
        let (is_reading, actions) = (self.phase == Phase::Reading, &mut turn.actions);
        match event {
            Event::Leased { shard, at, epoch } if is_reading => {
                let lease = Lease { epoch, at, since: turn.now };
                if tenures.leased(&shard, lease, actions) {
                    self.start_in_fleet(turn, &shard);
                    self.list_for_lease(turn, &shard);
                }
            }
            // The steward did not know yet that it would not be started.
            Event::Leased { shard, epoch, .. } => {
                tenures.asked(&shard, epoch, actions);
            }
            Event::Asked { shard, epoch } => {
                let must_stop = tenures.asked(&shard, epoch, actions);
                // After the stop: until then a commit may leave its position for later.
                let must_write = must_stop && self.writes.hurry();
                actions.extend(must_write.then_some(Action::Flush));
            }
            Event::LeaseLost { shard, epoch, why } => {
                tenures.lost(&shard, epoch, why, actions);
            }
            Event::Drained { shard, epoch } => tenures.drained(&shard, epoch, actions),
            Event::Emptied { shard, epoch } => {
                actions.push(Action::Lease(Word::Emptied { shard, epoch }));
            }
            Event::ListingWanted if is_reading => self.list_soon(turn),
            Event::Completed if is_reading => {
                (self.phase, self.round) = (Phase::Ended, Round::Idle);
                tenures.give_back(actions);
                tenures.stop_all(actions);
                actions.push(Action::Close);
            }
            _ => {}
        }
    }

    /// A store has said that somebody else holds the lease of a shard.
    pub(super) fn lose_in_fleet(&mut self, turn: &mut Turn, shard: String, why: StoreError) {
        let tenures = self.leasing.as_ref().map(|leasing| &leasing.tenures);
        if let Some(epoch) = tenures.and_then(|tenures| tenures.current(&shard)) {
            self.on_lease(turn, Event::LeaseLost { shard, epoch, why });
        }
    }

    fn list_for_lease(&mut self, turn: &mut Turn, shard: &str) {
        let must_list = self.leasing.as_ref().is_some_and(|leasing| leasing.must_list(shard));
        if must_list && self.phase == Phase::Reading {
            self.list(turn);
        }
    }

    /// The steward may want a listing after each listing.
    fn list_soon(&mut self, turn: &mut Turn) {
        if matches!(self.round, Round::Idle | Round::Rare(_)) {
            let wait = self.looking.wait(turn.now, turn.rng, None).unwrap_or_default();
            self.round = Round::Due(turn.now + wait);
        }
    }

    fn start_in_fleet(&mut self, turn: &mut Turn, shard: &str) {
        let Some(leasing) = self.leasing.as_mut().filter(|_| self.phase == Phase::Reading) else {
            return;
        };
        match leasing.start(shard, &mut turn.actions) {
            Ok(true) => {
                self.running.insert(shard.into());
            }
            Ok(false) => {}
            Err(error) => self.fail(turn, error),
        }
    }

    /// A complete listing.
    pub(super) fn listed_in_fleet(&mut self, turn: &mut Turn, shards: Vec<Shard>) {
        let Some(leasing) = &mut self.leasing else { return };
        if let Err(error) = leasing.listed(&shards) {
            return self.fail(turn, error);
        }
        turn.actions.push(Action::Lease(Word::Listed(shards)));
        let waiting = self.leasing.iter().flat_map(|leasing| leasing.tenures.waiting());
        for shard in waiting.map(|(shard, _)| shard.to_owned()).collect::<Vec<_>>() {
            self.start_in_fleet(turn, &shard);
        }
        self.look_on(turn);
    }

    pub(super) fn ended_in_fleet(&mut self, turn: &mut Turn, shard: &str, ending: &Ending) {
        let Some(leasing) = self.leasing.as_mut().filter(|_| self.phase == Phase::Reading) else {
            return;
        };
        let must_list = match ending {
            Ending::Read(children) => leasing.shown.ended(shard, children),
            Ending::Vanished => {
                leasing.shown.vanished(shard);
                true
            }
        };
        if must_list {
            self.list(turn);
        }
    }

    pub(super) fn exited_in_fleet(&mut self, turn: &mut Turn, shard: &str) {
        let Some(leasing) = &mut self.leasing else { return };
        self.claims.withdraw(shard);
        leasing.tenures.exited(shard, &mut turn.actions);
        self.start_in_fleet(turn, shard);
    }

    pub(super) fn stop_in_fleet(&mut self, turn: &mut Turn) {
        let Some(leasing) = &mut self.leasing else { return };
        turn.actions.push(Action::Lease(Word::Stopping));
        leasing.tenures.give_back(&mut turn.actions);
    }
}
