//! Records that Amazon's producer library has aggregated, taken apart. Pure.
//!
//! An aggregate is one record whose data is a magic number, a message of protocol buffers, and the MD5 of the
//! message.

use md5::{Digest, Md5};
use prost::Message;
use prost::encoding::{DecodeContext, decode_key, skip_field};

use crate::budget::Budget;
use crate::config::Deaggregation;
use crate::record::{ENTRY, Record, Records, RecordsBuilder};
use crate::shard::HashKeyRange;

const MAGIC: [u8; 4] = [0xf3, 0x89, 0x9a, 0xc2];
const DIGEST: usize = 16;
/// More user records, and keys, than this in one aggregate are not believed: decoded, one takes up to thirty times
/// what the shortest takes in the message.
const MAX_ENTRIES: usize = 1 << 18;

#[derive(Clone, PartialEq, Message)]
struct Aggregate {
    #[prost(string, repeated, tag = "1")]
    partition_keys: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    explicit_hash_keys: Vec<String>,
    #[prost(message, repeated, tag = "3")]
    records: Vec<UserRecord>,
}

/// Its tags, field 4, are not read, as nobody writes them. The key and the data must be there, which prost would not
/// demand.
#[derive(Clone, PartialEq, Message)]
struct UserRecord {
    #[prost(uint64, optional, tag = "1")]
    partition_key: Option<u64>,
    #[prost(uint64, optional, tag = "2")]
    explicit_hash_key: Option<u64>,
    #[prost(bytes = "vec", optional, tag = "3")]
    data: Option<Vec<u8>>,
}

/// What records take that are taken apart, at most.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Needed {
    /// With the user records, in bytes. Nothing if there is nothing to take apart.
    pub(crate) bytes: usize,
    /// How many user records there are.
    users: usize,
}

/// What it takes to take them apart.
pub(crate) fn needed(records: &Records) -> Needed {
    let mut needed = Needed::default();
    if !records.iter().any(is_marked) {
        return needed;
    }
    for record in records {
        let text = record.sequence_number().len() + record.partition_key().len();
        // Keys and data of user records are parts of the data.
        let users = message(record.data()).and_then(entries).unwrap_or(1);
        needed.bytes += 2 * (record.data().len() + text) + (1 + users) * ENTRY;
        needed.users += users;
    }
    needed
}

/// The user records of one answer, in order, and how many were left out because they belong to another shard.
pub(crate) fn expand(
    records: &Records,
    needed: Needed,
    how: Deaggregation,
    shard: HashKeyRange,
    budget: Option<&Budget>,
) -> (Records, u64) {
    if how == Deaggregation::Off || needed.users == 0 {
        return (records.clone(), 0);
    }
    let mut builder = RecordsBuilder::with_budget(budget);
    let data = records.data_len();
    builder.reserve(needed.users, 0, data);
    let mut left_out = 0;
    for record in records {
        match parse(record.data()) {
            None => builder.push_record(record),
            Some(aggregate) => {
                left_out += take_apart(&mut builder, record, &aggregate, how, shard);
            }
        }
    }
    (builder.build(), left_out)
}

fn is_marked(record: Record<'_>) -> bool {
    record.data().starts_with(&MAGIC)
}

/// The message between the magic number and the digest.
fn message(data: &[u8]) -> Option<&[u8]> {
    let rest = data.strip_prefix(&MAGIC)?;
    rest.get(..rest.len().checked_sub(DIGEST)?)
}

/// The aggregate that the data is, if it is one in every detail.
fn parse(data: &[u8]) -> Option<Aggregate> {
    let message = message(data)?;
    if !data.ends_with(Md5::digest(message).as_slice()) || entries(message).is_none() {
        return None;
    }
    let aggregate = Aggregate::decode(message).ok()?;
    let is_whole = |record: &UserRecord| {
        let hash_keys = &aggregate.explicit_hash_keys;
        let names_hash_key =
            record.explicit_hash_key.is_none_or(|index| hash_key(hash_keys, index).is_some());
        names_hash_key && record.data.is_some() && aggregate.key_of(record).is_some()
    };
    let all = &aggregate.records;
    (!all.is_empty() && all.iter().all(is_whole)).then_some(aggregate)
}

/// How many entries the message has, if it is one and they are not too many; decoding it would show that too late.
fn entries(mut message: &[u8]) -> Option<usize> {
    let skip = |message: &mut &[u8]| {
        let (tag, wire_type) = decode_key(message)?;
        skip_field(wire_type, tag, message, DecodeContext::default())
    };
    let entries =
        (0..=MAX_ENTRIES).take_while(|_| !message.is_empty() && skip(&mut message).is_ok());
    let entries = entries.count();
    (entries <= MAX_ENTRIES && message.is_empty()).then_some(entries)
}

fn hash_key(keys: &[String], index: u64) -> Option<u128> {
    keys.get(usize::try_from(index).ok()?)?.parse().ok()
}

impl Aggregate {
    /// The place of a record's partition key.
    fn key_of(&self, record: &UserRecord) -> Option<usize> {
        let index = usize::try_from(record.partition_key?).ok()?;
        (index < self.partition_keys.len()).then_some(index)
    }

    /// Where Kinesis would have put the user record by itself.
    fn hash_of(&self, record: &UserRecord, key: usize) -> u128 {
        let explicit = record.explicit_hash_key;
        explicit.and_then(|index| hash_key(&self.explicit_hash_keys, index)).unwrap_or_else(|| {
            let key = self.partition_keys[key].as_bytes();
            u128::from_be_bytes(Md5::digest(key).into())
        })
    }
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
        let (Some(index), Some(data)) = (aggregate.key_of(user), &user.data) else {
            continue; // `parse` has seen that there is none such
        };
        if how == Deaggregation::WithinShard && !shard.contains(aggregate.hash_of(user, index)) {
            left_out += 1;
            continue;
        }
        let key = *places[index].get_or_insert_with(|| builder.push_text(&keys[index]));
        builder.push_part(sequence, key, record, sub as u64, data);
    }
    left_out
}

#[cfg(test)]
#[path = "kpl_tests.rs"]
mod tests;
