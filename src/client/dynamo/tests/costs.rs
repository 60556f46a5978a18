//! What it costs to read a table, which every consumer of a fleet does again and again.

use std::hint::black_box;
use std::process::Command;
use std::time::{Duration, Instant};
use std::{env, str};

use crate::client::dynamo::calls::page;

/// How many rows the child of the measurement reads.
const ROWS: &str = "KC_TEST_ROWS";
const MANY: usize = 10_000;
/// A row has eleven attributes, each with a text for its name and one for its value, and they fit into one node of the map. The
/// rest is for the list of the rows, which grows.
const MOST: f64 = 2.0 * 11.0 + 1.0 + 0.1;

/// What a scan of this many rows answers, each of a lease that is held.
fn scanned(rows: usize) -> Vec<u8> {
    let row = |number: usize| {
        format!(
            concat!(
                r#"{{"leaseKey":{{"S":"shardId-{:012}"}},"leaseCounter":{{"N":"{}"}},"leaseOwner":{{"S":"worker-{}"}},"#,
                r#""checkpoint":{{"S":"49680607622405051426916627138813915973776273771891523586"}},"#,
                r#""checkpointSubSequenceNumber":{{"N":"0"}},"ownerSwitchesSinceCheckpoint":{{"N":"0"}},"#,
                r#""startingHashKey":{{"S":"0"}},"endingHashKey":{{"S":"85070591730234615865843651857942052862"}},"#,
                r#""kcHolder":{{"S":"0123456789abcdef"}},"kcFailover":{{"N":"10000"}},"kcStream":{{"S":"orders"}}}}"#
            ),
            number,
            number * 7,
            number % 50,
        )
    };
    let rows: Vec<_> = (0..rows).map(row).collect();
    let count = rows.len();
    let rows = rows.join(",");
    format!(r#"{{"Count":{count},"Items":[{rows}],"ConsumedCapacity":{{"CapacityUnits":1.0}}}}"#)
        .into_bytes()
}

/// The time that reading them takes: the least of several, since the machine is shared.
fn time(body: &[u8]) -> Duration {
    let times = (0..9).map(|_| {
        let begun = Instant::now();
        black_box(page(black_box(body)).unwrap());
        begun.elapsed()
    });
    times.min().unwrap()
}

#[test]
#[ignore = "what the measurement runs under valgrind"]
fn child() {
    let Ok(rows) = env::var(ROWS) else { return };
    let body = scanned(MANY);
    for _ in 0..rows.parse::<usize>().unwrap() / MANY {
        assert_eq!(page(&body).unwrap().items.len(), MANY);
    }
}

/// How many allocations a process makes that reads this many rows.
fn allocations(rows: usize) -> f64 {
    let mut child = Command::new("valgrind");
    let name = format!("{}::child", module_path!().split_once("::").unwrap().1);
    child.args(["--leak-check=no", "--run-libc-freeres=no"]).arg(env::current_exe().unwrap());
    child.args(["--exact", &name, "--ignored", "--test-threads=1"]).env(ROWS, rows.to_string());
    let said = child.output().expect("valgrind is installed").stderr;
    let said = str::from_utf8(&said).unwrap();
    let (_, count) = said.split_once("total heap usage: ").unwrap_or_else(|| panic!("{said}"));
    count.split(' ').next().unwrap().replace(',', "").parse().unwrap()
}

#[test]
#[ignore = "needs valgrind, and time"]
fn a_row_is_read_with_two_allocations_for_each_attribute() {
    let each = (allocations(MANY) - allocations(0)) / MANY as f64;
    let body = scanned(MANY);
    let (length, took) = (body.len(), time(&body));
    println!("{each:.3} allocations a row; {MANY} rows, {length} bytes, in {took:?}");
    assert!(each <= MOST, "{each} allocations a row");
}
