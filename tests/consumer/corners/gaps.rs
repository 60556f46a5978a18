//! Where reading cannot resume exactly, it says so.

use std::sync::Arc;

use kinesis_consumer::testing::{MemoryKinesis, Operation};
use kinesis_consumer::{
    Config, Error, Gap, LocalStore, OnForeign, OnGap, OnTrimmed, Position, Store, Stream,
};

use super::{Seen, all, failure, read, up_to};
use crate::common::{SOON, STREAM, Watched, id, kinesis, numbers, quick, stored, until};

type Positions = Arc<LocalStore>;

fn open(kinesis: &MemoryKinesis, store: &Positions, config: Config) -> Stream {
    Stream::new(kinesis.clone(), STREAM, Arc::clone(store), config).unwrap()
}

fn put(kinesis: &MemoryKinesis, records: std::ops::Range<usize>) {
    records.for_each(|at| drop(kinesis.put(STREAM, "key", at.to_string().as_bytes())));
}

/// A stream of one shard whose first records were read and committed.
fn read_before(records: usize) -> (MemoryKinesis, Positions) {
    let (kinesis, store) = (kinesis(1, records), Positions::default());
    read(open(&kinesis, &store, quick()), up_to(records));
    (kinesis, store)
}

fn gap_of(error: Error) -> Gap {
    let Error::Gap { gap, .. } = error else { panic!("{error}") };
    gap
}

/// Only the first batch has the gap.
fn only_gap(seen: &[Seen]) -> &Gap {
    assert!(seen[1..].iter().all(|seen| seen.gap.is_none()), "{seen:?}");
    seen[0].gap.as_ref().expect("the first batch tells of the gap")
}

#[test]
fn records_trimmed_between_two_runs_are_reported_and_the_rest_is_read() {
    let (kinesis, store) = read_before(4);
    put(&kinesis, 4..10);
    kinesis.trim(STREAM, &id(0), 6);
    let wanted = stored(&store, 0).unwrap().sequence().cloned();
    let seen = read(open(&kinesis, &store, quick().limit(1)), up_to(4));
    assert_eq!(all(&seen), [6, 7, 8, 9]);
    let available = Some(kinesis.held(STREAM)[0].sequence.clone());
    let gap = only_gap(&seen);
    let Gap::Trimmed { shard, wanted: after, available: oldest, .. } = gap else { panic!("{gap}") };
    assert_eq!((shard, after, oldest), (&id(0), &wanted, &available));
}

#[test]
fn records_trimmed_between_two_runs_are_an_error_if_asked() {
    let (kinesis, store) = read_before(4);
    let before = stored(&store, 0);
    put(&kinesis, 4..10);
    kinesis.trim(STREAM, &id(0), 6);
    let gap = gap_of(failure(open(
        &kinesis,
        &store,
        quick().on_gap(OnGap::new().trimmed(OnTrimmed::Fail)),
    )));
    assert!(matches!(gap, Gap::Trimmed { .. }), "{gap}");
    assert_eq!(stored(&store, 0), before);
}

#[test]
fn records_trimmed_under_a_reader_whose_iterator_expired_are_reported() {
    let kinesis = kinesis(1, 0);
    put(&kinesis, 0..10);
    let (trimmed, wanted) = (kinesis.clone(), Operation::GetRecords);
    let client = Watched::new(&kinesis, move |operation| {
        if operation == wanted && trimmed.calls(wanted) == 3 {
            trimmed.trim(STREAM, &id(0), 8);
            trimmed.expire_iterators(STREAM);
        }
        Ok(())
    });
    let stream = Stream::new(client, STREAM, LocalStore::new(), quick().limit(1)).unwrap();
    let seen = read(stream, up_to(5));
    assert_eq!(all(&seen), [0, 1, 2, 8, 9]);
    // The first answer after a renewal asks for the record before it too.
    assert!(seen[..3].iter().all(|seen| seen.gap.is_none()), "{seen:?}");
    assert!(matches!(seen[3].gap, Some(Gap::Trimmed { .. })));
}

#[test]
fn a_shard_trimmed_to_nothing_and_closed_says_so_at_its_end() {
    let (kinesis, store) = read_before(4);
    put(&kinesis, 4..6);
    kinesis.trim(STREAM, &id(0), 6);
    kinesis.split(STREAM, &id(0));
    let seen = read(open(&kinesis, &store, quick()), |seen| seen[0].ends);
    let gap = only_gap(&seen);
    assert!(matches!(gap, Gap::Trimmed { available: None, .. }), "{gap}");
    assert!(stored(&store, 0).unwrap().is_end());
}

/// The same name, a new stream, whose records are 10 and so on.
fn recreated(records: usize) -> (MemoryKinesis, Positions) {
    let (kinesis, store) = read_before(4);
    kinesis.delete_stream(STREAM);
    kinesis.create_stream(STREAM, 1);
    put(&kinesis, 10..10 + records);
    (kinesis, store)
}

