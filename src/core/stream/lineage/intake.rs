//! Adds a listing to the known shards.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::core::stream::lineage::{FORGOTTEN_AFTER, Lineage};
use crate::core::stream::start::misfit;
use crate::error::Error;
use crate::model::position::IteratorType;
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
            if self.listings > 1 {
                first.extend(node.parents.iter().cloned());
            }
        }
    }

    /// Marks the chosen shards and their descendants. Returns those that were not marked before.
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

    /// Parents that are not listed have usually left the stream. But a listing that begins with their children, or that
    /// is incomplete, may lack them: then the children wait for a while.
    pub(super) fn await_parents(&mut self, now: Duration, born: &[Arc<str>]) {
        let listings = self.listings;
        let is_listed = |id: &Arc<str>| self.tree.get(id).is_some_and(|it| it.listing == listings);
        let is_complete = self.is_whole && !self.barren.iter().any(is_listed);
        let chosen = self.plan.chosen.as_ref();
        for id in born {
            let Some(node) = self.tree.get(id).filter(|node| node.is_waiting()) else { continue };
            // It was started after them, or their records are not wanted. A position of another stream says nothing.
            let stored = self.stored.get(&**id).filter(|at| misfit(&node.shard, at).is_none());
            let is_begun = stored.is_some() || node.fresh == IteratorType::Latest;
            // Where others are chosen too, a parent that is not listed may descend from one of them.
            let is_alone = chosen.is_some_and(|chosen| chosen.contains(&**id) && chosen.len() == 1);
            for parent in &node.parents {
                let may_come = listings > 1 || !is_complete || self.is_unfinished(parent);
                let is_awaited = !is_begun && !is_alone && may_come;
                if self.tree.get(parent).is_none()
                    && (is_awaited || self.missing.is_announced(parent))
                {
                    self.missing.seek_parent(Arc::clone(parent), now);
                }
            }
        }
    }

    /// Whether an earlier run was reading the shard.
    fn is_unfinished(&self, id: &str) -> bool {
        self.stored.get(id).is_some_and(|position| !position.is_end())
    }

    /// Counts the parents that these shards wait for, also for the children of the new ones.
    // long: the same look at a shard that waits and at one that does not.
    pub(super) fn count_parents(&mut self, born: &[Arc<str>], wanted: &[Arc<str>]) {
        let mut changed: BTreeSet<Arc<str>> = wanted.iter().cloned().collect();
        for id in born.iter().chain(wanted) {
            changed.extend(self.tree.children(id).iter().cloned());
        }
        for id in changed {
            let Some(node) = self.tree.get(&id).filter(|node| node.is_wanted) else { continue };
            let holds = |parent: &&Arc<str>| match self.tree.get(parent) {
                Some(parent) => parent.holds_up(),
                None => self.missing.is_awaited(parent),
            };
            let open = node.parents.iter().filter(holds).count();
            if !node.is_waiting() {
                let is_late = |id: &Arc<str>| self.tree.get(id).is_some_and(|it| it.holds_up());
                if let Some(late) = node.parents.iter().find(|parent| is_late(parent)) {
                    log::warn!(
                        "stream {:?}: {late:?} is listed only now, after its child {id:?} was started: \
                         it is read, but out of order",
                        self.plan.stream,
                    );
                }
                continue;
            }
            self.tree.get_mut(&id).expect("it was found").open_parents = open;
            if open == 0 {
                self.free.insert(id);
            } else {
                self.free.remove(&id);
            }
        }
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
