//! The leases of one run, over a table in memory and with a clock that a test moves.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::core::event::Word;
use crate::core::fleet::held::Moment;
use crate::core::fleet::lease::row::{Seen, read};
use crate::core::fleet::lease::writes::Marks;
use crate::core::fleet::steward::Settings;
use crate::core::fleet::steward::words::News;
use crate::error::lease_table::{LeaseTableError, LeaseTableErrorKind};
use crate::error::store::StoreErrorKind;
use crate::model::item::Item;
use crate::model::lease_call::LeaseCall;
use crate::model::page::{Page, PageToken};
use crate::model::position::{IteratorType, Position};
use crate::model::shard::{HashKeyRange, Shard};
use crate::model::write::{Applied, Write};
use crate::store::Store;
use crate::store::leases::LeaseTable;
use crate::store::leases::keeper::Keeper;
use crate::store::leases::memory::{MemoryLeases, TableFault};
use crate::sync::Mutex;

/// A keeper, whose clock stands still until it waits, or until a call hangs.
struct Trial {
    keeper: Arc<Keeper>,
    table: MemoryLeases,
    now: Arc<Mutex<Duration>>,
    /// By how much the wall clock is set forward at each look.
    jump: Arc<Mutex<Duration>>,
    faults: Faults,
}

/// With which error a write of this row fails.
type Faults = Arc<Mutex<Box<dyn Fn(&str) -> Option<LeaseTableErrorKind> + Send>>>;

/// A table of which some writes fail. Those that do not come to an answer take their time.
struct Fragile {
    table: MemoryLeases,
    now: Arc<Mutex<Duration>>,
    faults: Faults,
}

/// How long a call takes to which no answer comes.
const DEADLINE: Duration = Duration::from_secs(2);

impl LeaseTable for Fragile {
    fn page(&self, after: Option<&PageToken>) -> Result<Page, LeaseTableError> {
        self.table.page(after)
    }

    fn get(&self, key: &str) -> Result<Option<Item>, LeaseTableError> {
        self.table.get(key)
    }

    fn apply(&self, write: &Write) -> Result<Applied, LeaseTableError> {
        let fault = (self.faults.lock())(write.key());
        if let Some(kind) = fault {
            self.table.fail_next(1, TableFault::Refused(kind));
        }
        if fault == Some(LeaseTableErrorKind::Transient) {
            *self.now.lock() += DEADLINE;
        }
        self.table.apply(write)
    }
}

impl Trial {
    fn new() -> Self {
        Self::of(&["a"])
    }

    /// One that is to hold these shards.
    fn of(shards: &[&str]) -> Self {
        let settings = Settings {
            worker: "me".to_owned(),
            process: "me/1".to_owned(),
            marks: Marks {
                failover: Duration::from_secs(10),
                stream: "orders".to_owned(),
                limit: None,
            },
            patience: Duration::from_secs(30),
            budget: 100.0,
            retires: true,
            start: IteratorType::TrimHorizon,
        };
        let (table, now) = (MemoryLeases::new(), Arc::<Mutex<_>>::default());
        let (time, jump) = (Arc::clone(&now), Arc::<Mutex<Duration>>::default());
        let (set, ahead) = (Arc::clone(&jump), Mutex::new(Duration::ZERO));
        let clock = Arc::new(move || {
            let (now, mut ahead) = (*time.lock(), ahead.lock());
            *ahead += *set.lock();
            Moment { monotonic: now, wall: now + *ahead }
        });
        let faults: Faults = Arc::new(Mutex::new(Box::new(|_| None)));
        let (of_table, of_faults) = (Arc::clone(&now), Arc::clone(&faults));
        let fragile = Fragile { table: table.clone(), now: of_table, faults: of_faults };
        let rng = fastrand::Rng::with_seed(1);
        let keeper = Keeper::new(Arc::new(fragile), settings, clock, rng);
        let shard = |id: &&str| Shard::new(*id, HashKeyRange::ALL, "1".parse().unwrap());
        keeper.hears(Word::Listed(shards.iter().map(shard).collect()));
        Self { keeper, table, now, jump, faults }
    }

    /// One that holds all of these shards.
    fn holding(shards: &[&str]) -> Self {
        let trial = Self::of(shards);
        trial.live(60);
        assert_eq!(trial.owned(), shards.len());
        trial
    }

