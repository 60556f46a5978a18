//! Locks. Every locking is a point; a thread that finds a lock held tries again after somebody has moved.

use parking_lot::{MutexGuard, RwLockReadGuard, RwLockWriteGuard};

use super::schedule;

#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(parking_lot::Mutex<T>);

#[derive(Debug, Default)]
pub(crate) struct RwLock<T>(parking_lot::RwLock<T>);

impl<T> Mutex<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(parking_lot::Mutex::new(value))
    }

    #[track_caller]
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        acquire("a lock", || self.0.try_lock(), || self.0.lock())
    }

    #[allow(dead_code, reason = "a part of the real one, which not every feature needs")]
    pub(crate) fn into_inner(self) -> T {
        self.0.into_inner()
    }
}

impl<T> RwLock<T> {
    #[track_caller]
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, T> {
        acquire("a lock to read", || self.0.try_read(), || self.0.read())
    }

    #[track_caller]
    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, T> {
        acquire("a lock to write", || self.0.try_write(), || self.0.write())
    }
}

#[track_caller]
fn acquire<G>(what: &'static str, attempt: impl Fn() -> Option<G>, block: impl FnOnce() -> G) -> G {
    let Some(member) = schedule::current() else { return block() };
    member.point(what);
    loop {
        match attempt() {
            Some(guard) => return guard,
            None => member.locked(what),
        }
    }
}
