//! Which shards may be read now, and from what position. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::OnGap;
use crate::error::Error;
use crate::gap::Gap;
use crate::position::{IteratorType, Position};
use crate::shard::{ChildShard, HashKeyRange, Shard};
use crate::watchdog::Waiting;

/// The family tree of a stream's shards, as far as it is listed.
#[derive(Debug)]
pub(crate) struct Lineage {
    plan: Plan,
    /// What the store held at the start.
    stored: BTreeMap<String, Position>,
    nodes: BTreeMap<String, Node>,
    /// The hash keys of each listed shard's children.
    children: BTreeMap<String, Vec<HashKeyRange>>,
    /// Children that an ended shard announced and no listing has shown.
    announced: BTreeSet<String>,
    /// Ended shards whose children were looked for in vain, long enough.
    childless: BTreeSet<String>,
    /// How many listings there were.
    listings: u64,
    /// Whether the open shards of the last one hold all hash keys.
    is_whole: bool,
    /// A shard was not there any more: until the next listing it may be that none is.
    is_in_doubt: bool,
}

/// What the user asked for.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) stream: String,
    pub(crate) iterator_type: IteratorType,
    /// `None`: all shards.
    pub(crate) chosen: Option<BTreeSet<String>>,
    pub(crate) on_gap: OnGap,
}

/// A shard that may be read now.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Start {
    pub(crate) shard: Shard,
    pub(crate) at: StartAt,
    /// What is missing before it, where the configuration chose to go on.
    pub(crate) gap: Option<Gap>,
}

/// Where a shard starts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum StartAt {
    /// Resume what is stored.
    Stored(Position),
    /// Nothing is stored.
    Fresh(IteratorType),
    /// Something is stored that is of no use, and is to be overwritten.
    Reset(IteratorType),
}

#[derive(Debug)]
struct Node {
    shard: Shard,
    state: State,
    /// Whether it is to be read: chosen, or a descendant of a chosen shard.
    wanted: bool,
    /// Whether it stood in the first listing.
    first: bool,
    /// The number of the last listing that it stood in.
    listing: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Not started: its parents come first.
    Waiting,
    Reading,
    /// Its last batch was sent, or its end is stored, or it need not be read.
    Done,
}

impl Node {
    fn check_same(&self, listed: &Shard, stream: &str) -> Result<(), Error> {
        let (known, available) =
            (self.shard.starting_sequence_number(), listed.starting_sequence_number());
        if known == available {
            return Ok(());
        }
        let (shard, wanted) = (listed.id().to_owned(), Position::after(known.clone()));
        let gap = Gap::Recreated { shard, wanted, available: available.clone() };
        Err(Error::Gap { stream: stream.to_owned(), gap })
    }
}

impl Lineage {
    pub(crate) fn new(plan: Plan, stored: Vec<(String, Position)>) -> Self {
        Self {
            plan,
            stored: stored.into_iter().collect(),
            nodes: BTreeMap::new(),
            children: BTreeMap::new(),
            announced: BTreeSet::new(),
            childless: BTreeSet::new(),
            listings: 0,
            is_whole: false,
            is_in_doubt: false,
        }
    }

    /// Takes a complete listing, which adds to what was known. It is an error if a shard is another one
    /// than before: the stream was deleted and created again.
    pub(crate) fn listed(&mut self, shards: Vec<Shard>) -> Result<(), Error> {
        self.listings += 1;
        let (listing, first) = (self.listings, self.listings == 1);
        let open = shards.iter().filter(|shard| !shard.is_closed());
        self.is_whole = HashKeyRange::ALL.is_covered_by(open.map(Shard::hash_keys));
        for shard in shards {
            self.announced.remove(shard.id());
            if let Some(known) = self.nodes.get_mut(shard.id()) {
                known.check_same(&shard, &self.plan.stream)?;
                known.listing = listing;
                known.shard.close(shard.ending_sequence_number());
                continue;
            }
            for parent in shard.parents() {
                self.children.entry(parent.clone()).or_default().push(shard.hash_keys());
            }
            let node = Node { state: State::Waiting, wanted: false, first, listing, shard };
            self.nodes.insert(node.shard.id().into(), node);
        }
        self.is_in_doubt = false;
        self.mark_wanted();
        if first { self.check_choice() } else { Ok(()) }
    }

