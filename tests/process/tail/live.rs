//! A stream that is written to, split and gone on from, on every server there is.

use std::collections::BTreeSet;
use std::env;
use std::io::Write;
use std::process;

use rustix::process::Signal;
use serde_json::Value;

use super::{file, sorted};
use crate::common::support::{Admin, Server};
use crate::program::Program;

#[test]
fn embedded() {
    let server = Server::start().unwrap();
    live("embedded", server.endpoint());
}

#[test]
fn kinesis_local() {
    at("kinesis-local", "KINESIS_LOCAL_ENDPOINT");
}

#[test]
fn kinesalite() {
    at("kinesalite", "KINESALITE_ENDPOINT");
}

/// Where the variable says. Without it the server is left out, which is said; in CI that is a failure.
fn at(server: &str, variable: &str) {
    match env::var(variable).ok().filter(|value| !value.is_empty()) {
        Some(endpoint) => live(server, &endpoint),
        None => {
            let in_ci = env::var("CI").is_ok_and(|value| value == "true");
            assert!(!in_ci, "{variable} is not set: tests/servers/run.sh COMMAND sets it");
            let line = format!(
                "tail, {server}: left out, {variable} is not set (tests/servers/run.sh sets it)\n"
            );
            // Past what `cargo test` keeps to itself; an error means that nobody is there to be told.
            let _ = std::io::stderr().write_all(line.as_bytes());
        }
    }
}

fn live(server: &str, endpoint: &str) {
    let admin = Admin::new(endpoint, format!("tail-{}", process::id())).unwrap();
    admin.create(2).unwrap();
    let put = |numbers: std::ops::Range<usize>| {
        let record = |number: usize| (number.to_string(), number.to_string().into_bytes());
        admin.put(numbers.map(record).collect()).unwrap();
    };
    let file = file(server);
    let program = |more: &[&str]| {
        let store = ["--store", file.to_str().unwrap(), "--from", "trim-horizon"];
        Program::new(endpoint).arguments(&[admin.stream()]).arguments(&store).arguments(more)
    };

    put(0..20);
    let running = program(&["--format", "json"]).start();
    let mut lines = running.take(20);
    admin.split(&admin.open_shards().unwrap()[0]).unwrap();
    put(20..60);
    lines.extend(running.take(40));
    running.signal(Signal::INT);
    assert_eq!(running.end().status.code(), Some(130));
    let records: Vec<Value> =
        lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let data = records.iter().map(|record| record["data"].as_str().unwrap().to_owned());
    assert_eq!(sorted(data.collect()), Vec::from_iter(0..60));
    let shards: BTreeSet<_> = records.iter().map(|record| record["shard"].as_str()).collect();
    assert_eq!(shards.len(), 4, "{shards:?}");

    put(60..70);
    let rest = program(&["--no-follow"]).start().end().success();
    assert_eq!(sorted(rest), Vec::from_iter(60..70));
    admin.delete().unwrap();
}
