//! What follows from a survey, and from a listing.

use std::time::Duration;

use crate::core::fleet::held::Moment;
use crate::core::fleet::lease::audit::{self, Finding};
use crate::core::fleet::lease::births::configured;
use crate::core::fleet::lease::checkpoint::{At, Checkpoint};
use crate::core::fleet::lease::protocol::{Look, Protocol};
use crate::core::fleet::lease::row::Row;
use crate::core::fleet::lease::writes::{AtEnd, ask};
use crate::core::fleet::share::plan::{Move, plan};
use crate::core::fleet::steward::lease::Stage;
use crate::core::fleet::steward::outline::Sight;
use crate::core::fleet::steward::view::Scan;
use crate::core::fleet::steward::words::{Act, News, Refusal};
use crate::core::fleet::steward::{Settings, Steward};

impl Steward {
    /// Starts what is held, listed, and waits for no parent.
    pub(super) fn start_waiting(&mut self, now: Moment) {
        let waiting = self.leases.values().filter(|lease| lease.stage == Stage::Waiting);
        let waiting: Vec<_> = waiting.map(|lease| &lease.row).collect();
        if waiting.is_empty() {
            return;
        }
        let found = self.view.starts(&waiting, &self.settings.start);
        for shard in found.unlisted {
            self.seek(now, &shard);
        }
        for (shard, at) in found.starts {
            let Some(lease) = self.leases.get_mut(&shard) else { continue };
            lease.stage = Stage::Reading;
            self.news.push(News::Leased { shard, at, epoch: lease.epoch });
        }
    }

    /// A shard that is held and not listed may be younger than the listing. If the second listing since then does not
    /// show it either, it has left the stream with all its records: it is done, or else its children would wait for ever.
    fn seek(&mut self, now: Moment, shard: &str) {
        let listings = self.view.listings();
        let Some(lease) = self.leases.get_mut(shard) else { return };
        if listings < lease.listings + 2 {
            return self.want_listing();
        }
        lease.stage = Stage::Leaving;
        let end = Checkpoint { at: At::ShardEnd, from: None, ..Checkpoint::trim_horizon() };
        let write = lease.tenure.commit(&lease.row.checkpoint, &end);
        let act = Act::Expire { epoch: lease.epoch };
        self.plan_job(now, write, act);
    }

    pub(super) fn want_listing(&mut self) {
        if !self.news.contains(&News::ListingWanted) {
            self.news.push(News::ListingWanted);
        }
    }

    /// Every shard may be done to its end, by a listing that was made after the rows said so.
    pub(super) fn complete(&mut self) {
        match self.view.is_complete() {
            Some(true) => self.news.push(News::Completed),
            Some(false) => self.want_listing(),
            None => {}
        }
    }

    /// A scan of the whole table is over.
    // long: what is refused, what is known, and what is planned.
    pub(super) fn surveyed(&mut self, scan: &Scan, now: Moment) {
        let rows = match scan.rows(&self.settings.marks.stream) {
            Ok(rows) => rows,
            Err(misread) => return self.fail(now, Refusal::Row(misread)),
        };
        match self.protocol.survey(&Look::leases(&scan.seen), &scan.coordinator) {
            Protocol::TwoX { changed } => {
                self.news.extend(changed.map(|version| News::Protocol { version }));
            }
            // Nothing is written before it is known.
            Protocol::Unknown => {
                self.survey_at = now.monotonic + self.pause(now);
                return;
            }
            Protocol::Refused(newer) | Protocol::Turned(newer) => {
                return self.fail(now, Refusal::Protocol(newer));
            }
        }
        // While it is unknown, each attempt reads the whole table.
        self.trouble.succeeded(now.monotonic);
        if let Some(refusal) = self.refusal(&rows) {
            return self.fail(now, refusal);
        }
        let held = self.leases.values().map(|lease| &lease.row);
        self.view.surveyed(rows, held, scan.begun.monotonic);
        self.survey.scanned(
            scan.begun.monotonic,
            now.monotonic,
            self.view.seen(&self.leases, &self.settings.worker),
        );
        self.sight = Some(Sight::new(scan.begun, now, &self.survey));
        if !self.joins(now, scan.units) {
            return;
        }
        self.start_waiting(now);
        self.complete();
        let plan = plan(&self.survey, self.limit(), &mut self.rng);
        self.target = plan.target;
        let is_urgent = plan.is_urgent();
        self.audit(now);
        // The audit may have refused the table.
        if self.may_gain() {
            plan.moves.into_iter().for_each(|it| self.plan_move(now, it));
            self.adopt(now);
        }
        self.leave_ends(now);
        self.plan_survey(scan, is_urgent, now.monotonic);
    }

