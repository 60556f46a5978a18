//! Numbers, positions and states for serde, each as one text.

use std::str::FromStr;

use serde::de::{Deserialize, Deserializer, Error};
use serde::ser::{Serialize, Serializer};

use crate::model::notice::ShardState;
use crate::model::position::Position;
use crate::model::sequence::SequenceNumber;

/// As its decimal text, because many readers of JSON round numbers of that length.
impl Serialize for SequenceNumber {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for SequenceNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer)
    }
}

/// As its [key](Position::key).
impl Serialize for Position {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.key())
    }
}

impl<'de> Deserialize<'de> for Position {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer)
    }
}

/// As the label `state` of the metrics, such as `waiting_for_channel`.
impl Serialize for ShardState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.label())
    }
}

fn parsed<'de, D: Deserializer<'de>, T: FromStr<Err: std::fmt::Display>>(
    deserializer: D,
) -> Result<T, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn numbers_and_positions_are_written_as_their_texts_and_read_back() {
        let long = "9".repeat(SequenceNumber::MAX_DIGITS);
        let sequence: SequenceNumber = long.parse().unwrap();
        let json = serde_json::to_string(&sequence).unwrap();
        assert_eq!(json, format!("\"{long}\""));
        assert_eq!(serde_json::from_str::<SequenceNumber>(&json).unwrap(), sequence);
        for position in [
            Position::Since(UNIX_EPOCH - Duration::from_nanos(1)),
            Position::After { sequence: sequence.clone(), sub: 3 },
            Position::End { sequence },
        ] {
            let json = serde_json::to_string(&position).unwrap();
            assert_eq!(json, format!("\"{}\"", position.key()));
            assert_eq!(serde_json::from_str::<Position>(&json).unwrap(), position);
        }
    }

    #[test]
    fn other_text_is_refused_with_the_reason() {
        for json in ["7", "\"007\"", "\"seven\"", "null"] {
            assert!(serde_json::from_str::<SequenceNumber>(json).is_err(), "{json}");
        }
        let shown = serde_json::from_str::<Position>("\"after 7\"").unwrap_err().to_string();
        assert!(shown.contains("\"after 7\" is not a position key"), "{shown}");
    }

    #[test]
    fn a_state_is_written_as_its_label() {
        let json = serde_json::to_string(&ShardState::WaitingForChannel).unwrap();
        assert_eq!(json, "\"waiting_for_channel\"");
    }
}
