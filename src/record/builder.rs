//! How records come into their buffers.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;

use crate::budget::Budget;
use crate::model::sequence::SequenceNumber;
use crate::record::arrival::Arrival;
use crate::record::{Buffers, Entry, Records};

/// Builds [`Records`]; for implementors of [`Client`](crate::Client).
#[derive(Default)]
pub struct RecordsBuilder {
    data: Vec<u8>,
    text: String,
    index: Vec<Entry>,
    /// The budget that gives the buffer of the data, and keeps it afterwards.
    budget: Option<Budget>,
}

/// Data whose buffer is reused.
struct Arena {
    data: Vec<u8>,
    budget: Budget,
}

impl AsRef<[u8]> for Arena {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        self.budget.keep_arena(std::mem::take(&mut self.data));
    }
}

impl RecordsBuilder {
    /// No records yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Space for this many records and bytes of data, made at once.
    pub fn with_capacity(records: usize, data: usize) -> Self {
        Self {
            data: Vec::with_capacity(data),
            text: String::new(),
            index: Vec::with_capacity(records),
            budget: None,
        }
    }

    /// Adds a record. The caller keeps them in sequence order.
    ///
    /// `arrival` is `ApproximateArrivalTimestamp`, and `None` if it is unknown. Times before 1970 count as 1970, times
    /// after the year 9999 as its end.
    ///
    /// # Panics
    /// If the data or the text of all records together exceeds 4 GiB.
    pub fn push(
        &mut self,
        sequence: &SequenceNumber,
        key: &str,
        arrival: impl Into<Option<SystemTime>>,
        data: &[u8],
    ) {
        self.push_at(sequence, key, Arrival::new(arrival.into()), data);
    }

    /// The same with a finished [`Arrival`].
    pub(crate) fn push_at(
        &mut self,
        sequence: &SequenceNumber,
        key: &str,
        arrival: Arrival,
        data: &[u8],
    ) {
        let from = self.data.len();
        self.data.extend_from_slice(data);
        self.push_index(sequence.as_str(), key, arrival, from..self.data.len());
    }

    /// The finished records.
    pub fn build(mut self) -> Records {
        // A buffer that is reused is worth more at full size.
        let spare = if self.budget.is_some() { self.data.len() } else { 0 };
        give_back(self.data.capacity(), self.data.len() + spare).then(|| self.data.shrink_to_fit());
        give_back(self.text.capacity(), self.text.len()).then(|| self.text.shrink_to_fit());
        give_back(self.index.capacity(), self.index.len()).then(|| self.index.shrink_to_fit());
        let shown = 0..self.index.len();
        let index = self.index.capacity() * size_of::<Entry>();
        let memory = self.data.capacity() + self.text.capacity() + index;
        let data = match self.budget {
            Some(budget) => Bytes::from_owner(Arena { data: self.data, budget }),
            None => self.data.into(),
        };
        let buffers =
            Buffers { data, text: self.text, index: self.index.into(), memory, is_parted: false };
        Records { buffers: Arc::new(buffers), shown }
    }

    /// Adds a record whose data is in the buffer already. The number must be a [`SequenceNumber`].
    pub(crate) fn push_index(
        &mut self,
        sequence: &str,
        key: &str,
        arrival: Arrival,
        data: Range<usize>,
    ) {
        let sequence = append(&mut self.text, sequence);
        let key = append(&mut self.text, key);
        let data = (narrow(data.start), narrow(data.end));
        self.index.push(Entry { data, key, sequence, sub: u64::MAX, arrival });
    }

    /// Takes the buffer of the data from the budget's kept buffers, and gives it back to them.
    pub(crate) fn with_budget(budget: Option<&Budget>) -> Self {
        Self { budget: budget.cloned(), ..Self::default() }
    }

    /// Makes room, before the first record, for this many records, bytes of numbers and keys, and bytes of data.
    pub(crate) fn reserve(&mut self, records: usize, text: usize, data: usize) {
        self.index.reserve_exact(records);
        self.text.reserve_exact(text);
        let kept = self.budget.as_ref().and_then(|budget| budget.take_arena(data));
        self.data = kept.unwrap_or_else(|| Vec::with_capacity(data));
    }

    /// Whether nothing was added yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// The buffer of all data.
    pub(crate) fn data_mut(&mut self) -> &mut Vec<u8> {
        &mut self.data
    }
}

impl fmt::Debug for RecordsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordsBuilder").field("len", &self.index.len()).finish_non_exhaustive()
    }
}

pub(super) fn append(text: &mut String, part: &str) -> (u32, u32) {
    let from = narrow(text.len());
    text.push_str(part);
    (from, narrow(text.len()))
}

/// Whether a buffer has so much unused space that freeing it gains more than it costs.
pub(super) fn give_back(capacity: usize, length: usize) -> bool {
    capacity > length + length / 8
}

fn narrow(offset: usize) -> u32 {
    u32::try_from(offset).expect("an answer is far below 4 GiB")
}
