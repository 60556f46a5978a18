//! What must hold, whatever happens.

use std::collections::BTreeMap;

use super::stream::Stream;
use crate::core::fleet::lease::checkpoint::At;
use crate::core::fleet::lease::names;
use crate::core::fleet::lease::row::{Row, Seen, read};
use crate::model::item::{Attribute, Item};
use crate::model::write::Write;
use crate::store::leases::memory::MemoryLeases;

/// What happened, over many seeds.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts(pub(super) BTreeMap<&'static str, u64>);

impl Counts {
    pub(super) fn count(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }

    pub(super) fn add(&mut self, other: Self) {
        for (what, count) in other.0 {
            *self.0.entry(what).or_default() += count;
        }
    }
}

/// A foreign attribute, which no write of ours may change.
pub(super) const FOREIGN: &str = "foreign";

pub(super) fn row(item: &Item) -> Row {
    match read(item) {
        Ok(Seen::Lease(row)) => *row,
        other => panic!("no lease: {other:?}"),
    }
}

/// The rows, by their shards.
pub(super) fn rows(table: &MemoryLeases) -> BTreeMap<String, Row> {
    table.rows().iter().map(row).map(|row| (row.shard.clone(), row)).collect()
}

/// A write was done.
pub(super) fn check_write(
    stream: &Stream,
    write: &Write,
    before: Option<&Item>,
    after: Option<&Item>,
) {
    let Some(after) = after else { return };
    for name in [names::COUNTER, names::CHECKPOINT] {
        assert!(after.contains_key(name), "{write:?} leaves a row without {name}");
    }
    if let Some(before) = before {
        assert_eq!(before.get(FOREIGN), after.get(FOREIGN), "{write:?}");
        let (before, after) = (row(before), row(after));
        let reach = before.checkpoint.reach(&after.checkpoint);
        assert!(reach.is_le(), "a position moves back: {before:?} to {after:?} by {write:?}");
    }
    let after = row(after);
    let truth = &stream.shards[&after.shard];
    match &after.checkpoint.at {
        At::Number(sequence) => {
            let record = truth.record(sequence);
            assert!(truth.is_handled_to(record), "{} covers what was not handled", after.shard);
        }
        At::ShardEnd => assert!(truth.is_closed && truth.is_done(), "{} is not done", after.shard),
        At::TrimHorizon | At::Latest | At::Timestamp => {}
    }
}

/// A record is handed over by a tenure: it must hold the row, and all parents must be done.
pub(super) fn check_hand_over(stream: &Stream, table: &MemoryLeases, shard: &str, holder: &str) {
    let row = |shard: &str| table.row(shard).as_ref().map(row);
    if let Some(row) = row(shard) {
        let found = row.holder.as_ref().map(|it| it.text());
        assert_eq!(found, Some(holder), "{shard} is handed over by another than its holder");
    }
    for parent in stream.shards[shard].shard.parents() {
        let is_end = row(parent).is_none_or(|row| row.checkpoint.is_end());
        assert!(
            is_end && stream.shards[parent].is_done(),
            "{shard} comes before its parent {parent}"
        );
    }
}

pub(super) fn mark(item: &mut Item) {
    item.insert(FOREIGN.to_owned(), Attribute::S("kept".to_owned()));
}
