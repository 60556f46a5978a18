//! Where reading starts, and how far it has come.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use crate::model::sequence::SequenceNumber;
use crate::model::time::{self, at_epoch, since_epoch, spoken};

/// Where a shard is read from when no position is stored for it.
///
/// The names are Amazon's (`ShardIteratorType`); each holds its own argument.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a client must ask for each of Amazon's types")]
pub enum IteratorType {
    /// From this record on. Only for one chosen shard, since a number belongs to one shard.
    AtSequenceNumber(SequenceNumber),
    /// From the record after this one on. Only for one chosen shard.
    AfterSequenceNumber(SequenceNumber),
    /// From the first record that arrived at this time or later (milliseconds count).
    ///
    /// Amazon refuses a time in the future by its own clock. A time up to five minutes ahead of this machine's clock is
    /// sent all the same.
    AtTimestamp(SystemTime),
    /// From the oldest record that the stream still holds.
    TrimHorizon,
    /// From the first record that arrives after reading began.
    Latest,
}

/// How far a shard has been processed: what a [`Store`](crate::Store) remembers.
///
/// Positions of one shard are ordered: `Since` before `After` before `End`, and within each by value.
/// A position never is Amazon's shard iterator, which expires after five minutes.
///
/// Its text has two forms: [`Display`](fmt::Display) is for people, and may change; [`key`](Self::key) is for
/// databases, never changes, and is what [`FromStr`] reads and feature `serde` writes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a store must keep each, whatever form it gives them")]
pub enum Position {
    /// Nothing is done yet; reading starts with what arrived at this time or later.
    Since(SystemTime),
    /// Everything up to this record, and the record itself, is done.
    After {
        /// The record's number.
        sequence: SequenceNumber,
        /// The last user record done inside an aggregated record; `u64::MAX` means the whole record.
        sub: u64,
    },
    /// The shard is done to its end.
    End {
        /// The last number read of it, or its starting number if it held no record.
        sequence: SequenceNumber,
    },
}

/// Text that is not a [`Position::key`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a position key")]
pub struct InvalidPositionKey(String);

/// Added to seconds since 1970 so that times before 1970 sort first.
const SECONDS_BIAS: u64 = 1 << 63;

/// How far two clocks may differ: Amazon accepts no request that is older or newer.
pub(crate) const MAX_SKEW: Duration = Duration::from_secs(300);

impl IteratorType {
    /// Whether reading can start there.
    ///
    /// # Errors
    /// Why it cannot.
    pub(crate) fn check(&self, now: SystemTime) -> Result<(), String> {
        let Self::AtTimestamp(time) = self else { return Ok(()) };
        match time.duration_since(now) {
            Ok(ahead) if ahead > MAX_SKEW => Err(format!(
                "the timestamp is {} in the future: to read only records from now on, start at LATEST",
                spoken(ahead)
            )),
            _ => Ok(()),
        }
    }

    /// Whether it names a record, which belongs to one shard.
    pub(crate) fn is_of_one_shard(&self) -> bool {
        matches!(self, Self::AtSequenceNumber(_) | Self::AfterSequenceNumber(_))
    }
}

impl Position {
    /// The position after one whole record.
    pub fn after(sequence: SequenceNumber) -> Self {
        Self::After { sequence, sub: u64::MAX }
    }

    /// The sequence number, which `Since` has none of.
    pub fn sequence(&self) -> Option<&SequenceNumber> {
        match self {
            Self::Since(_) => None,
            Self::After { sequence, .. } | Self::End { sequence } => Some(sequence),
        }
    }

    /// Whether the shard is done to its end.
    pub fn is_end(&self) -> bool {
        matches!(self, Self::End { .. })
    }

    /// The position as text whose byte order is the order of positions, so that a database can
    /// compare it.
    ///
    /// `1` and the time, `2` with the number's length, number and sub-number, or `3` with the number's
    /// length and number: ASCII digits and dots, at most 155 bytes.
    /// [`FromStr`] reads it back without loss, and every later version does.
    ///
    /// ```
    /// # use kinesis_consumer::{BoxError, Position};
    /// let nine = Position::after("9".parse()?);
    /// let ten = Position::after("10".parse()?);
    /// assert!(nine.key() < ten.key());
    /// assert_eq!(ten.key().parse::<Position>()?, ten);
    /// # Ok::<(), BoxError>(())
    /// ```
    pub fn key(&self) -> String {
        match self {
            Self::Since(time) => {
                let (seconds, nanos) = since_epoch(*time);
                format!("1{:020}.{nanos:09}", seconds.wrapping_add_unsigned(SECONDS_BIAS) as u64)
            }
            Self::After { sequence, sub } => {
                format!("2{:03}.{sequence}.{sub:020}", sequence.as_str().len())
            }
            Self::End { sequence } => format!("3{:03}.{sequence}", sequence.as_str().len()),
        }
    }
}

