//! Answers of ListShards and DescribeStreamSummary.

use std::borrow::Cow;

use serde::Deserialize;

use crate::aws::http::malformed::Malformed;
use crate::client::kinesis::decode::hash_keys;
use crate::model::listed::ShardPage;
use crate::model::sequence::SequenceNumber;
use crate::model::shard::Shard;

/// Reads the answer of ListShards.
///
/// `Shards` must exist: without it an empty object, which a proxy may answer, would be the end of the listing.
pub(super) fn page(body: &[u8]) -> Result<ShardPage, Malformed> {
    let RawPage { shards, next_token } = read(body)?;
    page_of(shards, next_token)
}

/// Reads the status in the answer of DescribeStreamSummary, of which all else only decorates.
pub(super) fn status(body: &[u8]) -> Result<String, Malformed> {
    let RawDescription { stream_description_summary: summary } = read(body)?;
    Ok(summary.stream_status)
}

/// A page of these shards.
pub(super) fn page_of<'a>(
    shards: impl IntoIterator<Item = RawShard<'a>>,
    next_token: Option<String>,
) -> Result<ShardPage, Malformed> {
    let shards = shards.into_iter().map(RawShard::check).collect::<Result<_, _>>()?;
    Ok(ShardPage { shards, next_token: next_token.filter(|token| !token.is_empty()) })
}

/// A call for less is no remedy for a listing that is cut: it makes no more sense than another one.
fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Malformed> {
    serde_json::from_slice(body).map_err(|error| Malformed::from(error).uncut())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawPage<'a> {
    #[serde(borrow)]
    shards: Vec<RawShard<'a>>,
    next_token: Option<String>,
}

/// A shard before its check. What [`Shard`] owns is owned here.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RawShard<'a> {
    pub(super) shard_id: String,
    pub(super) parent_shard_id: Option<String>,
    pub(super) adjacent_parent_shard_id: Option<String>,
    #[serde(borrow)]
    pub(super) hash_key_range: RawHashKeys<'a>,
    #[serde(borrow)]
    pub(super) sequence_number_range: RawNumbers<'a>,
}

// The text is borrowed, unless it holds escapes.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RawHashKeys<'a> {
    #[serde(borrow)]
    pub(super) starting_hash_key: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) ending_hash_key: Cow<'a, str>,
}

// As above.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RawNumbers<'a> {
    #[serde(borrow)]
    pub(super) starting_sequence_number: Cow<'a, str>,
    /// Of a closed shard.
    pub(super) ending_sequence_number: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawDescription {
    stream_description_summary: RawSummary,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawSummary {
    stream_status: String,
}

impl RawShard<'_> {
    fn check(self) -> Result<Shard, Malformed> {
        if self.shard_id.is_empty() {
            return Err(Malformed::new("a shard without an id"));
        }
        let (range, numbers) = (self.hash_key_range, self.sequence_number_range);
        let hash_keys = hash_keys(&range.starting_hash_key, &range.ending_hash_key)?;
        let starting = number(&numbers.starting_sequence_number)?;
        let parents = [self.parent_shard_id, self.adjacent_parent_shard_id];
        let parents = parents.into_iter().flatten().filter(|parent| !parent.is_empty());
        let shard = Shard::new(self.shard_id, hash_keys, starting).with_parents(parents);
        Ok(match numbers.ending_sequence_number {
            Some(ending) => shard.with_ending(number(&ending)?),
            None => shard,
        })
    }
}

fn number(text: &str) -> Result<SequenceNumber, Malformed> {
    SequenceNumber::new(text).map_err(|_| Malformed::new("a shard with an invalid sequence number"))
}

#[cfg(test)]
mod tests;
