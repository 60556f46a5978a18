//! The pages that people read, against the sources: the manual, what is public, and where a test goes.

#![allow(clippy::unwrap_used, reason = "helpers of tests, which Clippy does not see as tests")]

mod api;
mod manual;
mod modules;
mod package;
mod pictures;
mod places;
mod programs;
mod readme;
mod tables;
mod text;
mod trees;
mod words;
