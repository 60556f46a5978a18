//! What the consumer as a whole does next. Pure.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::client::{ClientError, StreamStatus};
use crate::config::Config;
use crate::error::Error;
use crate::flushing::Flushing;
use crate::lineage::{Lineage, Plan, Start};
use crate::listing::{Listing, Next};
use crate::outage::Outage;
use crate::position::Position;
use crate::retry::Retry;
use crate::shard::Shard;
use crate::step::Ending;
use crate::store::{StoreError, StoreErrorKind};
use crate::watchdog::Waiting;

/// First polls are spread over the interval, but no longer than this: a spread evens out load, which
/// ten seconds do as well as an hour.
const MAX_SPREAD: Duration = Duration::from_secs(10);
/// How long the children of an ended shard are looked for that nobody announced.
const CHILD_PATIENCE: Duration = Duration::from_secs(30);

/// Starts shards in the order of their lineage, has positions stored, and decides when all is over.
#[derive(Debug)]
pub(crate) struct Coordinator {
    plan: Plan,
    interval: Duration,
    store_patience: Duration,
    /// `None` until the store was read.
    lineage: Option<Lineage>,
    listing: Listing,
    /// A listing made before the start.
    listed: Option<Vec<Shard>>,
    /// Whether a listing is under way, or waits for its timer.
    is_listing: bool,
    /// Since when, and how often, children have been looked for.
    looking: Option<(Duration, Retry)>,
    load_retry: Retry,
    load_outage: Outage,
    flushing: Flushing,
    timers: Timers,
    running: BTreeSet<String>,
    has_started: bool,
    is_dispatching: bool,
    phase: Phase,
    result: Result<(), Error>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Reading,
    /// Every shard is read to its end; what was sent is still handled and stored.
    Ended,
    /// The user, or an error, stopped it.
    Stopped,
    Finished,
}

/// When something is due that no event will bring.
#[derive(Debug, Default)]
struct Timers {
    load: Option<Duration>,
    list: Option<Duration>,
}

/// What happened.
#[derive(Debug)]
pub(crate) enum Event {
    /// The consumer is started.
    Begun,
    /// The store was read.
    Loaded(Result<Vec<(String, Position)>, StoreError>),
    /// The stream was listed.
    Listed(Result<Vec<Shard>, ClientError>),
    /// The stream was described.
    Described(Result<StreamStatus, ClientError>),
    /// The last batch of a shard was sent.
    Ended { shard: String, ending: Ending },
    /// The thread of a shard has ended, for whatever reason.
    Exited { shard: String },
    /// The dispatcher has ended.
    Dispatched,
    /// A commit could not write its position, which waits in the shard's tracker.
    Unstored { shard: String, error: StoreError },
    /// A commit did not write its position, which may wait.
    Deferred,
    /// What waited in the trackers was written, or one of them failed.
    Flushed(Result<(), (String, StoreError)>),
    /// Something failed for good.
    Failed(Error),
    /// A thread panicked; the panic goes on in the caller when all has ended.
    Panicked,
    /// Reading was stopped by somebody else, who says how handling goes on.
    Stopped,
    /// The time that `wake` told has come.
    Tick,
}

/// What to do.
#[derive(Debug)]
pub(crate) enum Action {
    /// Read the store: `Loaded`.
    Load,
    /// List the stream: `Listed`.
    List,
    /// Describe the stream: `Described`.
    Describe,
    /// Read a shard, after a delay: `Ended` or `Failed`, then `Exited`.
    Start { start: Start, delay: Duration },
    /// Write what waits in the trackers: `Flushed`.
    Flush,
    /// No shard will start any more: when those that run have ended, so have the batches.
    Close,
    /// Stop every shard and the dispatcher.
    Halt,
    /// All is over.
    Finish(Result<(), Error>),
}

/// What an event is handled with.
struct Turn<'a> {
    now: Duration,
    rng: &'a mut fastrand::Rng,
    actions: Vec<Action>,
}

