//! Buffers that are kept for the next answers.

#[cfg(feature = "kpl")]
use std::any::Any;
use std::collections::VecDeque;
use std::time::Duration;

/// How many buffers of each kind are kept: about the number in use at a time if answers are large.
const KEPT: usize = 64;
/// Smaller buffers are not kept.
pub(crate) const WORTH_KEEPING: usize = 4 << 10;
/// Buffers unused for this time are freed, until little is left.
const UNUSED: Duration = Duration::from_secs(10);

/// Buffers for the text of answers, and for the data decoded from it. Fresh buffers cost page faults, a fifth of all
/// time; and the system's allocator keeps, for each thread, the memory that it has freed.
#[derive(Debug)]
pub(crate) struct Pool {
    /// How many bytes there may be, in use and kept.
    limit: usize,
    /// How many unused bytes are kept for ever.
    little: usize,
    in_use: usize,
    /// The number of readers; with none, nothing is kept.
    users: usize,
    texts: Stack,
    arenas: Stack,
    indexes: Stack,
}

/// Buffers of one kind.
#[derive(Debug, Default)]
struct Stack {
    /// With the time since when each is kept: the newest, which the processor's cache may still hold, at the end.
    buffers: VecDeque<(Duration, Kept)>,
    bytes: usize,
}

/// A buffer that is kept.
#[derive(Debug)]
pub(crate) enum Kept {
    Bytes(Vec<u8>),
    /// Its type, which only its owner knows, and its size in bytes.
    #[cfg(feature = "kpl")]
    Index(Box<dyn Any + Send>, usize),
}

/// Buffers that are not kept: drop them after the lock is released.
pub(crate) type Dropped = Vec<Kept>;

impl Pool {
    /// For up to `budget` bytes in use. Together with the kept buffers they are up to `little` more.
    pub(crate) fn new(budget: usize, little: usize) -> Self {
        let limit = budget.saturating_add(little);
        let (texts, arenas, indexes) = <_>::default();
        Self { limit, little, in_use: 0, users: 0, texts, arenas, indexes }
    }

    /// A reader uses buffers until [`close`](Self::close).
    pub(crate) fn open(&mut self) {
        self.users += 1;
    }

    pub(crate) fn close(&mut self) -> Dropped {
        self.users -= 1;
        if self.users > 0 {
            return Dropped::new();
        }
        let stacks = [&mut self.texts, &mut self.arenas, &mut self.indexes].map(std::mem::take);
        stacks.into_iter().flat_map(|stack| stack.buffers).map(|(_, buffer)| buffer).collect()
    }

    /// A buffer for this much text; its length says how much of it is initialized.
    pub(crate) fn take_text(&mut self, bytes: usize) -> Option<Vec<u8>> {
        self.texts.take(bytes)?.into_bytes()
    }

    /// An empty buffer for this much data.
    pub(crate) fn take_arena(&mut self, bytes: usize) -> Option<Vec<u8>> {
        self.arenas.take(bytes)?.into_bytes()
    }

    /// Takes a kept index of about `bytes` bytes, if there is one.
    #[cfg(feature = "kpl")]
    pub(crate) fn take_index(&mut self, bytes: usize) -> Option<Box<dyn Any + Send>> {
        match self.indexes.take(bytes)? {
            Kept::Index(index, _) => Some(index),
            Kept::Bytes(_) => None,
        }
    }

    pub(crate) fn keep_text(&mut self, text: Vec<u8>, now: Duration) -> Dropped {
        self.keep(Kept::Bytes(text), now, |pool| &mut pool.texts)
    }

    pub(crate) fn keep_arena(&mut self, mut arena: Vec<u8>, now: Duration) -> Dropped {
        arena.clear();
        self.keep(Kept::Bytes(arena), now, |pool| &mut pool.arenas)
    }

    /// Keeps an index of `bytes` bytes.
    #[cfg(feature = "kpl")]
    pub(crate) fn keep_index(
        &mut self,
        index: Box<dyn Any + Send>,
        bytes: usize,
        now: Duration,
    ) -> Dropped {
        self.keep(Kept::Index(index, bytes), now, |pool| &mut pool.indexes)
    }

    /// One of the parts in use is `part` bytes large now, instead of `before`.
    pub(crate) fn set_in_use(&mut self, part: usize, before: usize, now: Duration) -> Dropped {
        self.in_use = self.in_use - before + part;
        self.trim(now)
    }

    fn keep(
        &mut self,
        buffer: Kept,
        now: Duration,
        stack: impl Fn(&mut Self) -> &mut Stack,
    ) -> Dropped {
        let kept = WORTH_KEEPING..=self.room();
        if self.users == 0 || !kept.contains(&buffer.bytes()) {
            return vec![buffer];
        }
        let oldest = stack(self).put(buffer, now);
        let mut dropped = self.trim(now);
        dropped.extend(oldest);
        dropped
    }

