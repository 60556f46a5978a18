//! Buffers that are kept for the next answers. Pure.

use std::collections::VecDeque;

/// How many buffers of each kind are kept: about as many as are in use at a time where answers are large.
const KEPT: usize = 64;
/// A buffer that is so many times too large is not used.
const TOO_LARGE: usize = 2;
/// What is smaller costs as little to allocate as to keep, and is never too large.
const WORTH_KEEPING: usize = 4 << 10;

/// Buffers for the text of answers, and for what is decoded from it. Fresh ones cost page faults, a fifth of all
/// time; and the system's allocator keeps what many threads have freed, for each of them.
#[derive(Debug)]
pub(crate) struct Spares {
    /// How many bytes there may be, in use and kept.
    limit: usize,
    /// How many bytes are kept at most when answers have been small for a while.
    quiet: usize,
    in_use: usize,
    texts: Shelf,
    arenas: Shelf,
}

/// Buffers of one kind.
#[derive(Debug, Default)]
struct Shelf {
    /// The newest, which the processor's cache may still hold, at the end.
    buffers: VecDeque<Vec<u8>>,
    bytes: usize,
}

/// Buffers that are not kept: to be dropped at best after a lock was released.
pub(crate) type Dropped = Vec<Vec<u8>>;

impl Spares {
    /// Where up to `budget` bytes are in use: beside them so many more may be kept.
    pub(crate) fn new(budget: usize, quiet: usize) -> Self {
        let limit = budget.saturating_add(quiet);
        Self { limit, quiet, in_use: 0, texts: Shelf::default(), arenas: Shelf::default() }
    }

    /// A buffer for so much text, or if that is unknown any; its length tells how much of it is initialized.
    pub(crate) fn take_text(&mut self, bytes: Option<usize>) -> (Option<Vec<u8>>, Dropped) {
        let text = match bytes {
            Some(bytes) => self.texts.take(bytes),
            None => self.texts.take_newest(),
        };
        self.taken(text)
    }

    /// An empty buffer for so much data.
    pub(crate) fn take_arena(&mut self, bytes: usize) -> (Option<Vec<u8>>, Dropped) {
        let arena = self.arenas.take(bytes);
        self.taken(arena)
    }

    /// With each answer for which no large one is of use, one goes, until few are left.
    fn taken(&mut self, buffer: Option<Vec<u8>>) -> (Option<Vec<u8>>, Dropped) {
        let is_of_use = buffer.as_ref().is_some_and(|it| it.capacity() > WORTH_KEEPING);
        let dropped = if is_of_use || self.kept() <= self.quiet { None } else { self.oldest() };
        (buffer, dropped.into_iter().collect())
    }

    #[must_use]
    pub(crate) fn keep_text(&mut self, text: Vec<u8>) -> Dropped {
        self.keep(text, |spares| &mut spares.texts)
    }

    #[must_use]
    pub(crate) fn keep_arena(&mut self, mut arena: Vec<u8>) -> Dropped {
        if arena.capacity() < WORTH_KEEPING {
            return vec![arena];
        }
        arena.clear();
        self.keep(arena, |spares| &mut spares.arenas)
    }

    /// Of all that is in use, a part has become as large as this.
    #[must_use]
    pub(crate) fn set_in_use(&mut self, before: usize, now: usize) -> Dropped {
        self.in_use = self.in_use - before + now;
        self.trim()
    }

    fn keep(&mut self, buffer: Vec<u8>, shelf: impl Fn(&mut Self) -> &mut Shelf) -> Dropped {
        if buffer.capacity() > self.room() {
            return vec![buffer];
        }
        let oldest = shelf(self).put(buffer);
        let mut dropped = self.trim();
        dropped.extend(oldest);
        dropped
    }

    fn kept(&self) -> usize {
        self.texts.bytes + self.arenas.bytes
    }

    /// How much may be kept now.
    fn room(&self) -> usize {
        self.limit.saturating_sub(self.in_use)
    }

    fn trim(&mut self) -> Dropped {
        let mut dropped = Vec::new();
        while self.kept() > self.room() {
            dropped.extend(self.oldest());
        }
        dropped
    }

    /// Takes out what seems to be of the least use.
    fn oldest(&mut self) -> Option<Vec<u8>> {
        let is_text = self.texts.bytes > self.arenas.bytes;
        let shelf = if is_text { &mut self.texts } else { &mut self.arenas };
        shelf.take_at(0)
    }
}

impl Shelf {
    /// The newest one that fits.
    fn take(&mut self, bytes: usize) -> Option<Vec<u8>> {
        let fit = bytes..=(bytes * TOO_LARGE).max(WORTH_KEEPING);
        let fits = |buffer: &Vec<u8>| fit.contains(&buffer.capacity());
        self.take_at(self.buffers.iter().rposition(fits)?)
    }

