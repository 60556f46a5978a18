//! Leases in a table in memory: rows as Amazon's library leaves them, their writes, and which of them come and go.

mod audit;
mod births;
mod golden;
mod graphs;
mod heirs;
mod json;
mod late;
mod protocol;
mod row;
mod streams;
mod writes;

use std::collections::BTreeSet;
use std::time::Duration;

use super::checkpoint::{At, Checkpoint};
use super::row::{Holder, Row, Seen, read};
use super::writes::{Marks, Tenure};
use crate::model::item::{Attribute, Item, KEY};
use crate::model::write::{Applied, Write};
use crate::store::leases::LeaseTable;
use crate::store::leases::memory::MemoryLeases;

const SHARD: &str = "shardId-000000000000";
/// The nonce of the process whose worker is `me`.
const PROCESS: &str = "me/a1b2c3";

fn marks() -> Marks {
    Marks { failover: Duration::from_secs(10), limit: None, stream: "orders".into() }
}

/// Each worker is a process of its own.
fn tenure(worker: &str, number: u64) -> Tenure {
    let process = if worker == "me" { PROCESS } else { worker };
    let (holder, worker) = (Holder::new(process, number), worker.into());
    Tenure { shard: SHARD.into(), worker, holder }
}

fn number(text: &str) -> Checkpoint {
    Checkpoint { at: At::read(text).unwrap(), sub: Some(0), from: None, end: None }
}

fn set(texts: &[&str]) -> BTreeSet<String> {
    texts.iter().map(|it| (*it).to_owned()).collect()
}

#[track_caller]
fn lease(item: &Item) -> Row {
    match read(item) {
        Ok(Seen::Lease(row)) => *row,
        other => panic!("no lease: {other:?}"),
    }
}

fn key(item: &Item) -> &str {
    item.get(KEY).and_then(Attribute::text).unwrap()
}

/// The row after a write that is done.
#[track_caller]
fn done(table: &MemoryLeases, write: &Write) -> Row {
    match table.apply(write).unwrap() {
        Applied::Done(item) => lease(&item),
        refused @ Applied::Refused(_) => panic!("{write:?} was {refused:?}"),
    }
}

/// The row that came with a refusal.
#[track_caller]
fn refused(table: &MemoryLeases, write: &Write) -> Option<Item> {
    match table.apply(write).unwrap() {
        Applied::Refused(found) => found,
        done @ Applied::Done(_) => panic!("{write:?} was {done:?}"),
    }
}

fn row(table: &MemoryLeases) -> Row {
    lease(&table.get(SHARD).unwrap().unwrap())
}
