//! Splits, merges, and what becomes of those who are no longer there.

use std::sync::Arc;

use crossbeam_channel::bounded;
use kinesis_consumer::{Gap, LocalStore, MemoryKinesis, Operation, Stream};

use super::common::{SOON, STREAM, Watched, id, kinesis, quick, stored};
use super::{Seen, all, assert_after, read, sorted, up_to};

fn open(kinesis: &MemoryKinesis, store: &Arc<LocalStore>) -> Stream {
    Stream::new(kinesis.clone(), STREAM, Arc::clone(store), quick().limit(2)).unwrap()
}

/// 0 was split into 1 and 2, those were merged into 3, and each shard has four records.
fn diamond() -> MemoryKinesis {
    let kinesis = kinesis(1, 0);
    let fill = |shard: usize| {
        for number in 4 * shard..4 * shard + 4 {
            kinesis.put_to(STREAM, &id(shard), "key", number.to_string().as_bytes());
        }
    };
    fill(0);
    kinesis.split(STREAM, &id(0));
    fill(1);
    fill(2);
    kinesis.merge(STREAM, &id(1), &id(2));
    fill(3);
    kinesis
}

fn assert_diamond(seen: &[Seen]) {
    for (child, parent) in [(1, 0), (2, 0), (3, 1), (3, 2)] {
        assert_after(seen, &id(child), &id(parent));
    }
    assert_eq!(sorted(seen), (0..16).collect::<Vec<_>>());
}

#[test]
fn a_merged_child_that_both_parents_announce_starts_once_and_after_both() {
    let kinesis = diamond();
    let (kinesis, store) = (kinesis, Arc::default());
    assert_diamond(&read(open(&kinesis, &store), up_to(16)));
    assert_eq!(kinesis.calls(Operation::GetShardIterator), 4);
}

#[test]
fn a_split_and_a_merge_under_the_reader_are_followed() {
    for announces in [true, false] {
        let kinesis = kinesis(1, 2);
        kinesis.announce_children(STREAM, announces);
        let put = |shard: usize, number: usize| {
            kinesis.put_to(STREAM, &id(shard), "key", number.to_string().as_bytes());
        };
        let mut steps = 0;
        let seen = read(open(&kinesis, &Arc::default()), |seen| {
            // One thing happens each time that all was read which was put before.
            match (steps, all(seen).len()) {
                (0, 2) => {
                    kinesis.split(STREAM, &id(0));
                    put(1, 2);
                    put(2, 3);
                }
                (1, 4) => {
                    kinesis.merge(STREAM, &id(1), &id(2));
                    put(3, 4);
                }
                (2, 5) => return true,
                _ => return false,
            }
            steps += 1;
            false
        });
        assert_eq!(sorted(&seen), [0, 1, 2, 3, 4], "announced: {announces}");
        for (child, parent) in [(1, 0), (2, 0), (3, 1), (3, 2)] {
            assert_after(&seen, &id(child), &id(parent));
        }
    }
}

#[test]
fn empty_answers_before_the_end_are_waited_out() {
    for answers in [1, 2, 5] {
        let kinesis = diamond();
        kinesis.set_empty_answers(STREAM, answers);
        assert_diamond(&read(open(&kinesis, &Arc::default()), up_to(16)));
    }
}

#[test]
fn a_restart_after_any_batch_of_a_split_and_a_merge_neither_loses_nor_repeats() {
    let kinesis = diamond();
    for first in 1.. {
        let store = Arc::default();
        let mut seen = read(open(&kinesis, &store), |seen| seen.len() == first);
        if seen.last().is_some_and(|last| last.shard == id(3)) {
            assert!(first > 6, "{seen:?}");
            return;
        }
        let left = 16 - all(&seen).len();
        seen.extend(read(open(&kinesis, &store), up_to(left)));
        assert_diamond(&seen);
        for parent in 0..3 {
            assert!(stored(&store, parent).is_some_and(|stored| stored.is_end()));
        }
    }
}

#[test]
fn chosen_shards_are_followed_and_those_left_out_hold_nobody_up() {
    let kinesis = diamond();
    let mut stream = open(&kinesis, &Arc::default());
    stream.choose([id(1).as_str()]).unwrap();
    let seen = read(stream, up_to(8));
    assert_eq!(all(&seen), [4, 5, 6, 7, 12, 13, 14, 15]);
}

#[test]
fn a_parent_that_has_left_the_listing_holds_nobody_up() {
    let kinesis = diamond();
    kinesis.retire(STREAM, &id(0));
    kinesis.retire(STREAM, &id(1));
    let seen = read(open(&kinesis, &Arc::default()), up_to(8));
    assert_eq!(all(&seen), (8..16).collect::<Vec<_>>());
}

#[test]
fn a_shard_that_ages_out_while_it_waits_ends_and_its_children_go_on() {
    let kinesis = diamond();
    let store = Arc::<LocalStore>::default();
    let (retire, retired) = bounded::<()>(0);
    let (reads, begun) = (Operation::GetRecords, kinesis.clone());
    let client = Watched::new(&kinesis, move |operation| {
        // The second read of its parent, after which it would begin.
        if operation == reads && begun.calls(reads) == 1 {
            let _disconnected = retired.recv_timeout(SOON);
        }
        Ok(())
    });
    let stream = Stream::new(client, STREAM, Arc::clone(&store), quick().limit(2)).unwrap();
    let mut retire = Some(retire);
    let seen = read(stream, |seen| {
        // Its parent is being read: the listing has shown it.
        if let Some(retire) = retire.take() {
            kinesis.retire(STREAM, &id(1));
            drop(retire);
        }
        all(seen).len() == 12
    });
    assert_eq!(sorted(&seen), [0, 1, 2, 3, 8, 9, 10, 11, 12, 13, 14, 15]);
    let aged = seen.iter().find(|seen| seen.shard == id(1)).unwrap();
    assert!(aged.ends && aged.numbers.is_empty());
    assert!(matches!(aged.gap, Some(Gap::Trimmed { wanted: None, available: None, .. })));
    assert!(stored(&store, 1).unwrap().is_end());
    assert_after(&seen, &id(3), &id(1));
}

#[test]
fn after_the_last_record_is_committed_the_end_alone_is_left_to_deliver() {
    let (kinesis, store) = (kinesis(1, 3), Arc::default());
    read(open(&kinesis, &store), up_to(3));
    let [low, _] = kinesis.split(STREAM, &id(0));
    kinesis.put_to(STREAM, &low, "key", b"3");
    let seen = read(open(&kinesis, &store), up_to(1));
    let end = seen.iter().find(|seen| seen.shard == id(0)).unwrap();
    assert!(end.ends && end.numbers.is_empty() && end.gap.is_none(), "{end:?}");
    assert!(stored(&store, 0).unwrap().is_end());
    assert_eq!(all(&seen), [3]);
    assert_after(&seen, &low, &id(0));
}

#[test]
fn a_shard_that_was_read_to_its_end_is_not_read_again() {
    let (kinesis, store) = (diamond(), Arc::default());
    read(open(&kinesis, &store), up_to(16));
    let begun = kinesis.calls(Operation::GetShardIterator);
    kinesis.put_to(STREAM, &id(3), "key", b"16");
    assert_eq!(all(&read(open(&kinesis, &store), up_to(1))), [16]);
    assert_eq!(kinesis.calls(Operation::GetShardIterator), begun + 1);
}
