//! A process that wants no more leases, for it stops or its handler stands still: it takes back what it has asked for.
//!
//! Else the holder would drain the shard and hand it over to nobody, and the row would name a process that is gone until
//! its lease expires. What the row says decides. A request that is open is taken back, and the holder keeps the lease. If it
//! sees that only after the drain it gives the lease up and takes it again, in a tenure of its own. What was handed over and
//! not accepted is nobody's.
//!
//! A write that may have been done, and is not tried any more, is undone in the same way.

use crate::core::fleet::held::Moment;
use crate::core::fleet::lease::refused::Loss;
use crate::core::fleet::lease::writes::{let_go, withdraw};
use crate::core::fleet::steward::answers::{TRIES, row};
use crate::core::fleet::steward::words::{Act, Job};
use crate::core::fleet::steward::{Phase, Settings, Steward};
use crate::model::item::Item;

impl Steward {
    /// Everything that would get it a lease is over.
    pub(super) fn wants_no_more(&mut self, now: Moment) {
        let is_over = self.phase != Phase::Running;
        let jobs = std::mem::take(&mut self.jobs).into_iter();
        let (dropped, kept): (Vec<_>, _) =
            jobs.partition(|job| job.wants() || is_over && !job.is_urgent());
        self.jobs = kept.into();
        let requests = std::mem::take(&mut self.requests);
        self.undo_births(now);
        // For a request that was made the row is known better.
        let unheard = dropped.iter().filter(|job| job.sent.is_some());
        unheard.filter(|job| !requests.has(job.write.key())).for_each(|job| self.undo(job, now));
        for (shard, of) in requests.into_all() {
            let Settings { worker, process, .. } = &self.settings;
            let known = self.view.row(&shard).and_then(|row| let_go(row, worker, process));
            let asked = || of.map(|of| withdraw(&shard, worker, &of));
            if let Some(write) = known.or_else(asked) {
                self.plan_job(now, write, Act::LetGo);
            }
        }
    }

    /// A request was made.
    pub(super) fn asked(&mut self, shard: &str, of: String, now: Moment) {
        if self.may_gain() {
            return self.requests.add(shard, Some(of), now.monotonic);
        }
        self.plan_job(now, withdraw(shard, &self.settings.worker, &of), Act::LetGo);
    }

    /// Of a write that is not tried any more nobody knows whether it was done.
    pub(super) fn undo(&mut self, job: &Job, now: Moment) {
        let write = match &job.act {
            Act::Ask { of } => withdraw(job.write.key(), &self.settings.worker, of),
            Act::Take { tenure, .. } | Act::Accept { tenure, .. } => tenure.release(),
            _ => return,
        };
        self.plan_job(now, write, Act::LetGo);
    }

    /// The same of the children that may have been born with this process as their holder.
    pub(super) fn undo_births(&mut self, now: Moment) {
        for (tenure, _) in std::mem::take(&mut self.births).into_values() {
            self.plan_job(now, tenure.release(), Act::LetGo);
        }
    }

    /// The row is not as it was believed to be. It may be free by now; else it tells what would free it.
    pub(super) fn not_let_go(&mut self, now: Moment, job: &Job, found: Option<&Item>) {
        let Some(row) = found.and_then(row) else { return };
        let Settings { worker, process, .. } = &self.settings;
        // What came to be held is released as such.
        let may_try = job.failures < TRIES && !self.leases.contains_key(&row.shard);
        if let Some(write) = let_go(&row, worker, process).filter(|_| may_try) {
            let failures = job.failures + 1;
            self.jobs.push_back(Job { failures, ..Job::new(write, Act::LetGo, now) });
        }
        self.view.learn(row);
    }

    /// A release was refused: the lease was lost before, or the row that the table gave is a newer one.
    pub(super) fn not_released(&mut self, now: Moment, job: Job, epoch: u64, found: Option<&Item>) {
        let Some(lease) = self.lease(job.write.key(), epoch) else { return };
        match lease.tenure.loss(found) {
            None => self.again(now, job),
            Some(why) => self.not_held(&job, epoch, None, why, found),
        }
    }

    /// The same of a lease that was to be handed over.
    pub(super) fn not_handed_over(
        &mut self,
        now: Moment,
        job: &Job,
        epoch: u64,
        to: &str,
        found: Option<&Item>,
    ) {
        let shard = job.write.key();
        let Some(lease) = self.lease(shard, epoch) else { return };
        let asker = || Some(to.to_owned());
        match lease.tenure.is_handed_over(to, found) {
            Ok(true) => self.left_to(shard, epoch, asker(), found.and_then(row)),
            // The request was withdrawn, or somebody else asks.
            Ok(false) => self.leave_again(now, shard, found.and_then(row)),
            Err(why) => self.not_held(job, epoch, asker(), why, found),
        }
    }

    /// A lease that was to be given up, `to` the worker that has asked for it, is not held any more.
    fn not_held(
        &mut self,
        job: &Job,
        epoch: u64,
        to: Option<String>,
        why: Loss,
        found: Option<&Item>,
    ) {
        let (shard, row) = (job.write.key(), found.and_then(row));
        let has_ended = self.lease(shard, epoch).is_some_and(|lease| lease.has_ended(found));
        // An earlier attempt, of which nothing was heard, may have been done, and whoever has the lease now took it then. The
        // client may send one write twice: if nobody has the lease, that was it.
        let is_left = matches!(&why, Loss::Taken { by } if job.failures > 0 || by.is_none());
        if is_left && !has_ended {
            return self.left_to(shard, epoch, to, row);
        }
        row.into_iter().for_each(|row| self.view.learn(row));
        if has_ended { self.drop_ended(shard) } else { self.lose(shard, why) }
    }

    /// A lease was released because nobody asks for it any more: it is taken again, unless another one is quicker.
    pub(super) fn take_again(&mut self, shard: &str, now: Moment) {
        let has_room = self.limit().is_none_or(|limit| self.held() < limit);
        let is_free = !self.leases.contains_key(shard) && !self.requests.has(shard);
        if !(self.may_gain() && has_room && is_free) {
            return;
        }
        let tenure = self.tenure(shard);
        let row =
            self.view.row(shard).filter(|row| row.owner.is_none() && !row.checkpoint.is_end());
        if let Some(write) = row.map(|row| tenure.take(row, &self.settings.marks)) {
            self.plan_job(now, write, Act::Take { tenure, from: None });
        }
    }
}
