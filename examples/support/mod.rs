//! Shared by the examples and the tests: a server in this process, a producer, a check, and faults.

#![allow(dead_code, unused_imports)] // each example and each test uses a part of it

mod admin;
mod arguments;
mod check;
mod faults;
mod server;
mod trail;

use std::path::Path;

use kinesis_consumer::{BoxError, KinesisClient};

pub(crate) use self::admin::Admin;
pub(crate) use self::arguments::Arguments;
pub(crate) use self::check::{Check, Plan};
pub(crate) use self::faults::{Fault, Faults, Operation, Request, Rule};
pub(crate) use self::server::Server;
pub(crate) use self::trail::Trail;

/// The region of the embedded server.
pub(crate) const REGION: &str = "us-east-1";

/// A stream to read: on a server of its own, or on the one that `--endpoint URL` names.
pub(crate) struct Demo {
    admin: Admin,
    endpoint: String,
    /// `None` if the server is not ours; then the stream is deleted at the end. Dropped last.
    server: Option<Server>,
}

impl Demo {
    /// Creates the stream, named after `name`, and waits until it can be read.
    pub(crate) fn start(name: &str, shards: i64) -> Result<Self, BoxError> {
        Self::start_at(Arguments::read()?.endpoint, name, shards)
    }

    /// The same on the server of this address, if one is given.
    pub(crate) fn start_at(
        endpoint: Option<String>,
        name: &str,
        shards: i64,
    ) -> Result<Self, BoxError> {
        let (server, endpoint) = match endpoint {
            Some(endpoint) => (None, endpoint),
            None => {
                let server = Server::start()?;
                let endpoint = server.endpoint().to_owned();
                (Some(server), endpoint)
            }
        };
        let admin = Admin::new(&endpoint, format!("{name}-{}", std::process::id()))?;
        admin.create(shards)?;
        Ok(Self { admin, endpoint, server })
    }

    /// The stream on a server inside that keeps its data in `FILE.server`; it is created if it does not exist.
    pub(crate) fn beside(store: &Path, name: &str, shards: i64) -> Result<Self, BoxError> {
        let server = Server::durable(&trail::with(store, "server"))?;
        let endpoint = server.endpoint().to_owned();
        let admin = Admin::new(&endpoint, name)?;
        if admin.shards().is_err() {
            admin.create(shards)?;
        }
        Ok(Self { admin, endpoint, server: Some(server) })
    }

    /// The stream's name.
    pub(crate) fn stream(&self) -> &str {
        self.admin.stream()
    }

    /// The server's address.
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    pub(crate) fn admin(&self) -> &Admin {
        &self.admin
    }

    /// The consumer's client: credentials from the environment, or invented ones.
    pub(crate) fn client(&self) -> Result<KinesisClient, BoxError> {
        let client = KinesisClient::builder().endpoint(&self.endpoint).region(admin::region());
        let client = match admin::credentials_are_given() {
            true => client,
            false => client.credentials("test", "test"),
        };
        Ok(client.build()?)
    }

    /// Puts this many records, `record 0` and so on, with ten partition keys in turn.
    pub(crate) fn put(&self, records: usize) -> Result<(), BoxError> {
        let records = (0..records)
            .map(|id| (format!("key-{}", id % 10), format!("record {id}").into_bytes()))
            .collect();
        self.admin.put(records)
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        if self.server.is_none() {
            if let Err(error) = self.admin.delete() {
                eprintln!("stream {:?} is left behind: {error}", self.stream());
            }
        }
    }
}
