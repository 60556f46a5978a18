//! The shards that may be read now, and their starting positions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::core::event::{Proof, Start, StartAt};
use crate::core::settings::{OnGap, Plan};
use crate::core::stream::missing::{Look, Missing, Sought};
use crate::core::stream::stalls::Waiting;
use crate::core::stream::start::{Wishes, fresh_starts, misfit};
use crate::core::stream::tree::{State, Tree};
use crate::error::Error;
use crate::model::gap::Gap;
use crate::model::position::{IteratorType, Position};
use crate::model::shard::{ChildShard, HashKeyRange, Shard};

/// A shard that was read, and is missing from this many listings in a row, will not come back.
const FORGOTTEN_AFTER: u64 = 3;

/// The known shards of a stream, and how far they are read.
#[derive(Debug)]
pub(crate) struct Lineage {
    plan: Plan,
    /// What the store held at the start.
    stored: BTreeMap<String, Position>,
    tree: Tree,
    missing: Missing,
    /// Shards that have ended and have left the listing: not read again if a later listing shows them.
    forgotten: BTreeSet<Arc<str>>,
    /// Shards that wait for no parent, and have not been started.
    free: BTreeSet<Arc<str>>,
    waiting: BTreeSet<Arc<str>>,
    reading: usize,
    /// Closed shards whose listed children do not hold all of their hash keys.
    barren: BTreeSet<Arc<str>>,
    /// How many listings there were, and how many had begun.
    listings: u64,
    begun: u64,
    /// Whether the open shards of the last one hold all hash keys.
    is_whole: bool,
    /// A shard was missing when this many listings had begun: until a later one the whole stream may be missing.
    doubt: Option<u64>,
    news: WaitingNews,
}

/// The shards that wait for parents, and those that stopped waiting, since the last call.
#[derive(Debug, Default)]
pub(crate) struct WaitingNews {
    pub(crate) begun: Vec<String>,
    pub(crate) over: Vec<String>,
}

impl Lineage {
    pub(crate) fn new(plan: Plan, stored: Vec<(String, Position)>) -> Self {
        Self {
            plan,
            stored: stored.into_iter().collect(),
            tree: Tree::default(),
            missing: Missing::default(),
            forgotten: BTreeSet::new(),
            free: BTreeSet::new(),
            waiting: BTreeSet::new(),
            reading: 0,
            barren: BTreeSet::new(),
            listings: 0,
            begun: 0,
            is_whole: false,
            doubt: None,
            news: WaitingNews::default(),
        }
    }

    /// A listing begins, from its first page.
    pub(crate) fn listing_begins(&mut self) {
        self.begun += 1;
    }

    /// Adds a complete listing. It is an error if a shard is not the same as before: then the stream was deleted and
    /// created again.
    pub(crate) fn listed(&mut self, now: Duration, shards: Vec<Shard>) -> Result<(), Error> {
        self.listings += 1;
        let is_done =
            |shard: &Shard| self.tree.get(shard.id()).is_some_and(|it| it.state.is_done());
        let open = shards.iter().filter(|shard| !shard.is_closed() && !is_done(shard));
        self.is_whole = HashKeyRange::ALL.is_covered_by(open.map(Shard::hash_keys));
        self.doubt = self.doubt.filter(|begun| *begun >= self.begun);
        let born = self.take_in(shards)?;
        self.mark_first(&born);
        let wishes = Wishes {
            stored: &self.stored,
            chosen: self.plan.chosen.as_ref(),
            iterator_type: &self.plan.iterator_type,
        };
        let fresh = fresh_starts(&self.tree, &wishes, &born);
        for (id, fresh) in born.iter().zip(fresh) {
            self.tree.get_mut(id).expect("it was born").fresh = fresh;
        }
        let wanted = self.mark_wanted(&born);
        self.await_parents(now, &born);
        self.count_parents(&born, &wanted);
        self.forget();
        if self.missing.saw_hole(now, !self.is_whole) {
            log::warn!("stream {:?}: all hash keys are listed again", self.plan.stream);
        }
        if self.listings == 1 { self.check_choice() } else { Ok(()) }
    }

