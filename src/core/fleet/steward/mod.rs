//! One process of a fleet: it turns what the table says into calls of the table, and into leases for its consumer.
//!
//! It makes no call and knows no clock. Whoever has it asks for the next call, makes it, and tells it the answer; several
//! may do so at once.

mod answering;
pub(crate) mod answers;
mod aside;
mod beating;
mod beside;
pub(crate) mod commit;
mod lease;
pub(crate) mod outline;
mod requests;
mod surveys;
#[cfg(test)]
mod tests;
mod view;
mod withdrawing;
pub(crate) mod words;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use crate::core::event::Word;
use crate::core::fleet::held::{Held, Moment};
use crate::core::fleet::lease::audit::Audit;
use crate::core::fleet::lease::protocol::Watch;
use crate::core::fleet::lease::refused::Loss;
use crate::core::fleet::lease::row::{Holder, Row};
use crate::core::fleet::lease::writes::{Marks, Tenure};
use crate::core::fleet::share::pace::Pace;
use crate::core::fleet::share::survey::Survey;
use crate::core::fleet::steward::answering::Answering;
use crate::core::fleet::steward::lease::{Lease, Stage};
use crate::core::fleet::steward::outline::Sight;
use crate::core::fleet::steward::requests::Requests;
use crate::core::fleet::steward::view::{Scan, View};
use crate::core::fleet::steward::words::{Act, Call, Job, News, Refusal};
use crate::core::retry::Retry;
use crate::model::position::IteratorType;
use crate::model::write::Write;

/// What a steward is told at its start.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The worker's id.
    pub(crate) worker: String,
    /// The nonce of the process: no other process has it, with the same id or another one.
    pub(crate) process: String,
    /// What rows of ours say of the fleet, and how many leases it holds at most.
    pub(crate) marks: Marks,
    /// How long a worker that was asked for a lease may handle what it has read.
    pub(crate) patience: Duration,
    /// Read units in a second, of all workers together.
    pub(crate) budget: f64,
    /// Whether rows of shards that are done are deleted.
    pub(crate) retires: bool,
    /// Where the shards of a first start begin.
    pub(crate) start: IteratorType,
}

/// One process of a fleet.
#[derive(Debug)]
pub(crate) struct Steward {
    settings: Settings,
    rng: fastrand::Rng,
    phase: Phase,
    survey: Survey,
    pace: Pace,
    protocol: Watch,
    /// Whether a survey has shown that nobody is there beside whom it must not run.
    has_joined: bool,
    /// Those with another failover time of whom was told.
    warned: BTreeSet<String>,
    audit: Audit,
    /// When the next survey begins.
    survey_at: Duration,
    scan: Option<Scan>,
    view: View,
    /// The leases that are held, by their shards.
    leases: BTreeMap<String, Lease>,
    requests: Requests,
    /// Tenures that were given up because their handler stood still, while batches of them are left.
    hanging: BTreeSet<u64>,
    jobs: VecDeque<Job>,
    /// The tenures of children that were born with one, perhaps, by their numbers: nothing was heard of that since then. Two
    /// shards that were merged may each have tried to create the child.
    births: BTreeMap<u64, (Tenure, Moment)>,
    /// How many tenures there were.
    tenures: u64,
    /// The last tenure in which each shard was held. The consumer, which was told of it, ignores earlier ones.
    newest: BTreeMap<String, u64>,
    /// How many leases it should hold.
    target: usize,
    /// Failures of calls in a row, and until when it asks for nothing that may wait.
    trouble: Retry,
    calm: Duration,
    answering: Answering,
    /// What the last survey has shown.
    sight: Option<Sight>,
    news: Vec<News>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Running,
    /// Nothing is taken any more; what is held is given up when it is handled.
    Stopping,
    /// All leases are given up.
    Leaving,
}

impl Steward {
    /// It surveys soon after `now`.
    // long: one line for each field.
    pub(crate) fn new(settings: Settings, now: Moment, mut rng: fastrand::Rng) -> Self {
        let (failover, patience) = (settings.marks.failover, settings.patience);
        let pace =
            Pace { failover, budget: settings.budget, joined: now.monotonic, has_watch: false };
        let survey_at = now.monotonic + pace.first(&mut rng);
        Self {
            survey: Survey::new(&settings.worker, failover, patience + failover),
            settings,
            rng,
            phase: Phase::Running,
            pace,
            protocol: Watch::default(),
            has_joined: false,
            warned: BTreeSet::new(),
            audit: Audit::default(),
            survey_at,
            scan: None,
            view: View::default(),
            leases: BTreeMap::new(),
            requests: Requests::default(),
            hanging: BTreeSet::new(),
            jobs: VecDeque::new(),
            births: BTreeMap::new(),
            newest: BTreeMap::new(),
            tenures: 0,
            target: 0,
            trouble: Retry::default(),
            calm: Duration::ZERO,
            answering: Answering::default(),
            sight: None,
            news: Vec::new(),
        }
    }

