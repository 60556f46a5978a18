//! Buffers that are kept for the next answers.

use std::collections::VecDeque;

use crate::buffer::Buffer;

/// How many buffers of each kind are kept: about as many as are in use at a time.
const KEPT: usize = 8;
/// An arena that is so many times too large is not used.
const TOO_LARGE: usize = 2;
/// What is smaller costs as little to allocate as to keep.
const WORTH_KEEPING: usize = 4 << 10;

/// Buffers for the text of answers, and for what is decoded from it. Fresh ones cost page faults, a fifth of all
/// time; and the system's allocator keeps what many threads have freed, for each of them.
#[derive(Debug)]
pub(crate) struct Spares {
    /// How many bytes are kept at most.
    limit: usize,
    bytes: usize,
    /// Used in turns, so that each learns how large answers are.
    texts: VecDeque<Buffer>,
    arenas: VecDeque<Vec<u8>>,
}

impl Spares {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, bytes: 0, texts: VecDeque::new(), arenas: VecDeque::new() }
    }

    /// A buffer for text, if need be a new one.
    pub(crate) fn take_text(&mut self) -> Buffer {
        let text = self.texts.pop_front().unwrap_or_default();
        self.bytes -= text.capacity();
        text
    }

    /// A buffer for so much data, which is not much larger.
    pub(crate) fn take_arena(&mut self, bytes: usize) -> Option<Vec<u8>> {
        let fits = |arena: &Vec<u8>| (bytes..=bytes * TOO_LARGE).contains(&arena.capacity());
        let at = self.arenas.iter().rposition(fits)?;
        let arena = self.arenas.remove(at)?;
        self.bytes -= arena.capacity();
        Some(arena)
    }

    /// Keeps a buffer, and returns one that is dropped for it, at best after a lock was released.
    #[must_use]
    pub(crate) fn keep_text(&mut self, text: Buffer) -> Option<Buffer> {
        if self.texts.len() == KEPT || self.bytes + text.capacity() > self.limit {
            return Some(text);
        }
        self.bytes += text.capacity();
        self.texts.push_back(text);
        None
    }

    /// Keeps an arena, and returns one that is dropped for it: the oldest one, which is of no use as it seems.
    #[must_use]
    pub(crate) fn keep_arena(&mut self, mut arena: Vec<u8>) -> Option<Vec<u8>> {
        if arena.capacity() < WORTH_KEEPING {
            return Some(arena);
        }
        arena.clear();
        let is_full = self.arenas.len() == KEPT || self.bytes + arena.capacity() > self.limit;
        let oldest = if is_full { self.arenas.pop_front() } else { None };
        self.bytes -= oldest.as_ref().map_or(0, Vec::capacity);
        if self.bytes + arena.capacity() > self.limit {
            drop(oldest);
            return Some(arena);
        }
        self.bytes += arena.capacity();
        self.arenas.push_back(arena);
        oldest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_kept_than_the_limit_whatever_comes() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut spares = Spares::new(100_000);
        for _ in 0..5_000 {
            let bytes = rng.usize(..60_000);
            match rng.u32(..4) {
                0 => drop(spares.keep_arena(Vec::with_capacity(bytes))),
                1 => drop(spares.take_arena(bytes)),
                2 => {
                    let mut text = Buffer::default();
                    text.grow(bytes);
                    drop(spares.keep_text(text));
                }
                _ => drop(spares.take_text()),
            }
            let texts: usize = spares.texts.iter().map(Buffer::capacity).sum();
            let arenas: usize = spares.arenas.iter().map(Vec::capacity).sum();
            assert_eq!(texts + arenas, spares.bytes);
            assert!(spares.bytes <= 100_000 && spares.arenas.len() <= KEPT);
        }
    }

    #[test]
    fn an_arena_is_used_for_what_fits_into_it_and_is_not_much_smaller() {
        let mut spares = Spares::new(100_000);
        assert!(spares.keep_arena(vec![1; 10_000]).is_none());
        assert!(spares.take_arena(10_001).is_none() && spares.take_arena(4_000).is_none());
        let arena = spares.take_arena(9_000).unwrap();
        assert_eq!((arena.len(), arena.capacity()), (0, 10_000));
    }
}
