//! Splits, merges, and shards that do not exist any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crossbeam_channel::{bounded, unbounded};
use kinesis_consumer::testing::{MemoryKinesis, Operation};
use kinesis_consumer::{
    Answer, Call, Client, ClientError, Error, ErrorClass, Gap, HashKeyRange, IteratorType,
    LocalStore, Shard, ShardIterator, ShardPage, Stream, StreamStatus, Token,
};

use super::{Seen, all, assert_after, failure, read, sorted, up_to};
use crate::common::{SOON, STREAM, Watched, id, kinesis, quick, stored};

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
            // One change happens each time after all earlier records were read.
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
        // The second read of its parent; it would start after that.
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

/// An in-memory Kinesis whose listings a closure makes, from the number of the call.
struct Listed<F>(MemoryKinesis, AtomicUsize, F);

fn listed<F: Fn(usize) -> Result<ShardPage, ClientError>>(
    kinesis: &MemoryKinesis,
    list: F,
) -> Listed<F> {
    Listed(kinesis.clone(), AtomicUsize::new(0), list)
}

impl<F: Fn(usize) -> Result<ShardPage, ClientError> + Send + Sync> Client for Listed<F> {
    fn describe_stream(&self, stream: &str, call: &Call) -> Result<StreamStatus, ClientError> {
        self.0.describe_stream(stream, call)
    }

    fn list_shards(
        &self,
        _stream: &str,
        _token: Option<&str>,
        _call: &Call,
    ) -> Result<ShardPage, ClientError> {
        (self.2)(self.1.fetch_add(1, Ordering::Relaxed))
    }

    fn get_shard_iterator(
        &self,
        stream: &str,
        shard: &str,
        at: &IteratorType,
        call: &Call,
    ) -> Result<ShardIterator, ClientError> {
        self.0.get_shard_iterator(stream, shard, at, call)
    }

    fn get_records(&self, token: &Token, limit: u32, call: &Call) -> Result<Answer, ClientError> {
        self.0.get_records(token, limit, call)
    }
}

/// A page with a shard that no other page has, which names another page.
fn endless_page(call: usize) -> ShardPage {
    let shard = Shard::new(id(call), HashKeyRange::ALL, "1".parse().unwrap());
    ShardPage::new(vec![shard], Some(call.to_string()))
}

#[test]
fn a_shard_that_the_first_listings_lack_is_read_too() {
    for iterator_type in [IteratorType::TrimHorizon, IteratorType::Latest] {
        let kinesis = kinesis(2, 0);
        let shards = kinesis.shards(STREAM);
        let (tell, calls) = unbounded();
        let client = listed(&kinesis, move |call| {
            let _ = tell.send(()); // nobody listens after the first calls
            let lacks = call < 3;
            Ok(ShardPage::new(shards.iter().skip(usize::from(lacks)).cloned().collect(), None))
        });
        let config = quick().iterator_type(iterator_type);
        let stream = Stream::new(client, STREAM, LocalStore::new(), config).unwrap();
        let (batches, listener) = stream.receiver().unwrap();
        for _ in 0..4 {
            calls.recv_timeout(SOON).unwrap();
        }
        let mut left = vec![id(0), id(1)];
        while !left.is_empty() {
            // Until each is read from the latest record on.
            left.iter().for_each(|shard| drop(kinesis.put_to(STREAM, shard, "key", b"0")));
            if let Ok(batch) = batches.recv_timeout(Duration::from_millis(20)) {
                left.retain(|shard| shard != batch.shard());
            }
        }
        listener.shutdown().now();
        listener.join().unwrap();
    }
}

