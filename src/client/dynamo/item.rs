//! Rows as DynamoDB's JSON has them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64_simd::STANDARD;
use serde::de::Error as _;
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

/// A value that was read.
#[derive(Deserialize)]
enum Raw<'a> {
    #[serde(borrow)]
    S(Cow<'a, str>),
    N(Cow<'a, str>),
    B(Bytes),
    #[serde(rename = "SS")]
    Ss(Vec<String>),
    #[serde(rename = "NS")]
    Ns(Vec<String>),
    #[serde(rename = "BS")]
    Bs(Vec<Bytes>),
    M(RawItem),
    L(Vec<RawAttribute>),
    #[serde(rename = "BOOL")]
    Bool(bool),
    #[serde(rename = "NULL")]
    Null(bool),
}

/// A row that was read.
#[derive(Deserialize)]
pub(super) struct RawItem(BTreeMap<String, RawAttribute>);

struct RawAttribute(Attribute);

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

impl From<RawItem> for Item {
    fn from(raw: RawItem) -> Self {
        raw.0.into_iter().map(|(name, value)| (name, value.0)).collect()
    }
}

impl<'de> Deserialize<'de> for RawAttribute {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let all = |bytes: Vec<Bytes>| bytes.into_iter().map(|it| it.0).collect();
        Ok(Self(match Raw::deserialize(deserializer)? {
            Raw::S(text) => Attribute::S(text.into_owned()),
            Raw::N(number) => Attribute::N(number.into_owned()),
            Raw::B(bytes) => Attribute::B(bytes.0),
            Raw::Ss(texts) => Attribute::Ss(texts.into_iter().collect()),
            Raw::Ns(numbers) => Attribute::Ns(numbers.into_iter().collect()),
            Raw::Bs(bytes) => Attribute::Bs(all(bytes)),
            Raw::M(item) => Attribute::M(item.into()),
            Raw::L(list) => Attribute::L(list.into_iter().map(|it| it.0).collect()),
            Raw::Bool(is_so) => Attribute::Bool(is_so),
            Raw::Null(true) => Attribute::Null,
            Raw::Null(false) => return Err(D::Error::custom("no value, and not none")),
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
        serde_json::from_str::<RawItem>(json).unwrap().into()
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
            assert!(serde_json::from_str::<RawItem>(json).is_err(), "{json}");
        }
    }
}
