//! The answers of the in-memory Kinesis to a consumer.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::MutexGuard;

use super::clock::millis;
use super::fault::{Operation, wait};
use super::number::Number;
use super::seal::{Seal, SealKind};
use super::shard::{ShardState, Taken};
use super::stream::StreamState;
use super::{Cloud, MemoryKinesis};
use crate::client::Client;
use crate::control::call::Call;
use crate::error::client::{ClientError, ErrorClass};
use crate::model::listed::{ShardPage, StreamStatus};
use crate::model::position::IteratorType;
use crate::model::token::{ShardIterator, Token};
use crate::record::answer::Answer;

/// Amazon's limit for the records of one answer.
const MAX_LIMIT: u32 = 10_000;
/// How long Amazon keeps the name of a listing's next page.
const PAGE_LIFE: Duration = Duration::from_secs(300);

impl Client for MemoryKinesis {
    fn describe_stream(&self, stream: &str, call: &Call) -> Result<StreamStatus, ClientError> {
        let operation = Operation::DescribeStreamSummary;
        let cloud = self.enter(operation, call, |cloud| cloud.named(stream))?;
        Ok(cloud.find(stream, operation)?.status)
    }

    fn list_shards(
        &self,
        stream: &str,
        token: Option<&str>,
        call: &Call,
    ) -> Result<ShardPage, ClientError> {
        let cloud = self.enter(Operation::ListShards, call, |cloud| cloud.named(stream))?;
        match token {
            None => {
                Ok(page(cloud.usable(stream, Operation::ListShards)?, 0, cloud.clock.now_millis()))
            }
            Some(token) => cloud.next_page(stream, token),
        }
    }

    fn get_shard_iterator(
        &self,
        stream: &str,
        shard: &str,
        at: &IteratorType,
        call: &Call,
    ) -> Result<ShardIterator, ClientError> {
        let operation = Operation::GetShardIterator;
        let cloud = self.enter(operation, call, |cloud| cloud.named(stream))?;
        let stream = cloud.usable(stream, operation)?;
        let index = stream.find(shard).ok_or_else(|| no_shard(stream, shard, operation))?;
        let now = cloud.clock.now();
        let cursor = cursor(stream, index, at, millis(now))?;
        let token = iterator(stream, index as u32, cursor, 0, millis(now));
        Ok(ShardIterator::new(token, date(now)))
    }

    fn get_records(&self, token: &Token, limit: u32, call: &Call) -> Result<Answer, ClientError> {
        let operation = Operation::GetRecords;
        let seal = Seal::open(token.as_str(), SealKind::Iterator);
        let mut cloud =
            self.enter(operation, call, |cloud| cloud.incarnation(seal.as_ref()?.incarnation))?;
        let invalid = |what| operation.error(ErrorClass::InvalidArgument, what);
        let seal = seal.ok_or_else(|| invalid("Invalid ShardIterator."))?;
        if !(1..=MAX_LIMIT).contains(&limit) {
            return Err(invalid("Limit must be between 1 and 10000."));
        }
        cloud.shard_fault(seal)?;
        cloud.read(seal, limit as usize)
    }
}

impl MemoryKinesis {
    /// Counts the call, waits while it must hang, and fails it if a fault was requested.
    fn enter(
        &self,
        operation: Operation,
        call: &Call,
        stream: impl Fn(&Cloud) -> Option<&StreamState>,
    ) -> Result<MutexGuard<'_, Cloud>, ClientError> {
        let mut cloud = self.cloud.lock();
        cloud.faults.count(operation);
        loop {
            let gate = stream(&cloud).and_then(|stream| stream.gate.as_ref());
            let Some(gate) = gate.or(cloud.faults.gate.as_ref()) else { break };
            let lifted = gate.lifted();
            drop(cloud); // never wait while holding the lock
            wait(&lifted, operation, call)?;
            cloud = self.cloud.lock();
        }
        cloud.faults.take(operation)?;
        Ok(cloud)
    }
}

impl Cloud {
    fn find(&self, stream: &str, operation: Operation) -> Result<&StreamState, ClientError> {
        self.named(stream).ok_or_else(|| {
            operation.error(ErrorClass::NotFound, format!("Stream {stream} not found."))
        })
    }

    /// The stream, if it has been created and is not being deleted.
    fn usable(&self, stream: &str, operation: Operation) -> Result<&StreamState, ClientError> {
        let stream = self.find(stream, operation)?;
        match stream.status {
            StreamStatus::Creating | StreamStatus::Deleting => {
                let message = format!("Stream {} is {:?}.", stream.name, stream.status);
                Err(operation.error(ErrorClass::InUse, message))
            }
            StreamStatus::Active | StreamStatus::Updating => Ok(stream),
        }
    }

    fn next_page(&self, stream: &str, token: &str) -> Result<ShardPage, ClientError> {
        let operation = Operation::ListShards;
        let invalid = || operation.error(ErrorClass::InvalidArgument, "Invalid NextToken.");
        let seal = Seal::open(token, SealKind::Page).ok_or_else(invalid)?;
        if self.is_older(seal.issued, PAGE_LIFE) {
            return Err(operation.error(ErrorClass::ExpiredNextToken, "NextToken expired."));
        }
        let stream = self.usable(stream, operation)?;
        if stream.incarnation != seal.incarnation {
            return Err(invalid());
        }
        Ok(page(stream, seal.shard as usize, self.clock.now_millis()))
    }

