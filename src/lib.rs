//! Reads an Amazon Kinesis data stream from ordinary blocking code: one thread per shard, no async, no
//! runtime to start or share.
//!
//! ```
//! use kinesis_consumer::{Config, LocalStore, MemoryKinesis, Stream};
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
//!     Ok(()) // the batch is done: how far it came is stored now
//! })?;
//! # Ok::<(), kinesis_consumer::Error>(())
//! ```
//!
//! # What is promised
//!
//! - **At least once.** A position is stored only after its batch was handled ([`Ok`]) or committed. No
//!   error, panic, throttling, expiry, stall, reshard or restart loses a record that the stream still
//!   holds. A record comes again only after a restart or an attempt that failed, and only if its batch
//!   was not committed.
//! - **Order.** The records of a shard come in sequence order, and after all records of the shards that
//!   it was split or merged from. One reader sees that order, and so do the workers of
//!   [`Stream::receivers`] and [`Stream::listen_workers`]; several workers on one receiver give it up.
//! - **Bounded memory**: answers, while they are read and while their records are in use, stay within a
//!   [`Budget`], 64 MiB unless [`Config::budget`] says otherwise; beside it a quarter as much is kept for the next
//!   answers, and a shard takes at most 256 KiB.
//! - **A stop wakes every wait**, and ends a call in progress; only a handler in progress is waited for.
//!   Every thread that reads or handles has a name that begins with `kc-`, and is joined.
//! - **Errors are typed**, with their shard, and come out of [`Stream::listen`] or [`Listener::join`]; so
//!   does a handler's panic.
//! - **No silent jump.** Where reading cannot go on exactly, it is an error or a reported choice: [`Gap`].
//!
//! # How it works
//!
//! ```text
//! ListShards -> lineage -> one thread per shard: GetRecords -> bounded channel -> handler, commit -> Store
//!                  ^                  |                               \-> your receiver, your commit -/
//!                  \-- shard ended: its children
//! ```
//!
//! Open one of three doors, each of which takes the [`Stream`]:
//!
//! - [`listen`](Stream::listen) blocks, and calls a closure, which may borrow, on the calling thread;
//! - [`spawn`](Stream::spawn) does so on a thread of its own, and returns a [`Listener`];
//! - [`receiver`](Stream::receiver) gives the channel itself, for `select!`, loops and workers; what is
//!   taken from it is to be [committed](Batch::commit), in any order.
//!
//! Several threads may work, each in the order of its shards: [`Stream::receivers`] gives one channel for each, and
//! [`Stream::listen_workers`] calls a handler on each.
//!
//! A [`Store`] remembers how far each shard is done, as a [`Position`]. [`LocalStore`] does so in memory,
//! and `SqliteStore`, with feature `sqlite`, in a file; anything with a compare-and-set can.
//! [`export_positions`] and [`import_positions`] show positions as JSON, move them to another store, and
//! rewind.
//!
//! # When the handler fails
//!
//! An error of the handler stops the consumer with [`Error::Handler`], unless [`Config::on_error`] says
//! otherwise: [`OnError`] hands the batch over again with growing waits, while other shards go on, halves it to
//! find the record at fault, and hands what is refused for the last time to a dead-letter callback. A record
//! is passed over only if that callback took it.
//!
//! What does not stop the consumer and should be known, a gap that is passed over or a shard that makes no
//! progress, is logged, and told to [`Config::on_notice`].
//!
//! # Looking at a consumer, and letting it pause
//!
//! [`Stream::monitor`] and [`Listener::monitor`] give a [`Monitor`], which tells of each shard what it does now, how
//! far it was read and committed, how far it is behind, and what failed; and which pauses shards and lets them go on.
//!
//! ```
//! use kinesis_consumer::{Config, LocalStore, MemoryKinesis, Stream};
//!
//! # let client = MemoryKinesis::new();
//! # client.create_stream("orders", 1);
//! # client.put("orders", "customer-7", b"one espresso");
//! let stream = Stream::new(client, "orders", LocalStore::new(), Config::new())?;
//! let (batches, listener) = stream.receiver()?;
//! batches.recv()?.commit()?;
//! for shard in listener.progress().shards {
//!     println!("{}: {}, {} records", shard.shard, shard.state, shard.records);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! With feature `metrics` the same goes to the recorder of the `metrics` facade that is installed when a shard starts,
//! with the labels `stream` and `shard`; the example `prometheus` serves them:
//!
//! | metric | kind | unit | what |
//! |---|---|---|---|
//! | `kinesis_records_total` | counter | records | sent to the handler or the receiver |
//! | `kinesis_bytes_total` | counter | bytes | of data in these records |
//! | `kinesis_answers_total` | counter | calls | of `GetRecords` that were answered |
//! | `kinesis_errors_total` | counter | calls | that failed; with the label `class`, as in [`ErrorClass`] |
//! | `kinesis_call_seconds` | histogram | seconds | that an answered `GetRecords` took |
//! | `kinesis_handler_seconds` | histogram | seconds | that the handler took for a batch; not where you take the batches yourself |
//! | `kinesis_behind_latest_seconds` | gauge | seconds | that the last answer was behind the newest record, where the server tells |
//! | `kinesis_commit_age_seconds` | gauge | seconds | since a batch was last committed, at the last answer |
//! | `kinesis_budget_used_bytes` | gauge | bytes | of the [`Budget`] in use, at the last answer; of the stream, without the label `shard` |
//!
//! # Aggregated records
//!
//! With feature `kpl`, `Config::deaggregation` takes records apart that Amazon's producer library has aggregated:
//! user records come in order, with [numbers of their own](Record::sub_sequence_number) under the sequence number of
//! their aggregate. [`Batch::commit_through`] commits in the middle of a batch, and of an aggregate, and a restart
//! goes on right there.
//!
//! # Where a shard starts
//!
//! The first of these that there is:
//!
//! 1. its stored position;
//! 2. its oldest record, if a position is stored for a shard that it descends from (or for any shard of
//!    the stream, when its own parents have left the listing): what it holds is the sequel;
//! 3. what [`Stream::start_at`] says for it, or for a shard that it descends from;
//! 4. [`Config::iterator_type`].
//!
//! [`Latest`](IteratorType::Latest) leaves out closed shards, unless one of the first two applies. A shard
//! that is born while the consumer runs starts at its oldest record.
//!
//! # Testing
//!
//! With feature `testing` there is `MemoryKinesis`, a [`Client`] without a server that splits, merges,
//! trims and fails on demand, and `store_contract`, which shows that a store keeps its contract.
//!
//! # Types of other crates
//!
//! The public API names types of three: [`bytes`] ([`Record::bytes`]) and [`crossbeam_channel`]
//! ([`Stream::receiver`], [`Call::stopped`]), which are re-exported here so that their versions and macros fit, and
//! `ProvideAwsCredentials` of `rusoto_credential` 0.48 ([`ClientBuilder::credentials_provider`]). A breaking version of
//! one of them is taken in a breaking version of this crate only; the same holds for `metrics` 0.24.

