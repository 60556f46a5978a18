//! Processes that must not run at the same time as this one: with the same worker id, or with another failover time.
//!
//! A process that joins later is refused. It writes nothing before its first survey in which no row of such a process may be
//! alive. While it does not know that, it waits: for one failover time, the longer of the two.
//!
//! That a row moves proves that its holder lives only if the earlier sight of it was no older than this process: pages may be
//! some seconds old, and the last beats of its own former life, with the same id, come to light one after the other.
//!
//! Two processes do not see each other in time if they join at once, or if the other one holds nothing. Then:
//!
//! - With one worker id nobody can tell which of them came later. The one that sees the other first ends. No record is in
//!   danger, since each write depends on the nonce of its process. But other workers count the two as one, and each of the two
//!   counts the rows of the other as its own.
//! - With two failover times, a process that holds leases stays, and says so once; a process that holds none is refused. To
//!   stay is safe for both. A holder hands batches over for nine tenths of its own time after its last write, and each row says
//!   what that time is. A taker waits for the longer of its own time and the row's, in surveys and after requests. So a holder
//!   with the longer time has stopped before a taker with the shorter time takes its lease. The price is time: the leases of a
//!   dead worker are free after the longer one. Workers of KCL wait for their own time, which no row says: nobody can refuse
//!   them.

use crate::core::fleet::held::Moment;
use crate::core::fleet::lease::row::Row;
use crate::core::fleet::share::survey::{Holding, Row as Seen};
use crate::core::fleet::steward::outline::Sight;
use crate::core::fleet::steward::view::PAGE_AGE;
use crate::core::fleet::steward::words::{News, Refusal};
use crate::core::fleet::steward::{Settings, Steward};

impl Steward {
    /// Why this process must end, now that these rows have moved since the last survey.
    pub(super) fn refusal(&mut self, rows: &[Row]) -> Option<Refusal> {
        let is_proof = |sight: &Sight| sight.begun >= self.pace.joined + PAGE_AGE;
        if !self.sight.as_ref().is_some_and(is_proof) {
            return None;
        }
        let found = self.view.moved(rows).filter_map(|row| conflict(row, &self.settings));
        let must_stay = self.held() > 0;
        for refusal in found.collect::<Vec<_>>() {
            let Refusal::FailoverDiffers { worker, .. } = &refusal else { return Some(refusal) };
            if !must_stay {
                return Some(refusal);
            }
            if self.warned.insert(worker.clone()) {
                self.news.push(News::Beside(refusal));
            }
        }
        None
    }

    /// Whether this process takes part, after a survey. If it does not know yet, it surveys again, and writes nothing.
    pub(super) fn joins(&mut self, now: Moment, units: f64) -> bool {
        let is_in_doubt = |(row, seen): (&Row, &Seen)| {
            let may_live = !matches!(seen.holding, Holding::Free { .. } | Holding::Ended(None));
            may_live && conflict(row, &self.settings).is_some()
        };
        let mut rows = self.view.rows().iter().zip(self.survey.rows());
        self.has_joined = self.has_joined || !rows.any(is_in_doubt);
        if !self.has_joined {
            let workers = self.survey.live().count();
            self.survey_at =
                now.monotonic + self.pace.next(now.monotonic, workers, units, false, &mut self.rng);
        }
        self.has_joined
    }
}

/// The refusal, if a row is held by a process that must not run beside this one.
fn conflict(row: &Row, settings: &Settings) -> Option<Refusal> {
    let owner = row.working_owner()?;
    // KCL leaves what a former holder of ours has written.
    let holder = row.holder.as_ref().filter(|it| it.is_of(owner))?;
    if holder.process() == settings.process {
        return None;
    }
    let worker = owner.to_owned();
    if worker == settings.worker {
        return Some(Refusal::WorkerIdInUse { worker });
    }
    let ours = settings.marks.failover;
    let theirs = row.failover.filter(|theirs| *theirs != ours)?;
    Some(Refusal::FailoverDiffers { worker, theirs, ours })
}
