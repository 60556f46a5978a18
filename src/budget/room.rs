//! A shard's room for one answer.

use std::convert::Infallible;

use crossbeam_channel::Receiver;

use crate::budget::{Budget, Reservation};
use crate::sync::Mutex;

/// The bytes that a shard reserves for its first answer.
const LEAST: usize = 256 << 10;

/// The part of the budget that a shard's calls use, one after the other.
#[derive(Debug)]
pub(crate) struct Room {
    budget: Budget,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// While a call is in progress.
    reservation: Option<Reservation>,
    /// The bytes of the last answer, or of an answer that had no room.
    needed: usize,
    /// The bytes that the last answer needed when it was taken apart. The next call does not give them back earlier:
    /// another shard would take them, and the call would have to be made again.
    aggregate_bytes: usize,
}

impl Room {
    pub(crate) fn new(budget: Budget) -> Self {
        budget.open();
        let state = State { reservation: None, needed: LEAST, aggregate_bytes: 0 };
        Self { budget, state: Mutex::new(state) }
    }

    /// Reserves what the last answer took, if it is free and nobody waits. Returns whether it did.
    pub(crate) fn try_enter(&self) -> bool {
        let needed = self.state.lock().needed;
        self.has_entered(self.budget.try_reserve(needed))
    }

    /// The same, and waits for it: `false` if `reading_stopped` was disconnected first.
    pub(crate) fn enter(&self, reading_stopped: &Receiver<Infallible>) -> bool {
        let needed = self.state.lock().needed;
        self.has_entered(self.budget.reserve(needed, reading_stopped))
    }

    fn has_entered(&self, reservation: Option<Reservation>) -> bool {
        let is_there = reservation.is_some();
        self.state.lock().reservation = reservation;
        is_there
    }

    /// Makes room for `bytes` in all, of which `used` are in use then, without waiting. Returns whether there was room.
    pub(crate) fn try_reserve(&self, bytes: usize, used: usize) -> bool {
        let State { reservation, needed, aggregate_bytes } = &mut *self.state.lock();
        // Other calls have small answers.
        let Some(reservation) = reservation else { return true };
        *needed = bytes.max(*aggregate_bytes).max(LEAST);
        let is_there = reservation.try_resize(*needed);
        if is_there {
            reservation.fill(used);
        }
        is_there
    }

    /// From now on this many of the reserved bytes are in use.
    pub(crate) fn fill(&self, bytes: usize) {
        if let Some(reservation) = &mut self.state.lock().reservation {
            reservation.fill(bytes.min(reservation.bytes()));
        }
    }

    /// Makes room for an answer that will be taken apart and needs `bytes` for that, without waiting. Returns whether
    /// there was room.
    #[cfg(feature = "kpl")]
    pub(crate) fn try_take_apart(&self, bytes: usize) -> bool {
        let State { reservation, needed, aggregate_bytes } = &mut *self.state.lock();
        *aggregate_bytes = bytes;
        let Some(reservation) = reservation else { return true };
        *needed = bytes.max(*needed);
        let is_there = reservation.try_enlarge(*needed);
        if is_there && bytes > 0 {
            reservation.fill(bytes);
        }
        is_there
    }

    pub(crate) fn budget(&self) -> &Budget {
        &self.budget
    }

    /// After a call: its reservation, and the bytes that it needs, or would have needed.
    pub(crate) fn leave(&self) -> (Reservation, usize) {
        let mut state = self.state.lock();
        (state.reservation.take().expect("a call has entered"), state.needed)
    }

    /// The next call needs as much as this one, whose answer takes `bytes`.
    pub(crate) fn held(&self, bytes: usize) {
        let needed = &mut self.state.lock().needed;
        *needed = bytes.max(*needed).min(self.budget.limit());
    }

    /// The next call asks for as little as the first: a part of a too large answer may take much less, and a call that
    /// asks for more would wait as long as other records are kept.
    pub(crate) fn begin_anew(&self) {
        let mut state = self.state.lock();
        (state.needed, state.aggregate_bytes) = (LEAST, 0);
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.budget.close();
    }
}
