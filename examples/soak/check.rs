//! Whether every record came, and came in order: by key, so that memory does not grow with the records.

use std::collections::BTreeMap;
use std::fmt;

use kinesis_consumer::{Position, Record, SequenceNumber};

/// The records read so far, over all lives of the consumer.
#[derive(Debug, Default)]
pub(crate) struct Check {
    /// By key: how many numbers have come, which is also the next number.
    next: BTreeMap<String, u64>,
    /// The same for the present life.
    next_in_life: BTreeMap<String, u64>,
    /// The positions in the store when the present life began.
    stored: BTreeMap<String, SequenceNumber>,
    read: u64,
    /// How many numbers were left out when a later one came.
    left_out: u64,
    repeated: u64,
    pub(crate) disordered: u64,
    pub(crate) unexplained: u64,
}

impl Check {
    /// A consumer is built over a store with these positions.
    pub(crate) fn begin(&mut self, positions: Vec<(String, Position)>) {
        self.next_in_life.clear();
        let number =
            |(shard, position): (String, Position)| Some((shard, position.sequence()?.clone()));
        self.stored = positions.into_iter().filter_map(number).collect();
    }

    /// A record of this shard; its data is its number within its key.
    pub(crate) fn take(&mut self, shard: &str, record: &Record<'_>) {
        let number = std::str::from_utf8(record.data()).ok().and_then(|text| text.parse().ok());
        let sequence = record.sequence_number().parse();
        match (number, sequence) {
            (Some(number), Ok(sequence)) => {
                self.count(shard, record.partition_key(), number, &sequence)
            }
            _ => self.disordered += 1, // it is not as it was put
        }
    }

    fn count(&mut self, shard: &str, key: &str, number: u64, sequence: &SequenceNumber) {
        self.read += 1;
        let next = self.next.entry(key.into()).or_default();
        let expected = self.next_in_life.entry(key.into()).or_insert(number.min(*next));
        if number > *expected {
            self.left_out += number - *expected;
        } else if number < *expected {
            self.disordered += 1;
        }
        *expected = number + 1;
        if number < *next {
            // It comes again: only a position that was not stored explains this.
            self.repeated += 1;
            if self.stored.get(shard) >= Some(sequence) {
                self.unexplained += 1;
            }
        }
        *next = (*next).max(number + 1);
    }

    /// How many came for the first time. A record after a later one does not count.
    pub(crate) fn distinct(&self) -> u64 {
        self.next.values().sum::<u64>().saturating_sub(self.left_out)
    }

    /// How many of this number did not come.
    pub(crate) fn lost(&self, put: u64) -> u64 {
        put.saturating_sub(self.distinct())
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} read, {} of them again", self.read, self.repeated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(number: u64) -> SequenceNumber {
        number.to_string().parse().unwrap()
    }

    fn after(check: &mut Check, numbers: &[u64]) -> (u64, u64, u64) {
        numbers.iter().for_each(|it| check.count("shard", "key", *it, &number(*it + 100)));
        (check.lost(10), check.disordered, check.unexplained)
    }

    #[test]
    fn what_is_as_it_should_be_passes() {
        let all: Vec<u64> = (0..10).collect();
        assert_eq!(after(&mut Check::default(), &all), (0, 0, 0));
    }

    #[test]
    fn a_lost_record_is_missed() {
        assert_eq!(after(&mut Check::default(), &[0, 1, 2]), (7, 0, 0));
        let with_hole = after(&mut Check::default(), &[0, 1, 2, 3, 5, 6, 7, 8, 9]);
        assert_eq!(with_hole, (1, 0, 0));
    }

    #[test]
    fn records_in_another_order_are_seen() {
        let (_, disordered, _) = after(&mut Check::default(), &[0, 2, 1, 3, 4, 5, 6, 7, 8, 9]);
        assert!(disordered > 0);
    }

    #[test]
    fn a_record_that_comes_again_must_lie_above_what_was_stored() {
        let mut check = Check::default();
        after(&mut check, &[0, 1, 2, 3]);
        check.begin(vec![("shard".into(), Position::after(number(101)))]);
        assert_eq!(after(&mut check, &[2, 3, 4]), (5, 0, 0));
        check.begin(vec![("shard".into(), Position::after(number(104)))]);
        assert_eq!(after(&mut check, &[3, 4, 5]), (4, 0, 2));
    }

    #[test]
    fn a_record_that_comes_again_in_one_life_is_out_of_order() {
        let (_, disordered, _) = after(&mut Check::default(), &[0, 1, 1, 2]);
        assert!(disordered > 0);
    }
}
