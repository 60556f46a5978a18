//! What may never happen in a fleet, whoever takes part: the judge of a simulated one.
//!
//! It knows what was put, hears what each worker hands over and in which tenure, and sees each change of the table. It
//! collects what it finds, so that a made-up history shows that it would.

mod rows;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use crate::core::fleet::lease::checkpoint::{At, Checkpoint};
use crate::core::fleet::lease::row::Row;
use crate::model::position::Position;

pub(super) use self::rows::{Change, Who};

/// The judge of one world.
#[derive(Debug, Default)]
pub(super) struct Oracle {
    /// The workers that are ours.
    ours: BTreeSet<usize>,
    shards: BTreeMap<String, Shard>,
    /// The leases as they stand in the table.
    leases: BTreeMap<String, Row>,
    tenures: BTreeMap<String, Tenure>,
    /// The tenure that holds each lease now.
    current: BTreeMap<String, String>,
    /// Tenures whose row somebody deleted.
    orphaned: BTreeSet<String>,
    /// The shards whose end was in the table at some time.
    ended: BTreeSet<String>,
    /// The shards that had no row while a child had one, although they were not done.
    unguarded: BTreeSet<String>,
    /// Tenures whose lease was taken after it had been asked for: who does not hand over in time may still handle.
    overdue: BTreeSet<String>,
    /// How often a lease got another owner, or was asked for.
    moves: u64,
    /// How many records were handled that had been handled before.
    duplicates: u64,
    broken: Vec<Broken>,
}

/// A shard, and its records in their order.
#[derive(Debug, Default)]
struct Shard {
    parents: Vec<String>,
    is_closed: bool,
    records: Vec<Record>,
}

#[derive(Debug)]
struct Record {
    position: Position,
    was_handled: bool,
}

/// One time of holding a lease.
#[derive(Debug)]
struct Tenure {
    shard: String,
    /// The id of its worker.
    owner: Option<String>,
    /// What the row said in the write that began it.
    from: Checkpoint,
    /// Where somebody with a tool has set it since, before anything was handed over.
    moved: Option<Checkpoint>,
    last: Option<Position>,
}

/// What a worker hands over for the first time in a tenure. A second attempt is not told again.
#[derive(Clone, Copy, Debug)]
pub(super) struct HandOver<'a> {
    pub(super) worker: usize,
    /// The text of the tenure; a worker of ours has it in the row, as the holder.
    pub(super) tenure: &'a str,
    pub(super) shard: &'a str,
    pub(super) records: &'a [Position],
}

/// What must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rule {
    /// Every record is handled.
    EveryRecord,
    /// A tenure hands over in strictly ascending order, from exactly where its take found the shard.
    Order,
    /// The position in the table covers nothing that was not handled, and never moves back.
    Covered,
    /// No hand-over of ours starts while another tenure of ours has the lease.
    Fence,
    /// No record of a child is handed over before the end of each parent is in the table.
    ParentsFirst,
    /// No write of a tenure that is over succeeds.
    OldTenure,
    /// Attributes of others survive, there are only whole leases, and no row is put over another.
    WholeRows,
    /// Every listed shard has a row, or rows of descendants that come after it.
    EveryShard,
}

/// A rule that did not hold, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) rule: Rule,
    pub(super) how: String,
}

impl Oracle {
    /// This worker is one of ours.
    pub(super) fn is_ours(&mut self, worker: usize) {
        self.ours.insert(worker);
    }

    /// A shard is there from now on; its parents are closed.
    pub(super) fn born(&mut self, shard: &str, parents: &[String]) {
        let born = Shard { parents: parents.to_vec(), ..Shard::default() };
        self.shards.insert(shard.to_owned(), born);
        for parent in parents {
            self.shards.get_mut(parent).expect("parents are born first").is_closed = true;
        }
    }

