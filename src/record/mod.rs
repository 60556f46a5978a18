//! The records of one answer, in a few shared buffers.

#[cfg(feature = "kpl")]
pub(crate) mod aggregate;
pub(crate) mod answer;
pub(crate) mod arrival;
pub(crate) mod builder;
mod index;
#[cfg(feature = "kpl")]
pub(crate) mod parts;

use std::cmp::Ordering;
use std::fmt;
use std::iter::FusedIterator;
use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;

use crate::budget::Reservation;
use crate::model::position::Position;
use crate::model::sequence::SequenceNumber;
use crate::record::arrival::Arrival;
use crate::record::builder::RecordsBuilder;

use self::index::Index;

/// Records of one shard, in sequence order. A clone shares them.
///
/// They use two buffers, one for data and one for keys and numbers. Both are freed when
/// the last clone and the last [`Record::bytes`] are dropped.
#[derive(Clone)]
pub struct Records {
    buffers: Arc<Buffers>,
    /// The visible part of the index, without the records that were handled before.
    shown: Range<usize>,
}

/// One record, borrowed from its [`Records`].
#[derive(Clone, Copy)]
pub struct Record<'a> {
    buffers: &'a Buffers,
    entry: &'a Entry,
}

struct Buffers {
    text: String,
    index: Index,
    /// The size of all of it, in bytes.
    memory: usize,
    /// Whether there are other bytes between the data of two records, as in an aggregate.
    is_parted: bool,
    /// Dropped last: it gives back the part of the budget for all of it.
    data: Bytes,
}

/// Data, and its part of the budget.
struct Held {
    data: Bytes,
    reservation: Reservation,
}

/// The bytes that a record takes besides its data and text.
#[cfg(feature = "kpl")]
pub(crate) const ENTRY: usize = size_of::<Entry>();

/// The first bytes of an aggregate.
pub(crate) const MAGIC: [u8; 4] = [0xf3, 0x89, 0x9a, 0xc2];

/// Whether the data begins as an aggregate does.
pub(crate) fn is_marked(data: &[u8]) -> bool {
    data.starts_with(&MAGIC)
}

/// The place of a record in the buffers. Offsets fit: an answer is at most 32 MiB.
#[derive(Clone)]
struct Entry {
    data: (u32, u32),
    key: (u32, u32),
    sequence: (u32, u32),
    sub: u64,
    arrival: Arrival,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Its part of the budget is unused before it is given back, so that its memory may be kept in that place.
        self.reservation.fill(0);
    }
}

impl Records {
    /// No records.
    pub fn empty() -> Self {
        RecordsBuilder::default().build()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.shown.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.shown.is_empty()
    }

