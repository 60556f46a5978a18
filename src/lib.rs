//! Reads an Amazon Kinesis data stream from ordinary blocking code.

mod client;
mod config;
mod error;
mod gap;
mod position;
mod record;
mod sequence;
mod shard;
mod store;

pub use crate::client::{
    Answer, Call, Client, ClientBuilder, ClientError, Credentials, ErrorClass, KinesisClient,
    ShardIterator, ShardPage, StreamStatus, Token,
};
pub use crate::config::{Config, OnGap};
pub use crate::error::{BoxError, Error};
pub use crate::gap::Gap;
pub use crate::position::{InvalidPositionKey, IteratorType, Position};
pub use crate::record::{Iter, Record, Records, RecordsBuilder};
pub use crate::sequence::{InvalidSequenceNumber, SequenceNumber};
pub use crate::shard::{ChildShard, HashKeyRange, Shard};
pub use crate::store::{LocalStore, Store, StoreError, StoreErrorKind};
