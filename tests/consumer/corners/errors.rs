//! Errors that end reading: each comes out typed, with its shard, and stops everything.

use std::time::Duration;

use kinesis_consumer::testing::{MemoryKinesis, Operation};
use kinesis_consumer::{Error, ErrorClass, LocalStore, Stream};

use super::failure;
use crate::common::{SOON, STREAM, id, kinesis, quick};

fn open(kinesis: &MemoryKinesis) -> Stream {
    Stream::new(kinesis.clone(), STREAM, LocalStore::new(), quick()).unwrap()
}

fn class(error: &Error) -> ErrorClass {
    let Error::Client { source, .. } = error else { panic!("{error}") };
    source.class()
}

#[test]
fn a_fatal_error_of_one_shard_stops_all_and_names_it() {
    let kinesis = kinesis(3, 0);
    kinesis.fail_shard(STREAM, &id(1), 1, ErrorClass::Fatal);
    let error = failure(open(&kinesis));
    assert_eq!((class(&error), error.shard()), (ErrorClass::Fatal, Some(id(1).as_str())));
}

#[test]
fn a_fatal_error_of_the_listing_comes_out_without_a_shard() {
    for fatal in [ErrorClass::Fatal, ErrorClass::InvalidArgument] {
        let kinesis = kinesis(1, 0);
        kinesis.fail_next(Operation::ListShards, 1, fatal);
        let error = failure(open(&kinesis));
        assert_eq!((class(&error), error.shard()), (fatal, None));
    }
}

#[test]
fn credentials_that_are_refused_for_too_long_are_an_error() {
    for operation in [Operation::ListShards, Operation::GetShardIterator, Operation::GetRecords] {
        let kinesis = kinesis(1, 0);
        kinesis.fail_next(operation, usize::MAX, ErrorClass::Credentials);
        let borne = Duration::from_millis(300);
        let config = quick().start_patience(borne).max_outage(borne);
        let stream = Stream::new(kinesis.clone(), STREAM, LocalStore::new(), config).unwrap();
        assert_eq!(class(&failure(stream)), ErrorClass::Credentials, "{operation:?}");
    }
}

#[test]
fn a_token_that_is_refused_for_too_long_is_an_error() {
    let kinesis = kinesis(1, 0);
    kinesis.fail_next(Operation::GetRecords, usize::MAX, ErrorClass::InvalidArgument);
    let config = quick().max_outage(Duration::from_millis(300));
    let stream = Stream::new(kinesis.clone(), STREAM, LocalStore::new(), config).unwrap();
    assert_eq!(class(&failure(stream)), ErrorClass::InvalidArgument);
}

#[test]
fn an_outage_longer_than_allowed_is_an_error_with_its_shard() {
    let kinesis = kinesis(2, 0);
    kinesis.fail_shard(STREAM, &id(1), usize::MAX, ErrorClass::Transient);
    let config = quick().max_outage(Duration::from_millis(300));
    let stream = Stream::new(kinesis.clone(), STREAM, LocalStore::new(), config).unwrap();
    let error = failure(stream);
    assert_eq!((class(&error), error.shard()), (ErrorClass::Transient, Some(id(1).as_str())));
}

#[test]
fn a_stream_that_is_deleted_under_the_reader_is_not_found() {
    let kinesis = kinesis(2, 10);
    let config = quick().max_outage(Duration::from_millis(300));
    let stream = Stream::new(kinesis.clone(), STREAM, LocalStore::new(), config).unwrap();
    let (batches, listener) = stream.receiver().unwrap();
    batches.recv_timeout(SOON).unwrap().commit().unwrap();
    kinesis.delete_stream(STREAM);
    // Disconnected when the consumer has ended.
    while batches.recv_timeout(SOON).map(|batch| batch.commit()).is_ok() {}
    let error = listener.join().unwrap_err();
    assert!(matches!(error, Error::StreamNotFound { .. }), "{error}");
}

#[test]
fn what_was_sent_before_an_error_may_still_be_handled_and_committed() {
    let kinesis = kinesis(1, 4);
    let stream = Stream::new(kinesis.clone(), STREAM, LocalStore::new(), quick().limit(2)).unwrap();
    let (batches, listener) = stream.receiver().unwrap();
    let first = batches.recv_timeout(SOON).unwrap();
    kinesis.fail_shard(STREAM, &id(0), 1, ErrorClass::Fatal);
    kinesis.put(STREAM, "key", b"4");
    let error = listener.join().unwrap_err();
    assert_eq!(class(&error), ErrorClass::Fatal);
    first.commit().unwrap();
    for batch in batches {
        batch.commit().unwrap();
    }
}