    /// The shards that may start, each told once.
    pub(crate) fn ready(&mut self) -> Result<Vec<Start>, Error> {
        let mut starts = Vec::new();
        while !self.is_in_doubt {
            let ids = self.nodes.values().filter(|node| self.may_start(node));
            let ids: Vec<String> = ids.map(|node| node.shard.id().into()).collect();
            if ids.is_empty() {
                break;
            }
            // A shard that need not be read lets its children start in the next round.
            for id in ids {
                let start = self.start(&id)?;
                let state = if start.is_some() { State::Reading } else { State::Done };
                self.nodes.entry(id).and_modify(|node| node.state = state);
                starts.extend(start);
            }
        }
        Ok(starts)
    }

    /// The last batch of a shard was sent.
    pub(crate) fn ended(&mut self, id: &str, children: &[ChildShard]) {
        if let Some(node) = self.nodes.get_mut(id) {
            node.state = State::Done;
        }
        let unknown = children.iter().map(|child| &child.id);
        let unknown = unknown.filter(|child| !self.nodes.contains_key(*child)).cloned();
        self.announced.extend(unknown.collect::<Vec<_>>());
    }

    /// A shard is not there any more. Its children start when a listing has shown that the stream is still
    /// the same.
    pub(crate) fn vanished(&mut self, id: &str) {
        self.is_in_doubt = true;
        self.ended(id, &[]);
    }

    /// Whether the last listing proves that the shard has ended: it shows that it was closed, or its children, or
    /// everything but this shard. A listing that lacks a part of the hash keys may lack the shard as well.
    pub(crate) fn has_ended(&self, id: &str) -> bool {
        let Some(node) = self.nodes.get(id) else { return false };
        let is_gone = node.listing != self.listings && self.is_whole;
        node.shard.is_closed() || self.children.contains_key(id) || is_gone
    }

    /// Whether some child is not known yet, or the listing is in doubt, so that the stream must be listed again.
    pub(crate) fn must_list(&self) -> bool {
        let is_behind = self.is_in_doubt || !self.announced.is_empty();
        is_behind || self.done().any(|node| !self.knows_children(node))
    }

    /// No listing shows the children that must be there: stop looking, except for those that were
    /// announced by name.
    pub(crate) fn stop_looking(&mut self) {
        let lonely = self.done().filter(|node| !self.knows_children(node));
        let lonely: Vec<String> = lonely.map(|node| node.shard.id().into()).collect();
        for id in &lonely {
            log::warn!("stream {:?}: no listing shows the children of {id:?}", self.plan.stream);
        }
        self.childless.extend(lonely);
    }

    /// The shards that wait, with the parents that hold them up.
    pub(crate) fn waiting(&self) -> Waiting {
        let holds = |id: &&String| {
            self.nodes.get(*id).is_some_and(|node| node.wanted && node.state != State::Done)
        };
        let waiting =
            self.nodes.values().filter(|node| node.wanted && node.state == State::Waiting);
        let with_parents = waiting.map(|node| {
            let parents = node.shard.parents().iter().filter(holds).cloned();
            (node.shard.id().to_owned(), parents.collect())
        });
        with_parents.collect()
    }

    /// Whether every shard is read to its end.
    pub(crate) fn is_done(&self) -> bool {
        let wanted = self.nodes.values().filter(|node| node.wanted);
        wanted.into_iter().all(|node| node.state == State::Done) && !self.must_list()
    }

    /// Marks the chosen shards and their descendants.
    fn mark_wanted(&mut self) {
        loop {
            let wanted = |node: &Node| match &self.plan.chosen {
                None => true,
                Some(chosen) => {
                    let mut parents = node.shard.parents().iter();
                    chosen.contains(node.shard.id())
                        || parents.any(|id| self.nodes.get(id).is_some_and(|node| node.wanted))
                }
            };
            let new = self.nodes.values().filter(|node| !node.wanted && wanted(node));
            let new: Vec<String> = new.map(|node| node.shard.id().into()).collect();
            if new.is_empty() {
                return;
            }
            for id in new {
                self.nodes.entry(id).and_modify(|node| node.wanted = true);
            }
        }
    }