impl Coordinator {
    /// `listed` are the shards if they were listed before; `is_dispatching` says whether `Dispatched`
    /// will come.
    pub(crate) fn new(
        plan: Plan,
        config: &Config,
        listed: Option<Vec<Shard>>,
        is_dispatching: bool,
    ) -> Self {
        let listing = Listing::new(&plan.stream, config.start_patience, config.max_outage);
        let flushing = Flushing::new(&plan.stream, config);
        Self {
            plan,
            interval: config.interval,
            store_patience: config.store_patience,
            lineage: None,
            listing,
            listed,
            is_listing: false,
            looking: None,
            load_retry: Retry::default(),
            load_outage: Outage::default(),
            flushing,
            timers: Timers::default(),
            running: BTreeSet::new(),
            has_started: false,
            is_dispatching,
            phase: Phase::Reading,
            result: Ok(()),
        }
    }

    /// The shards that wait for their parents.
    pub(crate) fn waiting(&self) -> Waiting {
        self.lineage.as_ref().map(Lineage::waiting).unwrap_or_default()
    }

    /// When a `Tick` is due.
    pub(crate) fn wake(&self) -> Option<Duration> {
        let Timers { load, list } = self.timers;
        [load, list, self.flushing.wake()].into_iter().flatten().min()
    }

    /// What to do about an event. `now` counts from any fixed moment, and never falls.
    pub(crate) fn on(
        &mut self,
        now: Duration,
        rng: &mut fastrand::Rng,
        event: Event,
    ) -> Vec<Action> {
        let mut turn = Turn { now, rng, actions: Vec::new() };
        match event {
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
            Event::Ended { shard, ending } => self.ended(&mut turn, &shard, &ending),
            Event::Exited { shard } => {
                self.running.remove(&shard);
            }
            Event::Dispatched => self.is_dispatching = false,
            Event::Unstored { shard, error } => self.unstored(&mut turn, shard, error),
            Event::Deferred => self.flushing.deferred(now),
            Event::Flushed(outcome) => self.flushed(&mut turn, outcome),
            Event::Failed(error) => self.fail(&mut turn, error),
            Event::Panicked => self.halt(&mut turn),
            Event::Stopped => self.stop(&mut turn),
            Event::Tick => self.tick(&mut turn),
        }
        self.finish_if_over(&mut turn);
        turn.actions
    }

