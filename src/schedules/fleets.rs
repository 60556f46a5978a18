//! Several consumers that share a stream through a table of leases.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use super::world::{STREAM, World, a_while, current, with_thread};
use super::{logs, try_all};
use crate::config::Config;
use crate::core::fleet::lease::row::{Row, Seen, read};
use crate::delivery::batch::Batch;
use crate::engine::monitor::Monitor;
use crate::error::Error;
use crate::error::lease_table::{LeaseTableError, LeaseTableErrorKind};
use crate::error::store::StoreErrorKind;
use crate::model::item::Item;
use crate::model::lease_call::LeaseCall;
use crate::model::notice::{LossReason, Notice};
use crate::model::page::{Page, PageToken};
use crate::model::write::{Applied, Write};
use crate::observe::fleet::FleetProgress;
use crate::store::leases::LeaseTable;
use crate::store::leases::fleet::Fleet;
use crate::store::leases::memory::{MemoryLeases, TableFault};
use crate::stream::Stream;
use crate::sync::{self, Mutex};

/// The failover time.
const F: Duration = Duration::from_secs(3);

/// A table as one consumer sees it, who may lose sight of it.
#[derive(Clone)]
struct Sight {
    table: MemoryLeases,
    is_lost: Arc<AtomicBool>,
    /// The longest time that a call takes, in milliseconds.
    slowest: u64,
    /// How often it has written, or tried to.
    writes: Arc<AtomicUsize>,
}

impl Sight {
    fn new(table: &MemoryLeases) -> Self {
        let (is_lost, writes) = (Arc::default(), Arc::default());
        Self { table: table.clone(), is_lost, slowest: 20, writes }
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
        self.writes.fetch_add(1, Ordering::SeqCst);
        self.see(|| self.table.apply(write))
    }
}

/// A consumer of this name.
fn stream(world: &World, table: &Sight, worker: &str) -> Stream {
    stream_of(fleet(table, worker), world, &Diary::default())
}

/// The same with a diary.
fn told(world: &World, table: &Sight, worker: &str, diary: &Diary) -> Stream {
    stream_of(fleet(table, worker), world, diary)
}

fn fleet(table: &Sight, worker: &str) -> Fleet {
    Fleet::new(table.clone()).worker_id(worker).failover(F).handoff_patience(F * 3)
}

fn stream_of(fleet: Fleet, world: &World, diary: &Diary) -> Stream {
    let config = World::config().interval(Duration::from_millis(500));
    // Positions are written at once, or when their shard is left.
    let config = match fastrand::bool() {
        true => config,
        false => config.store_every(100, Duration::from_secs(60)),
    };
    Stream::new(world.kinesis.clone(), STREAM, fleet, diary.listens(config)).unwrap()
}

/// What a consumer is told, and the batches that it gets, in one order.
#[derive(Clone, Default)]
struct Diary(Arc<Mutex<Vec<Entry>>>);

#[derive(Debug)]
enum Entry {
    Notice(Notice),
    Batch { shard: String, is_current: bool },
}

/// What the last notices say of a lease.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    is_held: bool,
    is_fenced: bool,
}

impl Diary {
    fn listens(&self, config: Config) -> Config {
        let diary = self.clone();
        config.on_notice(move |notice| diary.0.lock().push(Entry::Notice(notice.clone())))
    }

    fn gets(&self, batch: &Batch) {
        let (shard, is_current) = (batch.shard().to_owned(), batch.is_current());
        self.0.lock().push(Entry::Batch { shard, is_current });
    }

    /// How many leases were lost.
    fn losses(&self) -> usize {
        let is_loss = |entry: &&Entry| matches!(entry, Entry::Notice(Notice::Lost { .. }));
        self.0.lock().iter().filter(is_loss).count()
    }

