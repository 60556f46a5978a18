//! An aggregate: keys, and user records that name them by their places. It is read in place.

use std::fmt;
use std::ops::Range;

use md5::{Digest, Md5};

use crate::record::MAGIC;

use super::wire::{Fields, Malformed, Value};

const DIGEST: usize = 16;
/// An aggregate with more user records and keys than this is not taken apart: this number fits into the smallest
/// budget, together with the largest record of Kinesis.
pub(super) const MAX_ENTRIES: usize = 1 << 18;

/// The numbers of the fields. There are tags too, but no producer writes them.
const KEY: u32 = 1;
const HASH_KEY: u32 = 2;
const USER: u32 = 3;

/// A complete aggregate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Aggregate<'a> {
    message: &'a [u8],
    counts: Counts,
}

/// The content of an aggregate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) users: u32,
    pub(super) keys: u32,
    pub(super) hash_keys: u32,
    /// The bytes of all keys.
    pub(super) text: u32,
}

/// A user record, which names its keys by their places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct User {
    pub(super) key: usize,
    pub(super) hash_key: Option<usize>,
    /// The place of its data in the data of the aggregate.
    pub(super) data: Range<usize>,
}

/// Why a record with the magic number and the checksum of an aggregate is not taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    Malformed,
    Empty,
    NoKey,
    NoData,
    TooMany,
}

impl Counts {
    /// Checks all details of an aggregate; `None` if the data is not an aggregate.
    pub(super) fn of(data: &[u8]) -> Option<Result<Self, Broken>> {
        let message = message(data)?;
        let is_one = data.ends_with(Md5::digest(message).as_slice());
        is_one.then(|| Self::of_message(message))
    }

    // long: one branch for each field.
    fn of_message(message: &[u8]) -> Result<Self, Broken> {
        let (mut counts, mut entries, mut keys_named) = (Self::default(), 0, 0);
        let mut fields = Fields::of(message);
        while let Some((field, value)) = fields.read()? {
            entries += 1;
            if entries > MAX_ENTRIES {
                return Err(Broken::TooMany);
            }
            match (field, value) {
                (KEY, Value::Bytes(key)) => {
                    counts.text +=
                        std::str::from_utf8(key).map_err(|_| Broken::Malformed)?.len() as u32;
                    counts.keys += 1;
                }
                (HASH_KEY, Value::Bytes(_)) => counts.hash_keys += 1,
                (USER, Value::Bytes(user)) => {
                    let user = User::read(fields, user, 0)?;
                    keys_named = keys_named.max(user.key.saturating_add(1));
                    counts.users += 1;
                }
                (KEY | HASH_KEY | USER, _) => return Err(Broken::Malformed),
                _ => {}
            }
        }
        match counts.users {
            0 => Err(Broken::Empty),
            _ if keys_named > counts.keys as usize => Err(Broken::NoKey),
            _ => Ok(counts),
        }
    }
}

impl<'a> Aggregate<'a> {
    /// The data of a record, with its content.
    pub(super) fn new(data: &'a [u8], counts: Counts) -> Option<Self> {
        Some(Self { message: message(data)?, counts })
    }

    /// The keys, by their places.
    pub(super) fn keys(self) -> impl Iterator<Item = &'a str> {
        // All are texts: this was checked.
        self.texts(KEY, self.counts.keys).map(|key| std::str::from_utf8(key).unwrap_or_default())
    }

    /// The hash keys, by their places; `None` for a text that is not a number.
    pub(super) fn hash_keys(self) -> impl Iterator<Item = Option<u128>> + use<'a> {
        let number = |text| std::str::from_utf8(text).ok()?.parse().ok();
        self.texts(HASH_KEY, self.counts.hash_keys).map(number)
    }

    /// The user records, in order.
    pub(super) fn users(self) -> impl Iterator<Item = User> + use<'a> {
        let mut fields = Fields::of(self.message);
        // Unreadable records were refused before.
        std::iter::from_fn(move || {
            while let Ok(Some((field, value))) = fields.read() {
                if let (USER, Value::Bytes(user)) = (field, value) {
                    let at = MAGIC.len() + fields.at() - user.len();
                    return User::read(fields, user, at).ok();
                }
            }
            None
        })
    }

    /// This many values of a field, which usually come before all user records.
    fn texts(self, wanted: u32, count: u32) -> impl Iterator<Item = &'a [u8]> {
        let mut fields = Fields::of(self.message);
        let texts = std::iter::from_fn(move || {
            while let Ok(Some((field, value))) = fields.read() {
                match value {
                    Value::Bytes(text) if field == wanted => return Some(text),
                    _ => {}
                }
            }
            None
        });
        texts.take(count as usize)
    }
}

impl User {
    /// `at` is where it begins.
    #[inline]
    fn read(of: Fields<'_>, user: &[u8], at: usize) -> Result<Self, Broken> {
        Self::short(user, at).map_or_else(|| Self::long(of.within(user), at), Ok)
    }

    /// The form in which every aggregator writes short user records without a hash key: to read their fields one after
    /// the other would take half of all time.
    #[inline]
    fn short(user: &[u8], at: usize) -> Option<Self> {
        let [0x08, key @ ..0x80, 0x1a, length @ ..0x80, data @ ..] = user else { return None };
        let data_at = at + user.len() - data.len()..at + user.len();
        let is_whole = data.len() == usize::from(*length);
        is_whole.then(|| Self { key: usize::from(*key), hash_key: None, data: data_at })
    }

    fn long(mut fields: Fields<'_>, at: usize) -> Result<Self, Broken> {
        let (mut key, mut hash_key, mut data) = (None, None, None);
        // If there are several, the last one counts.
        while let Some((field, value)) = fields.read()? {
            match (field, value) {
                (1, Value::Number(place)) => key = Some(place),
                (2, Value::Number(place)) => hash_key = Some(place),
                (3, Value::Bytes(bytes)) => {
                    let end = at + fields.at();
                    data = Some(end - bytes.len()..end);
                }
                (1..=3, _) => return Err(Broken::Malformed),
                _ => {}
            }
        }
        let place = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        Ok(Self {
            key: place(key.ok_or(Broken::NoKey)?),
            hash_key: hash_key.map(place),
            data: data.ok_or(Broken::NoData)?,
        })
    }
}

impl From<Malformed> for Broken {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("its message is malformed"),
            Self::Empty => f.write_str("it has no user records"),
            Self::NoKey => f.write_str("a user record has no partition key"),
            Self::NoData => f.write_str("a user record has no data"),
            Self::TooMany => write!(f, "it has more than {MAX_ENTRIES} user records and keys"),
        }
    }
}

/// The message between the magic number and the digest.
fn message(data: &[u8]) -> Option<&[u8]> {
    let rest = data.strip_prefix(&MAGIC)?;
    rest.get(..rest.len().checked_sub(DIGEST)?)
}
