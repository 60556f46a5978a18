//! A consumer whose calls go wrong in every way that the fault layer knows.

// The helpers are tests as well.
#![allow(clippy::unwrap_used)]

mod amazon;
mod bodies;
mod connections;
mod contract;
mod deadlines;
mod layer;
mod lineage;
mod logs;
#[path = "../common/promptly.rs"]
mod promptly;
mod refusals;
mod streams;
mod trial;

#[path = "../../examples/support/mod.rs"]
mod support;