    /// Each notice comes once, and in its place. What happened is noted.
    // long: one branch for each notice.
    fn check(&self) {
        let entries = self.0.lock();
        let (mut leases, mut is_out) = (BTreeMap::<String, Told>::new(), false);
        for (place, entry) in entries.iter().enumerate() {
            let wrong = || format!("at {place} of {entries:#?}");
            let notice = match entry {
                Entry::Notice(notice) => notice,
                Entry::Batch { shard, is_current } => {
                    let told = leases.get(shard).copied().unwrap_or_default();
                    // It may be on its way to the handler when the lease is lost.
                    assert!(told.is_held || !is_current, "{}", wrong());
                    continue;
                }
            };
            let (shard, before, after, note) = match notice {
                Notice::Gained { shard, .. } => (shard, (false, None), (true, false), "gained"),
                Notice::Fenced { shard } => (shard, (true, Some(false)), (true, true), "fenced"),
                Notice::Unfenced { shard } => {
                    (shard, (true, Some(true)), (true, false), "unfenced")
                }
                Notice::Released { shard, .. } => (shard, (true, None), (false, false), "released"),
                Notice::Lost { shard, why } => {
                    assert!(matches!(why, LossReason::Taken { by: Some(_), .. }), "{}", wrong());
                    (shard, (true, None), (false, false), "lost")
                }
                Notice::TableOutage { since } => {
                    assert!(*since > F / 3 && !std::mem::replace(&mut is_out, true), "{}", wrong());
                    current().note("outage");
                    continue;
                }
                Notice::TableRecovered { lasted } => {
                    assert!(*lasted > F / 3 && std::mem::take(&mut is_out), "{}", wrong());
                    continue;
                }
                other => panic!("{other:?}"),
            };
            let told = leases.entry(shard.clone()).or_default();
            let (is_held, is_fenced) = before;
            assert_eq!(told.is_held, is_held, "{}", wrong());
            assert!(is_fenced.is_none_or(|it| it == told.is_fenced), "{}", wrong());
            (told.is_held, told.is_fenced) = after;
            current().note(note);
        }
        assert!(!is_out, "the end of an outage is not told: {entries:#?}");
        assert!(leases.values().all(|told| !told.is_held), "a lease is kept: {entries:#?}");
    }
}

/// Runs a consumer on this thread. What its metrics are after that, if they are compiled.
fn measured(run: impl FnOnce()) -> Option<String> {
    #[cfg(feature = "metrics")]
    {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, run);
        Some(recorder.handle().render())
    }
    #[cfg(not(feature = "metrics"))]
    {
        run();
        None
    }
}

