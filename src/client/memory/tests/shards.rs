//! Streams, their shards, and the records that they hold.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;
use crate::model::shard::HashKeyRange;

#[test]
fn numbers_rise_over_all_shards_and_streams() {
    let kinesis = with_shards(4);
    let mut numbers: Vec<_> =
        kinesis.shards("s").iter().map(|shard| shard.starting_sequence_number().clone()).collect();
    let put = |key: u32| kinesis.put("s", &key.to_string(), b"").sequence;
    numbers.extend((0..100).map(put));
    let [low, _] = kinesis.split("s", FIRST);
    numbers.push(shard(&kinesis, FIRST).ending_sequence_number().unwrap().clone());
    numbers.push(shard(&kinesis, &low).starting_sequence_number().clone());
    kinesis.create_stream("t", 1);
    numbers.push(kinesis.shards("t")[0].starting_sequence_number().clone());
    assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]));
    assert!(numbers.iter().all(|number| number.as_str().len() == 56));
}

#[test]
fn a_key_always_goes_to_the_shard_whose_range_holds_it() {
    let kinesis = with_shards(2);
    let before: Vec<_> = (0..50).map(|key| kinesis.put("s", &key.to_string(), b"").shard).collect();
    let again: Vec<_> = (0..50).map(|key| kinesis.put("s", &key.to_string(), b"").shard).collect();
    assert_eq!(before, again);
    let [low, high] = kinesis.split("s", FIRST);
    for (key, before) in before.into_iter().enumerate() {
        let now = kinesis.put("s", &key.to_string(), b"").shard;
        let children = [low.clone(), high.clone()];
        assert!(if before == FIRST { children.contains(&now) } else { now == before });
    }
}

#[test]
fn a_split_closes_the_parent_and_halves_its_range() {
    let kinesis = with_shards(1);
    let ids = kinesis.split("s", FIRST);
    assert_eq!(ids, ["shardId-000000000001", "shardId-000000000002"]);
    assert!(shard(&kinesis, FIRST).is_closed());
    let [low, high] = ids.map(|id| shard(&kinesis, &id));
    let middle = u128::MAX / 2;
    assert_eq!(low.hash_keys(), HashKeyRange { start: 0, end: middle });
    assert_eq!(high.hash_keys(), HashKeyRange { start: middle + 1, end: u128::MAX });
    assert!(!low.is_closed() && low.parents() == [FIRST] && high.parents() == [FIRST]);
}

#[test]
fn a_merge_closes_both_parents_and_joins_their_ranges() {
    let kinesis = with_shards(3);
    let ids: Vec<_> = kinesis.shards("s").iter().map(|shard| shard.id().to_owned()).collect();
    let child = shard(&kinesis, &kinesis.merge("s", &ids[1], &ids[2]));
    assert_eq!(child.parents(), &ids[1..]);
    let [one, two] = [1, 2].map(|at| shard(&kinesis, &ids[at]));
    assert!(one.is_closed() && two.is_closed());
    let (start, end) = (one.hash_keys().start, two.hash_keys().end);
    assert_eq!(child.hash_keys(), HashKeyRange { start, end });
    for parent in [one, two] {
        assert!(child.starting_sequence_number() > parent.ending_sequence_number().unwrap());
    }
}

#[test]
fn the_listing_comes_in_pages_and_without_retired_shards() {
    let kinesis = with_shards(5);
    let [low, _] = kinesis.split("s", "shardId-000000000001");
    kinesis.retire("s", "shardId-000000000001");
    assert_eq!(shard(&kinesis, &low).parents(), ["shardId-000000000001"]);
    let all: Vec<_> = kinesis.shards("s").iter().map(|shard| shard.id().to_owned()).collect();
    assert_eq!(list(&kinesis, None).unwrap(), (all.clone(), None));
    kinesis.set_page_size("s", 2);
    let (mut paged, mut next) = list(&kinesis, None).unwrap();
    assert_eq!(paged, ["shardId-000000000000", "shardId-000000000002"]);
    while let Some(token) = next {
        let (more, after) = list(&kinesis, Some(&token)).unwrap();
        assert!(!more.is_empty());
        paged.extend(more);
        next = after;
    }
    assert_eq!(paged, all);
}

#[test]
fn the_name_of_a_page_expires() {
    let kinesis = with_shards(2);
    kinesis.set_page_size("s", 1);
    let token = list(&kinesis, None).unwrap().1.unwrap();
    kinesis.advance(Duration::from_secs(300));
    let expired = refused(ErrorClass::ExpiredNextToken, "ExpiredNextTokenException");
    assert_eq!(refusal(list(&kinesis, Some(&token))), expired);
}

