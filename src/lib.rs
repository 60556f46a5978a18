//! Reads an Amazon Kinesis data stream from ordinary blocking code: one thread per shard, no async, no
//! runtime to start or share.
//!
//! ```
//! use kinesis_consumer::{Config, LocalStore, Stream};
//! use kinesis_consumer::testing::MemoryKinesis;
//!
//! // In production: `KinesisClient::new()?`, with region and credentials from the environment.
//! let client = MemoryKinesis::new();
//! client.create_stream("orders", 2);
//! client.put("orders", "customer-7", b"one espresso");
//!
//! let stream = Stream::new(client, "orders", LocalStore::new(), Config::new())?;
//! let shutdown = stream.shutdown();
//! stream.listen(|batch| {
//!     for record in batch.records() {
//!         let text = String::from_utf8_lossy(record.data());
//!         println!("{} {}: {text}", batch.shard(), record.partition_key());
//!     }
//!     shutdown.now(); // from any thread, at any time
//!     Ok(()) // the batch is done: its position is stored now
//! })?;
//! # Ok::<(), kinesis_consumer::Error>(())
//! ```
//!
//! # What is promised
//!
//! - **At least once.** A position is stored only after its batch was handled ([`Ok`]) or committed. No
//!   error, panic, throttling, expiry, stall, reshard or restart loses a record that the stream still
//!   holds. A record comes again only after a restart or an attempt that failed, and only if no position
//!   after it was stored: its batch, or an earlier one of its shard or of that shard's ancestors, was not committed, or
//!   the write was [delayed](Config::store_every) or failed.
//! - **Order.** The records of a shard come in sequence order, and after all records of the shards that
//!   it was split or merged from. One reader sees that order, and so do the workers of
//!   [`Stream::receivers`] and [`Stream::listen_workers`]; several workers on one receiver do not.
//! - **Bounded memory**, [by a formula](manual::memory): answers, while they are read and while their records are in
//!   use, stay within a [`Budget`], by default 64 MiB.
//! - **A stop wakes every wait**, and ends a call in progress.
//!   [It waits only](manual::stopping#what-a-stop-waits-for) for a handler, a call of the [`Store`], a call of a
//!   [`Client`] that cannot be interrupted, and finding and connecting to the server, up to 3 s each. Every thread that
//!   it starts to read or to handle has a name that begins with `kc-`, and is joined.
//! - **Errors are typed**, with their shard. [`Stream::listen`] or [`Listener::join`] returns them; a
//!   handler's panic comes out there too.
//! - **No silent jump.** Where reading cannot resume exactly, it is an error or a reported choice: [`Gap`]; there is
//!   [one case](manual::failures#gaps) that nobody can see.
//!
//! # The manual
//!
//! - **Reading**: [ways to read](manual::reading), [how it works](manual::threads), [splits and
//!   merges](manual::resharding), [settings](manual::settings), [memory](manual::memory), [positions and
//!   stores](manual::stores), [aggregated records](manual::aggregates)
//! - **When something is wrong**: [failures of the handler, gaps, stalls](manual::failures),
//!   [errors](manual::errors), [the log](manual::log)
//! - **Running it**: [on AWS](manual::on_aws), [credentials](manual::credentials), [the
//!   environment](manual::environment), [stopping, Kubernetes](manual::stopping), [progress, metrics,
//!   alerts](manual::monitoring), [testing a handler](manual::testing), [many consumers](manual::fleet), [other consumers](manual::sharing),
//!   [costs](manual::costs), [in the terminal](manual::tail)
//! - **Choosing it**: [limits](manual::limits), [performance](manual::performance),
//!   [dependencies](manual::dependencies), [migrating](manual::migrating) from go-kcl, KCL or an SDK,
//!   [versions](manual::versions)
//!
//! # The types
//!
//! A [`Stream`] takes a [`Client`], which is [`KinesisClient`] or yours, the stream's name or ARN, a [`Store`] for the
//! positions, which is [`LocalStore`], [`SqliteStore`], yours, or a [`Fleet`] that shares the stream with other consumers, and a [`Config`]. It gives each [`Batch`] of
//! [`Records`] to your closure or [`Handler`], or to your receiver ([`Batches`]). A [`Listener`] owns the threads, a
//! [`Shutdown`] stops them, a [`Monitor`] watches them. What goes wrong is an [`Error`].
//!
//! # Features
//!
//! | feature | brings |
//! |---|---|
//! | `native-tls` | TLS by the system's library; on by default, and counts if `rustls` is on too |
//! | `rusoto` | rusoto's client for listings of streams by their names, and [`RusotoProvider`]; on by default |
//! | `rustls` | TLS in Rust, with the system's certificates |
//! | `bundled-roots` | with `rustls`, Mozilla's certificates instead |
//! | `vendored` | OpenSSL, built from its source and linked statically |
//! | `fleet` | [`DynamoLeases`], the table of a [`Fleet`] in DynamoDB |
//! | `sqlite` | [`SqliteStore`]; compiles SQLite, which needs a C compiler |
//! | `kpl` | [`Config::deaggregation`] |
//! | `metrics` | numbers for the crate `metrics` |
//! | `serde` | `Serialize` of [`Progress`]; [`Position`] and [`SequenceNumber`] as text, also `Deserialize` |
//! | `testing` | the module [`testing`]: [`MemoryKinesis`](testing::MemoryKinesis), contracts of stores and clients |
//! | `full` | all of the above but `rustls`, `bundled-roots` and `vendored` |
//!
//! Each only adds items. [On AWS](manual::on_aws#tls-and-small-images) says which TLS fits where.

