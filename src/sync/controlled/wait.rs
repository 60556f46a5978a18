//! Waits for a channel or a time.

use std::convert::Infallible;
use std::fmt::Debug;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvError, RecvTimeoutError, SendError, Sender, TryRecvError};

use super::clock;
use super::schedule;
use super::select::{receives, sends};

/// Waits for this long, or until the other end of `stop` is dropped.
#[track_caller]
pub(crate) fn wait(stop: &Receiver<Infallible>, time: Duration) {
    match schedule::current() {
        Some(member) => {
            member.wait("a stop, for a time", vec![receives(stop)], clock::now().checked_add(time))
        }
        // It never yields anything: either the time has passed, or the other end is gone.
        None => drop(stop.recv_timeout(time)),
    }
}

#[track_caller]
pub(crate) fn recv<T: Send + 'static>(from: &Receiver<T>) -> Result<T, RecvError> {
    if let Some(member) = schedule::current() {
        member.wait("a message", vec![receives(from)], None);
    }
    from.recv()
}

#[track_caller]
pub(crate) fn send<T: Send + 'static>(to: &Sender<T>, message: T) -> Result<(), SendError<T>> {
    if let Some(member) = schedule::current() {
        member.wait("a send", vec![sends(to)], None);
    }
    to.send(message)
}

#[track_caller]
pub(crate) fn recv_until<T: Send + 'static>(
    from: &Receiver<T>,
    until: Instant,
) -> Result<T, RecvTimeoutError> {
    let Some(member) = schedule::current() else { return from.recv_deadline(until) };
    member.wait("a message, until a time", vec![receives(from)], Some(until));
    // Whoever has the turn decides; the real clock does not.
    from.try_recv().map_err(|error| match error {
        TryRecvError::Empty => RecvTimeoutError::Timeout,
        TryRecvError::Disconnected => RecvTimeoutError::Disconnected,
    })
}

/// A place where a schedule may let another thread continue.
#[track_caller]
pub(crate) fn point() {
    if let Some(member) = schedule::current() {
        member.point("a point");
    }
}

/// A consumer is opened by this door, which a schedule counts.
pub(crate) fn opens(door: impl Debug) {
    if let Some(member) = schedule::current() {
        member.opens(format!("{door:?}"));
    }
}
