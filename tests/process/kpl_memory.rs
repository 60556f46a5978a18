//! Memory of a process that takes large aggregates of the smallest user records apart: it stays under the formula of the
//! manual, whatever the budget counts.
//!
//! The process is this binary again. It reads from a server of the parent until each shard waits for the budget, and only
//! then takes the first batch.

#![cfg(target_os = "linux")]

use std::env;
use std::fs;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use base64_simd::STANDARD;
use kinesis_consumer::{
    Budget, Config, Deaggregation, KinesisClient, LocalStore, ShardProgress, ShardState, Stream,
};

use crate::common::children::test_of;
use crate::common::loopback::{self, Server, stream_of};
use crate::common::{SOON, aggregate_of};

const MIB: usize = 1 << 20;
/// User records of one byte that fit into an aggregate of a mebibyte.
const USERS: usize = 149_000;
/// How many aggregates each shard holds: an answer has one.
const ANSWERS: usize = 3;
/// Tells the child where the server is.
const SERVER: &str = "KPL_MEMORY_SERVER";

#[test]
fn eight_shards_of_the_smallest_user_records_stay_under_the_formula() {
    measure("eight_shards_of_the_smallest_user_records_stay_under_the_formula", 8, 32 * MIB);
}

#[test]
#[ignore = "reads for minutes where nothing is optimized"]
fn two_hundred_shards_of_the_smallest_user_records_stay_under_the_formula() {
    let name = "two_hundred_shards_of_the_smallest_user_records_stay_under_the_formula";
    measure(name, 200, 64 * MIB);
}

/// In the parent: what the child took at most. In the child: reads.
fn measure(name: &str, shards: usize, budget: usize) {
    if let Ok(address) = env::var(SERVER) {
        return read(&address, shards, budget);
    }
    let server = serving(shards);
    let mut child = Command::new(env::current_exe().unwrap());
    let test = test_of(module_path!(), name);
    child.args([&test, "--exact", "--nocapture", "--include-ignored"]).env(SERVER, server.url());
    let output = child.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let failed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{failed}");
    let peak = said.lines().find_map(|line| line.strip_prefix("peak MiB ")).unwrap();
    let (peak, formula) = (peak.parse::<usize>().unwrap(), formula(shards, budget) / MIB);
    println!("{shards} shards: {peak} MiB, by the formula {formula}");
    assert!(
        peak <= formula,
        "{peak} MiB for {shards} shards, more than the {formula} of the formula"
    );
}

/// As the manual has it.
fn formula(shards: usize, budget: usize) -> usize {
    budget * 5 / 4 + shards * (256 << 10) + 24 * MIB
}

/// An aggregate in base64: one key, and user records of one byte.
fn aggregate() -> String {
    let message = [&b"\x0a\x01k"[..], &b"\x1a\x05\x08\x00\x1a\x01u".repeat(USERS)].concat();
    STANDARD.encode_to_string(aggregate_of(&message))
}

fn serving(shards: usize) -> Server {
    let (data, stream) = (aggregate(), stream_of(shards));
    Server::new(move |request| {
        if let Some(shard) = request.field("ShardId") {
            return Some(loopback::ok(&format!(r#"{{"ShardIterator":"{shard}/0"}}"#)));
        }
        let Some((shard, from)) = request.place() else { return Some(stream(request)) };
        let next = (from + 1).min(ANSWERS);
        let record = (from < ANSWERS).then(|| {
            format!(r#"{{"SequenceNumber":"{next}","PartitionKey":"key","Data":"{data}"}}"#)
        });
        let record = record.unwrap_or_default();
        let text = format!(r#"{{"Records":[{record}],"NextShardIterator":"{shard}/{next}"}}"#);
        Some(loopback::ok(&text))
    })
}

/// Reads all of it, and says what the process took at most.
fn read(address: &str, shards: usize, budget: usize) {
    let client = KinesisClient::builder()
        .endpoint(address)
        .credentials("key", "secret")
        .region("eu-central-1")
        .build()
        .unwrap();
    let config = Config::new()
        .interval(Duration::from_millis(20))
        .capacity(1_000)
        .budget(Budget::new(budget))
        .deaggregation(Deaggregation::All);
    let stream = Stream::new(client, "orders", LocalStore::new(), config).unwrap();
    let (batches, listener) = stream.receiver().unwrap();
    let is_held_up = |shard: &ShardProgress| shard.state == ShardState::WaitingForBudget;
    let deadline = Instant::now() + SOON;
    loop {
        let progress = listener.progress();
        if progress.shards.len() == shards && progress.shards.iter().all(is_held_up) {
            break;
        }
        assert!(Instant::now() < deadline, "{progress:?}");
        thread::yield_now();
    }
    let mut left = shards * ANSWERS * USERS;
    while left > 0 {
        let batch = batches.recv_timeout(SOON).unwrap();
        left -= batch.records().iter().filter(|record| record.data() == b"u").count();
        batch.commit().unwrap();
    }
    drop((batches, listener));
    println!("peak MiB {}", peak_kib() / 1_024);
}

/// The most memory that this process has had, in KiB.
fn peak_kib() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
