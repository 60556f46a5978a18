//! A buffer for the text of an answer, which is reused.

/// The text of one answer.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    /// Initialized to its whole length, which is usually not the length of the answer: to write zeros again for each
    /// answer costs a twentieth of all time.
    bytes: Vec<u8>,
    filled: usize,
}

impl Buffer {
    /// Uses the memory of another one.
    pub(crate) fn reuse(bytes: Vec<u8>) -> Self {
        Self { bytes, filled: 0 }
    }

    /// Its memory, for reuse.
    pub(crate) fn into_memory(self) -> Vec<u8> {
        self.bytes
    }

    /// How much memory it takes, in bytes.
    pub(crate) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// The bytes that were read.
    pub(crate) fn filled(&self) -> &[u8] {
        &self.bytes[..self.filled]
    }

    /// The place for the next read; see [`advance`](Self::advance).
    pub(crate) fn unfilled(&mut self) -> &mut [u8] {
        &mut self.bytes[self.filled..]
    }

    /// This many more bytes were read.
    pub(crate) fn advance(&mut self, read: usize) {
        self.filled += read;
    }

    /// Makes it at least this long.
    pub(crate) fn grow(&mut self, length: usize) {
        if length > self.bytes.len() {
            // Exactly: doubling would keep up to twice the memory.
            self.bytes.reserve_exact(length - self.bytes.len());
            self.bytes.resize(length, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_used_again_and_what_was_read_into_it_is_gone() {
        let mut buffer = Buffer::default();
        buffer.grow(5);
        buffer.unfilled()[..4].copy_from_slice(b"hell");
        buffer.advance(4);
        assert_eq!((buffer.filled(), buffer.capacity()), (&b"hell"[..], 5));
        assert_eq!(buffer.unfilled(), b"\0");
        let mut buffer = Buffer::reuse(buffer.into_memory());
        assert!(buffer.filled().is_empty());
        for (length, whole) in [(3, 5), (7, 7)] {
            buffer.grow(length);
            assert_eq!((buffer.unfilled().len(), buffer.capacity()), (whole, whole));
        }
    }
}
