//! Memory: what answers take, while they are read and while their records are in use, stays within the budget.

use std::time::Duration;

use base64_simd::STANDARD;
use crossbeam_channel::{Receiver, unbounded};
use kinesis_consumer::{
    Batches, Budget, Config, Deaggregation, KinesisClient, Listener, LocalStore, Notice,
    ShardProgress, ShardState, Stream,
};

use crate::common::loopback::{self, Request, Server, stream_of};
use crate::common::{SOON, aggregate_of, until};

const MIB: usize = 1 << 20;

/// How the server writes its answers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Body {
    WithLength,
    Chunked,
}

/// A stream whose shards hold so many records of so many bytes, which come all at once if the limit allows.
fn server(shards: usize, records: usize, size: usize, body: Body) -> Server {
    serving(shards, records, "AAAA".repeat(size / 3), body)
}

/// The same with this data, in base64.
fn serving(shards: usize, records: usize, data: String, body: Body) -> Server {
    let stream = stream_of(shards);
    Server::new(move |request| {
        if let Some(shard) = request.field("ShardId") {
            return Some(loopback::ok(&format!(r#"{{"ShardIterator":"{shard}/0"}}"#)));
        }
        let Some((shard, from)) = request.place() else { return Some(stream(request)) };
        let to = records.min(from + limit(request));
        let found: Vec<_> = (from..to)
            .map(|number| {
                let number = number + 1;
                format!(r#"{{"SequenceNumber":"{number}","PartitionKey":"key","Data":"{data}"}}"#)
            })
            .collect();
        let records = found.join(",");
        let text = format!(r#"{{"Records":[{records}],"NextShardIterator":"{shard}/{to}"}}"#);
        Some(match body {
            Body::WithLength => loopback::ok(&text),
            Body::Chunked => format!(
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{text}\r\n0\r\n\r\n",
                text.len()
            ),
        })
    })
}

fn limit(request: &Request) -> usize {
    let limit = request.body.split(r#""Limit":"#).nth(1).unwrap();
    limit.split([',', '}']).next().unwrap().parse().unwrap()
}

fn open(server: &Server, config: Config) -> (Batches, Listener) {
    let client = KinesisClient::builder()
        .endpoint(server.url())
        .credentials("key", "secret")
        .region("eu-central-1")
        .build()
        .unwrap();
    let config = config.interval(Duration::from_millis(5)).max_outage(SOON).start_patience(SOON);
    Stream::new(client, "orders", LocalStore::new(), config).unwrap().receiver().unwrap()
}

/// Reads so many records, and ends: how many came in each batch.
fn read(batches: Batches, listener: Listener, records: usize) -> Vec<usize> {
    let mut lengths = Vec::new();
    while lengths.iter().sum::<usize>() < records {
        let batch = batches.recv_timeout(SOON).unwrap();
        lengths.push(batch.len());
        batch.commit().unwrap();
    }
    listener.shutdown().now();
    listener.join().unwrap();
    assert_eq!(lengths.iter().sum::<usize>(), records);
    lengths
}

#[test]
fn many_shards_whose_batches_nobody_takes_stay_within_the_budget() {
    let (shards, records, size) = (24, 40, 150_000);
    let server = server(shards, records, size, Body::WithLength);
    let budget = Budget::new(32 * MIB);
    let config = Config::new().budget(budget.clone()).capacity(1_000);
    let (batches, listener) = open(&server, config);
    let is_held_up = |shard: &ShardProgress| shard.state == ShardState::WaitingForBudget;
    until("each shard waits for room", || {
        assert!(budget.used() <= 32 * MIB, "{}", budget.used());
        let progress = listener.progress().shards;
        progress.len() == shards && progress.iter().all(is_held_up)
    });
    // What an answer needs, of 8 MB of text, is at most 2¼ times that: for so much there is no room.
    assert!(budget.used() > 14 * MIB, "{}", budget.used());
    let mut read = 0;
    while read < shards * records {
        let batch = batches.recv_timeout(SOON).unwrap();
        read += batch.len();
        assert!(budget.used() <= 32 * MIB, "{}", budget.used());
        batch.commit().unwrap();
    }
    drop(listener);
}

#[test]
fn records_that_are_kept_hold_their_part_and_nothing_else_does() {
    let server = server(1, 10, 600_000, Body::WithLength);
    let budget = Budget::new(64 * MIB);
    let (batches, listener) = open(&server, Config::new().budget(budget.clone()));
    let batch = batches.recv_timeout(SOON).unwrap();
    let bytes = batch.records().first().unwrap().bytes();
    batch.commit().unwrap();
    drop(listener);
    let held = 10 * 600_000;
    assert!((held..held * 3 / 2).contains(&budget.used()), "{}", budget.used());
    drop((batch, batches));
    assert!(budget.used() >= held, "one record's bytes hold the data of all");
    drop(bytes);
    assert!(budget.used() < held * 3 / 2, "{}", budget.used());
}

#[test]
fn an_answer_without_a_length_is_read_within_the_budget() {
    for records in [1, 12] {
        let server = server(2, records, MIB, Body::Chunked);
        let budget = Budget::new(64 * MIB);
        let (batches, listener) = open(&server, Config::new().budget(budget.clone()));
        read(batches, listener, 2 * records);
        assert!(budget.used() <= 64 * MIB);
    }
}

#[test]
fn an_answer_above_the_budget_is_asked_for_in_parts() {
    let server = server(1, 22, MIB, Body::WithLength);
    let budget = Budget::new(Budget::MIN);
    let (batches, listener) = open(&server, Config::new().limit(20).budget(budget.clone()));
    let lengths = read(batches, listener, 22);
    assert_eq!(lengths[0], 10, "the half of what did not fit");
}

#[test]
fn an_answer_above_the_budget_is_asked_for_in_parts_also_while_records_are_kept() {
    let budget = Budget::new(Budget::MIN);
    let small = server(1, 1, MIB, Body::WithLength);
    let (others, _listener) = open(&small, Config::new().budget(budget.clone()));
    let _kept = others.recv_timeout(SOON).unwrap();
    let large = server(1, 20, MIB, Body::WithLength);
    let (batches, listener) = open(&large, Config::new().limit(20).budget(budget));
    read(batches, listener, 20);
}

/// An aggregate, in base64, of so many user records without data, each of which takes much more than its part of it.
fn aggregate(users: usize) -> String {
    let message = [&b"\x0a\x01k"[..], &b"\x1a\x04\x08\x00\x1a\x00".repeat(users)].concat();
    STANDARD.encode_to_string(aggregate_of(&message))
}

#[test]
fn small_user_records_stay_within_the_budget_and_all_come() {
    let (shards, records, users) = (8, 4, 50_000);
    let server = serving(shards, records, aggregate(users), Body::WithLength);
    let budget = Budget::new(Budget::MIN);
    let config = Config::new().budget(budget.clone()).deaggregation(Deaggregation::All);
    let (batches, listener) = open(&server, config);
    let is_held_up =
        |shard: &ShardProgress| shard.records > 0 || shard.state == ShardState::WaitingForBudget;
    until("each shard has a batch, or waits for room", || {
        assert!(budget.used() <= Budget::MIN, "{}", budget.used());
        let progress = listener.progress().shards;
        progress.len() == shards && progress.iter().all(is_held_up)
    });
    read(batches, listener, shards * records * users);
}

#[test]
fn user_records_above_the_budget_are_asked_for_in_parts() {
    let (records, users) = (16, 50_000);
    let server = serving(1, records, aggregate(users), Body::WithLength);
    let config = Config::new().budget(Budget::new(Budget::MIN)).limit(16);
    let (batches, listener) = open(&server, config.deaggregation(Deaggregation::All));
    assert_eq!(read(batches, listener, records * users)[0], 8 * users, "half of what does not fit");
}

#[test]
fn a_shard_without_room_is_told_stops_at_once_and_goes_on_when_there_is_room() {
    let server = server(1, 40, MIB, Body::WithLength);
    let budget = Budget::new(64 * MIB);
    let (tell, notices) = unbounded();
    let config = Config::new()
        .limit(10)
        .budget(budget.clone())
        .stall_after(Duration::from_secs(1))
        .on_notice(move |notice| drop(tell.send(notice.clone())));
    let (batches, listener) = open(&server, config.clone());
    let stalled = |notices: &Receiver<Notice>| loop {
        if let Notice::Stalled { state, .. } = notices.recv_timeout(SOON).unwrap() {
            return state;
        }
    };
    let mut kept: Vec<_> = batches.iter().take(4).collect();
    assert_eq!(kept.len(), 4);
    drop((batches, listener));

    // Another stream shares the budget, of which 40 MiB are held. It would wait for ever. On a busy machine a call that
    // takes longer is told first, and that is the same stall.
    let is_told = (0..50).any(|_| {
        let _opened = open(&server, config.clone());
        notices.try_iter().for_each(drop);
        stalled(&notices) == ShardState::WaitingForBudget
    });
    assert!(is_told, "that it waits for room");

    let (batches, listener) = open(&server, config);
    kept.clear();
    read(batches, listener, 40);
}
