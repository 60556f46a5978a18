//! What the calls of a table of leases have come to, for people.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::core::fleet::steward::words::{Act, Call};
use crate::error::lease_table::{LeaseTableError, LeaseTableErrorKind};
use crate::model::lease_call::LeaseCall;
use crate::model::write::Applied;

/// Counts of one run. Nothing depends on them, so their parts need no order.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    calls: [AtomicU64; LeaseCall::ALL.len()],
    refused: AtomicU64,
    errors: [AtomicU64; LeaseTableErrorKind::ALL.len()],
}

impl Counts {
    /// A call is made.
    pub(super) fn called(&self, call: LeaseCall) {
        self.calls[call as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// A read has failed, or not.
    pub(super) fn failed(&self, failure: Option<&LeaseTableError>) {
        if let Some(error) = failure {
            self.errors[error.kind() as usize].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A write was done, was refused, or has failed.
    pub(super) fn applied(&self, outcome: &Result<Applied, LeaseTableError>) {
        if let Ok(Applied::Refused(_)) = outcome {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        self.failed(outcome.as_ref().err());
    }

    /// How many calls there were of each kind that was made.
    pub(crate) fn calls(&self) -> BTreeMap<LeaseCall, u64> {
        by_name(LeaseCall::ALL, &self.calls)
    }

    /// How many writes were refused.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// How many calls failed with each kind of error.
    pub(crate) fn errors(&self) -> BTreeMap<LeaseTableErrorKind, u64> {
        by_name(LeaseTableErrorKind::ALL, &self.errors)
    }
}

/// What a call of a steward is for.
pub(super) fn kind(call: &Call) -> LeaseCall {
    match call {
        Call::Page { .. } => LeaseCall::Page,
        Call::Coordinator => LeaseCall::Coordinator,
        Call::Get { .. } => LeaseCall::Get,
        Call::Write(job) => match job.act {
            Act::Beat { .. } => LeaseCall::Beat,
            Act::Take { .. } => LeaseCall::Take,
            Act::Accept { .. } => LeaseCall::Accept,
            Act::Ask { .. } => LeaseCall::Ask,
            Act::HandOver { .. } => LeaseCall::HandOver,
            Act::Release { .. } => LeaseCall::Release,
            // It stores that the shard is done.
            Act::Expire { .. } => LeaseCall::Commit,
            Act::Create(_) => LeaseCall::Create,
            Act::Retire => LeaseCall::Retire,
        },
    }
}

fn by_name<K: Ord, const N: usize>(names: [K; N], counts: &[AtomicU64; N]) -> BTreeMap<K, u64> {
    let counts = counts.iter().map(|count| count.load(Ordering::Relaxed));
    names.into_iter().zip(counts).filter(|(_, count)| *count > 0).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::core::event::Word;
    use crate::core::fleet::held::Moment;
    use crate::core::fleet::lease::writes::Marks;
    use crate::core::fleet::steward::Settings;
    use crate::core::fleet::steward::words::News;
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
        let Some(News::Gained { .. }) = trial.keeper.take_news().first() else {
            panic!("no lease")
        };
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
}
