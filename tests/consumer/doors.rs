//! The three doors and their ends, over the in-memory Kinesis.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crossbeam_channel::{bounded, unbounded};
use kinesis_consumer::testing::MemoryKinesis;
use kinesis_consumer::{Batch, BoxError, Error, Handler, LocalStore, Position, Store, Stream};

use crate::common::{SOON, kinesis, numbers, quick};

fn stream(kinesis: &MemoryKinesis, store: &Arc<LocalStore>) -> Stream {
    Stream::new(kinesis.clone(), "orders", Arc::clone(store), quick()).unwrap()
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
    let stream = Stream::new(kinesis(1, 1), "orders", Broken, quick()).unwrap();
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
fn dropping_the_receiver_stops_the_consumer_wherever_it_is() {
    let (kinesis, store) = (kinesis(2, 10), Arc::new(LocalStore::new()));
    let (batches, listener) = stream(&kinesis, &store).receiver().unwrap();
    drop(batches);
    listener.join().unwrap();
    assert!(store.shard_iterators("orders").unwrap().is_empty());
}

#[test]
fn dropping_the_listener_stops_the_consumer_and_waits_for_it() {
    let (kinesis, store) = (kinesis(2, 10), Arc::new(LocalStore::new()));
    let (tell, order) = unbounded();
    let (entered, inside) = unbounded();
    let (telling, back) = (tell.clone(), order.clone());
    let stream = stream(&kinesis, &store);
    let shutdown = stream.shutdown();
    let listener = stream.spawn(move |_| {
        entered.send(())?;
        while !shutdown.is_stopped() {
            std::thread::yield_now();
        }
        // In this time whoever does not wait says that it is back.
        assert!(back.recv_timeout(Duration::from_millis(100)).is_err(), "nobody waited");
        Ok(telling.send("handled")?)
    });
    inside.recv_timeout(SOON).unwrap();
    drop(listener);
    tell.send("dropped").unwrap();
    assert_eq!(Arc::strong_count(&store), 1, "nothing of it is left");
    drop(tell);
    assert_eq!(order.iter().collect::<Vec<_>>(), ["handled", "dropped"]);
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

    let mut wrong = Stream::new(kinesis, "orders", LocalStore::new(), quick()).unwrap();
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
    assert!(stream(&kinesis, &store).listen_workers_with(2, |_| counter()).is_err());
    let kept = Arc::clone(&count);
    let workers = stream(&kinesis, &store)
        .spawn_workers_with(2, move |_| Counter(Arc::clone(&kept)))
        .unwrap();
    assert!(workers.join().is_err());
    assert_eq!(count.load(Ordering::Relaxed), 28);

    // One whose type is not known: boxed, sent, or lent and used again.
    let boxed: Box<dyn Handler> = Box::new(counter());
    assert!(stream(&kinesis, &store).listen_with(boxed).is_err());
    let sent: Box<dyn Handler + Send> = Box::new(counter());
    assert!(stream(&kinesis, &store).spawn_with(sent).unwrap().join().is_err());
    let mut lent = counter();
    for _ in 0..2 {
        assert!(stream(&kinesis, &store).listen_with(&mut lent as &mut dyn Handler).is_err());
    }
    let any = |_| Box::new(counter()) as Box<dyn Handler>;
    assert!(stream(&kinesis, &store).listen_workers_with(2, any).is_err());
    assert_eq!(count.load(Ordering::Relaxed), 28 + 5 * 7);
}

#[test]
fn a_name_or_setting_out_of_range_is_refused_before_any_call() {
    for name in ["", "a b", "arn:aws:kinesis:eu-west-1:1:stream/x", &"x".repeat(129)] {
        let error = Stream::new(MemoryKinesis::new(), name, LocalStore::new(), quick());
        assert!(matches!(error, Err(Error::InvalidSetting { setting: "name", .. })));
    }
    let config = quick().limit(0);
    assert!(Stream::new(MemoryKinesis::new(), "orders", LocalStore::new(), config).is_err());
}

/// The receiver of a stream of one shard with so many batches of three records, numbered from 0.
fn triples(batches: usize) -> (MemoryKinesis, Arc<LocalStore>, Stream) {
    let (kinesis, store) = (kinesis(1, 3 * batches), Arc::new(LocalStore::new()));
    let stream = Stream::new(kinesis.clone(), "orders", Arc::clone(&store), quick().limit(3));
    (kinesis, store, stream.unwrap())
}

#[test]
fn a_batch_whose_records_are_committed_one_by_one_is_committed_as_a_whole() {
    let (kinesis, store, stream) = triples(3);
    let (batches, listener) = stream.receiver().unwrap();
    for batch in batches.iter().take(3) {
        for record in batch.records() {
            batch.commit_through(&record).unwrap();
            let stored = store.get_shard_iterator("orders", batch.shard()).unwrap();
            assert_eq!(stored.as_ref(), Some(&record.position()));
        }
    }
    drop(listener);
    kinesis.put("orders", "key", b"9");
    let again = Stream::new(kinesis, "orders", Arc::clone(&store), quick()).unwrap();
    let (batches, _listener) = again.receiver().unwrap();
    assert_eq!(numbers(&batches.recv_timeout(SOON).unwrap()), [9]);
}

#[test]
fn the_last_record_of_a_shard_commits_its_end() {
    let kinesis = kinesis(1, 3);
    kinesis.split("orders", "shardId-000000000000");
    let store = Arc::new(LocalStore::new());
    let (batches, listener) = stream(&kinesis, &store).receiver().unwrap();
    let (mut last, mut ended) = (None, false);
    while !ended {
        let batch = batches.recv_timeout(SOON).unwrap();
        ended = batch.ends_shard();
        match batch.records().last() {
            Some(record) => batch.commit_through(&record).unwrap(),
            None => batch.commit().unwrap(),
        }
        last = Some(batch.position().clone());
    }
    assert!(last.as_ref().is_some_and(Position::is_end));
    assert_eq!(store.get_shard_iterator("orders", "shardId-000000000000").unwrap(), last);
    drop(listener);
}

#[test]
fn a_committed_part_of_a_batch_that_is_dropped_is_stored_when_those_before_are_committed() {
    let (_kinesis, store, stream) = triples(3);
    let (batches, listener) = stream.receiver().unwrap();
    let [first, second, third] = [0; 3].map(|_| batches.recv_timeout(SOON).unwrap());
    let record = second.records().get(1).unwrap();
    let part = record.position();
    second.commit_through(&record).unwrap();
    drop(second);
    third.commit().unwrap();
    let stored = || store.get_shard_iterator("orders", "shardId-000000000000").unwrap();
    assert_eq!(stored(), None);
    first.commit().unwrap();
    assert_eq!(stored(), Some(part), "and not the third batch, nor the end of the first");
    drop(listener);
}

#[test]
fn positions_may_wait_but_are_stored_at_the_shutdown() {
    let (kinesis, store) = (kinesis(1, 10), Arc::new(LocalStore::new()));
    let config = quick().store_every(100, Duration::from_secs(3600));
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
