//! Several workers, through a split and a merge.

use std::collections::BTreeSet;
use std::time::Duration;

use super::closed;
use super::try_all;
use super::world::{STREAM, World, a_while, current, with_thread};
use crate::delivery::batch::Batch;
use crate::delivery::batches::Batches;
use crate::error::Error;
use crate::sync::Mutex;

#[test]
fn children_come_after_their_parents_whoever_works() {
    try_all(|| {
        let world = World::new(1);
        // All of it is put before the last record is read, or the run would end.
        let kinesis = &world.kinesis;
        let stream = world.stream(World::config());
        let shutdown = stream.shutdown();
        let resharding = || {
            let [low, high] = kinesis.split(STREAM, "shardId-000000000000");
            world.put(4);
            a_while();
            kinesis.merge(STREAM, &low, &high);
            world.put(4);
            a_while();
            a_while();
            shutdown.now();
        };
        let working = || {
            stream.listen_workers(2, |_| {
                |batch: &Batch| {
                    world.take(batch);
                    Ok(())
                }
            })
        };
        with_thread(resharding, working).unwrap();
        world.read_the_rest();
        world.check();
    });
}

#[test]
fn receivers_get_the_children_when_the_last_batch_of_the_parents_was_dropped() {
    const SILENCE: Duration = Duration::from_secs(1);
    try_all(|| {
        let world = World::new(2);
        let parents = world.kinesis.shards(STREAM);
        world.kinesis.merge(STREAM, parents[0].id(), parents[1].id());
        world.put(4);
        let (mut receivers, listener) = world.stream(World::config()).receivers(2).unwrap();
        let works = |batches: Batches| {
            while let Ok(batch) = batches.recv_timeout(SILENCE) {
                a_while();
                world.take(&batch);
                batch.commit().unwrap();
            }
        };
        let (one, other) = (receivers.remove(0), receivers.remove(0));
        with_thread(|| works(one), || works(other));
        listener.shutdown().now();
        listener.join().unwrap();
        world.check();
    });
}

#[test]
fn an_error_of_a_worker_comes_out_whatever_the_others_do() {
    let outcomes = try_all(|| {
        let world = World::new(2);
        // The others may have come to the end of their shards.
        let stream = match fastrand::bool() {
            true => closed::stream(&world, World::config()),
            false => world.stream(World::config()),
        };
        let shutdown = stream.shutdown();
        let fails = fastrand::u32(..4);
        let calls = Mutex::new(0);
        let handled = with_thread(
            || {
                current().sleep_for(Duration::from_secs(2));
                shutdown.now();
            },
            || {
                stream.listen_workers(2, |_| {
                    |batch: &Batch| {
                        a_while();
                        *calls.lock() += 1;
                        if *calls.lock() > fails {
                            return Err("this one cannot be handled".into());
                        }
                        world.take(batch);
                        Ok(())
                    }
                })
            },
        );
        if *calls.lock() > fails {
            assert!(matches!(handled, Err(Error::Handler { .. })), "{handled:?}");
            current().note("an error");
        }
        world.read_the_rest();
        world.check();
    });
    outcomes.each_occurs(&["an error"]);
}

#[test]
fn shards_that_start_together_are_shared_out_evenly() {
    try_all(|| {
        let world = World::new(4);
        world.put_to_each();
        let stream = world.stream(World::config());
        let shutdown = stream.shutdown();
        let of_workers = [(); 2].map(|()| Mutex::new(BTreeSet::new()));
        let ended = stream.listen_workers(2, |worker| {
            let (of_worker, world, shutdown) = (&of_workers[worker], &world, &shutdown);
            move |batch: &Batch| {
                of_worker.lock().insert(batch.shard().to_owned());
                world.take_until_all(batch, shutdown);
                Ok(())
            }
        });
        ended.unwrap();
        assert_eq!(of_workers.map(|shards| shards.into_inner().len()), [2, 2]);
        world.check();
    });
}
