//! The tenures of one process of a fleet: which leases it was given, and what has become of them.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::core::event::{Action, StartAt, Word};
use crate::error::store::StoreError;

/// By the ids of their shards. Each tenure is closed by one word, `Drained` or `GivenUp`, unless it ends with its shard.
#[derive(Debug, Default)]
pub(crate) struct Tenures(BTreeMap<String, Held>);

/// What is known of a shard's tenures.
#[derive(Debug, Default)]
struct Held {
    /// The newest one that any event has told of. Events of earlier ones are late.
    newest: Option<u64>,
    /// The last one that got a thread, until it is over and the thread has exited.
    started: Option<Tenure>,
    /// The one that waits for its start.
    waiting: Option<Lease>,
}

/// A lease whose shard has not been started.
#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) epoch: u64,
    pub(crate) at: StartAt,
    /// When it was given.
    pub(crate) since: Duration,
}

/// A tenure with a thread, or with batches.
#[derive(Debug)]
struct Tenure {
    epoch: u64,
    stage: Stage,
    has_exited: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The shard is read, or was read to its end.
    Reading,
    /// `StopShard` was said.
    Stopping,
    /// Its lease was given back.
    Drained,
    /// Somebody else holds the lease, and `GiveUp` was said.
    Lost,
}

impl Tenure {
    fn lose(&mut self, shard: &str, why: StoreError, actions: &mut Vec<Action>) {
        if matches!(self.stage, Stage::Reading | Stage::Stopping) {
            self.stage = Stage::Lost;
            actions.push(Action::GiveUp { shard: shard.into(), why });
            if self.has_exited {
                actions.push(given_up(shard, self.epoch));
            }
        }
    }

    fn stop(&mut self, shard: &str, actions: &mut Vec<Action>) {
        if self.stage == Stage::Reading {
            self.stage = Stage::Stopping;
            actions.push(Action::StopShard { shard: shard.into(), epoch: self.epoch });
        }
    }

    fn is_over(&self) -> bool {
        self.has_exited && matches!(self.stage, Stage::Drained | Stage::Lost)
    }
}

impl Held {
    /// An event of this tenure came. Returns whether it is the first one: then the earlier tenures are over, and the word
    /// of it may still be on its way.
    fn hears(&mut self, shard: &str, epoch: u64, actions: &mut Vec<Action>) -> bool {
        if self.newest >= Some(epoch) {
            return false;
        }
        self.newest = Some(epoch);
        if let Some(former) = self.waiting.take() {
            actions.push(given_up(shard, former.epoch));
        }
        if let Some(started) = &mut self.started {
            let why = StoreError::lost("the lease was lost, and taken again");
            started.lose(shard, why, actions);
        }
        true
    }

    /// The tenure with a thread or batches, if it is this one.
    fn started(&mut self, epoch: u64) -> Option<&mut Tenure> {
        self.started.as_mut().filter(|tenure| tenure.epoch == epoch)
    }

    /// Whether more will happen than the end of its shard being stored.
    fn is_busy(&self) -> bool {
        let is_busy = |tenure: &Tenure| !tenure.has_exited || tenure.stage != Stage::Reading;
        self.waiting.is_some() || self.started.as_ref().is_some_and(is_busy)
    }
}

impl Tenures {
    /// A lease was given. Returns whether it waits for its start.
    pub(crate) fn leased(&mut self, shard: &str, lease: Lease, actions: &mut Vec<Action>) -> bool {
        let held = self.0.entry(shard.into()).or_default();
        let is_new = held.hears(shard, lease.epoch, actions);
        if is_new {
            held.waiting = Some(lease);
        }
        self.tidy(shard);
        is_new
    }

    /// A lease is wanted back. Returns whether its shard must be stopped for that.
    pub(crate) fn asked(&mut self, shard: &str, epoch: u64, actions: &mut Vec<Action>) -> bool {
        let held = self.0.entry(shard.into()).or_default();
        // If it is not known yet, its lease comes later, and is void then.
        let is_new = held.hears(shard, epoch, actions);
        if is_new || held.waiting.take_if(|lease| lease.epoch == epoch).is_some() {
            actions.push(drained(shard, epoch));
        }
        let said = actions.len();
        if let Some(tenure) = held.started(epoch) {
            tenure.stop(shard, actions);
        }
        let must_stop = actions.len() > said;
        self.tidy(shard);
        must_stop
    }