    fn kept(&self) -> usize {
        self.texts.bytes + self.arenas.bytes + self.indexes.bytes
    }

    /// How much may be kept now.
    fn room(&self) -> usize {
        self.limit.saturating_sub(self.in_use)
    }

    /// Takes out the oldest buffers that have no room or no use.
    fn trim(&mut self, now: Duration) -> Dropped {
        let mut dropped = Dropped::new();
        loop {
            let (kept, room) = (self.kept(), self.room());
            let stacks = [&mut self.arenas, &mut self.texts, &mut self.indexes];
            let oldest = stacks.into_iter().min_by_key(|stack| stack.oldest());
            let oldest = oldest.expect("there are three");
            let is_unused = oldest.oldest().saturating_add(UNUSED) <= now;
            if kept <= room && !(is_unused && kept > self.little) {
                return dropped;
            }
            dropped.extend(oldest.take_at(0));
        }
    }
}

impl Stack {
    /// The newest buffer that fits and is at most a quarter too large. So decoded records, whose arena is smaller than
    /// their base64, take no more than their text.
    fn take(&mut self, bytes: usize) -> Option<Kept> {
        let fit = bytes..=bytes.saturating_add(bytes / 4);
        let fits = |(_, buffer): &(Duration, Kept)| fit.contains(&buffer.bytes());
        self.take_at(self.buffers.iter().rposition(fits)?)
    }

    fn take_at(&mut self, at: usize) -> Option<Kept> {
        let (_, buffer) = self.buffers.remove(at)?;
        self.bytes -= buffer.bytes();
        Some(buffer)
    }

    /// Keeps it; if there are too many, returns the oldest one.
    fn put(&mut self, buffer: Kept, now: Duration) -> Option<Kept> {
        let oldest = if self.buffers.len() == KEPT { self.take_at(0) } else { None };
        self.bytes += buffer.bytes();
        self.buffers.push_back((now, buffer));
        oldest
    }

    /// The time since when the oldest is kept; the largest time if there is none.
    fn oldest(&self) -> Duration {
        self.buffers.front().map_or(Duration::MAX, |(since, _)| *since)
    }
}

impl Kept {
    fn bytes(&self) -> usize {
        match self {
            Self::Bytes(buffer) => buffer.capacity(),
            #[cfg(feature = "kpl")]
            Self::Index(_, bytes) => *bytes,
        }
    }

