//! Aggregates as prost decodes them, into vectors of their own: what a walk over the message is held against.

use md5::{Digest, Md5};
use prost::Message;
use prost::encoding::{DecodeContext, decode_key, skip_field};

const MAGIC: [u8; 4] = [0xf3, 0x89, 0x9a, 0xc2];
const DIGEST: usize = 16;
const MAX_ENTRIES: usize = 1 << 18;

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Aggregate {
    #[prost(string, repeated, tag = "1")]
    pub(crate) partition_keys: Vec<String>,
    /// Not as texts: one that is none is as good as one that is no number.
    #[prost(bytes = "vec", repeated, tag = "2")]
    pub(crate) explicit_hash_keys: Vec<Vec<u8>>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) records: Vec<UserRecord>,
}

/// The key and the data must be there, which prost does not demand.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct UserRecord {
    #[prost(uint64, optional, tag = "1")]
    pub(crate) partition_key: Option<u64>,
    #[prost(uint64, optional, tag = "2")]
    pub(crate) explicit_hash_key: Option<u64>,
    #[prost(bytes = "vec", optional, tag = "3")]
    pub(crate) data: Option<Vec<u8>>,
}

/// The message between the magic number and the digest.
fn message(data: &[u8]) -> Option<&[u8]> {
    let rest = data.strip_prefix(&MAGIC)?;
    rest.get(..rest.len().checked_sub(DIGEST)?)
}

/// How many entries the message has, if it is one and they are not too many.
pub(crate) fn entries(mut message: &[u8]) -> Option<usize> {
    let skip = |message: &mut &[u8]| {
        let (tag, wire_type) = decode_key(message)?;
        skip_field(wire_type, tag, message, DecodeContext::default())
    };
    let entries =
        (0..=MAX_ENTRIES).take_while(|_| !message.is_empty() && skip(&mut message).is_ok());
    let entries = entries.count();
    (entries <= MAX_ENTRIES && message.is_empty()).then_some(entries)
}

/// How many entries the data has as an aggregate, 1 if it is none: what is asked for before it is decoded.
pub(crate) fn count(data: &[u8]) -> usize {
    message(data).and_then(entries).unwrap_or(1)
}

/// The aggregate that the data is, if it is one in every detail.
pub(crate) fn parse(data: &[u8]) -> Option<Aggregate> {
    let message = message(data)?;
    if !data.ends_with(Md5::digest(message).as_slice()) || entries(message).is_none() {
        return None;
    }
    let aggregate = Aggregate::decode(message).ok()?;
    let is_whole = |user: &UserRecord| user.data.is_some() && aggregate.key_of(user).is_some();
    let all = &aggregate.records;
    (!all.is_empty() && all.iter().all(is_whole)).then_some(aggregate)
}

impl Aggregate {
    /// The place of a record's partition key.
    pub(crate) fn key_of(&self, user: &UserRecord) -> Option<usize> {
        let index = usize::try_from(user.partition_key?).ok()?;
        (index < self.partition_keys.len()).then_some(index)
    }

    /// Where Kinesis would have put the user record by itself.
    pub(crate) fn hash_of(&self, user: &UserRecord, key: usize) -> u128 {
        let index = user.explicit_hash_key.and_then(|index| usize::try_from(index).ok());
        let text = index.and_then(|index| self.explicit_hash_keys.get(index));
        let text = text.and_then(|text| std::str::from_utf8(text).ok());
        text.and_then(|text| text.parse().ok()).unwrap_or_else(|| {
            let key = self.partition_keys[key].as_bytes();
            u128::from_be_bytes(Md5::digest(key).into())
        })
    }
}
