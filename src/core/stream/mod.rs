//! Decides what the consumer as a whole does next.

pub(crate) mod claims;
pub(crate) mod hangs;
pub(crate) mod leasing;
pub(crate) mod lineage;
pub(crate) mod listing;
pub(crate) mod missing;
pub(crate) mod pages;
mod rounds;
pub(crate) mod shown;
pub(crate) mod stalls;
pub(crate) mod start;
pub(crate) mod tenures;
#[cfg(test)]
mod tests;
pub(crate) mod tree;
pub(crate) mod writes;

use std::collections::BTreeSet;
use std::time::Duration;

use crate::core::event::{Action, Ending, Event};
use crate::core::outage::Outage;
use crate::core::retry::Retry;
use crate::core::settings::{Plan, StreamSettings};
use crate::core::stream::claims::Claims;
use crate::core::stream::leasing::Leasing;
use crate::core::stream::lineage::{Lineage, WaitingNews};
use crate::core::stream::listing::Listing;
use crate::core::stream::stalls::Waiting;
use crate::core::stream::writes::Writes;
use crate::error::Error;
use crate::error::store::{StoreError, StoreErrorKind};
use crate::model::position::Position;
use crate::model::shard::Shard;

/// First polls are spread over the interval, but no longer than this: ten seconds even out the load as well as an hour.
const MAX_SPREAD: Duration = Duration::from_secs(10);
/// How often the stream is listed for shards that many listings have not shown.
const RARELY: Duration = Duration::from_secs(60);

/// Starts shards in the order of their lineage, or as their leases are given, requests writes of positions, and decides
/// when the run ends.
#[derive(Debug)]
pub(crate) struct Coordinator {
    plan: Plan,
    interval: Duration,
    store_patience: Duration,
    /// `None` until the store was read, and in a fleet.
    lineage: Option<Lineage>,
    /// In a fleet.
    leasing: Option<Leasing>,
    listing: Listing,
    /// A listing made before the start.
    listed: Option<Vec<Shard>>,
    round: Round,
    /// How often in a row a listing lacked a shard that must exist.
    looking: Retry,
    claims: Claims,
    load_retry: Retry,
    load_outage: Outage,
    writes: Writes,
    /// When the store is read again.
    load_at: Option<Duration>,
    running: BTreeSet<String>,
    has_started: bool,
    is_dispatching: bool,
    phase: Phase,
    result: Result<(), Error>,
    /// The first shard that was lost: the others are read on, and it comes out at the end.
    lost: Option<Error>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Reading,
    /// Every shard is read to its end; batches that were sent are still handled and stored.
    Ended,
    /// The user, or an error, stopped it.
    Stopped,
    Finished,
}

/// The state of the listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Round {
    Idle,
    UnderWay,
    /// It is due at this time, and not earlier.
    Due(Duration),
    /// It is due at this time, or when there is a reason.
    Rare(Duration),
}

/// The context of one event.
struct Turn<'a> {
    now: Duration,
    rng: &'a mut fastrand::Rng,
    actions: Vec<Action>,
}

impl Coordinator {
    /// `listed` are the shards if they were listed before; `is_dispatching` says whether `Dispatched`
    /// will come.
    // long: one line for each field.
    pub(crate) fn new(
        plan: Plan,
        settings: &StreamSettings,
        listed: Option<Vec<Shard>>,
        is_dispatching: bool,
    ) -> Self {
        let listing = Listing::new(&plan.stream, settings.start_patience, settings.max_outage);
        let writes = Writes::new(&plan.stream, settings);
        let leasing = settings.is_fleet.then(|| Leasing::new(plan.clone()));
        Self {
            plan,
            interval: settings.interval,
            store_patience: settings.store_patience,
            lineage: None,
            leasing,
            listing,
            listed,
            round: Round::Idle,
            looking: Retry::default(),
            claims: Claims::default(),
            load_retry: Retry::default(),
            load_outage: Outage::default(),
            writes,
            load_at: None,
            running: BTreeSet::new(),
            has_started: false,
            is_dispatching,
            phase: Phase::Reading,
            result: Ok(()),
            lost: None,
        }
    }

    /// The shards that wait for their parents.
    pub(crate) fn waiting(&self) -> Waiting {
        self.lineage.as_ref().map(Lineage::waiting).unwrap_or_default()
    }

    /// The shards that started or stopped waiting since the last call.
    pub(crate) fn take_news(&mut self) -> WaitingNews {
        self.lineage.as_mut().map(Lineage::take_news).unwrap_or_default()
    }

