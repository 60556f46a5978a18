//! A shard of the in-memory Kinesis, with its records.

use std::collections::VecDeque;
use std::fmt;
use std::time::SystemTime;

use bytes::Bytes;

use super::clock;
use super::fault::FaultQueue;
use crate::model::sequence::SequenceNumber;
use crate::model::shard::{ChildShard, Shard};
use crate::record::Records;
use crate::record::arrival::Arrival;
use crate::record::builder::RecordsBuilder;

/// A record that [`MemoryKinesis`](super::MemoryKinesis) holds.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeldRecord {
    /// The id of its shard.
    pub shard: String,
    /// Its number.
    pub sequence: SequenceNumber,
    /// Its partition key.
    pub partition_key: String,
    /// Its data.
    pub data: Bytes,
    /// When it was put, in milliseconds.
    pub arrival: SystemTime,
}

pub(super) struct ShardState {
    /// The shard as the listing shows it.
    pub(super) shard: Shard,
    /// The counter of its starting number.
    pub(super) starting: u64,
    /// The counter of its ending number.
    pub(super) ending: Option<u64>,
    pub(super) children: Vec<ChildShard>,
    /// Whether it has aged out.
    pub(super) is_retired: bool,
    pub(super) faults: FaultQueue,
    /// Rising in counter and in arrival, for binary search.
    records: VecDeque<Stored>,
    last_arrival: i64,
}

struct Stored {
    counter: u64,
    arrival: i64,
    sequence: SequenceNumber,
    key: Box<str>,
    data: Bytes,
}

/// The result of one read of a shard.
pub(super) struct Taken {
    pub(super) records: Records,
    /// The lowest counter that is not read yet.
    pub(super) cursor: u64,
    /// When the oldest record that is not read yet arrived.
    pub(super) unread_since: Option<i64>,
}

/// Amazon's limit for the data of one answer.
const MAX_DATA: usize = 10 * 1024 * 1024;

impl ShardState {
    pub(super) fn new(shard: Shard, starting: u64) -> Self {
        Self {
            shard,
            starting,
            ending: None,
            children: Vec::new(),
            is_retired: false,
            faults: FaultQueue::default(),
            records: VecDeque::new(),
            last_arrival: i64::MIN,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.ending.is_none()
    }

    pub(super) fn close(&mut self, counter: u64, ending: SequenceNumber) {
        self.ending = Some(counter);
        self.shard = self.shard.clone().with_ending(ending);
    }

    pub(super) fn retire(&mut self) {
        self.is_retired = true;
        self.records.clear();
    }

    pub(super) fn push(
        &mut self,
        counter: u64,
        sequence: SequenceNumber,
        key: &str,
        data: &[u8],
        now: i64,
    ) {
        // A real clock may go back; arrival times must not, or they could not be searched.
        let arrival = now.max(self.last_arrival);
        self.last_arrival = arrival;
        let data = Bytes::copy_from_slice(data);
        self.records.push_back(Stored { counter, arrival, sequence, key: key.into(), data });
    }

    pub(super) fn trim(&mut self, records: usize) {
        self.records.drain(..records.min(self.records.len()));
    }

    pub(super) fn trim_older(&mut self, than: i64) {
        self.trim(self.records.partition_point(|record| record.arrival < than));
    }

    /// The counter of the first record that arrived at this time or later.
    pub(super) fn first_since(&self, arrival: i64) -> Option<u64> {
        let at = self.records.partition_point(|record| record.arrival < arrival);
        self.records.get(at).map(|record| record.counter)
    }

    /// Up to `limit` records from the cursor on. The first record is given whatever its size.
    pub(super) fn take(&self, cursor: u64, limit: usize) -> Taken {
        let from = self.records.partition_point(|record| record.counter < cursor);
        let (mut to, mut size) = (from, 0);
        for record in self.records.range(from..).take(limit) {
            if to > from && size + record.data.len() > MAX_DATA {
                break;
            }
            size += record.data.len();
            to += 1;
        }
        let mut records = RecordsBuilder::with_capacity(to - from, size);
        for record in self.records.range(from..to) {
            let arrival = Arrival::of_millis(record.arrival);
            records.push_at(&record.sequence, &record.key, arrival, &record.data);
        }
        Taken {
            records: records.build(),
            cursor: if to > from { self.records[to - 1].counter + 1 } else { cursor },
            unread_since: self.records.get(to).map(|record| record.arrival),
        }
    }

    pub(super) fn held(&self) -> impl Iterator<Item = HeldRecord> + '_ {
        self.records.iter().map(|record| HeldRecord {
            shard: self.shard.id().into(),
            sequence: record.sequence.clone(),
            partition_key: record.key.as_ref().into(),
            data: record.data.clone(),
            arrival: clock::time(record.arrival),
        })
    }
}

// `Debug` shows sizes, never data: a test may run on real data.
impl fmt::Debug for HeldRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeldRecord")
            .field("shard", &self.shard)
            .field("sequence", &self.sequence)
            .field("data_len", &self.data.len())
            .finish_non_exhaustive()
    }
}