    fn shard_fault(&mut self, seal: Seal) -> Result<(), ClientError> {
        let stream = self.streams.get_mut(&seal.incarnation);
        match stream.and_then(|stream| stream.shards.get_mut(seal.shard as usize)) {
            Some(shard) => shard.faults.take(Operation::GetRecords),
            None => Ok(()),
        }
    }

    fn read(&self, seal: Seal, limit: usize) -> Result<Answer, ClientError> {
        let operation = Operation::GetRecords;
        let gone =
            || operation.error(ErrorClass::NotFound, "The stream of the iterator not found.");
        let stream = self.incarnation(seal.incarnation).ok_or_else(gone)?;
        let shard = &stream.shards[seal.shard as usize];
        if shard.is_retired {
            return Err(no_shard(stream, shard.shard.id(), operation));
        }
        if seal.epoch < stream.epoch || self.is_older(seal.issued, self.iterator_life) {
            return Err(operation.error(ErrorClass::ExpiredIterator, "Iterator expired."));
        }
        let answer =
            answer(stream, shard, seal, shard.take(seal.cursor, limit), self.clock.now_millis());
        Ok(answer.with_server_time(date(self.clock.now())))
    }

    fn is_older(&self, issued: i64, life: Duration) -> bool {
        let age = self.clock.now_millis().saturating_sub(issued);
        i128::from(age) >= life.as_millis().min(i64::MAX as u128) as i128
    }
}

/// Where reading begins, as the lowest counter to read.
// long: one branch for each type of iterator.
fn cursor(
    stream: &StreamState,
    index: usize,
    at: &IteratorType,
    now: i64,
) -> Result<u64, ClientError> {
    let operation = Operation::GetShardIterator;
    let (shard, latest) = (&stream.shards[index], stream.counter + 1);
    let known = |sequence| {
        let number = Number::read(sequence)?;
        let last = shard.ending.unwrap_or(stream.counter);
        let here = number.incarnation == stream.incarnation && number.shard == index;
        (here && (shard.starting..=last).contains(&number.counter)).then_some(number.counter)
    };
    let counter = |sequence| {
        known(sequence).ok_or_else(|| {
            let (shard, stream) = (shard.shard.id(), &stream.name);
            let message = format!(
                "StartingSequenceNumber {sequence} used in GetShardIterator on shard {shard} in \
                 stream {stream} is invalid."
            );
            operation.error(ErrorClass::InvalidArgument, message)
        })
    };
    match at {
        IteratorType::AtSequenceNumber(sequence) => counter(sequence),
        IteratorType::AfterSequenceNumber(sequence) => counter(sequence).map(|counter| counter + 1),
        IteratorType::AtTimestamp(time) if millis(*time) > now => {
            Err(operation.error(ErrorClass::InvalidArgument, "Timestamp is in the future."))
        }
        IteratorType::AtTimestamp(time) => Ok(shard.first_since(millis(*time)).unwrap_or(latest)),
        IteratorType::TrimHorizon => Ok(0),
        IteratorType::Latest => Ok(latest),
    }
}

fn answer(stream: &StreamState, shard: &ShardState, seal: Seal, taken: Taken, now: i64) -> Answer {
    let is_at_end = !shard.is_open() && taken.unread_since.is_none();
    // Counts this answer too.
    let empty_answers =
        if is_at_end && taken.records.is_empty() { seal.empty_answers + 1 } else { 0 };
    let has_ended =
        is_at_end && (stream.empty_answers == 0 || empty_answers > stream.empty_answers);
    let next = (!has_ended).then(|| iterator(stream, seal.shard, taken.cursor, empty_answers, now));
    let tells = has_ended && stream.announces_children;
    let behind = taken.unread_since.filter(|_| stream.reports_behind_latest);
    let behind = behind.map_or(Duration::ZERO, |since| behind_latest(since, now));
    let children = if tells { shard.children.clone() } else { Vec::new() };
    Answer::new(taken.records, next).with_behind_latest(behind).with_children(children)
}

/// At least a millisecond: 0 means that there is nothing left to read.
fn behind_latest(since: i64, now: i64) -> Duration {
    Duration::from_millis(now.saturating_sub(since).max(1).unsigned_abs())
}

fn page(stream: &StreamState, from: usize, now: i64) -> ShardPage {
    let mut rest = (from..stream.shards.len()).filter(|index| !stream.shards[*index].is_retired);
    let shards = rest.by_ref().take(stream.page_size);
    let shards = shards.map(|index| stream.shards[index].shard.clone()).collect();
    let next_token = rest.next().map(|index| {
        let shard = index as u32;
        seal(stream, SealKind::Page, shard, now).close()
    });
    ShardPage { shards, next_token }
}

fn iterator(stream: &StreamState, shard: u32, cursor: u64, empty_answers: u32, now: i64) -> Token {
    let seal = seal(stream, SealKind::Iterator, shard, now);
    Token::new(Seal { cursor, empty_answers, ..seal }.close())
}

fn seal(stream: &StreamState, kind: SealKind, shard: u32, issued: i64) -> Seal {
    let (incarnation, epoch) = (stream.incarnation, stream.epoch);
    Seal { kind, incarnation, shard, cursor: 0, issued, epoch, empty_answers: 0 }
}

fn no_shard(stream: &StreamState, shard: &str, operation: Operation) -> ClientError {
    let message = format!("Shard {shard} in stream {} does not exist.", stream.name);
    operation.error(ErrorClass::NotFound, message)
}

/// The time as in a `Date` header: in whole seconds.
fn date(time: SystemTime) -> SystemTime {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => UNIX_EPOCH + Duration::from_secs(since.as_secs()),
        Err(_) => time,
    }
}
