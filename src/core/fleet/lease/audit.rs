//! What is to be created and retired now, survey after survey.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::core::fleet::lease::ancestry::Ancestry;
use crate::core::fleet::lease::births::{Missing, missing};
use crate::core::fleet::lease::checkpoint::{At, Checkpoint};
use crate::core::fleet::lease::row::Row;
use crate::core::fleet::lease::writes::{Birth, Marks, create, retire};
use crate::model::shard::{HashKeyRange, Shard};
use crate::model::write::Write;

/// What the surveys of one process have seen so far.
#[derive(Debug, Default)]
pub(crate) struct Audit {
    missing: Option<(BTreeSet<String>, Duration)>,
    done: BTreeMap<String, Duration>,
}

/// A complete listing of the stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listing<'a> {
    /// All shards.
    pub(crate) shards: &'a [Shard],
    /// When it was complete.
    pub(crate) made: Duration,
}

/// What a survey finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// What is to be done.
    Plan(Plan),
    /// The stream was created again under its name: these shards' rows are about the earlier one. Nothing is created or
    /// retired.
    Recreated(Vec<String>),
}

/// What is to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The writes, in this order. The process may die after any of them.
    pub(crate) changes: Vec<Change>,
    /// Hash keys that no row covers, nor any listed shard that gets one: the stream is to be listed again.
    pub(crate) unfilled: Vec<HashKeyRange>,
    /// Rows are missing, and the listing is too old to tell whether their shards are done: the stream is to be listed again.
    pub(crate) is_stale: bool,
}

/// A row that comes or goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Creates the row, unless it exists.
    Create(Box<Birth>),
    /// Deletes the row of this shard, if that is done to its end.
    Retire(String),
}

/// How long the same rows are missing before they are created. The table is in use, and another worker may be about to
/// create them at a better place.
const PATIENCE: Duration = Duration::from_secs(60);

/// A listing that is older than this may lack the children of a shard that is done, and whose row is gone already.
const FRESH: Duration = Duration::from_secs(120);

/// How long a shard is done, and its children are read, before its row goes. KCL looks as often.
const RETIRED_AFTER: Duration = Duration::from_secs(300);

impl Audit {
    /// What is to be done after a survey. `configured` is where a first start begins.
    // long: what refuses the rows, when rows are missing for long enough, and what follows.
    pub(crate) fn survey(
        &mut self,
        now: Duration,
        listing: Listing<'_>,
        rows: &[Row],
        configured: &Checkpoint,
    ) -> Finding {
        // A stream has shards.
        if listing.shards.is_empty() {
            return Finding::Plan(Plan::default());
        }
        let ancestry = Ancestry::new(listing.shards, rows);
        let recreated = ancestry.recreated();
        if !recreated.is_empty() {
            return Finding::Recreated(recreated);
        }
        let found = missing(&ancestry, configured);
        let since = self.missing_since(now, &found);
        let is_due = now.saturating_sub(since) >= PATIENCE;
        // After they were missed, so that it shows the children of those that are done; and before such rows go.
        let is_fresh = listing.made >= since && now.saturating_sub(listing.made) <= FRESH;
        let is_stale = is_due && !is_fresh && !found.is_first_start && !found.births.is_empty();
        let is_now = found.is_first_start || (is_due && is_fresh);
        let births = if is_now { found.births } else { Vec::new() };
        let births = births.into_iter().map(|birth| Change::Create(Box::new(birth)));
        let retired = self.retired(now, &ancestry).into_iter().map(Change::Retire);
        let changes = births.chain(retired).collect();
        Finding::Plan(Plan { changes, unfilled: unfilled(&ancestry), is_stale })
    }

    /// Since when the same rows are missing.
    fn missing_since(&mut self, now: Duration, found: &Missing) -> Duration {
        let shards = found.births.iter().map(|birth| birth.shard.clone()).collect();
        let seen = self.missing.take().filter(|(earlier, _)| *earlier == shards);
        let since = seen.map_or(now, |(_, since)| since);
        self.missing = Some((shards, since));
        since
    }

    fn retired(&mut self, now: Duration, ancestry: &Ancestry<'_>) -> Vec<String> {
        let done = ancestry.rows().filter(|row| is_needless(ancestry, row));
        let since = |row: &Row| self.done.get(&row.shard).copied().unwrap_or(now);
        self.done = done.map(|row| (row.shard.clone(), since(row))).collect();
        let due =
            self.done.iter().filter(|(_, since)| now.saturating_sub(**since) >= RETIRED_AFTER);
        due.map(|(shard, _)| shard.clone()).collect()
    }
}

impl Change {
    /// The conditional write.
    pub(crate) fn write(&self, marks: &Marks) -> Write {
        match self {
            Self::Create(birth) => create(birth, marks),
            Self::Retire(shard) => retire(shard),
        }
    }
}

/// Whether nobody needs the row any more: the shard is done, no parent has a row, and all children have begun.
fn is_needless(ancestry: &Ancestry<'_>, row: &Row) -> bool {
    let shard = row.shard.as_str();
    let is_listed = ancestry.shard(shard).is_some();
    let has_parents = ancestry.parents(shard).iter().any(|it| ancestry.row(it).is_some());
    let has_begun = |child: &str| match ancestry.row(child) {
        Some(row) => !matches!(row.checkpoint.at, At::TrimHorizon | At::Timestamp),
        // It was retired before, or has left the stream, as its parent has.
        None => ancestry.is_over(child) || (ancestry.shard(child).is_none() && !is_listed),
    };
    let mut children = ancestry.children(shard).peekable();
    let is_known = children.peek().is_some() || !is_listed;
    row.checkpoint.is_end() && !has_parents && is_known && children.all(has_begun)
}

fn unfilled(ancestry: &Ancestry<'_>) -> Vec<HashKeyRange> {
    let read = ancestry.rows().filter(|row| !row.checkpoint.is_end());
    let read = read.filter_map(|row| ancestry.hash_keys(&row.shard));
    let to_come = ancestry.shards().filter(|shard| ancestry.is_missing(shard.id()));
    gaps(read.chain(to_come.map(Shard::hash_keys)).collect())
}

/// The hash keys that are in none of these.
fn gaps(mut parts: Vec<HashKeyRange>) -> Vec<HashKeyRange> {
    parts.sort_by_key(|part| part.start);
    let (mut gaps, mut next) = (Vec::new(), Some(0));
    for part in parts {
        let Some(start) = next else { break };
        if part.start > start {
            gaps.push(HashKeyRange { start, end: part.start - 1 });
        }
        // There is no key after the last one.
        next = part.end.checked_add(1).map(|after| after.max(start));
    }
    gaps.extend(next.map(|start| HashKeyRange { start, end: u128::MAX }));
    gaps
}
