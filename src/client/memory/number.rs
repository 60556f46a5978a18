//! The sequence numbers of the in-memory Kinesis.

use crate::model::sequence::SequenceNumber;

/// The content of a number: its stream, its counter, its shard. Amazon's numbers encode the same three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Number {
    /// Which stream this is, counted over all that were ever created.
    pub(super) incarnation: u64,
    /// Grows with every number that the stream gives out.
    pub(super) counter: u64,
    /// The shard's index in its stream.
    pub(super) shard: usize,
}

/// The first digits of Amazon's current numbers.
const PREFIX: &str = "4959";
const DIGITS: usize = 56;

impl Number {
    /// As Kinesis writes it. The order of the text is that of (incarnation, counter).
    pub(super) fn text(self) -> SequenceNumber {
        let Self { incarnation, counter, shard } = self;
        let text = format!("{PREFIX}{incarnation:012}{counter:028}{shard:012}");
        SequenceNumber::new(&text).expect("it is 56 digits and begins with a 4")
    }

    /// The content of the number; `None` if this Kinesis never made it.
    pub(super) fn read(text: &SequenceNumber) -> Option<Self> {
        let text = text.as_str();
        if text.len() != DIGITS || !text.starts_with(PREFIX) {
            return None;
        }
        Some(Self {
            incarnation: text[4..16].parse().ok()?,
            counter: text[16..44].parse().ok()?,
            shard: text[44..].parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_back_and_have_56_digits() {
        let number = Number { incarnation: 7, counter: u64::MAX, shard: 123 };
        assert_eq!(number.text().as_str().len(), DIGITS);
        assert_eq!(Number::read(&number.text()), Some(number));
    }

    #[test]
    fn other_numbers_are_not_ours() {
        let counter_too_big = format!("4959{:012}{}{:012}", 1, "9".repeat(28), 1);
        for text in ["0", "49590", &"9".repeat(56), &"4".repeat(129), &counter_too_big] {
            assert_eq!(Number::read(&text.parse().unwrap()), None, "{text}");
        }
    }
}
