//! The suite passes a client that keeps the contract, and fails those that break it.

use std::collections::HashSet;
use std::panic;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::*;
use crate::client::Client;
use crate::client::memory::MemoryKinesis;
use crate::control::call::Call;
use crate::error::client::{ClientError, ErrorClass};
use crate::model::listed::{ShardPage, StreamStatus};
use crate::model::position::IteratorType;
use crate::model::token::{ShardIterator, Token};
use crate::record::answer::Answer;
use crate::record::builder::RecordsBuilder;

#[test]
fn the_in_memory_client_keeps_the_contract() {
    client_contract(|_| MemoryKinesis::new());
}

/// Like a server that several checks use.
#[test]
fn every_check_has_a_stream_of_its_own() {
    let (kinesis, names) = (MemoryKinesis::new(), Mutex::new(HashSet::new()));
    client_contract(|name| {
        assert!(names.lock().insert(name.to_owned()), "{name} comes twice");
        kinesis.clone()
    });
    assert_eq!(names.lock().len(), 17);
}

/// A service without the optional abilities.
#[test]
fn what_a_service_cannot_do_is_left_out() {
    struct Least(MemoryKinesis);
    impl Service for Least {
        type Client = MemoryKinesis;

        fn client(&self) -> MemoryKinesis {
            self.0.clone()
        }

        fn create_stream(&self, stream: &str, shards: usize) {
            self.0.create_stream(stream, shards);
        }

        fn put(&self, stream: &str, partition_key: &str, data: &[u8]) {
            self.0.put(stream, partition_key, data);
        }
    }
    client_contract(|_| Least(MemoryKinesis::new()));
}

#[test]
fn a_broken_client_fails_by_the_rule_it_breaks() {
    for (fault, rule) in [
        (Fault::NothingIsMissing, "does not exist is of class NotFound"),
        (Fault::AnyShard, "an iterator of a shard that does not exist"),
        (Fault::NamesOnly, "describe_stream failed"),
        (Fault::FirstPageOnly, "the listing holds each shard once"),
        (Fault::FirstPageAgain, "a listing has an end"),
        (Fault::DataCut, "come with the keys and the data that were put"),
        (Fault::NoLimit, "as many records as the limit says"),
        (Fault::TokensOnce, "get_records failed"),
        (Fault::AtForAfter, "AfterSequenceNumber begins with"),
        (Fault::AfterForAt, "AtSequenceNumber begins with"),
        (Fault::LatestForTrimHorizon, "records that were put are read"),
        (Fault::TrimHorizonForLatest, "Latest begins with"),
        (Fault::TimesAnHourLate, "records that were put are read"),
        (Fault::InvalidIsTransient, "what was never given out is of class InvalidArgument"),
        (Fault::ExpiredIsTransient, "an expired token is of class ExpiredIterator"),
        (Fault::NoEnd, "a closed shard has an end"),
        (Fault::InterruptsNothing, "after an interrupt every call of the session fails"),
        (Fault::InterruptsAll, "an interrupt ends one session"),
        (Fault::NoDeadline, "a call ends when its deadline has passed"),
        (Fault::NoStop, "a stop ends a call in progress"),
    ] {
        let broken = format!("{:?}", failure(fault));
        assert!(broken.contains(rule), "{fault:?}: {broken}");
    }
}

/// The message with which the suite fails, for a client with this fault.
fn failure(fault: Fault) -> Option<String> {
    let check = || {
        let make = |_: &str| Broken::new(fault);
        let trial = |shards| {
            let trial = Trial::new(make("check"), "check", shards);
            // An answer that never comes is waited for less long than a late one.
            Trial { patience: Duration::from_millis(500), ..trial }
        };
        match fault {
            Fault::LatestForTrimHorizon => order(&trial(1)),
            Fault::TimesAnHourLate => timestamps(&trial(1)),
            Fault::NoDeadline => deadline(&trial(1)),
            Fault::NoStop => stop(&trial(1)),
            _ => client_contract(make),
        }
    };
    panic::catch_unwind(check).err()?.downcast_ref::<String>().cloned()
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    NothingIsMissing,
    AnyShard,
    NamesOnly,
    FirstPageOnly,
    FirstPageAgain,
    DataCut,
    NoLimit,
    TokensOnce,
    AtForAfter,
    AfterForAt,
    LatestForTrimHorizon,
    TrimHorizonForLatest,
    TimesAnHourLate,
    InvalidIsTransient,
    ExpiredIsTransient,
    NoEnd,
    InterruptsNothing,
    InterruptsAll,
    NoDeadline,
    NoStop,
}

#[derive(Clone)]
struct Broken {
    kinesis: MemoryKinesis,
    fault: Fault,
    used: Arc<Mutex<HashSet<Token>>>,
    is_interrupted: Arc<Mutex<bool>>,
}

impl Broken {
    fn new(fault: Fault) -> Self {
        let (used, is_interrupted) = (Arc::default(), Arc::default());
        Self { kinesis: MemoryKinesis::new(), fault, used, is_interrupted }
    }

    fn wrong(&self, error: ClientError) -> ClientError {
        match (self.fault, error.class()) {
            (Fault::NothingIsMissing, ErrorClass::NotFound)
            | (Fault::InvalidIsTransient, ErrorClass::InvalidArgument)
            | (Fault::ExpiredIsTransient, ErrorClass::ExpiredIterator) => {
                ClientError::new(ErrorClass::Transient, "Broken", "")
            }
            _ => error,
        }
    }

