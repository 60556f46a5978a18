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
//!         println!("{}: {:?}", record.partition_key(), record.data());
//!     }
//!     shutdown.now(); // from any thread, at any time
//!     Ok(()) // the batch is done: its position is stored now
//! })?;
//! # Ok::<(), kinesis_consumer::Error>(())
//! ```
//!
//! # Contents
//!
//! - **Reading**: [what is promised](#what-is-promised), [how it works](#how-it-works),
//!   [choosing the settings](#choosing-the-settings), [sizing the memory](#sizing-the-memory),
//!   [positions and stores](#positions-and-stores), [aggregated records](#aggregated-records)
//! - **When something is wrong**: [when the handler fails](#when-the-handler-fails), [gaps](#gaps),
//!   [notices](#notices), [errors and their remedies](#errors-and-their-remedies),
//!   [what the log says](#what-the-log-says)
//! - **Running it**: [settings from the environment](#settings-from-the-environment), [on AWS](#on-aws),
//!   [stopping](#stopping), [Kubernetes](#in-a-container-under-kubernetes), [progress, pauses and metrics](#progress-pauses-and-metrics),
//!   [testing your handler](#testing-your-handler), [with other consumers](#with-other-consumers),
//!   [what it costs on AWS](#what-it-costs-on-aws)
//! - **Choosing it**: [limits](#limits-and-why), migrating from [go-kcl](#coming-from-go-kcl),
//!   [KCL](#coming-from-kcl) or [an SDK](#coming-from-a-loop-over-an-sdk), [versions](#versions)
//!
//! # What is promised
//!
//! - **At least once.** A position is stored only after its batch was handled ([`Ok`]) or committed. No
//!   error, panic, throttling, expiry, stall, reshard or restart loses a record that the stream still
//!   holds. A record comes again only after a restart or an attempt that failed, and only if its batch
//!   was not committed.
//! - **Order.** The records of a shard come in sequence order, and after all records of the shards that
//!   it was split or merged from. One reader sees that order, and so do the workers of
//!   [`Stream::receivers`] and [`Stream::listen_workers`]; several workers on one receiver do not.
//! - **Bounded memory**: answers, while they are read and while their records are in use, stay within a
//!   [`Budget`], by default 64 MiB ([`Config::budget`]). In addition, at most a quarter of it is kept as buffers for
//!   the next answers, and a shard takes at most 256 KiB.
//! - **A stop wakes every wait**, and ends a call in progress. [It waits only](#what-a-stop-waits-for) for a handler,
//!   a call of the [`Store`], a call of a [`Client`] that cannot be interrupted, and connecting, up to 3 s.
//!   Every thread that reads or handles has a name that begins with `kc-`, and is joined.
//! - **Errors are typed**, with their shard. [`Stream::listen`] or [`Listener::join`] returns them; a
//!   handler's panic comes out there too.
//! - **No silent jump.** Where reading cannot resume exactly, it is an error or a reported choice: [`Gap`].
//!
#![doc = include_str!("manual/how.md")]
#![doc = include_str!("manual/settings.md")]
#![doc = include_str!("manual/memory.md")]
#![doc = include_str!("manual/stores.md")]
#![doc = include_str!("manual/aggregates.md")]
#![doc = include_str!("manual/failures.md")]
//! # Errors and their remedies
//!
//! [`listen`](Stream::listen) and [`join`](Listener::join) return an [`Error`], with its shard if it has one. Its
//! text says what was tried and what to do, its source what went wrong: `{error:#}` shows both. No error loses a
//! record. [`Error::is_retriable`] says whether a later start of the same consumer may help.
//!
//! ```
//! use kinesis_consumer::{Config, Error, LocalStore, Stream};
//! use kinesis_consumer::testing::MemoryKinesis;
//!
//! let stream = Stream::new(MemoryKinesis::new(), "orders", LocalStore::new(), Config::new())?;
//! let ended = stream.listen(|_| Ok(()));
//! if let Err(error) = &ended {
//!     eprintln!("{error:#}");
//! }
//! assert!(matches!(ended, Err(Error::StreamNotFound { .. })));
//! # Ok::<(), Error>(())
//! ```
//!
#![doc = include_str!("manual/errors.md")]
//!
//! ## Classes of failed calls
//!
//! A call fails with a [`ClientError`]. Its [`ErrorClass`] decides what the consumer does. The class follows from the
//! service's name for the error and the status of the answer, never from a message. Each retry comes after a random
//! wait, up to 250 ms at first, twice as much after each failure in a row, up to 10 s.
//!
#![doc = include_str!("manual/classes.md")]
#![doc = include_str!("manual/log.md")]
#![doc = include_str!("manual/stopping.md")]
#![doc = include_str!("manual/looking.md")]
#![doc = include_str!("manual/testing.md")]
#![doc = include_str!("manual/sharing.md")]
#![doc = include_str!("manual/costs.md")]
#![doc = include_str!("manual/access.md")]
#![doc = include_str!("manual/on_aws.md")]
#![doc = include_str!("manual/limits.md")]
#![doc = include_str!("manual/migrating.md")]
#![doc = include_str!("manual/versions.md")]
// A copied example builds without a warning; parts of it may be unused.
#![doc(test(attr(deny(warnings), allow(dead_code, unreachable_code, unused_variables))))]
// On docs.rs, which has a nightly compiler, each item says which feature it needs.
#![cfg_attr(docsrs, feature(doc_cfg))]

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
mod model;
mod observe;
mod record;
#[cfg(test)]
mod simulation;
mod store;
mod stream;

