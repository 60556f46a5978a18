//! The memory that answers may take, in all shards together.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded, select_biased};
use parking_lot::Mutex;

use crate::account::{Account, Ticket};
use crate::buffer::Buffer;

/// How much memory answers may take: those that are being read, and those whose records are still in use.
///
/// One `GetRecords` takes the text of its answer and, beside it, the decoded records; then the records alone,
/// until the last of them is gone: the last [`Batch`](crate::Batch), [`Records`](crate::Records) or
/// [`Record::bytes`](crate::Record::bytes) of that answer. A shard reads only when there is room for what its
/// last answer took; so the records that you keep back hold up reading once they have used up the budget, and
/// a program that collects records before it is done with them needs a budget above what it collects.
///
/// A clone shares the budget. See [`Config::budget`](crate::Config::budget).
#[derive(Clone)]
pub struct Budget(Arc<Mutex<State>>);

/// How many buffers are kept for the next answers: about as many as are read at a time.
const SPARES: usize = 8;

struct State {
    account: Account,
    /// Where those who wait get what they wait for.
    grants: HashMap<Ticket, Sender<Reservation>>,
    /// What they take is in use, until somebody else wants it.
    spares: VecDeque<Buffer>,
}

/// A part of a budget, given back when it is dropped.
pub(crate) struct Reservation {
    budget: Budget,
    bytes: usize,
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
        let (account, grants, spares) = (Account::new(bytes), HashMap::new(), VecDeque::new());
        Self(Arc::new(Mutex::new(State { account, grants, spares })))
    }

    /// How many bytes it is.
    pub fn limit(&self) -> usize {
        self.0.lock().account.limit()
    }

    /// How many bytes of it are in use, with buffers that are kept for the next answer. Never above the limit,
    /// unless a [`Client`](crate::Client) of your own does not ask for what it takes.
    pub fn used(&self) -> usize {
        self.0.lock().account.used()
    }

    /// Takes so much, at most the limit, when it is this one's turn; `None` if `halted` was disconnected before.
    pub(crate) fn reserve(
        &self,
        bytes: usize,
        halted: &Receiver<Infallible>,
    ) -> Option<Reservation> {
        let (grant, granted) = bounded(1);
        let (ticket, spares) = {
            let mut state = self.0.lock();
            if state.account.take(bytes) {
                return Some(Reservation { budget: self.clone(), bytes });
            }
            let spares = state.take_spares();
            let ticket = state.account.queue(bytes);
            state.grants.insert(ticket, grant);
            (ticket, spares)
        };
        drop(spares);
        let _withdraw = WithdrawOnDrop(self, ticket);
        self.grant();
        select_biased! {
            recv(halted) -> _ => None,
            recv(granted) -> reservation => reservation.ok(),
        }
    }

    /// Takes so much, if it is there and nobody waits.
    pub(crate) fn try_reserve(&self, bytes: usize) -> Option<Reservation> {
        let is_taken = self.0.lock().account.take(bytes);
        is_taken.then(|| Reservation { budget: self.clone(), bytes })
    }

    /// A buffer that was kept, or a new one, with what it takes.
    pub(crate) fn take_buffer(&self) -> (Buffer, Reservation) {
        let buffer = self.0.lock().spares.pop_front().unwrap_or_default();
        let bytes = buffer.capacity();
        (buffer, Reservation { budget: self.clone(), bytes })
    }

    /// Keeps a buffer for later, with its share of `from`, unless somebody waits.
    pub(crate) fn keep_buffer(&self, buffer: Buffer, from: &mut Reservation) {
        let mut reserved = from.split(buffer.capacity());
        if reserved.bytes < buffer.capacity() {
            return; // it is more than was asked for
        }
        let mut state = self.0.lock();
        if state.spares.len() < SPARES && !state.account.is_wanted() {
            state.spares.push_back(buffer);
            reserved.bytes = 0;
        }
        // Or else what is dropped would be so under the lock.
        drop(state);
    }

    /// Hands out what has come back.
    fn grant(&self) {
        loop {
            let (grant, bytes) = {
                let mut state = self.0.lock();
                let Some((ticket, bytes)) = state.account.next() else { return };
                (state.grants.remove(&ticket), bytes)
            };
            let reservation = Reservation { budget: self.clone(), bytes };
            // Its channel has a place; if the other side has just given up, all comes back by the drop.
            let _ = grant.map(|grant| grant.try_send(reservation));
        }
    }
}

impl State {
    /// All buffers that were kept, which are not in use any more.
    fn take_spares(&mut self) -> VecDeque<Buffer> {
        let spares = std::mem::take(&mut self.spares);
        self.account.give_back(spares.iter().map(Buffer::capacity).sum());
        spares
    }
}

impl Reservation {
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Makes it at least so large, without waiting: whether there was room.
    pub(crate) fn try_enlarge(&mut self, to: usize) -> bool {
        let Some(more) = to.checked_sub(self.bytes) else { return true };
        let mut state = self.budget.0.lock();
        let mut spares = VecDeque::new();
        let is_there = state.account.take_more(more) || {
            spares = state.take_spares();
            state.account.take_more(more)
        };
        drop(state);
        drop(spares);
        if is_there {
            self.bytes = to;
        } else {
            self.budget.grant(); // of what was kept
        }
        is_there
    }

    /// Makes it exactly so large, without waiting: whether there was room. If not, it stays as it is.
    pub(crate) fn try_resize(&mut self, to: usize) -> bool {
        drop(self.split(self.bytes.saturating_sub(to)));
        self.try_enlarge(to)
    }

    /// Makes it as large as what is in use, whether there is room or not.
    pub(crate) fn resize(&mut self, to: usize) {
        match to.checked_sub(self.bytes) {
            Some(more) => self.budget.0.lock().account.overdraw(more),
            None => drop(self.split(self.bytes - to)),
        }
        self.bytes = to;
    }

    /// Splits off so much, or all.
    pub(crate) fn split(&mut self, bytes: usize) -> Self {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        Self { budget: self.budget.clone(), bytes }
    }

    /// Takes in another part of the same budget.
    pub(crate) fn absorb(&mut self, mut other: Self) {
        self.bytes += std::mem::take(&mut other.bytes);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.budget.0.lock().account.give_back(self.bytes);
            self.budget.grant();
        }
    }
}

impl Drop for WithdrawOnDrop<'_> {
    fn drop(&mut self) {
        let mut state = self.0.0.lock();
        if state.grants.remove(&self.1).is_some() {
            state.account.withdraw(self.1);
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

#[cfg(test)]
#[path = "budget_tests.rs"]
mod tests;
