//! Reading resumes exactly, whatever happens to tokens and calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kinesis_consumer::testing::{MemoryKinesis, Operation};
use kinesis_consumer::{ErrorClass, IteratorType, LocalStore, Stream};

use super::{all, read, sorted, up_to};
use crate::common::{STREAM, Watched, id, kinesis, quick, stored};

fn open(kinesis: &MemoryKinesis) -> Stream {
    Stream::new(kinesis.clone(), STREAM, LocalStore::new(), quick().limit(3)).unwrap()
}

#[test]
fn iterators_that_expire_between_batches_lose_and_repeat_nothing() {
    let kinesis = kinesis(2, 50);
    let seen = read(open(&kinesis), |seen| {
        kinesis.expire_iterators(STREAM);
        all(seen).len() == 50
    });
    assert_eq!(sorted(&seen), (0..50).collect::<Vec<_>>());
    assert!(seen.iter().all(|seen| seen.gap.is_none()));
    assert!(kinesis.calls(Operation::GetShardIterator) > 2);
}

/// Every token has expired that was not used at once, as with an interval longer than its life.
fn short_lived(kinesis: &MemoryKinesis) -> Watched {
    let (expiring, is_new) = (kinesis.clone(), AtomicBool::new(false));
    Watched::new(kinesis, move |operation| {
        let was_new = is_new.swap(operation == Operation::GetShardIterator, Ordering::SeqCst);
        if operation == Operation::GetRecords && !was_new {
            expiring.expire_iterators(STREAM);
        }
        Ok(())
    })
}

#[test]
fn tokens_that_must_be_used_at_once_still_lead_to_the_end_of_a_shard() {
    let kinesis = kinesis(1, 10);
    kinesis.split(STREAM, &id(0));
    let client = short_lived(&kinesis);
    let mut stream = Stream::new(client, STREAM, LocalStore::new(), quick().limit(1)).unwrap();
    // The children would take the novelty of each other's tokens.
    stream.choose([id(0).as_str()]).unwrap();
    let seen = read(stream, |seen| seen.last().is_some_and(|seen| seen.ends));
    assert_eq!(all(&seen), (0..10).collect::<Vec<_>>());
    assert!(kinesis.calls(Operation::GetShardIterator) >= 10);
}

#[test]
fn an_interval_longer_than_the_life_of_tokens_still_leads_past_empty_answers_to_the_end() {
    let kinesis = kinesis(1, 3);
    kinesis.set_iterator_life(Duration::from_millis(600));
    kinesis.set_empty_answers(STREAM, 2);
    kinesis.split(STREAM, &id(0));
    let config = quick().limit(1).interval(Duration::from_millis(700));
    let stream = Stream::new(kinesis.clone(), STREAM, LocalStore::new(), config).unwrap();
    let seen = read(stream, |seen| seen.last().is_some_and(|seen| seen.ends));
    assert_eq!(all(&seen), [0, 1, 2]);
    assert!(kinesis.calls(Operation::GetShardIterator) > 1);
}

#[test]
fn calls_that_fail_and_recover_lose_and_repeat_nothing() {
    use ErrorClass::{Credentials, ExpiredIterator, Throttled, TooLarge, Transient};
    let kinesis = kinesis(1, 40);
    let (get_records, get_iterator) = (Operation::GetRecords, Operation::GetShardIterator);
    kinesis.fail_next(Operation::ListShards, 1, Throttled);
    kinesis.fail_next(get_iterator, 1, Transient);
    // One after each batch, and a renewal that fails too.
    let faults = [Throttled, Transient, TooLarge, Credentials, ExpiredIterator];
    let seen = read(open(&kinesis), |seen| {
        if let Some(class) = faults.get(seen.len() - 1) {
            kinesis.fail_next(get_records, 1, *class);
        }
        if seen.len() == faults.len() {
            kinesis.fail_next(get_iterator, 1, Throttled);
        }
        all(seen).len() == 40
    });
    assert_eq!(all(&seen), (0..40).collect::<Vec<_>>());
    assert!(seen.iter().all(|seen| seen.gap.is_none()));
}

#[test]
fn a_listing_whose_next_page_expires_begins_again() {
    let kinesis = kinesis(3, 30);
    kinesis.set_page_size(STREAM, 1);
    kinesis.fail_next(Operation::ListShards, 1, ErrorClass::ExpiredNextToken);
    assert_eq!(sorted(&read(open(&kinesis), up_to(30))), (0..30).collect::<Vec<_>>());
    assert_eq!(kinesis.calls(Operation::ListShards), 4);
}

#[test]
fn an_answer_too_large_for_its_deadline_is_asked_for_in_smaller_parts() {
    let kinesis = kinesis(1, 16);
    kinesis.fail_next(Operation::GetRecords, 2, ErrorClass::TooLarge);
    let config = quick().limit(8);
    let stream = Stream::new(kinesis, STREAM, LocalStore::new(), config).unwrap();
    let seen = read(stream, up_to(16));
    let sizes: Vec<usize> = seen.iter().map(|seen| seen.numbers.len()).collect();
    assert_eq!(sizes, [2, 4, 8, 2]);
    assert_eq!(all(&seen), (0..16).collect::<Vec<_>>());
}

#[test]
fn one_shard_that_is_throttled_does_not_hold_up_the_others() {
    let kinesis = kinesis(2, 0);
    kinesis.fail_shard(STREAM, &id(0), usize::MAX, ErrorClass::Throttled);
    for record in 0..10 {
        kinesis.put_to(STREAM, &id(record % 2), "key", record.to_string().as_bytes());
    }
    assert_eq!(all(&read(open(&kinesis), up_to(5))), [1, 3, 5, 7, 9]);
}

#[test]
fn records_in_hand_at_a_restart_come_again_and_committed_ones_do_not() {
    let (kinesis, store) = (kinesis(1, 9), Arc::new(LocalStore::new()));
    let open = || {
        let config = quick().limit(3).iterator_type(IteratorType::TrimHorizon);
        Stream::new(kinesis.clone(), STREAM, Arc::clone(&store), config).unwrap()
    };
    let (batches, listener) = open().receiver().unwrap();
    let next = || batches.recv_timeout(Duration::from_secs(20)).unwrap();
    next().commit().unwrap();
    let in_hand = next();
    listener.shutdown().now();
    listener.join().unwrap();
    drop(in_hand);
    assert!(stored(&store, 0).is_some());
    assert_eq!(all(&read(open(), up_to(6))), [3, 4, 5, 6, 7, 8]);
}
