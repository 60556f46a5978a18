//! Alone in its process, since a process has one recorder of metrics: what is exported, and the alerts on it.

#![allow(clippy::unwrap_used, reason = "helpers of tests, which Clippy does not see as tests")]

#[path = "../common/mod.rs"]
mod common;

mod alerts;
mod exported;
mod recorder;
