//! The position that must be in the store before a shard is read.

use std::time::{Duration, UNIX_EPOCH};

use crate::core::retry::Retry;
use crate::core::shard::cursor::Cursor;
use crate::core::shard::step::{Step, Write};
use crate::error::store::{StoreError, StoreErrorKind};
use crate::model::position::{IteratorType, Position};

/// The write of a shard's start, if one is due.
#[derive(Debug)]
pub(crate) struct Begin {
    to: Option<Position>,
    how: Write,
    retry: Retry,
    /// How long the store may fail.
    patience: Duration,
}

impl Begin {
    pub(crate) fn new(patience: Duration) -> Self {
        Self { to: None, how: Write::Forward, retry: Retry::default(), patience }
    }

    /// The write that comes before the next call.
    pub(crate) fn step(&self) -> Option<Step> {
        self.to.clone().map(|to| Step::Store { to, how: self.how })
    }

    /// From now on this is where the shard starts.
    pub(crate) fn write(&mut self, to: Position) {
        self.to = Some(to);
    }

    /// The next write overwrites an unusable position.
    pub(crate) fn overwrites(&mut self) {
        self.how = Write::Overwrite;
    }

    /// The store's position is unusable: it is overwritten before anything is read.
    pub(crate) fn overwrite(&mut self, cursor: &Cursor) {
        self.overwrites();
        self.to = match cursor {
            Cursor::Fresh(IteratorType::Latest) => None,
            // Everything: no record is older than this time, which a store can hold.
            Cursor::Fresh(_) => Some(Position::Since(UNIX_EPOCH)),
            Cursor::Time(_) | Cursor::After { .. } => cursor.position(),
        };
    }

    /// It was written. Returns whether a write had failed before.
    pub(crate) fn stored(&mut self, now: Duration) -> bool {
        (self.to, self.how) = (None, Write::Forward);
        self.retry.succeeded(now).is_some()
    }

    /// It was not written. Returns how long to wait before a retry; `None` if a retry is useless, or it has lasted too
    /// long.
    pub(crate) fn failed(
        &mut self,
        now: Duration,
        rng: &mut fastrand::Rng,
        error: &StoreError,
    ) -> Option<Duration> {
        match error.kind() {
            StoreErrorKind::Retry => self.retry.wait(now, rng, Some(self.patience)),
            StoreErrorKind::Lost | StoreErrorKind::Fatal => None,
        }
    }

    pub(crate) fn is_failing(&self) -> bool {
        self.retry.is_failing()
    }
}
