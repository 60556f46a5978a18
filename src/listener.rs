//! A consumer that runs in the background.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::control::pause::Pauses;
use crate::control::shutdown::Shutdown;
use crate::engine::monitor::Monitor;
use crate::error::Error;
use crate::observe::progress::Progress;
use crate::sync::{self, thread};

/// Owns a consumer that runs on threads of its own.
///
/// Dropping it stops the consumer as [`Shutdown::now`] does, and waits for it.
///
/// A thread of that consumer cannot wait for it. If the handler, the store, the client or a callback of the
/// configuration drops or joins the listener of its own consumer, the consumer is stopped, and the drop or join returns
/// at once. The consumer ends after the callback has returned; if it fails after that, the log says so.
#[derive(Debug)]
#[must_use = "dropping a listener stops its consumer"]
pub struct Listener {
    /// Taken by `join`, or else by `drop`.
    thread: Option<thread::JoinHandle<Result<(), Error>>>,
    stream: Arc<str>,
    shutdown: Shutdown,
    monitor: Monitor,
    pauses: Pauses,
    parting: Parting,
}

/// Whether the listener left without waiting, or the consumer has ended: the first of the two is marked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parting(Arc<AtomicBool>);

impl Listener {
    pub(crate) fn new(
        thread: thread::JoinHandle<Result<(), Error>>,
        stream: Arc<str>,
        shutdown: Shutdown,
        monitor: Monitor,
        pauses: Pauses,
        parting: Parting,
    ) -> Self {
        Self { thread: Some(thread), stream, shutdown, monitor, pauses, parting }
    }

    /// Waits until the consumer has ended: every shard was read to its end, something failed, or it
    /// was stopped.
    ///
    /// # Errors
    /// The error that stopped it; a shutdown and the end of all shards are none. [`Error::JoinedByItself`] at once,
    /// without waiting, if this is a thread of the consumer, which is then stopped.
    ///
    /// # Panics
    /// Continues a panic of the handler, the client, the store or the table of leases.
    pub fn join(mut self) -> Result<(), Error> {
        let thread = self.thread.take().expect("only `join` and `drop` take it");
        if self.leaves() {
            return Err(Error::JoinedByItself { stream: self.stream.to_string() });
        }
        thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// What stops it.
    pub fn shutdown(&self) -> Shutdown {
        self.shutdown.clone()
    }

    /// How far it has come; the same as [`Monitor::progress`].
    pub fn progress(&self) -> Progress {
        self.monitor.progress()
    }

    /// Tells how far it has come, also after the drop of the listener.
    pub fn monitor(&self) -> Monitor {
        self.monitor.clone()
    }

    /// Pauses it, or some of its shards.
    pub fn pauses(&self) -> Pauses {
        self.pauses.clone()
    }

    /// Whether it has ended, so that `join` returns at once.
    pub fn is_finished(&self) -> bool {
        self.thread.as_ref().is_none_or(|thread| thread.is_finished())
    }

    /// Stops the consumer if this is one of its threads, which must not wait for it. Returns whether it is one.
    fn leaves(&self) -> bool {
        if !self.shutdown.run().is_entered() {
            return false;
        }
        self.shutdown.now();
        // If it has ended, its thread only returns.
        !self.parting.comes_second()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        self.shutdown.now();
        if !self.leaves() {
            tell(&thread.join());
        }
    }
}

impl Parting {
    /// Runs a consumer to its end; logs its outcome if the listener has left.
    pub(crate) fn after(&self, run: impl FnOnce() -> Result<(), Error>) -> Result<(), Error> {
        // The values are not used after a panic, which continues.
        let ended = catch_unwind(AssertUnwindSafe(run));
        if self.comes_second() {
            tell(&ended);
        }
        ended.unwrap_or_else(|panic| resume_unwind(panic))
    }

    fn comes_second(&self) -> bool {
        sync::point();
        self.0.swap(true, Ordering::AcqRel)
    }
}

/// Logs the error or panic of a consumer that nobody has joined.
fn tell(ended: &std::thread::Result<Result<(), Error>>) {
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(error)) => log::error!("a consumer that was dropped has failed: {error:#}"),
        Err(_) => log::error!("a consumer that was dropped has panicked"),
    }
}
