//! Whole processes: killed, short of files, threads and disk, measured, and run as a program by its users.
//!
//! Each test starts children for what must not be shared: this binary again, or an example.

#![allow(clippy::unwrap_used, reason = "helpers of tests, which Clippy does not see as tests")]

#[path = "../common/mod.rs"]
mod common;

mod crash;
#[cfg(target_os = "linux")]
mod exhaustion;
#[cfg(unix)]
mod first;
#[cfg(target_os = "linux")]
mod kpl_memory;
#[cfg(unix)]
mod program;
#[cfg(unix)]
mod tail;