#[test]
fn a_stream_that_was_created_again_is_an_error_and_leaves_the_position() {
    let (kinesis, store) = recreated(3);
    let before = stored(&store, 0);
    let gap = gap_of(failure(open(&kinesis, &store, quick())));
    let Gap::Recreated { shard, wanted, available, .. } = &gap else { panic!("{gap}") };
    assert_eq!((shard, Some(wanted)), (&id(0), before.as_ref()));
    assert_eq!(available, kinesis.shards(STREAM)[0].starting_sequence_number());
    assert_eq!(stored(&store, 0), before);
}

#[test]
fn a_stream_that_was_created_again_is_read_from_its_oldest_record_if_asked() {
    let (kinesis, store) = recreated(3);
    let config = quick().limit(1).on_gap(OnGap::new().foreign(OnForeign::Earliest));
    let seen = read(open(&kinesis, &store, config.clone()), up_to(2));
    assert_eq!(all(&seen), [10, 11]);
    assert!(matches!(only_gap(&seen), Gap::Recreated { .. }));
    // The position is one of the new stream now.
    let seen = read(
        open(&kinesis, &store, config.on_gap(OnGap::new().foreign(OnForeign::Fail))),
        up_to(1),
    );
    assert_eq!(all(&seen), [12]);
}

/// Starts at new records, and replaces the unusable position. Returns the first batch.
fn goes_on_at_latest(kinesis: &MemoryKinesis, store: &Positions) -> Gap {
    let config = quick().on_gap(OnGap::new().foreign(OnForeign::Latest));
    let (batches, listener) = open(kinesis, store, config).receiver().unwrap();
    until("the position is overwritten", || matches!(stored(store, 0), Some(Position::Since(_))));
    put(kinesis, 20..21);
    let batch = batches.recv_timeout(SOON).unwrap();
    assert_eq!(numbers(&batch), [20]);
    batch.commit().unwrap();
    drop(listener);
    assert_eq!(stored(store, 0), batch.records().last().map(|last| last.position()));
    batch.gap().cloned().expect("the first batch tells of the gap")
}

#[test]
fn a_stream_that_was_created_again_is_read_from_what_is_new_if_asked() {
    let (kinesis, store) = recreated(3);
    let gap = goes_on_at_latest(&kinesis, &store);
    assert!(matches!(gap, Gap::Recreated { .. }), "{gap}");
}

#[test]
fn an_end_from_the_stream_of_that_name_before_does_not_hide_a_shard() {
    let (kinesis, store) = (kinesis(1, 2), Positions::default());
    kinesis.split(STREAM, &id(0));
    read(open(&kinesis, &store, quick()), |seen| seen.last().unwrap().ends);
    assert!(stored(&store, 0).unwrap().is_end());
    kinesis.delete_stream(STREAM);
    kinesis.create_stream(STREAM, 1);
    put(&kinesis, 10..12);
    let gap = gap_of(failure(open(&kinesis, &store, quick())));
    assert!(matches!(gap, Gap::Recreated { .. }), "{gap}");
    let config = quick().on_gap(OnGap::new().foreign(OnForeign::Earliest));
    assert_eq!(all(&read(open(&kinesis, &store, config), up_to(2))), [10, 11]);
}

/// A store that was filled from another stream, whose numbers are higher.
fn foreign() -> (MemoryKinesis, Positions) {
    let (kinesis, store) = (kinesis(1, 3), Positions::default());
    kinesis.create_stream("others", 1);
    let number = kinesis.put("others", "key", b"0").sequence;
    store.update_shard_iterator(STREAM, &id(0), &Position::after(number)).unwrap();
    (kinesis, store)
}

#[test]
fn a_position_of_another_stream_is_an_error_unless_a_new_start_is_chosen() {
    let (kinesis, store) = foreign();
    let before = stored(&store, 0);
    let gap = gap_of(failure(open(&kinesis, &store, quick())));
    assert!(matches!(gap, Gap::Foreign { .. }), "{gap}");
    assert_eq!(stored(&store, 0), before);

    let config = quick().limit(1).on_gap(OnGap::new().foreign(OnForeign::Earliest));
    let seen = read(open(&kinesis, &store, config), up_to(2));
    assert_eq!(all(&seen), [0, 1]);
    assert!(matches!(only_gap(&seen), Gap::Foreign { .. }));
    // Lower than the foreign one: it was overwritten, not merely added to.
    assert!(stored(&store, 0) < before);
    assert_eq!(all(&read(open(&kinesis, &store, quick()), up_to(1))), [2]);
}

#[test]
fn a_position_of_another_stream_is_left_for_what_is_new_if_asked() {
    let (kinesis, store) = foreign();
    let gap = goes_on_at_latest(&kinesis, &store);
    assert!(matches!(gap, Gap::Foreign { .. }), "{gap}");
}
