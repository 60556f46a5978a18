//! What was put and what was handled: the judge of a simulated run.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use super::shard_truth::ShardTruth;
use crate::batch::Batch;
use crate::config::OnGap;
use crate::gap::Gap;
use crate::position::Position;
use crate::sequence::SequenceNumber;
use crate::shard::Shard;

/// All that ever was in the stream, and what became of it.
#[derive(Debug, Default)]
pub(super) struct Truth {
    /// How the numbers of the present stream begin.
    incarnation: String,
    shards: Shards,
    /// The streams that had its name before: nothing of them needs to come any more.
    former: BTreeMap<String, Shards>,
    run: Run,
}

type Shards = BTreeMap<String, ShardTruth>;

/// What belongs to the present run of the consumer.
#[derive(Debug, Default)]
struct Run {
    /// What the store held when it was read, or was reset to since.
    loaded: BTreeMap<String, Position>,
    on_gap: Option<OnGap>,
    /// The shards that the first listing did not show any more.
    unlisted: BTreeSet<String>,
    /// The shards that were started.
    started: BTreeSet<String>,
    /// Whether the stream was created again since: what was listed is not what is read.
    is_outlived: bool,
    /// The shards whose first answer with something in it has come.
    answered: BTreeSet<String>,
    /// The shards whose next batch must tell of a gap, and why.
    must_tell: BTreeMap<String, &'static str>,
}

impl Truth {
    /// The stream was created, perhaps again.
    pub(super) fn created(&mut self, shards: &[Shard]) {
        let mut former = std::mem::take(&mut self.shards);
        former.values_mut().for_each(|shard| shard.trim(0));
        let incarnation = incarnation(shards[0].starting_sequence_number()).to_owned();
        self.former.insert(std::mem::replace(&mut self.incarnation, incarnation), former);
        self.run.is_outlived = true;
        shards.iter().for_each(|shard| self.born(shard.id(), &[]));
    }

    pub(super) fn born(&mut self, shard: &str, parents: &[String]) {
        let truth = ShardTruth { parents: parents.to_vec(), ..ShardTruth::default() };
        self.shards.insert(shard.into(), truth);
        for parent in parents {
            self.shard(parent).is_closed = true;
        }
    }

    pub(super) fn put(&mut self, shard: &str, sequence: SequenceNumber, arrival: SystemTime) {
        self.shard(shard).put(sequence, arrival);
    }

    /// The oldest records have left the stream: all but so many.
    pub(super) fn trimmed(&mut self, shard: &str, left: usize) {
        self.shard(shard).trim(left);
    }

    pub(super) fn retired(&mut self, shard: &str) {
        self.trimmed(shard, 0);
        self.shard(shard).is_retired = true;
    }

    pub(super) fn is_retired(&self, shard: &str) -> bool {
        self.shards.get(shard).is_some_and(|shard| shard.is_retired)
    }

    /// Everything that arrived earlier need not come.
    pub(super) fn starts_at(&mut self, time: SystemTime) {
        self.shards.values_mut().for_each(|shard| shard.excuse_before(time));
    }

    /// A consumer comes to life.
    pub(super) fn begins(&mut self) {
        self.run = Run::default();
    }

    /// The consumer has read the store, which holds this.
    pub(super) fn loaded(&mut self, positions: &[(String, Position)], on_gap: OnGap) {
        let loaded = positions.iter().cloned().collect();
        let is_outlived = self.run.is_outlived;
        self.run = Run { loaded, on_gap: Some(on_gap), is_outlived, ..Run::default() };
        self.shards.values_mut().for_each(|shard| shard.delivered = None);
    }

    /// The run lists the stream for the first time.
    pub(super) fn lists(&mut self) {
        let retired = self.shards.iter().filter(|(_, shard)| shard.is_retired);
        self.run.unlisted = retired.map(|(id, _)| id.clone()).collect();
    }

    /// The run is to start at `Latest`: closed shards that nothing was ever read of, nor of their
    /// ancestors, need not come.
    pub(super) fn skips_for_latest(&mut self) {
        let skipped: Vec<String> = self.shards.keys().cloned().collect();
        let skipped = skipped.into_iter().filter(|id| self.shards[id].is_closed);
        let skipped: Vec<String> = skipped.filter(|id| self.may_be_latest(id)).collect();
        for id in skipped {
            self.excuse_all(&id);
        }
    }

    pub(super) fn starts(&mut self, shard: &str) {
        self.run.started.insert(shard.into());
        if self.is_misfit(shard) {
            self.run.must_tell.insert(shard.into(), "its position is of another stream");
        }
    }

    /// A shard is read from `Latest`: what it holds need not come, if that is right.
    pub(super) fn starts_latest(&mut self, shard: &str) {
        let is_told = self.is_misfit(shard) && self.run.on_gap == Some(OnGap::Latest);
        let is_right = is_told || self.run.is_outlived || self.may_be_latest(shard);
        assert!(is_right, "{shard} starts at LATEST, but continues what was read");
        self.excuse_all(shard);
    }

