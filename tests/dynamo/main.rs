//! The table of leases in DynamoDB, on servers that speak like it: tests/servers/run.sh starts them.

#![allow(clippy::unwrap_used, reason = "helpers of tests, which Clippy does not see as tests")]

#[path = "../common/mod.rs"]
mod common;
mod proxy;

mod beside_kcl;
mod contract;
mod faults;
#[cfg(unix)]
mod processes;
mod shared;

use std::env;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use kinesis_consumer::{DynamoLeases, KinesisClient};

/// A server of tables, by the variable that has its address.
fn at(variable: &str) -> Option<Server> {
    address(variable).map(Server::of)
}

/// The address of a server; none if it was not started, which is an error in CI.
fn address(variable: &str) -> Option<String> {
    match env::var(variable) {
        Ok(endpoint) => Some(endpoint),
        Err(_) if env::var_os("CI").is_none() => None,
        Err(_) => panic!("{variable} is not set: tests/servers/run.sh does that"),
    }
}

/// A server, and who calls it.
struct Server {
    client: KinesisClient,
    endpoint: String,
}

impl Server {
    /// The one at this address.
    fn of(endpoint: String) -> Self {
        let client = KinesisClient::builder().region("us-east-1").credentials("key", "secret");
        Self { client: client.build().expect("a client"), endpoint }
    }

    /// A new table, whose name begins like this.
    fn table(&self, name: &str) -> DynamoLeases {
        static TABLES: AtomicU32 = AtomicU32::new(0);
        let number = TABLES.fetch_add(1, Ordering::Relaxed);
        let name = format!("{name}-{number}-{}", std::process::id());
        let table = self.client.lease_table(name).expect("a name").endpoint(&self.endpoint);
        // These servers are slow beside others.
        let table = table.and_then(|table| table.deadline(Duration::from_secs(20))).unwrap();
        table.create().expect("a table");
        table
    }
}
