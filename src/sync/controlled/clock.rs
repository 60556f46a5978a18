//! Clocks and timers. Virtual time passes when nobody can continue, and now and then although somebody could.

use std::time::{Duration, Instant, SystemTime};

use crossbeam_channel::Receiver;

use super::schedule;

pub(crate) fn now() -> Instant {
    schedule::current().map_or_else(Instant::now, |member| member.instant())
}

pub(crate) fn since(then: Instant) -> Duration {
    now().saturating_duration_since(then)
}

pub(crate) fn wall() -> SystemTime {
    schedule::current().map_or_else(SystemTime::now, |member| member.wall())
}

pub(crate) fn at(due: Instant) -> Receiver<Instant> {
    let member = schedule::current();
    member.map_or_else(|| crossbeam_channel::at(due), |member| member.timer(due, None))
}

pub(crate) fn tick(period: Duration) -> Receiver<Instant> {
    match schedule::current() {
        Some(member) => member.timer(member.instant() + period, Some(period)),
        None => crossbeam_channel::tick(period),
    }
}
