//! What was put and what was handled: the judge of a simulated run.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use crate::batch::Batch;
use crate::position::Position;
use crate::sequence::SequenceNumber;

/// All that ever was in the stream, and what became of it.
#[derive(Debug, Default)]
pub(super) struct Truth {
    shards: BTreeMap<String, ShardTruth>,
    /// What the store held when the present run read it.
    loaded: BTreeMap<String, Position>,
    /// The shards that the present run's first listing did not show any more.
    unlisted: BTreeSet<String>,
    /// The shards that were started in the present run.
    started: BTreeSet<String>,
}

#[derive(Debug, Default)]
struct ShardTruth {
    parents: Vec<String>,
    is_closed: bool,
    is_retired: bool,
    /// Whether it was ever read from; from then on it has a place to go on from.
    was_read: bool,
    records: Vec<RecordTruth>,
    /// So many records from the first on are handled, or need not be.
    settled: usize,
    /// The last record delivered in the present run.
    delivered: Option<SequenceNumber>,
}

#[derive(Debug)]
struct RecordTruth {
    sequence: SequenceNumber,
    arrival: SystemTime,
    was_handled: bool,
    /// It has left the stream, or was there before reading was to start.
    need_not_come: bool,
}

impl Truth {
    pub(super) fn born(&mut self, shard: &str, parents: &[String]) {
        let truth = ShardTruth { parents: parents.to_vec(), ..ShardTruth::default() };
        self.shards.insert(shard.into(), truth);
        for parent in parents {
            self.shard(parent).is_closed = true;
        }
    }

    pub(super) fn put(&mut self, shard: &str, sequence: SequenceNumber, arrival: SystemTime) {
        let record = RecordTruth { sequence, arrival, was_handled: false, need_not_come: false };
        self.shard(shard).records.push(record);
    }

    /// The oldest records have left the stream: all but so many.
    pub(super) fn trimmed(&mut self, shard: &str, left: usize) {
        let shard = self.shard(shard);
        let gone = shard.records.len() - left;
        shard.records[..gone].iter_mut().for_each(|record| record.need_not_come = true);
        shard.settle();
    }

    pub(super) fn retired(&mut self, shard: &str) {
        self.trimmed(shard, 0);
        self.shard(shard).is_retired = true;
    }

    pub(super) fn is_retired(&self, shard: &str) -> bool {
        self.shards[shard].is_retired
    }

    /// Everything that arrived earlier need not come.
    pub(super) fn starts_at(&mut self, time: SystemTime) {
        for shard in self.shards.values_mut() {
            let early = shard.records.iter_mut().filter(|record| record.arrival < time);
            early.for_each(|record| record.need_not_come = true);
            shard.settle();
        }
    }

    /// A run begins, with this in the store.
    pub(super) fn loaded(&mut self, positions: &[(String, Position)]) {
        self.loaded = positions.iter().cloned().collect();
        self.started.clear();
        self.shards.values_mut().for_each(|shard| shard.delivered = None);
    }

    /// The run lists the stream for the first time.
    pub(super) fn lists(&mut self) {
        let retired = self.shards.iter().filter(|(_, shard)| shard.is_retired);
        self.unlisted = retired.map(|(id, _)| id.clone()).collect();
    }

    /// The run is to start at `Latest`: closed shards that nothing was ever read of, nor of their
    /// ancestors, need not come.
    pub(super) fn skips_for_latest(&mut self) {
        let skipped: Vec<String> = self.shards.keys().cloned().collect();
        let skipped = skipped.into_iter().filter(|id| self.shards[id].is_closed);
        let skipped: Vec<String> = skipped.filter(|id| self.may_be_latest(id)).collect();
        for id in skipped {
            self.trimmed(&id, 0);
        }
    }

    pub(super) fn starts(&mut self, shard: &str) {
        self.started.insert(shard.into());
    }

    /// A shard is read from `Latest`: what it holds need not come, if that is right.
    pub(super) fn starts_latest(&mut self, shard: &str) {
        assert!(self.may_be_latest(shard), "{shard} starts at LATEST, but continues what was read");
        self.trimmed(shard, 0);
    }

    /// A shard was read, whether or not a record came.
    pub(super) fn reads(&mut self, shard: &str) {
        self.shard(shard).was_read = true;
    }

    /// A batch is taken from the queue.
    pub(super) fn delivered(&mut self, batch: &Batch) {
        let id = batch.shard();
        for parent in &self.shards[id].parents {
            assert!(self.is_delivered(parent), "{id} came before the end of {parent}");
        }
        let loaded = self.loaded.get(id).and_then(Position::sequence).cloned();
        let shard = self.shard(id);
        for record in batch.records() {
            let sequence: SequenceNumber = record.sequence_number().parse().unwrap();
            assert!(Some(&sequence) > loaded.as_ref(), "{id} repeats {sequence}, which is stored");
            assert!(
                Some(&sequence) > shard.delivered.as_ref(),
                "{id} is out of order: {sequence} after {:?}",
                shard.delivered,
            );
            shard.delivered = Some(sequence);
        }
    }

