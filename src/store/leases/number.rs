//! Numbers as DynamoDB keeps them: of each value one text.

/// The most digits that a number has.
const MAX_DIGITS: usize = 38;
/// The most digits before and after the point.
const MAX_WHOLE: i32 = 126;
const MAX_FRACTION: i32 = 130;

/// The plain text of a number, such as `-0.5` for `-00.50` and `100` for `1E2`; `None` if it is none, or one that the
/// service does not keep.
pub(super) fn canonical(text: &str) -> Option<String> {
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i16>().ok()?),
        None => (rest, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || !digits.bytes().all(|it| it.is_ascii_digit()) {
        return None;
    }
    // The value is the digits, moved by so many places.
    let places = i32::from(exponent) - i32::try_from(fraction.len()).ok()?;
    let leading = digits.trim_start_matches('0');
    let significant = leading.trim_end_matches('0');
    let places = places + i32::try_from(leading.len() - significant.len()).ok()?;
    if significant.is_empty() {
        return Some("0".to_owned());
    }
    Some(format!("{sign}{}", plain(significant, places)?))
}

/// A whole number that grows by another; `None` if it is not whole, or too large.
pub(super) fn sum(number: &str, more: u64) -> Option<String> {
    let number: i128 = canonical(number)?.parse().ok()?;
    canonical(&number.checked_add(more.into())?.to_string())
}

fn plain(digits: &str, places: i32) -> Option<String> {
    let whole = i32::try_from(digits.len()).ok()? + places;
    if digits.len() > MAX_DIGITS || whole > MAX_WHOLE || -places > MAX_FRACTION {
        return None;
    }
    let zeros = |count: i32| "0".repeat(count.unsigned_abs() as usize);
    Some(match places {
        0.. => format!("{digits}{}", zeros(places)),
        _ if whole <= 0 => format!("0.{}{digits}", zeros(whole)),
        _ => {
            let (whole, fraction) = digits.split_at(whole.unsigned_abs() as usize);
            format!("{whole}.{fraction}")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_has_one_text() {
        for (text, plain) in [
            ("0", "0"),
            ("-0.00", "0"),
            ("007", "7"),
            ("+7.0", "7"),
            ("100", "100"),
            ("1E2", "100"),
            ("12.345678", "12.345678"),
            ("-00.50", "-0.5"),
            ("123e-5", "0.00123"),
            (".5", "0.5"),
            ("9223372036854775807", "9223372036854775807"),
        ] {
            assert_eq!(canonical(text).as_deref(), Some(plain), "{text}");
        }
    }

    #[test]
    fn what_the_service_does_not_keep_is_no_number() {
        let long = "9".repeat(39);
        for text in ["", "-", ".", "e5", "1e", "0x1", "1 ", "NaN", "1e126", "1e-131", &long] {
            assert_eq!(canonical(text), None, "{text:?}");
        }
        assert!(canonical("1e125").is_some() && canonical("1e-130").is_some());
        assert!(canonical(&"9".repeat(38)).is_some());
    }

    #[test]
    fn whole_numbers_grow() {
        assert_eq!(sum("41.0", 1).as_deref(), Some("42"));
        assert_eq!(sum("-1", 1).as_deref(), Some("0"));
        for (number, more) in [("0.5", 1), ("x", 1)] {
            assert_eq!(sum(number, more), None, "{number}");
        }
        assert_eq!(sum(&"9".repeat(38), 1).as_deref(), Some(&*format!("1{}", "0".repeat(38))));
    }
}
