//! The table of leases in DynamoDB, on servers that speak like it: tests/servers/run.sh starts them.

#![allow(clippy::unwrap_used, reason = "helpers of tests, which Clippy does not see as tests")]

#[path = "../common/mod.rs"]
mod common;
mod proxy;

mod contract;
mod faults;
mod shared;

use std::env;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use kinesis_consumer::{DynamoLeases, KinesisClient};

/// A server, by the variable that has its address.
fn at(variable: &str) -> Option<Server> {
    let endpoint = match env::var(variable) {
        Ok(endpoint) => endpoint,
        Err(_) if env::var_os("CI").is_none() => return None,
        Err(_) => panic!("{variable} is not set: tests/servers/run.sh does that"),
    };
    let client = KinesisClient::builder().region("us-east-1").credentials("key", "secret");
    Some(Server { client: client.build().expect("a client"), endpoint })
}

/// A server, and who calls it.
struct Server {
    client: KinesisClient,
    endpoint: String,
}

impl Server {
    /// A new table, whose name begins like this.
    fn table(&self, name: &str) -> DynamoLeases {
        static TABLES: AtomicU32 = AtomicU32::new(0);
        let number = TABLES.fetch_add(1, Ordering::Relaxed);
        let name = format!("{name}-{number}-{}", std::process::id());
        let table = self.client.lease_table(name).expect("a name").endpoint(&self.endpoint);
        // These servers are slow beside others.
        let table = table.and_then(|table| table.deadline(Duration::from_secs(10))).unwrap();
        table.create().expect("a table");
        table
    }
}
