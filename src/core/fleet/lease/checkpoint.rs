//! How far a shard is done, as a row says it and as a store says it.

use std::cmp::Ordering;
use std::time::SystemTime;

use crate::core::fleet::lease::names;
use crate::model::position::Position;
use crate::model::sequence::SequenceNumber;
use crate::model::time::{at_epoch, since_epoch};

/// The part of a row that says how far its shard is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    /// The word or the number.
    pub(crate) at: At,
    /// The last user record that is done in the record of that number, as it stands in the row; old rows have none.
    pub(crate) sub: Option<u64>,
    /// Ours: from which time it is read, if no record is done.
    pub(crate) from: Option<SystemTime>,
    /// Ours: the last number of a shard that is done to its end.
    pub(crate) end: Option<SequenceNumber>,
}

/// The text of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum At {
    /// Before the oldest record.
    TrimHorizon,
    /// Before the next record.
    Latest,
    /// At a time.
    Timestamp,
    /// After, or in the middle of, the record of this number.
    Number(SequenceNumber),
    /// Done to its end.
    ShardEnd,
}

/// Where a shard is read from, by its row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// Resume there.
    Stored(Position),
    /// At the oldest record.
    TrimHorizon,
    /// Where the consumer is configured to start: the row leaves it to that.
    Configured,
}

/// A shard is done to its end, and neither its row nor the stream's listing has a number of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the shard is done to its end, and no number of it is known")]
pub(crate) struct NumberUnknown;

/// The last user record of any aggregate. More does not fit into a `long` of Java, where it makes the row unreadable.
pub(crate) const WHOLE: u64 = i64::MAX as u64;

impl Checkpoint {
    /// A shard that is read from its oldest record.
    pub(crate) fn trim_horizon() -> Self {
        Self { at: At::TrimHorizon, sub: Some(0), from: None, end: None }
    }

    /// A shard that is read from this time on. It says "latest" unless the row says "at timestamp" already: that needs a
    /// setting of KCL, where "latest" needs none.
    pub(crate) fn since(time: SystemTime, before: &At) -> Self {
        let at = if *before == At::Timestamp { At::Timestamp } else { At::Latest };
        // As the row will have it, so that the two can be compared.
        let from = at_millis(millis(time));
        Self { at, sub: Some(0), from, end: None }
    }

    /// A shard that is done to its end, after this number.
    pub(crate) fn ended(last: &SequenceNumber) -> Self {
        Self { at: At::ShardEnd, sub: Some(0), from: None, end: Some(last.clone()) }
    }

    /// What a row says of this position, after what it has said before.
    pub(crate) fn of(position: &Position, before: &Self) -> Self {
        let (sequence, sub) = match position {
            Position::Since(time) => return Self::since(*time, &before.at),
            Position::End { sequence } => return Self::ended(sequence),
            // No aggregate has more user records than that, so that nothing is covered which is not done.
            Position::After { sequence, sub } => (sequence, (*sub).min(WHOLE)),
        };
        Self { at: At::Number(sequence.clone()), sub: Some(sub), from: None, end: None }
    }

    /// Where the shard is read from. `starting` is the shard's first number in the stream's listing, which stands for
    /// the last one where the row has none.
    ///
    /// # Errors
    /// [`NumberUnknown`] if the shard is done to its end, and there is no number at all.
    pub(crate) fn start(&self, starting: Option<&SequenceNumber>) -> Result<Start, NumberUnknown> {
        Ok(match &self.at {
            // A child of a shard that was read from this time on.
            At::TrimHorizon => {
                self.from.map_or(Start::TrimHorizon, |from| Start::Stored(Position::Since(from)))
            }
            At::Latest | At::Timestamp => {
                self.from.map_or(Start::Configured, |from| Start::Stored(Position::Since(from)))
            }
            At::Number(sequence) => {
                let sub = self.sub.unwrap_or(0);
                let sub = if sub >= WHOLE { u64::MAX } else { sub };
                Start::Stored(Position::After { sequence: sequence.clone(), sub })
            }
            At::ShardEnd => {
                let sequence = self.end.as_ref().or(starting).ok_or(NumberUnknown)?.clone();
                Start::Stored(Position::End { sequence })
            }
        })
    }

    /// Whether the shard is done to its end.
    pub(crate) fn is_end(&self) -> bool {
        self.at == At::ShardEnd
    }

    /// Whether it covers as much as another one, less, or more.
    pub(crate) fn reach(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank())
    }

    fn rank(&self) -> (u8, Option<SystemTime>, Option<&SequenceNumber>, u64) {
        match &self.at {
            At::TrimHorizon => (0, None, None, 0),
            At::Latest | At::Timestamp => (1, self.from, None, 0),
            At::Number(sequence) => (2, None, Some(sequence), self.sub.unwrap_or(0)),
            At::ShardEnd => (3, None, None, 0),
        }
    }
}

impl At {
    /// Reads what a row has; `None` if it is neither a word of KCL nor a number.
    pub(crate) fn read(text: &str) -> Option<Self> {
        Some(match text {
            names::TRIM_HORIZON => Self::TrimHorizon,
            names::LATEST => Self::Latest,
            names::AT_TIMESTAMP => Self::Timestamp,
            names::SHARD_END => Self::ShardEnd,
            number => Self::Number(number.parse().ok()?),
        })
    }

    /// What a row has.
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::TrimHorizon => names::TRIM_HORIZON,
            Self::Latest => names::LATEST,
            Self::Timestamp => names::AT_TIMESTAMP,
            Self::ShardEnd => names::SHARD_END,
            Self::Number(sequence) => sequence.as_str(),
        }
    }
}

