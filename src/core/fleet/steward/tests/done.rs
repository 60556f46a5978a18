//! The end of a shard, where a worker of KCL keeps rows of such shards.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::core::event::Word;
use crate::core::fleet::held::Moment;
use crate::core::fleet::lease::names;
use crate::core::fleet::lease::writes::Marks;
use crate::core::fleet::steward::Settings;
use crate::core::fleet::steward::words::News;
use crate::model::item::{Item, KEY};
use crate::model::position::{IteratorType, Position};
use crate::model::shard::{HashKeyRange, Shard};
use crate::store::Store;
use crate::store::leases::keeper::Keeper;
use crate::store::leases::memory::MemoryLeases;

const PARENT: &str = "shardId-000000000000";

/// A keeper in virtual seconds.
struct Process {
    table: MemoryLeases,
    now: Arc<AtomicU64>,
    keeper: Arc<Keeper>,
}

impl Process {
    fn new(table: MemoryLeases) -> Self {
        let now = Arc::new(AtomicU64::new(0));
        let settings = Settings {
            worker: "me".to_owned(),
            process: "me/1".to_owned(),
            marks: Marks {
                failover: Duration::from_secs(10),
                limit: None,
                stream: "orders".to_owned(),
            },
            max_leases: None,
            patience: Duration::from_secs(30),
            budget: 100.0,
            retires: false,
            start: IteratorType::TrimHorizon,
        };
        let time = Arc::clone(&now);
        let clock = move || {
            let monotonic = Duration::from_secs(time.load(Ordering::Relaxed));
            Moment { monotonic, wall: monotonic }
        };
        let rng = fastrand::Rng::with_seed(1);
        let keeper = Keeper::new(Arc::new(table.clone()), settings, Arc::new(clock), rng);
        Self { table, now, keeper }
    }

    /// What is told in so many seconds.
    fn run(&self, seconds: u64) -> Vec<News> {
        for _ in 0..seconds {
            self.now.fetch_add(1, Ordering::Relaxed);
            self.keeper.beat();
            while self.keeper.call() == Some(Duration::ZERO) {}
        }
        self.keeper.take_news()
    }
}

/// A shard that was split.
fn listing() -> Vec<Shard> {
    let shard = |id: &str, keys, from: &str| Shard::new(id, keys, from.parse().unwrap());
    let (low, high) = (1 << 127, (1 << 127) + 1);
    let child = |id: &str, start, end| {
        let child = shard(id, HashKeyRange { start, end }, "20");
        child.with_parents(vec![PARENT.to_owned()])
    };
    vec![
        shard(PARENT, HashKeyRange::ALL, "10").with_ending("15".parse().unwrap()),
        child("shardId-000000000001", 0, low),
        child("shardId-000000000002", high, u128::MAX),
    ]
}

/// The row of a shard that a worker of KCL holds, and has renewed so often.
fn of_kcl(counter: u64) -> Item {
    Item::from([
        (KEY.to_owned(), "shardId-000000000001".into()),
        (names::COUNTER.to_owned(), counter.into()),
        (names::CHECKPOINT.to_owned(), names::TRIM_HORIZON.into()),
        (names::OWNER.to_owned(), "java".into()),
    ])
}

#[test]
fn a_row_that_is_retired_after_the_end_of_its_shard_is_no_loss() {
    let table = MemoryLeases::new();
    let process = Process::new(table.clone());
    process.keeper.hears(Word::Listed(listing()));
    let news = process.run(40);
    let leased = |it: &News| match it {
        News::Leased { shard, epoch, .. } if shard == PARENT => Some(*epoch),
        _ => None,
    };
    let epoch = news.iter().find_map(leased).expect("nobody else is there");
    for counter in 0..6 {
        table.put(of_kcl(counter));
        process.run(5);
    }
    let end = Position::End { sequence: "15".parse().unwrap() };
    process.keeper.tenant(PARENT, epoch).update_shard_iterator("orders", PARENT, &end).unwrap();
    assert!(process.table.row(PARENT).unwrap().contains_key(names::OWNER), "as KCL expects");
    table.delete(PARENT);
    let news = process.run(10);
    let is_lost = |it: &News| matches!(it, News::Lost { shard, .. } if shard == PARENT);
    assert!(!news.iter().any(is_lost), "{news:?}");
}