    /// Whether there is something that the consumer must know.
    pub(crate) fn has_news(&self) -> bool {
        !self.news.is_empty()
    }

    /// What the consumer must know since the last call.
    pub(crate) fn take_news(&mut self) -> Vec<News> {
        std::mem::take(&mut self.news)
    }

    /// The next call besides beats.
    pub(crate) fn next_call(&mut self, now: Moment) -> Option<Call> {
        self.watch_fences(now);
        if let Some(job) = self.next_job(now, Job::is_urgent) {
            return Some(Call::Write(Box::new(job)));
        }
        if self.phase != Phase::Running || now.monotonic < self.calm {
            return None;
        }
        if let Some(shard) = self.requests.next(now.monotonic) {
            return Some(Call::Get { shard });
        }
        self.drop_old_plans(now);
        if let Some(job) = self.next_job(now, |_| true) {
            return Some(Call::Write(Box::new(job)));
        }
        if self.scan.is_none() && self.survey_at <= now.monotonic {
            self.scan = Some(Scan::new(now));
        }
        self.scan.as_mut().and_then(Scan::next)
    }

    /// How long until the next call besides beats; `None` if none is planned.
    pub(crate) fn until_call(&self, now: Moment) -> Option<Duration> {
        let is_running = self.phase == Phase::Running;
        let of_jobs = self
            .jobs
            .iter()
            .filter(|job| is_running || job.is_urgent())
            .map(|job| if job.is_urgent() { job.due } else { job.due.max(self.calm) });
        let survey = match &self.scan {
            Some(scan) => scan.is_idle().then_some(self.calm),
            None => Some(self.survey_at.max(self.calm)),
        };
        let request = self.requests.due().map(|due| due.max(self.calm));
        let at = of_jobs.chain(request.into_iter().chain(survey).filter(|_| is_running)).min();
        at.map(|at| at.saturating_sub(now.monotonic))
    }

    /// The consumer says something.
    pub(crate) fn hears(&mut self, now: Moment, word: Word) {
        match word {
            Word::Listed(shards) => {
                self.view.listed(now.monotonic, shards);
                self.newest.retain(|shard, _| self.view.knows(shard));
                self.start_waiting(now);
                self.complete();
            }
            // After a loss the lease is gone already; else the consumer cannot read its shard.
            Word::Drained { shard, epoch } | Word::GivenUp { shard, epoch } => {
                if self.lease(&shard, epoch).is_some_and(|it| it.stage != Stage::Ended) {
                    self.leave(&shard, now);
                }
            }
            Word::Hangs { shard, epoch, age } => self.hangs(shard, epoch, age, now),
            Word::Emptied { epoch, .. } => self.emptied(epoch),
            Word::Stopping => self.stop(now),
        }
    }

    /// The consumer's run is over: what is still held is released.
    pub(crate) fn end(&mut self, now: Moment) {
        self.stop(now);
        self.phase = Phase::Leaving;
        // What has failed is tried now: there may be no later time.
        self.jobs.iter_mut().for_each(|job| job.due = Duration::ZERO);
        let held: Vec<_> = self.leases.keys().cloned().collect();
        held.iter().for_each(|shard| self.leave(shard, now));
    }

    /// Whether nothing is held, and nothing is on its way.
    #[cfg(test)]
    pub(crate) fn is_idle(&self) -> bool {
        self.leases.is_empty() && self.jobs.is_empty()
    }

    /// How many writes besides beats are to be made.
    pub(crate) fn writes(&self) -> usize {
        self.jobs.len()
    }

    /// How many leases are beaten for.
    pub(crate) fn leases(&self) -> usize {
        self.leases.len()
    }

    /// How many leases are held.
    pub(crate) fn held(&self) -> usize {
        self.leases.values().filter(|lease| lease.is_load()).count()
    }

    fn lease(&self, shard: &str, epoch: u64) -> Option<&Lease> {
        self.leases.get(shard).filter(|lease| lease.epoch == epoch)
    }

    fn lease_mut(&mut self, shard: &str, epoch: u64) -> Option<&mut Lease> {
        self.leases.get_mut(shard).filter(|lease| lease.epoch == epoch)
    }

    fn next_job(&mut self, now: Moment, may: impl Fn(&Job) -> bool) -> Option<Job> {
        let at = self.jobs.iter().position(|job| job.due <= now.monotonic && may(job))?;
        self.jobs.remove(at)
    }

    /// A plan is for the time when it was made.
    fn drop_old_plans(&mut self, now: Moment) {
        let (failover, requests) = (self.settings.marks.failover, &mut self.requests);
        self.jobs.retain(|job| {
            let is_valid = job.is_urgent() || now.since(job.made) <= failover;
            if !is_valid {
                requests.unheard(job, now.monotonic);
            }
            is_valid
        });
    }

