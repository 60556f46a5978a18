//! The AWS client: calls, credentials and the network, against servers of these tests.

#![allow(clippy::unwrap_used, reason = "helpers of tests, which Clippy does not see as tests")]

#[path = "../common/mod.rs"]
mod common;

mod bad_network;
mod by_arn;
mod client;
mod credentials;
mod endpoints;
mod renewal;
mod roles;
mod runtime;
mod sso;
mod sts;
mod tables;
mod trial;
