//! Where reading starts, and its waits before that.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use kinesis_consumer::testing::{MemoryKinesis, Operation};
use kinesis_consumer::{
    Config, Error, ErrorClass, IteratorType, LocalStore, Position, Stream, StreamStatus,
};

use super::{all, failure, read, sorted, up_to};
use crate::common::{HOUR, STREAM, Watched, id, kinesis, quick, stored, until};

const MINUTE: Duration = Duration::from_secs(60);

fn open(kinesis: &MemoryKinesis, store: &Arc<LocalStore>, config: Config) -> Stream {
    Stream::new(kinesis.clone(), STREAM, Arc::clone(store), config).unwrap()
}

fn fresh(kinesis: &MemoryKinesis, config: Config) -> Stream {
    open(kinesis, &Arc::default(), config)
}

fn put(kinesis: &MemoryKinesis, shard: usize, number: usize) {
    kinesis.put_to(STREAM, &id(shard), "key", number.to_string().as_bytes());
}

#[test]
fn a_stream_that_is_being_created_is_waited_for() {
    let kinesis = kinesis(1, 3);
    kinesis.set_status(STREAM, StreamStatus::Creating);
    let created = kinesis.clone();
    let client = Watched::new(&kinesis, move |operation| {
        // The third time that it is asked for.
        if created.calls(operation) == 2 && operation == Operation::DescribeStreamSummary {
            created.set_status(STREAM, StreamStatus::Active);
        }
        Ok(())
    });
    let stream = Stream::new(client, STREAM, LocalStore::new(), quick()).unwrap();
    assert_eq!(all(&read(stream, up_to(3))), [0, 1, 2]);
}

#[test]
fn a_stream_that_is_being_created_for_too_long_is_an_error() {
    let kinesis = kinesis(1, 0);
    kinesis.set_status(STREAM, StreamStatus::Creating);
    let impatient = || quick().start_patience(Duration::from_millis(100));
    let error = failure(fresh(&kinesis, impatient()));
    assert!(matches!(error, Error::StreamCreating { .. }), "{error}");
    let error = fresh(&kinesis, impatient()).shards().unwrap_err();
    assert!(matches!(error, Error::StreamCreating { .. }), "{error}");
}

#[test]
fn a_stream_that_is_missing_empty_or_being_deleted_is_an_error_of_its_own() {
    let missing = failure(fresh(&MemoryKinesis::new(), quick()));
    assert!(matches!(missing, Error::StreamNotFound { .. }), "{missing}");
    let empty = failure(fresh(&kinesis(0, 0), quick()));
    assert!(matches!(empty, Error::NoShards { .. }), "{empty}");
    let dying = kinesis(1, 0);
    dying.set_status(STREAM, StreamStatus::Deleting);
    let dying = failure(fresh(&dying, quick()));
    assert!(matches!(dying, Error::StreamDeleting { .. }), "{dying}");
}

#[test]
fn a_service_out_of_reach_at_the_start_is_an_error_after_start_patience() {
    let kinesis = kinesis(1, 0);
    kinesis.fail_next(Operation::ListShards, usize::MAX, ErrorClass::Transient);
    let error = failure(fresh(&kinesis, quick().start_patience(Duration::from_millis(200))));
    assert!(matches!(error, Error::Client { shard: None, .. }), "{error}");
    assert!(kinesis.calls(Operation::ListShards) >= 2);
}

#[test]
fn a_listing_of_many_pages_is_read_whole() {
    let kinesis = kinesis(7, 100);
    kinesis.set_page_size(STREAM, 2);
    let seen = read(fresh(&kinesis, quick()), up_to(100));
    assert_eq!(sorted(&seen), (0..100).collect::<Vec<_>>());
    assert_eq!(kinesis.calls(Operation::ListShards), 4);
}

#[test]
fn a_timestamp_starts_at_the_first_record_since_then() {
    let kinesis = MemoryKinesis::with_manual_clock(UNIX_EPOCH + HOUR);
    kinesis.create_stream(STREAM, 1);
    (0..6).for_each(|number| {
        put(&kinesis, 0, number);
        kinesis.advance(MINUTE);
    });
    let at = IteratorType::AtTimestamp(UNIX_EPOCH + HOUR + 4 * MINUTE);
    assert_eq!(all(&read(fresh(&kinesis, quick().iterator_type(at)), up_to(2))), [4, 5]);
}

#[test]
fn a_sequence_number_starts_at_or_after_its_record_if_one_shard_is_read() {
    let kinesis = kinesis(1, 0);
    let puts: Vec<_> =
        (0..5).map(|at: u8| kinesis.put(STREAM, "key", at.to_string().as_bytes())).collect();
    let number = puts[3].sequence.clone();
    let at = quick().iterator_type(IteratorType::AtSequenceNumber(number.clone()));
    assert_eq!(all(&read(fresh(&kinesis, at.clone()), up_to(2))), [3, 4]);
    let after = quick().iterator_type(IteratorType::AfterSequenceNumber(number.clone()));
    assert_eq!(all(&read(fresh(&kinesis, after), up_to(1))), [4]);

    // With a second shard the choice must be explicit.
    kinesis.split(STREAM, &id(0));
    put(&kinesis, 1, 5);
    let error = failure(fresh(&kinesis, at.clone()));
    assert!(matches!(error, Error::SequenceNumberForSeveralShards { shards: 3, .. }), "{error}");
    let mut chosen = fresh(&kinesis, at);
    chosen.choose([id(0).as_str()]).unwrap();
    assert_eq!(sorted(&read(chosen, up_to(3))), [3, 4, 5]);
    let mut one = fresh(&kinesis, quick());
    one.start_at(&id(0), IteratorType::AfterSequenceNumber(number)).unwrap();
    assert_eq!(sorted(&read(one, up_to(2))), [4, 5]);
}

