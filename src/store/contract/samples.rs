//! Positions and names that a poor store confuses.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::model::position::Position;
use crate::model::sequence::SequenceNumber;

/// Positions of all forms, rising.
pub(super) fn ladder() -> Vec<Position> {
    let long: SequenceNumber = "9".repeat(SequenceNumber::MAX_DIGITS).parse().expect("digits");
    let part = |number: u64, sub| Position::After { sequence: sequence(number), sub };
    vec![
        from(-86_400, 0),
        from(-1, 999_999_999),
        from(0, 0),
        from(1_700_000_000, 123_456_788),
        from(1_700_000_000, 123_456_789),
        part(0, 0),
        part(9, 0),
        part(9, u64::MAX - 1),
        after(9),
        part(10, 3),
        Position::after(long.clone()),
        end(9),
        end(10),
        Position::End { sequence: long },
    ]
}

/// The position of this height: a line that rises through all forms.
pub(super) fn rung(height: u64) -> Position {
    match height {
        0..40 => from(0, height as u32),
        40..220 => Position::After { sequence: sequence(height / 3), sub: height % 3 },
        _ => end(height),
    }
}

pub(super) fn from(seconds: i64, nanos: u32) -> Position {
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let time: SystemTime = if seconds < 0 { UNIX_EPOCH - whole } else { UNIX_EPOCH + whole };
    Position::Since(time + Duration::from_nanos(nanos.into()))
}

pub(super) fn after(number: u64) -> Position {
    Position::after(sequence(number))
}

pub(super) fn end(number: u64) -> Position {
    Position::End { sequence: sequence(number) }
}

fn sequence(number: u64) -> SequenceNumber {
    number.to_string().parse().expect("a number in decimal is a sequence number")
}

/// Pairs that differ, but look equal if a store joins, cuts or folds them, or uses them as a pattern.
pub(super) fn look_alikes() -> Vec<(String, String)> {
    let mut keys = vec![("ab".to_owned(), "c".to_owned()), ("a".to_owned(), "bc".to_owned())];
    for separator in ["-", "/", ":", "|", ",", ".", " ", "#", "\\", "\"", "'", "\0", "\n", "\u{1f}"]
    {
        keys.push(("a".into(), format!("b{separator}c")));
        keys.push((format!("a{separator}b"), "c".into()));
    }
    for stream in
        ["a", "A", "a ", " a", "a\0", "a%", "a_", "a*", "..", "%61", "ü", "u\u{308}", "鱼"]
    {
        keys.push((stream.into(), "shard".into()));
        keys.push(("stream".into(), stream.into()));
    }
    let long = "x".repeat(999);
    for last in ["1", "2"] {
        keys.push((format!("{long}{last}"), "shard".into()));
        keys.push(("stream".into(), format!("{long}{last}")));
    }
    keys
}
