//! What the threads of this crate wait by: locks, clocks, timers, selects, and threads themselves.
//!
//! In a build for users these are the parts of std, parking_lot and crossbeam, under one roof. In unit tests a thread
//! may belong to a schedule (`controlled::schedule`): then a seed picks who continues at every lock, wait, spawn and join,
//! and time is virtual. A thread of a test that belongs to none has the real parts.

#[cfg(test)]
pub(crate) mod controlled;
#[cfg(not(test))]
mod real;

#[cfg(test)]
pub(crate) use self::controlled::clock::{at, now, since, tick, wall};
#[cfg(test)]
pub(crate) use self::controlled::lock::{Mutex, RwLock};
#[cfg(test)]
pub(crate) use self::controlled::select::select_biased;
#[cfg(test)]
pub(crate) use self::controlled::thread;
#[cfg(test)]
pub(crate) use self::controlled::wait::{opens, point, recv, recv_until, send, wait};
#[cfg(not(test))]
pub(crate) use self::real::{
    Mutex, RwLock, at, now, opens, point, recv, recv_until, select_biased, send, since, thread,
    tick, wait, wall,
};