#[test]
fn a_number_of_another_shard_is_the_users_error_and_names_the_shard() {
    let kinesis = kinesis(2, 0);
    let number = kinesis.put_to(STREAM, &id(1), "key", b"0").sequence;
    let mut stream = fresh(&kinesis, quick());
    stream.start_at(&id(0), IteratorType::AtSequenceNumber(number)).unwrap();
    let error = failure(stream);
    assert!(matches!(error, Error::Client { .. }), "{error}");
    assert_eq!(error.shard(), Some(id(0).as_str()));
}

/// A stream whose time stands still, and a store.
fn stopped_clock(shards: usize) -> (MemoryKinesis, Arc<LocalStore>, Config) {
    let kinesis = MemoryKinesis::with_manual_clock(UNIX_EPOCH + HOUR);
    kinesis.create_stream(STREAM, shards);
    (kinesis, Arc::default(), quick().iterator_type(IteratorType::Latest))
}

/// Runs until every one of these shards has a position, and nothing was read.
fn run_in_silence(stream: Stream, store: &Arc<LocalStore>, shards: &[usize]) {
    let listener = stream.spawn(|batch| panic!("{batch:?} in the silence")).unwrap();
    until("positions are stored", || shards.iter().all(|shard| stored(store, *shard).is_some()));
    listener.shutdown().now();
    listener.join().unwrap();
}

#[test]
fn a_shard_that_was_silent_at_latest_misses_nothing_in_a_restart() {
    let (kinesis, store, latest) = stopped_clock(1);
    put(&kinesis, 0, 7);
    kinesis.advance(MINUTE);
    run_in_silence(open(&kinesis, &store, latest.clone()), &store, &[0]);
    let started = Position::Since(kinesis.now() - Duration::from_secs(1));
    assert_eq!(stored(&store, 0), Some(started));
    put(&kinesis, 0, 8);
    kinesis.advance(MINUTE);
    put(&kinesis, 0, 9);
    assert_eq!(all(&read(open(&kinesis, &store, latest), up_to(2))), [8, 9]);
}

#[test]
fn an_unread_latest_that_expires_misses_nothing() {
    let (kinesis, store, latest) = stopped_clock(1);
    put(&kinesis, 0, 7);
    kinesis.advance(MINUTE);
    let (filled, wanted) = (kinesis.clone(), Operation::GetRecords);
    let client = Watched::new(&kinesis, move |operation| {
        // Between getting the iterator and the first read.
        if operation == wanted && filled.calls(wanted) == 0 {
            put(&filled, 0, 8);
            filled.expire_iterators(STREAM);
        }
        Ok(())
    });
    let stream = Stream::new(client, STREAM, store, latest).unwrap();
    assert_eq!(all(&read(stream, up_to(1))), [8]);
}

#[test]
fn latest_leaves_closed_shards_alone_that_nobody_has_read() {
    let (kinesis, store, latest) = stopped_clock(1);
    put(&kinesis, 0, 1);
    kinesis.split(STREAM, &id(0));
    put(&kinesis, 1, 2);
    kinesis.advance(MINUTE);
    run_in_silence(open(&kinesis, &store, latest.clone()), &store, &[1, 2]);
    assert_eq!(stored(&store, 0), None);
    put(&kinesis, 1, 3);
    put(&kinesis, 2, 4);
    assert_eq!(sorted(&read(open(&kinesis, &store, latest), up_to(2))), [3, 4]);
}

#[test]
fn shards_born_while_nobody_ran_are_read_whole_whatever_is_configured() {
    let (kinesis, store, latest) = stopped_clock(1);
    run_in_silence(open(&kinesis, &store, latest.clone()), &store, &[0]);
    kinesis.advance(MINUTE);
    put(&kinesis, 0, 1);
    let [low, high] = kinesis.split(STREAM, &id(0));
    put(&kinesis, 1, 2);
    let merged = kinesis.merge(STREAM, &low, &high);
    kinesis.put_to(STREAM, &merged, "key", b"3");
    kinesis.advance(MINUTE);
    assert_eq!(all(&read(open(&kinesis, &store, latest), up_to(3))), [1, 2, 3]);
}

#[test]
fn a_descendant_whose_parents_have_left_the_listing_is_read_whole() {
    let (kinesis, store, latest) = stopped_clock(1);
    run_in_silence(open(&kinesis, &store, latest.clone()), &store, &[0]);
    kinesis.advance(MINUTE);
    let [low, high] = kinesis.split(STREAM, &id(0));
    kinesis.merge(STREAM, &low, &high);
    put(&kinesis, 3, 1);
    (0..3).for_each(|shard| kinesis.retire(STREAM, &id(shard)));
    kinesis.advance(MINUTE);
    assert_eq!(all(&read(open(&kinesis, &store, latest), up_to(1))), [1]);
}
