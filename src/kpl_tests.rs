//! Tests of aggregates, against what Amazon's aggregator for Python has made.

use std::time::{Duration, UNIX_EPOCH};

use serde::Deserialize;

use super::*;

const ALL: HashKeyRange = HashKeyRange::ALL;

/// What the aggregator made of some user records.
#[derive(Deserialize)]
struct Golden {
    aggregate: String,
    records: Vec<User>,
}

#[derive(Deserialize)]
struct User {
    key: String,
    hash_key: String,
    data: String,
}

fn golden() -> Vec<Golden> {
    serde_json::from_str(include_str!("../tests/kpl/golden.json")).unwrap()
}

fn bytes(text: &str) -> Vec<u8> {
    hex::decode(text).unwrap()
}

/// Records whose numbers are 100, 101 and so on.
fn records<'a>(data: impl IntoIterator<Item = &'a [u8]>) -> Records {
    let mut builder = RecordsBuilder::default();
    for (number, data) in data.into_iter().enumerate() {
        let number = (100 + number).to_string().parse().unwrap();
        builder.push(&number, "outer", UNIX_EPOCH + Duration::from_secs(7), data);
    }
    builder.build()
}

fn seal(message: &[u8]) -> Vec<u8> {
    [&MAGIC[..], message, Md5::digest(message).as_slice()].concat()
}

fn taken_apart(records: Records, how: Deaggregation, shard: HashKeyRange) -> (Records, u64) {
    let needed = needed(&records);
    expand(&records, needed, how, shard, None)
}

#[test]
fn user_records_come_out_in_order_as_they_went_in_between_plain_ones() {
    let golden = golden();
    let mut data = vec![b"plain".to_vec()];
    data.extend(golden.iter().map(|golden| bytes(&golden.aggregate)));
    data.push(Vec::new());
    let all = records(data.iter().map(Vec::as_slice));
    let (expanded, left_out) = taken_apart(all, Deaggregation::All, ALL);
    assert_eq!(left_out, 0);
    let mut found = expanded.iter();
    let plain = found.next().unwrap();
    assert_eq!((plain.data(), plain.sub_sequence_number()), (&b"plain"[..], u64::MAX));
    for (number, golden) in golden.iter().enumerate() {
        for (sub, user) in golden.records.iter().enumerate() {
            let record = found.next().unwrap();
            assert_eq!(record.sequence_number(), (101 + number).to_string());
            assert_eq!(record.sub_sequence_number(), sub as u64);
            assert_eq!(record.partition_key(), user.key);
            assert_eq!(record.data(), bytes(&user.data));
            assert_eq!(record.approximate_arrival(), Some(UNIX_EPOCH + Duration::from_secs(7)));
        }
    }
    assert_eq!((found.next().unwrap().data(), found.next().is_none()), (&b""[..], true));
}

#[test]
fn user_records_of_other_shards_are_left_out_and_counted() {
    let half = HashKeyRange { start: 0, end: u128::MAX / 2 };
    let belongs = |user: &&User| half.contains(user.hash_key.parse().unwrap());
    let (mut kept_of_all, mut left_out_of_all) = (0, 0);
    for golden in golden() {
        let wanted: Vec<_> = golden.records.iter().filter(belongs).collect();
        let aggregate = bytes(&golden.aggregate);
        let (kept, left_out) =
            taken_apart(records([&aggregate[..]]), Deaggregation::WithinShard, half);
        assert_eq!(left_out as usize, golden.records.len() - wanted.len());
        let data: Vec<_> = kept.iter().map(|record| record.data().to_vec()).collect();
        assert_eq!(data, wanted.iter().map(|user| bytes(&user.data)).collect::<Vec<_>>());
        kept_of_all += kept.len();
        left_out_of_all += left_out;
    }
    assert!(kept_of_all > 50 && left_out_of_all > 50, "{kept_of_all} {left_out_of_all}");
}

