//! Several consumers that share a stream through one table of leases, in real time: one module for each subject.
//!
//! `cargo test --features full --test fleet -- members::` runs one of them.

#![allow(clippy::unwrap_used, reason = "helpers of tests, which Clippy does not see as tests")]

#[path = "../common/mod.rs"]
mod common;
mod tables;
mod team;

mod bad_input;
mod doors;
mod ends;
mod failures;
mod late;
mod lineage;
mod members;
mod positions;
mod rows;