mod account;
mod batch;
mod budget;
mod buffer;
mod client;
mod config;
mod coordinator;
mod cursor;
mod dispatch;
mod engine;
mod error;
mod flushing;
mod gap;
mod handler;
#[cfg(feature = "kpl")]
mod kpl;
mod ledger;
mod lineage;
mod listener;
mod listing;
mod meter;
mod monitor;
mod notice;
mod on_error;
mod pace;
mod parking;
mod poller;
mod position;
mod progress;
mod reader;
mod record;
mod retry;
mod room;
mod sequence;
mod shard;
mod shutdown;
#[cfg(test)]
mod simulation;
mod slots;
mod spares;
mod status;
mod step;
mod store;
mod stream;
mod time;
mod tracker;
mod watchdog;

pub use crate::batch::{Batch, Commit};
pub use crate::budget::Budget;
pub use crate::client::{
    Answer, Call, Client, ClientBuilder, ClientError, Credentials, ErrorClass, KinesisClient,
    ShardIterator, ShardPage, StreamStatus, Token,
};
#[cfg(any(test, feature = "testing"))]
pub use crate::client::{HeldRecord, MemoryKinesis, Operation, Put};
#[cfg(feature = "kpl")]
pub use crate::config::Deaggregation;
pub use crate::config::{Config, OnGap};
pub use crate::error::{BoxError, Error};
pub use crate::gap::Gap;
pub use crate::handler::Handler;
pub use crate::listener::Listener;
pub use crate::monitor::Monitor;
pub use crate::notice::{Notice, ShardState};
pub use crate::on_error::{DeadLetter, OnError};
pub use crate::position::{InvalidPositionKey, IteratorType, Position};
pub use crate::progress::{Progress, ShardProgress};
pub use crate::record::{Record, RecordIter, Records, RecordsBuilder};
pub use crate::sequence::{InvalidSequenceNumber, SequenceNumber};
pub use crate::shard::{ChildShard, HashKeyRange, Shard};
pub use crate::shutdown::Shutdown;
#[cfg(any(test, feature = "testing"))]
pub use crate::store::store_contract;
#[cfg(feature = "sqlite")]
pub use crate::store::{Durability, SqliteStore, SqliteStoreBuilder};
pub use crate::store::{
    Import, ImportError, LocalStore, Store, StoreError, StoreErrorKind, export_positions,
    import_positions,
};
pub use crate::stream::Stream;
pub use bytes;
pub use crossbeam_channel;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;