/// After a run the counters of its leases have their last values, and the gauges none.
fn check_metrics(seen: &str, known: &FleetProgress) {
    let beats = known.calls[&LeaseCall::Beat];
    let line = format!("kinesis_lease_calls_total{{stream=\"{STREAM}\",call=\"beat\"}} {beats}\n");
    assert!(seen.contains(&line), "{line}{seen}");
    let of_leases = seen.lines().filter(|line| line.starts_with("kinesis_lease"));
    let gauges = of_leases.filter(|line| !line.contains("_total"));
    let values: Vec<_> = gauges.map(|line| line.rsplit(' ').next()).collect();
    assert_eq!(values, [Some("0"); 6], "{seen}");
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

/// Who holds leases, and has not only asked for them.
fn holders(table: &MemoryLeases) -> BTreeSet<String> {
    let holder = |row: Row| {
        let owner = row.working_owner()?;
        row.holder.as_ref().filter(|it| it.is_of(owner)).map(|_| owner.to_owned())
    };
    rows(table).into_iter().filter_map(holder).collect()
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
fn who_joins_and_leaves_at_any_time_is_named_in_no_row_after_that() {
    let tally = try_all(|| {
        let (world, table) = (World::new(2), MemoryLeases::new());
        let one = stream(&world, &Sight::new(&table), "one");
        let sight = Sight { slowest: 500, ..Sight::new(&table) };
        let two = stream(&world, &sight, "two");
        let (all, joined) = (one.shutdown(), two.shutdown());
        let joins = || {
            wait_until(|| holders(&table).len() == 1);
            let leaves = || {
                // Its first write is a request, which may still be on its way.
                while sight.writes.load(Ordering::SeqCst) == 0 {
                    current().sleep_for(Duration::from_millis(20));
                }
                let most = if fastrand::bool() { 100 } else { 2_000 };
                current().sleep_for(Duration::from_millis(fastrand::u64(..most)));
                let is_asked = rows(&table).iter().any(|row| row.checkpoint_owner.is_some());
                current().note(if is_asked { "asked" } else { "not asked" });
                joined.drain(Duration::from_secs(10));
            };
            with_thread(leaves, || listen(&world, two)).unwrap();
            let named = |row: &Row| {
                [&row.owner, &row.checkpoint_owner, &row.asker]
                    .map(Clone::clone)
                    .contains(&Some("two".to_owned()))
            };
            assert!(!rows(&table).iter().any(named), "{:?}", rows(&table));
            all.drain(Duration::from_secs(10));
        };
        with_thread(joins, || listen(&world, one)).unwrap();
    });
    tally.each_occurs(&["asked", "not asked"]);
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
            // So many calls may fail in a row that the last write is given up.
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
fn a_stop_ends_soon_though_the_table_does_not_answer_and_has_no_position_of_many_shards() {
    try_all(|| {
        let (world, table) = (World::new(8), MemoryLeases::new());
        let sight = Sight { slowest: 1_000, ..Sight::new(&table) };
        let config = World::config().store_every(100, Duration::from_secs(60));
        let fleet = fleet(&sight, "one");
        let stream = Stream::new(world.kinesis.clone(), STREAM, fleet, config).unwrap();
        let (stop, stopped) = (stream.shutdown(), Mutex::new(None));
        let stops = || {
            world.put_to_each();
            wait_until(|| world.has_each());
            sight.is_lost.store(true, Ordering::SeqCst);
            *stopped.lock() = Some(sync::now());
            stop.now();
        };
        let ended = with_thread(stops, || listen(&world, stream));
        let lasted = sync::since(stopped.into_inner().expect("it was stopped"));
        // Calls in progress, one after the other, and three more.
        assert!(lasted < Duration::from_secs(6), "it took {lasted:?}");
        let Err(Error::Store { source, .. }) = ended else { panic!("{ended:?}") };
        assert_eq!(source.kind(), StoreErrorKind::Retry, "{source:?}");
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
fn of_two_processes_with_one_name_the_later_is_refused_and_has_written_nothing() {
    try_all(|| {
        let (world, table) = (World::new(2), MemoryLeases::new());
        let sights = [Sight::new(&table), Sight::new(&table)];
        let [one, two] = sights.each_ref().map(|sight| stream(&world, sight, "one"));
        let stop = one.shutdown();
        let later = || {
            wait_until(|| !holders(&table).is_empty());
            // Perhaps while it takes more.
            current().sleep_for(F.mul_f64(2.0 * fastrand::f64()));
            let refused = listen(&world, two).unwrap_err();
            assert!(format!("{refused:#}").contains("same worker id"), "{refused:#}");
            assert_eq!(sights[1].writes.load(Ordering::SeqCst), 0);
            world.put_to_each();
            wait_until(|| world.has_each());
            stop.drain(Duration::from_secs(10));
        };
        with_thread(later, || listen(&world, one)).unwrap();
        world.check();
    });
}

#[test]
fn of_two_processes_with_one_name_that_begin_at_once_one_is_refused() {
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

#[test]
fn what_becomes_of_each_lease_is_told_once_and_in_order() {
    let outcomes = try_all(|| {
        logs::keep();
        let (world, table) = (World::new(2), MemoryLeases::new());
        let sights = [Sight::new(&table), Sight::new(&table)];
        let diaries = [Diary::default(), Diary::default()];
        let [one, two] =
            [0, 1].map(|at| told(&world, &sights[at], ["one", "two"][at], &diaries[at]));
        let (stops, monitors) = ([one.shutdown(), two.shutdown()], [one.monitor(), two.monitor()]);
        let fleet = |at: usize| {
            let monitor: &Monitor = &monitors[at];
            monitor.progress().fleet.expect("it is in a fleet")
        };
        let listen = |stream: Stream, diary: &Diary| {
            let monitor = stream.monitor();
            let handle = |batch: &Batch| {
                diary.gets(batch);
                world.take(batch);
                Ok(())
            };
            let seen = measured(|| stream.listen(handle).unwrap());
            let known = monitor.progress().fleet.expect("it was in a fleet");
            seen.iter().for_each(|seen| check_metrics(seen, &known));
        };
        let stop = || {
            wait_until(|| holders(&table).len() == 2);
            wait_until(|| [0, 1].iter().all(|at| fleet(*at).workers == 2));
            assert_eq!((fleet(0).worker.as_str(), fleet(1).worker.as_str()), ("one", "two"));
            for _ in 0..fastrand::u32(..3) {
                sights[0].is_lost.store(true, Ordering::SeqCst);
                world.put_to_each();
                current().sleep_for(F.mul_f64(3.0 * fastrand::f64()));
                sights[0].is_lost.store(false, Ordering::SeqCst);
                current().sleep_for(F.mul_f64(3.0 * fastrand::f64()));
                world.put_to_each();
            }
            // Nothing that was on its way fails any more, and who holds nothing looks at the table once.
            current().sleep_for(F * 4);
            wait_until(|| world.has_each());
            stops.iter().for_each(|stop| stop.drain(Duration::from_secs(60)));
        };
        let [of_one, of_two] = &diaries;
        let both = || with_thread(|| listen(one, of_one), || listen(two, of_two));
        with_thread(stop, both);
        diaries.iter().for_each(Diary::check);
        let losses = diaries.iter().map(Diary::losses).sum::<usize>();
        let lines = ["its lease is lost: ", "it is given up"];
        assert_eq!(logs::told(&lines), vec![lines[0]; losses], "{:#?}", current().lines());
        for at in [0, 1] {
            let known = fleet(at);
            assert_eq!((known.held, known.target), (0, 0), "{known:?}");
            assert!(known.calls.contains_key(&LeaseCall::Beat), "{known:?}");
        }
        world.check_that_nothing_is_lost();
    });
    outcomes.each_occurs(&["gained", "fenced", "unfenced", "lost", "released", "outage"]);
}

#[test]
fn a_shard_that_was_read_to_its_end_is_neither_lost_nor_released() {
    try_all(|| {
        let (world, table, diary) = (World::new(1), MemoryLeases::new(), Diary::default());
        let stream = told(&world, &Sight::new(&table), "one", &diary);
        let stop = stream.shutdown();
        let shards = || world.kinesis.shards(STREAM).into_iter().map(|it| it.id().to_owned());
        let parent = shards().next().unwrap();
        let splits = || {
            wait_until(|| world.has_each());
            world.kinesis.split(STREAM, &parent);
            world.put(4);
            wait_until(|| rows(&table).iter().any(|row| row.checkpoint.is_end()));
            wait_until(|| world.has_each());
            stop.drain(Duration::from_secs(60));
        };
        let listen = || {
            stream.listen(|batch| {
                diary.gets(batch);
                world.take(batch);
                Ok(())
            })
        };
        with_thread(splits, listen).unwrap();
        let told = diary.0.lock();
        for shard in shards() {
            let of_it = told.iter().filter_map(|entry| match entry {
                Entry::Notice(Notice::Gained { shard: of, .. }) if *of == shard => Some("gained"),
                Entry::Notice(Notice::Released { shard: of, .. }) if *of == shard => {
                    Some("released")
                }
                Entry::Notice(Notice::Lost { shard: of, .. }) if *of == shard => Some("lost"),
                _ => None,
            });
            let is_done = shard == parent;
            let expected = if is_done { &["gained"][..] } else { &["gained", "released"] };
            assert_eq!(of_it.collect::<Vec<_>>(), expected, "{shard}: {told:#?}");
        }
        drop(told);
        world.check();
    });
}

#[test]
fn what_a_handler_hangs_on_is_handled_by_the_other_and_who_hangs_takes_nothing_meanwhile() {
    try_all(|| {
        let (world, table) = (World::new(2), MemoryLeases::new());
        let sight = Sight::new(&table);
        let one = fleet(&sight, "one").give_up_after(F * 3);
        let one = stream_of(one, &world, &Diary::default());
        let two = stream(&world, &sight, "two");
        let stops = [one.shutdown(), two.shutdown()];
        let [hangs, may_go_on] = [(); 2].map(|()| AtomicBool::new(false));
        let handler = |batch: &Batch| {
            if hangs.swap(true, Ordering::SeqCst) {
                world.take(batch);
                return Ok(());
            }
            // What it hangs on is not done when it returns.
            while !may_go_on.load(Ordering::SeqCst) {
                current().sleep_for(Duration::from_millis(300));
            }
            Ok(())
        };
        let script = || {
            wait_until(|| hangs.load(Ordering::SeqCst));
            // So that it has read something of each shard that it holds.
            world.put_to_each();
            let only_two = || owners(&table) == BTreeSet::from(["two".to_owned()]);
            wait_until(|| only_two() && world.has_each());
            assert!(world.has_each(), "what hangs is not handled by the other one");
            for _ in 0..20 {
                current().sleep_for(F / 3);
                assert!(only_two(), "it takes a lease: {:?}", rows(&table));
            }
            may_go_on.store(true, Ordering::SeqCst);
            wait_until(|| holders(&table).len() == 2);
            assert_eq!(holders(&table).len(), 2, "it gets nothing again");
            world.put_to_each();
            wait_until(|| world.has_each());
            stops.iter().for_each(|stop| stop.drain(Duration::from_secs(10)));
        };
        let first = || one.listen(handler).unwrap();
        with_thread(script, || with_thread(first, || listen(&world, two).unwrap()));
        world.check_that_nothing_is_lost();
        assert!(owners(&table).is_empty(), "{:?}", rows(&table));
    });
}
