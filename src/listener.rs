//! A consumer that runs in the background.

use std::thread::{self, JoinHandle};

use crate::error::Error;
use crate::monitor::Monitor;
use crate::progress::Progress;
use crate::shutdown::Shutdown;

/// Owns a consumer that runs on threads of its own.
///
/// Dropping it stops the consumer as [`Shutdown::now`] does, and waits for it.
#[derive(Debug)]
#[must_use = "dropping a listener stops its consumer"]
pub struct Listener {
    /// Taken by `join`, or else by `drop`.
    thread: Option<JoinHandle<Result<(), Error>>>,
    shutdown: Shutdown,
    monitor: Monitor,
}

impl Listener {
    pub(crate) fn new(
        thread: JoinHandle<Result<(), Error>>,
        shutdown: Shutdown,
        monitor: Monitor,
    ) -> Self {
        Self { thread: Some(thread), shutdown, monitor }
    }

    /// Waits until the consumer has ended: every shard was read to its end, something failed, or it
    /// was stopped.
    ///
    /// # Errors
    /// Why it stopped, unless it was asked to or has read everything.
    ///
    /// # Panics
    /// Goes on with a panic of the handler, the client or the store.
    pub fn join(mut self) -> Result<(), Error> {
        let thread = self.thread.take().expect("only `join` and `drop` take it");
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// What stops it.
    pub fn shutdown(&self) -> Shutdown {
        self.shutdown.clone()
    }

    /// How far it has come; the same as [`Monitor::progress`].
    pub fn progress(&self) -> Progress {
        self.monitor.progress()
    }

    /// What tells how far it has come, and pauses it, also after the listener is gone.
    pub fn monitor(&self) -> Monitor {
        self.monitor.clone()
    }

    /// Whether it has ended, so that `join` returns at once.
    pub fn is_finished(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        self.shutdown.now();
        // A handler that owns its own listener would wait for itself; its thread ends by the stop.
        if thread.thread().id() == thread::current().id() {
            return;
        }
        match thread.join() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => log::error!("a consumer had failed when it was dropped: {error}"),
            Err(_) => log::error!("a consumer had panicked when it was dropped"),
        }
    }
}
