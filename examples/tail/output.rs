//! Standard output: writes records, and commits no record before it is written.

use std::io::{self, Write};
use std::ops::ControlFlow;

use kinesis_consumer::{Batch, BoxError, Record};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::args::Args;
use crate::format::Format;
use crate::interrupt::Caught;
use crate::screen::Screen;

/// Standard output is closed.
#[derive(Debug, thiserror::Error)]
#[error("standard output cannot be written")]
pub(crate) struct WriteError(#[source] io::Error);

/// How much is formatted before a write: a Ctrl-C waits for no more than this.
const CHUNK: usize = 64 << 10;

pub(crate) struct Output<'a> {
    format: Format,
    grep: Option<&'a [u8]>,
    /// How many records may still be written.
    left: u64,
    screen: &'a Screen,
    chunk: Vec<u8>,
}

impl WriteError {
    /// Whether the reader is gone.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        self.0.kind() == io::ErrorKind::BrokenPipe
    }
}

impl<'a> Output<'a> {
    pub(crate) fn new(args: &'a Args, screen: &'a Screen) -> Self {
        Self {
            format: args.format,
            grep: args.grep.as_deref().map(str::as_bytes),
            left: args.limit.unwrap_or(u64::MAX),
            screen,
            chunk: Vec::new(),
        }
    }

    /// Writes a batch, and commits the written part; breaks at the limit, or when interrupted.
    pub(crate) fn take(
        &mut self,
        batch: &Batch,
        signal: &Caught,
    ) -> Result<ControlFlow<()>, BoxError> {
        for record in batch.records() {
            if self.is_wanted(record) {
                self.format.write(batch.shard(), record, &mut self.chunk)?;
                self.left -= 1;
            }
            if self.left > 0 && self.chunk.len() < CHUNK {
                continue;
            }
            self.flush()?;
            if self.left == 0 || signal.is_any() {
                batch.commit_through(&record)?;
                return Ok(ControlFlow::Break(()));
            }
        }
        self.flush()?;
        batch.commit()?;
        Ok(ControlFlow::Continue(()))
    }

    /// Whether the output has no reader. A write shows it too, but only when there is a record.
    pub(crate) fn is_abandoned(&self) -> bool {
        let stdout = io::stdout();
        let mut polled = [PollFd::new(&stdout, PollFlags::empty())];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let gone = PollFlags::ERR | PollFlags::HUP;
        poll(&mut polled, Some(&now)).is_ok() && polled[0].revents().intersects(gone)
    }

    fn is_wanted(&self, record: Record<'_>) -> bool {
        let holds = |text: &[u8]| record.data().windows(text.len()).any(|part| part == text);
        self.grep.is_none_or(holds)
    }

    fn flush(&mut self) -> Result<(), WriteError> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        let written = self.screen.write(|| {
            let mut stdout = io::stdout().lock();
            stdout.write_all(&self.chunk)?;
            stdout.flush()
        });
        written.map_err(WriteError)?;
        self.chunk.clear();
        Ok(())
    }
}
