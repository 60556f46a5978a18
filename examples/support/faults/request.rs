//! The request of a call.

use std::time::Instant;

use ferrokinesis::shard_iterator::decode_shard_iterator;
use serde_json::Value;

use super::http::Message;

/// The calls of a consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Operation {
    DescribeStreamSummary,
    /// The first page.
    ListShards,
    /// Another page.
    ListNextShards,
    GetShardIterator,
    GetRecords,
    /// A producer's or an administrator's, which is left alone.
    Other,
}

/// One call, as it came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) operation: Operation,
    pub(crate) stream: Option<String>,
    pub(crate) shard: Option<String>,
    /// `Limit` of `GetRecords`.
    pub(crate) limit: Option<u64>,
    /// `ShardIteratorType` of `GetShardIterator`.
    pub(crate) iterator_type: Option<String>,
    /// The access key that signed it.
    pub(crate) key: Option<String>,
    /// The shard iterator, or the token of the page.
    pub(super) token: Option<String>,
    pub(crate) at: Instant,
}

impl Request {
    pub(super) fn new(message: &Message) -> Self {
        let body: Value = serde_json::from_slice(&message.body).unwrap_or_default();
        let text = |name: &str| body[name].as_str().map(str::to_owned);
        let target = message.header("x-amz-target").unwrap_or_default();
        let operation = match target.rsplit('.').next().unwrap_or_default() {
            "DescribeStreamSummary" => Operation::DescribeStreamSummary,
            "ListShards" if body["NextToken"].is_string() => Operation::ListNextShards,
            "ListShards" => Operation::ListShards,
            "GetShardIterator" => Operation::GetShardIterator,
            "GetRecords" => Operation::GetRecords,
            _ => Operation::Other,
        };
        let token = text("ShardIterator").or_else(|| text("NextToken"));
        // The server that made the token can read its origin in it.
        let read = token.as_deref().and_then(|token| decode_shard_iterator(token).ok());
        let (stream, shard) = read.map(|(_, stream, shard, _)| (stream, shard)).unzip();
        Self {
            operation,
            stream: text("StreamName").or(stream),
            shard: text("ShardId").or(shard),
            limit: body["Limit"].as_u64(),
            iterator_type: text("ShardIteratorType"),
            key: message.header("authorization").and_then(key),
            token,
            at: Instant::now(),
        }
    }
}

fn key(authorization: String) -> Option<String> {
    let (_, rest) = authorization.split_once("Credential=")?;
    Some(rest.split('/').next()?.to_owned())
}
