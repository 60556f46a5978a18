//! Times as RFC 3339 writes them, in UTC, to the nanosecond, for every possible time; and durations as people say them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

const DAY: i64 = 24 * 60 * 60;
/// The days of 400 years, after which the calendar repeats.
const ERA: i64 = 146_097;
/// The days from 0000-03-01, where an era begins, to 1970-01-01.
const EPOCH: i64 = 719_468;

/// Text that is not a time.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a time such as \"2024-05-01T08:30:00.25Z\"")]
pub(crate) struct InvalidTime(String);

pub(crate) fn text(time: SystemTime) -> String {
    let (seconds, nanos) = since_epoch(time);
    let (year, month, day) = date(seconds.div_euclid(DAY));
    let (hour, minute, second) = clock(seconds);
    let year = match year {
        0..=9999 => format!("{year:04}"),
        _ => format!("{year:+05}"),
    };
    let fraction = match nanos {
        0 => String::new(),
        _ => format!(".{nanos:09}").trim_end_matches('0').to_owned(),
    };
    format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z")
}

/// A time as signatures have it, such as `20240501T083000Z`.
pub(crate) fn compact(time: SystemTime) -> String {
    let (seconds, _) = since_epoch(time);
    let (year, month, day) = date(seconds.div_euclid(DAY));
    let (hour, minute, second) = clock(seconds);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

pub(crate) fn parse(text: &str) -> Result<SystemTime, InvalidTime> {
    // Cut, because it comes from outside and appears in an error.
    read(text).ok_or_else(|| InvalidTime(text.chars().take(60).collect()))
}

fn read(text: &str) -> Option<SystemTime> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let (rest, day) = date.rsplit_once('-')?;
    let (year, month) = rest.rsplit_once('-')?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let (hour, rest) = time.split_once(':')?;
    let (minute, second) = rest.split_once(':')?;

    let (month, day) = (two_digits(month)?, two_digits(day)?);
    let (hour, minute, second) = (two_digits(hour)?, two_digits(minute)?, two_digits(second)?);
    let days = days(self::year(year)?, month, day)?;
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds =
        i128::from(days) * i128::from(DAY) + i128::from(hour * 3600 + minute * 60 + second);
    at_epoch(i64::try_from(seconds).ok()?, nanos(fraction)?)
}

/// Four digits, or a sign and at least as many.
fn year(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let fits = if digits.len() == text.len() { 4..=4 } else { 4..=12 };
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    (fits.contains(&digits.len()) && is_number).then(|| text.parse().ok())?
}

fn two_digits(text: &str) -> Option<i64> {
    let is_number = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok())?
}

fn nanos(fraction: &str) -> Option<u32> {
    let is_number = fraction.bytes().all(|byte| byte.is_ascii_digit());
    let fits = is_number && (1..=9).contains(&fraction.len());
    fits.then(|| format!("{fraction:0<9}").parse().ok())?
}

/// Hour, minute and second of a number of seconds since 1970.
fn clock(seconds: i64) -> (i64, i64, i64) {
    let second = seconds.rem_euclid(DAY);
    (second / 3600, second / 60 % 60, second % 60)
}

/// Year, month and day of a day since 1970. Years begin in March here, so that a leap day is the last.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + EPOCH;
    let (era, day) = (days.div_euclid(ERA), days.rem_euclid(ERA));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, later) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + later, month, day)
}

/// The day since 1970 of a date, if there is such a date.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1..=12).contains(&month) {
        return None;
    }
    let (from_march, of_year) = if month > 2 { (month - 3, year) } else { (month + 9, year - 1) };
    let (era, in_era) = (of_year.div_euclid(400), of_year.rem_euclid(400));
    let in_year = (153 * from_march + 2) / 5 + day - 1;
    let days = era * ERA + in_era * 365 + in_era / 4 - in_era / 100 + in_year - EPOCH;
    // A 30th of February became a day of March.
    (date(days) == (year, month, day)).then_some(days)
}