#[test]
fn nothing_is_touched_where_it_is_off_or_nothing_is_aggregated() {
    let aggregate = bytes(&golden()[0].aggregate);
    for (data, how) in
        [(&aggregate[..], Deaggregation::Off), (&b"plain"[..], Deaggregation::WithinShard)]
    {
        let (same, _) = taken_apart(records([data]), how, ALL);
        let record = same.first().unwrap();
        assert_eq!((record.data(), record.sub_sequence_number()), (data, u64::MAX));
    }
}

#[test]
fn what_is_malformed_is_the_plain_record_that_it_is() {
    let user = |key, hash_key| UserRecord {
        partition_key: Some(key),
        explicit_hash_key: hash_key,
        data: Some(b"data".to_vec()),
    };
    let message = |keys: &[&str], hash_keys: &[&str], records| Aggregate {
        partition_keys: keys.iter().map(|key| (*key).to_owned()).collect(),
        explicit_hash_keys: hash_keys.iter().map(|key| (*key).to_owned()).collect(),
        records,
    };
    let no_key = UserRecord { partition_key: None, ..user(0, None) };
    let no_data = UserRecord { data: None, ..user(0, None) };
    let good = message(&["key"], &["7"], vec![user(0, Some(0))]).encode_to_vec();
    assert!(parse(&seal(&good)).is_some());
    let mut wrong_digest = seal(&good);
    *wrong_digest.last_mut().unwrap() ^= 1;
    let malformed = [
        MAGIC.to_vec(),
        [&MAGIC[..], &[0; DIGEST - 1]].concat(),
        seal(b""),
        seal(b"\xff\xff\xff"),
        wrong_digest,
        seal(&message(&["key"], &[], vec![]).encode_to_vec()),
        seal(&message(&[], &[], vec![user(0, None)]).encode_to_vec()),
        seal(&message(&["key"], &[], vec![user(u64::MAX, None)]).encode_to_vec()),
        seal(&message(&["key"], &[], vec![user(0, Some(0))]).encode_to_vec()),
        seal(&message(&["key"], &["no number"], vec![user(0, Some(0))]).encode_to_vec()),
        seal(&message(&["key"], &["-1"], vec![user(0, Some(0))]).encode_to_vec()),
        seal(&message(&["key"], &[], vec![no_key]).encode_to_vec()),
        seal(&message(&["key"], &[], vec![no_data]).encode_to_vec()),
        // Of the shortest entries, and of keys that nobody names.
        seal(&[0x1a, 0].repeat(MAX_ENTRIES + 1)),
        seal(&message(&vec![""; MAX_ENTRIES], &[], vec![user(0, None)]).encode_to_vec()),
    ];
    for data in malformed {
        let (found, left_out) = taken_apart(records([&data[..]]), Deaggregation::All, ALL);
        let record = found.first().unwrap();
        assert_eq!((found.len(), left_out, record.data()), (1, 0, &data[..]));
        assert_eq!((record.partition_key(), record.sub_sequence_number()), ("outer", u64::MAX));
    }
}

#[test]
fn hostile_messages_never_panic_and_take_little_more_than_they_are() {
    let good: Vec<_> = golden().iter().map(|golden| bytes(&golden.aggregate)).collect();
    let mut rng = fastrand::Rng::with_seed(3);
    let mut whole = 0;
    for _ in 0..20_000 {
        let aggregate = &good[rng.usize(..good.len())];
        let mut message = aggregate[MAGIC.len()..aggregate.len() - DIGEST].to_vec();
        for _ in 0..rng.usize(1..4) {
            let at = rng.usize(..message.len());
            match rng.u32(..3) {
                0 => message[at] = rng.u8(..),
                1 => message.truncate(at.max(1)),
                _ => message.insert(at, rng.u8(..)),
            }
        }
        let data = seal(&message); // the digest is right, or nothing would be read
        let (found, _) = taken_apart(records([&data[..]]), Deaggregation::All, ALL);
        whole += usize::from(found.first().unwrap().sub_sequence_number() == 0);
        assert!(found.memory() <= 1_024 + data.len() * 24, "{} of {}", found.memory(), data.len());
    }
    assert!(whole > 1_000, "{whole}");
}
