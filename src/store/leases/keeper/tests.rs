//! The leases of one run, over a table in memory and with a clock that a test moves.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::core::event::Word;
use crate::core::fleet::held::Moment;
use crate::core::fleet::lease::writes::Marks;
use crate::core::fleet::steward::Settings;
use crate::core::fleet::steward::words::News;
use crate::error::lease_table::LeaseTableErrorKind;
use crate::error::store::StoreErrorKind;
use crate::model::lease_call::LeaseCall;
use crate::model::position::{IteratorType, Position};
use crate::model::shard::{HashKeyRange, Shard};
use crate::store::Store;
use crate::store::leases::keeper::Keeper;
use crate::store::leases::memory::{MemoryLeases, TableFault};
use crate::sync::Mutex;

/// A keeper, whose clock stands still until it waits.
struct Trial {
    keeper: Arc<Keeper>,
    table: MemoryLeases,
    now: Arc<Mutex<Duration>>,
}

impl Trial {
    fn new() -> Self {
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
        let time = Arc::clone(&now);
        let clock = Arc::new(move || {
            let now = *time.lock();
            Moment { monotonic: now, wall: now }
        });
        let rng = fastrand::Rng::with_seed(1);
        let keeper = Keeper::new(Arc::new(table.clone()), settings, clock, rng);
        let shard = Shard::new("a", HashKeyRange::ALL, "1".parse().unwrap());
        keeper.hears(Word::Listed(vec![shard]));
        Self { keeper, table, now }
    }

    fn live(&self, seconds: u32) {
        for _ in 0..seconds * 10 {
            *self.now.lock() += Duration::from_millis(100);
            while self.keeper.beat() == Some(Duration::ZERO) {}
            while self.keeper.call() == Some(Duration::ZERO) {}
        }
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
