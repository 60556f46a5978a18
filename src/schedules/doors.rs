//! The doors that call a handler, and the ways to stop.

use std::sync::Arc;
use std::time::Duration;

use super::world::a_while;
use crate::control::shutdown::Shutdown;
use crate::delivery::batch::Batch;
use crate::error::{BoxError, Error};
use crate::listener::Listener;
use crate::stream::Stream;

/// Reads the stream through one of the doors, and waits for its end.
pub(super) fn run(
    stream: Stream,
    handle: impl Fn(&Batch) -> Result<(), BoxError> + Send + Sync + 'static,
) -> Result<(), Error> {
    match fastrand::u32(..4) {
        0 => stream.listen(handle),
        1 => stream.listen_workers(2, |_| &handle),
        _ => spawn(stream, handle)?.join(),
    }
}

/// Reads the stream in the background, with one handler or with two.
pub(super) fn spawn(
    stream: Stream,
    handle: impl Fn(&Batch) -> Result<(), BoxError> + Send + Sync + 'static,
) -> Result<Listener, Error> {
    if fastrand::bool() {
        return stream.spawn(handle);
    }
    let handle = Arc::new(handle);
    stream.spawn_workers(2, move |_| {
        let handle = Arc::clone(&handle);
        move |batch: &Batch| handle(batch)
    })
}

/// One of the ways to stop, at once.
pub(super) fn stop(shutdown: &Shutdown) {
    match fastrand::u32(..4) {
        0 => shutdown.now(),
        1 => shutdown.drain(Duration::from_millis(fastrand::u64(..100))),
        2 => {
            shutdown.drain(Duration::from_secs(10));
            shutdown.drain(Duration::from_millis(fastrand::u64(..20)));
        }
        _ => {
            shutdown.drain(Duration::from_secs(10));
            shutdown.now();
        }
    }
}

/// The same, at some moment.
pub(super) fn stop_some_time(shutdown: &Shutdown) {
    a_while();
    stop(shutdown);
}
