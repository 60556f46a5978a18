//! The stream, its producers and operators, and virtual time.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;

use super::clock::Clock;
use super::consumer::{Consumer, Task};
use super::counts::Counts;
use super::machine::Machine;
use super::plan::{Scenario, pick};
use super::store::{Faults, FaultyStore};
use super::timeline::Timeline;
use super::truth::Truth;
use crate::client::memory::MemoryKinesis;
use crate::core::settings::{OnForeign, OnGap};
use crate::error::Error;
use crate::error::client::ErrorClass;
use crate::error::store::StoreErrorKind;
use crate::model::gap::Gap;
use crate::model::position::IteratorType;
use crate::store::Store;

pub(super) const STREAM: &str = "orders";
/// When virtual time begins, since 1970.
pub(super) const EPOCH: Duration = Duration::from_secs(1_700_000_000);
/// How long, in virtual time, the consumer may take after the last fault.
const PATIENCE: Duration = Duration::from_secs(60 * 60);
/// How long a refusal that may pass is retried at least.
const REFUSAL_PATIENCE: Duration = Duration::from_secs(60);
/// The worker of a world that has a single one.
const ONLY: usize = 0;
/// More tasks than this mean that time does not pass.
const MAX_TASKS: u64 = 1_000_000;

/// When virtual time begins.
pub(super) fn epoch() -> SystemTime {
    UNIX_EPOCH + EPOCH
}

