//! A buffer for the text of answers, which is used again.

/// How many answers a buffer remembers before it shrinks to the largest of them. Fresh buffers of a
/// megabyte cost a fifth of all time in page faults, so they are kept; but not for ever.
const REMEMBERED: u32 = 16;

/// The text of one answer after the other.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    /// Initialized to its whole length, which is seldom that of the answer: to write zeros again for
    /// each answer costs a twentieth of all time.
    bytes: Vec<u8>,
    filled: usize,
    /// The largest of the answers that are remembered, and how many these are.
    peak: usize,
    answers: u32,
}

impl Buffer {
    /// How much memory it takes, in bytes.
    pub(crate) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// What was read.
    pub(crate) fn filled(&self) -> &[u8] {
        &self.bytes[..self.filled]
    }

    /// The place for what is read next; see [`advance`](Self::advance).
    pub(crate) fn unfilled(&mut self) -> &mut [u8] {
        &mut self.bytes[self.filled..]
    }

    /// So much more was read.
    pub(crate) fn advance(&mut self, read: usize) {
        self.filled += read;
    }

    /// Makes the whole of it at least so long.
    pub(crate) fn grow(&mut self, length: usize) {
        if length > self.bytes.len() {
            // Exactly: doubling would keep up to twice the memory.
            self.bytes.reserve_exact(length - self.bytes.len());
            self.bytes.resize(length, 0);
        }
    }

    /// Forgets the answer, and gives back what answers have not needed for a while.
    pub(crate) fn settle(&mut self) {
        self.peak = self.peak.max(self.filled);
        self.filled = 0;
        self.answers += 1;
        if self.answers == REMEMBERED {
            self.bytes.truncate(self.peak + 1);
            self.bytes.shrink_to_fit();
            (self.peak, self.answers) = (0, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(buffer: &mut Buffer, length: usize) {
        buffer.grow(length);
        buffer.advance(length);
        assert_eq!(buffer.filled().len(), length);
        buffer.settle();
    }

    #[test]
    fn the_buffer_shrinks_when_answers_have_been_small_for_a_while() {
        let mut buffer = Buffer::default();
        fill(&mut buffer, 100_000);
        for _ in 1..REMEMBERED {
            fill(&mut buffer, 2);
        }
        assert!(buffer.capacity() >= 100_000, "a large answer is remembered");
        for _ in 0..REMEMBERED {
            fill(&mut buffer, 2);
        }
        assert!(buffer.capacity() < 1_000, "{}", buffer.capacity());
    }
}
