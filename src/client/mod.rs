//! The four calls that a consumer makes, as a trait.

mod aws;
mod call;
mod error;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::position::IteratorType;
use crate::record::Records;
use crate::shard::{ChildShard, Shard};

pub use self::aws::{ClientBuilder, Credentials, KinesisClient};
pub use self::call::Call;
pub use self::error::{ClientError, ErrorClass};

/// A client of Kinesis: the calls that a consumer makes, all blocking.
///
/// Each call gets a [`Call`], which says when to give up. A call that is stopped may return any error;
/// it is not looked at.
pub trait Client: Send + Sync {
    /// The state of a stream (`DescribeStreamSummary`).
    ///
    /// # Errors
    /// [`ErrorClass::NotFound`] if there is no such stream.
    fn describe_stream(&self, stream: &str, call: &Call) -> Result<StreamStatus, ClientError>;

    /// One page of a stream's shards (`ListShards`): the first, or the one that `token` names.
    ///
    /// # Errors
    /// [`ErrorClass::ExpiredNextToken`] makes the caller start again at the first page.
    fn list_shards(
        &self,
        stream: &str,
        token: Option<&str>,
        call: &Call,
    ) -> Result<ShardPage, ClientError>;

    /// A token for reading a shard (`GetShardIterator`).
    ///
    /// # Errors
    /// [`ErrorClass::InvalidArgument`] for a number that the shard does not know,
    /// [`ErrorClass::NotFound`] if there is no such stream or shard.
    fn get_shard_iterator(
        &self,
        stream: &str,
        shard: &str,
        at: &IteratorType,
        call: &Call,
    ) -> Result<ShardIterator, ClientError>;

    /// The next records of a shard (`GetRecords`), at most `limit`.
    ///
    /// # Errors
    /// [`ErrorClass::ExpiredIterator`] for a token older than five minutes.
    fn get_records(&self, token: &Token, limit: u32, call: &Call) -> Result<Answer, ClientError>;

    /// A client for one run of a consumer, which [`interrupt`](Self::interrupt) may end for good.
    /// `shards` is how many calls will be under way at once.
    ///
    /// Defaults to `None`: the run uses this client, which is then never interrupted and watches
    /// [`Call::stopped`] itself.
    fn session(&self, shards: usize) -> Option<Arc<dyn Client>> {
        let _ = shards; // only a client with connections of its own needs it
        None
    }

    /// Ends every call in progress, and fails every later one; called from any thread when the run
    /// stops. Must not block. Defaults to nothing.
    fn interrupt(&self) {}
}

/// The state of a stream (`StreamStatus`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamStatus {
    /// Being created: it has no shards to read yet.
    Creating,
    /// Ready.
    Active,
    /// Being resharded; reading goes on.
    Updating,
    /// Being deleted.
    Deleting,
}

/// One page of a listing.
#[derive(Clone, Debug, Default)]
pub struct ShardPage {
    /// The shards of this page.
    pub shards: Vec<Shard>,
    /// The name of the next page, if there is one.
    pub next_token: Option<String>,
}

/// Amazon's opaque shard iterator: it reads one answer, and expires after five minutes.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Arc<str>);

/// What `GetShardIterator` says.
#[derive(Clone, Debug)]
pub struct ShardIterator {
    /// The token for the first read.
    pub token: Token,
    /// The server's clock (the `Date` header); the local clock if it gave none.
    pub server_time: SystemTime,
}

/// What `GetRecords` says.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The records; an answer without any is normal, even while there are more to come.
    pub records: Records,
    /// The token for the next read; `None` at the end of a closed shard.
    pub next: Option<Token>,
    /// How far this answer is behind the newest record. Some servers always say 0.
    pub behind_latest: Option<Duration>,
    /// At the end of a closed shard its children, if the server tells.
    pub children: Vec<ChildShard>,
}

impl Token {
    /// Takes the text as the server gave it.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

// Whoever has a token can read the shard until it expires.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl<C: Client + ?Sized> Client for Arc<C> {
    fn describe_stream(&self, stream: &str, call: &Call) -> Result<StreamStatus, ClientError> {
        (**self).describe_stream(stream, call)
    }

    fn list_shards(
        &self,
        stream: &str,
        token: Option<&str>,
        call: &Call,
    ) -> Result<ShardPage, ClientError> {
        (**self).list_shards(stream, token, call)
    }

    fn get_shard_iterator(
        &self,
        stream: &str,
        shard: &str,
        at: &IteratorType,
        call: &Call,
    ) -> Result<ShardIterator, ClientError> {
        (**self).get_shard_iterator(stream, shard, at, call)
    }

    fn get_records(&self, token: &Token, limit: u32, call: &Call) -> Result<Answer, ClientError> {
        (**self).get_records(token, limit, call)
    }

    fn session(&self, shards: usize) -> Option<Arc<dyn Client>> {
        (**self).session(shards)
    }

    fn interrupt(&self) {
        (**self).interrupt();
    }
}