    /// A record was put.
    pub(super) fn put(&mut self, shard: &str, position: Position) {
        let shard = self.shards.get_mut(shard).expect("a record is put into a shard");
        shard.records.push(Record { position, was_handled: false });
    }

    /// A worker hands over some records. Its handler has them now, and may have done them or not.
    pub(super) fn hands_over(&mut self, given: &HandOver<'_>) {
        self.comes_after_parents(given);
        let Some(tenure) = self.tenures.get(given.tenure) else {
            let how =
                format!("{} is handed over in {}, which took nothing", given.shard, given.tenure);
            return self.breaks(Rule::Order, how);
        };
        let mut last = tenure.last.clone();
        for position in given.records {
            let is_first = last.is_none();
            let may_begin = |at: &Checkpoint| self.next_after(given.shard, at) == Some(position);
            let moved = tenure.moved.as_ref();
            if is_first && !may_begin(&tenure.from) && !moved.is_some_and(may_begin) {
                let from = tenure.from.at.text();
                let how = format!("{} begins at {position}, but was taken at {from}", given.tenure);
                return self.breaks(Rule::Order, how);
            }
            if Some(position) <= last.as_ref() || tenure.shard != given.shard {
                let how = format!("{}: {position} comes after {last:?}", given.tenure);
                return self.breaks(Rule::Order, how);
            }
            last = Some(position.clone());
        }
        if let Some(tenure) = self.tenures.get_mut(given.tenure) {
            tenure.last = last;
        }
    }

    /// The handler of one of ours gets a batch, perhaps again.
    pub(super) fn begins(&mut self, tenure: &str, shard: &str) {
        let Some(row) = self.leases.get(shard) else { return };
        // The library of Amazon leaves what a former holder of ours has written, and takes from whom it likes.
        let of = |owner| row.holder.as_ref().filter(|it| it.is_of(owner));
        let Some(holder) = row.working_owner().and_then(of) else { return };
        if holder.text() != tenure && !self.overdue.contains(tenure) {
            let how = format!("{shard} is handled in {tenure}, but {} has it", holder.text());
            self.breaks(Rule::Fence, how);
        }
    }

    /// How often a lease got another owner, or was asked for.
    pub(super) fn moves(&self) -> u64 {
        self.moves
    }

    /// How many records were handled that had been handled before.
    pub(super) fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// The handler is done with these.
    pub(super) fn handled(&mut self, shard: &str, records: &[Position]) {
        let shard = self.shards.get_mut(shard).expect("what is handled was put");
        for position in records {
            let place = shard.records.binary_search_by(|it| it.position.cmp(position));
            let record = &mut shard.records[place.expect("what is handled was put")];
            self.duplicates += u64::from(std::mem::replace(&mut record.was_handled, true));
        }
    }

    /// The first record that nobody has handled yet.
    pub(super) fn missing(&self) -> Option<(&str, &Position)> {
        self.shards.iter().find_map(|(id, shard)| {
            let open = shard.records.iter().find(|record| !record.was_handled)?;
            Some((id.as_str(), &open.position))
        })
    }

    /// How many records of a shard were handled and would come again, if its lease were taken now.
    pub(super) fn unstored(&self, id: &str) -> usize {
        let (shard, lease) = (&self.shards[id], self.leases.get(id));
        let is_stored =
            |it: &&Record| lease.is_some_and(|row| covers(&row.checkpoint, &it.position));
        shard.records.iter().filter(|it| it.was_handled).filter(|it| !is_stored(it)).count()
    }

    /// Whether all is done: every record is handled, and the table says so of each shard, with the end of each closed one.
    pub(super) fn is_complete(&self) -> bool {
        let is_stored = |(id, shard): (&String, &Shard)| {
            let Some(row) = self.leases.get(id) else { return self.ended.contains(id) };
            let is_covered = self.next_after(id, &row.checkpoint).is_none();
            is_covered && (!shard.is_closed || row.checkpoint.is_end())
        };
        self.missing().is_none() && self.shards.iter().all(is_stored)
    }

