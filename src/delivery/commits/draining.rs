//! One tenure of a shard: what must be over before its lease is handed over or released.

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::core::event::Event;
use crate::delivery::commits::ShardCommits;
use crate::model::notice::ShardState;
use crate::sync::{self, Mutex};

/// A process of a fleet holds a shard from one start until the tenure is lost or has drained.
#[derive(Debug)]
pub(crate) struct Tenure {
    pub(crate) epoch: u64,
    /// Held across the lock of the shard's tracker, never the other way round.
    state: Mutex<State>,
    is_draining: AtomicBool,
    is_over: AtomicBool,
    /// Whether its handler stands still.
    is_hanging: AtomicBool,
}

/// What has come to its end with the last batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    /// The lease may be given back.
    Drained,
    /// Nothing is left of a tenure that was given up because its handler stood still.
    Emptied,
}

/// What holds the end up.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// The shard's thread has ended.
    pub(crate) has_left: bool,
    /// How many batches, or parts of one, are neither committed nor dropped.
    pub(crate) open: u64,
    /// It was told that nothing is left.
    is_emptied: bool,
}

impl Tenure {
    pub(crate) fn new(epoch: u64) -> Self {
        let [is_draining, is_over, is_hanging] = [const { AtomicBool::new(false) }; 3];
        Self { epoch, state: Mutex::default(), is_draining, is_over, is_hanging }
    }

    /// Changes what holds the end up. Returns what is over by that: each once.
    pub(crate) fn changes(
        &self,
        change: impl FnOnce(&mut State),
        is_stored: impl FnOnce() -> bool,
    ) -> Option<Over> {
        let mut state = self.state.lock();
        change(&mut state);
        if !state.has_left || state.open > 0 {
            return None;
        }
        // Its lease was given back already.
        if self.is_hanging.load(Ordering::Relaxed) {
            let was_told = std::mem::replace(&mut state.is_emptied, true);
            return (!was_told).then_some(Over::Emptied);
        }
        let is_over = self.is_draining() && !self.is_over() && is_stored();
        if is_over {
            self.is_over.store(true, Ordering::Relaxed);
        }
        is_over.then_some(Over::Drained)
    }

    /// The shard was stopped, and its lease is to be given back. `changes` must follow.
    pub(crate) fn drains(&self) {
        self.is_draining.store(true, Ordering::Relaxed);
    }

    fn is_draining(&self) -> bool {
        self.is_draining.load(Ordering::Relaxed)
    }

    /// Whether the tenure has drained: nothing may be stored any more.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }
}

impl ShardCommits {
    /// The shard was stopped: `Drained` is said when its thread has ended, and no batch is open or unstored.
    pub(crate) fn drains(&self) {
        self.tenure.iter().for_each(Tenure::drains);
        sync::point();
        self.settle(|_| {});
    }

    /// For how long nothing of the tenure was committed although something is read; `None` if it is over, or if there is
    /// none.
    pub(crate) fn standing(&self, now: Duration) -> Option<(u64, Duration)> {
        let epoch = self.epoch().filter(|_| !self.is_lost() && !self.is_drained())?;
        Some((epoch, self.uncommitted(now)))
    }

    /// The tenure is to be given up, because its handler stands still: `Emptied` is said when its thread has ended, and
    /// its last batch was dropped.
    pub(crate) fn hangs(&self) {
        self.tenure.iter().for_each(|it| it.is_hanging.store(true, Ordering::Relaxed));
        sync::point();
        self.settle(|_| {});
    }

    /// The shard's thread ends.
    pub(crate) fn leaves(&self) {
        self.status.leaves((self.clock)());
        sync::point();
        self.settle(|state| state.has_left = true);
    }

    /// A batch has become two.
    pub(crate) fn splits(&self) {
        self.settle(|state| state.open += 1);
    }

    /// A batch, or a part of one, was committed or dropped.
    pub(crate) fn concludes(&self) {
        // Drops of batches run it, which must not panic.
        self.settle(|state| state.open = state.open.saturating_sub(1));
    }

    /// Changes what holds the end of the tenure up, and tells if it is over by that.
    pub(super) fn settle(&self, change: impl FnOnce(&mut State)) {
        let Some(tenure) = &self.tenure else { return };
        let is_stored = || !self.is_lost() && self.tracker.lock().to_store().is_none();
        if let Some(over) = tenure.changes(change, is_stored) {
            let (shard, epoch) = (self.shard.to_string(), tenure.epoch);
            let event = match over {
                Over::Drained => Event::Drained { shard, epoch },
                Over::Emptied => Event::Emptied { shard, epoch },
            };
            // After the consumer's end all leases are released.
            let _ = sync::send(&self.events, event);
        }
    }

    /// What the shard does now.
    pub(crate) fn state(&self) -> ShardState {
        match self.status.state() {
            _ if self.is_lost() => ShardState::Lost,
            // What the handler has is handled, whatever becomes of the lease.
            state @ (ShardState::Handling | ShardState::Ended) => state,
            // The tenure may be over, which is no fence.
            _ if self.is_drained() => ShardState::Draining,
            _ if self.is_fenced() => ShardState::Fenced,
            _ if self.is_draining() => ShardState::Draining,
            state => state,
        }
    }

    /// Whether the shard's lease was given back.
    pub(crate) fn is_drained(&self) -> bool {
        self.tenure.as_ref().is_some_and(Tenure::is_over)
    }

    /// Whether no position may wait any more.
    pub(super) fn is_draining(&self) -> bool {
        self.tenure.as_ref().is_some_and(Tenure::is_draining)
    }
}
