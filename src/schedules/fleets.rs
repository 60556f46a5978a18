//! Several consumers that share a stream through a table of leases.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::try_all;
use super::world::{STREAM, World, a_while, current, with_thread};
use crate::core::fleet::lease::row::{Row, Seen, read};
use crate::delivery::batch::Batch;
use crate::error::Error;
use crate::error::lease_table::{LeaseTableError, LeaseTableErrorKind};
use crate::error::store::StoreErrorKind;
use crate::model::item::Item;
use crate::model::page::{Page, PageToken};
use crate::model::write::{Applied, Write};
use crate::store::leases::LeaseTable;
use crate::store::leases::fleet::Fleet;
use crate::store::leases::memory::{MemoryLeases, TableFault};
use crate::stream::Stream;
use crate::sync::Mutex;

/// The failover time.
const F: Duration = Duration::from_secs(3);

/// A table as one consumer sees it, who may lose sight of it.
#[derive(Clone)]
struct Sight {
    table: MemoryLeases,
    is_lost: Arc<AtomicBool>,
    /// The longest time that a call takes, in milliseconds.
    slowest: u64,
}

impl Sight {
    fn new(table: &MemoryLeases) -> Self {
        Self { table: table.clone(), is_lost: Arc::default(), slowest: 20 }
    }

    fn see<T>(
        &self,
        act: impl FnOnce() -> Result<T, LeaseTableError>,
    ) -> Result<T, LeaseTableError> {
        // A call takes time, and a failed one too.
        current().sleep_for(Duration::from_millis(fastrand::u64(..self.slowest)));
        if self.is_lost.load(Ordering::SeqCst) {
            return Err(LeaseTableError::new(LeaseTableErrorKind::Transient, "out of sight"));
        }
        act()
    }
}

impl LeaseTable for Sight {
    fn page(&self, after: Option<&PageToken>) -> Result<Page, LeaseTableError> {
        self.see(|| self.table.page(after))
    }

    fn get(&self, key: &str) -> Result<Option<Item>, LeaseTableError> {
        self.see(|| self.table.get(key))
    }

    fn apply(&self, write: &Write) -> Result<Applied, LeaseTableError> {
        self.see(|| self.table.apply(write))
    }
}

/// A consumer of this name.
fn stream(world: &World, table: &Sight, worker: &str) -> Stream {
    let fleet = Fleet::new(table.clone()).worker_id(worker).failover(F).handoff_patience(F * 3);
    let config = World::config().interval(Duration::from_millis(500));
    // Positions are written at once, or when their shard is left.
    let config = match fastrand::bool() {
        true => config,
        false => config.store_every(100, Duration::from_secs(60)),
    };
    Stream::new(world.kinesis.clone(), STREAM, fleet, config).unwrap()
}

fn rows(table: &MemoryLeases) -> Vec<Row> {
    let lease = |item| match read(&item) {
        Ok(Seen::Lease(row)) => *row,
        other => panic!("no lease: {other:?}"),
    };
    table.rows().into_iter().map(lease).collect()
}

/// Who holds leases.
fn owners(table: &MemoryLeases) -> BTreeSet<String> {
    rows(table).into_iter().filter_map(|row| row.owner).collect()
}

/// Reads until the end.
fn listen(world: &World, stream: Stream) -> Result<(), Error> {
    stream.listen(|batch| {
        world.take(batch);
        Ok(())
    })
}

/// Two consumers read, while something happens; then both stop. What each of them returned.
fn two(
    world: &World,
    table: &MemoryLeases,
    meanwhile: impl FnOnce(&[Sight; 2]) + Send,
) -> [Result<(), Error>; 2] {
    let sights = [Sight::new(table), Sight::new(table)];
    let [one, two] = [0, 1].map(|at| stream(world, &sights[at], ["one", "two"][at]));
    let stops = [one.shutdown(), two.shutdown()];
    let stop = || {
        meanwhile(&sights);
        wait_until(|| world.has_each());
        stops.iter().for_each(|stop| stop.drain(Duration::from_secs(10)));
    };
    let first = Mutex::new(Ok(()));
    let both = || with_thread(|| *first.lock() = listen(world, one), || listen(world, two));
    let second = with_thread(stop, both);
    [first.into_inner(), second]
}