    /// What must hold when the world is calm, and all have had their time.
    pub(super) fn ends(&mut self) {
        if let Some((shard, position)) = self.missing() {
            let how = format!("{shard}: nobody has handled {position}");
            self.breaks(Rule::EveryRecord, how);
        }
        let missing: Vec<_> = self.shards.keys().filter(|id| !self.is_present(id)).collect();
        if !missing.is_empty() {
            let how = format!("no row stands for {missing:?}");
            self.breaks(Rule::EveryShard, how);
        }
    }

    /// What was found so far.
    pub(super) fn broken(&self) -> &[Broken] {
        &self.broken
    }

    fn breaks(&mut self, rule: Rule, how: String) {
        self.broken.push(Broken { rule, how });
    }

    /// A worker of Amazon's does not wait for a parent that has no row; ours wait, unless it was done at some time.
    fn comes_after_parents(&mut self, given: &HandOver<'_>) {
        let Some(shard) = self.shards.get(given.shard) else { return };
        let is_ours = self.ours.contains(&given.worker);
        let is_open = |parent: &&String| {
            let is_waited_for = is_ours || !self.unguarded.contains(*parent);
            is_waited_for && !self.ended.contains(*parent)
        };
        if let Some(parent) =
            shard.parents.iter().find(is_open).filter(|_| !given.records.is_empty())
        {
            let how = format!("{} is handed over before the end of {parent}", given.shard);
            self.breaks(Rule::ParentsFirst, how);
        }
    }

    /// Notes which parents have no row while their children have one.
    fn guard(&mut self, changed: &str) {
        let parents = |id: &str| self.shards.get(id).map_or(&[][..], |shard| &shard.parents);
        let is_child = |id: &&String| {
            id.as_str() == changed || parents(id).iter().any(|parent| parent == changed)
        };
        let children = self.leases.keys().filter(is_child);
        let absent = children
            .flat_map(|child| parents(child))
            .filter(|parent| !self.leases.contains_key(*parent) && !self.ended.contains(*parent));
        let absent: Vec<_> = absent.cloned().collect();
        self.unguarded.extend(absent);
    }

    /// The first record that a checkpoint does not cover.
    fn next_after(&self, shard: &str, checkpoint: &Checkpoint) -> Option<&Position> {
        let records = &self.shards.get(shard)?.records;
        records.iter().map(|record| &record.position).find(|it| !covers(checkpoint, it))
    }

    /// Whether a row stands for the shard: its own, that of an ancestor which is not done, so that its end brings the
    /// others, or that of a descendant if the shard was done.
    fn is_present(&self, id: &str) -> bool {
        let is_open = |id: &String| self.leases.get(id).is_some_and(|row| !row.checkpoint.is_end());
        let is_below = |other: &String| self.ancestors(other).contains(id);
        self.leases.contains_key(id)
            || self.ancestors(id).iter().any(is_open)
            || self.ended.contains(id) && self.leases.keys().any(is_below)
    }

    fn ancestors(&self, id: &str) -> BTreeSet<String> {
        let parents =
            |id: &str| self.shards.get(id).map(|it| it.parents.clone()).unwrap_or_default();
        let (mut above, mut next) = (BTreeSet::new(), parents(id));
        while let Some(id) = next.pop() {
            next.extend(parents(&id));
            above.insert(id);
        }
        above
    }
}

/// Whether a row with this checkpoint says that a record is done. A record that is no aggregate is done with any part.
fn covers(checkpoint: &Checkpoint, position: &Position) -> bool {
    match &checkpoint.at {
        At::TrimHorizon | At::Latest | At::Timestamp => false,
        At::ShardEnd => true,
        At::Number(number) => match position {
            Position::After { sequence, sub } if sequence == number => {
                *sub == u64::MAX || Some(*sub) <= checkpoint.sub
            }
            _ => position.sequence() < Some(number),
        },
    }
}