    /// When the next survey begins, after this one.
    fn plan_survey(&mut self, scan: &Scan, is_urgent: bool, now: Duration) {
        let workers = self.survey.live().count();
        self.survey_at = now + self.pace.next(now, workers, scan.units, is_urgent, &mut self.rng);
        if let Some(expiry) = self.survey.expiry(scan.begun.monotonic) {
            // All workers see the same silence.
            let spread = self.pace.spread(workers, scan.units).mul_f64(self.rng.f64());
            self.survey_at = self.survey_at.min(expiry + spread);
        }
    }

    /// Plans the rows that come and go.
    fn audit(&mut self, now: Moment) {
        let Some(listing) = self.view.listing() else { return self.want_listing() };
        // `Fleet` refuses other starts.
        let start = configured(&self.settings.start).unwrap_or_else(Checkpoint::trim_horizon);
        match self.audit.survey(now.monotonic, listing, self.view.rows(), &start) {
            Finding::Recreated(shards) => self.fail(now, Refusal::Recreated { shards }),
            Finding::Plan(plan) => {
                if plan.is_stale || !plan.unfilled.is_empty() {
                    self.want_listing();
                }
                for change in plan.changes {
                    let write = change.write(&self.settings.marks);
                    let act = match change {
                        audit::Change::Create(birth) => Act::Create(*birth),
                        audit::Change::Retire(_) if !self.settings.retires => continue,
                        audit::Change::Retire(_) => Act::Retire,
                    };
                    self.plan_job(now, write, act);
                }
            }
        }
    }

    fn plan_move(&mut self, now: Moment, it: Move) {
        let (Move::Take { key, .. } | Move::Ask { key, .. }) = &it;
        let is_busy = self.leases.contains_key(&**key) || self.requests.has(key);
        let Some(row) = self.view.row(key).filter(|_| !is_busy).cloned() else { return };
        let tenure = self.tenure(key);
        let (write, act) = match it {
            Move::Take { counter, .. } => {
                let from = row.working_owner().map(str::to_owned);
                let row = Row { counter, ..row };
                (Some(tenure.take(&row, &self.settings.marks)), Act::Take { tenure, from })
            }
            Move::Ask { holder, .. } => {
                (ask(&row, &self.settings.worker), Act::Ask { of: holder.to_string() })
            }
        };
        if let Some(write) = write {
            self.plan_job(now, write, act);
        }
    }

    /// Rows that name this worker, and of which it knows nothing: the reply to its request was lost.
    fn adopt(&mut self, now: Moment) {
        let Settings { worker, process, .. } = &self.settings;
        for row in self.view.rows() {
            let is_known = self.leases.contains_key(&row.shard) || self.requests.has(&row.shard);
            // Who has the same name, and another nonce, may live.
            let is_mine = row.holder.as_ref().is_none_or(|it| it.process() == process);
            let is_asked = row.checkpoint_owner.is_some() || is_mine;
            if row.owner.as_deref() == Some(worker)
                && is_asked
                && !is_known
                && !row.checkpoint.is_end()
            {
                let of = row.checkpoint_owner.clone();
                self.requests.add(&row.shard, of, now.monotonic);
            }
        }
    }

    /// Ends that were kept for workers of KCL are given up when none is left.
    fn leave_ends(&mut self, now: Moment) {
        if self.view.at_end() == AtEnd::Keep {
            return;
        }
        let ended = self.leases.iter().filter(|(_, lease)| lease.stage == Stage::Ended);
        let ended: Vec<_> = ended.map(|(shard, _)| shard.clone()).collect();
        ended.iter().for_each(|shard| self.leave(shard, now));
    }

    /// How long nothing is asked that may wait, after a failure.
    pub(super) fn pause(&mut self, now: Moment) -> Duration {
        let wait = self.trouble.wait(now.monotonic, &mut self.rng, None).unwrap_or_default();
        self.calm = now.monotonic + wait;
        wait
    }
}
