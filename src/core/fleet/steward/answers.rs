//! What follows from the answer to a call.

use crate::core::fleet::held::Moment;
use crate::core::fleet::lease::protocol::Look;
use crate::core::fleet::lease::refused::{Loss, is_asked};
use crate::core::fleet::lease::row::{Row, Seen, read};
use crate::core::fleet::lease::writes::{Birth, Tenure};
use crate::core::fleet::steward::lease::{Lease, Stage};
use crate::core::fleet::steward::requests::Verdict;
use crate::core::fleet::steward::words::{Act, Answer, Call, Job, News, Refusal};
use crate::core::fleet::steward::{Settings, Steward};
use crate::error::lease_table::{LeaseTableError, LeaseTableErrorKind};
use crate::model::item::Item;
use crate::model::page::PageToken;
use crate::model::write::Applied;

/// How often a write that may wait is tried.
pub(super) const TRIES: u32 = 3;

/// When a call was sent, and when its answer came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) sent: Moment,
    pub(crate) now: Moment,
}

impl Steward {
    /// Takes in the answer to a call.
    pub(crate) fn answered(&mut self, at: Span, call: Call, answer: Answer) {
        self.hears_of_table(at, answer.failure());
        match (call, answer) {
            (Call::Write(job), Answer::Applied(outcome)) => self.wrote(at, *job, outcome),
            (Call::Get { shard }, Answer::Item(outcome)) => self.looked(at, &shard, outcome),
            (Call::Coordinator, Answer::Item(outcome)) => self.asked_coordinator(at, outcome),
            (Call::Page { after }, Answer::Page(outcome)) => match outcome {
                Ok(page) => {
                    let is_last = self.scan.as_mut().is_some_and(|scan| scan.page(page));
                    if let Some(scan) = self.scan.take_if(|_| is_last) {
                        self.surveyed(&scan, at.now);
                    }
                }
                Err(error) => self.page_failed(at.now, after, error),
            },
            (call, answer) => debug_assert!(false, "{call:?} is not answered by {answer:?}"),
        }
    }

    fn page_failed(&mut self, now: Moment, after: Option<PageToken>, error: LeaseTableError) {
        if let Some(scan) = &mut self.scan {
            scan.again(after);
        }
        self.failed(now, error);
    }

    fn asked_coordinator(&mut self, at: Span, outcome: Result<Option<Item>, LeaseTableError>) {
        let look = match &outcome {
            Ok(item) => Look::coordinator(item.as_ref()),
            // Nothing is written before it is known.
            Err(_) => Look::Unread,
        };
        if let Some(scan) = &mut self.scan {
            scan.coordinator(look);
        }
        if let Err(error) = outcome {
            self.failed(at.now, error);
        }
    }

    /// A call that may wait failed.
    fn failed(&mut self, now: Moment, error: LeaseTableError) {
        match error.kind() {
            LeaseTableErrorKind::Throttled | LeaseTableErrorKind::Transient => {
                self.pause(now);
            }
            LeaseTableErrorKind::NoTable | LeaseTableErrorKind::Fatal => {
                self.fail(now, Refusal::Table(error));
            }
        }
    }

    /// A row that was asked for was read by itself.
    // long: one step for each thing that a look may say.
    fn looked(&mut self, at: Span, shard: &str, outcome: Result<Option<Item>, LeaseTableError>) {
        // The lease came before a request for it was tried once more, which has found the row of this process.
        if self.leases.contains_key(shard) {
            return self.requests.forget(shard);
        }
        let item = match outcome {
            Ok(item) => item,
            Err(error) => {
                self.requests.failed(shard, at.now.monotonic);
                return self.failed(at.now, error);
            }
        };
        let row = item.as_ref().and_then(row);
        let times = (at.sent.monotonic, at.now.monotonic);
        let Settings { worker, process, marks, patience, .. } = &self.settings;
        let (limits, me) = ((marks.failover, *patience), (&**worker, &**process));
        let verdict = self.requests.looked(shard, row.as_ref(), me, times, limits);
        let Some(row) = row else { return };
        let tenure = self.tenure(shard);
        match verdict {
            Verdict::Ready { from } => {
                let write = tenure.accept(&row, &self.settings.marks);
                self.plan_job(at.now, write, Act::Accept { tenure, from });
            }
            Verdict::Overdue { from } => {
                let write = tenure.take(&row, &self.settings.marks);
                self.plan_job(at.now, write, Act::Take { tenure, from: Some(from) });
            }
            Verdict::Wait | Verdict::Gone => {}
        }
        self.view.learn(row);
    }