    /// When a `Tick` is due.
    pub(crate) fn wake(&self) -> Option<Duration> {
        let list_at = match self.round {
            Round::Due(at) | Round::Rare(at) => Some(at),
            Round::Idle | Round::UnderWay => None,
        };
        [self.load_at, list_at, self.writes.wake()].into_iter().flatten().min()
    }

    /// What to do about an event. `now` counts from any fixed moment, and never falls.
    // long: one branch for each event.
    pub(crate) fn on(
        &mut self,
        now: Duration,
        rng: &mut fastrand::Rng,
        event: Event,
    ) -> Vec<Action> {
        let mut turn = Turn { now, rng, actions: Vec::new() };
        match event {
            Event::Begun if self.leasing.is_some() => self.begin_in_fleet(&mut turn),
            Event::Begun => turn.actions.push(Action::Load),
            Event::Loaded(outcome) => self.loaded(&mut turn, outcome),
            Event::Listed(outcome) => {
                let next = self.listing.listed(now, turn.rng, outcome);
                self.listing_went(&mut turn, next);
            }
            Event::Described(outcome) => {
                let next = self.listing.described(now, turn.rng, outcome);
                self.listing_went(&mut turn, next);
            }
            Event::Claimed { shard } => {
                self.claims.add(shard);
                self.list_for_claims(&mut turn);
            }
            Event::Ended { shard, ending } => self.ended(&mut turn, &shard, &ending),
            Event::Exited { shard } => {
                self.running.remove(&shard);
                self.exited_in_fleet(&mut turn, &shard);
            }
            Event::Dispatched => self.is_dispatching = false,
            Event::Unstored { shard, error } => self.unstored(&mut turn, shard, error),
            Event::Deferred => self.writes.deferred(now),
            Event::Flushed(outcome) => self.flushed(&mut turn, outcome),
            Event::Leased { .. }
            | Event::Asked { .. }
            | Event::LeaseLost { .. }
            | Event::Drained { .. }
            | Event::Emptied { .. }
            | Event::ListingWanted
            | Event::Completed => self.on_lease(&mut turn, event),
            Event::Failed(error) => self.fail(&mut turn, error),
            Event::Panicked => self.halt(&mut turn),
            Event::Stopped => self.stop(&mut turn),
            Event::Tick => self.tick(&mut turn),
        }
        self.finish_if_over(&mut turn);
        turn.actions
    }

    /// Whether listings can be taken in.
    fn is_loaded(&self) -> bool {
        self.lineage.is_some() || self.leasing.is_some()
    }

    // long: one branch for each outcome of the store.
    fn loaded(&mut self, turn: &mut Turn, outcome: Result<Vec<(String, Position)>, StoreError>) {
        if self.phase != Phase::Reading {
            return;
        }
        match outcome {
            Ok(stored) => {
                self.load_retry.succeeded(turn.now);
                if let Some(tally) = self.load_outage.over(turn.now) {
                    log::warn!(
                        "stream {:?}: the positions were read after {tally}",
                        self.plan.stream
                    );
                }
                self.lineage = Some(Lineage::new(self.plan.clone(), stored));
                match self.listed.take() {
                    Some(shards) => {
                        self.listing.succeed();
                        self.take_in(turn, shards);
                    }
                    None => self.list(turn),
                }
            }
            Err(error) => match self.load_wait(turn, &error) {
                Some(wait) => {
                    self.load_at = Some(turn.now + wait);
                    let level = self.load_outage.failed(turn.now, "", ());
                    let stream = &self.plan.stream;
                    log::log!(
                        level,
                        "stream {stream:?}: the positions could not be read: {error:#}"
                    );
                }
                None => {
                    self.fail(turn, Error::of_store(&self.plan.stream, None, error));
                }
            },
        }
    }

    fn load_wait(&mut self, turn: &mut Turn, error: &StoreError) -> Option<Duration> {
        match error.kind() {
            StoreErrorKind::Lost | StoreErrorKind::Fatal => None,
            StoreErrorKind::Retry => {
                self.load_retry.wait(turn.now, turn.rng, Some(self.store_patience))
            }
        }
    }

    fn ended(&mut self, turn: &mut Turn, shard: &str, ending: &Ending) {
        if self.leasing.is_some() {
            return self.ended_in_fleet(turn, shard, ending);
        }
        let (Some(lineage), Phase::Reading) = (&mut self.lineage, self.phase) else { return };
        match ending {
            Ending::Read(children) => lineage.ended(turn.now, shard, children),
            Ending::Vanished => lineage.vanished(turn.now, shard),
        }
        self.advance(turn);
        let must_list = self.lineage.as_ref().is_some_and(Lineage::must_list);
        if must_list && self.phase == Phase::Reading {
            self.list(turn);
        }
    }

