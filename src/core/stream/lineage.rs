//! The shards that may be read now, and their starting positions.

mod holds;
mod intake;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::core::event::{Proof, Start, StartAt};
use crate::core::settings::Plan;
use crate::core::stream::missing::{Look, Missing, Sought};
use crate::core::stream::stalls::Waiting;
use crate::core::stream::start::{Wishes, fresh_starts, resumed};
use crate::core::stream::tree::{State, Tree};
use crate::error::Error;
use crate::model::position::{IteratorType, Position};
use crate::model::shard::{ChildShard, HashKeyRange, Shard};

/// A shard that was read, and is missing from more listings in a row than this, will not come back.
pub(super) const FORGOTTEN_AFTER: u64 = 3;

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
    /// Listed shards that are not wanted as far as is known, and hold up their children until it is known.
    doubtful: BTreeSet<Arc<str>>,
    reading: usize,
    /// How many shards are lost.
    lost: usize,
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
            doubtful: BTreeSet::new(),
            reading: 0,
            lost: 0,
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
    // long: the order matters: each step needs what the one before it has marked.
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
        self.find_doubtful();
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
        if self.is_lost(id) {
            return;
        }
        if self.tree.get(id).is_some_and(|node| node.state == State::Reading) {
            self.reading -= 1;
        }
        self.done(now, id, State::Read, children);
    }

    /// A shard does not exist any more. Its children start when a listing has shown that the stream is still the same.
    pub(crate) fn vanished(&mut self, now: Duration, id: &str) {
        if self.is_lost(id) {
            return;
        }
        self.doubt = Some(self.begun);
        self.ended(now, id, &[]);
    }

    /// Somebody else owns a shard whose end is not stored. Returns it, and its descendants that were started: they come
    /// after records that the owner reads again. Its children wait from now on.
    pub(crate) fn lost(&mut self, id: &str) -> Vec<String> {
        let (mut given_up, mut next) = (Vec::new(), vec![Arc::from(id)]);
        while let Some(id) = next.pop() {
            let state = self.tree.get(&id).map(|node| node.state);
            match state {
                Some(State::Waiting) => self.count_parents_of(&id),
                // An end that is stored stays stored.
                Some(State::Skipped | State::Lost) => {}
                // It may have been read, and forgotten.
                None | Some(State::Reading | State::Read) => {
                    if let Some(node) = self.tree.get_mut(&id) {
                        node.state = State::Lost;
                    }
                    self.reading -= usize::from(state == Some(State::Reading));
                    self.lost += 1;
                    given_up.push(String::from(&*id));
                    next.extend_from_slice(self.tree.children(&id));
                }
            }
        }
        given_up
    }

    fn is_lost(&self, id: &str) -> bool {
        self.tree.get(id).is_some_and(|node| node.state == State::Lost)
    }

    /// What the last listing proves about a shard.
    pub(crate) fn proof(&self, id: &str) -> Proof {
        self.tree.proof(id, self.listings, self.is_whole)
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
            for child in self.tree.children(parent).to_vec() {
                self.count_parents_of(&child);
            }
        }
        self.find_doubtful();
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

    /// Whether every shard is read to its end, except for those that somebody else owns, and their descendants.
    pub(crate) fn is_done(&self) -> bool {
        // Who waits, and for nothing here, waits for a shard that is lost.
        let is_up_to_others = self.lost > 0 && self.free.is_empty() && self.doubtful.is_empty();
        let is_quiet = self.reading == 0 && self.doubt.is_none() && self.missing.is_nothing();
        is_quiet && (self.waiting.is_empty() || is_up_to_others)
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
        resumed(&self.plan, shard, stored)
    }
}
