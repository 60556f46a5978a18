//! The memory that answers may take, in all shards together.

#[cfg(feature = "kpl")]
use std::any::Any;
use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::budget::pool::{Dropped, Pool};
use crate::budget::queue::{GrantQueue, Ticket};
use crate::sync::{self, Mutex, select_biased};

/// How much memory answers may take: those that are being read, and those whose records are still in use.
///
/// One `GetRecords` takes the text of its answer and the decoded records. After that only the records take memory,
/// until the last [`Batch`](crate::Batch), [`Records`](crate::Records) or
/// [`Record::bytes`](crate::Record::bytes) of that answer is dropped. A shard reads only when there is room for
/// what its last answer took while it was read. So records that you keep delay reading after they have used up the budget, and
/// a program that collects records needs a budget above the size of its collection. Batches that
/// wait for another attempt, by [`OnError`](crate::OnError), count too: up to three answers of each shard that
/// fails, for as long as it fails.
///
/// Buffers are kept for the next answers: up to a quarter of the budget in addition to it, and more in place of unused
/// budget. Buffers unused for 10 s are freed at the next call, down to that quarter. All are freed when reading ends.
///
/// A clone shares the budget. See [`Config::budget`](crate::Config::budget).
#[derive(Clone)]
pub struct Budget(Arc<Mutex<State>>);

/// The buffers for the next answers may take the budget divided by this, in addition to it.
const SPARE: usize = 4;

struct State {
    queue: GrantQueue,
    /// Each waiting call gets its reservation here.
    grants: HashMap<Ticket, Sender<Reservation>>,
    /// The queue does not count it.
    pool: Pool,
    started: Instant,
}

/// A part of a budget, given back when it is dropped.
pub(crate) struct Reservation {
    budget: Budget,
    bytes: usize,
    /// How much of it is in use: buffers for the next answers may take the place of the rest.
    filled: usize,
}

/// Stops waiting when it is dropped.
struct WithdrawOnDrop<'a>(&'a Budget, Ticket);

impl Budget {
    /// The budget of a stream if none is set: 64 MiB.
    pub const DEFAULT: usize = 64 << 20;

    /// The smallest budget allowed, 32 MiB: the largest record of Kinesis (10 MiB, a third more as base64)
    /// must fit, as text and decoded.
    pub const MIN: usize = 32 << 20;

    /// A budget of this many bytes, at least [`MIN`](Self::MIN): a stream refuses a smaller one with an
    /// error.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        let (queue, grants) = (GrantQueue::new(bytes), HashMap::new());
        let (pool, started) = (Pool::new(bytes, bytes / SPARE), sync::now());
        Self(Arc::new(Mutex::new(State { queue, grants, pool, started })))
    }

    /// Its size in bytes.
    pub fn limit(&self) -> usize {
        self.0.lock().queue.limit()
    }

    /// How many bytes of it are in use. Never above the limit, unless a [`Client`](crate::Client) of your own
    /// does not [reserve](crate::Call::try_reserve) the memory that it takes.
    pub fn used(&self) -> usize {
        self.0.lock().queue.used()
    }

    /// Takes `bytes`, at most the limit, in the order of the queue; `None` if `reading_stopped` was disconnected first.
    pub(crate) fn reserve(
        &self,
        bytes: usize,
        reading_stopped: &Receiver<Infallible>,
    ) -> Option<Reservation> {
        let (grant, granted) = bounded(1);
        let ticket = {
            let mut state = self.0.lock();
            if state.queue.take(bytes) {
                return Some(Reservation::new(self, bytes));
            }
            let ticket = state.queue.queue(bytes);
            state.grants.insert(ticket, grant);
            ticket
        };
        let _withdraw = WithdrawOnDrop(self, ticket);
        select_biased! {
            recv(reading_stopped) -> _ => None,
            recv(granted) -> reservation => reservation.ok(),
        }
    }

    /// Takes `bytes`, if they are free and no call waits.
    pub(crate) fn try_reserve(&self, bytes: usize) -> Option<Reservation> {
        let is_taken = self.0.lock().queue.take(bytes);
        is_taken.then(|| Reservation::new(self, bytes))
    }

    /// A reader uses buffers until [`close`](Self::close).
    pub(crate) fn open(&self) {
        self.0.lock().pool.open();
    }

    /// After the last reader has closed, no buffer is kept.
    pub(crate) fn close(&self) {
        self.change_spares(|pool, _| pool.close());
    }

    /// A kept buffer for this much text of an answer, if one fits. Its length says how much of it is initialized.
    pub(crate) fn take_text(&self, bytes: usize) -> Option<Vec<u8>> {
        self.0.lock().pool.take_text(bytes)
    }

    /// Keeps such a buffer for the next answer.
    pub(crate) fn keep_text(&self, text: Vec<u8>) {
        self.change_spares(|pool, now| pool.keep_text(text, now));
    }

    /// A kept arena for this much data, if one fits.
    pub(crate) fn take_arena(&self, bytes: usize) -> Option<Vec<u8>> {
        self.0.lock().pool.take_arena(bytes)
    }

    /// Keeps an arena for the next answer.
    pub(crate) fn keep_arena(&self, arena: Vec<u8>) {
        self.change_spares(|pool, now| pool.keep_arena(arena, now));
    }

    /// Takes a kept index of about `bytes` bytes, if there is one.
    #[cfg(feature = "kpl")]
    pub(crate) fn take_index(&self, bytes: usize) -> Option<Box<dyn Any + Send>> {
        self.0.lock().pool.take_index(bytes)
    }

    /// Keeps an index of `bytes` bytes for the next answer.
    #[cfg(feature = "kpl")]
    pub(crate) fn keep_index(&self, index: Box<dyn Any + Send>, bytes: usize) {
        self.change_spares(|pool, now| pool.keep_index(index, bytes, now));
    }

    fn change_spares(&self, change: impl FnOnce(&mut Pool, Duration) -> Dropped) {
        let dropped = {
            let state = &mut *self.0.lock();
            change(&mut state.pool, sync::since(state.started))
        };
        drop(dropped); // without the lock
    }

    /// Grants the bytes that have come back.
    fn grant(&self) {
        loop {
            let (grant, bytes) = {
                let mut state = self.0.lock();
                let Some((ticket, bytes)) = state.queue.next() else { return };
                (state.grants.remove(&ticket), bytes)
            };
            let reservation = Reservation::new(self, bytes);
            sync::point();
            // Its channel has a place; if the other side has just given up, the drop gives all back.
            let _ = grant.map(|grant| grant.try_send(reservation));
        }
    }
}

