//! The arrival time of a record, if known.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970, or nothing, in eight bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arrival(i64);

impl Arrival {
    pub(crate) const UNKNOWN: Self = Self(i64::MIN);

    /// The last millisecond of the year 9999; every system's time can hold it.
    const LAST: i64 = 253_402_300_799_999;

    /// A time; a time outside of 1970 to 9999 becomes the nearest time inside.
    pub(super) fn new(time: Option<SystemTime>) -> Self {
        let Some(time) = time else { return Self::UNKNOWN };
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        // `as_millis` computes in 128 bits, which is a measurable cost for each record.
        let seconds = since.as_secs().min(Self::LAST as u64 / 1_000) as i64;
        Self((seconds * 1_000 + i64::from(since.subsec_millis())).min(Self::LAST))
    }

    /// This many milliseconds since 1970, moved as in [`new`](Self::new).
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn of_millis(millis: i64) -> Self {
        Self(millis.clamp(0, Self::LAST))
    }

    /// The service's value, in seconds since 1970. A server that does not know the time writes zero, and a time after
    /// the year 9999 is invalid.
    pub(crate) fn of_seconds(seconds: f64) -> Self {
        let millis = (seconds * 1_000.0).round();
        if millis > 0.0 && millis <= Self::LAST as f64 {
            Self(millis as i64)
        } else {
            Self::UNKNOWN
        }
    }

    pub(super) fn time(self) -> Option<SystemTime> {
        let millis = u64::try_from(self.0).ok()?;
        UNIX_EPOCH.checked_add(Duration::from_millis(millis))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(millis: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(millis)
    }

    #[test]
    fn a_time_that_cannot_be_is_unknown_and_never_1970() {
        let of = |seconds| Arrival::of_seconds(seconds).time();
        assert_eq!(of(1_700_000_000.123_5), Some(millis(1_700_000_000_124)));
        assert_eq!(of(0.0015), Some(millis(2)));
        assert_eq!(of(253_402_300_799.0), Some(millis(253_402_300_799_000)));
        for seconds in [
            0.0,
            -0.0,
            -5.5,
            1e-9,
            253_402_300_800.0,
            9e11,
            1e300,
            f64::NAN,
            f64::INFINITY,
            f64::MIN,
        ] {
            assert_eq!(of(seconds), None, "{seconds}");
        }
        assert_eq!(Arrival::UNKNOWN.time(), None);
    }

    #[test]
    fn a_time_of_a_clients_own_is_kept_within_what_every_system_holds() {
        let kept = |time| Arrival::new(Some(time)).time().unwrap();
        assert_eq!(kept(millis(1_500)), millis(1_500));
        assert_eq!(kept(UNIX_EPOCH), UNIX_EPOCH);
        assert_eq!(kept(UNIX_EPOCH - Duration::from_secs(1)), UNIX_EPOCH);
        let far = UNIX_EPOCH.checked_add(Duration::from_secs(1 << 60)).unwrap_or(UNIX_EPOCH);
        assert!(kept(far) <= millis(253_402_300_799_999));
        assert_eq!(Arrival::new(None), Arrival::UNKNOWN);
    }
}
