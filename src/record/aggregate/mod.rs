//! Records that Amazon's producer library has aggregated, taken apart.
//!
//! An aggregate is one record whose data is a magic number, a message of protocol buffers, and the MD5 of the
//! message. Nothing of it is copied but its keys: user records share the data of the answer.

mod left_out;
mod message;
mod wire;

use std::cmp::Ordering;

use md5::{Digest, Md5};

pub(crate) use self::left_out::{LeftOut, Watch};
pub(crate) use self::message::Broken;
use self::message::{Aggregate, Counts, User};
use crate::budget::Budget;
use crate::model::position::Position;
use crate::model::shard::HashKeyRange;
use crate::record::parts::PartsBuilder;
use crate::record::{ENTRY, Record, Records, is_marked};

/// What to do with records that Amazon's producer library (KPL) has aggregated: many user records in one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Deaggregation {
    /// Deliver them as the plain records that Kinesis holds.
    #[default]
    Off,
    /// Deliver their user records whose hash key is within the shard, as KCL does. It is right only if KPL itself
    /// makes all aggregates of the stream: then user records of another shard are there only because a shard was split
    /// on the way, and KPL sends them again.
    ///
    /// All other aggregators put user records of any key into one record, and send nothing again: user records that are
    /// left out are lost to the consumer. [`Notice::LeftOut`](crate::Notice::LeftOut) and
    /// [`ShardProgress::left_out`](crate::ShardProgress::left_out) report that.
    WithinShard,
    /// Deliver all of their user records. It is right for every aggregator. KPL's user records come twice if a shard
    /// was split on the way.
    All,
}

/// The aggregates among the records of an answer.
#[derive(Debug)]
pub(crate) struct Found {
    /// The content of each record that is an aggregate; empty if there is none.
    each: Vec<Option<Counts>>,
    /// The place of the first record that seems to be an aggregate and cannot be taken apart.
    broken: Option<(usize, Broken)>,
    users: usize,
    /// The bytes of keys and numbers, when all are taken apart.
    text: usize,
    needed: usize,
}

/// A key, and the work done on it.
struct Key<'a> {
    key: &'a str,
    /// Its place in the texts of the new records, after it was copied.
    text: Option<(u32, u32)>,
    /// Whether its hash is within the shard, after this was computed.
    is_within: Option<bool>,
}

/// Which user records are wanted.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    /// Only those of this shard; `None` for all.
    pub(crate) shard: Option<HashKeyRange>,
    /// The position read before. Earlier records come again when reading resumes, and their left-out user records were
    /// counted before.
    pub(crate) read: Option<Position>,
}

/// Takes one aggregate after the other apart.
struct Splitter<'a> {
    builder: PartsBuilder<'a>,
    wanted: &'a Wanted,
    /// The keys of the current aggregate; their memory is reused.
    keys: Vec<Key<'a>>,
    /// For each of its explicit hash keys, whether it is within the shard.
    hash_keys: Vec<Option<bool>>,
    left_out: LeftOut,
}

/// Looks for aggregates.
// long: one pass over the records sums what taking them apart needs.
pub(crate) fn find(records: &Records) -> Found {
    let mut found = Found { each: Vec::new(), broken: None, users: 0, text: 0, needed: 0 };
    if !records.iter().any(|record| is_marked(record.data())) {
        return found;
    }
    let (mut is_any, mut tables) = (false, 0);
    found.each.reserve_exact(records.len());
    for (place, record) in records.iter().enumerate() {
        let counts = match Counts::of(record.data()) {
            Some(Err(broken)) => {
                found.broken.get_or_insert((place, broken));
                None
            }
            Some(Ok(counts)) => Some(counts),
            None => None,
        };
        let keys = counts.map_or(record.partition_key().len(), |counts| counts.text as usize);
        found.text += record.sequence_number().len() + keys;
        found.users += counts.map_or(1, |counts| counts.users as usize);
        tables = tables.max(counts.map_or(0, table));
        is_any |= counts.is_some();
        found.each.push(counts);
    }
    if is_any {
        let each = found.each.capacity() * size_of::<Option<Counts>>();
        // An index that was kept may be a quarter larger.
        let index = found.users * ENTRY * 5 / 4;
        found.needed = records.memory() + found.text + index + tables + each;
    } else {
        found.each = Vec::new();
    }
    found
}

