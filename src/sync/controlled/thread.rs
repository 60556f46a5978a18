//! Threads: real ones, of which the schedule lets one run.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread::{Result, Scope};

use super::schedule::{self, Seat};

#[derive(Debug)]
pub(crate) struct Builder {
    real: std::thread::Builder,
    name: String,
}

/// Joins a thread of its own, as std's does.
#[derive(Debug)]
pub(crate) struct JoinHandle<T> {
    real: std::thread::JoinHandle<T>,
    seat: Option<Seat>,
}

#[derive(Debug)]
pub(crate) struct ScopedJoinHandle<'scope, T> {
    real: std::thread::ScopedJoinHandle<'scope, T>,
    seat: Option<Seat>,
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self { real: std::thread::Builder::new(), name: String::new() }
    }

    pub(crate) fn name(mut self, name: String) -> Self {
        self.name.clone_from(&name);
        self.real = self.real.name(name);
        self
    }

    #[track_caller]
    pub(crate) fn spawn<T: Send + 'static>(
        self,
        act: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<JoinHandle<T>> {
        let seat = schedule::current().map(|seat| seat.child(self.name, None));
        let real = self.real.spawn(seated(seat.clone(), act))?;
        started(seat.as_ref());
        Ok(JoinHandle { real, seat })
    }

    #[track_caller]
    pub(crate) fn spawn_scoped<'scope, T: Send + 'scope>(
        self,
        scope: &'scope Scope<'scope, '_>,
        act: impl FnOnce() -> T + Send + 'scope,
    ) -> io::Result<ScopedJoinHandle<'scope, T>> {
        let seat = schedule::current().map(|seat| seat.child(self.name, Some(address(scope))));
        let real = self.real.spawn_scoped(scope, seated(seat.clone(), act))?;
        started(seat.as_ref());
        Ok(ScopedJoinHandle { real, seat })
    }
}

impl<T> JoinHandle<T> {
    #[track_caller]
    pub(crate) fn join(self) -> Result<T> {
        self.seat.iter().for_each(Seat::joined);
        self.real.join()
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.seat.as_ref().map_or_else(|| self.real.is_finished(), Seat::is_over)
    }
}

impl<T> ScopedJoinHandle<'_, T> {
    #[track_caller]
    pub(crate) fn join(self) -> Result<T> {
        self.seat.iter().for_each(Seat::joined);
        self.real.join()
    }
}

/// As std's, which would wait with the turn in hand: so all of its threads are over before that waits.
#[track_caller]
pub(crate) fn scope<'env, F, T>(act: F) -> T
where
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> T,
{
    let Some(seat) = schedule::current() else { return std::thread::scope(act) };
    std::thread::scope(|scope| {
        let result = catch_unwind(AssertUnwindSafe(|| act(scope)));
        seat.all_over(address(scope));
        result.unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// The same for all threads of a scope, and unlike that of any other scope that is open.
fn address<T>(scope: &T) -> usize {
    std::ptr::from_ref(scope) as usize
}

/// What a thread does: it waits for its first turn, and gives the turn away at its end, also at a panic.
fn seated<T>(seat: Option<Seat>, act: impl FnOnce() -> T) -> impl FnOnce() -> T {
    move || {
        let _turn = seat.map(Seat::begin);
        act()
    }
}

/// The new thread may be the next to go on.
#[track_caller]
fn started(seat: Option<&Seat>) {
    if let Some(own) = schedule::current().filter(|_| seat.is_some()) {
        own.point("a new thread");
    }
}
