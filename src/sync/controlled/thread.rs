//! Threads: real ones, of which the schedule lets one run.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread::{Result, Scope};

use super::schedule::{self, Member};

#[derive(Debug)]
pub(crate) struct Builder {
    real: std::thread::Builder,
    name: String,
}

/// Joins a thread of its own, as std's does.
#[derive(Debug)]
pub(crate) struct JoinHandle<T> {
    real: std::thread::JoinHandle<T>,
    member: Option<Member>,
}

#[derive(Debug)]
pub(crate) struct ScopedJoinHandle<'scope, T> {
    real: std::thread::ScopedJoinHandle<'scope, T>,
    member: Option<Member>,
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
        let member = new_member(self.name, None)?;
        let real = self.real.spawn(as_member(member.clone(), act));
        let real = real.inspect_err(|_| member.iter().for_each(Member::never_begins))?;
        started(member.as_ref());
        Ok(JoinHandle { real, member })
    }

    #[track_caller]
    pub(crate) fn spawn_scoped<'scope, T: Send + 'scope>(
        self,
        scope: &'scope Scope<'scope, '_>,
        act: impl FnOnce() -> T + Send + 'scope,
    ) -> io::Result<ScopedJoinHandle<'scope, T>> {
        let member = new_member(self.name, Some(address(scope)))?;
        let real = self.real.spawn_scoped(scope, as_member(member.clone(), act));
        let real = real.inspect_err(|_| member.iter().for_each(Member::never_begins))?;
        started(member.as_ref());
        Ok(ScopedJoinHandle { real, member })
    }
}

impl<T> JoinHandle<T> {
    #[track_caller]
    pub(crate) fn join(self) -> Result<T> {
        self.member.iter().for_each(Member::joined);
        self.real.join()
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.member.as_ref().map_or_else(|| self.real.is_finished(), Member::is_over)
    }
}

impl<T> ScopedJoinHandle<'_, T> {
    #[track_caller]
    pub(crate) fn join(self) -> Result<T> {
        self.member.iter().for_each(Member::joined);
        self.real.join()
    }
}

/// As std's, which would wait with the turn in hand: so all of its threads are over before that waits.
#[track_caller]
pub(crate) fn scope<'env, F, T>(act: F) -> T
where
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> T,
{
    let Some(member) = schedule::current() else { return std::thread::scope(act) };
    std::thread::scope(|scope| {
        let result = catch_unwind(AssertUnwindSafe(|| act(scope)));
        member.all_over(address(scope));
        result.unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// The same for all threads of a scope, and unlike that of any other scope that is open.
fn address<T>(scope: &T) -> usize {
    std::ptr::from_ref(scope) as usize
}

/// The new thread in the schedule of the calling one, if that belongs to any.
fn new_member(name: String, scope: Option<usize>) -> io::Result<Option<Member>> {
    let Some(own) = schedule::current() else { return Ok(None) };
    if own.is_refused_a_thread(&name) {
        return Err(io::Error::other("the schedule has no thread for it"));
    }
    Ok(Some(own.child(name, scope)))
}

/// What a thread does: it waits for its first turn, and gives the turn away at its end, also at a panic.
fn as_member<T>(member: Option<Member>, act: impl FnOnce() -> T) -> impl FnOnce() -> T {
    move || {
        let _turn = member.map(Member::begin);
        act()
    }
}

/// The new thread may be the next to continue.
#[track_caller]
fn started(member: Option<&Member>) {
    if let Some(own) = schedule::current().filter(|_| member.is_some()) {
        own.point("a new thread");
    }
}
