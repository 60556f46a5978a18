//! Batches for the user: records, and their acknowledgement.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use crate::core::shard::step::Delivery;
use crate::delivery::commits::ShardCommits;
use crate::delivery::in_flight::Slot;
use crate::error::Error;
use crate::model::gap::Gap;
use crate::model::position::Position;
use crate::record::{Record, RecordIter, Records};

/// The new records of one answer for one shard, in sequence order.
///
/// Commit a batch from a receiver after you have handled it; `listen` and `spawn` commit it when the
/// handler returned `Ok`. A batch that is dropped uncommitted holds the shard's position, and comes again
/// after a restart.
#[derive(Debug)]
#[must_use = "a batch that is dropped uncommitted holds the position of its shard"]
pub struct Batch {
    records: Records,
    ends_shard: bool,
    behind_latest: Option<Duration>,
    gap: Option<Gap>,
    commit: Commit,
    /// Given back when the batch is dropped.
    slot: Slot,
}

/// Commits a batch after its records were moved elsewhere.
///
/// See [`Batch::into_parts`].
#[must_use = "a batch that is dropped uncommitted holds the position of its shard"]
pub struct Commit {
    commits: Arc<ShardCommits>,
    number: u64,
    through: Position,
    /// When the last record arrived.
    arrival: Option<SystemTime>,
    /// Whether another batch, of the same number, holds the records after `through`.
    is_part: bool,
    is_done: AtomicBool,
}

impl Batch {
    pub(crate) fn new(commits: &Arc<ShardCommits>, delivery: Delivery, slot: Slot) -> Self {
        let Delivery { records, through, behind_latest, gap } = delivery;
        let ends_shard = through.is_end();
        let commit = Commit {
            commits: Arc::clone(commits),
            number: commits.hand_out(through.clone()),
            through,
            arrival: arrival(&records),
            is_part: false,
            is_done: AtomicBool::new(false),
        };
        Self { records, ends_shard, behind_latest, gap, commit, slot }
    }

    pub(crate) fn commits(&self) -> &ShardCommits {
        &self.commit.commits
    }

    /// Whether the rest of the same answer is another batch, which follows.
    pub(crate) fn is_part(&self) -> bool {
        self.commit.is_part
    }

    /// Splits off the second half, which must be handled after this one. There must be two records.
    pub(crate) fn split_half(&mut self) -> Self {
        self.commit.commits.splits();
        let records = self.records.split_off(self.len() / 2);
        let last = self.records.last().expect("half of two records is one");
        let through = std::mem::replace(&mut self.commit.through, last.position());
        let commit = Commit {
            arrival: std::mem::replace(&mut self.commit.arrival, last.approximate_arrival()),
            commits: Arc::clone(&self.commit.commits),
            number: self.commit.number,
            through,
            is_part: std::mem::replace(&mut self.commit.is_part, true),
            is_done: AtomicBool::new(false),
        };
        let ends_shard = std::mem::take(&mut self.ends_shard);
        let (behind_latest, slot) = (self.behind_latest, std::mem::take(&mut self.slot));
        Self { records, ends_shard, behind_latest, gap: None, commit, slot }
    }

    /// The stream's name, or its ARN, as it was given.
    pub fn stream(&self) -> &str {
        self.commit.stream()
    }

    /// The id of the shard that all records are from.
    pub fn shard(&self) -> &str {
        self.commit.shard()
    }

