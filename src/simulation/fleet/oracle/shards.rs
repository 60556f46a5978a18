//! The records of one shard, and how far they are done.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::core::fleet::lease::checkpoint::{At, Checkpoint};
use crate::model::position::Position;

/// A shard, and its records in their order.
#[derive(Debug, Default)]
pub(super) struct Shard {
    pub(super) parents: Vec<String>,
    pub(super) is_closed: bool,
    records: Vec<Record>,
    /// How many of the first records need not come, because reading began later.
    excused: usize,
    /// How many of the first records are handled, or need not come.
    settled: usize,
}

/// A record, or a user record of an aggregate.
#[derive(Debug)]
pub(super) struct Record {
    position: Position,
    arrival: SystemTime,
    was_handled: bool,
}

impl Record {
    /// One of which nothing but its place counts.
    pub(super) fn of(position: Position) -> Self {
        Self { position, arrival: UNIX_EPOCH, was_handled: false }
    }
}

impl Shard {
    pub(super) fn new(parents: &[String]) -> Self {
        Self { parents: parents.to_vec(), ..Self::default() }
    }

    pub(super) fn put(&mut self, position: Position, arrival: SystemTime) {
        self.records.push(Record { position, arrival, was_handled: false });
    }

    /// Marks a record. Returns whether it was marked before.
    pub(super) fn handle(&mut self, position: &Position) -> bool {
        let place = self.place_of(position);
        let was_handled = std::mem::replace(&mut self.records[place].was_handled, true);
        self.settle();
        was_handled
    }

    /// What was put so far need not come.
    pub(super) fn excuse_all(&mut self) {
        self.excused = self.records.len();
        self.settle();
    }

    /// The records need not come that this checkpoint leaves out, if it is a time.
    pub(super) fn excuse_before(&mut self, checkpoint: &Checkpoint) {
        if !matches!(checkpoint.at, At::Number(_) | At::ShardEnd) {
            self.excused = self.excused.max(self.done(checkpoint));
            self.settle();
        }
    }

    /// The first record that is not handled, and has to come.
    pub(super) fn first_open(&self) -> Option<&Position> {
        self.records.get(self.settled).map(|record| &record.position)
    }

    /// The first record that a checkpoint covers, although nobody has handled it.
    pub(super) fn covered_early(&self, checkpoint: &Checkpoint) -> Option<&Position> {
        let record = self.records.get(self.settled).filter(|it| covers(checkpoint, it))?;
        Some(&record.position)
    }

    /// The first record that a checkpoint does not cover.
    pub(super) fn next_after(&self, checkpoint: &Checkpoint) -> Option<&Position> {
        self.records.get(self.done(checkpoint)).map(|record| &record.position)
    }

    /// Whether there are records after a checkpoint that have to come.
    pub(super) fn has_open_after(&self, checkpoint: &Checkpoint) -> bool {
        self.done(checkpoint).max(self.excused) < self.records.len()
    }

    /// How many records were handled that a checkpoint does not cover.
    pub(super) fn unstored(&self, checkpoint: Option<&Checkpoint>) -> usize {
        let done = checkpoint.map_or(0, |checkpoint| self.done(checkpoint));
        self.records[done..].iter().filter(|it| it.was_handled).count()
    }

    /// When a record has arrived.
    pub(super) fn arrival(&self, position: &Position) -> SystemTime {
        self.records[self.place_of(position)].arrival
    }

    /// The next records after this one, at most so many.
    pub(super) fn after(&self, after: Option<&Position>, most: usize) -> Vec<Position> {
        let place = self.records.partition_point(|it| Some(&it.position) <= after);
        self.records[place..].iter().take(most).map(|it| it.position.clone()).collect()
    }

    /// The last record that a checkpoint with a number covers; or that number, if no such record is known.
    pub(super) fn position(&self, checkpoint: &Checkpoint) -> Option<Position> {
        let At::Number(number) = &checkpoint.at else { return None };
        let last = self.done(checkpoint).checked_sub(1).map(|place| &self.records[place].position);
        Some(last.cloned().unwrap_or_else(|| Position::after(number.clone())))
    }

    /// How many of the first records a checkpoint covers.
    fn done(&self, checkpoint: &Checkpoint) -> usize {
        self.records.partition_point(|record| covers(checkpoint, record))
    }

    fn place_of(&self, position: &Position) -> usize {
        let place = self.records.binary_search_by(|it| it.position.cmp(position));
        place.expect("what is handled was put")
    }

    fn settle(&mut self) {
        self.settled = self.settled.max(self.excused);
        let open = &self.records[self.settled..];
        self.settled += open.iter().take_while(|record| record.was_handled).count();
    }
}

/// Whether a row with this checkpoint says that a record is done. A record that is no aggregate is done with any part.
pub(super) fn covers(checkpoint: &Checkpoint, record: &Record) -> bool {
    match &checkpoint.at {
        At::TrimHorizon | At::Latest | At::Timestamp => {
            checkpoint.from.is_some_and(|from| record.arrival < from)
        }
        At::ShardEnd => true,
        At::Number(number) => match &record.position {
            Position::After { sequence, sub } if sequence == number => {
                *sub == u64::MAX || Some(*sub) <= checkpoint.sub
            }
            position => position.sequence() < Some(number),
        },
    }
}
