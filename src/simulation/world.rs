//! The stream, its producers and operators, and virtual time.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;

use super::Counts;
use super::consumer::{Consumer, Task};
use super::plan::{Temper, pick};
use super::store::{Faults, FaultyStore};
use super::truth::Truth;
use crate::client::MemoryKinesis;
use crate::error::Error;
use crate::gap::Gap;
use crate::position::IteratorType;
use crate::shard::Shard;
use crate::store::Store;

pub(super) const STREAM: &str = "orders";
/// When virtual time begins, in seconds since 1970.
const EPOCH_SECONDS: u64 = 1_700_000_000;
/// How long, in virtual time, the consumer may take when nothing goes wrong any more.
const PATIENCE: Duration = Duration::from_secs(60 * 60);
/// Time that does not pass would be waited for in vain.
const MAX_TASKS: u64 = 1_000_000;
const MAX_OPEN_SHARDS: usize = 8;

/// When virtual time begins.
pub(super) fn epoch() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(EPOCH_SECONDS)
}

/// One simulated world.
pub(super) struct World {
    pub(super) rng: fastrand::Rng,
    pub(super) temper: Temper,
    pub(super) kinesis: MemoryKinesis,
    pub(super) store: Arc<FaultyStore>,
    pub(super) truth: Arc<Mutex<Truth>>,
    pub(super) now: Duration,
    /// The same in nanoseconds, for clocks.
    pub(super) time: Arc<AtomicU64>,
    /// Whether things still go wrong.
    pub(super) is_chaotic: bool,
    /// When every call fails.
    pub(super) outage: Range<Duration>,
    pub(super) counts: Counts,
    tasks: BTreeMap<(Duration, u64), (u64, Task)>,
    made: u64,
    /// Which consumer is running; the tasks of former ones are void.
    pub(super) life: u64,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let temper = Temper::new(&mut rng);
        let kinesis = MemoryKinesis::with_manual_clock(epoch());
        kinesis.create_stream(STREAM, temper.shards);
        kinesis.set_page_size(STREAM, temper.page_size);
        kinesis.announce_children(STREAM, temper.announces_children);
        kinesis.set_empty_answers(STREAM, temper.empty_answers);
        let truth = Arc::new(Mutex::new(Truth::default()));
        for shard in kinesis.shards(STREAM) {
            truth.lock().born(shard.id(), &[]);
        }
        let faults = Faults { rng: rng.fork(), rate: temper.store_faults, count: 0 };
        let store = FaultyStore {
            positions: crate::store::LocalStore::new(),
            truth: Arc::clone(&truth),
            faults: Mutex::new(faults),
        };
        Self {
            rng,
            temper,
            kinesis,
            store: Arc::new(store),
            truth,
            now: Duration::ZERO,
            time: Arc::default(),
            is_chaotic: true,
            outage: Duration::ZERO..Duration::ZERO,
            counts: Counts { seeds: 1, ..Counts::default() },
            tasks: BTreeMap::new(),
            made: 0,
            life: 0,
        }
    }

    /// Lets everything happen, then judges.
    pub(super) fn run(mut self) -> Counts {
        for _ in 0..self.temper.history {
            let time = Duration::from_millis(self.rng.u64(1..2000));
            self.pass(time);
            self.happen();
        }
        if let IteratorType::AtTimestamp(time) = self.temper.config.iterator_type {
            // A time in the future is refused.
            let early = time.duration_since(self.kinesis.now()).unwrap_or_default();
            self.pass(early);
            self.truth.lock().starts_at(time);
        }
        // The last consumer lives on when nothing goes wrong any more.
        let end = self.now + self.temper.chaos;
        let calm = end + self.temper.config.interval * 5;
        let (from, length) = self.temper.outage;
        let from = self.now + self.temper.chaos.mul_f64(from);
        self.outage = from..from + length;
        for _ in 0..self.temper.happenings {
            let at = self.now + (calm - self.now).mul_f64(self.rng.f64());
            self.plan_for(0, at, Task::Happening);
        }
        self.plan_for(0, calm, Task::Calm);
        while self.now < end {
            self.live(Some(end));
        }
        while self.is_chaotic || !self.is_complete() {
            self.live(None);
        }
        self.counts.faults += self.store.faults.lock().count;
        self.counts
    }

    /// One consumer, until it ends by what happens to it, or until it has read everything.
    fn live(&mut self, end: Option<Duration>) {
        self.life += 1;
        let began_in_chaos = self.is_chaotic;
        let mut consumer = Consumer::new(self);
        let polls = self.temper.config.interval * 1000;
        let limit = end.unwrap_or(self.now + PATIENCE + polls);
        if end.is_some() {
            let (crash, stop) =
                (self.some_time(self.temper.crashes), self.some_time(self.temper.stops));
            self.plan(crash, Task::Crash);
            self.plan(stop, Task::Stop);
        }
        consumer.begin(self);
        let first = self.made;
        while !consumer.is_over() {
            let is_calm = !self.is_chaotic && !consumer.is_stopping();
            if is_calm && self.is_complete() {
                consumer.stop(self);
                continue;
            }
            let Some(((at, _), (life, task))) = self.tasks.pop_first() else {
                panic!("nothing happens any more: {}", self.missing());
            };
            assert!(end.is_some() || at < limit, "no end: {}", self.missing());
            assert!(self.made - first < MAX_TASKS, "no end in a million steps: {}", self.missing());
            self.pass(at.saturating_sub(self.now));
            match task {
                Task::Happening => self.happen(),
                Task::Calm => {
                    self.is_chaotic = false;
                    self.store.faults.lock().rate = 0.0;
                }
                Task::Crash if life == self.life => {
                    self.counts.crashes += 1;
                    break;
                }
                task if life == self.life => consumer.does(self, task),
                _ => {}
            }
            if self.now > limit {
                break;
            }
        }
        // The stream has open shards to its last day.
        assert!(!consumer.is_over() || consumer.is_stopping(), "the consumer ended by itself");
        self.judge(&consumer, began_in_chaos);
        let pause = Duration::from_millis(self.rng.u64(1..5000));
        self.pass(pause);
    }

    /// Whether everything was handled, and that is stored.
    fn is_complete(&self) -> bool {
        let positions = self.store.positions.shard_iterators(STREAM).unwrap();
        let truth = self.truth.lock();
        truth.is_complete() && truth.misplaced(&positions).is_none()
    }

    /// What never came, for the message.
    fn missing(&self) -> String {
        let positions = self.store.positions.shard_iterators(STREAM).unwrap();
        let truth = self.truth.lock();
        let (records, shard) = (truth.missing(), truth.misplaced(&positions));
        format!("records {records:?} never came, or the position of {shard:?} was never stored")
    }

    /// Whether the consumer had a reason to end so.
    fn judge(&self, consumer: &Consumer, in_chaos: bool) {
        match consumer.result() {
            None | Some(Error::Handler { .. }) => {}
            Some(Error::Gap { gap: Gap::Foreign { shard, .. }, .. })
                if self.truth.lock().is_retired(shard) => {}
            // Patience ended by chance, before the first listing.
            Some(Error::Client { shard: None, .. }) if in_chaos && !consumer.has_listed => {}
            // Twice in a row by chance.
            Some(Error::Client { source, .. })
                if in_chaos && source.class() == crate::ErrorClass::Credentials => {}
            Some(Error::Store { .. }) if in_chaos && self.temper.store_faults > 0.0 => {}
            Some(error) => panic!("no reason to fail: {error:?}"),
        }
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.now += time;
        self.time.store(self.now.as_nanos() as u64, Ordering::Relaxed);
        self.kinesis.advance(time);
    }

    /// Something is done by the present consumer after this time.
    pub(super) fn plan(&mut self, after: Duration, task: Task) {
        self.plan_for(self.life, self.now + after, task);
    }

    fn plan_for(&mut self, life: u64, at: Duration, task: Task) {
        self.made += 1;
        self.tasks.insert((at, self.made), (life, task));
    }

    fn some_time(&mut self, mean: Duration) -> Duration {
        mean.mul_f64(2.0 * self.rng.f64())
    }

    /// Producers put, operators reshard, retention passes.
    fn happen(&mut self) {
        match self.rng.u8(0..20) {
            0..11 => self.put(),
            11..14 => self.split(),
            14..17 => self.merge(),
            17 => self.kinesis.expire_iterators(STREAM),
            18 => self.trim(),
            _ => self.retire(),
        }
    }

    fn put(&mut self) {
        for _ in 0..self.rng.u32(1..15) {
            let key = self.rng.u64(..).to_string();
            let put = self.kinesis.put(STREAM, &key, b"");
            let now = self.kinesis.now();
            self.truth.lock().put(&put.shard, put.sequence, now);
            self.counts.records += 1;
        }
    }

    fn split(&mut self) {
        let open = self.open_shards();
        let shard = &open[self.rng.usize(0..open.len())];
        if open.len() < MAX_OPEN_SHARDS {
            let parents = [shard.id().to_owned()];
            for child in self.kinesis.split(STREAM, shard.id()) {
                self.truth.lock().born(&child, &parents);
            }
            self.counts.splits += 1;
        }
    }

    fn merge(&mut self) {
        let mut open = self.open_shards();
        open.sort_by_key(|shard| shard.hash_keys().start);
        if open.len() > 1 {
            let pair = &open[self.rng.usize(0..open.len() - 1)..][..2];
            let parents = [pair[0].id().to_owned(), pair[1].id().to_owned()];
            let child = self.kinesis.merge(STREAM, &parents[0], &parents[1]);
            self.truth.lock().born(&child, &parents);
            self.counts.merges += 1;
        }
    }

    fn trim(&mut self) {
        let shards = self.kinesis.shards(STREAM);
        let shard = &shards[self.rng.usize(0..shards.len())];
        self.kinesis.trim(STREAM, shard.id(), self.rng.usize(1..10));
        let held = self.kinesis.held(STREAM);
        let left = held.iter().filter(|record| record.shard == shard.id()).count();
        self.truth.lock().trimmed(shard.id(), left);
    }

    /// The oldest closed shard ages out, as parents do before their children.
    fn retire(&mut self) {
        let closed = self.kinesis.shards(STREAM).into_iter().find(Shard::is_closed);
        if let Some(shard) = closed.filter(|_| pick(&mut self.rng, &[true, false])) {
            self.kinesis.retire(STREAM, shard.id());
            self.truth.lock().retired(shard.id());
        }
    }

    fn open_shards(&self) -> Vec<Shard> {
        self.kinesis.shards(STREAM).into_iter().filter(|shard| !shard.is_closed()).collect()
    }
}
