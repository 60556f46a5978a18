//! Which rows are to be created, and where their shards are read from.
//!
//! The rules are those of Amazon's library, with three changes. A missing row of a table that is in use starts at the
//! oldest record, whatever is configured: its shard was read before, and nobody knows how far. A child that has not
//! begun does not pass a parent that has no row: the parent gets one. And a child of a shard that was read from a time on,
//! and had nothing since then, is read from that time on as well: "the oldest record" could be an earlier one.

use std::collections::BTreeSet;

use crate::core::fleet::lease::ancestry::Ancestry;
use crate::core::fleet::lease::checkpoint::{At, Checkpoint};
use crate::core::fleet::lease::writes::Birth;
use crate::model::position::IteratorType;
use crate::model::shard::{ChildShard, HashKeyRange, Shard};

/// The rows that are missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Missing {
    /// Those to be created, the oldest shard first. After any of them the rest is the same.
    pub(crate) births: Vec<Birth>,
    /// Whether the table is empty, or was only begun to be filled: nobody has held a lease.
    pub(crate) is_first_start: bool,
}

/// What is to be written of the children before their parent is done to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heirs {
    /// The rows to be created, in this order.
    pub(crate) births: Vec<Birth>,
    /// All children, for the row of their parent.
    pub(crate) children: BTreeSet<String>,
}

/// Neither the last answer nor the listing names all children with their hash keys, or a child has another parent of which
/// nothing is known: the stream is to be listed again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the shard has ended, and not all of its children and of their parents are known")]
pub(crate) struct ChildrenUnknown;

/// The checkpoint of the rows of a first start; `None` if the type names a record, which belongs to one shard.
pub(crate) fn configured(start: &IteratorType) -> Option<Checkpoint> {
    Some(match start {
        IteratorType::TrimHorizon => Checkpoint::trim_horizon(),
        IteratorType::Latest => beginning(&At::Latest),
        IteratorType::AtTimestamp(time) => Checkpoint::since(*time, &At::Timestamp),
        IteratorType::AtSequenceNumber(_) | IteratorType::AfterSequenceNumber(_) => return None,
    })
}

/// The rows that are missing. `configured` counts only while the table is empty.
///
/// A plan is for now: one that is written much later may bring back the row of a shard that was done meanwhile, and
/// its records come again.
pub(crate) fn missing(ancestry: &Ancestry<'_>, configured: &Checkpoint) -> Missing {
    let first = first_start(ancestry, configured);
    let shards = match &first {
        Some(Checkpoint { at: At::Latest, .. }) => tips(ancestry),
        _ => frontier(ancestry),
    };
    let is_first_start = first.is_some();
    let checkpoint = first.unwrap_or_else(Checkpoint::trim_horizon);
    Missing { births: in_order(shards, &checkpoint), is_first_start }
}

/// The rows of a shard's children, before it is done to its end. `named` is what the shard's last answer says of them; the
/// listing stands in for an answer that is silent.
///
/// The child of a merge gets its row together with those of its parents: the other parent, if it is missing, and what is
/// missing above that one, come first. `is_final` says that no better listing is waited for: another parent that this one
/// does not show gets no row.
///
/// # Errors
/// [`ChildrenUnknown`]
pub(crate) fn heirs(
    ancestry: &Ancestry<'_>,
    shard: &str,
    named: &[ChildShard],
    is_final: bool,
) -> Result<Heirs, ChildrenUnknown> {
    let children = if named.is_empty() { listed(ancestry, shard)? } else { named.to_vec() };
    if !is_final && !children.iter().all(|child| knows_parents(ancestry, child)) {
        return Err(ChildrenUnknown);
    }
    let checkpoint = inherited(ancestry, shard);
    let mut births = in_order(above(ancestry, shard, &children), &Checkpoint::trim_horizon());
    for child in &children {
        let hash_keys = child.hash_keys.or_else(|| ancestry.hash_keys(&child.id));
        let hash_keys = hash_keys.ok_or(ChildrenUnknown)?;
        if ancestry.row(&child.id).is_none() && !ancestry.is_over(&child.id) {
            births.push(child_of(child, hash_keys, &checkpoint));
        }
    }
    Ok(Heirs { births, children: children.into_iter().map(|it| it.id).collect() })
}

/// Where a first start begins; `None` if the table is in use. One that was begun continues as its rows say, because
/// another worker may have another configuration.
fn first_start(ancestry: &Ancestry<'_>, configured: &Checkpoint) -> Option<Checkpoint> {
    let mut rows = ancestry.rows();
    let Some(begun) = rows.next() else { return Some(configured.clone()) };
    let at = &begun.checkpoint.at;
    let is_word = !matches!(at, At::Number(_) | At::ShardEnd);
    let is_untouched = ancestry
        .rows()
        .all(|row| row.checkpoint.at == *at && row.counter == 0 && row.working_owner().is_none());
    let from = ancestry.rows().filter_map(|row| row.checkpoint.from).min();
    (is_word && is_untouched).then(|| Checkpoint { from, ..beginning(at) })
}

