//! What a steward knows of itself and of its fleet, for people: it decides nothing.

use std::time::Duration;

use crate::core::fleet::held::Moment;
use crate::core::fleet::share::survey::{Holding, Survey};
use crate::core::fleet::steward::lease::Lease;
use crate::core::fleet::steward::{Phase, Steward};

/// A steward at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outline {
    /// The worker's id.
    pub(crate) worker: String,
    /// How many leases it holds.
    pub(crate) held: usize,
    /// How many it should hold; 0 after a stop.
    pub(crate) target: usize,
    /// How many workers lived at the last survey, this one included.
    pub(crate) workers: usize,
    /// How many rows nobody held at that time.
    pub(crate) unowned: usize,
    /// How long ago the last write of that lease was sent of which this is longest ago.
    pub(crate) oldest_beat: Option<Duration>,
    /// How long ago the last survey ended.
    pub(crate) surveyed: Option<Duration>,
}

/// What a survey has shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sight {
    /// When its first page was asked for.
    pub(super) begun: Duration,
    at: Duration,
    workers: usize,
    unowned: usize,
}

impl Sight {
    /// A survey that began then and has ended now.
    pub(super) fn new(begun: Moment, now: Moment, survey: &Survey) -> Self {
        let is_free = |holding: &Holding| matches!(holding, Holding::Free { .. });
        let unowned = survey.rows().iter().filter(|row| is_free(&row.holding)).count();
        let (begun, at) = (begun.monotonic, now.monotonic);
        Self { begun, at, workers: survey.live().count(), unowned }
    }
}

impl Steward {
    /// What is known now.
    pub(crate) fn outline(&self, now: Moment) -> Outline {
        let held = self.leases.values().filter(|lease| Lease::is_load(lease));
        Outline {
            worker: self.settings.worker.clone(),
            held: self.held(),
            target: if self.phase == Phase::Running { self.target } else { 0 },
            workers: self.sight.map_or(0, |sight| sight.workers),
            unowned: self.sight.map_or(0, |sight| sight.unowned),
            oldest_beat: held.map(|lease| lease.held.age(now)).max(),
            surveyed: self.sight.map(|sight| now.monotonic.saturating_sub(sight.at)),
        }
    }
}