#[test]
fn a_stream_in_the_making_is_in_use() {
    let kinesis = with_shards(1);
    let token = token(&kinesis, FIRST, &TrimHorizon);
    let call = Call::unbounded();
    for (status, is_usable) in [
        (StreamStatus::Creating, false),
        (StreamStatus::Deleting, false),
        (StreamStatus::Updating, true),
        (StreamStatus::Active, true),
    ] {
        kinesis.set_status("s", status);
        assert_eq!(kinesis.describe_stream("s", &call).unwrap(), status);
        assert_eq!(
            (list(&kinesis, None).is_ok(), begin(&kinesis, FIRST, &Latest).is_ok()),
            (is_usable, is_usable)
        );
        assert!(read(&kinesis, &token, 10).is_ok());
    }
    kinesis.set_status("s", StreamStatus::Creating);
    let in_use = refused(ErrorClass::InUse, "ResourceInUseException");
    assert_eq!(refusal(list(&kinesis, None)), in_use);
    assert_eq!(refusal(begin(&kinesis, FIRST, &Latest)), in_use);
}

#[test]
fn what_is_held_is_told_in_order() {
    let (kinesis, puts) = with_records(&["a", "b"]);
    let [_, high] = kinesis.split("s", FIRST);
    let child = kinesis.put_to("s", &high, "other", b"c");
    let held: Vec<_> = kinesis.held("s").into_iter().map(|it| (it.shard, it.sequence)).collect();
    let expected =
        [&puts[0], &puts[1], &child].map(|put| (put.shard.clone(), put.sequence.clone()));
    assert_eq!(held, expected);
    let HeldRecord { partition_key, data, .. } = &kinesis.held("s")[2];
    assert_eq!((partition_key.as_str(), &data[..]), ("other", &b"c"[..]));
}

#[test]
fn a_stream_without_shards_lists_none() {
    let kinesis = with_shards(0);
    assert_eq!(list(&kinesis, None).unwrap(), (Vec::new(), None));
}

#[test]
fn clones_share_their_streams_and_debug_shows_no_data() {
    let (kinesis, _) = with_records(&["secret"]);
    assert_eq!(kinesis.clone().held("s").len(), 1);
    let shown = format!("{kinesis:?} {:?}", kinesis.held("s"));
    assert!(shown.contains("data_len: 6") && !shown.contains("secret") && !shown.contains("key"));
}

#[test]
fn the_real_clock_runs_by_itself() {
    let kinesis = MemoryKinesis::default();
    kinesis.create_stream("s", 1);
    let before = SystemTime::now();
    kinesis.put("s", "key", b"a");
    assert!(kinesis.held("s")[0].arrival >= before - Duration::from_millis(1));
    assert_eq!(read_from(&kinesis, FIRST, &AtTimestamp(before)), ["a"]);
}

#[test]
fn bad_use_panics_with_a_clear_message() {
    type Use = fn(&MemoryKinesis);
    let uses: [(&str, Use); 12] = [
        ("no stream \"t\"", |it| drop(it.put("t", "key", b""))),
        ("no stream \"t\"", |it| it.delete_stream("t")),
        ("stream \"s\" already", |it| it.create_stream("s", 1)),
        ("no shard \"x\"", |it| drop(it.put_to("s", "x", "key", b""))),
        ("is closed", |it| drop(it.split("s", FIRST))),
        ("is closed", |it| drop(it.put_to("s", FIRST, "key", b""))),
        ("no open shard", |it| {
            it.create_stream("empty", 0);
            it.put("empty", "key", b"");
        }),
        ("is open", |it| it.retire("s", "shardId-000000000001")),
        ("adjacent", |it| {
            let [low, _] = it.split("s", "shardId-000000000001");
            it.merge("s", &low, "shardId-000000000002");
        }),
        ("adjacent", |it| drop(it.merge("s", "shardId-000000000002", "shardId-000000000002"))),
        ("real one", |_| MemoryKinesis::new().advance(Duration::ZERO)),
        ("at least one shard", |it| it.set_page_size("s", 0)),
    ];
    for (message, bad) in uses {
        let kinesis = with_shards(1);
        kinesis.split("s", FIRST);
        let panic = catch_unwind(AssertUnwindSafe(|| bad(&kinesis))).err().unwrap();
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        assert!(text.as_ref().unwrap().contains(message), "{text:?} should say {message:?}");
        assert!(kinesis.put("s", "key", b"").shard.as_str() > FIRST, "it can still be used");
    }
}
