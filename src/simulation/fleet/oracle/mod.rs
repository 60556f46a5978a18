//! What may never happen in a fleet, whoever takes part: the judge of a simulated one.
//!
//! It knows what was put, hears what each worker hands over and in which tenure, and sees each change of the table. It
//! collects what it finds, so that a made-up history shows that it would.

mod patience;
mod rows;
mod shards;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use self::patience::{DRIFT, Patience};
use self::shards::{Record, Shard, covers};
use crate::core::fleet::lease::checkpoint::{At, Checkpoint};
use crate::core::fleet::lease::row::Row;
use crate::model::position::Position;
use crate::simulation::world::epoch;

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
    /// Tenures whose row somebody deleted, and when.
    orphaned: BTreeMap<String, Duration>,
    /// The shards whose end was in the table at some time.
    ended: BTreeSet<String>,
    /// The shards that had no row while a child had one, although they were not done.
    unguarded: BTreeSet<String>,
    /// The shards that were first read from the latest record on, in a table that looked empty, and when they got their rows.
    first: BTreeMap<String, Duration>,
    /// Tenures whose lease was taken after it had been asked for: who does not hand over in time may still handle.
    overdue: BTreeSet<String>,
    /// How often a lease got another owner, or was asked for.
    moves: u64,
    /// How many records were handled that had been handled before.
    duplicates: u64,
    broken: Vec<Broken>,
    /// All times from which rows have let their shards be read.
    starts: BTreeSet<SystemTime>,
    /// The true time, and when the table was last as at a first start: without a row that anybody has touched.
    now: Duration,
    untouched: Duration,
    /// Whether all is done, as far as that was looked at since the last change.
    is_complete: Option<bool>,
    patience: Patience,
}

/// One time of holding a lease.
#[derive(Debug)]
struct Tenure {
    shard: String,
    /// Its worker, and the id of that, and since when it is held.
    worker: Option<usize>,
    owner: Option<String>,
    since: Duration,
    /// Whether the worker has written in it again, and so has heard that it has begun.
    is_heard: bool,
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
    /// Nobody loses a lease whose calls the table answers, unless it was asked for, or somebody else of Amazon's took it.
    Kept,
    /// Whoever asks for a lease has it in time, or it is nobody's any more.
    Answered,
    /// The table is not called more often than the formulas for its cost say.
    Cost,
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

    /// True time is that late now.
    pub(super) fn passes(&mut self, now: Duration) {
        self.now = now;
        if self.leases.values().all(is_untouched) {
            self.untouched = now;
        }
        if let Some(how) = self.patience.overdue(now) {
            self.breaks(Rule::Answered, how);
        }
    }

    /// What happens to the workers is kept there.
    pub(super) fn patience(&mut self) -> &mut Patience {
        &mut self.patience
    }

    /// A shard is there from now on; its parents are closed.
    pub(super) fn born(&mut self, shard: &str, parents: &[String]) {
        self.is_complete = None;
        self.shards.insert(shard.to_owned(), Shard::new(parents));
        for parent in parents {
            self.shards.get_mut(parent).expect("parents are born first").is_closed = true;
        }
    }

    /// A record was put, which has arrived at this time.
    pub(super) fn put(&mut self, shard: &str, position: Position, arrival: SystemTime) {
        self.is_complete = None;
        let is_skipped = self.leases.get(shard).is_some_and(|row| has_no_start(&row.checkpoint));
        let shard = self.shards.get_mut(shard).expect("a record is put into a shard");
        shard.put(position, arrival);
        if is_skipped {
            shard.excuse_all();
        }
    }

    /// The next records of a shard after this one, at most so many.
    pub(super) fn after(
        &self,
        shard: &str,
        after: Option<&Position>,
        most: usize,
    ) -> Vec<Position> {
        self.shards.get(shard).map_or_else(Vec::new, |shard| shard.after(after, most))
    }

    /// The last part of a record that is done, if its row says so: of one that is no aggregate all parts.
    pub(super) fn position(&self, shard: &str, checkpoint: &Checkpoint) -> Option<Position> {
        self.shards.get(shard)?.position(checkpoint)
    }

    pub(super) fn is_closed(&self, shard: &str) -> bool {
        self.shards.get(shard).is_some_and(|shard| shard.is_closed)
    }

    /// Whether the table says that a position is done.
    pub(super) fn is_stored(&self, shard: &str, position: &Position) -> bool {
        self.leases.get(shard).is_some_and(|row| match position {
            Position::End { .. } => row.checkpoint.is_end(),
            Position::Since(_) => true,
            Position::After { .. } => covers(&row.checkpoint, &Record::of(position.clone())),
        })
    }

    /// Whether a tenure still has its lease, by the table.
    pub(super) fn has(&self, shard: &str, tenure: &str) -> bool {
        self.current.get(shard).is_some_and(|current| current == tenure)
    }

    /// A worker of ours gives up a lease as lost.
    pub(super) fn loses(&mut self, shard: &str, tenure: &str, why: &str) {
        if self.has(shard, tenure) {
            let row = self.leases.get(shard);
            let how = format!("{tenure} gives up {shard}, as {why}, but has it: {row:?}");
            self.breaks(Rule::Kept, how);
        }
    }

