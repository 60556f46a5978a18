//! The first program of the README, beside the example `server`: what somebody sees who has just found this crate.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use rustix::process::Signal;

use crate::common::directory::Directory;
use crate::program::{Program, Running};

/// The example `server`, and the variables that it says.
fn server() -> (Running, Vec<(String, String)>) {
    let server = Program::example("server").start();
    let line = server.line();
    let variables = line.strip_prefix("export ").unwrap_or_else(|| panic!("{line}"));
    let pair = |word: &str| {
        let (name, value) = word.split_once('=').unwrap();
        (name.to_owned(), value.to_owned())
    };
    let variables = variables.split(' ').map(pair).collect();
    (server, variables)
}

fn first(variables: &[(String, String)], directory: &Path) -> Program {
    let program = Program::example("first").directory(directory);
    variables.iter().fold(program, |program, (name, value)| program.variable(name, value))
}

/// The number of an order, in a line such as `shardId-000000000000 customer-3: {"order": 13, "item": "espresso"}`.
fn order(line: &str) -> u64 {
    let (_, rest) = line.split_once(r#"{"order": "#).unwrap_or_else(|| panic!("{line}"));
    rest.split(',').next().unwrap().parse().unwrap()
}

/// Ends it as Ctrl-C does, and gives what it printed until then and was not looked at.
fn interrupt(running: Running) -> Vec<u64> {
    running.signal(Signal::INT);
    running.end().success().iter().map(|line| order(line)).collect()
}

#[test]
fn it_prints_text_stops_at_ctrl_c_and_resumes() {
    let (server, variables) = server();
    let directory = Directory::new("first");
    let running = first(&variables, directory.path()).start();
    let mut orders = vec![order(&running.line()), order(&running.line())];
    orders.extend(interrupt(running));

    // Until nothing is missing, whichever shard was read first.
    let running = first(&variables, directory.path()).start();
    let last = orders.iter().max().unwrap() + 1;
    while !(1..=last).all(|number| orders.contains(&number)) {
        orders.push(order(&running.line()));
    }
    orders.extend(interrupt(running));
    let different: BTreeSet<_> = orders.iter().collect();
    assert_eq!(different.len(), orders.len(), "an order came twice: {orders:?}");

    server.signal(Signal::INT);
    assert!(server.end().status.success());
}

#[test]
fn what_goes_wrong_is_said_in_text() {
    let directory = Directory::new("first-wrong");
    let nowhere = [("AWS_REGION", "us-east-1"), ("AWS_ENDPOINT_URL_KINESIS", "ftp://localhost")];
    let nowhere = nowhere.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let ended = first(&nowhere, directory.path()).start().end();
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.stderr.contains("AWS_ENDPOINT_URL_KINESIS"), "{}", ended.stderr);
    assert!(!ended.stderr.contains(['{', '\n']), "{}", ended.stderr);
}

#[test]
fn it_is_what_the_readme_shows() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let block = readme.split("```rust,no_run\n").nth(1).unwrap();
    let shown = block.split("```").next().unwrap();
    let example = fs::read_to_string(root.join("examples/first.rs")).unwrap();
    let (_, program) = example.split_once("\n\n").unwrap();
    assert_eq!(shown, program);
}
