//! Stopping: two channels that are closed, and the hooks that are called then.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::control::membership::RunId;
use crate::sync::{self, Mutex};

/// Stops a consumer, from any thread, a signal handler's thread or the handler itself.
///
/// A clone stops the same consumer. Its methods may be called at any time, and more than once.
#[derive(Clone)]
pub struct Shutdown(Arc<Inner>);

struct Inner {
    run: RunId,
    /// Closed when reading must stop.
    reading_stopped: Receiver<Infallible>,
    /// Closed when handling must stop too.
    handling_stopped: Receiver<Infallible>,
    state: Mutex<State>,
}

struct State {
    halt: Option<Sender<Infallible>>,
    handling_stopped: Option<Sender<Infallible>>,
    drain: Drain,
    /// Dropped when `drain` changes.
    draining: Sender<Infallible>,
    /// Dropped when the reading of one shard must stop: see [`ShardStop`](super::shard_stop::ShardStop).
    shards: BTreeMap<u64, Sender<Infallible>>,
    /// How many shards there were.
    numbers: u64,
    hooks: Vec<Hook>,
}

/// How long the queued batches may still be handled.
#[derive(Clone, Debug)]
pub(crate) struct Drain {
    /// `None`: without a limit.
    pub(crate) until: Option<Instant>,
    /// Disconnected when there is an earlier limit. Carries nothing.
    pub(crate) changed: Receiver<Infallible>,
}

type Hook = Box<dyn FnOnce() + Send>;

/// Stops the consumer when dropped: no early return, and no panic, leaves a thread behind.
pub(crate) struct StopOnDrop(pub(crate) Shutdown);

impl Shutdown {
    pub(crate) fn new() -> Self {
        let (halt, reading_stopped) = bounded(0);
        let (handling_stopped, was_handling_stopped) = bounded(0);
        let (draining, changed) = bounded(0);
        let state = State {
            halt: Some(halt),
            handling_stopped: Some(handling_stopped),
            drain: Drain { until: None, changed },
            draining,
            shards: BTreeMap::new(),
            numbers: 0,
            hooks: Vec::new(),
        };
        let run = RunId::new();
        Self(Arc::new(Inner {
            run,
            reading_stopped,
            handling_stopped: was_handling_stopped,
            state: Mutex::new(state),
        }))
    }

    /// Stops as soon as the batch in hand is handled and committed.
    ///
    /// Batches in the queue are not handled; they come again at the next start. Calls in progress,
    /// waits and back-offs end at once. Returns at once; `listen` and `join` return at the end of the run.
    pub fn now(&self) {
        self.stop(|state| drop(state.handling_stopped.take()));
    }

    /// Stops reading, and lets the handler take the queued batches, at most for this long; the batch in hand is
    /// always finished. Of several limits the earliest counts, in any order.
    ///
    /// With [`Stream::receiver`](crate::Stream::receiver) the queue is the receiver, which yields all of it whatever
    /// the limit: there it is the same as [`now`](Self::now).
    pub fn drain(&self, limit: Duration) {
        let until = sync::now().checked_add(limit);
        self.stop(|state| {
            let earlier = until.filter(|until| state.drain.until.is_none_or(|it| *until < it));
            if earlier.is_some() {
                let (draining, changed) = bounded(0);
                state.drain = Drain { until: earlier, changed };
                state.draining = draining;
            }
        });
    }

    /// Whether it was told to stop, or has stopped.
    pub fn is_stopped(&self) -> bool {
        self.0.state.lock().halt.is_none()
    }

    /// Disconnected when reading must stop. Carries nothing.
    pub(crate) fn reading_stopped(&self) -> &Receiver<Infallible> {
        &self.0.reading_stopped
    }

    /// Disconnected when handling must stop. Carries nothing.
    pub(crate) fn handling_stopped(&self) -> &Receiver<Infallible> {
        &self.0.handling_stopped
    }

    /// How long the queue may be handled; available from the start on, since a limit may be set at any time.
    pub(crate) fn drain_limit(&self) -> Drain {
        self.0.state.lock().drain.clone()
    }