    /// The handler gets a batch, perhaps again: everything before it must be done.
    pub(super) fn hands_over(&mut self, batch: &Batch) {
        let id = batch.shard();
        for parent in &self.shards[id].parents {
            let is_done = |it: &ShardTruth| it.settled == it.records.len();
            assert!(is_done(&self.shards[parent]), "{id} is handled before the end of {parent}");
        }
        let Some(first) = batch.records().first() else { return };
        let shard = self.shard(id);
        let place = shard.place_of(&first.sequence_number().parse().unwrap());
        assert!(place <= shard.settled, "{id}: {place} is handled before {}", shard.settled);
    }

    /// The handler returned `Ok`, or the user commits.
    pub(super) fn handled(&mut self, batch: &Batch) {
        let shard = self.shard(batch.shard());
        for record in batch.records() {
            let place = shard.place_of(&record.sequence_number().parse().unwrap());
            shard.records[place].was_handled = true;
        }
        shard.settle();
    }

    /// The store is to hold this: everything up to it must be handled.
    pub(super) fn stores(&mut self, id: &str, position: &Position) {
        let Some(sequence) = position.sequence() else { return };
        let shard = self.shard(id);
        let covered = shard.records.partition_point(|record| record.sequence <= *sequence);
        let covered = if position.is_end() { shard.records.len() } else { covered };
        let first = shard.records.get(shard.settled).map(|record| &record.sequence);
        assert!(covered <= shard.settled, "{id}: {position} is stored, {first:?} is not handled");
        assert!(!position.is_end() || shard.is_closed, "{id}: an open shard has no end");
    }

    /// Whether everything that must come was handled.
    pub(super) fn is_complete(&self) -> bool {
        self.shards.values().all(|shard| shard.settled == shard.records.len())
    }

    /// What was not handled, for the message.
    pub(super) fn missing(&self) -> Vec<(&String, &SequenceNumber)> {
        let first = |shard: &'_ ShardTruth| shard.records.get(shard.settled).map(|_| shard.settled);
        let open = self.shards.iter().filter_map(|(id, shard)| Some((id, shard, first(shard)?)));
        open.map(|(id, shard, place)| (id, &shard.records[place].sequence)).collect()
    }

    /// A shard whose stored position is not where it must be after an orderly end.
    pub(super) fn misplaced(&self, stored: &[(String, Position)]) -> Option<&String> {
        let found =
            self.shards.iter().filter(|(_, shard)| !shard.is_retired).find(|(id, shard)| {
                let position = stored.iter().find(|(stored, _)| stored == *id);
                let position = position.map(|(_, position)| position);
                if shard.is_closed {
                    let was_read = position.is_some() || self.started.contains(*id);
                    return was_read && !position.is_some_and(Position::is_end);
                }
                let held = shard.records.iter().rev().find(|record| !record.need_not_come);
                let last = held.filter(|record| record.was_handled).map(|record| &record.sequence);
                last.is_some() && position.and_then(Position::sequence) < last
            });
        found.map(|(id, _)| id)
    }

    /// Whether nothing was read of the shard or its ancestors, now or before.
    fn may_be_latest(&self, id: &str) -> bool {
        let is_known = |id: &String| {
            let is_stored = self.loaded.contains_key(id) || self.shards[id].was_read;
            is_stored || self.started.contains(id)
        };
        let above = self.ancestors(id);
        let is_continued = above.iter().any(is_known)
            || (above.iter().any(|id| self.unlisted.contains(id)) && !self.loaded.is_empty());
        !is_continued && !self.loaded.contains_key(id) && !self.shards[id].was_read
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

    /// Whether all records of a shard were taken from the queue at some time, or need not be.
    fn is_delivered(&self, id: &str) -> bool {
        let shard = &self.shards[id];
        let delivered = shard.delivered.as_ref();
        let open = &shard.records[shard.settled..];
        open.iter().all(|it| it.need_not_come || it.was_handled || Some(&it.sequence) <= delivered)
    }

    fn shard(&mut self, id: &str) -> &mut ShardTruth {
        self.shards.get_mut(id).expect("every shard is told when it is born")
    }
}

impl ShardTruth {
    fn place_of(&self, sequence: &SequenceNumber) -> usize {
        let found = self.records.binary_search_by(|record| record.sequence.cmp(sequence));
        found.unwrap_or_else(|_| panic!("{sequence} was never put"))
    }

    fn settle(&mut self) {
        let is_settled = |it: &RecordTruth| it.was_handled || it.need_not_come;
        let open = &self.records[self.settled..];
        self.settled += open.iter().take_while(|record| is_settled(record)).count();
    }
}
