//! Aggregates as Amazon's producer library writes them.

#[cfg(feature = "kpl")]
use md5::{Digest, Md5};

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