    /// Somebody else holds a lease.
    pub(crate) fn lost(
        &mut self,
        shard: &str,
        epoch: u64,
        why: StoreError,
        actions: &mut Vec<Action>,
    ) {
        let held = self.0.entry(shard.into()).or_default();
        let is_new = held.hears(shard, epoch, actions);
        if is_new || held.waiting.take_if(|lease| lease.epoch == epoch).is_some() {
            actions.push(given_up(shard, epoch));
        }
        if let Some(tenure) = held.started(epoch) {
            tenure.lose(shard, why, actions);
        }
        self.tidy(shard);
    }

    /// Nothing is left to do of a tenure whose shard was stopped.
    pub(crate) fn drained(&mut self, shard: &str, epoch: u64, actions: &mut Vec<Action>) {
        let tenure = self.0.get_mut(shard).and_then(|held| held.started(epoch));
        let Some(tenure) = tenure.filter(|tenure| tenure.stage == Stage::Stopping) else { return };
        tenure.stage = Stage::Drained;
        actions.push(drained(shard, epoch));
        self.tidy(shard);
    }

    /// The thread of a shard has exited.
    pub(crate) fn exited(&mut self, shard: &str, actions: &mut Vec<Action>) {
        let tenure = self.0.get_mut(shard).and_then(|held| held.started.as_mut());
        let Some(tenure) = tenure.filter(|tenure| !tenure.has_exited) else { return };
        tenure.has_exited = true;
        if tenure.stage == Stage::Lost {
            actions.push(given_up(shard, tenure.epoch));
        }
        self.tidy(shard);
    }

    /// The lease whose shard may be started, as far as its threads are concerned.
    pub(crate) fn ready(&self, shard: &str) -> Option<&Lease> {
        let held = self.0.get(shard).filter(|held| held.started.is_none())?;
        held.waiting.as_ref()
    }

    /// A shard that is ready is started.
    pub(crate) fn starts(&mut self, shard: &str) {
        let Some(held) = self.0.get_mut(shard) else { return };
        if let Some(Lease { epoch, .. }) = held.waiting.take() {
            held.started = Some(Tenure { epoch, stage: Stage::Reading, has_exited: false });
        }
    }

    /// No shard will be started any more.
    pub(crate) fn give_back(&mut self, actions: &mut Vec<Action>) {
        for (shard, held) in &mut self.0 {
            let given_back = held.waiting.take();
            actions.extend(given_back.map(|lease| drained(shard, lease.epoch)));
        }
    }

    /// No shard needs to be read any more.
    pub(crate) fn stop_all(&mut self, actions: &mut Vec<Action>) {
        for (shard, held) in &mut self.0 {
            if let Some(tenure) = held.started.as_mut().filter(|tenure| !tenure.has_exited) {
                tenure.stop(shard, actions);
            }
        }
    }

    /// The tenure with a thread or batches.
    pub(crate) fn current(&self, shard: &str) -> Option<u64> {
        self.0.get(shard)?.started.as_ref().map(|tenure| tenure.epoch)
    }

    /// The leases that wait for a start, with their shards.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = (&str, &Lease)> {
        self.0.iter().filter_map(|(shard, held)| Some((&**shard, held.waiting.as_ref()?)))
    }

    /// Whether a shard must stay known, also if it has left the listing.
    pub(crate) fn is_busy(&self, shard: &str) -> bool {
        self.0.get(shard).is_some_and(Held::is_busy)
    }

    /// Forgets shards that have left the stream.
    pub(crate) fn forget(&mut self, is_known: impl Fn(&str) -> bool) {
        self.0.retain(|shard, held| held.is_busy() || is_known(shard));
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    fn tidy(&mut self, shard: &str) {
        if let Some(held) = self.0.get_mut(shard) {
            held.started.take_if(|tenure| tenure.is_over());
        }
    }
}

fn drained(shard: &str, epoch: u64) -> Action {
    Action::Lease(Word::Drained { shard: shard.into(), epoch })
}

fn given_up(shard: &str, epoch: u64) -> Action {
    Action::Lease(Word::GivenUp { shard: shard.into(), epoch })
}
