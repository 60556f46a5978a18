//! Corners over real HTTP: a server that names no children, sends empty answers before a shard's end, and continues
//! silently from a trimmed number.

use std::cell::Cell;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime};

use ferrokinesis::store::StoreOptions;
use kinesis_consumer::{
    Call, Client, Config, Error, Gap, IteratorType, KinesisClient, LocalStore, OnForeign, OnGap,
    OnTrimmed, Position, Store, Stream, StreamStatus,
};

use super::gate::Gate;
use super::{Seen, all, assert_after, failure, read, sorted, up_to};
use crate::common::support::{Admin, REGION, Server};
use crate::common::{SOON, STREAM, id, quick, stored, until};

type Positions = Arc<LocalStore>;

/// A server with one stream.
pub(super) struct Cloud {
    admin: Admin,
    server: Server,
}

impl Cloud {
    pub(super) fn new(shards: i64) -> Self {
        Self::with(Server::options(), shards)
    }

    fn with(options: StoreOptions, shards: i64) -> Self {
        let server = Server::with(options, |router| router).unwrap();
        let admin = Admin::new(server.endpoint(), STREAM).unwrap();
        if shards > 0 {
            admin.create(shards).unwrap();
        }
        Self { admin, server }
    }

    pub(super) fn client(&self) -> KinesisClient {
        let client = KinesisClient::builder().endpoint(self.server.endpoint()).region(REGION);
        client.credentials("test", "test").build().unwrap()
    }

    fn open(&self, store: &Positions, config: Config) -> Stream {
        Stream::new(self.client(), STREAM, Arc::clone(store), config).unwrap()
    }

    pub(super) fn put(&self, records: std::ops::Range<usize>) {
        let record = |number: usize| (format!("key-{number}"), number.to_string().into_bytes());
        self.admin.put(records.map(record).collect()).unwrap();
    }

    fn split(&self, place: usize) {
        let open = self.admin.open_shards().unwrap();
        self.admin.split(&open[place]).unwrap();
    }

    fn merge(&self) {
        let open = self.admin.open_shards().unwrap();
        self.admin.merge(&open[0], &open[1]).unwrap();
    }

    /// Waits until numbers of a new stream differ from those before: they hold the second in which
    /// their stream was created.
    fn wait_for_new_numbers(&self) {
        let created = self.admin.shards().unwrap().remove(0);
        let created = created.sequence_number_range.starting_sequence_number;
        let probe = |attempt: usize| {
            let probe = Admin::new(self.server.endpoint(), format!("probe-{attempt}")).unwrap();
            probe.create(1).unwrap();
            probe.shards().unwrap().remove(0).sequence_number_range.starting_sequence_number
        };
        let attempt = Cell::new(0);
        until("a second has passed", || probe(attempt.replace(attempt.get() + 1)) != created);
    }

    /// 0 was split into 1 and 2, which were merged into 3; there are 15 records before, between and
    /// after.
    fn diamond() -> Self {
        let cloud = Self::new(1);
        cloud.put(0..5);
        cloud.split(0);
        cloud.put(5..10);
        cloud.merge();
        cloud.put(10..15);
        cloud
    }
}

fn assert_diamond(seen: &[Seen]) {
    for (child, parent) in [(1, 0), (2, 0), (3, 1), (3, 2)] {
        assert_after(seen, &id(child), &id(parent));
    }
    assert_eq!(sorted(seen), (0..15).collect::<Vec<_>>());
}

#[test]
fn children_that_no_answer_tells_are_found_after_both_parents_and_read_once() {
    let cloud = Cloud::diamond();
    let seen = read(cloud.open(&Positions::default(), quick()), up_to(15));
    assert_diamond(&seen);
}

#[test]
fn a_restart_in_the_middle_of_a_split_and_a_merge_neither_loses_nor_repeats() {
    let cloud = Cloud::diamond();
    for first in 1..6 {
        let store = Positions::default();
        let config = quick().limit(3);
        let mut seen = read(cloud.open(&store, config.clone()), |seen| seen.len() == first);
        let left = 15 - all(&seen).len();
        seen.extend(read(cloud.open(&store, config), up_to(left)));
        assert_diamond(&seen);
    }
}