    fn loaded(&mut self, turn: &mut Turn, outcome: Result<Vec<(String, Position)>, StoreError>) {
        if self.phase != Phase::Reading {
            return;
        }
        match outcome {
            Ok(stored) => {
                self.load_retry.succeeded(turn.now);
                if let Some(tally) = self.load_outage.over(turn.now) {
                    log::warn!(
                        "stream {:?}: the positions were read, after {tally}",
                        self.plan.stream
                    );
                }
                self.lineage = Some(Lineage::new(self.plan.clone(), stored));
                match self.listed.take() {
                    Some(shards) => {
                        let next = self.listing.listed(turn.now, turn.rng, Ok(shards));
                        self.listing_went(turn, next);
                    }
                    None => self.list(turn),
                }
            }
            Err(error) => match self.load_wait(turn, &error) {
                Some(wait) => {
                    self.timers.load = Some(turn.now + wait);
                    let level = self.load_outage.failed(turn.now, "", ());
                    let stream = &self.plan.stream;
                    log::log!(level, "stream {stream:?}: the positions could not be read: {error}");
                }
                None => {
                    let stream = self.plan.stream.clone();
                    self.fail(turn, Error::Store { stream, shard: None, source: error });
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

    fn list(&mut self, turn: &mut Turn) {
        if !std::mem::replace(&mut self.is_listing, true) {
            turn.actions.push(Action::List);
        }
    }

    fn listing_went(&mut self, turn: &mut Turn, next: Next) {
        let (Some(lineage), Phase::Reading) = (&mut self.lineage, self.phase) else { return };
        match next {
            Next::Describe => turn.actions.push(Action::Describe),
            Next::Again(wait) => self.timers.list = Some(turn.now + wait),
            Next::Fail(error) => self.fail(turn, error),
            Next::Done(shards) => {
                self.is_listing = false;
                match lineage.listed(shards) {
                    Err(error) => self.fail(turn, error),
                    Ok(()) => {
                        self.look_on(turn);
                        self.advance(turn);
                    }
                }
            }
        }
    }

    /// A complete listing did not show all children: again later, or not at all.
    fn look_on(&mut self, turn: &mut Turn) {
        let Some(lineage) = self.lineage.as_mut().filter(|lineage| lineage.must_list()) else {
            self.looking = None;
            return;
        };
        let (since, retry) = self.looking.get_or_insert_with(|| (turn.now, Retry::default()));
        if turn.now.saturating_sub(*since) >= CHILD_PATIENCE {
            lineage.stop_looking();
        }
        let wait = retry.wait(turn.now, turn.rng, None);
        if let Some(wait) = wait.filter(|_| lineage.must_list()) {
            self.is_listing = true;
            self.timers.list = Some(turn.now + wait);
        }
    }

    fn ended(&mut self, turn: &mut Turn, shard: &str, ending: &Ending) {
        let (Some(lineage), Phase::Reading) = (&mut self.lineage, self.phase) else { return };
        match ending {
            Ending::Read(children) => lineage.ended(shard, children),
            Ending::Vanished => lineage.vanished(shard),
        }
        if let Some((since, _)) = &mut self.looking {
            *since = turn.now;
        }
        if lineage.must_list() {
            self.list(turn);
        }
        self.advance(turn);
    }

    /// Starts what may start.
    fn advance(&mut self, turn: &mut Turn) {
        let Some(lineage) = &mut self.lineage else { return };
        let starts = match lineage.ready() {
            Ok(starts) => starts,
            Err(error) => return self.fail(turn, error),
        };
        if lineage.is_done() {
            self.phase = Phase::Ended;
            turn.actions.push(Action::Close);
        }
        // Children go on where their parents ended, without a delay.
        let spread = if std::mem::replace(&mut self.has_started, true) {
            Duration::ZERO
        } else {
            self.interval.min(MAX_SPREAD)
        };
        let count = starts.len().max(1) as u32;
        for (place, start) in starts.into_iter().enumerate() {
            self.running.insert(start.shard.id().into());
            turn.actions.push(Action::Start { start, delay: spread * place as u32 / count });
        }
    }

    fn unstored(&mut self, turn: &mut Turn, shard: String, error: StoreError) {
        if let Err(error) = self.flushing.unstored(turn.now, turn.rng, shard, error) {
            self.fail(turn, error);
        }
    }

    fn flushed(&mut self, turn: &mut Turn, outcome: Result<(), (String, StoreError)>) {
        match self.flushing.flushed(turn.now, turn.rng, outcome) {
            Ok(true) => turn.actions.push(Action::Flush),
            Ok(false) => {}
            Err(error) => self.fail(turn, error),
        }
    }

    fn tick(&mut self, turn: &mut Turn) {
        let is_due = |timer: &mut Option<Duration>| timer.take_if(|at| *at <= turn.now).is_some();
        if is_due(&mut self.timers.load) {
            turn.actions.push(Action::Load);
        }
        if is_due(&mut self.timers.list) {
            turn.actions.push(Action::List);
        }
        if self.flushing.tick(turn.now) {
            turn.actions.push(Action::Flush);
        }
    }

    /// The first error is the one that is told.
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
            (self.timers.load, self.timers.list) = (None, None);
            turn.actions.push(Action::Close);
        }
    }

    fn finish_if_over(&mut self, turn: &mut Turn) {
        let is_quiet = self.running.is_empty() && !self.is_dispatching;
        let is_last = self.phase == Phase::Ended && is_quiet;
        if is_last && self.flushing.is_deferring() && self.flushing.begin() {
            turn.actions.push(Action::Flush);
        }
        let is_over = match self.phase {
            Phase::Ended => !self.flushing.is_storing(),
            // What could not be stored is tried once more when all has finished.
            Phase::Stopped => true,
            Phase::Reading | Phase::Finished => false,
        };
        if is_over && is_quiet {
            self.phase = Phase::Finished;
            let result = std::mem::replace(&mut self.result, Ok(()));
            turn.actions.push(Action::Finish(result));
        }
    }
}

#[cfg(test)]
#[path = "coordinator_tests.rs"]
mod tests;
