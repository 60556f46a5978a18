//! Several workers, each of which keeps the order of its shards.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, select, unbounded};
use kinesis_consumer::testing::MemoryKinesis;
use kinesis_consumer::{
    Batch, Config, Error, LocalStore, OnError, ShardProgress, ShardState, Shutdown, Store, Stream,
};

use crate::common::{SOON, STREAM, id, kinesis, quick, stored, until};

const KEYS: usize = 40;
const ROUNDS: usize = 30;

/// What a worker has handled: the worker, the shard, and the keys with their numbers.
type Handled = (usize, String, Vec<(String, usize)>);

fn open(kinesis: &MemoryKinesis, store: &Arc<LocalStore>, config: Config) -> Stream {
    Stream::new(kinesis.clone(), STREAM, Arc::clone(store), config).unwrap()
}

/// Puts to each key its numbers in order, while shards are split and merged.
fn put_and_reshard(kinesis: &MemoryKinesis) {
    for round in 0..ROUNDS {
        for key in 0..KEYS {
            kinesis.put(STREAM, &format!("key-{key}"), round.to_string().as_bytes());
        }
        let open = kinesis
            .shards(STREAM)
            .into_iter()
            .filter(|shard| shard.ending_sequence_number().is_none());
        let open: Vec<_> = open.map(|shard| shard.id().to_owned()).collect();
        match round % 6 {
            2 => drop(kinesis.split(STREAM, &open[round % open.len()])),
            5 => {
                let [a, b] = kinesis.split(STREAM, &open[0]);
                kinesis.merge(STREAM, &a, &b);
            }
            _ => {}
        }
    }
}

fn handled(worker: usize, batch: &Batch) -> Handled {
    let records = batch.records().iter().map(|record| {
        let number = std::str::from_utf8(record.data()).unwrap().parse().unwrap();
        (record.partition_key().to_owned(), number)
    });
    (worker, batch.shard().to_owned(), records.collect())
}

/// Waits for all records, then stops: each shard had one worker, and each key its order.
fn check(seen: &Receiver<Handled>, shutdown: &Shutdown) -> Vec<usize> {
    let (mut workers, mut keys) = (BTreeMap::new(), BTreeMap::<_, Vec<_>>::new());
    let mut missing = KEYS * ROUNDS;
    while missing > 0 {
        let (worker, shard, records) = seen.recv_timeout(SOON).unwrap();
        assert_eq!(*workers.entry(shard).or_insert(worker), worker, "two workers for a shard");
        missing -= records.len();
        for (key, number) in records {
            keys.entry(key).or_default().push(number);
        }
    }
    shutdown.now();
    assert_eq!(keys.len(), KEYS);
    for (key, numbers) in keys {
        assert!(numbers.iter().copied().eq(0..ROUNDS), "{key}: {numbers:?}");
    }
    workers.into_values().collect()
}

/// Takes a little longer at one worker than at another.
fn work(worker: usize) {
    thread::sleep(Duration::from_micros(300 * worker as u64));
}

#[test]
fn four_receivers_each_keep_the_order_of_their_shards_through_splits_and_merges() {
    let (kinesis, store) = (kinesis(6, 0), Arc::new(LocalStore::new()));
    let config = quick().interval(Duration::from_millis(1)).limit(5);
    let (receivers, listener) = open(&kinesis, &store, config).receivers(4).unwrap();
    let (tell, seen) = unbounded();
    let workers: Vec<_> = receivers
        .into_iter()
        .enumerate()
        .map(|(worker, batches)| {
            let tell: Sender<Handled> = tell.clone();
            thread::spawn(move || {
                for batch in batches {
                    work(worker);
                    // The test may have ended.
                    let _ = tell.send(handled(worker, &batch));
                    batch.commit().unwrap();
                }
            })
        })
        .collect();
    put_and_reshard(&kinesis);
    let used = check(&seen, &listener.shutdown());
    assert!((0..4).all(|worker| used.contains(&worker)), "{used:?}");
    listener.join().unwrap();
    workers.into_iter().for_each(|worker| worker.join().unwrap());
}

#[test]
fn a_child_comes_to_no_worker_while_another_one_has_a_batch_of_its_parent() {
    let (kinesis, store) = (kinesis(1, 1), Arc::new(LocalStore::new()));
    for child in kinesis.split(STREAM, &id(0)) {
        kinesis.put_to(STREAM, &child, "key", b"1");
    }
    let (receivers, listener) = open(&kinesis, &store, quick()).receivers(2).unwrap();
    let next = |wait| {
        select! {
            recv(receivers[0].as_crossbeam()) -> batch => batch.ok(),
            recv(receivers[1].as_crossbeam()) -> batch => batch.ok(),
            default(wait) => None,
        }
    };
    let mut parents = vec![next(SOON).unwrap()];
    while !parents.last().unwrap().ends_shard() {
        parents.push(next(SOON).unwrap());
    }
    let ends = |shard: &ShardProgress| {
        shard.shard == id(0) && shard.state == ShardState::WaitingForChannel
    };
    until("its end waits", || listener.progress().shards.iter().any(ends));
    let wait = Duration::from_millis(50);
    assert!(next(wait).is_none(), "all batches of the parent were sent, and none was handled");
    parents.truncate(1);
    assert!(next(wait).is_none(), "one is left");
    parents.clear();
    let children = [next(SOON).unwrap(), next(SOON).unwrap()];
    assert!(children[0].shard() != children[1].shard() && children[0].shard() != id(0));
    drop(listener);
}

