//! Answers of GetRecords and GetShardIterator, read without a copy of their text.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;
use std::time::Duration;

use base64_simd::STANDARD;
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::aws::http::malformed::Malformed;
use crate::client::kinesis::lenient::{self, Number};

use crate::budget::Budget;
use crate::model::sequence::SequenceNumber;
use crate::model::shard::{ChildShard, HashKeyRange};
use crate::model::token::Token;
use crate::record::answer::Answer;
use crate::record::arrival::Arrival;
use crate::record::builder::RecordsBuilder;

/// The names, quotes and time of a record in JSON, in bytes, as Amazon writes them.
const FRAME: usize = 95;

/// Reads the answer of GetRecords.
///
/// `Records` must exist: an empty object, which a proxy may answer, must not count as the end of a
/// shard. Neither must an empty token. A field that reading does not need is unknown if it cannot be read.
pub(crate) fn records(body: &[u8], budget: Option<&Budget>) -> Result<Answer, Malformed> {
    let reason = Cell::new(None);
    let mut json = serde_json::Deserializer::from_slice(body);
    let seed = AnswerSeed { length: body.len(), budget, reason: &reason };
    let raw = seed.deserialize(&mut json).and_then(|raw| json.end().map(|()| raw));
    let raw = raw.map_err(|error| Malformed::from(error).with_reason(reason.take()))?;
    Ok(Answer {
        records: raw.records.build(),
        next: raw.next_shard_iterator,
        behind_latest: raw
            .millis_behind_latest
            .whole("MillisBehindLatest")
            .map(Duration::from_millis),
        children: raw.children,
        server_time: None,
    })
}

/// Reads the answer of GetShardIterator.
pub(crate) fn shard_iterator(body: &[u8]) -> Result<Token, Malformed> {
    let raw: RawIterator = serde_json::from_slice(body)?;
    if raw.shard_iterator.is_empty() {
        return Err(Malformed::new("an empty shard iterator"));
    }
    Ok(Token::new(raw.shard_iterator))
}

/// The range between two hash keys.
pub(crate) fn hash_keys(start: &str, end: &str) -> Result<HashKeyRange, Malformed> {
    let key =
        |text: &str| text.parse().map_err(|_| Malformed::new("a hash key that is not a number"));
    Ok(HashKeyRange { start: key(start)?, end: key(end)? })
}

struct RawAnswer {
    records: RecordsBuilder,
    next_shard_iterator: Option<Token>,
    millis_behind_latest: Number,
    children: Vec<ChildShard>,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "PascalCase")]
enum AnswerField {
    Records,
    NextShardIterator,
    MillisBehindLatest,
    ChildShards,
    #[serde(other)]
    Other,
}

/// Reads an answer, its records straight into the builder: a list of them would cost as much again.
#[derive(Clone, Copy)]
struct AnswerSeed<'b> {
    /// The size of the whole answer, in bytes.
    length: usize,
    budget: Option<&'b Budget>,
    /// Why it makes no sense: serde keeps only text, mixed with its own.
    reason: &'b Cell<Option<&'static str>>,
}

impl AnswerSeed<'_> {
    fn refuse<E: Error>(&self, reason: &'static str) -> E {
        self.reason.set(Some(reason));
        E::custom(reason)
    }
}

impl<'de> DeserializeSeed<'de> for AnswerSeed<'_> {
    type Value = RawAnswer;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<RawAnswer, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for AnswerSeed<'_> {
    type Value = RawAnswer;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an answer with records")
    }

    // long: one branch for each field.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawAnswer, A::Error> {
        let mut records = None;
        let (mut next_shard_iterator, mut millis_behind_latest, mut children) = <_>::default();
        while let Some(field) = map.next_key()? {
            match field {
                AnswerField::Records if records.is_some() => {
                    return Err(self.refuse("records twice"));
                }
                AnswerField::Records => {
                    records = Some(map.next_value_seed(RecordsSeed(self))?);
                }
                AnswerField::NextShardIterator => {
                    let text = map.next_value::<Option<Text<'_>>>()?;
                    if text.as_ref().is_some_and(|text| text.0.is_empty()) {
                        return Err(self.refuse("an empty shard iterator"));
                    }
                    next_shard_iterator = text.map(|text| Token::new(text.0));
                }
                AnswerField::MillisBehindLatest => millis_behind_latest = map.next_value()?,
                AnswerField::ChildShards => {
                    let told = lenient::children(&map.next_value()?);
                    children = told.map_err(|reason| self.refuse::<A::Error>(reason))?;
                }
                AnswerField::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        let records = records.ok_or_else(|| self.refuse("no records and no error"))?;
        Ok(RawAnswer { records, next_shard_iterator, millis_behind_latest, children })
    }
}

