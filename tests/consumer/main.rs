//! Whole consumers, over the in-memory Kinesis and over servers of these tests: one module for each subject.
//!
//! `cargo test --features full --test consumer -- on_error::` runs one of them.

#![allow(clippy::unwrap_used, reason = "helpers of tests, which Clippy does not see as tests")]

#[path = "../common/mod.rs"]
mod common;

mod bad_input;
mod batches;
mod budget;
mod by_arn;
mod corners;
mod doors;
mod drains;
mod ends;
mod kpl;
mod listeners;
mod notices;
mod on_error;
mod progress;
mod stored;
mod stores;
mod workers;
