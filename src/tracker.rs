//! The committed prefix of one shard: what may be stored. Pure.

use std::collections::VecDeque;
use std::time::Duration;

use crate::position::Position;

/// Numbers the batches of a shard, and knows how far they are committed without a hole.
#[derive(Debug, Default)]
pub(crate) struct Tracker {
    /// The number of the first batch in `open`, and of the next to be handed out.
    first: u64,
    next: u64,
    /// Whether a batch was given up, so that the prefix will never pass it.
    is_stuck: bool,
    /// Batches that were handed out and are not covered by the prefix yet.
    open: VecDeque<Open>,
    /// The end of the longest committed prefix.
    reached: Option<Position>,
    /// What the store is known to hold.
    stored: Option<Position>,
    /// The end of the last batch that was handed out.
    read: Option<Position>,
    /// How many batches the prefix has gained since it was stored, and since when.
    unstored: u32,
    since: Duration,
    /// When the prefix last gained something.
    moved: Duration,
}

/// How often positions are stored: after so many batches, or so long after the first of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StoreEvery {
    pub(crate) batches: u32,
    pub(crate) time: Duration,
}

#[derive(Debug)]
struct Open {
    through: Position,
    committed: bool,
    /// How far it is committed while it is not as a whole.
    partly: Option<Position>,
}

impl Tracker {
    /// Hands out the next batch, which ends at this position: its number.
    pub(crate) fn hand_out(&mut self, through: Position) -> u64 {
        self.read = Some(through.clone());
        if !self.is_stuck {
            self.open.push_back(Open { through, committed: false, partly: None });
        }
        self.next += 1;
        self.next - 1
    }

    /// A batch will never be committed: nothing from it on needs to be remembered.
    pub(crate) fn give_up(&mut self, number: u64) {
        if let Some(place) = number.checked_sub(self.first) {
            self.open.truncate(usize::try_from(place).unwrap_or(usize::MAX));
            self.is_stuck = true;
        }
    }

    /// Marks a batch as committed. Marking it again changes nothing. `now` counts from any fixed moment.
    pub(crate) fn mark(&mut self, number: u64, now: Duration) {
        let Some(open) = self.open_mut(number) else { return };
        open.committed = true;
        self.advance(now);
    }

    /// Marks the first part of a batch as committed, which ends at this position.
    pub(crate) fn mark_part(&mut self, number: u64, through: Position, now: Duration) {
        let Some(open) = self.open_mut(number) else { return };
        open.partly = open.partly.take().max(Some(through));
        self.advance(now);
    }

