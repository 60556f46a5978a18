//! Reads an Amazon Kinesis data stream from ordinary blocking code.

mod batch;
mod client;
mod config;
mod coordinator;
mod dispatch;
mod engine;
mod error;
mod gap;
mod handler;
mod ledger;
mod lineage;
mod listener;
mod listing;
mod poller;
mod position;
mod record;
mod retry;
mod sequence;
mod shard;
mod shutdown;
#[cfg(test)]
mod simulation;
mod store;
mod stream;
mod tracker;

pub use crate::batch::{Batch, Commit};
pub use crate::client::{
    Answer, Call, Client, ClientBuilder, ClientError, Credentials, ErrorClass, KinesisClient,
    ShardIterator, ShardPage, StreamStatus, Token,
};
#[cfg(any(test, feature = "testing"))]
pub use crate::client::{HeldRecord, MemoryKinesis, Operation, Put};
pub use crate::config::{Config, OnGap};
pub use crate::error::{BoxError, Error};
pub use crate::gap::Gap;
pub use crate::handler::Handler;
pub use crate::listener::Listener;
pub use crate::position::{InvalidPositionKey, IteratorType, Position};
pub use crate::record::{Iter, Record, Records, RecordsBuilder};
pub use crate::sequence::{InvalidSequenceNumber, SequenceNumber};
pub use crate::shard::{ChildShard, HashKeyRange, Shard};
pub use crate::shutdown::Shutdown;
#[cfg(any(test, feature = "testing"))]
pub use crate::store::store_contract;
pub use crate::store::{LocalStore, Store, StoreError, StoreErrorKind};
pub use crate::stream::Stream;
