//! The committed prefix of one shard: what may be stored.

use std::collections::VecDeque;
use std::time::Duration;

use crate::core::settings::StoreEvery;
use crate::model::position::Position;

/// Numbers the batches of a shard, and knows how far they are committed without a hole.
#[derive(Debug, Default)]
pub(crate) struct Tracker {
    /// The number of the first batch that the prefix does not cover, and of the next batch.
    first: u64,
    next: u64,
    /// Whether a batch was given up; it is then the last in `open`, and the prefix will never pass it.
    is_stuck: bool,
    /// Numbered batches that the prefix does not cover yet, in the order of their numbers.
    open: VecDeque<Open>,
    /// How many were committed since the last time that consecutive committed batches were joined.
    unjoined: usize,
    /// The end of the longest committed prefix.
    reached: Option<Position>,
    /// The position that the store is known to hold.
    stored: Option<Position>,
    /// The end of the last numbered batch.
    read: Option<Position>,
    /// How many batches the prefix has gained since it was stored, and since when.
    unstored: u32,
    since: Duration,
    /// When the prefix last gained something.
    moved: Duration,
}

/// Batches with consecutive numbers, up to this one: one batch, or several committed ones.
#[derive(Debug)]
struct Open {
    last: u64,
    /// The end of the last one.
    through: Position,
    mark: Mark,
    /// How far it is committed, while it is committed only in part.
    partly: Option<Position>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    Handed,
    Committed,
    GivenUp,
}

/// Fewer committed batches than this are not worth joining.
const FEW: usize = 32;

impl Tracker {
    /// Numbers the next batch, which ends at this position.
    pub(crate) fn hand_out(&mut self, through: Position) -> u64 {
        self.read = Some(through.clone());
        let last = self.next;
        if !self.is_stuck {
            self.open.push_back(Open { last, through, mark: Mark::Handed, partly: None });
        }
        self.next += 1;
        last
    }

    /// A batch will never be committed as a whole: nothing after it needs to be remembered.
    pub(crate) fn give_up(&mut self, number: u64) {
        let place = self.place(number);
        let Some(open) = self.handed(number) else { return };
        open.mark = Mark::GivenUp;
        self.open.truncate(place + 1);
        self.is_stuck = true;
    }

    /// Marks a batch as committed. A second mark changes nothing. `now` counts from any fixed moment.
    pub(crate) fn mark(&mut self, number: u64, now: Duration) {
        let Some(open) = self.handed(number) else { return };
        (open.mark, open.partly) = (Mark::Committed, None);
        self.advance(now);
        self.unjoined += 1;
        // A walk over all of them only after half as many marks: so the cost of a mark does not depend on their number.
        if self.unjoined >= FEW.max(self.open.len() / 2) {
            self.join();
        }
    }

    /// Marks the first part of a batch, up to this position, as committed; the whole batch, if it ends there.
    pub(crate) fn mark_part(&mut self, number: u64, through: Position, now: Duration) {
        let Some(open) = self.handed(number) else { return };
        if through >= open.through {
            return self.mark(number, now);
        }
        open.partly = open.partly.take().max(Some(through));
        self.advance(now);
    }

    /// Where the batch of this number is in `open`, or would be.
    fn place(&self, number: u64) -> usize {
        self.open.partition_point(|open| open.last < number)
    }

    /// The batch, unless it is committed, given up or forgotten.
    fn handed(&mut self, number: u64) -> Option<&mut Open> {
        let place = if number < self.first { return None } else { self.place(number) };
        self.open.get_mut(place).filter(|open| open.mark == Mark::Handed)
    }

    /// Joins consecutive committed batches: so a commit that is kept costs no place for each batch after it.
    fn join(&mut self) {
        let mut joined = VecDeque::<Open>::new();
        for open in self.open.drain(..) {
            match joined.back_mut() {
                Some(before) if [before.mark, open.mark] == [Mark::Committed; 2] => *before = open,
                _ => joined.push_back(open),
            }
        }
        (self.open, self.unjoined) = (joined, 0);
    }

    /// Moves the end of the prefix.
    fn advance(&mut self, now: Duration) {
        while self.open.front().is_some_and(|open| open.mark == Mark::Committed) {
            if let Some(open) = self.open.pop_front() {
                let batches = open.last + 1 - self.first;
                self.first = open.last + 1;
                self.reach(open.through, batches, now);
            }
        }
        if let Some(partly) = self.open.front_mut().and_then(|open| open.partly.take()) {
            self.reach(partly, 1, now);
        }
    }

    fn reach(&mut self, position: Position, batches: u64, now: Duration) {
        self.reached = self.reached.take().max(Some(position));
        self.moved = now;
        if self.unstored == 0 {
            self.since = now;
        }
        let batches = u32::try_from(batches).unwrap_or(u32::MAX);
        self.unstored = self.unstored.saturating_add(batches);
    }

    /// Whether there is a batch that the prefix does not cover yet, or never will.
    pub(crate) fn is_open(&self) -> bool {
        self.is_stuck || !self.open.is_empty()
    }

    /// When the prefix last gained something.
    pub(crate) fn moved(&self) -> Duration {
        self.moved
    }

    /// The position to store now, if the prefix has passed what is stored.
    pub(crate) fn to_store(&self) -> Option<&Position> {
        self.reached.as_ref().filter(|reached| Some(*reached) > self.stored.as_ref())
    }

    /// The end of the last numbered batch.
    pub(crate) fn read(&self) -> Option<&Position> {
        self.read.as_ref()
    }

    /// The position that the store is known to hold.
    pub(crate) fn in_store(&self) -> Option<&Position> {
        self.stored.as_ref()
    }

    /// Whether the position must be stored now: a shard's end never waits.
    pub(crate) fn is_due(&self, every: Option<StoreEvery>, now: Duration) -> bool {
        let Some(every) = every else { return true };
        self.to_store().is_some_and(Position::is_end)
            || self.unstored >= every.batches
            || now.saturating_sub(self.since) >= every.time
    }

    /// The store holds this position now.
    pub(crate) fn stored(&mut self, position: Position) {
        self.stored = self.stored.take().max(Some(position));
        // More may have been committed meanwhile; its write is then due a little early.
        if self.to_store().is_none() {
            self.unstored = 0;
        }
    }

    /// The position in the store was reset: earlier batches do not count any more.
    pub(crate) fn reset(&mut self) {
        self.first = self.next;
        self.is_stuck = false;
        self.open.clear();
        self.unjoined = 0;
        (self.reached, self.stored, self.unstored) = (None, None, 0);
    }
}

#[cfg(test)]
mod tests;