    /// The record at this place, counted from 0.
    pub fn get(&self, at: usize) -> Option<Record<'_>> {
        let entry = self.buffers.index[self.shown.clone()].get(at)?;
        Some(Record { buffers: &self.buffers, entry })
    }

    /// The first record.
    pub fn first(&self) -> Option<Record<'_>> {
        self.get(0)
    }

    /// The last record.
    pub fn last(&self) -> Option<Record<'_>> {
        self.get(self.len().checked_sub(1)?)
    }

    /// All records, in sequence order.
    pub fn iter(&self) -> RecordIter<'_> {
        RecordIter {
            buffers: &self.buffers,
            entries: self.buffers.index[self.shown.clone()].iter(),
        }
    }

    /// How many bytes of data they have.
    pub(crate) fn data_len(&self) -> usize {
        let shown = &self.buffers.index[self.shown.clone()];
        match (shown.first(), shown.last()) {
            (Some(first), Some(last)) if !self.buffers.is_parted => {
                (last.data.1 - first.data.0) as usize
            }
            _ => shown.iter().map(|entry| (entry.data.1 - entry.data.0) as usize).sum(),
        }
    }

    /// How much memory they take, in bytes, including the records that are left out.
    pub(crate) fn memory(&self) -> usize {
        self.buffers.memory
    }

    /// Holds a part of the budget, as much as the records take, until the last of them is dropped.
    pub(crate) fn hold(&mut self, mut reservation: Reservation) {
        reservation.resize(self.memory());
        // If others hold the answer too, the time of its last drop is unknown.
        if let Some(answer) = Arc::get_mut(&mut self.buffers).filter(|it| !it.index.is_empty()) {
            let data = std::mem::take(&mut answer.data);
            answer.data = Bytes::from_owner(Held { data, reservation });
        }
    }

    /// Whether the record is one of these.
    pub(crate) fn holds(&self, record: &Record<'_>) -> bool {
        let shown = &self.buffers.index[self.shown.clone()];
        std::ptr::eq(record.buffers, &*self.buffers)
            && shown.as_ptr_range().contains(&std::ptr::from_ref(record.entry))
    }

    /// Splits off the records from this place on. Panics if there are fewer.
    pub(crate) fn split_off(&mut self, at: usize) -> Self {
        let middle = self.shown.start + at;
        let rest = Self { buffers: Arc::clone(&self.buffers), shown: middle..self.shown.end };
        assert!(middle <= self.shown.end, "{at} of {} records", self.len());
        self.shown.end = middle;
        rest
    }

    /// Leaves out everything up to and including this position. A record without parts is done whatever the
    /// sub-number: KCL's is 0 for it. An aggregate that comes as it is may have been taken apart when it was read before.
    pub(crate) fn skip_through(&mut self, sequence: &SequenceNumber, sub: u64) {
        let done = |record: Record<'_>| {
            let (number, limit) = (record.sequence_number(), sequence.as_str());
            let is_whole = record.sub_sequence_number() == u64::MAX && !is_marked(record.data());
            let part =
                if is_whole { Ordering::Equal } else { record.sub_sequence_number().cmp(&sub) };
            let order = number.len().cmp(&limit.len()).then_with(|| number.cmp(limit));
            order.then(part).is_le()
        };
        let skipped = self.iter().take_while(|record| done(*record)).count();
        self.shown.start += skipped;
    }
}

/// [`Records::empty`].
impl Default for Records {
    fn default() -> Self {
        Self::empty()
    }
}

impl<'a> Record<'a> {
    /// What the producer put.
    pub fn data(&self) -> &'a [u8] {
        &self.buffers.data[self.entry.data.0 as usize..self.entry.data.1 as usize]
    }

    /// The data as shared bytes that may outlive the batch, without a copy. They keep the data of
    /// the whole answer in memory (at most 10 MiB on Amazon).
    pub fn bytes(&self) -> Bytes {
        self.buffers.data.slice(self.entry.data.0 as usize..self.entry.data.1 as usize)
    }

    /// The partition key that the producer gave.
    pub fn partition_key(&self) -> &'a str {
        self.text(self.entry.key)
    }

    /// The record's number in its shard, as Kinesis writes it.
    pub fn sequence_number(&self) -> &'a str {
        self.text(self.entry.sequence)
    }

    /// The number inside an aggregated record; `u64::MAX` for a record that is not aggregated.
    pub fn sub_sequence_number(&self) -> u64 {
        self.entry.sub
    }

    /// When Kinesis took the record, in milliseconds, with no promise of order or precision. `None` if the answer has
    /// no time, or no possible one; Amazon always sends it.
    pub fn approximate_arrival(&self) -> Option<SystemTime> {
        self.entry.arrival.time()
    }

    /// The position after this record.
    pub fn position(&self) -> Position {
        let sequence = self.sequence_number().parse();
        let sequence = sequence.expect("numbers are checked when an answer is decoded");
        Position::After { sequence, sub: self.entry.sub }
    }

    fn text(&self, at: (u32, u32)) -> &'a str {
        &self.buffers.text[at.0 as usize..at.1 as usize]
    }
}

/// The records of a [`Records`], in order.
#[derive(Clone)]
pub struct RecordIter<'a> {
    buffers: &'a Buffers,
    entries: std::slice::Iter<'a, Entry>,
}

impl<'a> Iterator for RecordIter<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        let entry = self.entries.next()?;
        Some(Record { buffers: self.buffers, entry })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.entries.size_hint()
    }
}

