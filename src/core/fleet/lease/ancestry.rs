//! The listed shards and the rows together: which shard is done, which one is missing, and which one waits.

use std::collections::{BTreeMap, BTreeSet};

use crate::core::fleet::lease::checkpoint::At;
use crate::core::fleet::lease::row::Row;
use crate::model::sequence::SequenceNumber;
use crate::model::shard::{HashKeyRange, Shard};

/// A complete listing of the stream, and all rows of the table.
#[derive(Debug)]
pub(crate) struct Ancestry<'a> {
    shards: BTreeMap<&'a str, &'a Shard>,
    rows: BTreeMap<&'a str, &'a Row>,
    children: BTreeMap<&'a str, BTreeSet<&'a str>>,
    settled: BTreeSet<&'a str>,
}

impl<'a> Ancestry<'a> {
    /// The listing may be newer than the rows, or older.
    pub(crate) fn new(listing: &'a [Shard], rows: &'a [Row]) -> Self {
        let mut it = Self {
            shards: listing.iter().map(|shard| (shard.id(), shard)).collect(),
            rows: rows.iter().map(|row| (row.shard.as_str(), row)).collect(),
            children: BTreeMap::new(),
            settled: BTreeSet::new(),
        };
        it.children = it.families();
        it.settled =
            it.ancestors(it.rows.values().filter(|row| it.settles(row)).map(|row| &*row.shard));
        it
    }

    /// The listed shards.
    pub(crate) fn shards(&self) -> impl Iterator<Item = &'a Shard> {
        self.shards.values().copied()
    }

    /// The shard as it is listed.
    pub(crate) fn shard(&self, id: &str) -> Option<&'a Shard> {
        self.shards.get(id).copied()
    }

    /// The rows.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &'a Row> {
        self.rows.values().copied()
    }

    /// The row of the shard.
    pub(crate) fn row(&self, id: &str) -> Option<&'a Row> {
        self.rows.get(id).copied()
    }

    /// The shard's parents, as the listing or its row names them.
    pub(crate) fn parents(&self, id: &str) -> BTreeSet<&'a str> {
        let listed = self.shard(id).into_iter().flat_map(Shard::parents);
        let kept = self.row(id).into_iter().flat_map(|row| &row.parents);
        listed.chain(kept).map(String::as_str).collect()
    }

    /// The shard's children, as the listing or any row names them.
    pub(crate) fn children(&self, id: &str) -> impl Iterator<Item = &'a str> {
        self.children.get(id).into_iter().flatten().copied()
    }

    /// The shard's hash keys, if its row or the listing has them.
    pub(crate) fn hash_keys(&self, id: &str) -> Option<HashKeyRange> {
        let kept = self.row(id).and_then(|row| row.hash_keys);
        kept.or_else(|| self.shard(id).map(Shard::hash_keys))
    }

    /// Whether nothing of the shard is left to read: it is done, or its row stood for a descendant that was the first to be
    /// wanted.
    pub(crate) fn is_over(&self, id: &str) -> bool {
        match self.row(id) {
            Some(row) => row.checkpoint.is_end(),
            None => self.settled.contains(id),
        }
    }

    /// Whether the shard is listed, is not over, and has no row.
    pub(crate) fn is_missing(&self, id: &str) -> bool {
        self.shards.contains_key(id) && self.row(id).is_none() && !self.settled.contains(id)
    }

    /// Whether the shard may be read, as far as its parents are concerned. One that is not listed any more, and has no row,
    /// has no records either; one that is missing gets a row first.
    pub(crate) fn may_start(&self, id: &str) -> bool {
        self.parents(id).into_iter().all(|parent| match self.row(parent) {
            Some(row) => row.checkpoint.is_end(),
            None => !self.is_missing(parent),
        })
    }

    /// All shards above these.
    pub(crate) fn ancestors(&self, of: impl Iterator<Item = &'a str>) -> BTreeSet<&'a str> {
        reach(of, |id| self.parents(id).into_iter())
    }

    /// All shards below these.
    pub(crate) fn descendants(&self, of: impl Iterator<Item = &'a str>) -> BTreeSet<&'a str> {
        reach(of, |id| self.children(id))
    }

    /// The shards whose rows name a number from before the shard was opened: the stream was deleted, and created again
    /// under its name.
    pub(crate) fn recreated(&self) -> Vec<String> {
        let is_older = |row: &&Row| {
            let starting = self.shard(&row.shard).map(Shard::starting_sequence_number);
            starting.is_some_and(|starting| number(row).is_some_and(|number| number < starting))
        };
        self.rows().filter(is_older).map(|row| row.shard.clone()).collect()
    }

    /// Whether all that is above the row's shard is over. A row in the middle of its shard says so, because it was not read
    /// before. One at the start of all reading says so too, because nothing before it was wanted; but not if a row above it is
    /// there, which somebody has wanted.
    fn settles(&self, row: &Row) -> bool {
        match row.checkpoint.at {
            At::TrimHorizon => false,
            At::Latest | At::Timestamp => {
                !self.parents(&row.shard).iter().any(|parent| self.rows.contains_key(parent))
            }
            At::Number(_) | At::ShardEnd => true,
        }
    }

    fn families(&self) -> BTreeMap<&'a str, BTreeSet<&'a str>> {
        let mut families = BTreeMap::<_, BTreeSet<_>>::new();
        for id in self.shards.keys().chain(self.rows.keys()) {
            for parent in self.parents(id) {
                families.entry(parent).or_default().insert(*id);
            }
        }
        for row in self.rows() {
            let named = row.children.iter().map(String::as_str);
            families.entry(row.shard.as_str()).or_default().extend(named);
        }
        families
    }
}

/// All that is reached from these, step by step.
fn reach<'a, I: Iterator<Item = &'a str>>(
    from: impl Iterator<Item = &'a str>,
    step: impl Fn(&'a str) -> I,
) -> BTreeSet<&'a str> {
    let mut next: Vec<_> = from.flat_map(&step).collect();
    let mut found = BTreeSet::new();
    while let Some(id) = next.pop() {
        if found.insert(id) {
            next.extend(step(id));
        }
    }
    found
}

/// The number that the row has.
fn number(row: &Row) -> Option<&SequenceNumber> {
    match &row.checkpoint.at {
        At::Number(sequence) => Some(sequence),
        At::ShardEnd => row.checkpoint.end.as_ref(),
        At::TrimHorizon | At::Latest | At::Timestamp => None,
    }
}