    /// A shard was read; `tells` if a record came, or its end.
    pub(super) fn reads(&mut self, id: &str, tells: bool) {
        if let Some(shard) = self.shards.get_mut(id) {
            // To a consumer of the former stream all of this one is new, whatever is configured; that
            // binds nobody else.
            shard.was_read |= !self.run.is_outlived;
        }
        let is_first = tells && self.run.answered.insert(id.into());
        if let Some(Position::After { sequence, .. }) = self.run.loaded.get(id) {
            let is_ours = is_first && self.is_present(sequence);
            if is_ours && self.shards.get(id).is_some_and(|shard| shard.is_gone(sequence)) {
                self.run.must_tell.insert(id.into(), "its position is trimmed");
            }
        }
    }

    /// A stored position is overwritten without regard to what it was.
    pub(super) fn resets(&mut self, id: &str, to: Option<&Position>) {
        let is_chosen = self.run.on_gap.is_some_and(|on_gap| on_gap != OnGap::Fail);
        assert!(is_chosen, "{id}: reset to {to:?}, which no setting asked for");
        let position = self.run.loaded.remove(id);
        let number = position.as_ref().and_then(Position::sequence);
        let is_misfit = number.is_some_and(|number| !self.is_present(number));
        // The first write may have succeeded, and its answer be lost.
        assert!(
            is_misfit || position.as_ref() == to,
            "{id}: {position:?} was good, reset to {to:?}"
        );
        self.run.loaded.extend(to.map(|to| (id.to_owned(), to.clone())));
    }

    /// A batch is taken from the queue.
    pub(super) fn delivered(&mut self, batch: &Batch) {
        let id = batch.shard();
        if self.run.is_outlived || !self.is_of_present(batch) {
            return;
        }
        for parent in &self.shards[id].parents {
            let is_delivered = self.shards[parent].is_delivered();
            assert!(is_delivered, "{id} came before the end of {parent}");
        }
        if let Some(why) = self.run.must_tell.remove(id) {
            assert!(batch.gap().is_some(), "{id} does not tell of a gap, but {why}");
        }
        if let Some(Gap::Trimmed { wanted: Some(wanted), .. }) = batch.gap() {
            let shard = &self.shards[id];
            let is_true = shard.is_retired || shard.is_gone(wanted) || !self.is_present(wanted);
            assert!(is_true, "{id} tells of a gap after {wanted}, which is still there");
        }
        let loaded = self.run.loaded.get(id).and_then(Position::sequence);
        let loaded = loaded.filter(|number| self.is_present(number)).cloned();
        let shard = self.shard(id);
        for record in batch.records() {
            let sequence: SequenceNumber = record.sequence_number().parse().unwrap();
            assert!(Some(&sequence) > loaded.as_ref(), "{id} repeats {sequence}, which is stored");
            let before = shard.delivered.as_ref();
            assert!(Some(&sequence) > before, "{id} is out of order: {sequence} after {before:?}");
            shard.delivered = Some(sequence);
        }
    }

    /// The handler gets a batch, perhaps again: everything before it must be done.
    pub(super) fn hands_over(&self, batch: &Batch) {
        let id = batch.shard();
        if self.run.is_outlived || !self.is_of_present(batch) {
            return;
        }
        for parent in &self.shards[id].parents {
            let is_done = self.shards[parent].is_settled();
            assert!(is_done, "{id} is handled before the end of {parent}");
        }
        let Some(first) = batch.records().first() else { return };
        let shard = &self.shards[id];
        let place = shard.place_of(&first.sequence_number().parse().unwrap());
        assert!(place <= shard.settled, "{id}: {place} is handled before {}", shard.settled);
    }

    /// The handler returned `Ok`, somebody else took it, or the user commits.
    pub(super) fn handled(&mut self, batch: &Batch) {
        for record in batch.records() {
            let sequence: SequenceNumber = record.sequence_number().parse().unwrap();
            let shard = self.shard_with(batch.shard(), &sequence);
            shard.expect("it was put into a stream of this name").handle(&sequence);
        }
    }

    /// The store is to hold this: everything up to it must be handled.
    pub(super) fn stores(&mut self, id: &str, position: &Position) {
        let Some(sequence) = position.sequence() else { return };
        let is_present = self.is_present(sequence);
        let Some(shard) = self.shard_with(id, sequence) else {
            // A shard that was never read ends where its position said, whatever that was.
            return assert!(position.is_end(), "{id}: {position} was never read");
        };
        let covered = shard.records.partition_point(|record| record.sequence <= *sequence);
        let covered = if position.is_end() { shard.records.len() } else { covered };
        // With its stream every shard has ended.
        let is_open = is_present && !shard.is_closed;
        let first = shard.records.get(shard.settled).map(|record| &record.sequence);
        assert!(covered <= shard.settled, "{id}: {position} is stored, {first:?} is not handled");
        assert!(!is_open || !position.is_end(), "{id}: an open shard has no end");
    }

