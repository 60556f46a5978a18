//! The three doors and their ends, over the in-memory Kinesis.

#![allow(clippy::unwrap_used, reason = "helpers of tests, which Clippy does not see as tests")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, bounded, unbounded};
use kinesis_consumer::{
    Batch, BoxError, Config, Error, Handler, LocalStore, MemoryKinesis, Position, Store, Stream,
};

const SOON: Duration = Duration::from_secs(10);

fn config() -> Config {
    Config::new().interval(Duration::from_millis(2))
}

fn kinesis(shards: usize, records: usize) -> MemoryKinesis {
    let kinesis = MemoryKinesis::new();
    kinesis.create_stream("orders", shards);
    for record in 0..records {
        kinesis.put("orders", &format!("key-{record}"), record.to_string().as_bytes());
    }
    kinesis
}

fn stream(kinesis: &MemoryKinesis, store: &Arc<LocalStore>) -> Stream {
    Stream::new(kinesis.clone(), "orders", Arc::clone(store), config()).unwrap()
}

/// Closes every open shard, so that reading comes to an end: what it had is read first.
fn numbers(batch: &Batch) -> Vec<usize> {
    let text = |data: &[u8]| String::from_utf8(data.to_vec()).unwrap();
    batch.records().iter().map(|record| text(record.data()).parse().unwrap()).collect()
}

#[test]
fn listen_reads_every_record_once_and_stores_how_far_it_came() {
    let (kinesis, store) = (kinesis(4, 1000), Arc::new(LocalStore::new()));
    let stream = stream(&kinesis, &store);
    let shutdown = stream.shutdown();
    // Not 'static, not Send: the handler runs on this thread.
    let mut seen = BTreeMap::new();
    let caller = std::thread::current().id();
    stream
        .listen(|batch| {
            assert_eq!(std::thread::current().id(), caller);
            numbers(batch).into_iter().for_each(|number| *seen.entry(number).or_insert(0) += 1);
            if seen.len() == 1000 {
                shutdown.now();
            }
            Ok(())
        })
        .unwrap();
    assert!(seen.len() == 1000 && seen.values().all(|count| *count == 1));
    for held in kinesis.shards("orders") {
        let stored = store.get_shard_iterator("orders", held.id()).unwrap();
        assert!(matches!(stored, Some(Position::After { .. })), "{stored:?}");
    }
}

#[test]
fn a_second_run_goes_on_where_the_first_one_committed() {
    let (kinesis, store) = (kinesis(2, 100), Arc::new(LocalStore::new()));
    let mut seen = Vec::new();
    for (run, upto) in [(0, 100), (1, 150)] {
        if run == 1 {
            (100..150).for_each(|number| {
                kinesis.put("orders", &number.to_string(), number.to_string().as_bytes());
            });
        }
        let stream = stream(&kinesis, &store);
        let shutdown = stream.shutdown();
        stream
            .listen(|batch| {
                seen.extend(numbers(batch));
                if seen.len() == upto {
                    shutdown.now();
                }
                Ok(())
            })
            .unwrap();
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..150).collect::<Vec<_>>());
}

#[test]
fn a_handlers_error_comes_out_and_its_batch_comes_again() {
    let (kinesis, store) = (kinesis(1, 10), Arc::new(LocalStore::new()));
    let error = stream(&kinesis, &store).listen(|_| Err("no room".into())).unwrap_err();
    assert!(matches!(&error, Error::Handler { source, .. } if source.to_string() == "no room"));
    assert_eq!(error.shard(), Some("shardId-000000000000"));
    assert_eq!(store.get_shard_iterator("orders", "shardId-000000000000").unwrap(), None);

    let again = stream(&kinesis, &store);
    let (shutdown, mut seen) = (again.shutdown(), Vec::new());
    again
        .listen(|batch| {
            seen.extend(numbers(batch));
            shutdown.now();
            Ok(())
        })
        .unwrap();
    assert_eq!(seen, (0..10).collect::<Vec<_>>());
}

