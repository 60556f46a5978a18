//! What bounds a call: a stop and a deadline.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;

/// When a call must give up: at its deadline, or when the consumer stops.
#[derive(Clone, Debug)]
pub struct Call {
    stop: Receiver<Infallible>,
    deadline: Option<Instant>,
}

impl Call {
    /// A call that gives up when `stop` is disconnected.
    pub(crate) fn new(stop: Receiver<Infallible>) -> Self {
        Self { stop, deadline: None }
    }

    /// A call that nothing stops; for trying a client by hand.
    pub fn unbounded() -> Self {
        Self::new(crossbeam_channel::never())
    }

    /// The same with a deadline, from now on; it covers connecting, headers and body.
    ///
    /// Defaults to none: then the client's own deadline holds.
    #[must_use]
    pub fn with_deadline(mut self, limit: Duration) -> Self {
        self.deadline = Instant::now().checked_add(limit);
        self
    }

    /// What is left until the deadline, if one was set.
    pub fn remaining(&self) -> Option<Duration> {
        let deadline = self.deadline?;
        Some(deadline.saturating_duration_since(Instant::now()))
    }

    /// A channel that carries nothing and is disconnected when the consumer stops, for `select!`.
    pub fn stopped(&self) -> &Receiver<Infallible> {
        &self.stop
    }

    /// Whether the consumer has stopped.
    pub fn is_stopped(&self) -> bool {
        use crossbeam_channel::TryRecvError::Disconnected;
        self.stop.try_recv() == Err(Disconnected)
    }
}
