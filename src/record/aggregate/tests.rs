//! Tests of aggregates, against what Amazon's aggregator for Python has made, and what prost makes of them.

#[allow(dead_code, reason = "the bench uses more of it")]
mod owning;

use std::collections::BTreeSet;
use std::time::{Duration, UNIX_EPOCH};

use prost::Message;
use serde::Deserialize;

use super::message::MAX_ENTRIES;
use super::*;
use crate::record::builder::RecordsBuilder;

const MAGIC: [u8; 4] = [0xf3, 0x89, 0x9a, 0xc2];
const DIGEST: usize = 16;
const HALF: HashKeyRange = HashKeyRange { start: 0, end: u128::MAX / 2 };

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
    serde_json::from_str(include_str!("../../../tests/golden/kpl.json")).unwrap()
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

/// User records, and how many were left out; all of them, without a shard.
fn taken_apart(records: &Records, shard: Option<HashKeyRange>) -> (Records, u64) {
    let (users, left_out) = expand(records, &find(records), &Wanted { shard, read: None }, None);
    (users, left_out.records)
}

/// Why a record is left as it is, if it should be taken apart.
fn broken(data: &[u8]) -> Option<Broken> {
    let records = records([data]);
    find(&records).broken(&records).map(|(_, broken)| broken)
}

#[test]
fn user_records_come_out_in_order_as_they_went_in_between_plain_ones() {
    let golden = golden();
    let mut data = vec![b"plain".to_vec()];
    data.extend(golden.iter().map(|golden| bytes(&golden.aggregate)));
    data.push(Vec::new());
    let all = records(data.iter().map(Vec::as_slice));
    let (expanded, left_out) = taken_apart(&all, None);
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
    let belongs = |user: &&User| HALF.contains(user.hash_key.parse().unwrap());
    let (mut kept_of_all, mut left_out_of_all) = (0, 0);
    for golden in golden() {
        let wanted: Vec<_> = golden.records.iter().filter(belongs).collect();
        let aggregate = bytes(&golden.aggregate);
        let (kept, left_out) = taken_apart(&records([&aggregate[..]]), Some(HALF));
        assert_eq!(left_out as usize, golden.records.len() - wanted.len());
        let data: Vec<_> = kept.iter().map(|record| record.data().to_vec()).collect();
        assert_eq!(data, wanted.iter().map(|user| bytes(&user.data)).collect::<Vec<_>>());
        kept_of_all += kept.len();
        left_out_of_all += left_out;
    }
    assert!(kept_of_all > 50 && left_out_of_all > 50, "{kept_of_all} {left_out_of_all}");
}

#[test]
fn what_comes_again_where_reading_resumes_is_not_counted_again() {
    let golden = golden().into_iter().find(|golden| golden.records.len() == 20).unwrap();
    let aggregate = bytes(&golden.aggregate);
    let all = records([&aggregate[..], &aggregate]); // of the numbers 100 and 101
    let is_astray = |user: &User| !HALF.contains(user.hash_key.parse().unwrap());
    let astray: Vec<_> = golden.records.iter().map(is_astray).collect();
    let after = |from: usize| astray[from..].iter().filter(|it| **it).count() as u64;
    let cases = [("99", u64::MAX, 2 * after(0)), ("100", 4, after(5) + after(0))];
    let more = [("100", u64::MAX, after(0)), ("101", 18, after(19)), ("102", 0, 0)];
    for (sequence, sub, wanted) in cases.into_iter().chain(more) {
        let read = Some(Position::After { sequence: sequence.parse().unwrap(), sub });
        let (_, left_out) = expand(&all, &find(&all), &Wanted { shard: Some(HALF), read }, None);
        assert_eq!(left_out.records, wanted, "{sequence} {sub}");
    }
    assert!(after(5) > 0 && after(5) < after(0));
}

#[test]
fn nothing_is_touched_where_nothing_is_aggregated() {
    let plain = records([&b"plain"[..], &MAGIC, &seal(b"\xff\xff\xff")]);
    let found = find(&plain);
    assert_eq!(found.needed(), 0, "no room is asked for");
    let (same, _) = expand(&plain, &found, &Wanted { shard: Some(HALF), read: None }, None);
    assert_eq!((same.len(), same.memory()), (3, plain.memory()));
    assert!(same.iter().all(|record| record.sub_sequence_number() == u64::MAX));
}

fn user(key: u64, hash_key: Option<u64>) -> owning::UserRecord {
    let data = Some(b"data".to_vec());
    owning::UserRecord { partition_key: Some(key), explicit_hash_key: hash_key, data }
}

