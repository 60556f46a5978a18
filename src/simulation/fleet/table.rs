//! The table as each worker reaches it: calls that fail, that are slow, and pages that are old.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Unbounded};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::costs::Costs;
use super::oracle::{Change, Oracle, Who};
use crate::error::lease_table::{LeaseTableError, LeaseTableErrorKind};
use crate::model::item::{Attribute, Item, KEY};
use crate::model::page::{Page, PageToken};
use crate::model::write::{Act, Applied, Write};
use crate::simulation::counts::Counts;
use crate::simulation::plan::pick;
use crate::store::leases::LeaseTable;
use crate::store::leases::memory::MemoryLeases;

use LeaseTableErrorKind::{Throttled, Transient};

/// The one table of a world; a clone is the same one.
#[derive(Clone)]
pub(super) struct Table {
    state: Arc<Mutex<State>>,
}

/// The table for one worker, and perhaps for one tenure of it. A call through it is done at once, or fails.
#[derive(Clone)]
pub(super) struct WorkersTable {
    table: Table,
    worker: usize,
    tenure: Option<String>,
}

/// How often a call goes wrong, and how.
#[derive(Clone, Debug)]
pub(super) struct Faults {
    pub(super) failover: Duration,
    /// The chances that a call is not done, that it is done and its reply lost, that it is slow, and that from now on for
    /// a while all calls of its worker are throttled.
    pub(super) refused: f64,
    pub(super) lost: f64,
    pub(super) slow: f64,
    pub(super) throttled: f64,
    /// When no call is done.
    pub(super) down: Range<Duration>,
    /// How old the rows of a page may be.
    pub(super) page_age: Duration,
    pub(super) page_rows: usize,
}

/// How long a call is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trip {
    /// Until it is done.
    pub(super) there: Duration,
    /// From then on until its reply comes.
    pub(super) back: Duration,
}

struct State {
    leases: MemoryLeases,
    oracle: Arc<Mutex<Oracle>>,
    rng: fastrand::Rng,
    faults: Faults,
    counts: Counts,
    costs: Costs,
    /// The true time.
    now: Duration,
    /// Until when the calls of a worker are throttled.
    throttled: BTreeMap<usize, Duration>,
    /// What each row was since when, the oldest first; `None` where there was none.
    versions: BTreeMap<String, Vec<(Duration, Option<Item>)>>,
    /// The rows that workers have deleted, as they do when a shard is done.
    retired: BTreeSet<String>,
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Done,
    ReplyLost,
    Refused(LeaseTableErrorKind),
}

impl Faults {
    /// No fault but that pages are old.
    pub(super) fn none(failover: Duration) -> Self {
        Self {
            failover,
            refused: 0.0,
            lost: 0.0,
            slow: 0.0,
            throttled: 0.0,
            down: Duration::ZERO..Duration::ZERO,
            page_age: Duration::from_secs(2),
            page_rows: 1_000,
        }
    }

    /// Those of one seed, in a world whose faults end at this time.
    pub(super) fn drawn(rng: &mut fastrand::Rng, failover: Duration, end: Duration) -> Self {
        let from = end.mul_f64(rng.f64());
        let length = failover.mul_f64(20.0 * rng.f64()) * pick(rng, &[0, 0, 1]);
        Self {
            refused: pick(rng, &[0.0, 0.02, 0.2]),
            lost: pick(rng, &[0.0, 0.02, 0.2]),
            slow: pick(rng, &[0.0, 0.01, 0.1]),
            throttled: pick(rng, &[0.0, 0.0, 0.01]),
            down: from..from + length,
            page_rows: pick(rng, &[1, 3, 1_000]),
            ..Self::none(failover)
        }
    }
}