impl Reservation {
    fn new(budget: &Budget, bytes: usize) -> Self {
        Self { budget: budget.clone(), bytes, filled: 0 }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// From now on this much of it is in use.
    pub(crate) fn fill(&mut self, bytes: usize) {
        let before = std::mem::replace(&mut self.filled, bytes);
        if bytes != before {
            self.budget.change_spares(|pool, now| pool.set_in_use(bytes, before, now));
        }
    }

    /// Makes it at least this large, without waiting. Returns whether there was room.
    pub(crate) fn try_enlarge(&mut self, to: usize) -> bool {
        let Some(more) = to.checked_sub(self.bytes) else { return true };
        let is_there = self.budget.0.lock().queue.take_more(more);
        if is_there {
            self.bytes = to;
        }
        is_there
    }

    /// Makes it exactly this large, without waiting. Returns whether there was room; if not, it keeps its size.
    pub(crate) fn try_resize(&mut self, to: usize) -> bool {
        drop(self.split(self.bytes.saturating_sub(to)));
        self.try_enlarge(to)
    }

    /// Makes it as large as this, all of which is in use, whether there is room or not.
    pub(crate) fn resize(&mut self, to: usize) {
        match to.checked_sub(self.bytes) {
            Some(more) => self.budget.0.lock().queue.overdraw(more),
            None => drop(self.split(self.bytes - to)),
        }
        self.bytes = to;
        self.fill(to);
    }

    /// Splits off `bytes`, or all.
    pub(crate) fn split(&mut self, bytes: usize) -> Self {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        self.fill(self.filled.min(self.bytes));
        Self::new(&self.budget, bytes)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.fill(0);
        if self.bytes > 0 {
            self.budget.0.lock().queue.give_back(self.bytes);
            self.budget.grant();
        }
    }
}

impl Drop for WithdrawOnDrop<'_> {
    fn drop(&mut self) {
        let mut state = self.0.0.lock();
        if state.grants.remove(&self.1).is_some() {
            state.queue.withdraw(self.1);
            drop(state);
            self.0.grant();
        }
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget").field("limit", &self.limit()).field("used", &self.used()).finish()
    }
}

impl fmt::Debug for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reservation").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

pub(crate) mod buffer;
pub(crate) mod pool;
pub(crate) mod queue;
pub(crate) mod room;
#[cfg(test)]
mod tests;