    fn plan_job(&mut self, now: Moment, write: Write, act: Act) {
        self.jobs.push_back(Job::new(write, act, now));
    }

    /// A tenure that was never used before.
    fn tenure(&mut self, shard: &str) -> Tenure {
        self.tenures += 1;
        Tenure {
            shard: shard.to_owned(),
            worker: self.settings.worker.clone(),
            holder: Holder::new(&self.settings.process, self.tenures),
        }
    }

    fn stop(&mut self, now: Moment) {
        if self.phase != Phase::Running {
            return;
        }
        self.phase = Phase::Stopping;
        self.wants_no_more(now);
        self.scan = None;
        let mut idle = Vec::new();
        for (shard, lease) in &mut self.leases {
            match lease.stage {
                Stage::Waiting | Stage::Ended => idle.push(shard.clone()),
                Stage::Reading => {
                    lease.stage = Stage::Draining { to: None };
                    let (shard, epoch) = (shard.clone(), lease.epoch);
                    self.news.push(News::Asked { shard, epoch, by: None });
                }
                Stage::Draining { .. } | Stage::Leaving => {}
            }
        }
        idle.iter().for_each(|shard| self.leave(shard, now));
    }

    fn fail(&mut self, now: Moment, refusal: Refusal) {
        if self.phase == Phase::Running {
            self.stop(now);
            self.news.push(News::Failed(refusal));
        }
    }

    /// Gives up a lease of which everything that was read is handled.
    fn leave(&mut self, shard: &str, now: Moment) {
        let is_running = self.phase == Phase::Running;
        let Some(lease) = self.leases.get_mut(shard) else { return };
        let epoch = lease.epoch;
        let (write, act) = match std::mem::replace(&mut lease.stage, Stage::Leaving) {
            Stage::Leaving => return,
            Stage::Draining { to: Some(to) } => {
                (lease.tenure.hand_over(&to), Act::HandOver { epoch, to })
            }
            stage => {
                let is_withdrawn = is_running && stage == Stage::Draining { to: None };
                (lease.tenure.release(), Act::Release { epoch, is_withdrawn })
            }
        };
        self.plan_job(now, write, act);
    }

    /// Somebody has asked for a lease.
    fn recall(&mut self, shard: &str, by: String, now: Moment) {
        let Some(lease) = self.leases.get_mut(shard) else { return };
        match &lease.stage {
            Stage::Waiting => {
                lease.stage = Stage::Draining { to: Some(by) };
                self.leave(shard, now);
            }
            Stage::Reading => {
                lease.stage = Stage::Draining { to: Some(by.clone()) };
                let (shard, epoch) = (shard.to_owned(), lease.epoch);
                self.news.push(News::Asked { shard, epoch, by: Some(by) });
            }
            Stage::Draining { .. } => lease.stage = Stage::Draining { to: Some(by) },
            Stage::Leaving | Stage::Ended => {}
        }
    }

    fn lose(&mut self, shard: &str, why: Loss) {
        let lease = self.leases.remove(shard);
        // The row of what is done goes when its time has come.
        if why == Loss::Gone && lease.as_ref().is_some_and(|it| !it.row.checkpoint.is_end()) {
            self.view.forget(shard);
        }
        if let Some(lease) = lease.filter(Lease::is_awaited) {
            self.news.push(News::Lost { shard: shard.to_owned(), epoch: lease.epoch, why });
        }
    }

    /// A lease is held since a write that was sent at that moment.
    // long: one line for each field.
    fn gain(&mut self, tenure: Tenure, from: Option<String>, sent: Moment, row: Row) {
        let epoch = tenure.holder.number();
        let held = Held::new(self.settings.marks.failover, sent, &mut self.rng);
        let stage = if row.checkpoint.is_end() { Stage::Ended } else { Stage::Waiting };
        let shard = row.shard.clone();
        self.requests.forget(&shard);
        self.newest.insert(shard.clone(), epoch);
        self.births.retain(|_, (birth, _)| birth.shard != shard || birth.holder.number() > epoch);
        // It would take the lease from this process itself.
        self.jobs.retain(|job| !(job.gains() && job.write.key() == shard));
        self.view.learn(row.clone());
        let lease = Lease {
            tenure,
            epoch,
            held,
            row,
            stage,
            is_beating: false,
            is_ending: false,
            is_given_up: false,
            children: Vec::new(),
            heirs: BTreeSet::new(),
            listings: self.view.listings(),
            listings_at_end: None,
        };
        // A former tenure of this process, if it has one, is lost by the table's word.
        self.lose(&shard, Loss::Taken { by: Some(self.settings.worker.clone()) });
        self.leases.insert(shard.clone(), lease);
        self.news.push(News::Gained { shard, from });
    }
}