/// Waits, and not for ever.
fn wait_until(is_so: impl Fn() -> bool) {
    for _ in 0..200 {
        if is_so() {
            return;
        }
        current().sleep_for(Duration::from_secs(1));
    }
}

#[test]
fn consumers_that_share_a_stream_read_each_record_once_and_give_back_all_leases() {
    try_all(|| {
        let (world, table) = (World::new(3), MemoryLeases::new());
        let ended = two(&world, &table, |_| {
            wait_until(|| owners(&table).len() == 2);
            world.put_to_each();
        });
        ended.into_iter().for_each(Result::unwrap);
        assert!(owners(&table).is_empty(), "{:?}", rows(&table));
        // Who comes next finds nothing that was handled.
        let next = stream(&world, &Sight::new(&table), "three");
        let stop = next.shutdown();
        let stops = || {
            wait_until(|| owners(&table).len() == 1);
            current().sleep_for(F);
            stop.now();
        };
        with_thread(stops, || listen(&world, next)).unwrap();
        world.check();
    });
}

#[test]
fn children_are_read_after_their_parents_whoever_holds_them() {
    try_all(|| {
        let (world, table) = (World::new(2), MemoryLeases::new());
        let ended = two(&world, &table, |_| {
            a_while();
            let shards = world.kinesis.shards(STREAM);
            if fastrand::bool() {
                world.kinesis.split(STREAM, shards[0].id());
            } else {
                world.kinesis.merge(STREAM, shards[0].id(), shards[1].id());
            }
            world.put(6);
        });
        ended.into_iter().for_each(Result::unwrap);
        world.check();
        let done = rows(&table).into_iter().filter(|row| row.checkpoint.is_end());
        assert!(done.count() > 0, "no end is stored: {:?}", rows(&table));
    });
}

#[test]
fn a_table_that_refuses_or_loses_replies_loses_no_record() {
    try_all(|| {
        let (world, table) = (World::new(2), MemoryLeases::new());
        let ended = two(&world, &table, |_| {
            for _ in 0..fastrand::u32(1..6) {
                a_while();
                let refused = TableFault::Refused(LeaseTableErrorKind::Throttled);
                let fault = if fastrand::bool() { TableFault::ReplyLost } else { refused };
                table.fail_next(fastrand::usize(1..8), fault);
                world.put_to_each();
                current().sleep_for(F.mul_f64(fastrand::f64()));
            }
        });
        for error in ended.into_iter().filter_map(Result::err) {
            // The last write is made once.
            let Error::Store { source, .. } = error else { panic!("{error:?}") };
            assert_eq!(source.kind(), StoreErrorKind::Retry, "{source:?}");
        }
        world.check_that_nothing_is_lost();
    });
}

#[test]
fn who_loses_sight_of_the_table_loses_its_shards_to_the_other_and_gets_some_again() {
    try_all(|| {
        let (world, table) = (World::new(2), MemoryLeases::new());
        let ended = two(&world, &table, |sights| {
            wait_until(|| owners(&table).len() == 2);
            sights[0].is_lost.store(true, Ordering::SeqCst);
            world.put_to_each();
            wait_until(|| owners(&table) == BTreeSet::from(["two".to_owned()]));
            assert_eq!(owners(&table).len(), 1, "its shards are not taken");
            world.put_to_each();
            sights[0].is_lost.store(false, Ordering::SeqCst);
            wait_until(|| owners(&table).len() == 2);
            assert_eq!(owners(&table).len(), 2, "it gets nothing again");
            world.put_to_each();
        });
        ended.into_iter().for_each(Result::unwrap);
        world.check_that_nothing_is_lost();
    });
}