#[test]
fn a_handlers_panic_reaches_the_caller_of_listen_and_of_join() {
    let (kinesis, store) = (kinesis(3, 30), Arc::new(LocalStore::new()));
    let listening = stream(&kinesis, &store);
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        listening.listen(|_| panic!("out of order"))
    }));
    assert_eq!(panic.unwrap_err().downcast_ref(), Some(&"out of order"));

    let listener = stream(&kinesis, &store).spawn(|_| panic!("out of order")).unwrap();
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| listener.join()));
    assert_eq!(panic.unwrap_err().downcast_ref(), Some(&"out of order"));
    assert!(store.shard_iterators("orders").unwrap().is_empty());
}

#[test]
fn a_panic_of_the_store_reaches_the_caller() {
    struct Broken;
    impl Store for Broken {
        fn get_shard_iterator(
            &self,
            _: &str,
            _: &str,
        ) -> Result<Option<Position>, kinesis_consumer::StoreError> {
            panic!("broken store")
        }
        fn update_shard_iterator(
            &self,
            _: &str,
            _: &str,
            _: &Position,
        ) -> Result<(), kinesis_consumer::StoreError> {
            panic!("broken store")
        }
        fn shard_iterators(
            &self,
            _: &str,
        ) -> Result<Vec<(String, Position)>, kinesis_consumer::StoreError> {
            panic!("broken store")
        }
        fn reset_shard_iterator(
            &self,
            _: &str,
            _: &str,
            _: Option<&Position>,
        ) -> Result<(), kinesis_consumer::StoreError> {
            panic!("broken store")
        }
    }
    let stream = Stream::new(kinesis(1, 1), "orders", Broken, config()).unwrap();
    let panic =
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| stream.listen(|_| Ok(()))));
    assert_eq!(panic.unwrap_err().downcast_ref(), Some(&"broken store"));
}

#[test]
fn a_closed_stream_is_read_to_its_end_parents_first() {
    let kinesis = kinesis(1, 50);
    let [low, high] = kinesis.split("orders", "shardId-000000000000");
    kinesis.put_to("orders", &low, "a", b"50");
    kinesis.put_to("orders", &high, "b", b"51");
    let merged = kinesis.merge("orders", &low, &high);
    kinesis.put_to("orders", &merged, "c", b"52");
    let store = Arc::new(LocalStore::new());
    let stream = stream(&kinesis, &store);
    let shutdown = stream.shutdown();
    let (mut seen, mut ended) = (Vec::new(), Vec::new());
    stream
        .listen(|batch| {
            seen.extend(numbers(batch));
            ended.extend(batch.ends_shard().then(|| batch.shard().to_owned()));
            if seen.last() == Some(&52) {
                shutdown.now();
            }
            Ok(())
        })
        .unwrap();
    assert_eq!(seen[..50], (0..50).collect::<Vec<_>>());
    seen[50..52].sort_unstable();
    assert_eq!(seen[50..], [50, 51, 52]);
    assert_eq!(ended.len(), 3);
    for shard in ended {
        assert!(store.get_shard_iterator("orders", &shard).unwrap().unwrap().is_end());
    }
}

#[test]
fn a_receiver_yields_batches_that_the_user_commits_even_after_the_shutdown() {
    let (kinesis, store) = (kinesis(1, 10), Arc::new(LocalStore::new()));
    let (batches, listener) = stream(&kinesis, &store).receiver().unwrap();
    let batch = batches.recv_timeout(SOON).unwrap();
    assert_eq!(numbers(&batch), (0..10).collect::<Vec<_>>());
    let (records, commit) = batch.into_parts();
    let last = records.last().unwrap().position();
    drop(records);
    listener.shutdown().now();
    listener.join().unwrap();
    assert!(batches.recv().is_err());
    assert_eq!(store.get_shard_iterator("orders", commit.shard()).unwrap(), None);
    commit.commit().unwrap();
    commit.commit().unwrap();
    assert_eq!(store.get_shard_iterator("orders", commit.shard()).unwrap(), Some(last));
}

