//! Looks at a consumer from outside.

use std::fmt;

use crate::engine::registry::Registry;
use crate::observe::progress::Progress;

/// Tells how far a consumer has come; from any thread, while it runs and after that. It changes nothing.
///
/// A clone looks at the same consumer. [`Stream::monitor`](crate::Stream::monitor) gives one before the
/// consumer starts, [`Listener::monitor`](crate::Listener::monitor) after that.
#[derive(Clone)]
pub struct Monitor {
    registry: Registry,
}

impl Monitor {
    pub(crate) fn new(registry: Registry) -> Self {
        Self { registry }
    }

    /// How far the consumer has come: empty before it starts, and its last state after it has ended.
    ///
    /// It costs some microseconds for a hundred shards, and delays no other thread; in a fleet it looks at the leases, which
    /// delays no other thread for longer than that.
    pub fn progress(&self) -> Progress {
        self.registry.progress()
    }
}

impl fmt::Debug for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Monitor").finish_non_exhaustive()
    }
}