#[test]
fn a_finished_parent_is_not_read_again_and_children_born_while_nobody_ran_are_read_whole() {
    let (cloud, store) = (Cloud::new(1), Positions::default());
    cloud.put(0..3);
    cloud.split(0);
    // To the end of the parent, and no further.
    read(cloud.open(&store, quick()), |seen| seen.last().is_some_and(|seen| seen.ends));
    assert!(matches!(stored(&store, 0), Some(Position::End { .. })));
    cloud.put(3..8);
    cloud.merge();
    cloud.put(8..12);
    let seen = read(cloud.open(&store, quick().iterator_type(IteratorType::Latest)), up_to(9));
    assert_eq!(sorted(&seen), (3..12).collect::<Vec<_>>());
    assert!(seen.iter().all(|seen| seen.shard != id(0)), "{seen:?}");
    assert_after(&seen, &id(3), &id(1));
    assert_after(&seen, &id(3), &id(2));
}

#[test]
fn a_shard_silent_for_longer_than_its_retention_is_resumed_and_says_what_it_cannot_know() {
    let (cloud, store) = (Cloud::new(1), Positions::default());
    cloud.put(0..3);
    read(cloud.open(&store, quick()), up_to(3));
    cloud.server.trim(STREAM, 3);
    // Without new records nothing shows it; the next record shows that the last one is gone.
    cloud.put(3..5);
    let seen = read(cloud.open(&store, quick()), up_to(2));
    assert_eq!(all(&seen), [3, 4]);
    assert!(matches!(seen[0].gap, Some(Gap::Trimmed { .. })), "{seen:?}");
}

#[test]
fn a_lineage_trimmed_to_its_grandchildren_is_followed_down_to_them() {
    let (cloud, store) = (Cloud::new(1), Positions::default());
    cloud.put(0..3);
    read(cloud.open(&store, quick()), up_to(3));
    cloud.split(0);
    cloud.put(3..6);
    cloud.merge();
    cloud.server.trim(STREAM, 6);
    cloud.put(6..9);
    let seen = read(cloud.open(&store, quick().iterator_type(IteratorType::Latest)), up_to(3));
    assert_eq!(all(&seen), [6, 7, 8]);
    let told = seen.iter().find(|seen| seen.shard == id(0)).and_then(|seen| seen.gap.as_ref());
    assert!(matches!(told, Some(Gap::Trimmed { .. })), "{seen:?}");
}

#[test]
fn iterators_that_expire_within_the_interval_lose_and_repeat_nothing_and_find_the_end() {
    let options = StoreOptions { iterator_ttl_seconds: 1, ..Server::options() };
    let cloud = Cloud::with(options, 1);
    cloud.put(0..5);
    // The server's clock is milliseconds: every token is too old at the next call.
    let config = quick().limit(3).interval(Duration::from_millis(1_100));
    let mut splits = 0;
    let seen = read(cloud.open(&Positions::default(), config), |seen| {
        if all(seen).len() == 5 && std::mem::replace(&mut splits, 1) == 0 {
            cloud.split(0);
            cloud.put(5..10);
        }
        all(seen).len() == 10
    });
    assert_eq!(sorted(&seen), (0..10).collect::<Vec<_>>());
    assert!(seen.iter().all(|seen| seen.gap.is_none()), "{seen:?}");
    assert!(seen.iter().any(|seen| seen.shard == id(0) && seen.ends));
}

#[test]
fn records_trimmed_under_a_reader_are_reported_on_the_first_batch_after_them() {
    let (gate, held, release) = Gate::new();
    let options = StoreOptions { iterator_ttl_seconds: 1, ..Server::options() };
    let server = Server::with(options, |router| gate.before(router)).unwrap();
    let cloud = Cloud { admin: Admin::new(server.endpoint(), STREAM).unwrap(), server };
    cloud.admin.create(1).unwrap();
    cloud.put(0..5);
    let mut release = Some(release);
    let seen = read(cloud.open(&Positions::default(), quick()), |seen| {
        if let Some(release) = release.take() {
            // At the next answer its token has expired, and the record after the last one read is gone.
            held.recv_timeout(SOON).unwrap();
            cloud.server.trim(STREAM, 5);
            cloud.put(5..8);
            thread::sleep(Duration::from_millis(1_100));
            drop(release);
        }
        seen.len() == 2
    });
    assert_eq!(all(&seen), (0..8).collect::<Vec<_>>());
    assert!(matches!(seen[1].gap, Some(Gap::Trimmed { .. })), "{seen:?}");
}

