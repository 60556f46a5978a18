//! The clock of the in-memory Kinesis.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::sync;

#[derive(Clone, Copy, Debug)]
pub(super) enum Clock {
    Real,
    Manual(SystemTime),
}

impl Clock {
    pub(super) fn now(self) -> SystemTime {
        match self {
            Self::Real => sync::wall(),
            Self::Manual(now) => now,
        }
    }

    pub(super) fn now_millis(self) -> i64 {
        millis(self.now())
    }

    pub(super) fn advance(&mut self, by: Duration) {
        match self {
            Self::Real => {
                panic!("the clock is the real one: make it with_manual_clock to advance it")
            }
            Self::Manual(now) => *now += by,
        }
    }
}

/// Whole milliseconds since 1970, rounded down: the precision of arrival times.
pub(super) fn millis(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
        Err(error) => {
            let before = error.duration().as_nanos().div_ceil(1_000_000);
            i64::try_from(before).map_or(i64::MIN, |millis| -millis)
        }
    }
}

/// The time at this many milliseconds since 1970.
pub(super) fn time(millis: i64) -> SystemTime {
    let distance = Duration::from_millis(millis.unsigned_abs());
    if millis < 0 { UNIX_EPOCH - distance } else { UNIX_EPOCH + distance }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_are_rounded_down_on_both_sides_of_1970() {
        for (nanos, expected) in [(1_999_999, 1), (1_000_000, 1), (0, 0)] {
            assert_eq!(millis(UNIX_EPOCH + Duration::from_nanos(nanos)), expected);
        }
        for (nanos, expected) in [(1, -1), (1_000_000, -1), (1_000_001, -2)] {
            assert_eq!(millis(UNIX_EPOCH - Duration::from_nanos(nanos)), expected);
        }
        assert_eq!([millis(time(-7)), millis(time(7))], [-7, 7]);
    }
}
