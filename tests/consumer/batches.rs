//! Receivers of batches: what they yield, and that the last drop stops the consumer.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, TryRecvError, bounded};
use kinesis_consumer::testing::MemoryKinesis;
use kinesis_consumer::{
    Batch, Batches, Budget, Config, Error, Listener, LocalStore, Monitor, ShardState, Store, Stream,
};

use crate::common::{HOUR, SOON, STREAM, id, kinesis, numbers, quick, until};

const MIB: usize = 1 << 20;

fn open(kinesis: &MemoryKinesis, config: Config) -> (Batches, Listener) {
    stream(kinesis, config).receiver().unwrap()
}

fn stream(kinesis: &MemoryKinesis, config: Config) -> Stream {
    Stream::new(kinesis.clone(), STREAM, LocalStore::new(), config).unwrap()
}

/// A stream of so many shards, each of which has so many records, numbered from 0.
fn filled(shards: usize, records: usize) -> MemoryKinesis {
    let kinesis = kinesis(shards, 0);
    for record in 0..records {
        for shard in 0..shards {
            kinesis.put_to(STREAM, &id(shard), "key", record.to_string().as_bytes());
        }
    }
    kinesis
}

/// Waits until every shard is in this state.
fn all_reach(monitor: &Monitor, shards: usize, state: ShardState) {
    until(&format!("all shards: {state}"), || {
        let shard = monitor.progress().shards;
        shard.len() == shards && shard.iter().all(|shard| shard.state == state)
    });
}

/// Joins, and does not wait for ever.
fn ends(listener: Listener) -> Result<(), Error> {
    let (tell, ended) = bounded(1);
    thread::spawn(move || tell.send(listener.join()));
    ended.recv_timeout(SOON).expect("the consumer ends")
}

fn is_over(channel: &Receiver<Batch>) -> bool {
    channel.try_recv().err() == Some(TryRecvError::Disconnected)
}

#[test]
fn dropping_the_only_receiver_of_a_silent_stream_stops_the_consumer() {
    let kinesis = kinesis(2, 0);
    let (batches, listener) = open(&kinesis, Config::new().interval(HOUR));
    all_reach(&listener.monitor(), 2, ShardState::Idle);
    let lent = batches.as_crossbeam().clone();
    drop(batches);
    assert!(listener.shutdown().is_stopped(), "at once, not at the next batch");
    ends(listener).unwrap();
    assert!(is_over(&lent));
}

#[test]
fn dropping_the_only_receiver_with_a_full_queue_stops_the_consumer_and_drops_what_is_queued() {
    for _ in 0..30 {
        let (kinesis, budget) = (filled(3, 9), Budget::new(Budget::MIN));
        let config = Config::new().interval(Duration::ZERO).limit(1).capacity(2);
        let store = Arc::new(LocalStore::new());
        let config = config.budget(budget.clone());
        let stream = Stream::new(kinesis, STREAM, Arc::clone(&store), config).unwrap();
        let (batches, listener) = stream.receiver().unwrap();
        until("the queue is full", || batches.len() == 2);
        all_reach(&listener.monitor(), 3, ShardState::WaitingForChannel);
        assert!(budget.used() > 0);
        // It does not keep what is in the channel.
        let lent = batches.as_crossbeam().clone();
        drop(batches);
        ends(listener).unwrap();
        assert!(is_over(&lent));
        assert_eq!(budget.used(), 0);
        assert!(store.shard_iterators(STREAM).unwrap().is_empty());
    }
}

#[test]
fn a_dropped_receiver_whose_queue_holds_the_budget_gives_it_back_to_another_stream() {
    let budget = Budget::new(Budget::MIN);
    let config = quick().budget(budget.clone()).limit(10);
    let (greedy, modest) = (kinesis(2, 0), kinesis(1, 0));
    for record in 0..60 {
        greedy.put_to(STREAM, &id(record % 2), "key", &vec![b'1'; MIB - 100]);
    }
    let (batches, listener) = open(&greedy, config.clone());
    all_reach(&listener.monitor(), 2, ShardState::WaitingForBudget);
    let (others, other_listener) = open(&modest, config);
    all_reach(&other_listener.monitor(), 1, ShardState::WaitingForBudget);
    modest.put(STREAM, "key", b"0");
    let lent = batches.as_crossbeam().clone();
    drop(batches);
    // Also while nobody joins the first stream.
    assert_eq!(numbers(&others.recv_timeout(SOON).unwrap()), [0]);
    modest.put(STREAM, "key", b"1");
    assert_eq!(numbers(&others.recv_timeout(SOON).unwrap()), [1], "it goes on");
    ends(listener).unwrap();
    assert!(is_over(&lent));
    drop(others);
    ends(other_listener).unwrap();
    assert_eq!(budget.used(), 0);
}