#[test]
fn records_trimmed_between_two_runs_are_reported_or_an_error_if_asked() {
    let (cloud, store) = (Cloud::new(1), Positions::default());
    cloud.put(0..3);
    read(cloud.open(&store, quick()), up_to(3));
    cloud.put(3..6);
    cloud.server.trim(STREAM, 6);
    cloud.put(6..8);
    let error = failure(cloud.open(&store, quick().on_gap(OnGap::new().trimmed(OnTrimmed::Fail))));
    assert!(matches!(error, Error::Gap { gap: Gap::Trimmed { .. }, .. }), "{error}");
    let seen = read(cloud.open(&store, quick()), up_to(2));
    assert_eq!(all(&seen), [6, 7]);
    assert!(matches!(seen[0].gap, Some(Gap::Trimmed { .. })), "{seen:?}");
}

#[test]
fn latest_leaves_closed_shards_alone_and_a_restart_after_silence_misses_nothing() {
    let (cloud, store) = (Cloud::new(1), Positions::default());
    cloud.put(0..5);
    cloud.split(0);
    let latest = quick().iterator_type(IteratorType::Latest);
    let silent = cloud.open(&store, latest.clone()).spawn(|_| Ok(())).unwrap();
    until("positions are stored", || [1, 2].iter().all(|shard| stored(&store, *shard).is_some()));
    silent.shutdown().now();
    silent.join().unwrap();
    assert_eq!(stored(&store, 0), None);
    assert!(matches!(stored(&store, 1), Some(Position::Since(_))));
    cloud.put(5..10);
    let seen = read(cloud.open(&store, latest), up_to(5));
    assert_eq!(sorted(&seen), [5, 6, 7, 8, 9]);
}

#[test]
fn a_stream_that_is_being_created_is_waited_for() {
    let options = StoreOptions { create_stream_ms: 3_000, ..Server::options() };
    let cloud = Cloud::with(options, 0);
    let (client, endpoint) = (cloud.client(), cloud.server.endpoint().to_owned());
    thread::scope(|scope| {
        scope.spawn(move || Admin::new(&endpoint, STREAM).unwrap().create(2).unwrap());
        let status = || client.describe_stream(STREAM, &Call::unbounded());
        until("the stream is being created", || status().is_ok());
        assert_eq!(status().unwrap(), StreamStatus::Creating);
        let mut impatient =
            cloud.open(&Positions::default(), quick().start_patience(Duration::from_millis(50)));
        let error = impatient.shards().unwrap_err();
        assert!(matches!(error, Error::StreamCreating { .. }), "{error}");
        let mut patient = cloud.open(&Positions::default(), quick());
        assert_eq!(patient.shards().unwrap().len(), 2);
    });
    cloud.put(0..5);
    assert_eq!(sorted(&read(cloud.open(&Positions::default(), quick()), up_to(5))).len(), 5);
}

#[test]
fn a_stream_that_is_missing_or_deleted_under_the_reader_is_an_error() {
    let cloud = Cloud::new(2);
    let none = Stream::new(cloud.client(), "nobody", LocalStore::new(), quick()).unwrap();
    let error = failure(none);
    assert!(matches!(error, Error::StreamNotFound { .. }), "{error}");
    // The server goes on answering while it deletes.
    cloud.put(0..10);
    let config = quick().max_outage(Duration::from_millis(300));
    let (batches, listener) = cloud.open(&Positions::default(), config).receiver().unwrap();
    batches.recv_timeout(SOON).unwrap().commit().unwrap();
    cloud.admin.delete().unwrap();
    until("the consumer ends", || listener.is_finished());
    let error = listener.join().unwrap_err();
    assert!(matches!(error, Error::StreamNotFound { .. }), "{error}");
}

