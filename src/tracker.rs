//! The committed prefix of one shard: what may be stored. Pure.

use std::collections::VecDeque;

use crate::position::Position;

/// Numbers the batches of a shard, and knows how far they are committed without a hole.
#[derive(Debug, Default)]
pub(crate) struct Tracker {
    /// The number of the first batch in `open`.
    first: u64,
    /// Batches that were handed out and are not covered by the prefix yet.
    open: VecDeque<Open>,
    /// The end of the longest committed prefix.
    reached: Option<Position>,
    /// What the store is known to hold.
    stored: Option<Position>,
}

#[derive(Debug)]
struct Open {
    through: Position,
    committed: bool,
}

impl Tracker {
    /// Hands out the next batch, which ends at this position: its number.
    pub(crate) fn hand_out(&mut self, through: Position) -> u64 {
        self.open.push_back(Open { through, committed: false });
        self.first + self.open.len() as u64 - 1
    }

    /// Marks a batch as committed. Marking it again changes nothing.
    pub(crate) fn mark(&mut self, number: u64) {
        let Some(place) = number.checked_sub(self.first) else { return };
        if let Some(open) = self.open.get_mut(place as usize) {
            open.committed = true;
        }
        while self.open.front().is_some_and(|open| open.committed) {
            self.reached = self.open.pop_front().map(|open| open.through);
            self.first += 1;
        }
    }

    /// The position to store now, if the prefix has passed what is stored.
    pub(crate) fn to_store(&self) -> Option<&Position> {
        self.reached.as_ref().filter(|reached| Some(*reached) > self.stored.as_ref())
    }

    /// The store holds this position now.
    pub(crate) fn stored(&mut self, position: Position) {
        self.stored = self.stored.take().max(Some(position));
    }

    /// The position in the store was reset: batches handed out before do not count any more.
    pub(crate) fn reset(&mut self) {
        self.first += self.open.len() as u64;
        self.open.clear();
        self.reached = None;
        self.stored = None;
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
        tracker.mark(2);
        assert_eq!(tracker.to_store(), None);
        tracker.mark(0);
        assert_eq!(tracker.to_store(), Some(&after(0)));
        tracker.mark(1);
        assert_eq!(tracker.to_store(), Some(&after(2)));
    }

    #[test]
    fn committing_twice_is_committing_once() {
        let mut tracker = handed_out(2);
        tracker.mark(0);
        tracker.stored(after(0));
        tracker.mark(0);
        assert_eq!(tracker.to_store(), None);
        tracker.mark(1);
        assert_eq!(tracker.to_store(), Some(&after(1)));
    }

    #[test]
    fn what_could_not_be_stored_stays_to_be_stored() {
        let mut tracker = handed_out(2);
        tracker.mark(0);
        assert_eq!(tracker.to_store(), Some(&after(0)));
        tracker.mark(1);
        assert_eq!(tracker.to_store(), Some(&after(1)));
        // Two threads wrote: the later position arrived first.
        tracker.stored(after(1));
        tracker.stored(after(0));
        assert_eq!(tracker.to_store(), None);
    }

    #[test]
    fn batches_from_before_a_reset_do_not_count() {
        let mut tracker = handed_out(2);
        tracker.reset();
        let next = tracker.hand_out(after(7));
        tracker.mark(0);
        tracker.mark(1);
        assert_eq!(tracker.to_store(), None);
        tracker.mark(next);
        assert_eq!(tracker.to_store(), Some(&after(7)));
    }
}