    /// The shards that may start; each is returned once.
    pub(crate) fn ready(&mut self, now: Duration) -> Result<Vec<Start>, Error> {
        let mut starts = Vec::new();
        while self.doubt.is_none() {
            // A shard that need not be read lets its children start at once.
            let Some(id) = self.free.pop_first() else { break };
            let start = self.start(&id)?;
            self.waiting.remove(&id);
            self.news.over.push(String::from(&*id));
            match start {
                Some(start) => {
                    self.tree.get_mut(&id).expect("it waited").state = State::Reading;
                    self.reading += 1;
                    starts.push(start);
                }
                None => self.done(now, &id, State::Skipped, &[]),
            }
        }
        Ok(starts)
    }

    /// The last batch of a shard was sent.
    pub(crate) fn ended(&mut self, now: Duration, id: &str, children: &[ChildShard]) {
        if self.tree.get(id).is_some_and(|node| node.state == State::Reading) {
            self.reading -= 1;
        }
        self.done(now, id, State::Read, children);
    }

    /// A shard does not exist any more. Its children start when a listing has shown that the stream is still the same.
    pub(crate) fn vanished(&mut self, now: Duration, id: &str) {
        self.doubt = Some(self.begun);
        self.ended(now, id, &[]);
    }

    /// What the last listing proves about a shard: its ending number or its children prove that it was closed; a
    /// listing with everything but this shard proves that it is gone. A listing that lacks a part of the hash keys may
    /// lack the shard as well.
    pub(crate) fn proof(&self, id: &str) -> Proof {
        let Some(node) = self.tree.get(id) else { return Proof::Open };
        if node.listing != self.listings && self.is_whole {
            return Proof::Gone;
        }
        // Children from an earlier listing may belong to an earlier stream with the same name.
        let is_listed = |child: &Arc<str>| {
            self.tree.get(child).is_some_and(|child| child.listing == self.listings)
        };
        let has_children = self.tree.children(id).iter().any(is_listed);
        if node.shard.is_closed() || has_children { Proof::Closed } else { Proof::Open }
    }

    /// Whether the stream must be listed at once: a shard that must exist is not known yet, or the set of shards is in
    /// doubt.
    pub(crate) fn must_list(&self) -> bool {
        self.doubt.is_some() || self.missing.is_urgent()
    }

    /// When the stream must be listed again, after a listing.
    pub(crate) fn look(&self) -> Option<Look> {
        if self.doubt.is_some() { Some(Look::Soon) } else { self.missing.look() }
    }

    /// Stops waiting for shards that no listing has shown for too long.
    pub(crate) fn give_up(&mut self, now: Duration) {
        let mut missing = std::mem::take(&mut self.missing);
        let is_gone = |sought: &Sought| self.is_whole && sought.begun < self.begun;
        let given_up = missing.give_up(now, |id| self.proof(id) != Proof::Open, is_gone);
        self.missing = missing;
        for parent in &given_up.parents {
            self.release_children(parent);
        }
        given_up.warn(&self.plan.stream);
    }

    /// The shards that wait, with the parents that hold them up.
    pub(crate) fn waiting(&self) -> Waiting {
        let holds = |id: &&Arc<str>| self.tree.get(id).is_some_and(|node| node.holds_up());
        let with_parents = self.waiting.iter().filter_map(|id| {
            let parents = self.tree.get(id)?.parents.iter().filter(holds);
            Some((String::from(&**id), parents.map(|id| String::from(&**id)).collect()))
        });
        with_parents.collect()
    }

    /// The shards that wait, and those that stopped waiting, since the last call.
    pub(crate) fn take_news(&mut self) -> WaitingNews {
        std::mem::take(&mut self.news)
    }

    /// Whether every shard is read to its end.
    pub(crate) fn is_done(&self) -> bool {
        let is_quiet = self.waiting.is_empty() && self.reading == 0 && self.doubt.is_none();
        is_quiet && self.missing.is_nothing()
    }