pub use crate::aws::credentials::Credentials;
pub use crate::aws::credentials::provider::CredentialsProvider;
#[cfg(feature = "rusoto")]
pub use crate::aws::credentials::rusoto::RusotoProvider;
pub use crate::budget::Budget;
pub use crate::client::Client;
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
pub use crate::error::store::{StoreError, StoreErrorKind};
pub use crate::error::{BoxError, Error};
pub use crate::listener::Listener;
pub use crate::model::gap::Gap;
pub use crate::model::listed::{ShardPage, StreamStatus};
pub use crate::model::notice::{Notice, ShardState};
pub use crate::model::position::{InvalidPositionKey, IteratorType, Position};
pub use crate::model::sequence::{InvalidSequenceNumber, SequenceNumber};
pub use crate::model::shard::{ChildShard, HashKeyRange, Shard};
pub use crate::model::stream_id::{InvalidStreamId, StreamId};
pub use crate::model::token::{ShardIterator, Token};
pub use crate::observe::progress::{Progress, ShardProgress};
#[cfg(feature = "kpl")]
pub use crate::record::aggregate::Deaggregation;
pub use crate::record::answer::Answer;
pub use crate::record::builder::RecordsBuilder;
pub use crate::record::{Record, RecordIter, Records};
pub use crate::store::Store;
pub use crate::store::export::error::ImportError;
pub use crate::store::export::{Import, export_positions, import_positions};
pub use crate::store::local::LocalStore;
#[cfg(feature = "sqlite")]
pub use crate::store::sqlite::SqliteStore;
#[cfg(feature = "sqlite")]
pub use crate::store::sqlite::builder::{Durability, SqliteStoreBuilder};
pub use crate::stream::Stream;
pub use bytes;
pub use crossbeam_channel;

/// For tests: a Kinesis in memory, and the contracts of every [`Store`] and [`Client`]; with feature `testing`.
#[cfg(any(test, feature = "testing"))]
pub mod testing {
    pub use crate::client::contract::client_contract;
    pub use crate::client::contract::service::Service;
    pub use crate::client::memory::fault::Operation;
    pub use crate::client::memory::shard::HeldRecord;
    pub use crate::client::memory::{MemoryKinesis, Put};
    pub use crate::store::contract::store_contract;
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;
