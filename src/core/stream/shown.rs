//! The shards that the listings show to a process of a fleet, which reads some of them.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::core::event::Proof;
use crate::core::stream::lineage::FORGOTTEN_AFTER;
use crate::core::stream::tree::{State, Tree};
use crate::error::Error;
use crate::model::shard::{ChildShard, HashKeyRange, Shard};

/// What is known of the stream. Whether a shard is done is up to the table of leases.
#[derive(Debug)]
pub(crate) struct Shown {
    stream: String,
    tree: Tree,
    /// How many listings there were, and how many had begun.
    listings: u64,
    begun: u64,
    /// Whether the open shards of the last one hold all hash keys.
    is_whole: bool,
    /// A shard was missing when this many listings had begun: until a later one the whole stream may be missing.
    doubt: Option<u64>,
}

impl Shown {
    pub(crate) fn new(stream: String) -> Self {
        Self { stream, tree: Tree::default(), listings: 0, begun: 0, is_whole: false, doubt: None }
    }

    /// A listing begins, from its first page.
    pub(crate) fn listing_begins(&mut self) {
        self.begun += 1;
    }

    /// Adds a complete listing. Shards that have left it are forgotten after a while, unless they are held.
    ///
    /// # Errors
    /// If a shard is not the same as before: then the stream was deleted and created again.
    // long: known shards and new ones, and then what the listing says of the whole stream.
    pub(crate) fn listed(
        &mut self,
        shards: &[Shard],
        is_held: impl Fn(&str) -> bool,
    ) -> Result<(), Error> {
        self.listings += 1;
        for shard in shards {
            match self.tree.get_mut(shard.id()) {
                Some(known) => {
                    known.check_same(shard, &self.stream)?;
                    known.listing = self.listings;
                    if shard.is_closed() {
                        known.shard.close(shard.ending_sequence_number());
                    }
                }
                None => drop(self.tree.insert(shard.clone(), self.listings)),
            }
        }
        // Some servers show a shard open for a while after its end.
        let is_done = |id: &str| self.tree.get(id).is_some_and(|node| node.state.is_done());
        let open = shards.iter().filter(|shard| !shard.is_closed() && !is_done(shard.id()));
        self.is_whole = HashKeyRange::ALL.is_covered_by(open.map(Shard::hash_keys));
        self.doubt = self.doubt.filter(|begun| *begun >= self.begun);
        let listings = self.listings;
        self.tree.forget(|id, node| listings - node.listing > FORGOTTEN_AFTER && !is_held(id));
        Ok(())
    }

    /// A shard that a listing has shown, not long ago.
    pub(crate) fn get(&self, id: &str) -> Option<&Shard> {
        self.tree.get(id).map(|node| &node.shard)
    }

    /// Whether no shard may start before the next listing.
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.doubt.is_some()
    }

    /// What the last listing proves about a shard.
    pub(crate) fn proof(&self, id: &str) -> Proof {
        self.tree.proof(id, self.listings, self.is_whole)
    }

    /// A shard was read to its end. Returns whether its children are not listed yet.
    pub(crate) fn ended(&mut self, id: &str, children: &[ChildShard]) -> bool {
        if let Some(node) = self.tree.get_mut(id) {
            node.state = State::Read;
        }
        let named: BTreeSet<&str> = children.iter().map(|child| &*child.id).collect();
        let is_new = |child: &&str| self.tree.get(child).is_none();
        let listed: &[Arc<str>] = self.tree.children(id);
        named.iter().any(is_new) || (named.is_empty() && listed.is_empty())
    }

    /// A shard does not exist any more. Others start when a listing has shown that the stream is still the same.
    pub(crate) fn vanished(&mut self, id: &str) {
        self.doubt = Some(self.begun);
        self.ended(id, &[]);
    }
}