/// Reads what [`Position::key`] wrote, and no other text: not what is shown to people.
impl FromStr for Position {
    type Err = InvalidPositionKey;

    fn from_str(key: &str) -> Result<Self, Self::Err> {
        parse(key)
            // The form is unique: text that does not come back the same was not written by `key`.
            .filter(|position| position.key() == key)
            .ok_or_else(|| InvalidPositionKey(key.chars().take(200).collect()))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Since(time) => write!(f, "from {}", time::text(*time)),
            Self::After { sequence, sub: u64::MAX } => write!(f, "after {sequence}"),
            Self::After { sequence, sub } => write!(f, "after {sequence}/{sub}"),
            Self::End { sequence } => write!(f, "end, after {sequence}"),
        }
    }
}

fn parse(key: &str) -> Option<Position> {
    let (kind, rest) = key.split_at_checked(1)?;
    match kind {
        "1" => {
            let (seconds, nanos) = rest.split_once('.')?;
            let seconds = seconds.parse::<u64>().ok()?.wrapping_sub(SECONDS_BIAS) as i64;
            Some(Position::Since(at_epoch(seconds, nanos.parse().ok()?)?))
        }
        "2" => {
            let (_, rest) = rest.split_once('.')?;
            let (sequence, sub) = rest.split_once('.')?;
            let sequence = sequence.parse().ok()?;
            Some(Position::After { sequence, sub: sub.parse().ok()? })
        }
        "3" => {
            let (_, sequence) = rest.split_once('.')?;
            Some(Position::End { sequence: sequence.parse().ok()? })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn number(text: &str) -> SequenceNumber {
        text.parse().unwrap()
    }

    /// In rising order.
    fn ladder() -> Vec<Position> {
        let long = "9".repeat(129);
        let at = |seconds: i64, nanos| {
            let whole = Duration::from_secs(seconds.unsigned_abs());
            let time = if seconds < 0 { UNIX_EPOCH - whole } else { UNIX_EPOCH + whole };
            Position::Since(time + Duration::from_nanos(nanos))
        };
        vec![
            at(i64::MIN, 0),
            at(-2, 0),
            at(-2, 999_999_999),
            at(-1, 5),
            at(0, 0),
            at(0, 1),
            at(1_700_000_000, 0),
            Position::After { sequence: number("0"), sub: 0 },
            Position::After { sequence: number("9"), sub: 0 },
            Position::After { sequence: number("9"), sub: 10 },
            Position::after(number("9")),
            Position::After { sequence: number("10"), sub: 0 },
            Position::after(number(&long)),
            Position::End { sequence: number("9") },
            Position::End { sequence: number("10") },
            Position::End { sequence: number(&long) },
        ]
    }

    #[test]
    fn a_timestamp_may_be_as_far_ahead_as_clocks_may_differ() {
        let now = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        for time in [UNIX_EPOCH - MAX_SKEW, UNIX_EPOCH, now, now + MAX_SKEW] {
            assert_eq!(IteratorType::AtTimestamp(time).check(now), Ok(()));
        }
        let late = IteratorType::AtTimestamp(now + MAX_SKEW * 2).check(now).unwrap_err();
        assert!(late.contains("10 min in the future"), "{late}");
    }

    #[test]
    fn a_position_is_shown_as_people_say_it() {
        let time = UNIX_EPOCH + Duration::from_millis(1_714_552_200_250);
        let sequence: SequenceNumber = "7".parse().unwrap();
        for (position, shown) in [
            (Position::Since(time), "from 2024-05-01T08:30:00.25Z"),
            (Position::after(sequence.clone()), "after 7"),
            (Position::After { sequence: sequence.clone(), sub: 3 }, "after 7/3"),
            (Position::End { sequence }, "end, after 7"),
        ] {
            assert_eq!(position.to_string(), shown);
        }
    }

    #[test]
    fn keys_sort_as_positions_do() {
        for pair in ladder().windows(2) {
            assert!(pair[0] < pair[1], "{pair:?}");
            assert!(pair[0].key() < pair[1].key(), "{pair:?}");
        }
    }

    #[test]
    fn keys_are_read_back_without_loss() {
        for position in ladder() {
            assert_eq!(position.key().parse(), Ok(position.clone()));
            assert!(position.key().len() <= 155);
        }
    }

    #[test]
    fn other_text_is_no_key() {
        for text in
            ["", "0", "é", "4", "1", "2", "3", "2001.9", "2002.9.00000000000000000001", "3001.09"]
        {
            assert!(text.parse::<Position>().is_err(), "{text:?}");
        }
        for position in ladder() {
            let shown = position.to_string();
            assert!(shown.parse::<Position>().is_err(), "{shown:?} is for people");
        }
    }
}