    fn wrote(&mut self, at: Span, mut job: Job, outcome: Result<Applied, LeaseTableError>) {
        let first = *job.sent.get_or_insert(at.sent);
        let is_beat = matches!(job.act, Act::Beat { .. });
        match outcome {
            Ok(Applied::Done(item)) => self.done(at, job, &item),
            Ok(Applied::Refused(found)) => {
                // An earlier attempt, of which nothing was heard, may have been done.
                self.refused(Span { sent: first, ..at }, job, found.as_ref());
            }
            Err(error) => self.wrote_not(at, job, error),
        }
        // A beat lets no shard start, and there are many.
        if !is_beat {
            self.start_waiting(at.now);
        }
    }

    fn done(&mut self, at: Span, job: Job, item: &Item) {
        let shard = job.write.key().to_owned();
        match job.act {
            Act::Beat { epoch } => self.beat(at, &shard, epoch, item),
            Act::Take { tenure, from } => self.took(at, tenure, from, Some(item)),
            Act::Accept { tenure, from } => self.took(at, tenure, from, Some(item)),
            Act::Ask { of } => self.asked(&shard, of, at.now),
            Act::HandOver { epoch, to } => self.left_to(&shard, epoch, Some(to), row(item)),
            Act::Release { epoch, is_withdrawn } => {
                self.left_to(&shard, epoch, None, row(item));
                if is_withdrawn {
                    self.take_again(&shard, at.now);
                }
            }
            Act::LetGo => row(item).into_iter().for_each(|row| self.view.learn(row)),
            Act::Create(birth) => self.created(at, birth, Some(item)),
            Act::Expire { epoch } => self.expired(at.now, &shard, epoch, Some(item)),
            Act::Retire => self.view.forget(&shard),
        }
    }

    // long: one branch for each kind of write.
    fn refused(&mut self, at: Span, job: Job, found: Option<&Item>) {
        let shard = job.write.key().to_owned();
        match job.act {
            Act::Beat { epoch } => {
                let rng = &mut self.rng;
                let lease = self.leases.get_mut(&shard).filter(|it| it.epoch == epoch);
                let Some(lease) = lease else { return };
                lease.is_beating = false;
                lease.held.failed(at.now, rng);
                // What is being given up may be given up already: the answer to that tells.
                let is_left = lease.stage == Stage::Leaving || lease.has_ended(found);
                let why = lease.tenure.loss(found).filter(|_| !is_left);
                match (why, found) {
                    (Some(why), _) => self.lose(&shard, why),
                    (None, Some(item)) => self.found(at.now, &shard, epoch, item),
                    (None, None) => {}
                }
            }
            Act::Take { tenure, from } => self.took(at, tenure, from, found),
            Act::Accept { tenure, from } => self.took(at, tenure, from, found),
            Act::Ask { of } => {
                if is_asked(&self.settings.worker, found) {
                    self.asked(&shard, of, at.now);
                }
            }
            Act::HandOver { epoch, ref to } => {
                self.not_handed_over(at.now, &job, epoch, to, found);
            }
            Act::Release { epoch, .. } => self.not_released(at.now, job, epoch, found),
            Act::LetGo => self.not_let_go(at.now, &job, found),
            Act::Create(birth) => self.created(at, birth, found),
            Act::Expire { epoch } => self.expired(at.now, &shard, epoch, found),
            // It was created again, or is gone.
            Act::Retire => {}
        }
    }

