//! Looks at a consumer from outside, and lets it pause.

use std::fmt;

use crate::control::pause::Pauses;
use crate::engine::registry::Registry;
use crate::observe::progress::Progress;

/// Tells how far a consumer has come, and pauses it; from any thread, while it runs and after that.
///
/// A clone looks at the same consumer. [`Stream::monitor`](crate::Stream::monitor) gives one before a door is
/// opened, [`Listener::monitor`](crate::Listener::monitor) after that.
#[derive(Clone)]
pub struct Monitor {
    registry: Registry,
    pauses: Pauses,
}

impl Monitor {
    pub(crate) fn new(registry: Registry, pauses: Pauses) -> Self {
        Self { registry, pauses }
    }

    /// How far the consumer has come: empty before it starts, and its last state after it has ended.
    ///
    /// It costs some microseconds for a hundred shards, and delays no other thread.
    pub fn progress(&self) -> Progress {
        self.registry.progress()
    }

    /// Reads nothing more of this shard until it is [resumed](Self::resume); what was read is handled. A call in
    /// progress ends first.
    ///
    /// However long it takes, nothing is lost that the stream still holds: an iterator that expires meanwhile is
    /// renewed. A shard that was not read yet and starts at [`Latest`](crate::IteratorType::Latest) starts when it
    /// is resumed.
    pub fn pause(&self, shard: &str) {
        self.pauses.pause(shard);
    }

    /// The same for every shard, also those that are born later.
    pub fn pause_all(&self) {
        self.pauses.pause_all();
    }

    /// Goes on with this shard, unless all are paused.
    pub fn resume(&self, shard: &str) {
        self.pauses.resume(shard);
    }

    /// Goes on with every shard, also those that were paused by their ids.
    pub fn resume_all(&self) {
        self.pauses.resume_all();
    }
}

impl fmt::Debug for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Monitor").finish_non_exhaustive()
    }
}
