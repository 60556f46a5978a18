//! Numbers and times, as a person reads them.

use std::time::Duration;

/// With commas between thousands.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A time in its largest unit.
pub(crate) fn span(time: Option<Duration>) -> String {
    let Some(time) = time else { return "-".into() };
    let seconds = time.as_secs();
    match seconds {
        ..10 if time.subsec_millis() >= 50 => format!("{:.1} s", time.as_secs_f64()),
        0..100 => format!("{seconds} s"),
        100..6_000 => format!("{} min", seconds / 60),
        6_000..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// Whole seconds: a fraction would only flicker.
pub(crate) fn whole(time: Duration) -> Duration {
    Duration::from_secs(time.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        let counts = [0, 999, 1_000, 1_234_567].map(count);
        assert_eq!(counts, ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn spans_are_told_in_their_largest_unit() {
        let span = |millis| span(Some(Duration::from_millis(millis)));
        assert_eq!([span(0), span(40), span(9_940), span(10_500)], ["0 s", "0 s", "9.9 s", "10 s"]);
        assert_eq!([span(99_000), span(100_000), span(7_200_000)], ["99 s", "1 min", "2 h"]);
        assert_eq!(span(604_800_000), "7 d");
    }
}
