//! The family tree of a stream's shards, as far as it is listed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::core::event::Proof;
use crate::error::Error;
use crate::model::gap::Gap;
use crate::model::position::{IteratorType, Position};
use crate::model::shard::{HashKeyRange, Shard};

/// Shards, by their ids, with their children. A parent need not be listed.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    nodes: BTreeMap<Arc<str>, Node>,
    families: BTreeMap<Arc<str>, Family>,
    /// How often a shard was looked up: a test checks that the work stays in proportion to the number of shards.
    #[cfg(test)]
    pub(crate) visits: std::cell::Cell<u64>,
}

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) shard: Shard,
    pub(crate) parents: Vec<Arc<str>>,
    pub(crate) state: State,
    /// Whether it must be read: it is chosen, or a descendant of a chosen shard.
    pub(crate) is_wanted: bool,
    /// Whether it was in the first listing, or has a descendant that was.
    pub(crate) is_first: bool,
    /// How many parents it waits for.
    pub(crate) open_parents: usize,
    /// Where it starts if nothing is stored for it.
    pub(crate) fresh: IteratorType,
    /// The number of the last listing that showed it.
    pub(crate) listing: u64,
    /// Whether its listed children cover all of its hash keys.
    pub(crate) is_covered: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Not started: its parents come first.
    Waiting,
    Reading,
    /// Its last batch was sent.
    Read,
    /// Its end is stored, or it need not be read.
    Skipped,
    /// It was started, and somebody else owns it now.
    Lost,
}

/// The listed children of one shard.
#[derive(Debug, Default)]
struct Family {
    children: Vec<Arc<str>>,
    hash_keys: Vec<HashKeyRange>,
}

impl State {
    pub(crate) fn is_done(self) -> bool {
        matches!(self, Self::Read | Self::Skipped)
    }
}

impl Tree {
    /// Adds a shard that is not known yet. Returns its id.
    pub(crate) fn insert(&mut self, shard: Shard, listing: u64) -> Arc<str> {
        let id: Arc<str> = shard.id().into();
        // If it named itself, or one parent twice, it would wait for ever.
        let parents: BTreeSet<&str> = shard.parents().iter().map(String::as_str).collect();
        let parents = parents.into_iter().filter(|parent| *parent != shard.id());
        let parents: Vec<Arc<str>> = parents.map(Arc::from).collect();
        for parent in &parents {
            let family = self.families.entry(Arc::clone(parent)).or_default();
            family.children.push(Arc::clone(&id));
            family.hash_keys.push(shard.hash_keys());
        }
        let node = Node {
            shard,
            parents,
            state: State::Waiting,
            is_wanted: false,
            is_first: false,
            open_parents: 0,
            fresh: IteratorType::TrimHorizon,
            listing,
            is_covered: false,
        };
        self.nodes.insert(Arc::clone(&id), node);
        id
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Node> {
        self.visit();
        self.nodes.get(id)
    }

    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut Node> {
        self.visit();
        self.nodes.get_mut(id)
    }

    /// The listed children of a shard, which need not be listed itself.
    pub(crate) fn children(&self, id: &str) -> &[Arc<str>] {
        self.visit();
        self.families.get(id).map_or(&[], |family| &family.children)
    }

    /// Checks whether the listed children cover all hash keys of a shard.
    pub(crate) fn look_at_children(&mut self, id: &str) {
        self.visit();
        let (Some(node), Some(family)) = (self.nodes.get_mut(id), self.families.get(id)) else {
            return;
        };
        if !node.is_covered {
            let hash_keys = family.hash_keys.iter().copied();
            node.is_covered = node.shard.hash_keys().is_covered_by(hash_keys);
        }
    }

    /// What the last listing, of this number, proves about a shard: its ending number or its children prove that it was
    /// closed; a listing with everything but this shard proves that it is gone. A listing that lacks a part of the hash
    /// keys, and so is not whole, may lack the shard as well.
    pub(crate) fn proof(&self, id: &str, listing: u64, is_whole: bool) -> Proof {
        let Some(node) = self.get(id) else { return Proof::Open };
        let is_shown = node.listing == listing;
        if !is_shown && is_whole {
            return Proof::Gone;
        }
        // Children from an earlier listing may belong to an earlier stream with the same name.
        let is_listed =
            |child: &Arc<str>| self.get(child).is_some_and(|child| child.listing == listing);
        let has_children = self.children(id).iter().any(is_listed);
        match node.shard.is_closed() {
            _ if has_children => Proof::Closed,
            true if is_shown => Proof::Closed,
            true => Proof::WasClosed,
            false => Proof::Open,
        }
    }

    /// Forgets shards that are not needed any more.
    pub(crate) fn forget(&mut self, mut is_over: impl FnMut(&str, &Node) -> bool) {
        let over = self.nodes.iter().filter(|(id, node)| is_over(id, node));
        for id in over.map(|(id, _)| Arc::clone(id)).collect::<Vec<_>>() {
            let node = self.nodes.remove(&id).expect("it was found a moment ago");
            // A parent's family goes with the parent, or with the last child.
            for parent in node.parents.into_iter().chain([id]) {
                let is_needed = self.nodes.contains_key(&parent)
                    || self.children(&parent).iter().any(|child| self.nodes.contains_key(child));
                if !is_needed {
                    self.families.remove(&parent);
                }
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    #[cfg(test)]
    fn visit(&self) {
        self.visits.set(self.visits.get() + 1);
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "the tests count with it")]
    fn visit(&self) {}
}

impl Node {
    /// It is an error if the shard is not the same as before: then the stream was deleted and created again.
    pub(crate) fn check_same(&self, listed: &Shard, stream: &str) -> Result<(), Error> {
        let (known, available) =
            (self.shard.starting_sequence_number(), listed.starting_sequence_number());
        if known == available {
            return Ok(());
        }
        let (shard, wanted) = (listed.id().to_owned(), Position::after(known.clone()));
        let gap = Gap::Recreated { shard, wanted, available: available.clone() };
        Err(Error::Gap { stream: stream.to_owned(), gap })
    }

    /// Whether it waits, and must be read.
    pub(crate) fn is_waiting(&self) -> bool {
        self.is_wanted && self.state == State::Waiting
    }

    /// Whether its children wait for it.
    pub(crate) fn holds_up(&self) -> bool {
        self.is_wanted && !self.state.is_done()
    }
}
