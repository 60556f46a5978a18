//! The records of one shard, and their state.

use std::time::SystemTime;

use crate::model::position::Position;
use crate::model::sequence::SequenceNumber;

/// One shard of one incarnation of the stream.
#[derive(Debug, Default)]
pub(super) struct ShardTruth {
    pub(super) parents: Vec<String>,
    /// Whether it must be read.
    pub(super) is_wanted: bool,
    pub(super) is_closed: bool,
    pub(super) is_retired: bool,
    /// Whether it was ever read; from then on it has a place to resume.
    pub(super) was_read: bool,
    pub(super) records: Vec<RecordTruth>,
    /// The number of records from the first on that are handled, or need not be.
    pub(super) settled: usize,
    /// The number of records from the first on that have left the stream.
    pub(super) gone: usize,
    /// The last record delivered in the present run.
    pub(super) delivered: Option<Position>,
}

/// A record, or a user record of an aggregate.
#[derive(Debug)]
pub(super) struct RecordTruth {
    pub(super) position: Position,
    pub(super) arrival: SystemTime,
    pub(super) was_handled: bool,
    /// It has left the stream, or was put before the start of reading.
    pub(super) need_not_come: bool,
}

impl ShardTruth {
    pub(super) fn put(&mut self, position: Position, arrival: SystemTime) {
        let need_not_come = !self.is_wanted;
        self.records.push(RecordTruth { position, arrival, was_handled: false, need_not_come });
        self.settle();
    }

    /// The oldest records have left the stream: all before this one, or all.
    pub(super) fn trim(&mut self, left: Option<&SequenceNumber>) {
        self.gone = left.map_or(self.records.len(), |left| self.count_before(left));
        self.excuse(self.gone);
    }

    /// The oldest records need not come.
    pub(super) fn excuse(&mut self, count: usize) {
        self.records[..count].iter_mut().for_each(|record| record.need_not_come = true);
        self.settle();
    }

    pub(super) fn handle(&mut self, position: &Position) {
        let place = self.place_of(position);
        self.records[place].was_handled = true;
        self.settle();
    }

    /// Earlier records need not come.
    pub(super) fn excuse_before(&mut self, time: SystemTime) {
        let early = self.records.iter_mut().filter(|record| record.arrival < time);
        early.for_each(|record| record.need_not_come = true);
        self.settle();
    }

    /// Whether this record was put here, and has left the stream.
    pub(super) fn is_gone(&self, sequence: &SequenceNumber) -> bool {
        self.count_before(sequence) < self.gone
    }

    pub(super) fn is_settled(&self) -> bool {
        self.settled == self.records.len()
    }

    /// Whether all records were taken from the queue at some time, or need not be.
    pub(super) fn is_delivered(&self) -> bool {
        let delivered = self.delivered.as_ref();
        let open = &self.records[self.settled..];
        open.iter().all(|it| it.need_not_come || it.was_handled || Some(&it.position) <= delivered)
    }

    pub(super) fn place_of(&self, position: &Position) -> usize {
        let found = self.records.binary_search_by(|record| record.position.cmp(position));
        found.unwrap_or_else(|_| panic!("{position} was never put"))
    }

    fn count_before(&self, sequence: &SequenceNumber) -> usize {
        self.records.partition_point(|record| record.position.sequence() < Some(sequence))
    }

    fn settle(&mut self) {
        let is_settled = |it: &RecordTruth| it.was_handled || it.need_not_come;
        let open = &self.records[self.settled..];
        self.settled += open.iter().take_while(|record| is_settled(record)).count();
    }
}