#[test]
fn a_timestamp_and_sequence_numbers_start_where_they_say() {
    let cloud = Cloud::new(1);
    cloud.put(0..1);
    let store = Positions::default();
    read(cloud.open(&store, quick()), up_to(1));
    let number = stored(&store, 0).unwrap().sequence().unwrap().clone();
    cloud.put(1..3);
    let from = |at| {
        let stream = cloud.open(&Positions::default(), quick().iterator_type(at));
        all(&read(stream, |seen| all(seen).last() == Some(&2)))
    };
    assert_eq!(from(IteratorType::AtSequenceNumber(number.clone())), [0, 1, 2]);
    assert_eq!(from(IteratorType::AfterSequenceNumber(number)), [1, 2]);
    // The server's arrival times are whole seconds.
    let hour_ago = SystemTime::now() - Duration::from_secs(3600);
    assert_eq!(from(IteratorType::AtTimestamp(hour_ago)), [0, 1, 2]);
}

#[test]
fn a_stream_that_was_created_again_is_told_from_the_one_before() {
    let (cloud, store) = (Cloud::new(1), Positions::default());
    cloud.put(0..3);
    read(cloud.open(&store, quick()), up_to(3));
    cloud.wait_for_new_numbers();
    cloud.admin.delete().unwrap();
    let call = Call::unbounded();
    let client = cloud.client();
    until("the stream is gone", || client.describe_stream(STREAM, &call).is_err());
    cloud.admin.create(1).unwrap();
    cloud.put(10..13);
    let error = failure(cloud.open(&store, quick()));
    assert!(matches!(error, Error::Gap { gap: Gap::Recreated { .. }, .. }), "{error}");
    let seen = read(
        cloud.open(&store, quick().on_gap(OnGap::new().foreign(OnForeign::Earliest))),
        up_to(3),
    );
    assert_eq!(sorted(&seen), [10, 11, 12]);
    assert!(matches!(seen[0].gap, Some(Gap::Recreated { .. })), "{seen:?}");
}

#[test]
fn a_position_of_another_stream_is_foreign() {
    let (cloud, positions) = (Cloud::new(1), Positions::default());
    cloud.put(0..3);
    cloud.wait_for_new_numbers();
    // Its number is higher, and so says nothing by itself.
    let later = Admin::new(cloud.server.endpoint(), "later").unwrap();
    later.create(1).unwrap();
    later.put(vec![("key".into(), b"0".to_vec())]).unwrap();
    let others = Stream::new(cloud.client(), "later", Arc::clone(&positions), quick()).unwrap();
    read(others, up_to(1));
    let position = positions.get_shard_iterator("later", &id(0)).unwrap().unwrap();
    positions.update_shard_iterator(STREAM, &id(0), &position).unwrap();

    let error = failure(cloud.open(&positions, quick()));
    assert!(matches!(error, Error::Gap { gap: Gap::Foreign { .. }, .. }), "{error}");
    let seen = read(
        cloud.open(&positions, quick().on_gap(OnGap::new().foreign(OnForeign::Earliest))),
        up_to(3),
    );
    assert_eq!(sorted(&seen), [0, 1, 2]);
    assert!(matches!(seen[0].gap, Some(Gap::Foreign { .. })), "{seen:?}");
}

#[test]
fn chosen_shards_and_their_children_are_read_and_no_others() {
    let cloud = Cloud::new(2);
    cloud.put(0..20);
    cloud.split(0);
    cloud.put(20..40);
    let mut stream = cloud.open(&Positions::default(), quick());
    stream.choose([id(0).as_str()]).unwrap();
    let held: usize = {
        let mut everything = cloud.open(&Positions::default(), quick());
        assert_eq!(everything.shards().unwrap().len(), 4);
        let seen = read(everything, up_to(40));
        let of_first = seen.iter().filter(|seen| seen.shard != id(1));
        of_first.map(|seen| seen.numbers.len()).sum()
    };
    assert!((1..40).contains(&held));
    let seen = read(stream, up_to(held));
    assert!(seen.iter().all(|seen| seen.shard != id(1)), "{seen:?}");
    for child in [2, 3] {
        assert_after(&seen, &id(child), &id(0));
    }
}