// A copied example builds without a warning.
#![doc(test(attr(deny(warnings))))]
// On docs.rs, which has a nightly compiler, each item says which feature it needs.
#![cfg_attr(docsrs, feature(doc_cfg))]
// The manual speaks of all features; without them the items that it links to are not there.
#![cfg_attr(not(feature = "full"), allow(rustdoc::broken_intra_doc_links))]

mod aws;
mod budget;
mod client;
mod config;
mod control;
mod core;
mod delivery;
mod engine;
mod error;
mod listener;
#[cfg(any(doc, doctest))]
pub mod manual;
mod model;
mod observe;
mod record;
#[cfg(test)]
mod schedules;
#[cfg(test)]
mod simulation;
mod store;
mod stream;
mod sync;

pub use crate::aws::credentials::Credentials;
pub use crate::aws::credentials::provider::CredentialsProvider;
#[cfg(feature = "rusoto")]
pub use crate::aws::credentials::rusoto::RusotoProvider;
pub use crate::budget::Budget;
pub use crate::client::Client;
#[cfg(feature = "fleet")]
pub use crate::client::dynamo::DynamoLeases;
pub use crate::client::kinesis::KinesisClient;
pub use crate::client::kinesis::builder::ClientBuilder;
pub use crate::config::Config;
pub use crate::control::call::Call;
pub use crate::control::pause::Pauses;
pub use crate::control::shutdown::Shutdown;
pub use crate::core::settings::{OnForeign, OnGap, OnTrimmed};
pub use crate::delivery::batch::{Batch, Commit};
pub use crate::delivery::batches::{Batches, IntoBatches};
pub use crate::delivery::handler::Handler;
pub use crate::delivery::on_error::{DeadLetter, OnError};
pub use crate::engine::monitor::Monitor;
pub use crate::error::client::{ClientError, ErrorClass};
pub use crate::error::fleet::FleetErrorKind;
pub use crate::error::store::{StoreError, StoreErrorKind};
pub use crate::error::{BoxError, Error};
pub use crate::listener::Listener;
pub use crate::model::gap::Gap;
pub use crate::model::lease_call::LeaseCall;
pub use crate::model::listed::{ShardPage, StreamStatus};
pub use crate::model::notice::{LossReason, Notice, ShardState};
pub use crate::model::position::{InvalidPositionKey, IteratorType, Position};
pub use crate::model::sequence::{InvalidSequenceNumber, SequenceNumber};
pub use crate::model::shard::{ChildShard, HashKeyRange, Shard};
pub use crate::model::stream_id::{InvalidStreamId, StreamId};
pub use crate::model::token::{ShardIterator, Token};
pub use crate::observe::fleet::FleetProgress;
pub use crate::observe::progress::{Progress, ShardProgress};
#[cfg(feature = "kpl")]
pub use crate::record::aggregate::Deaggregation;
pub use crate::record::answer::Answer;
pub use crate::record::builder::RecordsBuilder;
pub use crate::record::{Record, RecordIter, Records};
pub use crate::store::Store;
pub use crate::store::export::error::ImportError;
pub use crate::store::export::{Import, export_positions, import_positions};
pub use crate::store::leases::fleet::{Fleet, Leases};
pub use crate::store::local::LocalStore;
#[cfg(feature = "sqlite")]
pub use crate::store::sqlite::SqliteStore;
#[cfg(feature = "sqlite")]
pub use crate::store::sqlite::builder::{Durability, SqliteStoreBuilder};
pub use crate::stream::Stream;
pub use bytes;
pub use crossbeam_channel;

/// The table of leases that the consumers of a [`Fleet`] share: what a table of your own implements.
pub mod leases {
    pub use crate::error::lease_table::{LeaseTableError, LeaseTableErrorKind};
    pub use crate::model::item::{Attribute, Item, KEY};
    pub use crate::model::page::{Page, PageToken};
    pub use crate::model::write::{Act, Applied, Change, Condition, Update, Write};
    pub use crate::store::leases::LeaseTable;
}

/// For tests: a Kinesis and a table of leases in memory, and the contracts of every [`Store`], [`Client`] and
/// [`LeaseTable`](leases::LeaseTable); with feature `testing`.
#[cfg(any(test, feature = "testing"))]
pub mod testing {
    pub use crate::client::contract::client_contract;
    pub use crate::client::contract::service::Service;
    pub use crate::client::memory::fault::Operation;
    pub use crate::client::memory::shard::HeldRecord;
    pub use crate::client::memory::{MemoryKinesis, Put};
    pub use crate::store::contract::store_contract;
    pub use crate::store::leases::contract::lease_table_contract;
    pub use crate::store::leases::memory::{MemoryLeases, TableFault};
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;
