//! Records that Amazon's producer library has aggregated, taken apart. Pure.
//!
//! An aggregate is one record whose data is a magic number, a message of protocol buffers, and the MD5 of the
//! message.

use md5::{Digest, Md5};
use prost::Message;

use crate::budget::Budget;
use crate::config::Deaggregation;
use crate::record::{Record, Records, RecordsBuilder};
use crate::shard::HashKeyRange;

const MAGIC: [u8; 4] = [0xf3, 0x89, 0x9a, 0xc2];
const DIGEST: usize = 16;
/// More user records than this in one aggregate are not believed: an entry of the index takes as much as twenty
/// empty ones in the message.
const MAX_RECORDS: usize = 1 << 18;

#[derive(Clone, PartialEq, Message)]
struct Aggregate {
    #[prost(string, repeated, tag = "1")]
    partition_keys: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    explicit_hash_keys: Vec<String>,
    #[prost(message, repeated, tag = "3")]
    records: Vec<UserRecord>,
}

/// Its tags, field 4, are not read, as nobody writes them.
#[derive(Clone, PartialEq, Message)]
struct UserRecord {
    #[prost(uint64, required, tag = "1")]
    partition_key: u64,
    #[prost(uint64, optional, tag = "2")]
    explicit_hash_key: Option<u64>,
    #[prost(bytes = "vec", required, tag = "3")]
    data: Vec<u8>,
}

/// The user records of one answer, in order, and how many were left out because they belong to another shard.
pub(crate) fn expand(
    records: Records,
    how: Deaggregation,
    shard: HashKeyRange,
    budget: Option<&Budget>,
) -> (Records, u64) {
    let is_marked = |record: Record<'_>| record.data().starts_with(&MAGIC);
    if how == Deaggregation::Off || !records.iter().any(is_marked) {
        return (records, 0);
    }
    let mut builder = RecordsBuilder::with_budget(budget);
    let data = records.data_len();
    builder.reserve(records.len(), 0, data);
    let mut left_out = 0;
    for record in &records {
        match parse(record.data()) {
            None => builder.push_record(record),
            Some(aggregate) => {
                left_out += take_apart(&mut builder, record, &aggregate, how, shard);
            }
        }
    }
    (builder.build(), left_out)
}

/// The aggregate that the data is, if it is one in every detail.
fn parse(data: &[u8]) -> Option<Aggregate> {
    let rest = data.strip_prefix(&MAGIC)?;
    let (message, digest) = rest.split_at(rest.len().checked_sub(DIGEST)?);
    if Md5::digest(message).as_slice() != digest {
        return None;
    }
    let aggregate = Aggregate::decode(message).ok()?;
    let (keys, hash_keys) = (&aggregate.partition_keys, &aggregate.explicit_hash_keys);
    let names = |record: &UserRecord| {
        let has_key = usize::try_from(record.partition_key).is_ok_and(|key| key < keys.len());
        has_key && record.explicit_hash_key.is_none_or(|key| hash_key(hash_keys, key).is_some())
    };
    let is_whole = (1..=MAX_RECORDS).contains(&aggregate.records.len());
    (is_whole && aggregate.records.iter().all(names)).then_some(aggregate)
}

fn hash_key(keys: &[String], index: u64) -> Option<u128> {
    keys.get(usize::try_from(index).ok()?)?.parse().ok()
}

/// Adds the user records of an aggregate: how many were left out.
fn take_apart(
    builder: &mut RecordsBuilder,
    record: Record<'_>,
    aggregate: &Aggregate,
    how: Deaggregation,
    shard: HashKeyRange,
) -> u64 {
    let keys = &aggregate.partition_keys;
    // Each text stands in the buffer once, however many records share it.
    let sequence = builder.push_text(record.sequence_number());
    let mut places = vec![None; keys.len()];
    let mut left_out = 0;
    for (sub, user) in aggregate.records.iter().enumerate() {
        let index = user.partition_key as usize; // `parse` has seen that it is one
        if how == Deaggregation::WithinShard && !shard.contains(hash_of(aggregate, user)) {
            left_out += 1;
            continue;
        }
        let key = *places[index].get_or_insert_with(|| builder.push_text(&keys[index]));
        builder.push_part(sequence, key, record, sub as u64, &user.data);
    }
    left_out
}

/// Where Kinesis would have put the user record by itself.
fn hash_of(aggregate: &Aggregate, user: &UserRecord) -> u128 {
    let explicit = user.explicit_hash_key;
    explicit.and_then(|key| hash_key(&aggregate.explicit_hash_keys, key)).unwrap_or_else(|| {
        let key = &aggregate.partition_keys[user.partition_key as usize];
        u128::from_be_bytes(Md5::digest(key.as_bytes()).into())
    })
}

#[cfg(test)]
#[path = "kpl_tests.rs"]
mod tests;
