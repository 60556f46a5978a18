//! Stops that handle the queue first, and their limits.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use kinesis_consumer::testing::{MemoryKinesis, Operation};
use kinesis_consumer::{
    Batch, BoxError, Error, Listener, LocalStore, OnError, ShardState, Store, Stream,
};

use crate::common::{HOUR, SOON, STREAM, Watched, kinesis, quick, until};

const SHARDS: usize = 8;

/// A consumer whose first batch is in the handler, and whose other seven are in the queue.
struct Held {
    listener: Listener,
    store: Arc<LocalStore>,
    /// Told of each batch when it is handled.
    handled: Receiver<usize>,
    /// Lets the handler go on.
    gate: Sender<()>,
}

impl Held {
    fn new() -> Self {
        let (kinesis, store) = (kinesis(SHARDS, 80), Arc::new(LocalStore::new()));
        let ((gate, opened), (tell, handled)) = (bounded::<()>(0), unbounded());
        let stream = Stream::new(kinesis, STREAM, Arc::clone(&store), quick()).unwrap();
        let handler = move |batch: &Batch| {
            // Closed when it was opened once.
            let _ = opened.recv();
            Ok(tell.send(batch.len())?)
        };
        let listener = stream.spawn(handler).unwrap();
        until("all is queued", || listener.progress().records() == 80);
        Self { listener, store, handled, gate }
    }

    /// How many records are handled until the end, and how many shards have positions.
    fn end(self) -> (usize, usize) {
        drop(self.gate);
        self.listener.join().unwrap();
        (self.handled.try_iter().sum(), self.store.shard_iterators(STREAM).unwrap().len())
    }
}

#[test]
fn now_leaves_the_queue_and_drain_works_it_off() {
    let held = Held::new();
    held.listener.shutdown().drain(SOON);
    assert_eq!(held.end(), (80, SHARDS));

    let held = Held::new();
    held.listener.shutdown().now();
    let (handled, stored) = held.end();
    assert!(handled < 80 && stored == 1, "{handled} {stored}");
}

#[test]
fn a_drain_ends_at_its_limit_after_the_batch_in_hand() {
    let held = Held::new();
    let limit = Duration::from_millis(1);
    held.listener.shutdown().drain(limit);
    let passed = Instant::now() + limit;
    until("the limit has passed", || Instant::now() >= passed);
    assert_eq!(held.end().1, 1);
}

#[test]
fn of_two_limits_the_earlier_counts_whichever_came_first() {
    for limits in [[HOUR, Duration::ZERO], [Duration::ZERO, HOUR], [Duration::MAX, Duration::ZERO]]
    {
        let held = Held::new();
        limits.iter().for_each(|limit| held.listener.shutdown().drain(*limit));
        assert_eq!(held.end().1, 1, "{limits:?}");
    }
    let held = Held::new();
    [HOUR, Duration::MAX].iter().for_each(|limit| held.listener.shutdown().drain(*limit));
    assert_eq!(held.end(), (80, SHARDS));
}

/// Joins, and does not wait for ever.
fn ends(listener: Listener) -> Result<(), Error> {
    let (tell, ended) = bounded(1);
    thread::spawn(move || tell.send(listener.join()));
    ended.recv_timeout(SOON).expect("the consumer ends")
}

#[test]
fn a_shorter_limit_ends_a_drain_that_works_on_a_batch_which_is_refused_for_ever() {
    let config = quick().on_error(OnError::retry(None));
    let stream = Stream::new(kinesis(1, 1), STREAM, LocalStore::new(), config).unwrap();
    let (tell, attempts) = unbounded();
    let listener = stream.spawn(move |_| {
        tell.send(())?;
        Err("refused".into())
    });
    let listener = listener.unwrap();
    attempts.recv_timeout(SOON).unwrap();
    listener.shutdown().drain(HOUR);
    let is_parked = |listener: &Listener| {
        listener.progress().shards.iter().all(|shard| shard.state == ShardState::Parked)
    };
    until("it is parked", || is_parked(&listener));
    // It is draining: another attempt is made after the stop.
    attempts.try_iter().for_each(drop);
    attempts.recv_timeout(SOON).unwrap();
    listener.shutdown().drain(Duration::ZERO);
    ends(listener).unwrap();
}

/// A handler that tells when it is dropped, which is when nothing more is handled.
fn waiting(kinesis: &MemoryKinesis) -> (Listener, Receiver<()>, Sender<()>) {
    let (gate, opened) = bounded::<()>(0);
    // A read that a stop does not interrupt.
    let client = Watched::new(kinesis, move |operation| {
        if operation == Operation::GetRecords {
            // Disconnected when the test lets it go on.
            let _ = opened.recv();
        }
        Ok(())
    });
    let stream = Stream::new(client, STREAM, LocalStore::new(), quick()).unwrap();
    let (alive, gone) = bounded::<()>(0);
    let handler = move |_: &Batch| -> Result<(), BoxError> {
        let _alive = &alive;
        Ok(())
    };
    (stream.spawn(handler).unwrap(), gone, gate)
}

#[test]
fn a_shorter_limit_wakes_a_dispatcher_that_waits_for_the_queue_of_a_drain() {
    let kinesis = kinesis(1, 1);
    let (listener, gone, gate) = waiting(&kinesis);
    let is_reading = |listener: &Listener| {
        let shards = listener.progress().shards;
        !shards.is_empty() && shards.iter().all(|shard| shard.state == ShardState::Calling)
    };
    until("it is reading", || is_reading(&listener));
    listener.shutdown().drain(HOUR);
    assert!(gone.try_recv().is_err_and(|error| error.is_empty()), "it waits for what is read");
    listener.shutdown().drain(Duration::ZERO);
    // While the read is still under way.
    assert!(gone.recv_timeout(SOON).is_err_and(|error| error.is_disconnected()));
    drop(gate);
    ends(listener).unwrap();
}
