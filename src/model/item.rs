//! A row of a table of DynamoDB: names and values, as data.

use std::collections::{BTreeMap, BTreeSet};

/// A row of a table of leases: the names of its attributes, and their values.
pub type Item = BTreeMap<String, Attribute>;

/// The attribute that is the key of a table of leases: `leaseKey`, a text.
pub const KEY: &str = "leaseKey";

/// A value, with one of DynamoDB's ten types.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the service has these types")]
pub enum Attribute {
    /// Text.
    S(String),
    /// A number, as its decimal text: up to 38 digits, more than a type of Rust holds. The text may differ and the number
    /// be the same, as of `7.5` and `75e-1`.
    N(String),
    /// Bytes.
    B(Vec<u8>),
    /// A set of texts, which the service never lets be empty.
    Ss(BTreeSet<String>),
    /// A set of numbers, as above.
    Ns(BTreeSet<String>),
    /// A set of bytes, as above.
    Bs(BTreeSet<Vec<u8>>),
    /// A map.
    M(BTreeMap<String, Attribute>),
    /// A list.
    L(Vec<Attribute>),
    /// Yes or no.
    Bool(bool),
    /// The value that says that there is none.
    Null,
}

impl Attribute {
    /// The text, if it is one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::S(text) => Some(text),
            _ => None,
        }
    }

    /// The decimal text of the number, if it is one.
    pub fn number(&self) -> Option<&str> {
        match self {
            Self::N(number) => Some(number),
            _ => None,
        }
    }

    /// The texts of the set, if it is one of texts.
    pub fn texts(&self) -> Option<&BTreeSet<String>> {
        match self {
            Self::Ss(texts) => Some(texts),
            _ => None,
        }
    }
}

impl From<&str> for Attribute {
    fn from(text: &str) -> Self {
        Self::S(text.to_owned())
    }
}

impl From<u64> for Attribute {
    fn from(number: u64) -> Self {
        Self::N(number.to_string())
    }
}

impl From<i64> for Attribute {
    fn from(number: i64) -> Self {
        Self::N(number.to_string())
    }
}
