//! The memory that answers may take, in all shards together.

#[cfg(feature = "kpl")]
use std::any::Any;
use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, select_biased};
use parking_lot::Mutex;

use crate::budget::pool::{Dropped, Pool};
use crate::budget::queue::{GrantQueue, Ticket};

/// How much memory answers may take: those that are being read, and those whose records are still in use.
///
/// One `GetRecords` takes the text of its answer and, beside it, the decoded records; then the records alone,
/// until the last of them is gone: the last [`Batch`](crate::Batch), [`Records`](crate::Records) or
/// [`Record::bytes`](crate::Record::bytes) of that answer. A shard reads only when there is room for what its
/// last answer took; so the records that you keep back hold up reading once they have used up the budget, and
/// a program that collects records before it is done with them needs a budget above what it collects. Batches that
/// wait for another attempt, by [`OnError`](crate::OnError), are among them: up to three answers of each shard that
/// fails, for as long as it fails.
///
/// Buffers are kept for the next answers: up to a quarter as much beside the budget, and more in the place of budget that
/// is not in use. What nobody has used for 10 s goes at the next call, down to that quarter; and all of it, when no
/// shard is read any more.
///
/// A clone shares the budget. See [`Config::budget`](crate::Config::budget).
#[derive(Clone)]
pub struct Budget(Arc<Mutex<State>>);

/// The part of the budget that may be kept beside it in buffers for the next answers: one in so many.
const SPARE: usize = 4;

struct State {
    queue: GrantQueue,
    /// Where those who wait get what they wait for.
    grants: HashMap<Ticket, Sender<Reservation>>,
    /// Not counted in the queue.
    pool: Pool,
    started: Instant,
}

/// A part of a budget, given back when it is dropped.
pub(crate) struct Reservation {
    budget: Budget,
    bytes: usize,
    /// How much of it is in use: in the place of the rest, buffers may be kept for the next answers.
    filled: usize,
}

/// Does not wait any more.
struct WithdrawOnDrop<'a>(&'a Budget, Ticket);

impl Budget {
    /// What a stream has that is given no budget: 64 MiB.
    pub const DEFAULT: usize = 64 << 20;

    /// The least there may be, 32 MiB: the largest record that Kinesis takes (10 MiB, a third more as base64)
    /// must fit, as text and decoded.
    pub const MIN: usize = 32 << 20;

    /// A budget of so many bytes, at least [`MIN`](Self::MIN): less is an error where a stream is made with
    /// it.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        let (queue, grants) = (GrantQueue::new(bytes), HashMap::new());
        let (pool, started) = (Pool::new(bytes, bytes / SPARE), Instant::now());
        Self(Arc::new(Mutex::new(State { queue, grants, pool, started })))
    }

    /// How many bytes it is.
    pub fn limit(&self) -> usize {
        self.0.lock().queue.limit()
    }

    /// How many bytes of it are in use. Never above the limit, unless a [`Client`](crate::Client) of your own
    /// does not [ask](crate::Call::try_reserve) for what it takes.
    pub fn used(&self) -> usize {
        self.0.lock().queue.used()
    }

    /// Takes so much, at most the limit, when it is this one's turn; `None` if `reading_stopped` was disconnected before.
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

    /// Takes so much, if it is there and nobody waits.
    pub(crate) fn try_reserve(&self, bytes: usize) -> Option<Reservation> {
        let is_taken = self.0.lock().queue.take(bytes);
        is_taken.then(|| Reservation::new(self, bytes))
    }

    /// Somebody reads answers until [`close`](Self::close).
    pub(crate) fn open(&self) {
        self.0.lock().pool.open();
    }

    /// When nobody reads answers any more, no buffer is kept.
    pub(crate) fn close(&self) {
        self.change_spares(|pool, _| pool.close());
    }

    /// A buffer for so much text of an answer, if one was kept that fits. Its length tells how much of it is initialized.
    pub(crate) fn take_text(&self, bytes: usize) -> Option<Vec<u8>> {
        self.0.lock().pool.take_text(bytes)
    }

    /// Keeps such a buffer for the next answer.
    pub(crate) fn keep_text(&self, text: Vec<u8>) {
        self.change_spares(|pool, now| pool.keep_text(text, now));
    }

    /// An arena for so much data, if one was kept that fits.
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
            change(&mut state.pool, state.started.elapsed())
        };
        drop(dropped); // without the lock
    }

    /// Hands out what has come back.
    fn grant(&self) {
        loop {
            let (grant, bytes) = {
                let mut state = self.0.lock();
                let Some((ticket, bytes)) = state.queue.next() else { return };
                (state.grants.remove(&ticket), bytes)
            };
            let reservation = Reservation::new(self, bytes);
            // Its channel has a place; if the other side has just given up, all comes back by the drop.
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

    /// From now on so much of it is in use.
    pub(crate) fn fill(&mut self, bytes: usize) {
        let before = std::mem::replace(&mut self.filled, bytes);
        if bytes != before {
            self.budget.change_spares(|pool, now| pool.set_in_use(bytes, before, now));
        }
    }

    /// Makes it at least so large, without waiting: whether there was room.
    pub(crate) fn try_enlarge(&mut self, to: usize) -> bool {
        let Some(more) = to.checked_sub(self.bytes) else { return true };
        let is_there = self.budget.0.lock().queue.take_more(more);
        if is_there {
            self.bytes = to;
        }
        is_there
    }

    /// Makes it exactly so large, without waiting: whether there was room. If not, it stays as it is.
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

    /// Splits off so much, or all.
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
