//! The parts for unit tests: those of the schedule if the calling thread belongs to one, otherwise the real ones.

pub(crate) mod clock;
pub(crate) mod lock;
pub(crate) mod schedule;
pub(crate) mod select;
pub(crate) mod thread;
pub(crate) mod wait;
