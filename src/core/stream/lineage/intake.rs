//! Adds a listing to the known shards.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::core::stream::lineage::{FORGOTTEN_AFTER, Lineage};
use crate::error::Error;
use crate::model::shard::Shard;

impl Lineage {
    /// The ids of the shards that were not known.
    // long: known shards, new ones, and then the children of both.
    pub(super) fn take_in(&mut self, shards: Vec<Shard>) -> Result<Vec<Arc<str>>, Error> {
        let (mut born, mut touched) = (Vec::new(), BTreeSet::new());
        for shard in shards {
            if self.forgotten.contains(shard.id()) {
                continue;
            }
            if let Some(known) = self.tree.get_mut(shard.id()) {
                known.check_same(&shard, &self.plan.stream)?;
                known.listing = self.listings;
                if shard.is_closed() && !known.shard.is_closed() {
                    known.shard.close(shard.ending_sequence_number());
                    touched.insert(Arc::from(shard.id()));
                }
                continue;
            }
            self.missing.found(shard.id());
            let id = self.tree.insert(shard, self.listings);
            touched.extend(self.tree.get(&id).into_iter().flat_map(|node| node.parents.clone()));
            touched.insert(Arc::clone(&id));
            born.push(id);
        }
        for id in touched {
            self.tree.look_at_children(&id);
            match self.tree.get(&id) {
                Some(node) if node.is_covered => {
                    self.barren.remove(&id);
                    self.missing.found_children(&id);
                }
                Some(node) if node.shard.is_closed() => {
                    self.barren.insert(id);
                }
                _ => {}
            }
        }
        Ok(born)
    }

    /// Marks the shards that existed when the consumer began: the first listing, and the ancestors that it lacked.
    pub(super) fn mark_first(&mut self, born: &[Arc<str>]) {
        let is_first = |id: &Arc<str>| {
            let mut children = self.tree.children(id).iter();
            self.listings == 1 || children.any(|id| self.tree.get(id).is_some_and(|it| it.is_first))
        };
        let mut first: Vec<Arc<str>> = born.iter().filter(|id| is_first(id)).cloned().collect();
        while let Some(id) = first.pop() {
            let Some(node) = self.tree.get_mut(&id).filter(|node| !node.is_first) else { continue };
            node.is_first = true;
            first.extend(node.parents.iter().cloned());
        }
    }

    /// Marks the chosen shards and their descendants. Returns those that were not marked before.
    // long: where descent begins, and then how far it reaches.
    pub(super) fn mark_wanted(&mut self, born: &[Arc<str>]) -> Vec<Arc<str>> {
        let is_wanted = |id: &Arc<str>| match &self.plan.chosen {
            None => true,
            Some(chosen) => {
                let mut parents = self.tree.get(id).into_iter().flat_map(|node| &node.parents);
                chosen.contains(&**id)
                    || parents.any(|id| self.tree.get(id).is_some_and(|node| node.is_wanted))
            }
        };
        let mut next: Vec<Arc<str>> = born.iter().filter(|id| is_wanted(id)).cloned().collect();
        // A shard that was announced descends from a shard that was read.
        let announced = self.missing.announced().map(|id| self.tree.children(id));
        next.extend(announced.flatten().cloned());
        let mut wanted = Vec::new();
        while let Some(id) = next.pop() {
            let Some(node) = self.tree.get_mut(&id).filter(|node| !node.is_wanted) else {
                continue;
            };
            node.is_wanted = true;
            next.extend_from_slice(self.tree.children(&id));
            self.news.begun.push(String::from(&*id));
            self.waiting.insert(Arc::clone(&id));
            wanted.push(id);
        }
        wanted
    }

    /// Forgets shards that were read and are not listed any more; not at once, because a listing may lack them.
    pub(super) fn forget(&mut self) {
        let (listings, missing, forgotten) = (self.listings, &self.missing, &mut self.forgotten);
        self.tree.forget(|id, node| {
            let is_over = node.state.is_done() || (!node.is_wanted && node.shard.is_closed());
            let is_gone = is_over && listings - node.listing > FORGOTTEN_AFTER;
            let is_forgotten = is_gone && !missing.is_sought(id);
            if is_forgotten {
                forgotten.insert(Arc::from(id));
            }
            is_forgotten
        });
        let tree = &self.tree;
        self.barren.retain(|id| tree.get(id).is_some());
    }
}
