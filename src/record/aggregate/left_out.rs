//! Whether user records are left out although no shard was split or merged.

use std::time::{Duration, SystemTime};

use crate::model::shard::Shard;
use crate::record::{Record, Records};

/// This long after a split or a merge a producer may still not know of it. Amazon's library learns of it by the first
/// record that lands in another shard than it expected, and lists the shards again, at most every 30 s.
const NEAR: Duration = Duration::from_secs(10 * 60);

/// User records of one answer that were left out, because they belong to another shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LeftOut {
    pub(crate) records: u64,
    /// When the last of their aggregates arrived, if known.
    arrived: Option<SystemTime>,
}

/// Tells when user records are left out of a shard for another reason than a split or a merge: then the producer does
/// not send them again.
#[derive(Debug)]
pub(crate) struct Watch {
    /// Whether the shard came from a split or a merge. If not, no shard was before it.
    is_child: bool,
    /// Whether it was closed, at an unknown time, before reading began.
    is_closed: bool,
    /// The earliest known arrival: the shard was open then.
    first: Option<SystemTime>,
    /// All that were left out.
    records: u64,
    /// An arrival of these that is not near the shard's start.
    suspect: Option<Suspect>,
    has_told: bool,
}

/// The arrival of an aggregate with left-out user records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Suspect {
    Unknown,
    At(SystemTime),
}

impl LeftOut {
    /// Adds a number of user records of one aggregate.
    pub(super) fn add(&mut self, records: u64, aggregate: Record<'_>) {
        self.records += records;
        self.arrived = self.arrived.max(aggregate.approximate_arrival());
    }
}

impl Watch {
    pub(crate) fn new(shard: &Shard) -> Self {
        Self {
            is_child: !shard.parents().is_empty(),
            is_closed: shard.is_closed(),
            first: None,
            records: 0,
            suspect: None,
            has_told: false,
        }
    }

    /// An answer came, with these left-out user records; `is_last` if it ends the shard. Returns once only how many
    /// user records were left out so far, if no split and no merge is near.
    pub(crate) fn saw(
        &mut self,
        answer: &Records,
        left_out: LeftOut,
        is_last: bool,
    ) -> Option<u64> {
        let arrivals = answer
            .first()
            .into_iter()
            .chain(answer.last())
            .filter_map(|record| record.approximate_arrival());
        let (first, last) = (arrivals.clone().min(), arrivals.max());
        self.first = self.first.into_iter().chain(first).min();
        self.records += left_out.records;
        if left_out.records > 0 {
            let known = self.suspect.filter(|suspect| *suspect != Suspect::Unknown);
            self.suspect = known.or(self.suspects(left_out.arrived)).or(self.suspect);
        }
        let is_told =
            !self.has_told && self.suspect.is_some_and(|it| self.stays_open(it, last, is_last));
        self.has_told |= is_told;
        is_told.then_some(self.records)
    }

    /// Whether the shard had been open for long then.
    fn suspects(&self, arrived: Option<SystemTime>) -> Option<Suspect> {
        let suspect = arrived.map_or(Suspect::Unknown, Suspect::At);
        let is_old = |first: SystemTime| {
            arrived.is_some_and(|at| at.duration_since(first).is_ok_and(|age| age >= NEAR))
        };
        (!self.is_child || self.first.is_some_and(is_old)).then_some(suspect)
    }

    /// Whether the shard was open for long after it.
    fn stays_open(&self, suspect: Suspect, last: Option<SystemTime>, is_last: bool) -> bool {
        match (suspect, last) {
            // The records were probably read soon after their arrival, and the shard is still open.
            _ if !self.is_closed && !is_last => true,
            (Suspect::At(at), Some(last)) => last.duration_since(at).is_ok_and(|age| age >= NEAR),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::model::shard::HashKeyRange;
    use crate::record::builder::RecordsBuilder;

    fn root() -> Shard {
        Shard::new("shard", HashKeyRange::ALL, "1".parse().unwrap())
    }

    fn child() -> Shard {
        root().with_parents(["parent".to_owned()])
    }

    fn minute(minute: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_000_000 + minute * 60)
    }

    /// Records with these arrivals, each with this many left-out user records.
    fn answer(minutes: &[Option<u64>], left_out: u64) -> (Records, LeftOut) {
        let mut builder = RecordsBuilder::new();
        for (number, arrived) in minutes.iter().enumerate() {
            let number = (1 + number).to_string().parse().unwrap();
            builder.push(&number, "key", arrived.map(minute), b"data");
        }
        let (records, mut all) = (builder.build(), LeftOut::default());
        for record in records.iter().filter(|_| left_out > 0) {
            all.add(left_out, record);
        }
        (records, all)
    }

    /// What is reported after each answer: `(the minute of its only record, how many were left out of it)`.
    fn told(shard: &Shard, answers: &[(u64, u64)]) -> Vec<Option<u64>> {
        let mut watch = Watch::new(shard);
        let told = answers.iter().map(|(arrived, left_out)| {
            let (records, left_out) = answer(&[Some(*arrived)], *left_out);
            watch.saw(&records, left_out, false)
        });
        told.collect()
    }

    #[test]
    fn a_shard_without_parents_tells_at_once_and_only_once() {
        assert_eq!(told(&root(), &[(0, 0), (0, 31), (99, 31)]), [None, Some(31), None]);
        let mut watch = Watch::new(&root());
        let (records, left_out) = answer(&[None], 2);
        assert_eq!(watch.saw(&records, left_out, false), Some(2), "whenever it arrived");
    }

    #[test]
    fn a_child_tells_when_it_was_open_for_long_before() {
        let answers = [(5, 3), (9, 4), (14, 5), (15, 0), (15, 6), (16, 7)];
        assert_eq!(told(&child(), &answers), [None, None, None, None, Some(18), None]);
    }

    #[test]
    fn a_child_of_unknown_times_tells_nothing() {
        let mut watch = Watch::new(&child());
        let (records, left_out) = answer(&[None, None], 2);
        assert_eq!(watch.saw(&records, left_out, false), None);
    }

    #[test]
    fn a_closed_shard_tells_when_it_was_open_for_long_after() {
        let closed = root().with_ending("99".parse().unwrap());
        assert_eq!(told(&closed, &[(0, 3), (9, 4), (10, 0), (99, 5)]), [None, None, Some(7), None]);
        assert_eq!(told(&closed, &[(0, 0), (20, 1), (29, 9)]), [None; 3]);
        let closed = child().with_ending("99".parse().unwrap());
        assert_eq!(told(&closed, &[(0, 1), (9, 1), (10, 1), (20, 0)]), [None, None, None, Some(3)]);
    }

    #[test]
    fn the_last_answer_of_a_shard_tells_only_of_what_is_long_before_its_end() {
        for (minutes, wanted) in [(&[Some(0)][..], None), (&[Some(0), Some(10)], None)] {
            let (records, left_out) = answer(minutes, 1);
            assert_eq!(Watch::new(&root()).saw(&records, left_out, true), wanted);
        }
        let mut watch = Watch::new(&root());
        let (records, left_out) = answer(&[Some(0)], 1);
        assert_eq!(watch.saw(&records, left_out, true), None);
        let (records, none) = answer(&[Some(10)], 0);
        assert_eq!(watch.saw(&records, none, true), Some(1));
    }
}
