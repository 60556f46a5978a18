//! A fleet of whole processes on kinesis-local and a table of dynoxide: what happens to them, and what it costs.
//!
//! Each process is this binary again, with one test alone, which finds its orders in the environment.

mod check;
mod figures;
mod life;
mod member;
mod notes;
mod producer;
mod torture;
mod world;

use crate::common::children::test_of;

/// The name of the test, which the children run too.
const TEST: &str = "kills_stops_splits_and_faults_lose_no_record_and_repeat_none_without_a_cause";

/// A minute; `FLEET_SECONDS` says how long else.
#[test]
fn kills_stops_splits_and_faults_lose_no_record_and_repeat_none_without_a_cause() {
    match member::Orders::read() {
        Some(orders) => orders.follow().unwrap(),
        None => torture::run(),
    }
}

/// The test that each process runs.
fn test() -> String {
    test_of(module_path!(), TEST)
}
