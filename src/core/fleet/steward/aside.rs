//! A process whose handler stands still: it leaves to others what it has read in vain, and gets no more leases until nobody
//! has one of those batches any more.
//!
//! Its lease is given back at the position that is stored, so that the batch in the handler comes again, to whoever takes the
//! lease. The process itself would take it, read the same batch, and hang once more, or keep it from the others while the
//! batch waits for the handler. What it still holds it keeps: other handlers may be well.

use std::time::Duration;

use crate::core::fleet::held::Moment;
use crate::core::fleet::lease::refused::Loss;
use crate::core::fleet::lease::writes::Marks;
use crate::core::fleet::steward::lease::{Lease, Stage};
use crate::core::fleet::steward::words::{Act, Job, News};
use crate::core::fleet::steward::{Phase, Steward};

impl Steward {
    /// Nothing was committed of a tenure for this time, although something was read.
    pub(super) fn hangs(&mut self, shard: String, epoch: u64, age: Duration, now: Moment) {
        let stage = self.lease(&shard, epoch).map(|lease| &lease.stage);
        if !matches!(stage, Some(Stage::Reading | Stage::Draining { .. })) {
            return;
        }
        self.hanging.insert(epoch);
        if let Some(lease) = self.lease_mut(&shard, epoch) {
            lease.is_given_up = true;
        }
        self.wants_no_more(now);
        self.leave(&shard, now);
        let why = Loss::GivenUp { after: age };
        self.news.push(News::Lost { shard, epoch, why });
    }

    /// Nobody has a batch of such a tenure any more.
    pub(super) fn emptied(&mut self, epoch: u64) {
        self.hanging.remove(&epoch);
    }

    /// Whether this process may get more leases.
    pub(super) fn may_gain(&self) -> bool {
        self.phase == Phase::Running && self.hanging.is_empty()
    }

    /// Whether a write that failed may be tried again later.
    pub(super) fn may_wait(&self, job: &Job) -> bool {
        match job.act {
            Act::LetGo => true,
            _ if job.wants() => self.may_gain(),
            _ => self.phase == Phase::Running,
        }
    }

    /// How many leases it wants at most: no more than it has, while its handler stands still.
    pub(super) fn limit(&self) -> Option<usize> {
        let limit = self.settings.marks.limit;
        if self.hanging.is_empty() {
            return limit;
        }
        let stays = |lease: &&Lease| lease.is_load() && lease.stage != Stage::Leaving;
        let kept = self.leases.values().filter(stays).count();
        Some(limit.map_or(kept, |limit| limit.min(kept)))
    }

    /// What its rows say.
    pub(super) fn marks(&self) -> Marks {
        Marks { limit: self.limit(), ..self.settings.marks.clone() }
    }
}