/// The bytes that the keys of an aggregate take while it is taken apart.
fn table(counts: Counts) -> usize {
    counts.keys as usize * size_of::<Key<'_>>()
        + counts.hash_keys as usize * size_of::<Option<bool>>()
}

/// The wanted user records of one answer, in order, and those that were left out.
pub(crate) fn expand(
    records: &Records,
    found: &Found,
    wanted: &Wanted,
    budget: Option<&Budget>,
) -> (Records, LeftOut) {
    if found.each.is_empty() {
        return (records.clone(), LeftOut::default());
    }
    let mut splitter = Splitter {
        builder: PartsBuilder::new(records, found.users, found.text, budget),
        wanted,
        keys: Vec::new(),
        hash_keys: Vec::new(),
        left_out: LeftOut::default(),
    };
    for (record, counts) in records.iter().zip(&found.each) {
        match counts.and_then(|counts| Aggregate::new(record.data(), counts)) {
            Some(aggregate) => splitter.take_apart(record, aggregate),
            None => splitter.builder.push_record(record),
        }
    }
    (splitter.builder.build(), splitter.left_out)
}

impl Found {
    /// How many bytes are needed to take them apart, including the records themselves. 0 if there is no aggregate.
    pub(crate) fn needed(&self) -> usize {
        self.needed
    }

    /// The first record that has the magic number and the checksum of an aggregate and is left as it is, and why.
    pub(crate) fn broken<'a>(&self, records: &'a Records) -> Option<(Record<'a>, Broken)> {
        let (place, broken) = self.broken?;
        Some((records.get(place)?, broken))
    }
}

impl<'a> Splitter<'a> {
    fn take_apart(&mut self, record: Record<'a>, aggregate: Aggregate<'a>) {
        self.read_keys(aggregate);
        // Each text is in the buffer once, for all records that share it.
        let sequence = self.builder.push_text(record.sequence_number());
        let read = self.read_before(record);
        let mut left_out = 0;
        for (sub, user) in (0..).zip(aggregate.users()) {
            if !self.is_wanted(&user) {
                left_out += u64::from(read.is_none_or(|read| sub > read));
                continue;
            }
            let key = &mut self.keys[user.key];
            let text = *key.text.get_or_insert_with(|| self.builder.push_text(key.key));
            self.builder.push_part(record, sequence, text, sub, user.data);
        }
        if left_out > 0 {
            self.left_out.add(left_out, record);
        }
    }

    fn read_keys(&mut self, aggregate: Aggregate<'a>) {
        self.keys.clear();
        self.keys.extend(aggregate.keys().map(|key| Key { key, text: None, is_within: None }));
        self.hash_keys.clear();
        if let Some(shard) = self.wanted.shard {
            let is_within = |hash_key: Option<u128>| hash_key.map(|key| shard.contains(key));
            self.hash_keys.extend(aggregate.hash_keys().map(is_within));
        }
    }

    /// The last of its user records that was read before.
    fn read_before(&self, record: Record<'_>) -> Option<u64> {
        let Some(Position::After { sequence, sub }) = &self.wanted.read else { return None };
        let Position::After { sequence: number, .. } = record.position() else { return None };
        match number.cmp(sequence) {
            Ordering::Less => Some(u64::MAX),
            Ordering::Equal => Some(*sub),
            Ordering::Greater => None,
        }
    }

    /// Whether Kinesis would have put the user record by itself into the shard.
    #[inline]
    fn is_wanted(&mut self, user: &User) -> bool {
        let Some(shard) = self.wanted.shard else { return true };
        // A missing text, or a text that is not a number, is no hash key.
        let explicit = user.hash_key.and_then(|place| *self.hash_keys.get(place)?);
        explicit.unwrap_or_else(|| {
            let key = &mut self.keys[user.key];
            *key.is_within.get_or_insert_with(|| {
                shard.contains(u128::from_be_bytes(Md5::digest(key.key.as_bytes()).into()))
            })
        })
    }
}

#[cfg(test)]
mod tests;