/// The missing shards that are read first: nothing that is left to read is above them.
fn frontier<'a>(ancestry: &Ancestry<'a>) -> Vec<&'a Shard> {
    let is_ready = |shard: &&Shard| {
        let mut parents = ancestry.parents(shard.id());
        // What has left the stream, and has no row, has no records either.
        parents.retain(|it| ancestry.shard(it).is_some() || ancestry.row(it).is_some());
        let is_later = parents.iter().any(|it| ancestry.is_missing(it));
        // The row of a child comes with the end of the first parent.
        let is_next = parents.is_empty() || parents.iter().any(|it| ancestry.is_over(it));
        ancestry.is_missing(shard.id()) && is_next && !is_later
    };
    ancestry.shards().filter(is_ready).collect()
}

/// The missing shards that are read last: the open ones, and the youngest of a branch that ends elsewhere. Children of an
/// open shard, which a listing shows if it was made while the shard was split, come with its end.
fn tips<'a>(ancestry: &Ancestry<'a>) -> Vec<&'a Shard> {
    let open = ancestry.shards().filter(|it| !it.is_closed()).map(Shard::id);
    let kept = ancestry.rows().map(|row| row.shard.as_str());
    let later = ancestry.descendants(open.chain(kept));
    let may_be = |id: &str| ancestry.is_missing(id) && !later.contains(id);
    let is_tip = |shard: &&Shard| may_be(shard.id()) && !ancestry.children(shard.id()).any(may_be);
    ancestry.shards().filter(is_tip).collect()
}

/// Whether the child's other parent is known, or has left the stream: a listing that shows a child shows its parents. Without
/// its row, KCL would read the child first, and then nobody would read the parent.
fn knows_parents(ancestry: &Ancestry<'_>, child: &ChildShard) -> bool {
    let is_known = |id: &String| ancestry.shard(id).is_some() || ancestry.row(id).is_some();
    is_known(&child.id) || child.parents.iter().all(is_known)
}

/// The missing shards above these children, besides the one that ends.
fn above<'a>(ancestry: &Ancestry<'a>, shard: &str, children: &[ChildShard]) -> Vec<&'a Shard> {
    let parents = children.iter().flat_map(|child| &child.parents);
    let others = parents.filter(|parent| *parent != shard).filter_map(|it| ancestry.shard(it));
    let others: BTreeSet<&str> = others.map(Shard::id).collect();
    let line = &ancestry.ancestors(others.iter().copied()) | &others;
    let lost = line.into_iter().filter(|it| *it != shard && ancestry.is_missing(it));
    lost.filter_map(|it| ancestry.shard(it)).collect()
}

/// By the numbers at which they were opened, so that parents are before their children.
fn in_order(mut shards: Vec<&Shard>, checkpoint: &Checkpoint) -> Vec<Birth> {
    shards.sort_by_key(|it| (it.starting_sequence_number(), it.id()));
    let birth = |shard: &Shard| Birth {
        shard: shard.id().to_owned(),
        parents: shard.parents().iter().cloned().collect(),
        hash_keys: shard.hash_keys(),
        checkpoint: checkpoint.clone(),
        tenure: None,
    };
    shards.into_iter().map(birth).collect()
}

fn child_of(child: &ChildShard, hash_keys: HashKeyRange, checkpoint: &Checkpoint) -> Birth {
    Birth {
        shard: child.id.clone(),
        parents: child.parents.iter().cloned().collect(),
        hash_keys,
        checkpoint: checkpoint.clone(),
        tenure: None,
    }
}

/// The children by the listing, if they hold all hash keys of their parent.
fn listed(ancestry: &Ancestry<'_>, shard: &str) -> Result<Vec<ChildShard>, ChildrenUnknown> {
    let children: Vec<_> = ancestry.children(shard).filter_map(|it| ancestry.shard(it)).collect();
    let whole = ancestry.hash_keys(shard).ok_or(ChildrenUnknown)?;
    if !whole.is_covered_by(children.iter().map(|it| it.hash_keys())) {
        return Err(ChildrenUnknown);
    }
    let child = |it: &Shard| ChildShard::new(it.id(), it.parents().to_vec(), it.hash_keys());
    Ok(children.into_iter().map(child).collect())
}

/// From the oldest record on, or from the time at which the parent stood and had nothing since. The word is the same, because
/// the child waits for its parents like any other.
fn inherited(ancestry: &Ancestry<'_>, shard: &str) -> Checkpoint {
    let stood = ancestry.row(shard).map(|row| &row.checkpoint);
    // What KCL has moved on may keep a time that counts no more.
    let stood = stood.filter(|it| !matches!(it.at, At::Number(_) | At::ShardEnd));
    Checkpoint { from: stood.and_then(|it| it.from), ..Checkpoint::trim_horizon() }
}

fn beginning(at: &At) -> Checkpoint {
    Checkpoint { at: at.clone(), ..Checkpoint::trim_horizon() }
}
