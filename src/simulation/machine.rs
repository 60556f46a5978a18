//! What a worker has of the world.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::consumer::Task;
use super::world::World;
use crate::delivery::commits;

/// The machine of one worker: the world, as that worker sees it.
pub(super) struct Machine<'a> {
    pub(super) world: &'a mut World,
    /// Whose it is.
    pub(super) worker: usize,
}

impl Machine<'_> {
    /// What its monotonic clock shows.
    pub(super) fn now(&self) -> Duration {
        self.world.timeline.monotonic(self.worker)
    }

    /// What its wall clock shows, if the service's oddities leave it alone.
    pub(super) fn wall(&self) -> SystemTime {
        UNIX_EPOCH + self.world.timeline.moment(self.worker).wall
    }

    /// Its monotonic clock, to look at from anywhere.
    pub(super) fn clock(&self) -> commits::Clock {
        self.world.timeline.clock(self.worker)
    }

    /// A task of the worker's present life, after so long by its clock.
    pub(super) fn plan(&mut self, after: Duration, task: Task) {
        self.world.timeline.plan_for(self.worker, after, task);
    }
}
