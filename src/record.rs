//! The records of one answer, in a few shared buffers.

use std::fmt;
use std::iter::FusedIterator;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use crate::budget::{Budget, Reservation};
use crate::position::Position;
use crate::sequence::SequenceNumber;

/// Records of one shard, in sequence order. A clone shares them.
///
/// They live in two buffers, one for data and one for keys and numbers, which are freed together when
/// the last clone, and the last [`Record::bytes`], is gone.
#[derive(Clone)]
pub struct Records {
    answer: Arc<Answer>,
    /// The part of the index that is shown: what was handled before is left out.
    shown: Range<usize>,
}

/// One record, borrowed from its [`Records`].
#[derive(Clone, Copy)]
pub struct Record<'a> {
    answer: &'a Answer,
    entry: &'a Entry,
}

/// Builds [`Records`]; for those who implement [`Client`](crate::Client).
#[derive(Default)]
pub struct RecordsBuilder {
    data: Vec<u8>,
    text: String,
    index: Vec<Entry>,
    /// Where the buffer of the data comes from, and goes to.
    budget: Option<Budget>,
}

struct Answer {
    data: Bytes,
    text: String,
    index: Vec<Entry>,
    /// How much all of it takes, in bytes.
    memory: usize,
}

/// Data whose buffer is used again.
struct Arena {
    data: Vec<u8>,
    budget: Budget,
}

/// Data, and the part of the budget that goes with it.
struct Held {
    data: Bytes,
    reservation: Reservation,
}

/// How much a record takes beside its data and text, in bytes.
#[cfg(feature = "kpl")]
pub(crate) const ENTRY: usize = size_of::<Entry>();

