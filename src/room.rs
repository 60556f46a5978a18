//! A shard's room for one answer.

use std::convert::Infallible;

use crossbeam_channel::Receiver;
use parking_lot::Mutex;

use crate::budget::{Budget, Reservation};
use crate::client::Answer;
use crate::error::client::{ClientError, ErrorClass};

/// What a shard reserves for an answer that it knows nothing of, in bytes.
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
    /// What the last answer took, or the one that had no room.
    needed: usize,
    /// What the last answer needed when it was taken apart. A call that reads the next one does not give it back before:
    /// somebody else would take it, and the call would have to be made again.
    apart: usize,
}

impl Room {
    pub(crate) fn new(budget: Budget) -> Self {
        budget.open();
        let state = State { reservation: None, needed: LEAST, apart: 0 };
        Self { budget, state: Mutex::new(state) }
    }

    /// Reserves what the last answer took, if there is as much and nobody waits: whether there was.
    pub(crate) fn try_enter(&self) -> bool {
        let needed = self.state.lock().needed;
        self.has_entered(self.budget.try_reserve(needed))
    }

    /// The same, and waits for it: `false` if `halted` was disconnected before.
    pub(crate) fn enter(&self, halted: &Receiver<Infallible>) -> bool {
        let needed = self.state.lock().needed;
        self.has_entered(self.budget.reserve(needed, halted))
    }

    fn has_entered(&self, reservation: Option<Reservation>) -> bool {
        let is_there = reservation.is_some();
        self.state.lock().reservation = reservation;
        is_there
    }

    /// Makes room for so many bytes in all, of which so many are in use then: whether there was as much, without waiting.
    pub(crate) fn try_reserve(&self, bytes: usize, used: usize) -> bool {
        let State { reservation, needed, apart } = &mut *self.state.lock();
        // Other calls have small answers.
        let Some(reservation) = reservation else { return true };
        *needed = bytes.max(*apart).max(LEAST);
        let is_there = reservation.try_resize(*needed);
        if is_there {
            reservation.fill(used);
        }
        is_there
    }

    /// From now on so much of what is reserved is in use.
    pub(crate) fn fill(&self, bytes: usize) {
        if let Some(reservation) = &mut self.state.lock().reservation {
            reservation.fill(bytes.min(reservation.bytes()));
        }
    }

    /// Makes room for an answer that is to be taken apart, where it needs so many bytes for that: whether there was as
    /// much, without waiting.
    #[cfg(feature = "kpl")]
    pub(crate) fn try_take_apart(&self, bytes: usize) -> bool {
        let State { reservation, needed, apart } = &mut *self.state.lock();
        *apart = bytes;
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

    /// After a call: the records hold what they take, and the rest is given back. `None` if the call is to be
    /// made again, with more room.
    pub(crate) fn leave(
        &self,
        answer: Result<Answer, ClientError>,
    ) -> Option<Result<Answer, ClientError>> {
        let (reservation, needed) = {
            let mut state = self.state.lock();
            (state.reservation.take().expect("a call has entered"), state.needed)
        };
        let limit = self.budget.limit();
        match answer {
            Ok(mut answer) => {
                let held = answer.records.memory();
                self.state.lock().needed = needed.max(held).min(limit);
                answer.records.hold(reservation);
                Some(Ok(answer))
            }
            Err(error) if error.class() == ErrorClass::OverBudget && needed > limit => {
                // A part of it may take much less: more would be waited for as long as anybody keeps anything.
                let mut state = self.state.lock();
                (state.needed, state.apart) = (LEAST, 0);
                Some(Err(too_large(error.operation(), needed, limit)))
            }
            // A client that does not say how much it needs would be asked for ever.
            Err(error)
                if error.class() == ErrorClass::OverBudget && needed > reservation.bytes() =>
            {
                None
            }
            Err(error) => Some(Err(error)),
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.budget.close();
    }
}

fn too_large(operation: &'static str, wanted: usize, limit: usize) -> ClientError {
    let mib = |bytes: usize| bytes.div_ceil(1 << 20);
    let message = format!(
        "an answer that takes {} MiB does not fit into the budget of {} MiB: raise Config::budget, or lower \
         Config::limit",
        mib(wanted),
        mib(limit),
    );
    ClientError::new(ErrorClass::TooLarge, operation, message)
}
