//! Inside a caller's tokio runtime, where blocking code with a runtime of its own would panic.

use std::collections::BTreeSet;

use kinesis_consumer::{Batch, BoxError, Error, LocalStore, Stream};
use tokio::runtime::{Builder, Runtime};

use crate::common::support::Demo;
use crate::common::{SOON, quick};

const RECORDS: usize = 50;

/// Text of each record that was read.
type Seen = BTreeSet<Vec<u8>>;

/// A filled stream; its producer has a runtime of its own, which must not be used inside another.
fn demo() -> Demo {
    let demo = Demo::start_at(None, "inside", 2).unwrap();
    demo.put(RECORDS).unwrap();
    demo
}

/// The client is made where it is used: inside of the runtime.
fn stream(demo: &Demo) -> Stream {
    Stream::new(demo.client().unwrap(), demo.stream(), LocalStore::new(), quick()).unwrap()
}

fn see(seen: &mut Seen, batch: &Batch) -> bool {
    seen.extend(batch.records().iter().map(|record| record.data().to_vec()));
    seen.len() == RECORDS
}

fn listens(mut stream: Stream) -> Result<Seen, Error> {
    assert_eq!(stream.shards()?.len(), 2);
    let (shutdown, mut seen) = (stream.shutdown(), Seen::new());
    stream.listen(|batch| {
        if see(&mut seen, batch) {
            shutdown.now();
        }
        Ok(())
    })?;
    Ok(seen)
}

fn spawns(stream: Stream) -> Result<Seen, Error> {
    let (shutdown, mut seen) = (stream.shutdown(), Seen::new());
    let (tell, all) = crossbeam_channel::bounded(1);
    let handler = move |batch: &Batch| -> Result<(), BoxError> {
        if see(&mut seen, batch) {
            tell.send(std::mem::take(&mut seen))?;
        }
        Ok(())
    };
    let listener = stream.spawn(handler)?;
    let seen = all.recv_timeout(SOON).unwrap();
    shutdown.now();
    listener.join()?;
    Ok(seen)
}

fn receives(stream: Stream) -> Result<Seen, Error> {
    let (batches, listener) = stream.receiver()?;
    let mut seen = Seen::new();
    loop {
        let batch = batches.recv_timeout(SOON).unwrap();
        batch.commit()?;
        if see(&mut seen, &batch) {
            break;
        }
    }
    // Stops and joins by being dropped, inside of the runtime as well.
    drop(listener);
    Ok(seen)
}

fn every_door_inside(enter: impl Fn(fn(&Demo) -> Seen, Demo) -> Seen) {
    let doors: [fn(&Demo) -> Seen; 3] = [
        |demo| listens(stream(demo)).unwrap(),
        |demo| spawns(stream(demo)).unwrap(),
        |demo| receives(stream(demo)).unwrap(),
    ];
    let expected: Seen = (0..RECORDS).map(|id| format!("record {id}").into_bytes()).collect();
    for door in doors {
        assert_eq!(enter(door, demo()), expected);
    }
}

#[test]
fn every_door_works_inside_block_on_of_a_current_thread_runtime() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    every_door_inside(|door, demo| runtime.block_on(async { door(&demo) }));
}

#[test]
fn every_door_works_on_a_worker_of_a_multi_thread_runtime() {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    every_door_inside(|door, demo| {
        let worker = runtime.spawn(async move { (door(&demo), demo) });
        // The producer's own runtime must not be dropped inside of this one.
        let (seen, _demo) = runtime.block_on(worker).unwrap();
        seen
    });
}

#[test]
fn a_consumer_outlives_the_runtime_in_which_it_was_opened() {
    let demo = demo();
    let runtime = Runtime::new().unwrap();
    let (batches, listener) = runtime.block_on(async { stream(&demo).receiver() }).unwrap();
    drop(runtime);
    let mut seen = Seen::new();
    while !see(&mut seen, &batches.recv_timeout(SOON).unwrap()) {}
    listener.shutdown().now();
    listener.join().unwrap();
}
