//! The real parts. Every function is one call, so that nothing is left of this module in a program.

use std::convert::Infallible;
use std::fmt::Debug;
use std::time::{Duration, Instant, SystemTime};

use crossbeam_channel::{Receiver, RecvError, RecvTimeoutError, SendError, Sender};

pub(crate) use crossbeam_channel::{at, select_biased, tick};
pub(crate) use parking_lot::{Mutex, RwLock};

pub(crate) mod thread {
    pub(crate) use std::thread::{Builder, JoinHandle, scope};
}

#[inline]
pub(crate) fn now() -> Instant {
    Instant::now()
}

#[inline]
pub(crate) fn since(then: Instant) -> Duration {
    then.elapsed()
}

#[inline]
pub(crate) fn wall() -> SystemTime {
    SystemTime::now()
}

/// Waits for this long, or until the other end of `stop` is dropped.
#[inline]
pub(crate) fn wait(stop: &Receiver<Infallible>, time: Duration) {
    // It never yields anything: either the time has passed, or the other end is gone.
    let _ = stop.recv_timeout(time);
}

#[inline]
pub(crate) fn recv<T>(from: &Receiver<T>) -> Result<T, RecvError> {
    from.recv()
}

#[inline]
pub(crate) fn send<T>(to: &Sender<T>, message: T) -> Result<(), SendError<T>> {
    to.send(message)
}

#[inline]
pub(crate) fn recv_until<T>(from: &Receiver<T>, until: Instant) -> Result<T, RecvTimeoutError> {
    from.recv_deadline(until)
}

/// A place where a schedule may let another thread continue.
#[inline]
pub(crate) fn point() {}

/// A consumer is opened by this door, which a schedule counts.
#[inline]
pub(crate) fn opens(_door: impl Debug) {}
