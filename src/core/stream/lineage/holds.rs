//! The parents that hold up a shard: listed ones, and those that no listing has shown yet.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::core::stream::lineage::Lineage;
use crate::core::stream::start::misfit;
use crate::core::stream::tree::Node;
use crate::model::position::IteratorType;

impl Lineage {
    /// Parents that are not listed have usually left the stream. But a listing that begins with their children, or that
    /// is incomplete, may lack them: then the children wait for a while.
    pub(super) fn await_parents(&mut self, now: Duration, born: &[Arc<str>]) {
        let listings = self.listings;
        let is_listed = |id: &Arc<str>| self.tree.get(id).is_some_and(|it| it.listing == listings);
        let is_complete = self.is_whole && !self.barren.iter().any(is_listed);
        for id in born {
            let Some(node) = self.tree.get(id) else { continue };
            for parent in &node.parents {
                let may_come = listings > 1 || !is_complete || self.is_unfinished(parent);
                // A shard that is not wanted may turn out to be.
                let is_awaited = may_come && (!node.is_wanted || self.waits_for_missing(node));
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

    /// Whether a wanted shard waits for ancestors that may have to be read, and are not known.
    fn waits_for_missing(&self, node: &Node) -> bool {
        let id = node.shard.id();
        // It was started after them, or their records are not wanted. A position of another stream says nothing.
        let stored = self.stored.get(id).filter(|at| misfit(&node.shard, at).is_none());
        let is_begun = stored.is_some() || node.fresh == IteratorType::Latest;
        // Where others are chosen too, an ancestor that is not listed may descend from one of them.
        let chosen = self.plan.chosen.as_ref();
        let is_alone = chosen.is_some_and(|chosen| chosen.contains(id) && chosen.len() == 1);
        !is_begun && !is_alone
    }

    /// Finds the shards that may turn out to be wanted: they descend from a shard that is not listed, and is sought.
    /// Their children wait until that is known.
    pub(super) fn find_doubtful(&mut self) {
        if self.plan.chosen.is_none() {
            return;
        }
        let children = |id: &Arc<str>| self.tree.children(id).iter().cloned();
        let mut next: Vec<Arc<str>> = self.missing.parents().flat_map(children).collect();
        let mut found = BTreeSet::new();
        while let Some(id) = next.pop() {
            let is_wanted = self.tree.get(&id).is_none_or(|node| node.is_wanted);
            if !is_wanted && found.insert(Arc::clone(&id)) {
                next.extend(children(&id));
            }
        }
        let changed = found.symmetric_difference(&self.doubtful).flat_map(children);
        let changed: BTreeSet<Arc<str>> = changed.collect();
        self.doubtful = found;
        for id in changed {
            self.count_parents_of(&id);
        }
    }

    /// Counts the parents that these shards wait for, also for the children of the new ones.
    pub(super) fn count_parents(&mut self, born: &[Arc<str>], wanted: &[Arc<str>]) {
        let mut changed: BTreeSet<Arc<str>> = wanted.iter().cloned().collect();
        for id in born.iter().chain(wanted) {
            changed.extend(self.tree.children(id).iter().cloned());
        }
        for id in changed {
            let Some(node) = self.tree.get(&id).filter(|node| node.is_wanted) else { continue };
            if node.is_waiting() {
                self.count_parents_of(&id);
                continue;
            }
            let is_late = |id: &Arc<str>| self.tree.get(id).is_some_and(|it| it.holds_up());
            if let Some(late) = node.parents.iter().find(|parent| is_late(parent)) {
                log::warn!(
                    "stream {:?}: {late:?} is listed only now, after its child {id:?} was started: \
                     it is read, but out of order",
                    self.plan.stream,
                );
            }
        }
    }

    /// Counts the parents that a shard waits for, if it waits.
    pub(super) fn count_parents_of(&mut self, id: &Arc<str>) {
        let Some(node) = self.tree.get(id).filter(|node| node.is_waiting()) else { return };
        let waits = || self.waits_for_missing(node);
        let holds = |parent: &&Arc<str>| match self.tree.get(parent) {
            Some(it) => it.holds_up() || (self.doubtful.contains(*parent) && waits()),
            None => {
                self.missing.is_awaited(parent) && (self.missing.is_announced(parent) || waits())
            }
        };
        let open = node.parents.iter().filter(holds).count();
        self.tree.get_mut(id).expect("it was found").open_parents = open;
        if open == 0 {
            self.free.insert(Arc::clone(id));
        } else {
            self.free.remove(id);
        }
    }
}