    /// Old records of a parent would come again after a restart, newer ones of its child would not: the last value of
    /// a key would be an old one.
    pub(super) fn stores_after_parents(
        &self,
        id: &str,
        position: &Position,
        stored: &[(String, Position)],
    ) {
        let is_present = position.sequence().is_some_and(|number| self.is_present(number));
        // What was started is of the stream that had the name before.
        let is_told = is_present && !self.run.is_outlived;
        let Some(shard) = self.shards.get(id).filter(|_| is_told) else { return };
        for parent in shard.parents.iter().filter(|id| self.run.started.contains(*id)) {
            let parents = stored.iter().find(|(stored, _)| stored == parent);
            let is_over = parents.is_some_and(|(_, position)| position.is_end());
            assert!(is_over, "{id}: {position} is stored before the end of {parent}");
        }
    }

    /// Whether everything that must come was handled.
    pub(super) fn is_complete(&self) -> bool {
        self.shards.values().all(ShardTruth::is_settled)
    }

    /// What was not handled, for the message.
    pub(super) fn missing(&self) -> Vec<(&String, &SequenceNumber)> {
        let first = |shard: &'_ ShardTruth| shard.records.get(shard.settled).map(|_| shard.settled);
        let open = self.shards.iter().filter_map(|(id, shard)| Some((id, shard, first(shard)?)));
        open.map(|(id, shard, place)| (id, &shard.records[place].sequence)).collect()
    }

    /// A shard whose stored position is not where it must be after an orderly end.
    pub(super) fn misplaced(&self, stored: &[(String, Position)]) -> Option<&String> {
        let listed = self.shards.iter().filter(|(_, shard)| !shard.is_retired);
        let found = listed.filter(|(id, shard)| {
            let position = stored.iter().find(|(stored, _)| stored == *id);
            let position = position.map(|(_, position)| position);
            let number = position.and_then(Position::sequence);
            let number = number.filter(|number| self.is_present(number));
            if shard.is_closed {
                let was_read = position.is_some() || self.run.started.contains(*id);
                let is_end = number.is_some() && position.is_some_and(Position::is_end);
                return was_read && !is_end;
            }
            let held = shard.records.iter().rev().find(|record| !record.need_not_come);
            let last = held.filter(|record| record.was_handled).map(|record| &record.sequence);
            last.is_some() && number < last
        });
        found.map(|(id, _)| id).next()
    }

    /// Whether the number is of the stream as it is now.
    pub(super) fn is_present(&self, number: &SequenceNumber) -> bool {
        incarnation(number) == self.incarnation
    }

    /// Whether what was stored for the shard at the start of the run belongs to another stream.
    pub(super) fn is_misfit(&self, id: &str) -> bool {
        let number = self.run.loaded.get(id).and_then(Position::sequence);
        number.is_some_and(|number| !self.is_present(number))
    }

    fn is_of_present(&self, batch: &Batch) -> bool {
        batch.position().sequence().is_some_and(|number| self.is_present(number))
    }

    /// Whether nothing was read of the shard or its ancestors, now or before.
    fn may_be_latest(&self, id: &str) -> bool {
        let run = &self.run;
        let is_known = |id: &String| {
            let is_stored = run.loaded.contains_key(id) || self.shards[id].was_read;
            is_stored || run.started.contains(id)
        };
        let above = self.ancestors(id);
        let is_continued = above.iter().any(is_known)
            || (above.iter().any(|id| run.unlisted.contains(id)) && !run.loaded.is_empty());
        !is_continued && !run.loaded.contains_key(id) && !self.shards[id].was_read
    }

    fn ancestors(&self, id: &str) -> BTreeSet<String> {
        let mut above = BTreeSet::new();
        let mut next = self.shards[id].parents.clone();
        while let Some(id) = next.pop() {
            next.extend(self.shards[&id].parents.iter().cloned());
            above.insert(id);
        }
        above
    }

    fn excuse_all(&mut self, id: &str) {
        let shard = self.shard(id);
        shard.excuse(shard.records.len());
    }

    fn shard(&mut self, id: &str) -> &mut ShardTruth {
        self.shards.get_mut(id).expect("every shard is told when it is born")
    }

    /// The shard of the stream that gave out this number.
    fn shard_with(&mut self, id: &str, number: &SequenceNumber) -> Option<&mut ShardTruth> {
        if self.is_present(number) {
            return self.shards.get_mut(id);
        }
        self.former.get_mut(incarnation(number))?.get_mut(id)
    }
}

/// The part of a number that says which stream gave it out.
fn incarnation(number: &SequenceNumber) -> &str {
    number.as_str().get(..16).unwrap_or_default()
}
