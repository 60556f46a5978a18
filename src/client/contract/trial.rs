//! One client on one stream, and its calls.

use std::fmt::Debug;
use std::time::{Duration, Instant, SystemTime};

use super::service::Service;
use crate::client::Client;
use crate::control::call::Call;
use crate::error::client::{ClientError, ErrorClass};
use crate::model::position::IteratorType;
use crate::model::sequence::SequenceNumber;
use crate::model::shard::Shard;
use crate::model::token::Token;
use crate::record::answer::Answer;

/// How long an answer may take, and records until they come, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Trial<S: Service> {
    pub(super) service: S,
    pub(super) client: S::Client,
    pub(super) stream: String,
    pub(super) patience: Duration,
}

/// A record, as the client gave it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Found {
    pub(super) sequence: SequenceNumber,
    pub(super) partition_key: String,
    pub(super) data: Vec<u8>,
    pub(super) arrival: Option<SystemTime>,
}

impl<S: Service> Trial<S> {
    /// A stream with this many shards, or no stream.
    pub(super) fn new(service: S, stream: &str, shards: usize) -> Self {
        if shards > 0 {
            service.create_stream(stream, shards);
        }
        let client = service.client();
        Self { service, client, stream: stream.into(), patience: PATIENCE }
    }

    /// A call about the stream, as a consumer makes it.
    pub(super) fn call(&self) -> Call {
        Call::unbounded().with_stream(&*self.stream)
    }

    /// Puts this many records. Returns their numbers, from 0.
    pub(super) fn put(&self, records: usize) {
        for number in 0..records {
            self.service.put(&self.stream, "key", number.to_string().as_bytes());
        }
    }

    /// The shards of all pages, and how many shards each page had.
    pub(super) fn list(&self) -> (Vec<Shard>, Vec<usize>) {
        let (mut shards, mut sizes, mut token) = (Vec::new(), Vec::new(), None);
        loop {
            let list = |token: Option<&str>| {
                let page = self.client.list_shards(&self.stream, token, &self.call());
                done("list_shards", page)
            };
            let (page, again) = (list(token.as_deref()), list(token.as_deref()));
            let rule = "the token of a page names the same page each time";
            expect(rule, &ids(&again.shards), &ids(&page.shards));
            sizes.push(page.shards.len());
            shards.extend(page.shards);
            hold("a listing has an end", sizes.len() < 1_000, &sizes.len());
            token = page.next_token;
            if token.is_none() {
                return (shards, sizes);
            }
        }
    }

    /// The only shard.
    pub(super) fn shard(&self) -> String {
        let (shards, _) = self.list();
        let [shard] = &shards[..] else { panic!("client contract: one shard of {shards:?}") };
        shard.id().to_owned()
    }

    pub(super) fn iterator(&self, at: &IteratorType) -> Result<Token, ClientError> {
        let (shard, call) = (self.shard(), self.call());
        let iterator = self.client.get_shard_iterator(&self.stream, &shard, at, &call);
        iterator.map(|iterator| iterator.token)
    }

    pub(super) fn token(&self, at: &IteratorType) -> Token {
        done("get_shard_iterator", self.iterator(at))
    }

    pub(super) fn read(&self, token: &Token, limit: u32) -> Answer {
        done("get_records", self.client.get_records(token, limit, &self.call()))
    }

    /// The next records, at least this many unless the shard ends first; and the next token.
    pub(super) fn read_from(&self, token: &Token, count: usize) -> (Vec<Found>, Option<Token>) {
        let (mut records, mut next) = (Vec::new(), Some(token.clone()));
        let begun = Instant::now();
        while let Some(token) = next.take_if(|_| records.len() < count) {
            let answer = self.read(&token, 10_000);
            records.extend(found(&answer));
            next = answer.next;
            // Answers without records are normal.
            let is_in_time = begun.elapsed() < self.patience;
            hold("records that were put are read", is_in_time, &(records.len(), count));
        }
        (records, next)
    }

    /// The same from the start of the iterator.
    pub(super) fn read_at(&self, at: &IteratorType, count: usize) -> Vec<Found> {
        self.read_from(&self.token(at), count).0
    }
}

pub(super) fn found(answer: &Answer) -> Vec<Found> {
    let found = answer.records.iter().map(|record| Found {
        sequence: done("a sequence number", record.sequence_number().parse()),
        partition_key: record.partition_key().to_owned(),
        data: record.data().to_vec(),
        arrival: record.approximate_arrival(),
    });
    found.collect()
}

pub(super) fn ids(shards: &[Shard]) -> Vec<String> {
    shards.iter().map(|shard| shard.id().to_owned()).collect()
}

pub(super) fn done<T, E: Debug>(call: &str, result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| panic!("client contract: {call} failed: {error:?}"))
}

/// The call must have failed with this class.
pub(super) fn expect_class<T>(rule: &str, result: Result<T, ClientError>, class: ErrorClass) {
    expect(rule, &result.map(drop).map_err(|error| error.class()), &Err(class));
}

pub(super) fn expect<T: PartialEq + Debug>(rule: &str, found: &T, expected: &T) {
    assert!(
        found == expected,
        "client contract broken: {rule}\n expected {expected:?}\n    found {found:?}"
    );
}

pub(super) fn hold(rule: &str, holds: bool, found: &impl Debug) {
    assert!(holds, "client contract broken: {rule}\n    found {found:?}");
}