/// One simulated world.
pub(super) struct World {
    pub(super) rng: fastrand::Rng,
    pub(super) scenario: Scenario,
    pub(super) kinesis: MemoryKinesis,
    pub(super) store: Arc<FaultyStore>,
    pub(super) truth: Arc<Mutex<Truth>>,
    pub(super) timeline: Timeline<Task>,
    /// Whether faults still happen.
    pub(super) is_chaotic: bool,
    /// When every call fails.
    pub(super) outage: Range<Duration>,
    pub(super) counts: Counts,
    /// Whether the stream was deleted and created again in the present life of the consumer.
    pub(super) was_recreated: bool,
    /// Whether nothing is put for a long time.
    is_quiet: bool,
    /// Closed shards whose end an answer claimed too early.
    pub(super) false_ends: BTreeSet<String>,
    /// The shard that a listing lacked last.
    pub(super) hidden: Option<String>,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let scenario = Scenario::new(&mut rng);
        let kinesis = MemoryKinesis::with_manual_clock(epoch());
        let truth = Arc::new(Mutex::new(Truth::default()));
        let faults = Faults {
            rng: rng.fork(),
            rate: scenario.store_faults,
            refused: 0,
            unanswered: 0,
            losing: scenario.losses,
            lost: BTreeSet::new(),
        };
        let store = FaultyStore {
            positions: crate::store::local::LocalStore::new(),
            truth: Arc::clone(&truth),
            faults: Mutex::new(faults),
        };
        let mut world = Self {
            rng,
            scenario,
            kinesis,
            store: Arc::new(store),
            truth,
            timeline: Timeline::new(vec![Clock::default()]),
            is_chaotic: true,
            outage: Duration::ZERO..Duration::ZERO,
            counts: Counts { seeds: 1, ..Counts::default() },
            was_recreated: false,
            is_quiet: false,
            false_ends: BTreeSet::new(),
            hidden: None,
        };
        world.create();
        world
    }

    /// Runs all tasks, then judges.
    pub(super) fn run(mut self) -> Counts {
        for _ in 0..self.scenario.history {
            let time = Duration::from_millis(self.rng.u64(1..2000));
            self.pass(time);
            self.happen();
        }
        if let IteratorType::AtTimestamp(time) = self.scenario.config.iterator_type {
            // A time in the future is refused.
            let early = time.duration_since(self.kinesis.now()).unwrap_or_default();
            self.pass(early);
            self.truth.lock().starts_at(time);
        }
        // The last consumer continues after the last fault.
        let end = self.now() + self.scenario.chaos;
        let calm = end + self.scenario.config.interval * 5;
        let (from, length) = self.scenario.outage;
        let from = self.now() + self.scenario.chaos.mul_f64(from);
        self.outage = from..from + length;
        for _ in 0..self.scenario.happenings {
            let at = self.now() + (calm - self.now()).mul_f64(self.rng.f64());
            self.timeline.plan(at, Task::Happening);
        }
        self.timeline.plan(calm, Task::Calm);
        while self.now() < end {
            self.live(Some(end));
        }
        while self.is_chaotic || !self.is_complete() {
            self.live(None);
        }
        let faults = self.store.faults.lock();
        self.counts.faults_of("store refused", faults.refused);
        self.counts.faults_of("store wrote, reply lost", faults.unanswered);
        drop(faults);
        self.counts
    }

    /// One consumer, until a task ends it, or until it has read everything.
    fn live(&mut self, end: Option<Duration>) {
        self.timeline.begin_life(ONLY);
        self.was_recreated = false;
        self.truth.lock().begins();
        self.store.faults.lock().lost.clear();
        let began_in_chaos = self.is_chaotic;
        let mut consumer = Consumer::new(&self.machine(ONLY));
        let polls = self.scenario.config.interval * 1000;
        let limit = end.unwrap_or(self.now() + PATIENCE + polls);
        if end.is_some() {
            let (crash, stop) =
                (self.some_time(self.scenario.crashes), self.some_time(self.scenario.stops));
            self.timeline.plan_for(ONLY, crash, Task::Crash);
            let drains = self.rng.u8(0..3) == 0;
            self.timeline.plan_for(ONLY, stop, if drains { Task::Drain } else { Task::Stop });
        }
        consumer.begin(&mut self.machine(ONLY));
        let first = self.timeline.made();
        while !consumer.is_over() {
            let is_calm = !self.is_chaotic && !consumer.is_stopping();
            if is_calm && self.is_complete() {
                match self.scenario.quiet.take() {
                    Some(quiet) => self.be_quiet(quiet),
                    None if self.is_quiet => {}
                    None => {
                        consumer.stop(&mut self.machine(ONLY));
                        continue;
                    }
                }
            }
            let Some((at, whose, task)) = self.timeline.next() else {
                panic!("nothing happens any more: {}", self.missing());
            };
            assert!(end.is_some() || at < limit, "no end: {}", self.missing());
            assert!(
                self.timeline.made() - first < MAX_TASKS,
                "no end in a million steps: {}",
                self.missing()
            );
            self.pass(at.saturating_sub(self.now()));
            match task {
                _ if !self.timeline.is_alive(whose) => {}
                Task::Happening => self.happen(),
                Task::Retain => self.retain(),
                Task::Wake => {
                    self.is_quiet = false;
                    self.put();
                }
                Task::Calm => {
                    self.is_chaotic = false;
                    let mut faults = self.store.faults.lock();
                    (faults.rate, faults.losing) = (0.0, 0.0);
                }
                Task::Crash => {
                    self.counts.crashes += 1;
                    break;
                }
                task => consumer.does(&mut self.machine(ONLY), task),
            }
            if self.now() > limit {
                break;
            }
        }
        // The stream always has open shards.
        let is_lost = !self.store.faults.lock().lost.is_empty();
        let has_reason = consumer.is_stopping() || self.was_recreated || is_lost;
        assert!(!consumer.is_over() || has_reason, "the consumer ended by itself");
        self.judge(&consumer, began_in_chaos);
        if self.was_recreated && consumer.result().is_some() {
            self.counts.noticed += 1;
        }
        self.remedy(consumer.result());
        let pause = Duration::from_millis(self.rng.u64(1..5000));
        self.pass(pause);
        if self.is_chaotic && self.scenario.has_disasters && self.rng.u8(0..4) == 0 {
            self.be_absent();
        }
    }

    /// Nothing is put for longer than records are kept, while the consumer continues.
    fn be_quiet(&mut self, time: Duration) {
        self.counts.fault("quiet for longer than the retention");
        self.is_quiet = true;
        // If no answer says that there is nothing left to read, this is unknown.
        if self.scenario.oddities.tells_the_tip() {
            let held = self.kinesis.held(STREAM).into_iter().map(|record| record.sequence);
            self.truth.lock().is_quiet(&held.collect());
        }
        for hour in (6..=time.as_secs() / 3600).step_by(6) {
            let at = self.now() + Duration::from_secs(hour * 3600);
            self.timeline.plan(at, Task::Retain);
        }
        self.timeline.plan(self.now() + time, Task::Wake);
    }

    /// The user's reaction to a gap that stopped the consumer: chooses where to resume, or forgets all positions.
    fn remedy(&mut self, error: Option<&Error>) {
        let is_gap = matches!(error, Some(Error::Gap { .. }));
        if !is_gap || self.scenario.config.on_gap.foreign != OnForeign::Fail {
            return;
        }
        let is_latest = self.scenario.config.iterator_type == IteratorType::Latest;
        let choices = [OnForeign::Fail, OnForeign::Earliest, OnForeign::Latest];
        let choice = pick(&mut self.rng, &choices);
        if choice != OnForeign::Fail || is_latest {
            let choice = if choice == OnForeign::Fail { OnForeign::Earliest } else { choice };
            self.scenario.config.on_gap = OnGap::new().foreign(choice);
            return;
        }
        for (shard, _) in self.store.positions.shard_iterators(STREAM).unwrap() {
            self.store.positions.reset_shard_iterator(STREAM, &shard, None).unwrap();
        }
    }

    /// Whether everything was handled, and that is stored.
    fn is_complete(&self) -> bool {
        let positions = self.store.positions.shard_iterators(STREAM).unwrap();
        let truth = self.truth.lock();
        truth.is_complete() && truth.misplaced(&positions).is_none()
    }

    /// The records that never came, for the message.
    fn missing(&self) -> String {
        let positions = self.store.positions.shard_iterators(STREAM).unwrap();
        let truth = self.truth.lock();
        let (records, shard) = (truth.missing(), truth.misplaced(&positions));
        format!("records {records:?} never came, or the position of {shard:?} was never stored")
    }

    /// Whether the consumer had a reason for this end.
    fn judge(&self, consumer: &Consumer, in_chaos: bool) {
        match consumer.result() {
            None | Some(Error::Handler { .. }) => {}
            Some(Error::Gap { gap: Gap::Foreign { shard, .. }, .. })
                if self.truth.lock().is_retired(shard) => {}
            Some(Error::Gap {
                gap: Gap::Foreign { shard, .. } | Gap::Recreated { shard, .. },
                ..
            }) if self.scenario.config.on_gap.foreign == OnForeign::Fail
                && self.truth.lock().is_misfit(shard) => {}
            Some(Error::Gap { .. } | Error::StreamNotFound { .. }) if self.was_recreated => {}
            // By chance `start_patience` ended before the first complete listing.
            Some(Error::Client { shard: None, .. }) if in_chaos && !consumer.has_started => {}
            // For a minute by chance.
            Some(Error::Client { lasted: Some(lasted), source, .. })
                if in_chaos && *lasted >= REFUSAL_PATIENCE && is_refusal(source.class()) => {}
            Some(Error::StreamNotFound { .. }) if in_chaos && self.scenario.call_faults > 0.0 => {}
            Some(Error::Store { source, .. })
                if source.kind() == StoreErrorKind::Lost
                    && !self.store.faults.lock().lost.is_empty() => {}
            Some(Error::Store { .. }) if in_chaos && self.scenario.store_faults > 0.0 => {}
            Some(error) => panic!("no reason to fail: {error:?}"),
        }
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.timeline.pass(time);
        self.kinesis.advance(time);
    }

    /// The true time.
    pub(super) fn now(&self) -> Duration {
        self.timeline.now()
    }

    /// The world as a worker sees it.
    fn machine(&mut self, worker: usize) -> Machine<'_> {
        Machine { world: self, worker }
    }

    fn some_time(&mut self, mean: Duration) -> Duration {
        mean.mul_f64(2.0 * self.rng.f64())
    }
}

fn is_refusal(class: ErrorClass) -> bool {
    matches!(class, ErrorClass::Credentials | ErrorClass::Fatal | ErrorClass::NotFound)
}