    fn open_mut(&mut self, number: u64) -> Option<&mut Open> {
        self.open.get_mut(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }

    /// Moves the end of the prefix.
    fn advance(&mut self, now: Duration) {
        while self.open.front().is_some_and(|open| open.committed) {
            self.first += 1;
            if let Some(open) = self.open.pop_front() {
                self.reach(open.through, now);
            }
        }
        if let Some(partly) = self.open.front_mut().and_then(|open| open.partly.take()) {
            self.reach(partly, now);
        }
    }

    fn reach(&mut self, position: Position, now: Duration) {
        self.reached = self.reached.take().max(Some(position));
        self.moved = now;
        if self.unstored == 0 {
            self.since = now;
        }
        self.unstored = self.unstored.saturating_add(1);
    }

    /// Whether a batch was handed out that the prefix does not cover, or never will.
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

    /// The end of the last batch that was handed out.
    pub(crate) fn read(&self) -> Option<&Position> {
        self.read.as_ref()
    }

    /// What the store is known to hold.
    pub(crate) fn in_store(&self) -> Option<&Position> {
        self.stored.as_ref()
    }

    /// Whether what is to be stored may not wait: a shard's end never does.
    pub(crate) fn is_due(&self, every: Option<StoreEvery>, now: Duration) -> bool {
        let Some(every) = every else { return true };
        self.to_store().is_some_and(Position::is_end)
            || self.unstored >= every.batches
            || now.saturating_sub(self.since) >= every.time
    }

    /// The store holds this position now.
    pub(crate) fn stored(&mut self, position: Position) {
        self.stored = self.stored.take().max(Some(position));
        // More may have been committed meanwhile; that is then due a little early.
        if self.to_store().is_none() {
            self.unstored = 0;
        }
    }

    /// The position in the store was reset: batches handed out before do not count any more.
    pub(crate) fn reset(&mut self) {
        self.first = self.next;
        self.is_stuck = false;
        self.open.clear();
        (self.reached, self.stored, self.unstored) = (None, None, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(number: u64) -> Position {
        Position::after(number.to_string().parse().unwrap())
    }

    fn handed_out(count: u64) -> Tracker {
        let mut tracker = Tracker::default();
        for number in 0..count {
            assert_eq!(tracker.hand_out(after(number)), number);
        }
        tracker
    }

    #[test]
    fn a_later_batch_does_not_cover_an_earlier_one() {
        let mut tracker = handed_out(4);
        tracker.mark(2, Duration::ZERO);
        assert_eq!(tracker.to_store(), None);
        tracker.mark(0, Duration::ZERO);
        assert_eq!(tracker.to_store(), Some(&after(0)));
        tracker.mark(1, Duration::ZERO);
        assert_eq!(tracker.to_store(), Some(&after(2)));
    }

    #[test]
    fn committing_twice_is_committing_once() {
        let mut tracker = handed_out(2);
        tracker.mark(0, Duration::ZERO);
        tracker.stored(after(0));
        tracker.mark(0, Duration::ZERO);
        assert_eq!(tracker.to_store(), None);
        tracker.mark(1, Duration::ZERO);
        assert_eq!(tracker.to_store(), Some(&after(1)));
    }

    #[test]
    fn what_could_not_be_stored_stays_to_be_stored() {
        let mut tracker = handed_out(2);
        tracker.mark(0, Duration::ZERO);
        assert_eq!(tracker.to_store(), Some(&after(0)));
        tracker.mark(1, Duration::ZERO);
        assert_eq!(tracker.to_store(), Some(&after(1)));
        // Two threads wrote: the later position arrived first.
        tracker.stored(after(1));
        tracker.stored(after(0));
        assert_eq!(tracker.to_store(), None);
    }

    #[test]
    fn storing_may_wait_for_batches_or_time_but_not_at_the_shards_end() {
        let second = Duration::from_secs(1);
        let every = Some(StoreEvery { batches: 3, time: second });
        let mut tracker = handed_out(4);
        tracker.mark(0, second);
        assert!(tracker.is_due(None, second) && !tracker.is_due(every, second));
        assert!(tracker.is_due(every, second * 2));
        tracker.mark(1, second);
        tracker.mark(2, second);
        assert!(tracker.is_due(every, second));
        tracker.stored(after(2));
        tracker.mark(3, second * 9);
        assert!(!tracker.is_due(every, second * 9));
        let end = tracker.hand_out(Position::End { sequence: "9".parse().unwrap() });
        tracker.mark(end, second * 9);
        assert!(tracker.is_due(every, second * 9));
    }

    #[test]
    fn behind_a_batch_that_was_given_up_nothing_is_stored_nor_remembered() {
        let mut tracker = handed_out(3);
        tracker.give_up(1);
        for number in 3..1000 {
            assert_eq!(tracker.hand_out(after(number)), number);
            tracker.mark(number, Duration::ZERO);
        }
        tracker.mark(2, Duration::ZERO);
        assert_eq!((tracker.to_store(), tracker.open.len()), (None, 1));
        tracker.mark(0, Duration::ZERO);
        assert_eq!(tracker.to_store(), Some(&after(0)));
    }

    #[test]
    fn a_part_counts_when_all_before_it_is_committed() {
        let mut tracker = Tracker::default();
        tracker.hand_out(after(10));
        tracker.hand_out(after(20));
        tracker.mark_part(1, after(15), Duration::ZERO);
        assert_eq!(tracker.to_store(), None);
        tracker.mark_part(0, after(5), Duration::ZERO);
        tracker.mark_part(0, after(3), Duration::ZERO);
        assert_eq!(tracker.to_store(), Some(&after(5)));
        tracker.mark(0, Duration::ZERO);
        assert_eq!(tracker.to_store(), Some(&after(15)));
        tracker.give_up(1);
        tracker.mark_part(1, after(17), Duration::ZERO);
        assert_eq!(tracker.to_store(), Some(&after(15)));
    }

    #[test]
    fn batches_from_before_a_reset_do_not_count() {
        let mut tracker = handed_out(2);
        tracker.reset();
        let next = tracker.hand_out(after(7));
        tracker.mark(0, Duration::ZERO);
        tracker.mark(1, Duration::ZERO);
        assert_eq!(tracker.to_store(), None);
        tracker.mark(next, Duration::ZERO);
        assert_eq!(tracker.to_store(), Some(&after(7)));
    }
}
