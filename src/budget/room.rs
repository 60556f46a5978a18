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

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    fn room() -> (Budget, Room) {
        let budget = Budget::new(Budget::MIN);
        (budget.clone(), Room::new(budget))
    }

    /// Makes a call, and says how much was reserved when it began.
    fn reserved(room: &Room, call: impl FnOnce(&Room)) -> usize {
        assert!(room.try_enter());
        let reserved = room.budget.used();
        call(room);
        drop(room.leave());
        assert_eq!(room.budget.used(), 0);
        reserved
    }

    /// Whether a buffer of half a budget is kept: only where less than three quarters of the budget are in use.
    fn is_kept(budget: &Budget) -> bool {
        budget.keep_arena(Vec::with_capacity(Budget::MIN / 2));
        budget.take_arena(Budget::MIN / 2).is_some()
    }

    #[test]
    fn a_call_reserves_what_the_last_answer_needed_or_held() {
        let (_, room) = room();
        assert_eq!(reserved(&room, |room| assert!(room.try_reserve(3 * MIB, MIB))), 256 * 1024);
        assert_eq!(reserved(&room, |room| assert!(room.try_reserve(1, 1))), 3 * MIB);
        assert_eq!(reserved(&room, |room| room.held(5 * MIB)), 256 * 1024);
        assert_eq!(reserved(&room, |room| room.held(MIB)), 5 * MIB);
        assert_eq!(reserved(&room, |room| room.held(usize::MAX)), 5 * MIB);
        assert_eq!(reserved(&room, Room::begin_anew), Budget::MIN);
        assert_eq!(reserved(&room, |_| ()), 256 * 1024);
    }

    #[test]
    fn what_an_aggregate_needed_stays_reserved_until_the_next_one_is_taken_apart() {
        let (_, room) = room();
        reserved(&room, |room| assert!(room.try_take_apart(7 * MIB)));
        assert_eq!(reserved(&room, |room| assert!(room.try_reserve(MIB, MIB))), 7 * MIB);
        assert_eq!(reserved(&room, |room| assert!(room.try_take_apart(0))), 7 * MIB);
        reserved(&room, |room| assert!(room.try_reserve(MIB, MIB)));
        assert_eq!(reserved(&room, |_| ()), MIB);
    }

    #[test]
    fn a_call_does_not_begin_without_room_and_its_answer_does_not_grow_beyond_it() {
        let (budget, room) = room();
        let (stop, reading_stopped) = crossbeam_channel::bounded(0);
        let all = budget.try_reserve(Budget::MIN).unwrap();
        assert!(!room.try_enter());
        drop(stop);
        assert!(!room.enter(&reading_stopped));
        drop(all);
        assert!(room.enter(&crossbeam_channel::never()));
        assert!(!room.try_reserve(Budget::MIN + 1, MIB) && room.try_reserve(MIB, MIB));
        assert!(room.try_take_apart(2 * MIB) && !room.try_take_apart(Budget::MIN + 1));
        let (reservation, needed) = room.leave();
        assert_eq!((reservation.bytes(), needed), (2 * MIB, Budget::MIN + 1));
    }

    #[test]
    fn buffers_take_the_place_of_what_is_reserved_and_not_in_use() {
        let (budget, room) = room();
        assert!(room.try_enter() && room.try_reserve(Budget::MIN, MIB) && is_kept(&budget));
        room.fill(usize::MAX);
        assert!(!is_kept(&budget));
        assert!(room.try_take_apart(0) && !is_kept(&budget), "what was read is still in use");
        room.fill(MIB);
        assert!(is_kept(&budget) && room.try_take_apart(Budget::MIN) && !is_kept(&budget));
        room.fill(MIB);
        assert!(!room.try_take_apart(Budget::MIN + 1) && is_kept(&budget), "it had no room");
    }

    #[test]
    fn a_reader_that_ends_keeps_no_buffer() {
        let (budget, room) = room();
        assert!(is_kept(&budget));
        drop(room);
        assert!(!is_kept(&budget));
    }

    #[test]
    fn a_call_that_had_no_room_is_made_again_with_as_much_as_it_needs() {
        let (budget, room) = room();
        let most = budget.try_reserve(Budget::MIN - 2 * MIB).unwrap();
        assert!(room.try_enter() && !room.try_reserve(8 * MIB, MIB));
        drop((room.leave(), most));
        assert_eq!(reserved(&room, |_| ()), 8 * MIB);
    }

    #[test]
    fn after_an_answer_that_was_too_large_a_call_asks_for_little() {
        let (_, room) = room();
        reserved(&room, |room| {
            assert!(room.try_take_apart(7 * MIB));
            room.begin_anew();
        });
        assert_eq!(reserved(&room, |room| assert!(room.try_reserve(1, 1))), LEAST);
        assert_eq!(reserved(&room, |_| ()), LEAST);
    }
}
