//! The optional fields of an answer: each is read if it makes sense, and is unknown otherwise.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::de::value::MapAccessDeserializer;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::client::kinesis::decode;
use crate::model::shard::{ChildShard, HashKeyRange};

/// No server means a larger number: 2 to the 53rd, up to which the numbers of JSON are whole.
const MOST: f64 = 9_007_199_254_740_992.0;

/// A number, or something else in its place.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Number {
    #[default]
    Missing,
    Odd,
    Is(f64),
}

/// Says, once in the life of the process, that a field cannot be read.
#[cold]
pub(crate) fn is_odd(field: &str) {
    static IS_SAID: AtomicBool = AtomicBool::new(false);
    if !IS_SAID.swap(true, Ordering::Relaxed) {
        log::debug!("{field} of an answer has an unknown form, and is ignored");
    }
}

/// The children of a shard; only their ids are required.
///
/// # Errors
/// If a child has no id: a reader that follows only the others would lose it.
pub(crate) fn children(from: &Value) -> Result<Vec<ChildShard>, &'static str> {
    match from {
        Value::Array(children) => children.iter().map(child).collect(),
        Value::Null => Ok(Vec::new()),
        _ => {
            is_odd("ChildShards");
            Ok(Vec::new())
        }
    }
}

fn child(from: &Value) -> Result<ChildShard, &'static str> {
    let id = from["ShardId"].as_str().filter(|id| !id.is_empty());
    let id = id.ok_or("a child shard without an id")?;
    let parents = from["ParentShards"].as_array().into_iter().flatten();
    let parents: Vec<_> = parents.filter_map(Value::as_str).map(str::to_owned).collect();
    let hash_keys = range(&from["HashKeyRange"]);
    if parents.is_empty() || hash_keys.is_none() {
        is_odd("a child in ChildShards");
    }
    Ok(ChildShard::new(id, parents, hash_keys))
}

fn range(from: &Value) -> Option<HashKeyRange> {
    let key = |name: &str| from[name].as_str();
    decode::hash_keys(key("StartingHashKey")?, key("EndingHashKey")?).ok()
}

impl Number {
    /// The value, if it is a whole number from zero on.
    pub(crate) fn whole(self, field: &str) -> Option<u64> {
        match self {
            Self::Missing => None,
            Self::Is(number) if (0.0..=MOST).contains(&number) => Some(number as u64),
            Self::Is(_) | Self::Odd => {
                is_odd(field);
                None
            }
        }
    }
}

impl<'de> Deserialize<'de> for Number {
    // long: one method for each kind of value.
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }

            fn visit_f64<E>(self, number: f64) -> Result<Number, E> {
                Ok(Number::Is(number))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Number, E> {
                Ok(Number::Is(number as f64))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Number, E> {
                Ok(Number::Is(number as f64))
            }

            fn visit_unit<E>(self) -> Result<Number, E> {
                Ok(Number::Missing)
            }

            fn visit_bool<E>(self, _: bool) -> Result<Number, E> {
                Ok(Number::Odd)
            }

            fn visit_str<E>(self, _: &str) -> Result<Number, E> {
                Ok(Number::Odd)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Number, A::Error> {
                while from.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Number::Odd)
            }

            // A number has this form if another crate has turned on `arbitrary_precision` of serde_json.
            fn visit_map<A: MapAccess<'de>>(self, from: A) -> Result<Number, A::Error> {
                let value = Value::deserialize(MapAccessDeserializer::new(from))?;
                Ok(value.as_f64().map_or(Number::Odd, Number::Is))
            }
        }

        from.deserialize_any(Any)
    }
}
