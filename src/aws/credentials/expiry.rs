//! When keys expire, as the sources write it.

use std::time::{Duration, SystemTime};

use crate::model::time;

/// A time of RFC 3339 in any zone, or with `UTC` at its end, as Amazon's tool has written it.
pub(crate) fn parse(text: &str) -> Option<SystemTime> {
    let text = text.trim().replacen(' ', "T", 1).to_ascii_uppercase();
    let (local, zone) = split(&text)?;
    let time = time::parse(&format!("{local}Z")).ok()?;
    match zone {
        Zone::Ahead(by) => time.checked_sub(by),
        Zone::Behind(by) => time.checked_add(by),
    }
}

/// How a clock differs from UTC.
enum Zone {
    Ahead(Duration),
    Behind(Duration),
}

fn split(text: &str) -> Option<(&str, Zone)> {
    if let Some(local) = text.strip_suffix("UTC").or_else(|| text.strip_suffix('Z')) {
        return Some((local, Zone::Ahead(Duration::ZERO)));
    }
    // A date has dashes as well.
    let at = text.rfind(['+', '-']).filter(|at| text[..*at].contains('T'))?;
    let (hours, minutes) = text[at + 1..].split_once(':')?;
    let number = |text: &str| text.parse::<u8>().ok().filter(|_| text.len() == 2).map(u64::from);
    let (hours, minutes) = (number(hours)?, number(minutes).filter(|minutes| *minutes < 60)?);
    let by = Duration::from_secs((hours * 60 + minutes) * 60);
    let zone = if text[at..].starts_with('+') { Zone::Ahead(by) } else { Zone::Behind(by) };
    Some((&text[..at], zone))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_comes_in_any_zone() {
        let wanted = time::parse("2024-05-01T08:30:00Z").ok();
        for text in [
            "2024-05-01T08:30:00Z",
            "2024-05-01t08:30:00z",
            "2024-05-01 08:30:00Z",
            "2024-05-01T08:30:00UTC",
            "2024-05-01T08:30:00+00:00",
            "2024-05-01T10:00:00+01:30",
            "2024-05-01T03:30:00-05:00",
        ] {
            assert_eq!(parse(text), wanted, "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "soon",
            "2024-05-01",
            "2024-05-01T08:30:00",
            "2024-05-01T08:30:00+1:00",
            "2024-05-01T08:30:00+01:60",
            "2024-05-01T08:30:00+ab:cd",
            "2024-13-01T08:30:00Z",
            "é-1T",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
