//! Answers of GetRecords and GetShardIterator, read without a copy of their text.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use base64_simd::STANDARD;
use serde::Deserialize;

use crate::client::{Answer, Token};
use crate::record::RecordsBuilder;
use crate::sequence::SequenceNumber;
use crate::shard::{ChildShard, HashKeyRange};

/// An answer that makes no sense. Its text never holds a part of the answer, which may be secret.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed {
    what: Cow<'static, str>,
    is_cut: bool,
}

/// Reads what GetRecords answers.
///
/// `Records` must be there: an empty object, as a proxy may answer, must not pass for the end of a
/// shard.
pub(super) fn records(body: &[u8]) -> Result<Answer, Malformed> {
    let raw: RawAnswer<'_> = serde_json::from_slice(body)?;
    let size =
        raw.records.iter().map(|record| STANDARD.estimated_decoded_length(record.data.len()));
    let mut builder = RecordsBuilder::with_capacity(raw.records.len(), size.sum());
    for record in &raw.records {
        push(&mut builder, record)?;
    }
    let children = raw.child_shards.unwrap_or_default().into_iter().map(ChildShard::try_from);
    let behind = raw.millis_behind_latest.and_then(|millis| u64::try_from(millis).ok());
    Ok(Answer {
        records: builder.build(),
        next: raw.next_shard_iterator.filter(|token| !token.is_empty()).map(Token::new),
        behind_latest: behind.map(Duration::from_millis),
        children: children.collect::<Result<_, _>>()?,
    })
}

/// Reads what GetShardIterator answers.
pub(super) fn shard_iterator(body: &[u8]) -> Result<Token, Malformed> {
    let raw: RawIterator = serde_json::from_slice(body)?;
    if raw.shard_iterator.is_empty() {
        return Err(Malformed::new("an empty shard iterator"));
    }
    Ok(Token::new(raw.shard_iterator))
}

/// The range that two hash keys stand for.
pub(super) fn hash_keys(start: &str, end: &str) -> Result<HashKeyRange, Malformed> {
    let key = |text: &str| text.parse().map_err(|_| Malformed::new("a hash key that is no number"));
    Ok(HashKeyRange { start: key(start)?, end: key(end)? })
}

impl Malformed {
    pub(super) fn new(what: &'static str) -> Self {
        Self { what: what.into(), is_cut: false }
    }

    /// Whether the answer made sense until it ended. A gateway that cuts large bodies may set
    /// `Content-Length` accordingly, so that only this tells.
    pub(super) fn is_cut(&self) -> bool {
        self.is_cut
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl From<serde_json::Error> for Malformed {
    fn from(error: serde_json::Error) -> Self {
        use serde_json::error::Category;
        // The error's own text may quote the answer.
        let what = match error.classify() {
            Category::Eof => "JSON that ends too early",
            Category::Data => "JSON of another form",
            Category::Syntax | Category::Io => "no JSON",
        };
        let (line, column) = (error.line(), error.column());
        Self {
            what: format!("{what}, at line {line}, column {column}").into(),
            // Nothing at all was not too much.
            is_cut: error.is_eof() && (line, column) > (1, 0),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawAnswer<'a> {
    #[serde(borrow)]
    records: Vec<RawRecord<'a>>,
    next_shard_iterator: Option<String>,
    millis_behind_latest: Option<i64>,
    child_shards: Option<Vec<RawChild>>,
}

// The text is borrowed, unless it holds escapes.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawRecord<'a> {
    #[serde(borrow)]
    sequence_number: Cow<'a, str>,
    #[serde(borrow)]
    partition_key: Cow<'a, str>,
    #[serde(borrow)]
    data: Cow<'a, str>,
    /// Seconds since 1970.
    approximate_arrival_timestamp: Option<f64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawChild {
    shard_id: String,
    parent_shards: Vec<String>,
    hash_key_range: RawRange,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawRange {
    starting_hash_key: String,
    ending_hash_key: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawIterator {
    shard_iterator: String,
}

impl TryFrom<RawChild> for ChildShard {
    type Error = Malformed;

    fn try_from(raw: RawChild) -> Result<Self, Malformed> {
        let range = raw.hash_key_range;
        let hash_keys = hash_keys(&range.starting_hash_key, &range.ending_hash_key)?;
        Ok(Self { id: raw.shard_id, parents: raw.parent_shards, hash_keys })
    }
}

fn push(builder: &mut RecordsBuilder, record: &RawRecord<'_>) -> Result<(), Malformed> {
    if !is_sequence_number(&record.sequence_number) {
        return Err(Malformed::new("a record whose sequence number is none"));
    }
    let arena = builder.data_mut();
    let from = arena.len();
    let decoded = STANDARD.decode_append(record.data.as_bytes(), arena);
    decoded.map_err(|_| Malformed::new("a record whose data is no base64"))?;
    let data = from..arena.len();
    let seconds = record.approximate_arrival_timestamp.unwrap_or(0.0);
    let millis = (seconds * 1_000.0).round() as i64;
    builder.push_index(&record.sequence_number, &record.partition_key, millis, data);
    Ok(())
}

/// What [`SequenceNumber::new`] takes, without making one.
fn is_sequence_number(text: &str) -> bool {
    let fits = (1..=SequenceNumber::MAX_DIGITS).contains(&text.len());
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    fits && digits && (text == "0" || !text.starts_with('0'))
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