    /// Nobody knows whether it was done, unless it was throttled.
    // long: beats, what must be written, and what may wait.
    fn wrote_not(&mut self, at: Span, job: Job, error: LeaseTableError) {
        let shard = job.write.key();
        if let Act::Beat { epoch } = job.act {
            let rng = &mut self.rng;
            if let Some(lease) = self.leases.get_mut(shard).filter(|it| it.epoch == epoch) {
                lease.is_beating = false;
                lease.held.failed(at.now, rng);
            }
            // What may wait waits, too.
            return self.failed(at.now, error);
        }
        let may_pass =
            matches!(error.kind(), LeaseTableErrorKind::Throttled | LeaseTableErrorKind::Transient);
        self.failed(at.now, error);
        if let (
            false,
            Act::HandOver { epoch, .. } | Act::Release { epoch, .. } | Act::Expire { epoch },
        ) = (may_pass, &job.act)
        {
            // It cannot be written: without beats the lease is free after the failover time.
            return self.left_to(job.write.key(), *epoch, None, None);
        }
        let is_held_up = job.is_urgent() && job.act != Act::LetGo;
        if may_pass && (is_held_up || job.failures + 1 < TRIES) {
            self.again(at.now, job);
        } else if may_pass && self.may_wait(&job) {
            // The table tells at the next look.
            self.requests.unheard(&job, at.now.monotonic);
        } else if may_pass {
            self.undo(&job, at.now);
        }
    }

    pub(super) fn again(&mut self, now: Moment, mut job: Job) {
        job.failures += 1;
        let most = self.settings.marks.failover / 48 * 2_u32.pow(job.failures.min(4));
        job.due = now.monotonic + most.mul_f64(0.1 + 0.9 * self.rng.f64());
        let is_held = match job.act {
            Act::HandOver { epoch, .. } | Act::Release { epoch, .. } | Act::Expire { epoch } => {
                self.lease(job.write.key(), epoch).is_some()
            }
            _ => self.may_wait(&job),
        };
        if is_held {
            self.jobs.push_back(job);
        } else {
            self.undo(&job, now);
        }
    }

    /// The table shows that this process lives.
    fn beat(&mut self, at: Span, shard: &str, epoch: u64, item: &Item) {
        let rng = &mut self.rng;
        let Some(lease) = self.leases.get_mut(shard).filter(|it| it.epoch == epoch) else { return };
        lease.is_beating = false;
        lease.held.shown(at.sent, rng);
        self.saw(at.now, shard, epoch, item);
    }

    /// A row that came with a refusal: of a lease that is held, or of one that the next beat tells to be lost.
    pub(super) fn found(&mut self, now: Moment, shard: &str, epoch: u64, item: &Item) {
        let Some(row) = row(item) else { return };
        if self.lease(shard, epoch).is_some_and(|it| it.tenure.holds(&row)) {
            self.saw(now, shard, epoch, item);
        } else {
            self.view.learn(row);
        }
    }

    /// A row of a lease that is held, as it is after a write of the holder.
    pub(super) fn saw(&mut self, now: Moment, shard: &str, epoch: u64, item: &Item) {
        let Some(row) = row(item) else { return };
        let lease = self.leases.get_mut(shard).filter(|it| it.epoch == epoch);
        // Answers may come in another order than the writes.
        let Some(lease) = lease.filter(|it| row.counter >= it.row.counter) else { return };
        let is_end = row.checkpoint.is_end();
        let by = row.owner.clone().filter(|owner| *owner != self.settings.worker);
        lease.row = row.clone();
        self.view.learn(row);
        if let Some(by) = by {
            self.recall(shard, by, now);
        }
        if is_end {
            self.keep_end(shard, now);
        }
    }