    /// The ids of the shards that were not known.
    fn take_in(&mut self, shards: Vec<Shard>) -> Result<Vec<Arc<str>>, Error> {
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
    fn mark_first(&mut self, born: &[Arc<str>]) {
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
    fn mark_wanted(&mut self, born: &[Arc<str>]) -> Vec<Arc<str>> {
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
    fn await_parents(&mut self, now: Duration, born: &[Arc<str>]) {
        let listings = self.listings;
        let is_listed = |id: &Arc<str>| self.tree.get(id).is_some_and(|it| it.listing == listings);
        let is_complete = self.is_whole && !self.barren.iter().any(is_listed);
        for id in born {
            let Some(node) = self.tree.get(id).filter(|node| node.is_waiting()) else { continue };
            // It was started after them, or their records are not wanted. A position of another stream says nothing.
            let stored = self.stored.get(&**id).filter(|at| misfit(&node.shard, at).is_none());
            let is_begun = stored.is_some() || node.fresh == IteratorType::Latest;
            for parent in &node.parents {
                let is_excluded =
                    self.plan.chosen.as_ref().is_some_and(|chosen| {
                        chosen.contains(&**id) && !chosen.contains(&**parent)
                    });
                let may_come = listings > 1 || !is_complete || self.is_unfinished(parent);
                let is_awaited = !is_begun && !is_excluded && may_come;
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
    fn count_parents(&mut self, born: &[Arc<str>], wanted: &[Arc<str>]) {
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
    fn forget(&mut self) {
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

    /// A shard has ended, for any reason.
    fn done(&mut self, now: Duration, id: &str, state: State, children: &[ChildShard]) {
        let Some(node) = self.tree.get_mut(id).filter(|node| !node.state.is_done()) else { return };
        node.state = state;
        let (is_covered, held_up) = (node.is_covered, node.is_wanted);
        let sought = Sought::new(now, self.begun, !children.is_empty());
        if !is_covered && held_up {
            self.missing.seek_children(Arc::from(id), sought);
        }
        for child in children.iter().filter(|child| self.tree.get(&child.id).is_none()) {
            self.missing.seek_announced(Arc::from(&*child.id), sought);
        }
        if held_up {
            self.release_children(id);
        }
    }

    /// Its children wait for one parent less.
    fn release_children(&mut self, id: &str) {
        for child in self.tree.children(id).to_vec() {
            let Some(node) = self.tree.get_mut(&child).filter(|node| node.is_waiting()) else {
                continue;
            };
            node.open_parents = node.open_parents.saturating_sub(1);
            if node.open_parents == 0 {
                self.free.insert(child);
            }
        }
    }

    fn check_choice(&self) -> Result<(), Error> {
        let stream = || self.plan.stream.clone();
        for shard in self.plan.chosen.iter().flatten() {
            if self.tree.get(shard).is_none() {
                return Err(Error::UnknownShard { stream: stream(), shard: shard.clone() });
            }
        }
        use IteratorType::{AfterSequenceNumber, AtSequenceNumber};
        // Shards that have a position, or an ancestor with one, do not start there.
        let fresh = self.waiting.iter().filter(|id| {
            let node = self.tree.get(id).filter(|_| !self.stored.contains_key(&***id));
            node.is_some_and(|node| {
                let is_own = node.shard.start_at().is_some();
                !is_own && matches!(node.fresh, AtSequenceNumber(_) | AfterSequenceNumber(_))
            })
        });
        let shards = fresh.count();
        if shards > 1 {
            return Err(Error::SequenceNumberForSeveralShards { stream: stream(), shards });
        }
        Ok(())
    }

    /// Where the shard starts; `None` if it need not be read.
    fn start(&self, id: &str) -> Result<Option<Start>, Error> {
        let node = self.tree.get(id).expect("it waits");
        let shard = node.shard.clone();
        let Some(stored) = self.stored.get(id) else {
            let was_read =
                |id: &Arc<str>| self.tree.get(id).is_some_and(|parent| parent.state == State::Read);
            // Its parent was read: it holds the records after that, even if it is as old as the first listing.
            let is_sequel = node.fresh == IteratorType::Latest && node.parents.iter().any(was_read);
            let at = if is_sequel { IteratorType::TrimHorizon } else { node.fresh.clone() };
            let skipped = at == IteratorType::Latest && shard.is_closed();
            let start = Start { shard, at: StartAt::Fresh(at), gap: None };
            return Ok(Some(start).filter(|_| !skipped));
        };
        if let Some(gap) = misfit(&shard, stored) {
            let at = self.after_gap(&gap)?;
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

    fn after_gap(&self, gap: &Gap) -> Result<IteratorType, Error> {
        match self.plan.on_gap {
            OnGap::Earliest => Ok(IteratorType::TrimHorizon),
            OnGap::Latest => Ok(IteratorType::Latest),
            OnGap::Fail => Err(Error::Gap { stream: self.plan.stream.clone(), gap: gap.clone() }),
        }
    }
}

#[cfg(test)]
mod tests;