    /// One more shard: its number, and the channel that is disconnected when reading must stop, or the shard is removed.
    pub(super) fn add_shard(&self) -> (u64, Receiver<Infallible>) {
        let (sender, stopped) = bounded(0);
        let mut state = self.0.state.lock();
        state.numbers += 1;
        let number = state.numbers;
        if state.halt.is_some() {
            state.shards.insert(number, sender);
        }
        (number, stopped)
    }

    pub(super) fn remove_shard(&self, number: u64) {
        self.0.state.lock().shards.remove(&number);
        sync::point();
    }

    /// The run that it stops.
    pub(crate) fn run(&self) -> &RunId {
        &self.0.run
    }

    /// Calls this when reading must stop; at once if it has stopped already.
    pub(crate) fn on_stop(&self, hook: impl FnOnce() + Send + 'static) {
        let mut state = self.0.state.lock();
        if state.halt.is_some() {
            state.hooks.push(Box::new(hook));
        } else {
            drop(state);
            hook();
        }
    }

    fn stop(&self, change: impl FnOnce(&mut State)) {
        let hooks = {
            let mut state = self.0.state.lock();
            // Before reading stops: a thread that sees that must find the limit of handling.
            change(&mut state);
            sync::point();
            state.halt.take();
            state.shards.clear();
            std::mem::take(&mut state.hooks)
        };
        // Calls in progress may end only by the hooks: a thread in a hook must not wait for the run.
        let _member = self.0.run.enter();
        // Outside of the lock: a hook is not ours. It may be called during a panic, when a second panic
        // would abort the process.
        for hook in hooks {
            if catch_unwind(AssertUnwindSafe(hook)).is_err() {
                log::error!("a client panicked when it was interrupted");
            }
        }
    }
}

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.now();
    }
}

impl fmt::Debug for Shutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shutdown").field("is_stopped", &self.is_stopped()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossbeam_channel::{TryRecvError, unbounded};

    #[test]
    fn draining_stops_reading_first_and_handling_when_told() {
        let shutdown = Shutdown::new();
        let closed =
            |channel: &Receiver<Infallible>| channel.try_recv() == Err(TryRecvError::Disconnected);
        assert!(!shutdown.is_stopped() && !closed(shutdown.reading_stopped()));
        shutdown.drain(Duration::from_secs(5));
        assert!(
            shutdown.is_stopped()
                && closed(shutdown.reading_stopped())
                && !closed(shutdown.handling_stopped())
        );
        assert!(shutdown.drain_limit().until.is_some());
        shutdown.now();
        shutdown.now();
        assert!(closed(shutdown.handling_stopped()));
    }

    #[test]
    fn of_several_limits_the_earliest_counts_and_is_told() {
        let shutdown = Shutdown::new();
        let told = |drain: &Drain| drain.changed.try_recv() == Err(TryRecvError::Disconnected);
        let none = shutdown.drain_limit();
        shutdown.drain(Duration::MAX);
        assert!(none.until.is_none() && !told(&none), "without a limit");
        shutdown.drain(Duration::from_secs(3600));
        let hour = shutdown.drain_limit();
        assert!(told(&none) && hour.until.is_some());
        shutdown.drain(Duration::from_secs(7200));
        shutdown.drain(Duration::MAX);
        assert!(!told(&hour) && shutdown.drain_limit().until == hour.until);
        shutdown.drain(Duration::from_secs(5));
        assert!(told(&hour) && shutdown.drain_limit().until < hour.until);
    }

    #[test]
    fn hooks_are_called_once_and_late_ones_at_once() {
        let (called, calls) = unbounded();
        let shutdown = Shutdown::new();
        let hook = |name: &'static str| {
            let called = called.clone();
            move || called.send(name).unwrap()
        };
        shutdown.on_stop(hook("early"));
        assert!(calls.is_empty());
        shutdown.now();
        shutdown.now();
        shutdown.on_stop(hook("late"));
        assert_eq!(calls.try_iter().collect::<Vec<_>>(), ["early", "late"]);
    }
}