    /// The row says that the shard is done, and keeps its holder.
    pub(super) fn keep_end(&mut self, shard: &str, now: Moment) {
        let Some(lease) = self.leases.get_mut(shard) else { return };
        if lease.stage == Stage::Leaving {
            return;
        }
        let to = lease.row.owner.clone().filter(|owner| *owner != self.settings.worker);
        if to.is_none() {
            lease.stage = Stage::Ended;
        } else {
            lease.stage = Stage::Draining { to };
            self.leave(shard, now);
        }
        self.lift(shard);
    }

    /// It was written that the shard is done, which has left the stream; or somebody else has written the row.
    fn expired(&mut self, now: Moment, shard: &str, epoch: u64, found: Option<&Item>) {
        let Some(lease) = self.leases.get_mut(shard).filter(|it| it.epoch == epoch) else { return };
        if let Some(why) = lease.tenure.loss(found) {
            return self.lose(shard, why);
        }
        self.leave_again(now, shard, found.and_then(row));
        found.and_then(row).into_iter().for_each(|row| self.view.learn(row));
    }

    /// A lease was taken, accepted or created, or another one was quicker.
    fn took(&mut self, at: Span, tenure: Tenure, from: Option<String>, found: Option<&Item>) {
        let shard = tenure.shard.clone();
        // Answers may come in another order than the writes: tenures have their numbers in the order of these. And the ends of
        // two shards that were merged may both create the child in one tenure.
        if self.newest.get(&shard).is_some_and(|newest| *newest >= tenure.holder.number()) {
            return;
        }
        let row = found.and_then(row);
        self.view.found(&shard, row.as_ref());
        match row.filter(|row| tenure.holds(row)) {
            None => self.requests.failed(&shard, at.now.monotonic),
            Some(row) => {
                let is_asked = row.owner.clone().filter(|owner| *owner != self.settings.worker);
                self.gain(tenure, from, at.sent, row);
                if let Some(by) = is_asked {
                    self.recall(&shard, by, at.now);
                }
                if !self.may_gain() {
                    self.leave(&shard, at.now);
                }
            }
        }
    }

    /// A row was created, or was there.
    pub(super) fn created(&mut self, at: Span, birth: Birth, found: Option<&Item>) {
        match birth.tenure {
            Some(tenure) => self.took(at, tenure, None, found),
            None => {
                if let Some(row) = found.and_then(row) {
                    self.view.created(row, at.now.monotonic);
                }
            }
        }
    }

    pub(super) fn leave_again(&mut self, now: Moment, shard: &str, row: Option<Row>) {
        let Some(lease) = self.leases.get_mut(shard) else { return };
        let to = row.and_then(|row| row.owner).filter(|owner| *owner != self.settings.worker);
        lease.stage = Stage::Draining { to };
        self.leave(shard, now);
    }

    /// A lease is not held any more, as this process has wished.
    pub(super) fn left_to(
        &mut self,
        shard: &str,
        epoch: u64,
        to: Option<String>,
        row: Option<Row>,
    ) {
        if let Some(row) = row {
            self.view.learn(row);
        }
        if self.lease(shard, epoch).is_none() {
            return;
        }
        if self.leases.remove(shard).as_ref().is_some_and(Lease::is_awaited) {
            self.news.push(News::Left { shard: shard.to_owned(), to });
        }
    }

    /// The table says, in the answer to a commit, that the tenure is over.
    pub(super) fn lost(&mut self, shard: &str, epoch: u64, why: Loss) {
        if self.lease(shard, epoch).is_some() {
            self.lose(shard, why);
        }
    }
}

pub(super) fn row(item: &Item) -> Option<Row> {
    match read(item) {
        Ok(Seen::Lease(row)) => Some(*row),
        Ok(Seen::Protocol(_) | Seen::Other(_)) | Err(_) => None,
    }
}