    fn ended(&self) -> Result<(), ClientError> {
        let is_interrupted = *self.is_interrupted.lock();
        if is_interrupted { Err(ClientError::new(ErrorClass::Fatal, "Broken", "")) } else { Ok(()) }
    }

    fn bounds(&self, call: &Call) -> Call {
        match self.fault {
            Fault::NoDeadline => Call::new(call.stopped().clone()),
            Fault::NoStop => Call::unbounded(),
            _ => call.clone(),
        }
    }

    fn start(&self, at: &IteratorType) -> IteratorType {
        use IteratorType::{
            AfterSequenceNumber, AtSequenceNumber, AtTimestamp, Latest, TrimHorizon,
        };
        match (self.fault, at.clone()) {
            (Fault::AtForAfter, AfterSequenceNumber(number)) => AtSequenceNumber(number),
            (Fault::AfterForAt, AtSequenceNumber(number)) => AfterSequenceNumber(number),
            (Fault::LatestForTrimHorizon, TrimHorizon) => Latest,
            (Fault::TrimHorizonForLatest, Latest) => TrimHorizon,
            (Fault::TimesAnHourLate, AtTimestamp(_)) => Latest,
            (_, at) => at,
        }
    }
}

impl Client for Broken {
    fn describe_stream(&self, stream: &str, call: &Call) -> Result<StreamStatus, ClientError> {
        self.ended()?;
        if self.fault == Fault::NamesOnly && stream.contains(':') {
            return Err(ClientError::new(ErrorClass::InvalidArgument, "Broken", ""));
        }
        let status = self.kinesis.describe_stream(stream, &self.bounds(call));
        status.map_err(|error| self.wrong(error))
    }

    fn list_shards(
        &self,
        stream: &str,
        token: Option<&str>,
        call: &Call,
    ) -> Result<ShardPage, ClientError> {
        self.ended()?;
        let token = token.filter(|_| self.fault != Fault::FirstPageAgain);
        let page = self.kinesis.list_shards(stream, token, &self.bounds(call));
        let mut page = page.map_err(|error| self.wrong(error))?;
        page.next_token.take_if(|_| self.fault == Fault::FirstPageOnly);
        Ok(page)
    }

    fn get_shard_iterator(
        &self,
        stream: &str,
        shard: &str,
        at: &IteratorType,
        call: &Call,
    ) -> Result<ShardIterator, ClientError> {
        self.ended()?;
        let shard = if self.fault == Fault::AnyShard { "shardId-000000000000" } else { shard };
        let (at, call) = (self.start(at), self.bounds(call));
        let iterator = self.kinesis.get_shard_iterator(stream, shard, &at, &call);
        iterator.map_err(|error| self.wrong(error))
    }

    fn get_records(&self, token: &Token, limit: u32, call: &Call) -> Result<Answer, ClientError> {
        self.ended()?;
        if self.fault == Fault::TokensOnce && !self.used.lock().insert(token.clone()) {
            return Err(ClientError::new(ErrorClass::InvalidArgument, "Broken", ""));
        }
        let limit = if self.fault == Fault::NoLimit { 10_000 } else { limit };
        let answer = self.kinesis.get_records(token, limit, &self.bounds(call));
        let mut answer = answer.map_err(|error| self.wrong(error))?;
        if self.fault == Fault::NoEnd {
            answer.next.get_or_insert_with(|| token.clone());
        }
        if self.fault == Fault::DataCut {
            let mut records = RecordsBuilder::new();
            for record in &answer.records {
                let number = record.sequence_number().parse().unwrap();
                let arrival = record.approximate_arrival().unwrap();
                records.push(&number, record.partition_key(), arrival, &record.data()[..1]);
            }
            answer.records = records.build();
        }
        Ok(answer)
    }

    fn session(&self) -> Option<Arc<dyn Client>> {
        match self.fault {
            Fault::InterruptsAll => Some(Arc::new(self.clone())),
            _ => Some(Arc::new(Self { is_interrupted: Arc::default(), ..self.clone() })),
        }
    }

    fn interrupt(&self) {
        *self.is_interrupted.lock() = self.fault != Fault::InterruptsNothing;
    }
}

impl Service for Broken {
    type Client = Self;

    fn client(&self) -> Self {
        self.clone()
    }

    fn create_stream(&self, stream: &str, shards: usize) {
        self.kinesis.create_stream(stream, shards);
    }

    fn put(&self, stream: &str, partition_key: &str, data: &[u8]) {
        self.kinesis.put(stream, partition_key, data);
    }

    fn split(&self, stream: &str, shard: &str) -> bool {
        Service::split(&self.kinesis, stream, shard)
    }

    fn arn(&self, stream: &str) -> Option<String> {
        self.kinesis.arn(stream)
    }

    fn set_page_size(&self, stream: &str, shards: usize) -> bool {
        Service::set_page_size(&self.kinesis, stream, shards)
    }

    fn expire_iterators(&self, stream: &str) -> bool {
        Service::expire_iterators(&self.kinesis, stream)
    }

    fn hang(&self, stream: &str, on: bool) -> bool {
        Service::hang(&self.kinesis, stream, on)
    }
}
