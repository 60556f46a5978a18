//! Sequence numbers: decimal text, ordered as numbers.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The number that Kinesis gives a record, unique and growing within its shard.
///
/// Decimal digits without a leading zero, 1 to 129 of them (the pattern of Amazon's API reference).
/// They are compared as numbers. A clone is cheap. Feature `serde` writes and reads the same text.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SequenceNumber(Arc<str>);

/// Text that is not a [`SequenceNumber`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a sequence number: 1 to 129 decimal digits without a leading zero")]
pub struct InvalidSequenceNumber(String);

impl SequenceNumber {
    /// The most digits that Kinesis uses.
    pub const MAX_DIGITS: usize = 129;

    /// Takes the text as Kinesis writes it.
    ///
    /// # Errors
    /// [`InvalidSequenceNumber`] unless it is 1 to 129 decimal digits without a leading zero.
    pub fn new(text: &str) -> Result<Self, InvalidSequenceNumber> {
        let fits = (1..=Self::MAX_DIGITS).contains(&text.len());
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        if fits && digits && (text == "0" || !text.starts_with('0')) {
            Ok(Self(text.into()))
        } else {
            // Long input is cut, because it comes from outside and appears in logs.
            Err(InvalidSequenceNumber(text.chars().take(140).collect()))
        }
    }

    /// The decimal text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Ord for SequenceNumber {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_length = self.0.len().cmp(&other.0.len());
        by_length.then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for SequenceNumber {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl FromStr for SequenceNumber {
    type Err = InvalidSequenceNumber;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

impl fmt::Display for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> SequenceNumber {
        text.parse().unwrap()
    }

    #[test]
    fn order_is_numeric_not_textual() {
        assert!(number("9") < number("10"));
        assert!(number("10") < number("11"));
        assert!(number("99999999999999999999") < number("100000000000000000000"));
        assert_eq!(number("42").cmp(&number("42")), Ordering::Equal);
    }

    #[test]
    fn only_plain_decimal_text_is_taken() {
        for text in ["0", "7", &"9".repeat(129)] {
            assert_eq!(number(text).as_str(), text);
        }
        for text in ["", "-1", "+1", "1 ", "0x1", "01", "LATEST", "１", &"9".repeat(130)] {
            assert!(SequenceNumber::new(text).is_err(), "{text:?}");
        }
    }
}