#[test]
fn a_later_batch_does_not_cover_an_earlier_one() {
    let (kinesis, store) = (kinesis(1, 0), Arc::new(LocalStore::new()));
    let (batches, listener) = stream(&kinesis, &store).receiver().unwrap();
    let mut taken = Vec::new();
    for number in 0..3 {
        kinesis.put("orders", "key", number.to_string().as_bytes());
        taken.push(batches.recv_timeout(SOON).unwrap());
    }
    let stored = || store.get_shard_iterator("orders", "shardId-000000000000").unwrap();
    taken[2].commit().unwrap();
    assert_eq!(stored(), None);
    taken[0].commit().unwrap();
    assert_eq!(stored(), taken[0].records().last().map(|last| last.position()));
    taken[1].commit().unwrap();
    assert_eq!(stored(), taken[2].records().last().map(|last| last.position()));
    drop(listener);
}

#[test]
fn dropping_every_receiver_stops_the_consumer_at_the_next_batch() {
    let (kinesis, store) = (kinesis(2, 10), Arc::new(LocalStore::new()));
    let (batches, listener) = stream(&kinesis, &store).receiver().unwrap();
    drop(batches);
    listener.join().unwrap();
    assert!(store.shard_iterators("orders").unwrap().is_empty());
}

#[test]
fn dropping_the_listener_stops_the_consumer_and_waits_for_it() {
    let (kinesis, store) = (kinesis(2, 10), Arc::new(LocalStore::new()));
    let (batches, listener) = stream(&kinesis, &store).receiver().unwrap();
    drop(listener);
    // Whatever was sent before is still there; then the end.
    let left = batches.iter().count();
    assert!(left <= 2);
    assert_eq!(batches.recv_timeout(SOON).unwrap_err(), RecvTimeoutError::Disconnected);
}

#[test]
fn a_listener_may_be_dropped_by_its_own_handler() {
    let (kinesis, store) = (kinesis(1, 1), Arc::new(LocalStore::new()));
    let (send, receive) = bounded(1);
    let (done, ended) = bounded::<()>(1);
    let listener = stream(&kinesis, &store)
        .spawn(move |_| {
            let done = done.clone();
            drop(receive.recv_timeout(SOON)?);
            drop(done);
            Ok(())
        })
        .unwrap();
    send.send(listener).unwrap();
    assert!(ended.recv_timeout(SOON).is_err());
}

#[test]
fn a_shutdown_before_the_start_during_it_twice_and_from_the_handler_ends_cleanly() {
    let (kinesis, store) = (kinesis(2, 10), Arc::new(LocalStore::new()));
    let before = stream(&kinesis, &store);
    before.shutdown().now();
    before.listen(|_| panic!("nothing is read after a shutdown")).unwrap();

    let during = stream(&kinesis, &store).spawn(|_| Ok(())).unwrap();
    during.shutdown().now();
    during.shutdown().now();
    during.shutdown().drain(SOON);
    during.join().unwrap();

    let inside = stream(&kinesis, &store);
    let shutdown = inside.shutdown();
    let handled = AtomicUsize::new(0);
    inside
        .listen(|_| {
            shutdown.now();
            shutdown.now();
            handled.fetch_add(1, Ordering::Relaxed);
            Ok(())
        })
        .unwrap();
    assert!(handled.into_inner() <= 1);
}

#[test]
fn now_leaves_the_queue_and_drain_works_it_off() {
    for drain in [false, true] {
        let (kinesis, store) = (kinesis(8, 80), Arc::new(LocalStore::new()));
        let (entered, inside) = bounded::<()>(0);
        let (release, released) = bounded::<()>(0);
        let handled = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&handled);
        let listener = stream(&kinesis, &store)
            .spawn(move |batch| {
                if count.fetch_add(batch.len(), Ordering::Relaxed) == 0 {
                    entered.send(())?;
                    released.recv()?;
                }
                Ok(())
            })
            .unwrap();
        inside.recv_timeout(SOON).unwrap();
        // Every shard's only batch is queued, or in the handler.
        let read = || kinesis.calls(kinesis_consumer::Operation::GetRecords);
        let until = Instant::now() + SOON;
        while read() < 40 && Instant::now() < until {
            std::thread::yield_now();
        }
        let shutdown = listener.shutdown();
        if drain {
            shutdown.drain(SOON)
        } else {
            shutdown.now()
        }
        release.send(()).unwrap();
        listener.join().unwrap();
        let handled = handled.load(Ordering::Relaxed);
        assert!(if drain { handled == 80 } else { handled < 80 }, "{drain}: {handled}");
        let stored = store.shard_iterators("orders").unwrap().len();
        assert!(if drain { stored == 8 } else { stored == 1 }, "{drain}: {stored}");
    }
}