    fn into_bytes(self) -> Option<Vec<u8>> {
        match self {
            Self::Bytes(buffer) => Some(buffer),
            #[cfg(feature = "kpl")]
            Self::Index(..) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::ZERO;

    fn pool(budget: usize, little: usize) -> Pool {
        let mut pool = Pool::new(budget, little);
        pool.open();
        pool
    }

    fn arena(bytes: usize) -> Vec<u8> {
        Vec::with_capacity(bytes)
    }

    fn capacity(buffer: Option<Vec<u8>>) -> Option<usize> {
        buffer.map(|buffer| buffer.capacity())
    }

    #[test]
    fn no_more_is_kept_than_the_limit_whatever_comes() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut most = 0;
        for largest in [6_000, 50_000, 200_000] {
            let mut pool = pool(1_000_000, 700_000);
            let (mut in_use, mut now) = ([0; 8], NOW);
            for _ in 0..20_000 {
                let bytes = rng.usize(..largest);
                now += Duration::from_millis(rng.u64(..100));
                match rng.u32(..10) {
                    8 => drop(pool.keep_index(Box::new(()), bytes, now)),
                    9 => drop(pool.take_index(bytes)),
                    0..=2 => drop(pool.keep_arena(arena(bytes), now)),
                    3 => drop(pool.take_arena(bytes)),
                    4 | 5 => drop(pool.keep_text(vec![0; bytes], now)),
                    6 => drop(pool.take_text(bytes)),
                    _ => {
                        let part = &mut in_use[rng.usize(..8)];
                        drop(pool.set_in_use(bytes, *part, now));
                        *part = bytes;
                    }
                }
                for stack in [&pool.texts, &pool.arenas, &pool.indexes] {
                    let bytes: usize = stack.buffers.iter().map(|(_, it)| it.bytes()).sum();
                    assert_eq!(bytes, stack.bytes);
                    assert!(stack.buffers.len() <= KEPT);
                    most = most.max(stack.buffers.len());
                }
                let in_use: usize = in_use.iter().sum();
                let is_within = in_use + pool.kept() <= 1_700_000;
                assert!(is_within || pool.kept() == 0, "{in_use} {}", pool.kept());
            }
        }
        assert_eq!(most, KEPT);
    }

    #[test]
    fn a_buffer_is_used_for_what_fits_into_it_and_is_not_much_smaller() {
        let mut pool = pool(400_000, 100_000);
        assert!(pool.keep_arena(vec![1; 10_000], NOW).is_empty());
        assert!(pool.take_arena(10_001).is_none() && pool.take_arena(7_999).is_none());
        let arena = pool.take_arena(8_000).unwrap();
        assert_eq!((arena.len(), arena.capacity()), (0, 10_000));
        assert!(pool.keep_text(vec![1; 10_000], NOW).is_empty());
        assert_eq!(pool.take_text(9_000).unwrap().len(), 10_000, "what is initialized stays so");
    }

    #[test]
    fn an_index_comes_back_as_what_it_was() {
        let mut pool = pool(400_000, 100_000);
        assert!(pool.keep_index(Box::new([7_u32; 3]), 10_000, NOW).is_empty());
        assert!(pool.take_index(10_001).is_none() && pool.take_arena(10_000).is_none());
        let index = pool.take_index(9_000).unwrap();
        assert_eq!(*index.downcast::<[u32; 3]>().unwrap(), [7; 3]);
        assert_eq!(pool.kept(), 0);
    }

    #[test]
    fn what_is_small_or_nobodys_is_not_kept() {
        let mut pool = pool(400_000, 100_000);
        assert_eq!(pool.keep_text(vec![0; WORTH_KEEPING - 1], NOW).len(), 1);
        assert!(pool.keep_text(vec![0; WORTH_KEEPING], NOW).is_empty());
        assert!(pool.keep_arena(arena(10_000), NOW).is_empty());
        assert_eq!(pool.close().len(), 2);
        assert_eq!((pool.kept(), pool.keep_arena(arena(10_000), NOW).len()), (0, 1));
    }

    #[test]
    fn what_is_kept_stays_until_its_last_user_has_gone() {
        let mut pool = pool(400_000, 100_000);
        pool.open();
        assert!(pool.keep_arena(arena(10_000), NOW).is_empty());
        assert!(pool.close().is_empty() && pool.kept() > 0, "another user is there");
        assert_eq!((pool.close().len(), pool.kept()), (1, 0));
    }

    #[test]
    fn the_newest_is_used_and_the_oldest_goes() {
        let mut pool = pool(0, 50_000);
        for bytes in [20_000, 20_001, 20_002] {
            let mut dropped = pool.keep_arena(arena(bytes), NOW);
            assert_eq!(dropped.pop().map(|it| it.bytes()), (bytes == 20_002).then_some(20_000));
        }
        assert_eq!(capacity(pool.take_arena(19_000)), Some(20_002));
        assert_eq!(pool.keep_arena(arena(60_000), NOW).len(), 1, "too large at all");
        assert_eq!(capacity(pool.take_arena(19_000)), Some(20_001));
    }

    #[test]
    fn little_is_kept_for_ever() {
        let mut pool = pool(400_000, 100_000);
        for _ in 0..2 {
            assert!(pool.keep_arena(arena(50_000), NOW).is_empty());
        }
        assert!(pool.set_in_use(0, 0, 2 * UNUSED).is_empty());
        assert_eq!(pool.kept(), 100_000);
    }

    /// Other memory in use, for ever.
    #[test]
    fn what_nobody_uses_goes_until_little_is_left() {
        let mut pool = pool(400_000, 100_000);
        for _ in 0..10 {
            assert!(pool.keep_arena(arena(40_000), NOW).is_empty());
        }
        for second in 1..20 {
            let now = Duration::from_secs(second);
            let text = pool.take_text(5_000).unwrap_or_else(|| vec![0; 5_000]);
            drop(pool.keep_text(text, now));
            let kept = if now < UNUSED { 405_000 } else { 85_000 };
            assert_eq!(pool.kept(), kept, "{now:?}");
        }
    }

    #[test]
    fn after_the_last_reader_has_closed_nothing_is_kept() {
        const BYTES: usize = 10_000;
        let mut pool = pool(1_000_000, 700_000);
        for is_closed in [false, true] {
            drop(pool.keep_index(Box::new(()), BYTES, NOW));
            drop((pool.keep_text(arena(BYTES), NOW), pool.keep_arena(arena(BYTES), NOW)));
            if is_closed {
                drop(pool.close());
                pool.open();
            }
            let are_there = [
                pool.take_index(BYTES).is_some(),
                pool.take_text(BYTES).is_some(),
                pool.take_arena(BYTES).is_some(),
            ];
            assert_eq!(are_there, [!is_closed; 3]);
        }
    }
}