    fn live(&self, seconds: u32) {
        for _ in 0..seconds * 10 {
            *self.now.lock() += Duration::from_millis(100);
            while self.keeper.beat() == Some(Duration::ZERO) {}
            while self.keeper.call() == Some(Duration::ZERO) {}
        }
    }

    /// From now on writes of these rows fail so.
    fn fails(&self, faults: impl Fn(&str) -> Option<LeaseTableErrorKind> + Send + 'static) {
        *self.faults.lock() = Box::new(faults);
    }

    /// Stores a position of each shard.
    fn commit(&self, shards: &[&str], to: &str) -> Vec<Result<(), StoreErrorKind>> {
        let to = Position::after(to.parse().unwrap());
        let epochs = self.epochs();
        let commit = |shard: &&str| {
            let tenant = self.keeper.tenant(shard, epochs[*shard]);
            let stored = tenant.update_shard_iterator("orders", shard, &to);
            stored.map_err(|error| error.kind())
        };
        shards.iter().map(commit).collect()
    }

    /// The numbers of the tenures, as the rows say them.
    fn epochs(&self) -> BTreeMap<String, u64> {
        let rows = self.table.rows();
        let rows = rows.iter().map(|item| match read(item) {
            Ok(Seen::Lease(row)) => *row,
            other => panic!("no lease: {other:?}"),
        });
        rows.filter_map(|row| Some((row.shard, row.holder?.number()))).collect()
    }

    /// How many rows have an owner.
    fn owned(&self) -> usize {
        self.table.rows().iter().filter(|row| row.contains_key("leaseOwner")).count()
    }
}

#[test]
fn every_call_is_counted_once_with_what_it_is_for_and_what_came_of_it() {
    let trial = Trial::new();
    trial.table.fail_next(1, TableFault::Refused(LeaseTableErrorKind::Throttled));
    trial.live(60);
    let Some(News::Gained { .. }) = trial.keeper.take_news().first() else { panic!("no lease") };
    // Somebody deletes the row.
    trial.table.delete("a");
    let tenant = trial.keeper.tenant("a", 1);
    let end = Position::after("7".parse().unwrap());
    tenant.update_shard_iterator("orders", "a", &end).unwrap_err();
    trial.live(1);
    trial.keeper.end();

    let counts = trial.keeper.counts();
    let calls = counts.calls();
    let of = |call| calls.get(&call).copied().unwrap_or_default();
    assert!(of(LeaseCall::Beat) >= 10 && of(LeaseCall::Page) >= 4, "{calls:?}");
    assert_eq!((of(LeaseCall::Commit), of(LeaseCall::Create), of(LeaseCall::Ask)), (1, 1, 0));
    assert!(of(LeaseCall::Take) == 1 && !calls.contains_key(&LeaseCall::Ask), "{calls:?}");
    // The table in memory has no coordinator.
    let counted = calls.values().sum::<u64>() - of(LeaseCall::Coordinator);
    assert_eq!(counted, trial.table.calls());
    assert_eq!(counts.refused(), 1);
    assert_eq!(counts.errors(), BTreeMap::from([(LeaseTableErrorKind::Throttled, 1)]));
}

#[test]
fn whoever_waits_is_told_when_there_is_news_and_not_before() {
    let trial = Trial::new();
    assert!(trial.keeper.told().try_recv().is_err());
    trial.live(60);
    assert!(trial.keeper.told().try_recv().is_ok());
    trial.keeper.take_news();
    trial.live(20);
    assert!(trial.keeper.told().try_recv().is_err(), "there is nothing new");
    // Time alone makes news: nothing was written for too long.
    *trial.now.lock() += Duration::from_secs(60);
    trial.table.fail_next(9, TableFault::Refused(LeaseTableErrorKind::Transient));
    trial.keeper.beat();
    assert!(trial.keeper.told().try_recv().is_ok());
    let fenced = News::Fenced { shard: "a".to_owned() };
    assert!(trial.keeper.take_news().contains(&fenced));
}

