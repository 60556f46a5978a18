//! Where to start: the value of `--from`.

use std::time::{Duration, SystemTime};

use chrono::DateTime;
use kinesis_consumer::IteratorType;

/// Reads a name, a time, an age or a sequence number.
pub(crate) fn parse(text: &str) -> Result<IteratorType, String> {
    // `TRIM_HORIZON` is how Amazon writes it.
    match text.to_ascii_lowercase().replace('_', "-").as_str() {
        "latest" => return Ok(IteratorType::Latest),
        "trim-horizon" => return Ok(IteratorType::TrimHorizon),
        _ => {}
    }
    if let Ok(number) = text.parse() {
        return Ok(IteratorType::AtSequenceNumber(number));
    }
    if let Some(time) = age(text).and_then(|age| SystemTime::now().checked_sub(age)) {
        return Ok(IteratorType::AtTimestamp(time));
    }
    match DateTime::parse_from_rfc3339(text) {
        Ok(time) => Ok(IteratorType::AtTimestamp(time.into())),
        Err(_) => Err("it is neither `latest` nor `trim-horizon`, a time such as \
             2024-05-01T08:30:00Z, an age such as 10m, nor a sequence number"
            .into()),
    }
}

/// A number with its unit.
fn age(text: &str) -> Option<Duration> {
    let unit = text.chars().last()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        _ => return None,
    };
    let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
    Some(Duration::from_secs(number.checked_mul(seconds)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    #[test]
    fn names_are_taken_as_amazon_writes_them_too() {
        for text in ["latest", "LATEST"] {
            assert_eq!(parse(text), Ok(IteratorType::Latest));
        }
        for text in ["trim-horizon", "TRIM_HORIZON"] {
            assert_eq!(parse(text), Ok(IteratorType::TrimHorizon));
        }
    }

    #[test]
    fn times_may_have_an_offset_and_a_fraction() {
        let time = UNIX_EPOCH + Duration::from_millis(1_714_552_200_250);
        for text in ["2024-05-01T08:30:00.25Z", "2024-05-01T10:30:00.250+02:00"] {
            assert_eq!(parse(text), Ok(IteratorType::AtTimestamp(time)));
        }
    }

    #[test]
    fn an_age_counts_back_from_now() {
        for (text, seconds) in [("90s", 90), ("10m", 600), ("2h", 7_200), ("1d", 86_400)] {
            let Ok(IteratorType::AtTimestamp(time)) = parse(text) else { panic!("{text}") };
            let age = time.elapsed().unwrap().as_secs();
            assert!((seconds..seconds + 60).contains(&age), "{text}: {age} s");
        }
    }

    #[test]
    fn digits_alone_are_a_sequence_number() {
        let number = "49590338271490256608559692538361571095921575989136588898";
        let expected = IteratorType::AtSequenceNumber(number.parse().unwrap());
        assert_eq!(parse(number), Ok(expected));
    }

    #[test]
    fn all_else_is_refused() {
        for text in ["", "m", "-1m", "10x", "99999999999999999999d", "18446744073709551615s"] {
            assert!(parse(text).is_err(), "{text:?}");
        }
        for text in ["yesterday", "2024-05-01", "2024-05-01T08:30:00", "1m30s", "٣m"] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }
}