fn message(keys: &[&str], hash_keys: &[&[u8]], records: Vec<owning::UserRecord>) -> Vec<u8> {
    let partition_keys = keys.iter().map(|key| (*key).to_owned()).collect();
    let explicit_hash_keys = hash_keys.iter().map(|key| key.to_vec()).collect();
    owning::Aggregate { partition_keys, explicit_hash_keys, records }.encode_to_vec()
}

#[test]
fn a_hash_key_that_is_no_number_falls_back_to_that_of_the_partition_key() {
    let odd: [&[u8]; 8] =
        [b"undefined", b"ccccccccc", b"", b"-1", b"\xff", b"1.5", b" 7", &[b'9'; 40]];
    let hash_of = |key: &str| u128::from_be_bytes(Md5::digest(key.as_bytes()).into());
    let is_in_half = |key: &&str| HALF.contains(hash_of(key));
    let keys = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let users = || (0..8).map(|place| user(place, Some(place))).collect();
    let aggregate = seal(&message(&keys, &odd, users()));
    let all = records([&aggregate[..]]);
    let (found, left_out) = taken_apart(&all, Some(HALF));
    let kept: Vec<_> = found.iter().map(|record| record.partition_key()).collect();
    assert_eq!(kept, keys.iter().copied().filter(is_in_half).collect::<Vec<_>>());
    assert!(!kept.is_empty() && left_out > 0, "{kept:?}");
    assert_eq!((taken_apart(&all, None).0.len(), broken(&aggregate)), (8, None));
    // A place where there is none is no number either.
    let aggregate = seal(&message(&["a"], &[], vec![user(0, Some(9)), user(0, Some(u64::MAX))]));
    assert_eq!(taken_apart(&records([&aggregate[..]]), None).0.len(), 2);
}

#[test]
fn what_is_malformed_is_the_plain_record_that_it_is_and_told_where_the_checksum_is_right() {
    let no_key = owning::UserRecord { partition_key: None, ..user(0, None) };
    let no_data = owning::UserRecord { data: None, ..user(0, None) };
    let good = message(&["key"], &[b"7"], vec![user(0, Some(0))]);
    assert_eq!(broken(&seal(&good)), None);
    let mut wrong_digest = seal(&good);
    *wrong_digest.last_mut().unwrap() ^= 1;
    let too_many_keys = message(&vec![""; MAX_ENTRIES], &[], vec![user(0, None)]);
    let malformed = [
        (MAGIC.to_vec(), None),
        ([&MAGIC[..], &[0; DIGEST - 1]].concat(), None),
        (wrong_digest, None),
        (seal(b""), Some(Broken::Empty)),
        (seal(b"\xff\xff\xff"), Some(Broken::Malformed)),
        (seal(b"\x0a\x01\xff"), Some(Broken::Malformed)),
        (seal(&message(&["key"], &[], vec![])), Some(Broken::Empty)),
        (seal(&message(&[], &[], vec![user(0, None)])), Some(Broken::NoKey)),
        (seal(&message(&["key"], &[], vec![user(1, None)])), Some(Broken::NoKey)),
        (seal(&message(&["key"], &[], vec![user(u64::MAX, None)])), Some(Broken::NoKey)),
        (seal(&message(&["key"], &[], vec![no_key])), Some(Broken::NoKey)),
        (seal(&message(&["key"], &[], vec![no_data])), Some(Broken::NoData)),
        (seal(&too_many_keys), Some(Broken::TooMany)),
    ];
    for (data, why) in malformed {
        assert_eq!(broken(&data), why);
        // Beside one that is whole, so that records are built anew.
        let all = records([&data[..], &seal(&good)]);
        let (found, left_out) = taken_apart(&all, None);
        let record = found.first().unwrap();
        assert_eq!((found.len(), left_out, record.data()), (2, 0, &data[..]));
        assert_eq!((record.partition_key(), record.sub_sequence_number()), ("outer", u64::MAX));
    }
}

#[test]
fn user_records_share_the_data_of_their_answer_and_take_what_was_asked_for() {
    let golden = golden();
    let aggregates: Vec<_> = golden.iter().map(|golden| bytes(&golden.aggregate)).collect();
    let all = records(aggregates.iter().map(Vec::as_slice));
    let found = find(&all);
    let (users, _) = expand(&all, &found, &Wanted::default(), None);
    let data = all.first().unwrap().data().as_ptr_range().start
        ..all.last().unwrap().data().as_ptr_range().end;
    assert!(users.iter().all(|user| data.contains(&user.data().as_ptr())));
    let new = users.memory() - aggregates.iter().map(Vec::len).sum::<usize>();
    assert!(found.needed() >= all.memory() + new && new >= users.len() * ENTRY, "{found:?} {new}");
    let lengths: usize = users.iter().map(|user| user.data().len()).sum();
    assert_eq!(users.data_len(), lengths);
}

