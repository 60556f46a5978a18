//! When a held lease must be shown to live, and until when its batches may be handed over.

use std::time::Duration;

use crate::core::fleet::held::{Change, Moment};
use crate::core::fleet::steward::Steward;
use crate::core::fleet::steward::lease::{Lease, Stage};
use crate::core::fleet::steward::words::{Act, Call, Job, News};

impl Steward {
    /// The most urgent beat that is due.
    pub(crate) fn next_beat(&mut self, now: Moment) -> Option<Call> {
        self.watch_fences(now);
        let marks = self.marks();
        let due =
            self.leases.values_mut().filter(|it| !it.is_beating && it.held.next(now).is_zero());
        let lease = due.min_by_key(|it| it.held.left(now))?;
        lease.is_beating = true;
        let act = Act::Beat { epoch: lease.epoch };
        let is_told = lease.row.limit == marks.limit();
        let write = if is_told { lease.tenure.beat() } else { lease.tenure.tell(&marks) };
        Some(Call::Write(Box::new(Job::new(write, act, now))))
    }

    /// How long until a beat is due, or a fence falls; `None` if nothing is held.
    pub(crate) fn until_beat(&self, now: Moment) -> Option<Duration> {
        let wait = |lease: &Lease| {
            let beat = if lease.is_beating { None } else { Some(lease.held.next(now)) };
            let fence = Some(lease.held.left(now)).filter(|left| !left.is_zero());
            beat.into_iter().chain(fence).min()
        };
        self.leases.values().filter_map(wait).min()
    }

    /// How much longer batches of a tenure may be handed over; zero: none may, for now or for ever.
    pub(crate) fn left(&self, shard: &str, epoch: u64, now: Moment) -> Duration {
        // What is being given up may be another's, before the answer comes.
        let lease = self.lease(shard, epoch).filter(|it| it.stage != Stage::Leaving);
        lease.map_or(Duration::ZERO, |lease| lease.held.left(now))
    }

    /// Tells which leases may not be used for now.
    pub(super) fn watch_fences(&mut self, now: Moment) {
        for (shard, lease) in self.leases.iter_mut().filter(|(_, lease)| lease.is_awaited()) {
            let shard = || shard.clone();
            match lease.held.change(now) {
                Some(Change::Fenced) => self.news.push(News::Fenced { shard: shard() }),
                Some(Change::Unfenced) => self.news.push(News::Unfenced { shard: shard() }),
                None => {}
            }
        }
    }
}