#[test]
fn a_slow_table_has_its_leases_kept_up_by_several_threads() {
    try_all(|| {
        let (world, table) = (World::new(6), MemoryLeases::new());
        let sight = Sight { slowest: 800, ..Sight::new(&table) };
        let stream = stream(&world, &sight, "one");
        let stop = stream.shutdown();
        let stops = || {
            wait_until(|| world.has_each());
            world.put_to_each();
            wait_until(|| world.has_each());
            stop.drain(Duration::from_secs(60));
        };
        with_thread(stops, || listen(&world, stream)).unwrap();
        assert!(owners(&table).is_empty(), "{:?}", rows(&table));
        world.check();
    });
}

#[test]
fn a_consumer_that_drains_leaves_its_shards_to_the_others_and_nothing_comes_twice() {
    try_all(|| {
        let (world, table) = (World::new(2), MemoryLeases::new());
        let sight = Sight::new(&table);
        let streams = ["one", "two"].map(|worker| stream(&world, &sight, worker));
        let stops = streams.each_ref().map(Stream::shutdown);
        let [one, two] = streams;
        let listen = |stream| listen(&world, stream).unwrap();
        let stop = || {
            a_while();
            current().sleep_for(F.mul_f64(2.0 * fastrand::f64()));
            stops[0].drain(Duration::from_secs(60));
            world.put_to_each();
            wait_until(|| world.has_each());
            stops[1].now();
        };
        with_thread(|| with_thread(|| listen(one), || listen(two)), stop);
        world.check();
    });
}

#[test]
fn a_commit_after_the_loss_moves_no_position_back_and_ends_no_consumer() {
    try_all(|| {
        let (world, table) = (World::new(1), MemoryLeases::new());
        let sights = [Sight::new(&table), Sight::new(&table)];
        let one = stream(&world, &sights[0], "one");
        let (batches, listener) = one.receiver().unwrap();
        let batch: Batch = batches.recv().unwrap();
        assert!(batch.is_current());
        sights[0].is_lost.store(true, Ordering::SeqCst);
        let other = stream(&world, &sights[1], "two");
        let stop = other.shutdown();
        let late = || {
            wait_until(|| owners(&table) == BTreeSet::from(["two".to_owned()]));
            assert!(!batch.is_current());
            sights[0].is_lost.store(false, Ordering::SeqCst);
            wait_until(|| world.has_each());
            let before = rows(&table)[0].checkpoint.clone();
            match batch.commit() {
                Err(Error::Store { source, .. }) => assert_eq!(source.kind(), StoreErrorKind::Lost),
                // The other one has stored that, or it is to be written later.
                Ok(()) => {}
                Err(other) => panic!("{other:?}"),
            }
            assert!(rows(&table)[0].checkpoint.reach(&before).is_ge(), "it moves back");
            stop.now();
        };
        with_thread(late, || listen(&world, other)).unwrap();
        drop(batches);
        // Nothing else was lost of its own.
        listener.join().unwrap();
        world.check();
    });
}

#[test]
fn of_two_processes_with_one_name_one_is_refused() {
    try_all(|| {
        let (world, table) = (World::new(2), MemoryLeases::new());
        let sight = Sight::new(&table);
        let streams = ["one", "one"].map(|worker| stream(&world, &sight, worker));
        let stops = streams.each_ref().map(Stream::shutdown);
        let [one, two] = streams;
        let ended = Mutex::new(Vec::new());
        let listen = |stream| {
            let result = listen(&world, stream);
            ended.lock().push(result);
        };
        let stop = || {
            wait_until(|| world.has_each() && !ended.lock().is_empty());
            current().sleep_for(F);
            stops.iter().for_each(|stop| stop.now());
        };
        with_thread(|| with_thread(|| listen(one), || listen(two)), stop);
        world.check_that_nothing_is_lost();
        let refused = ended.into_inner().into_iter().filter_map(Result::err);
        let refused: Vec<_> = refused.map(|error| format!("{error:#}")).collect();
        assert!(refused.iter().any(|it| it.contains("same worker id")), "{refused:?}");
    });
}