/// A time as people say it: `205 ms`, `1.5 s`, `31 s`, `12 min`, `3 h`, `4 days`.
pub(crate) fn spoken(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0 => format!("{} ms", time.as_millis()),
        1..10 => format!("{:.1} s", time.as_secs_f64()).replace(".0 ", " "),
        10..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// Whole seconds since 1970, rounded down, and the nanoseconds above them.
pub(crate) fn since_epoch(time: SystemTime) -> (i64, u32) {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => (after.as_secs() as i64, after.subsec_nanos()),
        Err(error) => {
            let before = error.duration();
            // Wrapping, because the oldest time has no negative.
            let seconds = (before.as_secs() as i64).wrapping_neg();
            match before.subsec_nanos() {
                0 => (seconds, 0),
                nanos => (seconds - 1, 1_000_000_000 - nanos),
            }
        }
    }
}

/// The time that [`since_epoch`] took apart, if there is such a time.
pub(crate) fn at_epoch(seconds: i64, nanos: u32) -> Option<SystemTime> {
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let time = match seconds {
        0.. => UNIX_EPOCH.checked_add(whole),
        _ => UNIX_EPOCH.checked_sub(whole),
    };
    time?.checked_add(Duration::from_nanos(nanos.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64, nanos: u32) -> SystemTime {
        at_epoch(seconds, nanos).unwrap()
    }

    #[test]
    fn times_are_written_as_rfc_3339_says() {
        for (time, expected) in [
            (at(0, 0), "1970-01-01T00:00:00Z"),
            (at(-1, 999_999_999), "1969-12-31T23:59:59.999999999Z"),
            (at(951_782_400, 0), "2000-02-29T00:00:00Z"),
            (at(1_714_552_200, 250_000_000), "2024-05-01T08:30:00.25Z"),
            (at(4_107_542_399, 1), "2100-02-28T23:59:59.000000001Z"),
            (at(4_107_542_400, 0), "2100-03-01T00:00:00Z"),
            (at(253_402_300_799, 0), "9999-12-31T23:59:59Z"),
            (at(253_402_300_800, 0), "+10000-01-01T00:00:00Z"),
            (at(-62_167_219_200, 0), "0000-01-01T00:00:00Z"),
            (at(-62_167_219_201, 0), "-0001-12-31T23:59:59Z"),
        ] {
            assert_eq!(text(time), expected);
            assert_eq!(parse(expected).unwrap(), time);
        }
    }

    #[test]
    fn every_time_is_read_back() {
        let mut rng = fastrand::Rng::with_seed(7);
        let edges = [i64::MIN, i64::MIN + 1, -1, 0, i64::MAX].map(|seconds| (seconds, 999_999_999));
        let random =
            std::iter::repeat_with(|| (rng.i64(..) >> rng.u32(0..40), rng.u32(0..1_000_000_000)));
        for (seconds, nanos) in edges.into_iter().chain(random.take(20_000)) {
            let time = at(seconds, nanos);
            let text = text(time);
            assert_eq!(parse(&text).unwrap(), time, "{text}");
        }
    }

    #[test]
    fn times_are_said_as_people_say_them() {
        let millis = |millis| spoken(Duration::from_millis(millis));
        assert_eq!([0, 205, 1_000, 1_049].map(millis), ["0 ms", "205 ms", "1 s", "1 s"]);
        assert_eq!([1_500, 9_960, 31_900].map(millis), ["1.5 s", "10 s", "31 s"]);
        let seconds = |seconds| spoken(Duration::from_secs(seconds));
        assert_eq!([119, 300, 7_199].map(seconds), ["119 s", "5 min", "119 min"]);
        assert_eq!([7_200, 172_799, 259_200].map(seconds), ["2 h", "47 h", "3 days"]);
    }

    #[test]
    fn other_text_is_no_time() {
        for text in [
            "",
            "Z",
            "2024-05-01",
            "2024-05-01T08:30:00",
            "2024-05-01T08:30:00+00:00",
            "2024-05-01 08:30:00Z",
            "2024-05-01T08:30Z",
            "2024-5-01T08:30:00Z",
            "2024-05-01T08:30:00.Z",
            "2024-05-01T08:30:00.1234567890Z",
            "2024-05-01T24:00:00Z",
            "2024-05-01T23:59:60Z",
            "2023-02-29T00:00:00Z",
            "2024-00-01T00:00:00Z",
            "2024-04-31T00:00:00Z",
            "2024-04-00T00:00:00Z",
            "024-05-01T08:30:00Z",
            "+024-05-01T08:30:00Z",
            "999999999999-05-01T08:30:00Z",
            "+999999999999-05-01T08:30:00Z",
            "٢٠٢٤-05-01T08:30:00Z",
        ] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }
}