impl DoubleEndedIterator for RecordIter<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let entry = self.entries.next_back()?;
        Some(Record { buffers: self.buffers, entry })
    }
}

impl ExactSizeIterator for RecordIter<'_> {}

impl FusedIterator for RecordIter<'_> {}

impl<'a> IntoIterator for &'a Records {
    type Item = Record<'a>;
    type IntoIter = RecordIter<'a>;

    fn into_iter(self) -> RecordIter<'a> {
        self.iter()
    }
}

// `Debug` shows sizes, never data: data may be secret.
impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Records").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Record<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("sequence_number", &self.sequence_number())
            .field("data_len", &self.data().len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for RecordIter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordIter").field("len", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn records(numbers: &[&str]) -> Records {
        let mut builder = RecordsBuilder::default();
        for number in numbers {
            let at = UNIX_EPOCH + Duration::from_millis(1_500);
            builder.push(&number.parse().unwrap(), "key", at, number.as_bytes());
        }
        builder.build()
    }

    #[test]
    fn what_was_pushed_is_read_back_in_order() {
        let records = records(&["9", "10", "11"]);
        let numbers: Vec<_> = records.iter().map(|record| record.sequence_number()).collect();
        assert_eq!(numbers, ["9", "10", "11"]);
        let last = records.last().unwrap();
        assert_eq!((last.data(), last.partition_key()), (&b"11"[..], "key"));
        assert_eq!(last.bytes(), &b"11"[..]);
        assert_eq!(last.approximate_arrival(), Some(UNIX_EPOCH + Duration::from_millis(1_500)));
        assert_eq!(last.position(), Position::after("11".parse().unwrap()));
    }

    #[test]
    fn a_record_that_arrived_nobody_knows_when_says_so() {
        let mut builder = RecordsBuilder::new();
        builder.push(&"1".parse().unwrap(), "key", None, b"");
        assert_eq!(builder.build().first().unwrap().approximate_arrival(), None);
    }

    #[test]
    fn records_up_to_a_position_are_skipped_by_number_not_by_text() {
        let mut records = records(&["9", "10", "11"]);
        records.skip_through(&"10".parse().unwrap(), u64::MAX);
        assert_eq!(records.len(), 1);
        assert_eq!(records.first().unwrap().sequence_number(), "11");
        records.skip_through(&"99".parse().unwrap(), 0);
        assert!(records.is_empty() && records.last().is_none());
    }

    #[test]
    fn a_record_without_parts_is_done_whatever_the_part_and_an_aggregate_is_not() {
        let mut builder = RecordsBuilder::default();
        builder.push(&"7".parse().unwrap(), "key", None, b"plain");
        let mut plain = builder.build();
        plain.skip_through(&"7".parse().unwrap(), 0);
        assert!(plain.is_empty(), "KCL stores 0 for it");

        let mut builder = RecordsBuilder::default();
        builder.push(&"7".parse().unwrap(), "key", None, &[&MAGIC[..], b"users"].concat());
        let mut aggregate = builder.build();
        aggregate.skip_through(&"7".parse().unwrap(), 3);
        assert_eq!(aggregate.len(), 1, "only the first four of its user records are done");
        aggregate.skip_through(&"7".parse().unwrap(), u64::MAX);
        assert!(aggregate.is_empty());
    }

    #[test]
    fn halves_follow_each_other() {
        let mut first = records(&["9", "10", "11", "12"]);
        first.skip_through(&"9".parse().unwrap(), u64::MAX);
        let rest = first.split_off(1);
        let numbers =
            |it: &Records| it.iter().map(|it| it.sequence_number().to_owned()).collect::<Vec<_>>();
        assert_eq!(
            (numbers(&first), numbers(&rest)),
            (vec!["10".into()], vec!["11".into(), "12".into()])
        );
    }

    #[test]
    fn debug_shows_no_data() {
        let records = records(&["123456789"]);
        let shown = format!("{:?} {:?}", records, records.first().unwrap());
        assert!(!shown.contains("key") && shown.contains("data_len: 9"), "{shown}");
    }
}
