//! What the in-memory Kinesis answers, through the calls that a consumer makes.

mod faults;
mod iterators;
mod reading;
mod shards;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::client::Client;
use crate::client::memory::fault::Operation;
use crate::client::memory::shard::HeldRecord;
use crate::client::memory::{MemoryKinesis, Put};
use crate::control::call::Call;
use crate::error::client::{ClientError, ErrorClass};
use crate::model::listed::StreamStatus;
use crate::model::position::IteratorType::{
    self, AfterSequenceNumber, AtSequenceNumber, AtTimestamp, Latest, TrimHorizon,
};
use crate::model::shard::Shard;
use crate::model::token::{ShardIterator, Token};
use crate::record::answer::Answer;

const FIRST: &str = "shardId-000000000000";
const START: SystemTime = UNIX_EPOCH;

/// A stream `s` with so many shards, on a manual clock.
fn with_shards(shards: usize) -> MemoryKinesis {
    let kinesis = MemoryKinesis::with_manual_clock(START + Duration::from_secs(1_000));
    kinesis.create_stream("s", shards);
    kinesis
}

/// A stream `s` with one shard and these records.
fn with_records(records: &[&str]) -> (MemoryKinesis, Vec<Put>) {
    let kinesis = with_shards(1);
    let puts = records.iter().map(|data| kinesis.put("s", "key", data.as_bytes())).collect();
    (kinesis, puts)
}

fn begin(
    kinesis: &MemoryKinesis,
    shard: &str,
    at: &IteratorType,
) -> Result<ShardIterator, ClientError> {
    kinesis.get_shard_iterator("s", shard, at, &Call::unbounded())
}

fn token(kinesis: &MemoryKinesis, shard: &str, at: &IteratorType) -> Token {
    begin(kinesis, shard, at).unwrap().token
}

fn read(kinesis: &MemoryKinesis, token: &Token, limit: u32) -> Result<Answer, ClientError> {
    kinesis.get_records(token, limit, &Call::unbounded())
}

/// What one read of everything gives, as text.
fn read_from(kinesis: &MemoryKinesis, shard: &str, at: &IteratorType) -> Vec<String> {
    data(&read(kinesis, &token(kinesis, shard, at), 10_000).unwrap())
}

fn data(answer: &Answer) -> Vec<String> {
    let text = |data: &[u8]| String::from_utf8(data.to_vec()).unwrap();
    answer.records.iter().map(|record| text(record.data())).collect()
}

fn list(
    kinesis: &MemoryKinesis,
    token: Option<&str>,
) -> Result<(Vec<String>, Option<String>), ClientError> {
    let page = kinesis.list_shards("s", token, &Call::unbounded())?;
    Ok((page.shards.iter().map(|shard| shard.id().to_owned()).collect(), page.next_token))
}

fn shard(kinesis: &MemoryKinesis, id: &str) -> Shard {
    kinesis.shards("s").into_iter().find(|shard| shard.id() == id).unwrap()
}

/// What was refused: the class, and the code.
fn refusal<T>(result: Result<T, ClientError>) -> (ErrorClass, Option<String>) {
    let error = result.err().unwrap();
    (error.class(), error.code().map(str::to_owned))
}

fn refused(class: ErrorClass, code: &str) -> (ErrorClass, Option<String>) {
    (class, Some(code.to_owned()))
}

fn invalid() -> (ErrorClass, Option<String>) {
    refused(ErrorClass::InvalidArgument, "InvalidArgumentException")
}

fn not_found() -> (ErrorClass, Option<String>) {
    refused(ErrorClass::NotFound, "ResourceNotFoundException")
}