#[test]
fn a_single_receiver_of_several_holds_shards_up_as_each_of_many_does() {
    let (kinesis, store) = (kinesis(1, 20), Arc::new(LocalStore::new()));
    for child in kinesis.split(STREAM, &id(0)) {
        kinesis.put_to(STREAM, &child, "key", b"1");
    }
    let (receivers, listener) = open(&kinesis, &store, quick().limit(5)).receivers(1).unwrap();
    let (batches, wait) = (&receivers[0], Duration::from_millis(50));
    let mut held: Vec<_> = (0..2).map(|_| batches.recv_timeout(SOON).unwrap()).collect();
    assert!(batches.recv_timeout(wait).is_err(), "a shard has two batches on their way");
    while !held.last().unwrap().ends_shard() {
        drop(held.remove(0));
        held.push(batches.recv_timeout(SOON).unwrap());
    }
    assert!(batches.recv_timeout(wait).is_err(), "two batches of the parent are left");
    held.clear();
    assert_ne!(batches.recv_timeout(SOON).unwrap().shard(), id(0));
    drop(listener);
}

#[test]
fn handlers_of_their_own_keep_the_order_also_where_batches_are_tried_again() {
    let (kinesis, store) = (kinesis(6, 0), Arc::new(LocalStore::new()));
    let config = quick().limit(5).on_error(OnError::retry(None));
    let stream = open(&kinesis, &store, config);
    let (shutdown, (tell, seen)) = (stream.shutdown(), unbounded());
    thread::scope(|scope| {
        scope.spawn(|| {
            put_and_reshard(&kinesis);
            check(&seen, &shutdown);
        });
        let result = stream.listen_workers(4, |worker| {
            let (tell, mut calls) = (tell.clone(), 0);
            move |batch: &Batch| {
                calls += 1;
                work(worker);
                if calls % 23 == 7 {
                    return Err("not now".into());
                }
                // As above.
                let _ = tell.send(handled(worker, batch));
                Ok(())
            }
        });
        result.unwrap();
    });
    assert!((0..6).all(|shard| stored(&*store, shard).is_some()));
}

#[test]
fn an_error_or_a_panic_of_one_worker_stops_all_and_reaches_the_caller() {
    for panics in [false, true] {
        let (kinesis, store) = (kinesis(4, 400), Arc::new(LocalStore::new()));
        let stream = open(&kinesis, &store, quick());
        let result = catch_unwind(AssertUnwindSafe(|| {
            stream.listen_workers(4, |_| {
                move |batch: &Batch| match batch.shard() == id(2) {
                    true if panics => panic!("too much"),
                    true => Err("refused".into()),
                    false => Ok(()),
                }
            })
        }));
        match result {
            Err(panic) => assert_eq!(panic.downcast_ref(), Some(&"too much")),
            Ok(result) => {
                let error = result.unwrap_err();
                assert!(matches!(error, Error::Handler { shard, .. } if shard == id(2) && !panics));
            }
        }
        let stored = store.get_shard_iterator(STREAM, &id(2)).unwrap();
        assert_eq!(stored, None, "what was refused is not stored");
    }
}

#[test]
fn workers_in_the_background_handle_what_is_queued_before_they_end() {
    let (kinesis, store) = (kinesis(3, 300), Arc::new(LocalStore::new()));
    let (count, counted) = unbounded();
    let listener = open(&kinesis, &store, quick().limit(10).capacity(100))
        .spawn_workers(2, move |_| {
            let count = count.clone();
            move |batch: &Batch| {
                thread::sleep(Duration::from_millis(2));
                Ok(count.send(batch.len())?)
            }
        })
        .unwrap();
    let mut handled = counted.recv_timeout(SOON).unwrap();
    let monitor = listener.monitor();
    listener.shutdown().drain(SOON);
    listener.join().unwrap();
    handled += counted.try_iter().sum::<usize>();
    assert_eq!(handled as u64, monitor.progress().records(), "what was read was handled");
}

#[test]
fn no_workers_are_refused() {
    let (kinesis, store) = (kinesis(1, 0), Arc::new(LocalStore::new()));
    let error = open(&kinesis, &store, quick()).receivers(0).unwrap_err();
    assert!(matches!(error, Error::InvalidSetting { setting: "workers", .. }));
    let result = open(&kinesis, &store, quick()).listen_workers(1_025, |_| |_: &Batch| Ok(()));
    assert!(matches!(result, Err(Error::InvalidSetting { setting: "workers", .. })));
}

#[test]
fn workers_whose_channels_would_hold_too_many_batches_together_are_refused() {
    let (kinesis, store) = (kinesis(1, 0), Arc::new(LocalStore::new()));
    let of = |capacity| open(&kinesis, &store, quick().capacity(capacity));
    let is_named =
        |error: Error| matches!(error, Error::InvalidSetting { setting: "capacity", .. });
    assert!(is_named(of(8_193).receivers(2).unwrap_err()));
    assert!(is_named(of(17).receivers(1_024).unwrap_err()));
    assert!(is_named(of(8_193).listen_workers(2, |_| |_: &Batch| Ok(())).unwrap_err()));
    assert!(is_named(of(8_193).spawn_workers(2, |_| |_: &Batch| Ok(())).unwrap_err()));
    let (receivers, listener) = of(8_192).receivers(2).unwrap();
    drop(receivers);
    listener.join().unwrap();
}