/// Whole milliseconds since 1970, of a time that is not later: what comes again is not lost.
pub(crate) fn millis(time: SystemTime) -> i64 {
    let (seconds, nanos) = since_epoch(time);
    seconds.saturating_mul(1000).saturating_add(i64::from(nanos / 1_000_000))
}

/// The time of a number of milliseconds since 1970, or before it if the number is negative; `None` if the system cannot hold
/// that time.
pub(crate) fn at_millis(millis: i64) -> Option<SystemTime> {
    at_epoch(millis.div_euclid(1000), millis.rem_euclid(1000) as u32 * 1_000_000)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn number(text: &str) -> SequenceNumber {
        text.parse().unwrap()
    }

    fn at(text: &str, sub: u64) -> Checkpoint {
        Checkpoint { at: At::read(text).unwrap(), sub: Some(sub), from: None, end: None }
    }

    fn time(millis: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(millis)
    }

    fn since(text: &str, millis: u64) -> Checkpoint {
        Checkpoint { from: Some(time(millis)), ..at(text, 0) }
    }

    fn part(sub: u64) -> Position {
        Position::After { sequence: number("7"), sub }
    }

    #[test]
    fn a_position_becomes_what_kcl_reads_and_comes_back() {
        let start = Checkpoint::trim_horizon();
        let end = Checkpoint { end: Some(number("9")), ..at("SHARD_END", 0) };
        let back = |position: &Position| Start::Stored(position.clone());
        for (position, before, row, read) in [
            (part(0), &start, at("7", 0), back(&part(0))),
            (part(u64::MAX), &start, at("7", WHOLE), back(&part(u64::MAX))),
            (part(3), &start, at("7", 3), back(&part(3))),
            (part(u64::MAX - 1), &start, at("7", WHOLE), back(&part(u64::MAX))),
            (Position::End { sequence: number("9") }, &at("7", 0), end, {
                back(&Position::End { sequence: number("9") })
            }),
            (Position::Since(time(5)), &start, since("LATEST", 5), {
                back(&Position::Since(time(5)))
            }),
            (Position::Since(time(5)), &at("AT_TIMESTAMP", 0), since("AT_TIMESTAMP", 5), {
                back(&Position::Since(time(5)))
            }),
        ] {
            let found = Checkpoint::of(&position, before);
            assert_eq!(found, row, "{position:?}");
            assert_eq!(found.start(None), Ok(read), "{position:?}");
        }
    }

    #[test]
    fn a_row_says_where_its_shard_is_read_from() {
        let stored = |position| Ok(Start::Stored(position));
        let ended = |text| stored(Position::End { sequence: number(text) });
        let named = Checkpoint { end: Some(number("9")), ..at("SHARD_END", 0) };
        for (row, starting, start) in [
            (at("TRIM_HORIZON", 0), None, Ok(Start::TrimHorizon)),
            (at("LATEST", 0), None, Ok(Start::Configured)),
            (at("AT_TIMESTAMP", 0), None, Ok(Start::Configured)),
            (since("LATEST", 5), None, stored(Position::Since(time(5)))),
            (since("TRIM_HORIZON", 5), None, stored(Position::Since(time(5)))),
            (Checkpoint { sub: None, ..at("7", 0) }, None, stored(part(0))),
            (at("7", 2), None, stored(part(2))),
            (at("7", WHOLE), None, stored(part(u64::MAX))),
            (named.clone(), None, ended("9")),
            (named, Some("1"), ended("9")),
            (at("SHARD_END", 0), Some("1"), ended("1")),
            (at("SHARD_END", 0), None, Err(NumberUnknown)),
        ] {
            let starting = starting.map(number);
            assert_eq!(row.start(starting.as_ref()), start, "{row:?}");
        }
    }

    #[test]
    fn a_later_checkpoint_reaches_further() {
        let ladder = [
            at("TRIM_HORIZON", 0),
            at("LATEST", 0),
            since("AT_TIMESTAMP", 5),
            since("LATEST", 6),
            at("9", 0),
            at("9", 4),
            at("10", 0),
            at("10", WHOLE),
            at("SHARD_END", 0),
        ];
        for (i, low) in ladder.iter().enumerate() {
            for (j, high) in ladder.iter().enumerate() {
                assert_eq!(low.reach(high), i.cmp(&j), "{low:?} {high:?}");
            }
        }
        let old = Checkpoint { sub: None, ..at("9", 0) };
        assert_eq!(old.reach(&at("9", 0)), Ordering::Equal);
        let named = Checkpoint { end: Some(number("9")), ..at("SHARD_END", 0) };
        assert_eq!(named.reach(&at("SHARD_END", 0)), Ordering::Equal);
    }

    #[test]
    fn a_time_is_kept_to_the_millisecond_and_is_never_later() {
        for (nanos, kept) in [(5_999_999, 5), (6_000_000, 6), (6_000_001, 6)] {
            let exact = UNIX_EPOCH + Duration::from_nanos(nanos);
            assert_eq!(Checkpoint::since(exact, &At::Latest), since("LATEST", kept));
        }
        let before_1970 = UNIX_EPOCH - Duration::from_micros(1_500);
        assert_eq!(millis(before_1970), -2);
        assert_eq!(at_millis(-2), Some(UNIX_EPOCH - Duration::from_millis(2)));
    }

    #[test]
    fn what_is_neither_a_word_nor_a_number_is_no_checkpoint() {
        for text in ["", "latest", "-1", "007", "SHARD_END ", &"9".repeat(130)] {
            assert_eq!(At::read(text), None, "{text:?}");
        }
        for text in ["TRIM_HORIZON", "LATEST", "AT_TIMESTAMP", "SHARD_END", "0", "42"] {
            assert_eq!(At::read(text).unwrap().text(), text);
        }
    }
}
