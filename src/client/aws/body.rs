//! Bodies of answers, read into a buffer that each thread reuses.

use std::cell::Cell;
use std::io::{self, Read};

use ureq::Body;

/// Three times what Amazon answers at most (10 MiB of records, a third more as base64), whatever
/// `Content-Length` claims.
pub(super) const MAX_BODY: u64 = 32 << 20;

/// How many answers a buffer remembers before it shrinks to the largest of them. Fresh buffers of a
/// megabyte cost a fifth of all time in page faults, so they are kept; but not for ever.
const REMEMBERED: u32 = 16;

/// How much is read at least where nothing says how long the body is.
const STEP: usize = 64 << 10;

thread_local! {
    static BUFFER: Cell<Buffer> = const { Cell::new(Buffer::new()) };
}

/// Reads a body to its end, or to `limit`, and hands on what came with the error that ended it.
pub(super) fn read<T>(
    body: Body,
    limit: u64,
    then: impl FnOnce(&[u8], Result<(), ureq::Error>) -> T,
) -> T {
    // Taken out, so that a panic or a nested call meets an empty buffer.
    let mut buffer = BUFFER.take();
    let result = buffer.fill(body, limit).map_err(ureq::Error::from);
    let answer = then(buffer.filled(), result);
    buffer.settle();
    BUFFER.set(buffer);
    answer
}

#[derive(Default)]
struct Buffer {
    /// Initialized to its whole length, which is seldom that of the answer: to write zeros again for
    /// each answer costs a twentieth of all time.
    bytes: Vec<u8>,
    filled: usize,
    /// The largest of the answers that are remembered, and how many these are.
    peak: usize,
    answers: u32,
}

impl Buffer {
    const fn new() -> Self {
        Self { bytes: Vec::new(), filled: 0, peak: 0, answers: 0 }
    }

    fn filled(&self) -> &[u8] {
        &self.bytes[..self.filled]
    }

    fn fill(&mut self, body: Body, limit: u64) -> io::Result<()> {
        self.filled = 0;
        let announced = body.content_length().unwrap_or(0);
        if announced > limit {
            return Err(ureq::Error::BodyExceedsLimit(limit).into_io());
        }
        // And a byte, so that the end is seen without growing.
        self.grow(usize::try_from(announced).unwrap_or(0) + 1);
        let mut reader = body.into_with_config().limit(limit).reader();
        loop {
            if self.filled == self.bytes.len() {
                self.grow(self.filled + self.filled.max(STEP));
            }
            match reader.read(&mut self.bytes[self.filled..]) {
                Ok(0) => return Ok(()),
                Ok(read) => self.filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn grow(&mut self, length: usize) {
        if length > self.bytes.len() {
            // Exactly: doubling would keep up to twice the memory.
            self.bytes.reserve_exact(length - self.bytes.len());
            self.bytes.resize(length, 0);
        }
    }

    fn settle(&mut self) {
        self.peak = self.peak.max(self.filled);
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

    fn body(bytes: &[u8]) -> Body {
        Body::builder().data(bytes.to_vec())
    }

    #[test]
    fn a_body_is_read_whole_up_to_the_limit_and_no_further() {
        for length in [0, 1, 100, 101, 5_000] {
            let bytes = vec![7; length];
            let (read, fits) = read(body(&bytes), 100, |read, end| (read.len(), end.is_ok()));
            assert_eq!(fits, length <= 100, "{length}");
            assert!(read == length || !fits && read <= 100, "{read} of {length}");
        }
    }

    #[test]
    fn the_buffer_shrinks_when_answers_have_been_small_for_a_while() {
        let mut buffer = Buffer::new();
        buffer.fill(body(&[1; 100_000]), MAX_BODY).unwrap();
        buffer.settle();
        for _ in 1..REMEMBERED {
            buffer.fill(body(b"{}"), MAX_BODY).unwrap();
            buffer.settle();
        }
        assert!(buffer.bytes.capacity() >= 100_000, "a large answer is remembered");
        for _ in 0..REMEMBERED {
            buffer.fill(body(b"{}"), MAX_BODY).unwrap();
            buffer.settle();
        }
        assert!(buffer.bytes.capacity() < 1_000, "{}", buffer.bytes.capacity());
    }
}
