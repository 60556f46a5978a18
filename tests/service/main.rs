//! Consumers of servers that speak Kinesis: what each server does, and what goes wrong on the way to it.

#![allow(clippy::unwrap_used, reason = "helpers of tests, which Clippy does not see as tests")]

#[path = "../common/mod.rs"]
mod common;

mod conformance;
mod faults;