#[test]
fn a_commit_whose_answer_does_not_come_is_tried_again_at_once_and_not_for_ever() {
    let refused = |kind| TableFault::Refused(kind);
    let transient = refused(LeaseTableErrorKind::Transient);
    for (fault, failures, calls, is_stored) in [
        (TableFault::ReplyLost, 2, 3, true),
        (TableFault::ReplyLost, 3, 3, false),
        (transient, 2, 3, true),
        (transient, 3, 3, false),
        // Who asks too much does not ask more.
        (refused(LeaseTableErrorKind::Throttled), 1, 1, false),
    ] {
        let trial = Trial::new();
        trial.live(60);
        let before = trial.table.calls();
        trial.table.fail_next(failures, fault);
        let (tenant, to) = (trial.keeper.tenant("a", 1), Position::after("7".parse().unwrap()));
        let stored = tenant.update_shard_iterator("orders", "a", &to);
        assert_eq!(trial.table.calls() - before, calls, "{fault:?}");
        let kind = stored.map_err(|error| error.kind());
        assert_eq!(kind, if is_stored { Ok(()) } else { Err(StoreErrorKind::Retry) }, "{fault:?}");
    }
}

const SHARDS: [&str; 12] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];

#[test]
fn the_end_releases_each_lease_also_if_others_fail() {
    for kind in
        [LeaseTableErrorKind::Throttled, LeaseTableErrorKind::Transient, LeaseTableErrorKind::Fatal]
    {
        let trial = Trial::holding(&SHARDS);
        let fails = |shard: &str| ["a", "d"].contains(&shard);
        trial.fails(move |shard| fails(shard).then_some(kind));
        trial.keeper.end();
        assert_eq!(trial.owned(), 2, "{kind:?}: {:#?}", trial.table.rows());
        // What may pass is tried again by the second call, after the last call of the other loop.
        trial.fails(|_| None);
        trial.keeper.end();
        let left = if kind == LeaseTableErrorKind::Fatal { 2 } else { 0 };
        assert_eq!(trial.owned(), left, "{kind:?}");
    }
}

#[test]
fn the_end_releases_the_last_lease_though_nothing_can_ever_be_written_of_all_others() {
    let trial = Trial::holding(&SHARDS);
    trial.fails(|shard| (shard != "l").then_some(LeaseTableErrorKind::Fatal));
    trial.keeper.end();
    assert_eq!(trial.owned(), SHARDS.len() - 1);
}

#[test]
fn the_end_tries_a_table_that_asks_for_fewer_calls_once_for_each_lease() {
    let trial = Trial::holding(&SHARDS);
    let before = trial.table.calls();
    trial.fails(|_| Some(LeaseTableErrorKind::Throttled));
    trial.keeper.end();
    assert_eq!(trial.table.calls() - before, 12);
}

#[test]
fn a_stop_asks_a_table_that_does_not_answer_three_times_whatever_the_number_of_shards() {
    let trial = Trial::holding(&SHARDS);
    trial.fails(|_| Some(LeaseTableErrorKind::Transient));
    // An outage before the stop tells nothing of the time after it.
    let before = trial.table.calls();
    trial.commit(&SHARDS[..2], "7");
    assert_eq!(trial.table.calls() - before, 6, "each commit is tried by itself");
    trial.keeper.hears(Word::Stopping);
    let (begun, before) = (*trial.now.lock(), trial.table.calls());
    let stored = trial.commit(&SHARDS, "8");
    assert_eq!(stored, [Err(StoreErrorKind::Retry); 12]);
    trial.keeper.end();
    trial.keeper.end();
    assert_eq!(trial.table.calls() - before, 3);
    assert_eq!(*trial.now.lock() - begun, DEADLINE * 3);
}

#[test]
fn a_stop_writes_all_again_as_soon_as_the_table_answers() {
    let trial = Trial::holding(&SHARDS);
    trial.fails(|_| Some(LeaseTableErrorKind::Transient));
    trial.keeper.hears(Word::Stopping);
    assert_eq!(trial.commit(&SHARDS, "7"), [Err(StoreErrorKind::Retry); 12]);
    trial.fails(|_| None);
    // A sign of life is answered.
    trial.live(4);
    assert_eq!(trial.commit(&SHARDS, "8"), [Ok(()); 12]);
    trial.keeper.end();
    assert_eq!(trial.owned(), 0);
}

#[test]
fn a_clock_that_is_set_makes_no_beat_slow() {
    let trial = Trial::holding(&SHARDS);
    assert_eq!(trial.keeper.hearts(), 1);
    *trial.jump.lock() = Duration::from_secs(3_600);
    // All beats are due, by the wall clock.
    for _ in 0..12 {
        assert_eq!(trial.keeper.beat(), Some(Duration::ZERO));
    }
    assert_eq!(trial.keeper.hearts(), 1);
}