    /// The records, in sequence order. Only a shard's last batch may have none.
    pub fn records(&self) -> &Records {
        &self.records
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is no record; only a shard's last batch may be empty.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Whether this is the shard's last batch, after which the batches of its children come. Every closed
    /// shard has a last batch, sometimes without records; its commit stores that the shard is done.
    pub fn ends_shard(&self) -> bool {
        self.ends_shard
    }

    /// How far the batch is behind the newest record of the shard, to the millisecond, if the server
    /// says so. Some servers always say 0.
    pub fn behind_latest(&self) -> Option<Duration> {
        self.behind_latest
    }

    /// The gap before this batch, if the configuration chose to continue after it.
    pub fn gap(&self) -> Option<&Gap> {
        self.gap.as_ref()
    }

    /// Whether the shard is known to be this consumer's: `false` after the store has said that somebody else owns it, or a
    /// shard that it descends from ([`Notice::Lost`](crate::Notice::Lost)). The owner reads these records too, and a commit
    /// fails. It is `false` as well for as long as somebody else may own the shard and nobody knows; if nobody does, it
    /// becomes `true` again. So it is no reason to drop a batch uncommitted: [`commit`](Self::commit) says whether the
    /// shard is lost.
    ///
    /// `listen` and `spawn` hand over no such batch; a handler that takes long may check it in between.
    pub fn is_current(&self) -> bool {
        let commits = self.commits();
        !(commits.is_lost() || commits.is_drained() || commits.is_fenced())
    }

    /// The position that the batch's commit stores, unless an earlier batch of the shard is not committed.
    pub fn position(&self) -> &Position {
        &self.commit.through
    }

    /// Says that the batch is done.
    ///
    /// `Ok` means that the batch is marked. Its position is stored if all earlier batches of the shard
    /// are committed too, the ends of its parents are stored, and
    /// [`Config::store_every`](crate::Config::store_every) does not delay it: a
    /// later batch never covers an earlier one. A second commit changes nothing,
    /// and a commit works after a shutdown.
    ///
    /// # Errors
    /// [`Error::Store`] if the position could not be stored. The mark stays: the consumer retries the write
    /// while it runs, and so does the next commit of the shard. Of kind [`Lost`](crate::StoreErrorKind::Lost) if somebody
    /// else owns the shard, so that the batch is not [current](Self::is_current) any more: then nothing is retried.
    pub fn commit(&self) -> Result<(), Error> {
        self.commit.commit()
    }

    /// Says that the batch is done up to and including this record: a restart begins after it, also in the middle of
    /// an aggregated record. A later commit of an earlier record changes nothing. [`commit`](Self::commit)
    /// commits the rest, and a commit of the last record commits the whole batch.
    ///
    /// If the rest is dropped uncommitted, this record still counts as soon as all earlier batches are committed.
    ///
    /// # Errors
    /// As [`commit`](Self::commit).
    ///
    /// # Panics
    /// If the record is not of this batch.
    pub fn commit_through(&self, record: &Record<'_>) -> Result<(), Error> {
        assert!(self.records.holds(record), "the record is not of this batch");
        let position = record.position();
        // The batch may end after its last record: at the end of an aggregate, or of the shard.
        if self.records.last().is_some_and(|last| position >= last.position()) {
            return self.commit();
        }
        let commits = &self.commit.commits;
        commits.status().done_until(record.approximate_arrival());
        commits.commit(self.commit.number, Some(&position))
    }

    /// The records, and a [`Commit`] for them.
    pub fn into_parts(self) -> (Records, Commit) {
        (self.records, self.commit)
    }
}

/// The [records](Batch::records), in sequence order.
impl<'a> IntoIterator for &'a Batch {
    type Item = Record<'a>;
    type IntoIter = RecordIter<'a>;

    fn into_iter(self) -> RecordIter<'a> {
        self.records.iter()
    }
}

impl Commit {
    /// The stream's name, or its ARN, as it was given.
    pub fn stream(&self) -> &str {
        self.commits.stream()
    }

    /// The id of the batch's shard.
    pub fn shard(&self) -> &str {
        self.commits.shard()
    }

    /// Says that the batch is done; the same as [`Batch::commit`].
    ///
    /// # Errors
    /// [`Error::Store`] if the position could not be stored.
    pub fn commit(&self) -> Result<(), Error> {
        let was_done = self.is_done.swap(true, Ordering::Relaxed);
        self.commits.status().done_until(self.arrival);
        let committed = self.commits.commit(self.number, self.is_part.then_some(&self.through));
        if !was_done {
            self.commits.concludes();
        }
        committed
    }
}

/// The arrival time of the last record, if known.
fn arrival(records: &Records) -> Option<SystemTime> {
    records.last()?.approximate_arrival()
}

impl Drop for Commit {
    fn drop(&mut self) {
        // If its first part is not committed, the rest will never be committed either.
        if !*self.is_done.get_mut() {
            self.commits.dropped(self.number);
        }
    }
}

impl fmt::Debug for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Commit")
            .field("stream", &self.stream())
            .field("shard", &self.shard())
            .field("number", &self.number)
            .field("is_done", &self.is_done)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use crossbeam_channel::{never, unbounded};

    use super::*;
    use crate::delivery::commits::CommitContext;
    use crate::delivery::in_flight::Slots;
    use crate::record::builder::RecordsBuilder;
    use crate::store::Store;
    use crate::store::local::LocalStore;

    #[test]
    fn the_last_record_is_the_whole_batch_where_that_ends_beyond_it() {
        let store = Arc::new(LocalStore::new());
        let context = CommitContext::of_test(Arc::clone(&store), unbounded().0);
        let commits = Arc::new(ShardCommits::new(context, "shard", never()));
        // As of aggregates whose last user records belong to another shard.
        let batch = |numbers: [u64; 2], through: u64| {
            let mut records = RecordsBuilder::default();
            for number in numbers {
                records.push(&number.to_string().parse().unwrap(), "key", UNIX_EPOCH, b"");
            }
            let through = Position::after(through.to_string().parse().unwrap());
            let records = records.build();
            let delivery = Delivery { records, through, behind_latest: None, gap: None };
            Batch::new(&commits, delivery, Slots::new(false).take(&never()).unwrap())
        };
        let stored = || store.get_shard_iterator("orders", "shard").unwrap().unwrap();
        for (numbers, through) in [([1, 2], 3), ([4, 5], 6)] {
            let batch = batch(numbers, through);
            let [first, last] = [0, 1].map(|at| batch.records().get(at).unwrap());
            batch.commit_through(&first).unwrap();
            assert_eq!(stored(), first.position());
            batch.commit_through(&last).unwrap();
            assert_eq!(stored(), *batch.position());
            let walked: Vec<_> = (&batch).into_iter().map(|record| record.position()).collect();
            assert_eq!(walked, [first.position(), last.position()]);
        }
    }
}