    /// Starts the shards that may start.
    fn advance(&mut self, turn: &mut Turn) {
        let Some(lineage) = &mut self.lineage else { return };
        let starts = match lineage.ready(turn.now) {
            Ok(starts) => starts,
            Err(error) => return self.fail(turn, error),
        };
        if lineage.is_done() {
            (self.phase, self.round) = (Phase::Ended, Round::Idle);
            turn.actions.push(Action::Close);
        }
        // Children continue after their parents without a delay.
        let spread = if std::mem::replace(&mut self.has_started, true) {
            Duration::ZERO
        } else {
            self.interval.min(MAX_SPREAD)
        };
        let count = starts.len().max(1) as u32;
        for (place, start) in starts.into_iter().enumerate() {
            self.running.insert(start.shard.id().into());
            let delay = spread * place as u32 / count;
            turn.actions.push(Action::Start { start, delay, epoch: None });
        }
    }

    fn unstored(&mut self, turn: &mut Turn, shard: String, error: StoreError) {
        if error.kind() == StoreErrorKind::Lost {
            return match self.leasing {
                Some(_) => self.lose_in_fleet(turn, shard, error),
                None => self.lose(turn, &shard, &error),
            };
        }
        if let Err(error) = self.writes.unstored(turn.now, turn.rng, shard, error) {
            self.fail(turn, error);
        }
    }

    /// Somebody else owns a shard now.
    fn lose(&mut self, turn: &mut Turn, shard: &str, why: &StoreError) {
        let stream = &self.plan.stream;
        log::warn!("stream {stream:?}, shard {shard:?}: it is given up: {why:#}");
        self.lost.get_or_insert_with(|| Error::of_store(stream, Some(shard), why.clone()));
        let lost = self.lineage.as_mut().map(|lineage| lineage.lost(shard)).unwrap_or_default();
        let give_up = |shard| Action::GiveUp { shard, why: why.clone() };
        turn.actions.extend(lost.into_iter().map(give_up));
        if self.phase == Phase::Reading {
            self.advance(turn);
        }
    }

    fn flushed(&mut self, turn: &mut Turn, outcome: Result<(), (String, StoreError)>) {
        // A lost shard is told of by itself: `Unstored`.
        let outcome = match outcome {
            Err((_, error)) if error.kind() == StoreErrorKind::Lost => Ok(()),
            outcome => outcome,
        };
        match self.writes.flushed(turn.now, turn.rng, outcome) {
            Ok(true) => turn.actions.push(Action::Flush),
            Ok(false) => {}
            Err(error) => self.fail(turn, error),
        }
    }

    fn tick(&mut self, turn: &mut Turn) {
        if self.load_at.take_if(|at| *at <= turn.now).is_some() {
            turn.actions.push(Action::Load);
        }
        if matches!(self.round, Round::Due(at) | Round::Rare(at) if at <= turn.now) {
            self.list_on(turn);
        }
        if self.writes.tick(turn.now) {
            turn.actions.push(Action::Flush);
        }
    }

    /// Only the first error is returned.
    fn fail(&mut self, turn: &mut Turn, error: Error) {
        if self.result.is_ok() {
            self.result = Err(error);
        }
        self.halt(turn);
    }

    fn halt(&mut self, turn: &mut Turn) {
        turn.actions.push(Action::Halt);
        self.stop(turn);
    }

    fn stop(&mut self, turn: &mut Turn) {
        if matches!(self.phase, Phase::Reading | Phase::Ended) {
            self.phase = Phase::Stopped;
            (self.load_at, self.round) = (None, Round::Idle);
            self.stop_in_fleet(turn);
            turn.actions.push(Action::Close);
        }
    }

    fn finish_if_over(&mut self, turn: &mut Turn) {
        let is_quiet = self.running.is_empty() && !self.is_dispatching;
        let is_last = self.phase == Phase::Ended && is_quiet;
        if is_last && self.writes.is_deferring() && self.writes.begin() {
            turn.actions.push(Action::Flush);
        }
        let is_over = match self.phase {
            Phase::Ended => !self.writes.is_storing(),
            // Failed writes are retried once more at the end of the run.
            Phase::Stopped => true,
            Phase::Reading | Phase::Finished => false,
        };
        if is_over && is_quiet {
            self.phase = Phase::Finished;
            let result = std::mem::replace(&mut self.result, Ok(()));
            turn.actions.push(Action::Finish(result.and(self.lost.take().map_or(Ok(()), Err))));
        }
    }
}