struct RecordsSeed<'b>(AnswerSeed<'b>);

impl<'de> DeserializeSeed<'de> for RecordsSeed<'_> {
    type Value = RecordsBuilder;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<RecordsBuilder, D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for RecordsSeed<'_> {
    type Value = RecordsBuilder;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("records")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<RecordsBuilder, A::Error> {
        let mut builder = RecordsBuilder::with_budget(self.0.budget);
        while let Some(record) = from.next_element::<RawRecord<'_>>()? {
            if builder.is_empty() {
                make_room(&mut builder, &record, self.0.length);
            }
            push(&mut builder, &record).map_err(|reason| self.0.refuse::<A::Error>(reason))?;
        }
        Ok(builder)
    }
}

// The text is borrowed, unless it holds escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

// As above.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawRecord<'a> {
    #[serde(borrow)]
    sequence_number: Cow<'a, str>,
    #[serde(borrow)]
    partition_key: Cow<'a, str>,
    #[serde(borrow)]
    data: RawData<'a>,
    /// Seconds since 1970.
    #[serde(default)]
    approximate_arrival_timestamp: Number,
}

/// A text as bytes, borrowed as above. UTF-8 is not checked, which would take a sixteenth of all time: bytes that are
/// not ASCII are not base64 either.
struct RawData<'a>(Cow<'a, [u8]>);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawIterator {
    shard_iterator: String,
}

impl<'de: 'a, 'a> Deserialize<'de> for RawData<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Bytes;

        impl<'de> Visitor<'de> for Bytes {
            type Value = RawData<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_borrowed_bytes<E>(self, bytes: &'de [u8]) -> Result<RawData<'de>, E> {
                Ok(RawData(bytes.into()))
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<RawData<'de>, E> {
                Ok(RawData(bytes.to_vec().into()))
            }
        }

        from.deserialize_bytes(Bytes)
    }
}

/// Makes room as if all records of the answer were like the first. If they are not, the buffers grow, and
/// unused room is freed at the end: too much room costs page faults.
fn make_room(builder: &mut RecordsBuilder, first: &RawRecord<'_>, length: usize) {
    let text = first.sequence_number.len() + first.partition_key.len();
    let records = length / (FRAME + text + first.data.0.len()) + 1;
    let data = STANDARD.estimated_decoded_length(first.data.0.len());
    builder.reserve(records, records * text, records * data);
}

fn push(builder: &mut RecordsBuilder, record: &RawRecord<'_>) -> Result<(), &'static str> {
    if !is_sequence_number(&record.sequence_number) {
        return Err("a record with an invalid sequence number");
    }
    let arena = builder.data_mut();
    let from = arena.len();
    let decoded = STANDARD.decode_append(&record.data.0, arena);
    decoded.map_err(|_| "a record whose data is not base64")?;
    let data = from..arena.len();
    let arrival = match record.approximate_arrival_timestamp {
        Number::Is(seconds) => Arrival::of_seconds(seconds),
        Number::Missing => Arrival::UNKNOWN,
        Number::Odd => {
            lenient::is_odd("ApproximateArrivalTimestamp");
            Arrival::UNKNOWN
        }
    };
    builder.push_index(&record.sequence_number, &record.partition_key, arrival, data);
    Ok(())
}

/// The check of [`SequenceNumber::new`], without making one.
fn is_sequence_number(text: &str) -> bool {
    let fits = (1..=SequenceNumber::MAX_DIGITS).contains(&text.len());
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    fits && digits && (text == "0" || !text.starts_with('0'))
}

#[cfg(test)]
mod tests;