    fn take_newest(&mut self) -> Option<Vec<u8>> {
        self.take_at(self.buffers.len().checked_sub(1)?)
    }

    fn take_at(&mut self, at: usize) -> Option<Vec<u8>> {
        let buffer = self.buffers.remove(at)?;
        self.bytes -= buffer.capacity();
        Some(buffer)
    }

    /// Keeps it, for the oldest one if there are too many.
    fn put(&mut self, buffer: Vec<u8>) -> Option<Vec<u8>> {
        let oldest = if self.buffers.len() == KEPT { self.take_at(0) } else { None };
        self.bytes += buffer.capacity();
        self.buffers.push_back(buffer);
        oldest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: usize) -> Vec<u8> {
        vec![0; bytes]
    }

    fn taken((buffer, _): (Option<Vec<u8>>, Dropped)) -> Option<usize> {
        buffer.map(|buffer| buffer.capacity())
    }

    #[test]
    fn no_more_is_kept_than_the_limit_whatever_comes() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut spares = Spares::new(400_000, 100_000);
        let mut in_use = [0; 8];
        for _ in 0..20_000 {
            let bytes = rng.usize(..50_000);
            match rng.u32(..5) {
                0 => drop(spares.keep_arena(Vec::with_capacity(bytes))),
                1 => drop(spares.take_arena(bytes)),
                2 => drop(spares.keep_text(text(bytes))),
                3 => drop(spares.take_text(rng.bool().then_some(bytes))),
                _ => {
                    let part = &mut in_use[rng.usize(..8)];
                    drop(spares.set_in_use(*part, bytes));
                    *part = bytes;
                }
            }
            for shelf in [&spares.texts, &spares.arenas] {
                let bytes: usize = shelf.buffers.iter().map(Vec::capacity).sum();
                assert_eq!(bytes, shelf.bytes);
                assert!(shelf.buffers.len() <= KEPT);
            }
            let in_use: usize = in_use.iter().sum();
            assert!(in_use + spares.kept() <= 500_000, "{in_use} {}", spares.kept());
        }
    }

    #[test]
    fn what_is_in_use_beyond_the_budget_leaves_nothing() {
        let mut spares = Spares::new(400_000, 100_000);
        assert!(spares.keep_text(text(90_000)).is_empty());
        assert_eq!(spares.set_in_use(0, 600_000).len(), 1);
        assert_eq!(spares.keep_text(text(1)).len(), 1);
        assert!(spares.set_in_use(600_000, 0).is_empty() && spares.keep_text(text(1)).is_empty());
    }

    #[test]
    fn a_buffer_is_used_for_what_fits_into_it_and_is_not_much_smaller() {
        let mut spares = Spares::new(400_000, 100_000);
        assert!(spares.keep_arena(vec![1; 10_000]).is_empty());
        assert_eq!(taken(spares.take_arena(10_001)).or(taken(spares.take_arena(4_000))), None);
        let arena = spares.take_arena(9_000).0.unwrap();
        assert_eq!((arena.len(), arena.capacity()), (0, 10_000));

        assert!(spares.keep_text(text(10_000)).is_empty());
        assert_eq!(taken(spares.take_text(Some(10_001))), None);
        assert_eq!(taken(spares.take_text(Some(300))), None);
        assert_eq!(spares.take_text(None).0.unwrap().len(), 10_000, "what is initialized stays so");
        assert!(spares.keep_text(text(WORTH_KEEPING)).is_empty());
        assert_eq!(taken(spares.take_text(Some(300))), Some(WORTH_KEEPING), "small enough");
    }

    #[test]
    fn the_newest_is_used_and_the_oldest_goes() {
        let mut spares = Spares::new(0, 50_000);
        for bytes in [20_000, 20_001, 20_002] {
            let dropped = spares.keep_arena(Vec::with_capacity(bytes));
            assert_eq!(dropped.first().map(Vec::capacity), (bytes == 20_002).then_some(20_000));
        }
        assert_eq!(taken(spares.take_arena(19_000)), Some(20_002));
        assert_eq!(spares.keep_arena(Vec::with_capacity(60_000)).len(), 1);
        assert_eq!(taken(spares.take_arena(19_000)), Some(20_001));
    }

    #[test]
    fn large_buffers_go_when_answers_are_small() {
        let mut spares = Spares::new(400_000, 100_000);
        for _ in 0..10 {
            assert!(spares.keep_arena(Vec::with_capacity(40_000)).is_empty());
        }
        assert_eq!(taken(spares.take_arena(30_000)), Some(40_000));
        assert_eq!(spares.kept(), 360_000, "there is use for them");
        for _ in 0..100 {
            let (text, _) = spares.take_text(Some(300));
            drop(spares.keep_text(text.unwrap_or_else(|| self::text(300))));
        }
        assert!(spares.kept() <= 100_000, "{}", spares.kept());
        assert_eq!(taken(spares.take_arena(30_000)), Some(40_000), "some are left");
    }
}