#[test]
fn a_drain_ends_at_its_limit() {
    let (kinesis, store) = (kinesis(8, 80), Arc::new(LocalStore::new()));
    let (entered, inside) = unbounded();
    let listener = stream(&kinesis, &store)
        .spawn(move |_| {
            entered.send(())?;
            std::thread::sleep(Duration::from_millis(100));
            Ok(())
        })
        .unwrap();
    inside.recv_timeout(SOON).unwrap();
    listener.shutdown().drain(Duration::from_millis(150));
    listener.join().unwrap();
    assert!((1..=4).contains(&store.shard_iterators("orders").unwrap().len()));
}

#[test]
fn chosen_shards_alone_are_read_and_their_descendants() {
    let kinesis = kinesis(2, 0);
    kinesis.put_to("orders", "shardId-000000000000", "a", b"1");
    kinesis.put_to("orders", "shardId-000000000001", "b", b"2");
    let [low, _] = kinesis.split("orders", "shardId-000000000000");
    kinesis.put_to("orders", &low, "c", b"3");
    let store = Arc::new(LocalStore::new());
    let mut stream = stream(&kinesis, &store);
    stream.choose(["shardId-000000000000"]).unwrap();
    let (shutdown, mut seen) = (stream.shutdown(), Vec::new());
    stream
        .listen(|batch| {
            seen.extend(numbers(batch));
            if seen.len() == 2 {
                shutdown.now();
            }
            Ok(())
        })
        .unwrap();
    assert_eq!(seen, [1, 3]);

    let mut wrong = Stream::new(kinesis, "orders", LocalStore::new(), config()).unwrap();
    let error = wrong.choose(["shardId-000000000042"]).unwrap_err();
    assert!(matches!(error, Error::UnknownShard { .. }), "{error}");
}

#[test]
fn a_type_may_handle_batches() {
    struct Counter(Arc<AtomicUsize>);
    impl Handler for Counter {
        fn handle(&mut self, batch: &Batch) -> Result<(), BoxError> {
            self.0.fetch_add(batch.len(), Ordering::Relaxed);
            Err("enough".into())
        }
    }
    let (kinesis, store) = (kinesis(1, 7), Arc::new(LocalStore::new()));
    let count = Arc::new(AtomicUsize::new(0));
    let counter = || Counter(Arc::clone(&count));
    assert!(stream(&kinesis, &store).listen_with(counter()).is_err());
    assert!(stream(&kinesis, &store).spawn_with(counter()).unwrap().join().is_err());
    assert_eq!(count.load(Ordering::Relaxed), 14);
}

#[test]
fn a_name_or_setting_out_of_range_is_refused_before_any_call() {
    for name in ["", "a b", "arn:aws:kinesis:eu-west-1:1:stream/x", &"x".repeat(129)] {
        let error = Stream::new(MemoryKinesis::new(), name, LocalStore::new(), config());
        assert!(matches!(error, Err(Error::InvalidSetting { setting: "name", .. })));
    }
    let config = config().limit(0);
    assert!(Stream::new(MemoryKinesis::new(), "orders", LocalStore::new(), config).is_err());
}

#[test]
fn positions_may_wait_but_are_stored_at_the_shutdown() {
    let (kinesis, store) = (kinesis(1, 10), Arc::new(LocalStore::new()));
    let config = config().store_every(100, Duration::from_secs(3600));
    let stream = Stream::new(kinesis.clone(), "orders", Arc::clone(&store), config).unwrap();
    let stored = || store.get_shard_iterator("orders", "shardId-000000000000").unwrap();
    let (batches, listener) = stream.receiver().unwrap();
    let first = batches.recv_timeout(SOON).unwrap();
    first.commit().unwrap();
    assert_eq!(stored(), None);
    kinesis.put("orders", "key", b"10");
    let second = batches.recv_timeout(SOON).unwrap();
    listener.shutdown().now();
    listener.join().unwrap();
    assert_eq!(stored(), first.records().last().map(|last| last.position()));
    // After the end nobody would store it later.
    second.commit().unwrap();
    assert_eq!(stored(), second.records().last().map(|last| last.position()));
}