    /// The table was called more often than it should be.
    pub(super) fn costs(&mut self, how: String) {
        self.breaks(Rule::Cost, how);
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
            let may_begin = |at: &Checkpoint| self.may_begin(given.shard, at, tenure, position);
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

    /// The handler of one of ours gets a batch, perhaps again. Whose row somebody with a tool has deleted knows it by the next
    /// beat that is answered, or by its fence.
    pub(super) fn begins(&mut self, tenure: &str, shard: &str) {
        let Some(row) = self.leases.get(shard) else { return };
        // The library of Amazon leaves what a former holder of ours has written, and takes from whom it likes.
        let of = |owner| row.holder.as_ref().filter(|it| it.is_of(owner));
        let Some(holder) = row.working_owner().and_then(of) else { return };
        let deleted = self.orphaned.get(tenure);
        let is_unheard = deleted.is_some_and(|deleted| self.is_within(DRIFT, *deleted, self.now));
        let is_excused = self.overdue.contains(tenure) || is_unheard;
        if holder.text() != tenure && !is_excused {
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
        self.is_complete = None;
        let shard = self.shards.get_mut(shard).expect("what is handled was put");
        self.duplicates += records.iter().filter(|position| shard.handle(position)).count() as u64;
    }

    /// The first record that nobody has handled yet.
    pub(super) fn missing(&self) -> Option<(&str, &Position)> {
        self.shards.iter().find_map(|(id, shard)| Some((id.as_str(), shard.first_open()?)))
    }

    /// How many records of a shard were handled and would come again, if its lease were taken now.
    pub(super) fn unstored(&self, id: &str) -> usize {
        let (shard, lease) = (&self.shards[id], self.leases.get(id));
        shard.unstored(lease.map(|row| &row.checkpoint))
    }

    /// Whether all is done: every record is handled, and the table says so of each shard, with the end of each closed one.
    pub(super) fn is_complete(&mut self) -> bool {
        let is_complete = self.is_complete.unwrap_or_else(|| {
            let is_stored = |(id, shard): (&String, &Shard)| {
                let Some(row) = self.leases.get(id) else { return self.ended.contains(id) };
                let is_covered = !shard.has_open_after(&row.checkpoint);
                is_covered && (!shard.is_closed || row.checkpoint.is_end())
            };
            self.missing().is_none() && self.shards.iter().all(is_stored)
        });
        self.is_complete = Some(is_complete);
        is_complete
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

    /// A worker of Amazon's does not wait for a parent that has no row; ours wait, unless it was done at some time. What
    /// somebody has begun to read is read on. Whoever begins at the latest in a table that looked empty may not have seen
    /// the row of a parent that is read since a moment ago.
    fn comes_after_parents(&mut self, given: &HandOver<'_>) {
        let Some(shard) = self.shards.get(given.shard) else { return };
        let is_ours = self.ours.contains(&given.worker);
        let tenure = self.tenures.get(given.tenure);
        let has_begun = tenure.is_some_and(|tenure| matches!(tenure.from.at, At::Number(_)));
        let is_open = |parent: &&String| {
            let is_waited_for = is_ours && !has_begun || !self.unguarded.contains(*parent);
            let begun = self.first.get(*parent).zip(self.first.get(given.shard));
            // A write may be on its way for three.
            let is_beside = begun.is_some_and(|(one, other)| self.is_within(4.0, *one, *other));
            is_waited_for && !is_beside && !self.ended.contains(*parent)
        };
        if let Some(parent) =
            shard.parents.iter().find(is_open).filter(|_| !given.records.is_empty())
        {
            let how = format!("{} is handed over before the end of {parent}", given.shard);
            self.breaks(Rule::ParentsFirst, how);
        }
    }

    /// Whether at most so many failover times lie between these two moments.
    fn is_within(&self, times: f64, before: Duration, after: Duration) -> bool {
        let most = self.patience.failover().map(|failover| failover.mul_f64(times));
        most.is_some_and(|most| after <= before + most)
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

    /// Whether a tenure may begin with this record if its row says this. Where the row says "latest" and no time, that is
    /// any record that came after the take, or shortly before: the service's clock tells whole seconds.
    fn may_begin(&self, id: &str, at: &Checkpoint, tenure: &Tenure, position: &Position) -> bool {
        let Some(shard) = self.shards.get(id) else { return false };
        if has_no_start(at) {
            return shard.arrival(position) + GRAIN >= epoch() + tenure.since;
        }
        shard.next_after(at) == Some(position)
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

/// How much earlier than its request a record may have arrived, for one who asks for the latest.
const GRAIN: Duration = Duration::from_millis(1_100);

/// Whether the row leaves it to the one who takes it where its shard is read from.
fn has_no_start(checkpoint: &Checkpoint) -> bool {
    checkpoint.at == At::Latest && checkpoint.from.is_none()
}

/// Whether nobody has ever had the lease.
fn is_untouched(row: &Row) -> bool {
    row.counter == 0 && row.working_owner().is_none()
}