    fn check_choice(&self) -> Result<(), Error> {
        let stream = || self.plan.stream.clone();
        for shard in self.plan.chosen.iter().flatten() {
            if !self.nodes.contains_key(shard) {
                return Err(Error::UnknownShard { stream: stream(), shard: shard.clone() });
            }
        }
        use IteratorType::{AfterSequenceNumber, AtSequenceNumber};
        // Those that have a position, or come from one that has, do not start there.
        let fresh = self.nodes.values().filter(|node| {
            node.wanted && !self.stored.contains_key(node.shard.id()) && {
                let at = self.fresh_start(node);
                let is_own = self.own_start(&node.shard).is_some();
                !is_own && matches!(at, AtSequenceNumber(_) | AfterSequenceNumber(_))
            }
        });
        let shards = fresh.count();
        if shards > 1 {
            return Err(Error::SequenceNumberForSeveralShards { stream: stream(), shards });
        }
        Ok(())
    }

    fn done(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values().filter(|node| node.wanted && node.state == State::Done)
    }

    /// Whether nothing holds the shard up. A parent that is no longer listed, or excluded by choice,
    /// does not.
    fn may_start(&self, node: &Node) -> bool {
        let mut parents = node.shard.parents().iter().filter_map(|id| self.nodes.get(id));
        node.wanted
            && node.state == State::Waiting
            && parents.all(|parent| !parent.wanted || parent.state == State::Done)
    }

    fn knows_children(&self, parent: &Node) -> bool {
        let id = parent.shard.id();
        let children = self.children.get(id).into_iter().flatten();
        self.childless.contains(id) || parent.shard.hash_keys().is_covered_by(children.copied())
    }

    /// Where the shard starts; `None` if it need not be read.
    fn start(&self, id: &str) -> Result<Option<Start>, Error> {
        let node = &self.nodes[id];
        let shard = node.shard.clone();
        let Some(stored) = self.stored.get(id) else {
            let at = self.fresh_start(node);
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
            // Of another stream, or ahead of the listing: reading from there tells which.
            Position::End { sequence } if sequence > shard.starting_sequence_number() => {
                StartAt::Stored(Position::after(sequence.clone()))
            }
            Position::End { .. } => StartAt::Fresh(IteratorType::TrimHorizon),
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

    /// Where a shard starts for which nothing is stored.
    fn fresh_start(&self, node: &Node) -> IteratorType {
        let chosen = self.plan.chosen.as_ref();
        let followed = chosen.is_some_and(|chosen| !chosen.contains(node.shard.id()));
        if !node.first || followed || self.continues_stored(&node.shard) {
            return IteratorType::TrimHorizon;
        }
        let own = self.own_start(&node.shard);
        own.unwrap_or_else(|| self.plan.iterator_type.clone())
    }

    /// Whether an earlier run had come to this shard's ancestors: what it holds is their sequel.
    fn continues_stored(&self, shard: &Shard) -> bool {
        let unlisted = |id: &str| !self.nodes.contains_key(id) && !self.stored.is_empty();
        self.climb(shard, |id| self.stored.contains_key(id) || unlisted(id)).next().is_some()
    }

    /// The start that was set for the shard, or that follows from its ancestors' own.
    fn own_start(&self, shard: &Shard) -> Option<IteratorType> {
        if let Some(own) = shard.start_at() {
            return Some(own.clone());
        }
        let own = |id: &str| self.nodes.get(id)?.shard.start_at();
        let mut starts = self.climb(shard, |id| own(id).is_some()).filter_map(own);
        let first = starts.next()?;
        match first {
            // A number says nothing about another shard, and two parents may disagree.
            IteratorType::AtTimestamp(_) | IteratorType::Latest
                if starts.all(|other| other == first) =>
            {
                Some(first.clone())
            }
            _ => Some(IteratorType::TrimHorizon),
        }
    }

    /// The nearest ancestors, on each way up, of which this is true. They need not be listed.
    fn climb<'a>(
        &'a self,
        shard: &'a Shard,
        found: impl Fn(&str) -> bool,
    ) -> impl Iterator<Item = &'a str> {
        let (mut hits, mut seen) = (Vec::new(), BTreeSet::new());
        let mut above: Vec<&str> = shard.parents().iter().map(String::as_str).collect();
        while let Some(id) = above.pop() {
            if !seen.insert(id) {
                continue;
            }
            if found(id) {
                hits.push(id);
            } else if let Some(node) = self.nodes.get(id) {
                above.extend(node.shard.parents().iter().map(String::as_str));
            }
        }
        hits.into_iter()
    }
}

/// What is wrong with a stored position, as far as the listing tells.
fn misfit(shard: &Shard, stored: &Position) -> Option<Gap> {
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

#[cfg(test)]
#[path = "lineage_tests.rs"]
mod tests;