/// A key, data and whether the half has it; `None` if the data is no aggregate.
type Users = Option<Vec<(String, Vec<u8>, bool)>>;

fn owned(data: &[u8]) -> Users {
    let aggregate = owning::parse(data)?;
    let users = aggregate.records.iter().map(|user| {
        let key = aggregate.key_of(user).unwrap();
        let is_within = HALF.contains(aggregate.hash_of(user, key));
        (aggregate.partition_keys[key].clone(), user.data.clone().unwrap(), is_within)
    });
    Some(users.collect())
}

fn walked(data: &[u8]) -> Users {
    let all = records([data]);
    let (users, left_out) = taken_apart(&all, None);
    assert!(users.memory() <= find(&all).needed().max(all.memory()));
    if users.first().unwrap().sub_sequence_number() == u64::MAX {
        return None;
    }
    assert!(users.iter().enumerate().all(|(sub, user)| user.sub_sequence_number() == sub as u64));
    let (kept, astray) = taken_apart(&all, Some(HALF));
    assert_eq!((left_out, kept.len() + astray as usize), (0, users.len()));
    let within: BTreeSet<_> = kept.iter().map(|user| user.sub_sequence_number()).collect();
    let users = users.iter().map(|user| {
        let is_within = within.contains(&user.sub_sequence_number());
        (user.partition_key().to_owned(), user.data().to_vec(), is_within)
    });
    Some(users.collect())
}

/// A field of an aggregate, or one that nobody knows.
fn some_field(rng: &mut fastrand::Rng, users: bool) -> Vec<u8> {
    let bytes = |field: u8, bytes: &[u8]| [&[field << 3 | 2, bytes.len() as u8], bytes].concat();
    let hash_keys: [&[u8]; 5] =
        [b"7", b"340282366920938463463374607431768211455", b"none", b"\xff", b""];
    match rng.u32(..if users { 9 } else { 6 }) {
        0 | 1 => bytes(1, &[rng.u8(b'a'..b'q')]),
        2 => bytes(2, hash_keys[rng.usize(..hash_keys.len())]),
        3 => vec![rng.u8(4..16) << 3, rng.u8(..0x80)],
        4 => vec![0x2d, 1, 2, 3, 4],
        5 => vec![0x23, 0x08, 0x01, 0x24],
        _ => {
            let mut user = Vec::new();
            for field in rng.choose_multiple(1..=3, 3) {
                match field {
                    3 => user.extend(bytes(3, &vec![b'u'; rng.usize(..5)])),
                    field => user.extend([field << 3, rng.u8(..3)]),
                }
                if rng.u32(..8) == 0 {
                    user.extend(some_field(rng, false));
                }
            }
            bytes(3, &user)
        }
    }
}

/// Whatever prost makes of it, with the keys before the records, between them or behind, is made of it here.
#[test]
fn messages_of_any_order_are_read_as_prost_reads_them() {
    let mut rng = fastrand::Rng::with_seed(4);
    let (mut whole, mut broken) = (0, 0);
    for _ in 0..60_000 {
        let fields = rng.usize(1..12);
        let fields: Vec<_> = (0..fields).map(|_| some_field(&mut rng, true)).collect();
        let data = seal(&fields.concat());
        let wanted = owned(&data);
        assert_eq!(walked(&data), wanted, "{}", hex::encode(&data));
        *if wanted.is_some() { &mut whole } else { &mut broken } += 1;
    }
    assert!(whole > 5_000 && broken > 5_000, "{whole} {broken}");
}

#[test]
fn hostile_messages_never_panic_and_are_read_as_prost_reads_them() {
    let golden: Vec<_> = golden().iter().map(|golden| bytes(&golden.aggregate)).collect();
    let mut rng = fastrand::Rng::with_seed(3);
    let mut whole = 0;
    for round in 0..240_000 {
        // The short ones are read in no time, and have all that there is.
        let aggregate = &golden[rng.usize(..if round % 64 == 0 { golden.len() } else { 4 })];
        let mut message = aggregate[MAGIC.len()..aggregate.len() - DIGEST].to_vec();
        for _ in 0..rng.usize(1..4) {
            let at = rng.usize(..message.len());
            match rng.u32(..4) {
                0 => message[at] = rng.u8(..),
                1 => message.truncate(at.max(1)),
                2 => message[at] ^= 1 << rng.u32(..8),
                _ => message.insert(at, rng.u8(..)),
            }
        }
        let data = seal(&message); // the digest is right, or nothing would be read
        let wanted = owned(&data);
        assert_eq!(walked(&data), wanted, "{}", hex::encode(&data));
        whole += usize::from(wanted.is_some());
    }
    assert!(whole > 10_000, "{whole}");
}