#[test]
fn dropping_one_of_several_receivers_between_two_batches_stops_the_consumer() {
    let kinesis = filled(2, 9);
    let config = quick().limit(1);
    let (mut receivers, listener) = stream(&kinesis, config).receivers(2).unwrap();
    let monitor = listener.monitor();
    let has_slots_taken = || all_reach(&monitor, 2, ShardState::WaitingForChannel);
    until("both queues are full", || receivers.iter().all(|receiver| receiver.len() == 2));
    has_slots_taken();
    // One batch is handled, and the next is in its place.
    let batch = receivers[0].recv().unwrap();
    batch.commit().unwrap();
    drop(batch);
    until("another is read", || receivers[0].len() == 2);
    has_slots_taken();
    let lent = receivers[0].as_crossbeam().clone();
    drop(receivers.remove(0));
    ends(listener).unwrap();
    assert!(is_over(&lent));
    let left: Vec<_> = receivers[0].iter().map(|batch| numbers(&batch)).collect();
    assert_eq!(left, [[0], [1]], "the other yields what was sent to it until then");
}

#[test]
fn dropping_one_of_several_receivers_of_a_silent_stream_stops_the_consumer() {
    let kinesis = kinesis(1, 0);
    let (mut receivers, listener) =
        stream(&kinesis, Config::new().interval(HOUR)).receivers(3).unwrap();
    all_reach(&listener.monitor(), 1, ShardState::Idle);
    // It may be one that no shard is read for.
    drop(receivers.pop());
    ends(listener).unwrap();
    assert_eq!(receivers[0].recv().err(), Some(crossbeam_channel::RecvError));
}

#[test]
fn a_clone_keeps_the_consumer_running_and_the_last_one_stops_it() {
    let kinesis = kinesis(1, 0);
    let (batches, listener) = open(&kinesis, quick());
    let (other, last) = (batches.clone(), batches.clone());
    drop(batches);
    kinesis.put(STREAM, "key", b"0");
    assert_eq!(numbers(&other.recv_timeout(SOON).unwrap()), [0]);
    drop(other);
    assert!(!listener.shutdown().is_stopped());
    let (tell, told) = bounded(1);
    let worker = thread::spawn(move || {
        tell.send(()).unwrap();
        let mut batches = last.into_iter();
        panic!("{:?}", batches.next()); // the last receiver goes with the worker
    });
    told.recv_timeout(SOON).unwrap();
    kinesis.put(STREAM, "key", b"1");
    assert!(worker.join().is_err());
    ends(listener).unwrap();
}

#[test]
fn a_receiver_is_used_as_crossbeams_is() {
    let kinesis = filled(1, 8);
    let (batches, listener) = open(&kinesis, quick().limit(1).capacity(3));
    until("the channel is full", || batches.len() == 3);
    assert!(!batches.is_empty());
    let mut seen = numbers(&batches.recv().unwrap());
    seen.extend(numbers(&batches.recv_timeout(SOON).unwrap()));
    until("the channel is full again", || batches.len() == 3);
    seen.extend(numbers(&batches.try_recv().unwrap()));
    until("the channel is full again", || batches.len() == 3);
    seen.extend(batches.try_iter().take(2).flat_map(|batch| numbers(&batch)));
    for batch in &batches {
        seen.extend(numbers(&batch));
        if seen.len() == 7 {
            break;
        }
    }
    seen.extend(batches.iter().take(1).flat_map(|batch| numbers(&batch)));
    assert_eq!(seen, (0..8).collect::<Vec<_>>());
    assert_eq!(batches.try_recv().err(), Some(TryRecvError::Empty));
    let wait = Duration::from_millis(1);
    assert_eq!(batches.recv_timeout(wait).err(), Some(RecvTimeoutError::Timeout));
    let deadline = std::time::Instant::now();
    assert_eq!(batches.recv_deadline(deadline).err(), Some(RecvTimeoutError::Timeout));
    assert!(batches.is_empty() && !listener.shutdown().is_stopped());
    listener.shutdown().now();
    ends(listener).unwrap();
    assert_eq!(batches.try_recv().err(), Some(TryRecvError::Disconnected));
    assert_eq!(batches.recv_timeout(SOON).err(), Some(RecvTimeoutError::Disconnected));
    assert_eq!(batches.into_iter().count(), 0);
}

#[test]
fn what_was_sent_is_yielded_after_the_end_unless_the_receiver_is_dropped() {
    let (kinesis, budget) = (filled(1, 8), Budget::new(Budget::MIN));
    let config = quick().limit(1).capacity(3).budget(budget.clone());
    let (batches, listener) = open(&kinesis, config);
    until("the queue is full", || batches.len() == 3);
    listener.shutdown().now();
    ends(listener).unwrap();
    assert_eq!(numbers(&batches.recv().unwrap()), [0]);
    let lent = batches.as_crossbeam().clone();
    assert_eq!(numbers(&lent.recv().unwrap()), [1]);
    assert!(budget.used() > 0);
    drop(batches);
    assert!(is_over(&lent));
    assert_eq!(budget.used(), 0);
}
