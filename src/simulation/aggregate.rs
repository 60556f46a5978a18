//! Aggregates as Amazon's producer library writes them.

#[cfg(feature = "kpl")]
use md5::{Digest, Md5};

use crate::core::shard::Poller;
use crate::core::shard::step::Read;
#[cfg(feature = "kpl")]
use crate::record::aggregate;
use crate::record::answer::Answer;

/// The data of an aggregate with this many user records without data.
#[cfg(feature = "kpl")]
pub(super) fn of(users: u64) -> Vec<u8> {
    // A table of one key; then a user record for each, with the first key and no data.
    let mut message = b"\x0a\x03key".to_vec();
    (0..users).for_each(|_| message.extend(b"\x1a\x04\x08\x00\x1a\x00"));
    let digest = Md5::digest(&message);
    [&b"\xf3\x89\x9a\xc2"[..], &message, &digest].concat()
}

#[cfg(not(feature = "kpl"))]
pub(super) fn of(_: u64) -> Vec<u8> {
    unreachable!("without the feature nothing is aggregated")
}

/// The work of a reader on an answer with aggregates.
#[cfg(feature = "kpl")]
pub(super) fn taken_apart(poller: &Poller, answer: Answer) -> Read {
    let mut read = Read::from(answer);
    let records = &read.answer.records;
    let found = aggregate::find(records);
    let wanted = aggregate::Wanted { shard: None, read: poller.read() };
    (read.answer.records, _) = aggregate::expand(records, &found, &wanted, None);
    read
}

#[cfg(not(feature = "kpl"))]
pub(super) fn taken_apart(_: &Poller, answer: Answer) -> Read {
    Read::from(answer)
}