impl Table {
    /// An empty one.
    pub(super) fn new(oracle: Arc<Mutex<Oracle>>, faults: Faults, rng: fastrand::Rng) -> Self {
        let state = State {
            leases: MemoryLeases::new(),
            oracle,
            rng,
            faults,
            counts: Counts::default(),
            costs: Costs::default(),
            now: Duration::ZERO,
            throttled: BTreeMap::new(),
            versions: BTreeMap::new(),
            retired: BTreeSet::new(),
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// True time is that late now.
    pub(super) fn passes(&self, now: Duration) {
        self.state.lock().now = now;
    }

    /// From now on nothing goes wrong any more.
    pub(super) fn calms(&self) {
        let mut state = self.state.lock();
        state.faults = Faults::none(state.faults.failover);
        state.throttled.clear();
    }

    /// What went wrong so far.
    pub(super) fn counts(&self) -> Counts {
        self.state.lock().counts.clone()
    }

    /// Whether a shard has a row, or had one that a worker has deleted.
    pub(super) fn had(&self, shard: &str) -> bool {
        let state = self.state.lock();
        state.retired.contains(shard) || state.leases.row(shard).is_some()
    }

    /// What was called so far.
    pub(super) fn costs(&self) -> Costs {
        self.state.lock().costs
    }

    /// The table as this worker reaches it.
    pub(super) fn of(&self, worker: usize) -> WorkersTable {
        WorkersTable { table: self.clone(), worker, tenure: None }
    }

    /// How long the next call of a worker is on its way.
    pub(super) fn trip(&self, worker: usize) -> Trip {
        let mut state = self.state.lock();
        let (failover, slow) = (state.faults.failover, state.faults.slow);
        if state.rng.f64() < slow {
            state.counts.fault("table call slow");
            let whole = failover.mul_f64(3.0 * state.rng.f64());
            let there = whole.mul_f64(state.rng.f64());
            let until = state.now + whole;
            state.oracle.lock().patience().troubles(worker, until);
            return Trip { there, back: whole - there };
        }
        let mut millis = || Duration::from_millis(state.rng.u64(1..25));
        Trip { there: millis(), back: millis() }
    }

    /// Every row as it is now.
    pub(super) fn rows(&self) -> Vec<Item> {
        self.state.lock().leases.rows()
    }

    /// Somebody with a tool puts a row as he likes.
    pub(super) fn put_by_hand(&self, row: Item) {
        let mut state = self.state.lock();
        state.leases.put(row.clone());
        state.note(Who::Operator, None, row, true);
    }

    /// Somebody with a tool deletes a row.
    pub(super) fn delete_by_hand(&self, key: &str) {
        let mut state = self.state.lock();
        if let Some(row) = state.leases.delete(key) {
            state.forget(Who::Operator, None, &row);
        }
    }
}

impl WorkersTable {
    /// The table as a tenure of the worker writes it: the text is what tells this tenure from all others.
    pub(super) fn in_tenure(self, text: &str) -> Self {
        Self { tenure: Some(text.to_owned()), ..self }
    }

    fn call<T>(
        &self,
        act: impl FnOnce(&mut State) -> Result<T, LeaseTableError>,
    ) -> Result<T, LeaseTableError> {
        let mut state = self.table.state.lock();
        let fate = state.fate(self.worker);
        if fate != Fate::Done {
            let now = state.now;
            state.oracle.lock().patience().troubles(self.worker, now);
        }
        if let Fate::Refused(kind) = fate {
            return Err(LeaseTableError::new(kind, "picked by the seed"));
        }
        let done = act(&mut state)?;
        match fate {
            Fate::ReplyLost => Err(LeaseTableError::new(Transient, "the reply is lost")),
            _ => Ok(done),
        }
    }
}

impl LeaseTable for WorkersTable {
    fn page(&self, after: Option<&PageToken>) -> Result<Page, LeaseTableError> {
        self.call(|state| {
            state.costs.pages += 1;
            Ok(state.page(after))
        })
    }

    fn get(&self, key: &str) -> Result<Option<Item>, LeaseTableError> {
        self.call(|state| {
            state.costs.gets += 1;
            Ok(state.row(key))
        })
    }

    fn apply(&self, write: &Write) -> Result<Applied, LeaseTableError> {
        self.call(|state| state.apply(Who::Worker(self.worker), self.tenure.as_deref(), write))
    }
}

impl State {
    fn fate(&mut self, worker: usize) -> Fate {
        let Faults { refused, lost, throttled, .. } = self.faults;
        if self.faults.down.contains(&self.now) {
            self.counts.fault("table down");
            return Fate::Refused(Transient);
        }
        if self.rng.f64() < throttled {
            let time = self.faults.failover.mul_f64(5.0 * self.rng.f64());
            self.throttled.insert(worker, self.now + time);
        }
        if self.throttled.get(&worker).is_some_and(|until| self.now < *until) {
            self.counts.fault("table throttled");
            return Fate::Refused(Throttled);
        }
        if self.rng.f64() < refused {
            self.counts.fault("table refused");
            return Fate::Refused(Transient);
        }
        if self.rng.f64() < lost {
            self.counts.fault("table call done, reply lost");
            return Fate::ReplyLost;
        }
        Fate::Done
    }

    fn row(&self, key: &str) -> Option<Item> {
        self.leases.get(key).expect("no fault was requested of it")
    }

    /// Rows as they were some time ago.
    fn page(&mut self, after: Option<&PageToken>) -> Page {
        // Most reads of a real table show what was just written.
        let age = self.faults.page_age.mul_f64(self.rng.f64()) * u32::from(self.rng.bool());
        let (at, size) = (self.now.saturating_sub(age), self.faults.page_rows);
        let after = after.map_or(Unbounded, |after| Excluded(after.key()));
        let then = |versions: &[(Duration, Option<Item>)]| {
            let version = versions.iter().rev().find(|(since, _)| *since <= at);
            version.and_then(|(_, row)| row.clone())
        };
        let rows = self.versions.range::<str, _>((after, Unbounded));
        let rows = rows.filter_map(|(key, versions)| Some((key, then(versions)?)));
        let rows: Vec<_> = rows.take(size).collect();
        let next = rows.last().filter(|_| rows.len() == size);
        let next = next.map(|(key, _)| PageToken::after(*key));
        Page { items: rows.into_iter().map(|(_, row)| row).collect(), next, units: 1.0 }
    }

    fn apply(
        &mut self,
        who: Who,
        tenure: Option<&str>,
        write: &Write,
    ) -> Result<Applied, LeaseTableError> {
        self.costs.count(write);
        let applied = self.leases.apply(write)?;
        if let Applied::Done(row) = &applied {
            match write.act() {
                Act::Delete => self.forget(who, tenure, row),
                act => self.note(who, tenure, row.clone(), matches!(act, Act::Put(_))),
            }
        }
        Ok(applied)
    }

    /// A row was deleted.
    fn forget(&mut self, who: Who, tenure: Option<&str>, row: &Item) {
        let Some(key) = row.get(KEY).and_then(Attribute::text) else { return };
        if who != Who::Operator {
            self.retired.insert(key.to_owned());
        }
        self.changes(who, tenure, key, None, false);
    }

    /// A row was written.
    fn note(&mut self, who: Who, tenure: Option<&str>, row: Item, is_put: bool) {
        let key = row.get(KEY).and_then(Attribute::text).map(str::to_owned);
        if let Some(key) = key {
            self.changes(who, tenure, &key, Some(row), is_put);
        }
    }

    /// Tells the oracle, and keeps what the row was for pages that are old.
    fn changes(
        &mut self,
        who: Who,
        tenure: Option<&str>,
        key: &str,
        after: Option<Item>,
        is_put: bool,
    ) {
        let versions = self.versions.entry(key.to_owned()).or_default();
        let before = versions.last().and_then(|(_, row)| row.as_ref());
        let change = Change { who, tenure, before, after: after.as_ref(), is_put };
        self.oracle.lock().changed(&change);
        versions.push((self.now, after));
        // Of those that no page shows any more, the last is what it shows.
        let oldest = self.now.saturating_sub(self.faults.page_age);
        let old = versions.iter().take_while(|(since, _)| *since <= oldest).count();
        versions.drain(..old.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::fleet::lease::births::configured;
    use crate::core::fleet::lease::names;
    use crate::core::fleet::lease::writes::{Birth, Marks, create};
    use crate::model::position::IteratorType;
    use crate::model::shard::HashKeyRange;
    use crate::model::write::{Condition, Update};
    use crate::simulation::fleet::oracle::Rule;

    const F: Duration = Duration::from_secs(10);

    fn table(faults: Faults) -> Table {
        let oracle = Arc::new(Mutex::new(Oracle::default()));
        oracle.lock().born("shard", &[]);
        Table::new(oracle, faults, fastrand::Rng::with_seed(1))
    }

    fn created() -> Write {
        let birth = Birth {
            shard: "shard".to_owned(),
            parents: [].into(),
            hash_keys: HashKeyRange::ALL,
            checkpoint: configured(&IteratorType::TrimHorizon).unwrap(),
            tenure: None,
        };
        create(&birth, &Marks { failover: F, stream: "orders".to_owned(), limit: None })
    }

    fn grown() -> Write {
        Write::update("shard", Condition::Exists(KEY), Update::new().add(names::COUNTER, 1))
    }

    fn counter(row: &Item) -> &str {
        row[names::COUNTER].number().unwrap()
    }

    #[test]
    fn a_page_is_as_old_as_it_may_be_and_a_row_is_as_it_is() {
        let table = table(Faults::none(F));
        let ours = table.of(0);
        let mut ages = Vec::new();
        ours.apply(&created()).unwrap();
        for tick in 1..=500_u64 {
            table.passes(Duration::from_millis(100 * tick));
            ours.apply(&grown()).unwrap();
            assert_eq!(counter(&ours.get("shard").unwrap().unwrap()), tick.to_string());
            let page = ours.page(None).unwrap();
            ages.push(tick - counter(&page.items[0]).parse::<u64>().unwrap());
        }
        assert!(ages.contains(&0) && ages.contains(&19) && ages.iter().all(|age| *age <= 20));
        assert!(table.state.lock().versions["shard"].len() < 25, "what is too old is forgotten");
    }

    #[test]
    fn pages_follow_one_another_and_show_what_was_deleted_for_a_while() {
        let table = table(Faults { page_rows: 1, ..Faults::none(F) });
        let list = || {
            let (mut next, mut rows) = (None, 0);
            loop {
                let page = table.of(0).page(next.as_ref()).unwrap();
                rows += page.items.len();
                next = page.next;
                if next.is_none() {
                    return rows;
                }
            }
        };
        table.oracle_for_tests().lock().born("other", &[]);
        let mut other = Item::from([(KEY.to_owned(), "other".into())]);
        other.insert(names::COUNTER.to_owned(), 0_u64.into());
        other.insert(names::CHECKPOINT.to_owned(), names::TRIM_HORIZON.into());
        table.of(0).apply(&created()).unwrap();
        table.put_by_hand(other);
        table.passes(F);
        assert_eq!(list(), 2);
        table.delete_by_hand("other");
        assert_eq!(table.rows().len(), 1);
        let shown: Vec<_> = (0..50).map(|_| list()).collect();
        assert!(shown.contains(&2), "{shown:?}");
        table.passes(F * 2);
        assert_eq!(list(), 1);
    }

    #[test]
    fn every_fault_happens_and_a_lost_reply_is_of_a_write_that_was_done() {
        let faults = Faults {
            refused: 0.1,
            lost: 0.1,
            slow: 0.1,
            throttled: 0.001,
            down: F * 2..F * 4,
            ..Faults::none(F)
        };
        let table = table(faults);
        let tables = [table.of(0), table.of(1)];
        while tables[0].apply(&created()).is_err() {}
        let (mut done, mut slow) = (0, 0);
        for tick in 0..4_000 {
            table.passes(Duration::from_millis(tick * 20));
            let Trip { there, back } = table.trip(0);
            assert!(there + back < F * 3);
            slow += u64::from(there > F / 10 && back > F / 10);
            let before = counter(&table.rows()[0]).to_owned();
            let result = tables[tick as usize % 2].apply(&grown());
            let was_done = counter(&table.rows()[0]) != before;
            done += u64::from(was_done && result.is_err());
            assert!(was_done || result.is_err());
        }
        assert!(done > 100 && slow > 100, "{done} {slow}");
        let counts = table.counts().faults;
        for (name, least) in [("table down", 900), ("table throttled", 20), ("table refused", 100)]
        {
            assert!(counts[name] > least, "{name}: {counts:?}");
        }
        table.calms();
        assert!((0..100).all(|_| tables[0].apply(&grown()).is_ok()));
    }

    #[test]
    fn the_oracle_sees_each_write_with_its_tenure() {
        let table = table(Faults::none(F));
        table.of(0).apply(&created()).unwrap();
        let taken = Update::new().set(names::OWNER, "a").add(names::COUNTER, 1);
        let taken = Write::update("shard", Condition::Exists(KEY), taken);
        table.of(0).in_tenure("first").apply(&taken).unwrap();
        table.of(1).in_tenure("second").apply(&taken).unwrap();
        assert!(table.oracle_for_tests().lock().broken().is_empty());
        table.of(0).in_tenure("first").apply(&grown()).unwrap();
        let oracle = table.oracle_for_tests();
        assert_eq!(oracle.lock().broken()[0].rule, Rule::OldTenure);
    }

    impl Table {
        fn oracle_for_tests(&self) -> Arc<Mutex<Oracle>> {
            Arc::clone(&self.state.lock().oracle)
        }
    }
}