/// Where a record stands in the buffers. Offsets fit: an answer is at most 32 MiB.
#[derive(Clone)]
struct Entry {
    data: (u32, u32),
    key: (u32, u32),
    sequence: (u32, u32),
    sub: u64,
    arrival_millis: i64,
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

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Before its place is given to others, its memory may be kept there.
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
        let entry = self.answer.index[self.shown.clone()].get(at)?;
        Some(Record { answer: &self.answer, entry })
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
        RecordIter { answer: &self.answer, entries: self.answer.index[self.shown.clone()].iter() }
    }

    /// How many bytes of data they have: those of one answer stand one behind the other.
    pub(crate) fn data_len(&self) -> usize {
        let shown = &self.answer.index[self.shown.clone()];
        let ends = shown.first().zip(shown.last());
        ends.map_or(0, |(first, last)| (last.data.1 - first.data.0) as usize)
    }

    /// How much memory they take, in bytes, with those that are left out.
    pub(crate) fn memory(&self) -> usize {
        self.answer.memory
    }

    /// Holds a part of the budget, as much as the records take, until the last of them is gone.
    pub(crate) fn hold(&mut self, mut reservation: Reservation) {
        reservation.resize(self.memory());
        // Of an answer that somebody else holds too, nobody knows when it is gone.
        if let Some(answer) = Arc::get_mut(&mut self.answer).filter(|it| !it.index.is_empty()) {
            let data = std::mem::take(&mut answer.data);
            answer.data = Bytes::from_owner(Held { data, reservation });
        }
    }

    /// Whether the record is one of these.
    pub(crate) fn holds(&self, record: &Record<'_>) -> bool {
        let shown = &self.answer.index[self.shown.clone()];
        std::ptr::eq(record.answer, &*self.answer)
            && shown.as_ptr_range().contains(&std::ptr::from_ref(record.entry))
    }

    /// Splits off the records from this place on. Panics if there are not so many.
    pub(crate) fn split_off(&mut self, at: usize) -> Self {
        let middle = self.shown.start + at;
        let rest = Self { answer: Arc::clone(&self.answer), shown: middle..self.shown.end };
        assert!(middle <= self.shown.end, "{at} of {} records", self.len());
        self.shown.end = middle;
        rest
    }

    /// Leaves out everything up to and with this position.
    pub(crate) fn skip_through(&mut self, sequence: &SequenceNumber, sub: u64) {
        let done = |record: Record<'_>| {
            let (number, limit) = (record.sequence_number(), sequence.as_str());
            let order = number.len().cmp(&limit.len()).then_with(|| number.cmp(limit));
            order.then(record.sub_sequence_number().cmp(&sub)).is_le()
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
    /// `arrival` is `ApproximateArrivalTimestamp`; times before 1970 count as 1970.
    ///
    /// # Panics
    /// If the data or the text of all records together exceeds 4 GiB.
    pub fn push(&mut self, sequence: &SequenceNumber, key: &str, arrival: SystemTime, data: &[u8]) {
        let from = self.data.len();
        self.data.extend_from_slice(data);
        let since = arrival.duration_since(UNIX_EPOCH).unwrap_or_default();
        self.push_index(sequence.as_str(), key, since.as_millis() as i64, from..self.data.len());
    }

    /// The finished records.
    pub fn build(mut self) -> Records {
        // What is used again is worth more whole.
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
        let answer = Answer { data, text: self.text, index: self.index, memory };
        Records { answer: Arc::new(answer), shown }
    }

    /// Adds a record whose data is in the buffer already. The number must be a [`SequenceNumber`].
    pub(crate) fn push_index(
        &mut self,
        sequence: &str,
        key: &str,
        arrival_millis: i64,
        data: Range<usize>,
    ) {
        let sequence = append(&mut self.text, sequence);
        let key = append(&mut self.text, key);
        let data = (narrow(data.start), narrow(data.end));
        self.index.push(Entry { data, key, sequence, sub: u64::MAX, arrival_millis });
    }

    /// Takes the buffer of the data from what the budget keeps, and lets it go there.
    pub(crate) fn with_budget(budget: Option<&Budget>) -> Self {
        Self { budget: budget.cloned(), ..Self::default() }
    }

    /// Makes room, before the first record, for so many records, and bytes of numbers and keys, and of data.
    pub(crate) fn reserve(&mut self, records: usize, text: usize, data: usize) {
        self.index.reserve_exact(records);
        self.text.reserve_exact(text);
        let kept = self.budget.as_ref().and_then(|budget| budget.take_arena(data));
        self.data = kept.unwrap_or_else(|| Vec::with_capacity(data));
    }

    /// Adds a text that several records may share: its place.
    #[cfg(feature = "kpl")]
    pub(crate) fn push_text(&mut self, text: &str) -> (u32, u32) {
        append(&mut self.text, text)
    }

    /// Adds a part of an aggregated record, with its number in it.
    #[cfg(feature = "kpl")]
    pub(crate) fn push_part(
        &mut self,
        sequence: (u32, u32),
        key: (u32, u32),
        of: Record<'_>,
        sub: u64,
        data: &[u8],
    ) {
        let from = narrow(self.data.len());
        self.data.extend_from_slice(data);
        let data = (from, narrow(self.data.len()));
        let arrival_millis = of.entry.arrival_millis;
        self.index.push(Entry { data, key, sequence, sub, arrival_millis });
    }

    /// Adds a record as it is.
    #[cfg(feature = "kpl")]
    pub(crate) fn push_record(&mut self, record: Record<'_>) {
        let sequence = self.push_text(record.sequence_number());
        let key = self.push_text(record.partition_key());
        self.push_part(sequence, key, record, record.sub_sequence_number(), record.data());
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

impl<'a> Record<'a> {
    /// What the producer put.
    pub fn data(&self) -> &'a [u8] {
        &self.answer.data[self.entry.data.0 as usize..self.entry.data.1 as usize]
    }

    /// The data as shared bytes that may outlive the batch, without a copy. They keep the data of
    /// the whole answer in memory (at most 10 MiB on Amazon).
    pub fn bytes(&self) -> Bytes {
        self.answer.data.slice(self.entry.data.0 as usize..self.entry.data.1 as usize)
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

    /// When Kinesis took the record, in milliseconds, with no promise of order or precision.
    pub fn approximate_arrival(&self) -> SystemTime {
        let millis = u64::try_from(self.entry.arrival_millis).unwrap_or(0);
        UNIX_EPOCH + Duration::from_millis(millis)
    }

    /// The position after this record.
    pub fn position(&self) -> Position {
        let sequence = self.sequence_number().parse();
        let sequence = sequence.expect("numbers are checked when an answer is decoded");
        Position::After { sequence, sub: self.entry.sub }
    }

    fn text(&self, at: (u32, u32)) -> &'a str {
        &self.answer.text[at.0 as usize..at.1 as usize]
    }
}

/// The records of a [`Records`], in order.
#[derive(Clone)]
pub struct RecordIter<'a> {
    answer: &'a Answer,
    entries: std::slice::Iter<'a, Entry>,
}

impl<'a> Iterator for RecordIter<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        let entry = self.entries.next()?;
        Some(Record { answer: self.answer, entry })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.entries.size_hint()
    }
}

impl DoubleEndedIterator for RecordIter<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let entry = self.entries.next_back()?;
        Some(Record { answer: self.answer, entry })
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

// `Debug` shows how much there is, never what: data may be secret.
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

impl fmt::Debug for RecordsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordsBuilder").field("len", &self.index.len()).finish_non_exhaustive()
    }
}

fn append(text: &mut String, part: &str) -> (u32, u32) {
    let from = narrow(text.len());
    text.push_str(part);
    (from, narrow(text.len()))
}

/// Whether a buffer has so much to spare that giving it back gains more than it costs.
fn give_back(capacity: usize, length: usize) -> bool {
    capacity > length + length / 8
}

fn narrow(offset: usize) -> u32 {
    u32::try_from(offset).expect("an answer is far below 4 GiB")
}

#[cfg(test)]
mod tests {
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
        assert_eq!(last.approximate_arrival(), UNIX_EPOCH + Duration::from_millis(1_500));
        assert_eq!(last.position(), Position::after("11".parse().unwrap()));
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
