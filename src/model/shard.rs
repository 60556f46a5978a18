//! A shard as the stream's listing shows it.

use crate::model::position::IteratorType;
use crate::model::sequence::SequenceNumber;

/// One shard of a stream: its id, its parents, and where reading it starts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Shard {
    id: String,
    parents: Vec<String>,
    hash_keys: HashKeyRange,
    starting: SequenceNumber,
    ending: Option<SequenceNumber>,
    pub(crate) start_at: Option<IteratorType>,
}

/// The hash keys of a shard's records, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "a range has two ends and nothing else")]
pub struct HashKeyRange {
    /// The lowest.
    pub start: u128,
    /// The highest.
    pub end: u128,
}

/// A child as the last answer of its parent describes it (`ChildShards`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ChildShard {
    /// The child's id.
    pub id: String,
    /// The ids of its parents: one after a split, two after a merge.
    pub parents: Vec<String>,
    /// Its hash keys; `None` if the answer names none, or no valid range. The listing has them.
    pub hash_keys: Option<HashKeyRange>,
}

impl Shard {
    /// An open shard without parents; for implementors of [`Client`](crate::Client).
    ///
    /// ```
    /// use kinesis_consumer::{HashKeyRange, Shard};
    ///
    /// let closed = Shard::new("shardId-000000000007", HashKeyRange::ALL, "42".parse()?)
    ///     .with_parents(["shardId-000000000003".to_owned(), "shardId-000000000004".to_owned()])
    ///     .with_ending("99".parse()?);
    /// assert!(closed.is_closed() && closed.parents().len() == 2);
    /// # Ok::<(), kinesis_consumer::InvalidSequenceNumber>(())
    /// ```
    pub fn new(id: impl Into<String>, hash_keys: HashKeyRange, starting: SequenceNumber) -> Self {
        Self {
            id: id.into(),
            parents: Vec::new(),
            hash_keys,
            starting,
            ending: None,
            start_at: None,
        }
    }

    /// The same with these parents: one after a split, two after a merge.
    #[must_use]
    pub fn with_parents(mut self, parents: impl IntoIterator<Item = String>) -> Self {
        self.parents = parents.into_iter().collect();
        self
    }

    /// The same, closed at this number.
    #[must_use]
    pub fn with_ending(mut self, ending: SequenceNumber) -> Self {
        self.ending = Some(ending);
        self
    }

    /// It may have been closed since then, at this number.
    pub(crate) fn close(&mut self, ending: Option<&SequenceNumber>) {
        if self.ending.is_none() {
            self.ending = ending.cloned();
        }
    }

    /// Its id, `shardId-` and twelve digits.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The ids of the shards that it was split or merged from. They may have left the stream since.
    pub fn parents(&self) -> &[String] {
        &self.parents
    }

    /// The hash keys of its records.
    pub fn hash_keys(&self) -> HashKeyRange {
        self.hash_keys
    }

    /// The number at which it was opened; no record of it is below.
    pub fn starting_sequence_number(&self) -> &SequenceNumber {
        &self.starting
    }

    /// The number at which it was closed; `None` while it is open.
    pub fn ending_sequence_number(&self) -> Option<&SequenceNumber> {
        self.ending.as_ref()
    }

    /// Whether it was closed by a split or a merge.
    pub fn is_closed(&self) -> bool {
        self.ending.is_some()
    }

    /// Where reading it starts if no position is stored for it.
    ///
    /// Set by [`Stream::start_at`](crate::Stream::start_at). Defaults to `None`: as the configuration says.
    pub fn start_at(&self) -> Option<&IteratorType> {
        self.start_at.as_ref()
    }
}

impl ChildShard {
    /// A child of these parents: one after a split, two after a merge. See [`Answer::new`](crate::Answer::new).
    ///
    /// `None` stands for hash keys that are not known.
    pub fn new(
        id: impl Into<String>,
        parents: Vec<String>,
        hash_keys: impl Into<Option<HashKeyRange>>,
    ) -> Self {
        Self { id: id.into(), parents, hash_keys: hash_keys.into() }
    }
}

impl HashKeyRange {
    /// All hash keys: the range of a stream with a single shard.
    pub const ALL: Self = Self { start: 0, end: u128::MAX };

    /// Whether the hash key is within it.
    pub fn contains(&self, hash_key: u128) -> bool {
        (self.start..=self.end).contains(&hash_key)
    }

    /// Whether the two have a hash key in common.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.start <= other.end && other.start <= self.end
    }

    /// Whether these ranges together hold every key of this one.
    pub(crate) fn is_covered_by(&self, parts: impl IntoIterator<Item = Self>) -> bool {
        let mut parts: Vec<Self> = parts.into_iter().collect();
        parts.sort_by_key(|part| part.start);
        let mut next = self.start;
        for part in parts {
            if part.start > next {
                return false;
            }
            if part.end >= self.end {
                return true;
            }
            next = next.max(part.end + 1);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: u128, end: u128) -> HashKeyRange {
        HashKeyRange { start, end }
    }

    #[test]
    fn a_range_is_covered_by_its_halves_but_not_by_one_of_them() {
        let whole = range(10, 19);
        assert!(whole.is_covered_by([range(15, 19), range(10, 14)]));
        assert!(whole.is_covered_by([range(0, u128::MAX)]));
        assert!(!whole.is_covered_by([range(10, 14)]));
        assert!(!whole.is_covered_by([range(10, 13), range(15, 19)]));
        assert!(!whole.is_covered_by([]));
    }
}
