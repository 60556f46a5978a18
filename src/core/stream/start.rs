//! Where a shard starts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::core::event::{Start, StartAt};
use crate::core::settings::{OnForeign, Plan};
use crate::core::stream::tree::{Node, Tree};
use crate::error::Error;
use crate::model::gap::Gap;
use crate::model::position::{IteratorType, Position};
use crate::model::shard::Shard;

/// The choices of the user, and the positions of earlier runs.
pub(crate) struct Wishes<'a> {
    pub(crate) stored: &'a BTreeMap<String, Position>,
    pub(crate) chosen: Option<&'a BTreeSet<String>>,
    pub(crate) iterator_type: &'a IteratorType,
}

/// What a shard's children inherit from it.
#[derive(Clone, Debug, Default)]
struct Legacy {
    /// An earlier run had read it, or one of its ancestors: its children hold the records after that.
    is_begun: bool,
    own: Own,
}

/// The start that was set for a shard, or follows from its ancestors' starts.
#[derive(Clone, Debug, Default)]
enum Own {
    #[default]
    None,
    /// The oldest listed ancestor starts where the stream starts.
    Stream,
    /// The start was set, or is the same for all ancestors.
    At(IteratorType),
    /// A number says nothing about another shard, and two parents may disagree.
    Oldest,
}

impl Own {
    fn and(self, other: &Self, stream: &IteratorType) -> Self {
        match (self, other) {
            (Self::None, other) => other.clone(),
            (one, Self::None) => one,
            (Self::Stream, Self::Stream) => Self::Stream,
            (Self::At(at), Self::Stream) if at == *stream => Self::Stream,
            (Self::Stream, Self::At(at)) if at == stream => Self::Stream,
            (Self::At(one), Self::At(other)) if one == *other => Self::At(one),
            _ => Self::Oldest,
        }
    }

    fn handed_down(at: &IteratorType) -> Self {
        match at {
            IteratorType::AtTimestamp(_) | IteratorType::Latest => Self::At(at.clone()),
            _ => Self::Oldest,
        }
    }
}

/// Where each of these shards starts if nothing is stored for it. Every ancestor is visited once, and without
/// recursion: a stream may have been resharded ten thousand times.
// long: the walk upwards shares what it has learned.
pub(crate) fn fresh_starts(
    tree: &Tree,
    wishes: &Wishes<'_>,
    shards: &[Arc<str>],
) -> Vec<IteratorType> {
    let mut legacies = BTreeMap::new();
    let start = |id: &Arc<str>| {
        let Some(node) = tree.get(id) else { return IteratorType::TrimHorizon };
        let followed = wishes.chosen.is_some_and(|chosen| !chosen.contains(&**id));
        if !node.is_first || followed {
            return IteratorType::TrimHorizon;
        }
        for parent in &node.parents {
            climb(tree, wishes, parent, &mut legacies);
        }
        let above = above(node, wishes, &legacies);
        if above.is_begun {
            return IteratorType::TrimHorizon;
        }
        match (node.shard.start_at(), above.own) {
            (Some(own), _) => own.clone(),
            (None, Own::At(at)) => at,
            (None, Own::Oldest) => IteratorType::TrimHorizon,
            (None, Own::None | Own::Stream) => wishes.iterator_type.clone(),
        }
    };
    shards.iter().map(start).collect()
}

/// Computes what a shard's children inherit, and everything needed for that.
// long: a walk without recursion keeps its path itself.
fn climb<'a>(
    tree: &'a Tree,
    wishes: &Wishes<'_>,
    from: &'a Arc<str>,
    legacies: &mut BTreeMap<&'a str, Legacy>,
) {
    let mut path = vec![(from, 0)];
    while let Some((id, next)) = path.last_mut() {
        let id: &'a Arc<str> = id;
        if *next == 0 && legacies.contains_key(&**id) {
            path.pop();
            continue;
        }
        let node = tree.get(id);
        let Some(node) = node.filter(|_| !wishes.stored.contains_key(&**id)) else {
            // Its own ancestors add nothing. A shard that is not listed any more existed during earlier runs.
            let is_begun = node.is_some() || !wishes.stored.is_empty();
            legacies.insert(id, Legacy { is_begun, own: Own::Stream });
            path.pop();
            continue;
        };
        // It is not needed before it is known, unless the listing has a circle.
        if *next == 0 {
            legacies.insert(id, Legacy::default());
        }
        let parent = node.parents.get(*next);
        *next += 1;
        if let Some(parent) = parent {
            path.push((parent, 0));
            continue;
        }
        let mut legacy = above(node, wishes, legacies);
        if let Some(own) = node.shard.start_at() {
            legacy.own = Own::handed_down(own);
        } else if node.parents.is_empty() {
            legacy.own = Own::Stream;
        }
        legacies.insert(id, legacy);
        path.pop();
    }
}

fn above(node: &Node, wishes: &Wishes<'_>, legacies: &BTreeMap<&str, Legacy>) -> Legacy {
    let parents = node.parents.iter().filter_map(|parent| legacies.get(&**parent));
    parents.fold(Legacy::default(), |one, other| Legacy {
        is_begun: one.is_begun || other.is_begun,
        own: one.own.and(&other.own, wishes.iterator_type),
    })
}

/// Where a shard with a stored position starts; `None` if it need not be read.
///
/// # Errors
/// If the position is of another stream, and that is to stop the consumer.
pub(crate) fn resumed(
    plan: &Plan,
    shard: Shard,
    stored: &Position,
) -> Result<Option<Start>, Error> {
    if let Some(gap) = misfit(&shard, stored) {
        let at = after_gap(plan, &gap)?;
        return Ok(Some(Start { shard, at: StartAt::Reset(at), gap: Some(gap) }));
    }
    let at = match stored {
        Position::End { .. } if shard.is_closed() => return Ok(None),
        // The position is of another stream, or ahead of the listing: reading from there shows which.
        Position::End { sequence } if sequence > shard.starting_sequence_number() => {
            StartAt::Reopened(Position::after(sequence.clone()))
        }
        Position::End { .. } => StartAt::Reset(IteratorType::TrimHorizon),
        stored => StartAt::Stored(stored.clone()),
    };
    Ok(Some(Start { shard, at, gap: None }))
}

fn after_gap(plan: &Plan, gap: &Gap) -> Result<IteratorType, Error> {
    match plan.on_foreign {
        OnForeign::Earliest => Ok(IteratorType::TrimHorizon),
        OnForeign::Latest => Ok(IteratorType::Latest),
        OnForeign::Fail => Err(Error::Gap { stream: plan.stream.clone(), gap: gap.clone() }),
    }
}

/// The fault of a stored position, as far as the listing shows it.
pub(crate) fn misfit(shard: &Shard, stored: &Position) -> Option<Gap> {
    let (wanted, id) = (stored.clone(), shard.id().to_owned());
    let (sequence, starting) = (stored.sequence()?, shard.starting_sequence_number());
    if sequence < starting {
        return Some(Gap::Recreated { shard: id, wanted, available: starting.clone() });
    }
    // Some servers end every shard at 9223372036854775807, which is below all of its numbers.
    let ending = shard.ending_sequence_number().filter(|ending| *ending >= starting);
    let is_beyond = ending.is_some_and(|ending| sequence > ending);
    is_beyond.then_some(Gap::Foreign { shard: id, wanted })
}
