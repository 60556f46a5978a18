//! Clocks and timers. Virtual time passes when nobody can go on, and now and then although somebody could.

use std::time::{Duration, Instant, SystemTime};

use crossbeam_channel::Receiver;

use super::schedule;

pub(crate) fn now() -> Instant {
    schedule::current().map_or_else(Instant::now, |seat| seat.instant())
}

pub(crate) fn since(then: Instant) -> Duration {
    now().saturating_duration_since(then)
}

pub(crate) fn wall() -> SystemTime {
    schedule::current().map_or_else(SystemTime::now, |seat| seat.wall())
}

pub(crate) fn at(due: Instant) -> Receiver<Instant> {
    let seat = schedule::current();
    seat.map_or_else(|| crossbeam_channel::at(due), |seat| seat.timer(due, None))
}

pub(crate) fn tick(period: Duration) -> Receiver<Instant> {
    match schedule::current() {
        Some(seat) => seat.timer(seat.instant() + period, Some(period)),
        None => crossbeam_channel::tick(period),
    }
}
