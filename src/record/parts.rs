//! Records that are parts of other records.

use std::ops::Range;
use std::sync::Arc;

use super::builder::{append, give_back};
use super::index::Index;
use super::{Buffers, Entry, Record, Records};
use crate::budget::Budget;

/// Builds records from parts of other records, whose data they share.
pub(crate) struct PartsBuilder<'a> {
    of: &'a Records,
    text: String,
    index: Vec<Entry>,
    /// The budget that gives the memory of the index, and keeps it afterwards.
    budget: Option<Budget>,
}

impl<'a> PartsBuilder<'a> {
    /// Makes room for this many records, and bytes of keys and numbers. It takes at most a quarter more.
    pub(crate) fn new(
        of: &'a Records,
        records: usize,
        text: usize,
        budget: Option<&Budget>,
    ) -> Self {
        let index = Index::room(records, budget);
        Self { of, text: String::with_capacity(text), index, budget: budget.cloned() }
    }

    /// Adds a text that several records may share. Returns its place.
    pub(crate) fn push_text(&mut self, text: &str) -> (u32, u32) {
        append(&mut self.text, text)
    }

    /// Adds a part of a record, with its number in the record. Its data is a part of the record's data.
    #[inline]
    pub(crate) fn push_part(
        &mut self,
        record: Record<'_>,
        sequence: (u32, u32),
        key: (u32, u32),
        sub: u64,
        data: Range<usize>,
    ) {
        let Entry { data: (from, _), arrival, .. } = *record.entry;
        // Both are within an answer, whose offsets fit.
        let data = (from + data.start as u32, from + data.end as u32);
        self.index.push(Entry { data, key, sequence, sub, arrival });
    }

    /// Adds a record as it is.
    pub(crate) fn push_record(&mut self, record: Record<'_>) {
        let sequence = self.push_text(record.sequence_number());
        let key = self.push_text(record.partition_key());
        self.index.push(Entry { key, sequence, ..record.entry.clone() });
    }

    pub(crate) fn build(mut self) -> Records {
        give_back(self.text.capacity(), self.text.len()).then(|| self.text.shrink_to_fit());
        // A buffer that is reused is worth more at full size.
        let spare = if self.budget.is_some() { self.index.len() } else { 0 };
        give_back(self.index.capacity(), self.index.len() + spare)
            .then(|| self.index.shrink_to_fit());
        let shown = 0..self.index.len();
        let of = &self.of.buffers;
        let shared = of.memory - of.text.capacity() - of.index.capacity() * size_of::<Entry>();
        let memory = shared + self.text.capacity() + self.index.capacity() * size_of::<Entry>();
        let data = of.data.clone();
        let index = Index::of(self.index, self.budget);
        let buffers = Buffers { data, text: self.text, index, memory, is_parted: true };
        Records { buffers: Arc::new(buffers), shown }
    }
}
