//! Where reading starts, and the records that come.

use std::thread;
use std::time::{Duration, Instant};

use super::service::Service;
use super::trial::{Found, Trial, expect, expect_class, found, hold};
use crate::client::Client;
use crate::control::call::Call;
use crate::error::client::ErrorClass::{self, ExpiredIterator, InvalidArgument};
use crate::model::position::IteratorType;
use crate::model::sequence::SequenceNumber;
use crate::model::token::Token;

/// Records of all kinds come as they were put.
pub(super) fn order(trial: &Trial<impl Service>) {
    let all_bytes: Vec<u8> = (0..=255).collect();
    let put = [
        ("key", &b"one espresso"[..]),
        ("clé \u{1f511} \"\\", &all_bytes),
        ("k", b"0"),
        ("key", &[0; 100_000]),
        ("key", b"{}"),
    ];
    for (key, data) in put {
        trial.service.put(&trial.stream, key, data);
    }
    let records = trial.read_at(&IteratorType::TrimHorizon, put.len());
    let read: Vec<_> =
        records.iter().map(|it| (it.partition_key.as_str(), it.data.as_slice())).collect();
    hold("records come with the keys and the data that were put", read == put, &records.len());
    let rise = records.windows(2).all(|pair| pair[0].sequence < pair[1].sequence);
    hold("the numbers of a shard's records rise", rise, &numbers_of(&records));
}

pub(super) fn limits(trial: &Trial<impl Service>) {
    trial.put(7);
    let (mut next, mut sizes) = (Some(trial.token(&IteratorType::TrimHorizon)), Vec::new());
    let begun = Instant::now();
    while sizes.iter().sum::<usize>() < 7 {
        let token = next.expect("client contract broken: an open shard has a next token");
        let answer = trial.read(&token, 3);
        sizes.push(answer.records.len());
        next = answer.next;
        hold("records that were put are read", begun.elapsed() < trial.patience, &sizes.len());
    }
    let are_few = sizes.iter().all(|size| *size <= 3);
    hold("an answer holds as many records as the limit says, at most", are_few, &sizes);
}

/// The same token reads the same records, and so does the one that came with them.
pub(super) fn tokens_again(trial: &Trial<impl Service>) {
    trial.put(4);
    let (first, _) = trial.read_from(&trial.token(&IteratorType::TrimHorizon), 4);
    let mut token = trial.token(&IteratorType::TrimHorizon);
    let begun = Instant::now();
    for records in first.chunks(2) {
        let mut answer = trial.read(&token, 2);
        while answer.records.is_empty() {
            let rule = "the next token reads what follows, without a gap";
            hold(rule, begun.elapsed() < trial.patience, &records.len());
            token = answer.next.expect("client contract broken: an open shard has a next token");
            answer = trial.read(&token, 2);
        }
        let again = trial.read(&token, 2);
        let rule = "a token that is used again reads the same records";
        expect(rule, &found(&again), &found(&answer));
        let rule = "the next token reads what follows, without a gap";
        expect(rule, &found(&answer), &records.to_vec());
        token = answer.next.expect("client contract broken: an open shard has a next token");
    }
}

pub(super) fn numbers(trial: &Trial<impl Service>) {
    trial.put(6);
    let all = trial.read_at(&IteratorType::TrimHorizon, 6);
    let third = all[2].sequence.clone();
    let rule = "AtSequenceNumber begins with the record of this number";
    begins(rule, trial, &IteratorType::AtSequenceNumber(third.clone()), &all[2..]);
    let rule = "AfterSequenceNumber begins with the record that follows this number";
    begins(rule, trial, &IteratorType::AfterSequenceNumber(third), &all[3..]);
}

/// The two ends of a shard.
pub(super) fn tips(trial: &Trial<impl Service>) {
    trial.put(3);
    let latest = trial.token(&IteratorType::Latest);
    let rule = "Latest begins with the first record that arrives after the call";
    expect(rule, &found(&trial.read(&latest, 10)), &Vec::new());
    trial.service.put(&trial.stream, "key", b"new");
    let (records, _) = trial.read_from(&latest, 1);
    let all = trial.read_at(&IteratorType::TrimHorizon, 4);
    expect(rule, &records, &all[3..].to_vec());
    expect("TrimHorizon begins with the oldest record", &all[0].data, &b"0".to_vec());
}

/// By the arrival times of the records, which some services count in whole seconds.
pub(super) fn timestamps(trial: &Trial<impl Service>) {
    trial.put(5);
    let all = trial.read_at(&IteratorType::TrimHorizon, 5);
    let Some(first) = all[0].arrival else { return };
    let rule = "AtTimestamp begins with the first record that arrived at this time or later";
    let hour = Duration::from_secs(60 * 60);
    for time in all.iter().filter_map(|record| record.arrival).chain([first - hour]) {
        let first = all.iter().position(|record| record.arrival >= Some(time)).unwrap_or(0);
        begins(rule, trial, &IteratorType::AtTimestamp(time), &all[first..]);
    }
}

/// Tokens that the service never gave.
pub(super) fn invalid(trial: &Trial<impl Service>) {
    let rule = "what was never given out is of class InvalidArgument";
    let number: SequenceNumber = "1".parse().expect("digits are a number");
    let iterator = trial.iterator(&IteratorType::AfterSequenceNumber(number));
    expect_class(rule, iterator, InvalidArgument);
    let answer = trial.client.get_records(&Token::new("no token"), 10, &Call::unbounded());
    expect_class(rule, answer, InvalidArgument);
}

pub(super) fn expired(trial: &Trial<impl Service>) {
    trial.put(1);
    let token = trial.token(&IteratorType::TrimHorizon);
    if !trial.service.expire_iterators(&trial.stream) {
        return;
    }
    let answer = trial.client.get_records(&token, 10, &Call::unbounded());
    expect_class("an expired token is of class ExpiredIterator", answer, ExpiredIterator);
    let records = trial.read_at(&IteratorType::TrimHorizon, 1);
    expect("a new token reads on", &records.len(), &1);
}

/// One client, called from several threads.
pub(super) fn at_once(trial: &Trial<impl Service>) {
    trial.put(50);
    let all = trial.read_at(&IteratorType::TrimHorizon, 50);
    let (client, token) = (&trial.client, trial.token(&IteratorType::TrimHorizon));
    let (begun, patience) = (Instant::now(), trial.patience);
    let read = || {
        let (mut numbers, mut next) = (Vec::new(), token.clone());
        while numbers.len() < 50 && begun.elapsed() < patience {
            let answer = client.get_records(&next, 7, &Call::unbounded());
            let answer = answer.map_err(|error| error.class())?;
            numbers.extend(numbers_of(&found(&answer)));
            let Some(token) = answer.next else { break };
            next = token;
        }
        Ok::<_, ErrorClass>(numbers)
    };
    thread::scope(|scope| {
        let readers: Vec<_> = (0..8).map(|_| scope.spawn(read)).collect();
        for reader in readers {
            let numbers = reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            expect("one client serves several threads", &numbers, &Ok(numbers_of(&all)));
        }
    });
}

/// A read there gives the first of these records.
fn begins(rule: &str, trial: &Trial<impl Service>, at: &IteratorType, expected: &[Found]) {
    let read = numbers_of(&trial.read_at(at, 1));
    let expected = numbers_of(&expected[..read.len().min(expected.len())]);
    expect(rule, &read, &expected);
}

fn numbers_of(records: &[Found]) -> Vec<SequenceNumber> {
    records.iter().map(|record| record.sequence.clone()).collect()
}
