//! Rows as DynamoDB's JSON has them.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use base64_simd::STANDARD;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::model::item::{Attribute, Item};

/// A value, to be written.
#[derive(Serialize)]
pub(super) enum Wire<'a> {
    S(&'a str),
    N(&'a str),
    B(Base64<'a>),
    #[serde(rename = "SS")]
    Ss(Vec<&'a str>),
    #[serde(rename = "NS")]
    Ns(Vec<&'a str>),
    #[serde(rename = "BS")]
    Bs(Vec<Base64<'a>>),
    M(WireItem<'a>),
    L(Vec<Wire<'a>>),
    #[serde(rename = "BOOL")]
    Bool(bool),
    #[serde(rename = "NULL")]
    Null(bool),
}

/// A row, to be written.
pub(super) type WireItem<'a> = BTreeMap<&'a str, Wire<'a>>;

/// Bytes, to be written as text.
pub(super) struct Base64<'a>(&'a [u8]);

/// A row that was read.
#[derive(Debug)]
pub(super) struct Row(pub(super) Item);

/// A value that was read.
struct Value(Attribute);

/// A value in the form of the service, whose texts are already those of the row.
#[derive(Deserialize)]
enum Read {
    S(String),
    N(String),
    B(Bytes),
    #[serde(rename = "SS")]
    Ss(BTreeSet<String>),
    #[serde(rename = "NS")]
    Ns(BTreeSet<String>),
    #[serde(rename = "BS")]
    Bs(Vec<Bytes>),
    M(Row),
    L(Vec<Value>),
    #[serde(rename = "BOOL")]
    Bool(bool),
    #[serde(rename = "NULL")]
    Null(bool),
}

struct Bytes(Vec<u8>);

/// The row as it is sent.
pub(super) fn wire(item: &Item) -> WireItem<'_> {
    item.iter().map(|(name, value)| (name.as_str(), Wire::of(value))).collect()
}

impl<'a> Wire<'a> {
    /// The value as it is sent.
    pub(super) fn of(value: &'a Attribute) -> Self {
        match value {
            Attribute::S(text) => Self::S(text),
            Attribute::N(number) => Self::N(number),
            Attribute::B(bytes) => Self::B(Base64(bytes)),
            Attribute::Ss(texts) => Self::Ss(texts.iter().map(String::as_str).collect()),
            Attribute::Ns(numbers) => Self::Ns(numbers.iter().map(String::as_str).collect()),
            Attribute::Bs(all) => Self::Bs(all.iter().map(|bytes| Base64(bytes)).collect()),
            Attribute::M(map) => Self::M(wire(map)),
            Attribute::L(list) => Self::L(list.iter().map(Self::of).collect()),
            Attribute::Bool(is_so) => Self::Bool(*is_so),
            Attribute::Null => Self::Null(true),
        }
    }
}

impl Serialize for Base64<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode_to_string(self.0))
    }
}

/// Puts each value into its row as it is read: a map of other values would be made again.
impl<'de> Deserialize<'de> for Row {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Rows)
    }
}

/// Reads a row.
struct Rows;

impl<'de> Visitor<'de> for Rows {
    type Value = Row;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a row")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Row, A::Error> {
        let mut item = Item::new();
        while let Some((name, Value(value))) = map.next_entry()? {
            item.insert(name, value);
        }
        Ok(Row(item))
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match Read::deserialize(deserializer)? {
            Read::S(text) => Attribute::S(text),
            Read::N(number) => Attribute::N(number),
            Read::B(bytes) => Attribute::B(bytes.0),
            Read::Ss(texts) => Attribute::Ss(texts),
            Read::Ns(numbers) => Attribute::Ns(numbers),
            Read::Bs(all) => Attribute::Bs(all.into_iter().map(|it| it.0).collect()),
            Read::M(row) => Attribute::M(row.0),
            Read::L(list) => Attribute::L(list.into_iter().map(|it| it.0).collect()),
            Read::Bool(is_so) => Attribute::Bool(is_so),
            Read::Null(true) => Attribute::Null,
            Read::Null(false) => return Err(D::Error::custom("no value, and not none")),
        }))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        let bytes = STANDARD.decode_to_vec(text.as_bytes());
        bytes.map(Self).map_err(|_| D::Error::custom("not base64"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Item {
        serde_json::from_str::<Row>(json).unwrap().0
    }

    #[test]
    fn every_type_is_written_and_read() {
        let json = concat!(
            r#"{"b":{"B":"AP8="},"bool":{"BOOL":false},"bs":{"BS":["AA==","AQI="]},"l":{"L":[{"N":"1"},{"NULL":true}]},"#,
            r#""m":{"M":{"deep":{"S":"text"}}},"n":{"N":"-0.5"},"ns":{"NS":["1","2"]},"null":{"NULL":true},"#,
            r#""s":{"S":"a \"quoted\" text"},"ss":{"SS":["a","b"]}}"#
        );
        let item = read(json);
        assert_eq!(item["b"], Attribute::B(vec![0, 255]));
        assert_eq!(item["s"], "a \"quoted\" text".into());
        assert_eq!(serde_json::to_string(&wire(&item)).unwrap(), json);
    }

    #[test]
    fn what_is_no_row_is_an_error() {
        for json in
            ["[]", r#"{"a":"b"}"#, r#"{"a":{"X":"b"}}"#, r#"{"a":{"B":"?"}}"#, r#"{"a":{}}"#]
        {
            assert!(serde_json::from_str::<Row>(json).is_err(), "{json}");
        }
    }
}