#[test]
fn pages_that_are_throttled_one_after_the_other_are_read_to_the_last() {
    let kinesis = kinesis(6, 60);
    kinesis.set_page_size(STREAM, 1);
    let listings = AtomicUsize::new(0);
    let client = Watched::new(&kinesis, move |operation| {
        let is_listing = operation == Operation::ListShards;
        if is_listing && listings.fetch_add(1, Ordering::Relaxed) % 4 == 3 {
            return Err(ClientError::new(ErrorClass::Throttled, "ListShards", "slow down"));
        }
        Ok(())
    });
    let mut stream = Stream::new(client.clone(), STREAM, LocalStore::new(), quick()).unwrap();
    assert_eq!(stream.shards().unwrap().len(), 6);
    assert_eq!(kinesis.calls(Operation::ListShards), 6, "no page is read twice");
    let stream = Stream::new(client, STREAM, LocalStore::new(), quick()).unwrap();
    assert_eq!(sorted(&read(stream, up_to(60))), (0..60).collect::<Vec<_>>());
}

#[test]
fn a_listing_without_end_fails_when_start_patience_ends() {
    let pages: [fn(usize) -> ShardPage; 2] =
        [endless_page, |call| ShardPage::new(endless_page(0).shards, Some((call % 2).to_string()))];
    for page in pages {
        let config = quick().start_patience(Duration::from_millis(300));
        let open = || {
            let client = listed(&MemoryKinesis::new(), move |call| Ok(page(call)));
            Stream::new(client, STREAM, LocalStore::new(), config.clone()).unwrap()
        };
        for error in [failure(open()), open().shards().unwrap_err()] {
            let Error::Client { shard: None, source, .. } = &error else { panic!("{error:?}") };
            assert!(source.to_string().contains("did not end"), "{source}");
        }
    }
}

#[test]
fn a_stop_is_seen_between_two_pages_by_a_client_that_does_not_watch_it() {
    let (tell, calls) = unbounded();
    let client = listed(&MemoryKinesis::new(), move |call| {
        tell.send(call).unwrap();
        Ok(endless_page(call))
    });
    let config = quick().start_patience(Duration::MAX);
    let listener =
        Stream::new(client, STREAM, LocalStore::new(), config).unwrap().spawn(|_| Ok(()));
    let listener = listener.unwrap();
    for _ in 0..3 {
        calls.recv_timeout(SOON).unwrap();
    }
    listener.shutdown().now();
    listener.join().unwrap();
    assert!(calls.iter().count() < 10_000, "the client is gone, and was asked for no more pages");
}

/// Nanoseconds of CPU that this process has taken.
#[cfg(target_os = "linux")]
fn cpu() -> f64 {
    let threads = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = threads.rsplit(") ").next().unwrap().split(' ').collect();
    // In hundredths of a second, in user and in system mode.
    fields[11..13].iter().map(|ticks| ticks.parse::<f64>().unwrap()).sum::<f64>() / 100.0
}

/// `cargo test --release --features full --test consumer timing_of_parents -- --ignored --nocapture`
#[test]
#[cfg(target_os = "linux")]
#[ignore = "it measures time"]
fn timing_of_parents_that_end_at_once() {
    let mut costs = Vec::new();
    for parents in [1_000, 2_000, 4_000] {
        let kinesis = kinesis(parents, 0);
        for parent in 0..parents {
            kinesis.split(STREAM, &id(parent));
        }
        let config = quick().interval(Duration::from_secs(3_600)).capacity(16_384);
        let stream = Stream::new(kinesis, STREAM, LocalStore::new(), config).unwrap();
        let began = cpu();
        let (batches, listener) = stream.receiver().unwrap();
        for _ in 0..parents {
            let batch = batches.recv_timeout(SOON * 10).unwrap();
            assert!(batch.ends_shard());
            batch.commit().unwrap();
        }
        let monitor = listener.monitor();
        super::until("all children are started", || monitor.progress().shards.len() == 3 * parents);
        let cost = (cpu() - began) / parents as f64;
        println!("{parents} parents: {:.0} us of CPU for each", cost * 1e6);
        listener.shutdown().now();
        listener.join().unwrap();
        costs.push(cost);
    }
}
