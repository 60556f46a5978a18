//! The four calls that a consumer makes, as a trait.

mod aws;
mod call;
mod error;
#[cfg(any(test, feature = "testing"))]
mod memory;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::position::IteratorType;
use crate::record::Records;
use crate::shard::{ChildShard, Shard};

pub use self::aws::{ClientBuilder, Credentials, KinesisClient};
pub use self::call::Call;
pub use self::error::{ClientError, ErrorClass};
#[cfg(any(test, feature = "testing"))]
pub use self::memory::{HeldRecord, MemoryKinesis, Operation, Put};

/// How often a listing is begun whose page tokens expire; they live five minutes.
const LISTING_ATTEMPTS: usize = 3;

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
    ///
    /// Defaults to `None`: the run uses this client, which is then never interrupted and watches
    /// [`Call::stopped`] itself. A client that wraps another must wrap its session too, not hand it on.
    fn session(&self) -> Option<Arc<dyn Client>> {
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

/// All pages of a stream's listing.
pub(crate) fn list_all(
    client: &dyn Client,
    stream: &str,
    call: &Call,
) -> Result<Vec<Shard>, ClientError> {
    'again: for _ in 0..LISTING_ATTEMPTS {
        let (mut shards, mut token) = (Vec::new(), None::<String>);
        loop {
            let page = match client.list_shards(stream, token.as_deref(), call) {
                Err(error) if error.class() == ErrorClass::ExpiredNextToken => continue 'again,
                page => page?,
            };
            shards.extend(page.shards);
            match page.next_token {
                None => return Ok(shards),
                // Otherwise it would never end.
                Some(next) if token.as_ref() == Some(&next) => break 'again,
                Some(next) => token = Some(next),
            }
        }
    }
    let message = "the listing came to no end";
    Err(ClientError::new(ErrorClass::Transient, "ListShards", message))
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

impl Answer {
    /// Reads the JSON that `GetRecords` answers with, for a [`Client`] over another HTTP library.
    ///
    /// # Errors
    /// [`ErrorClass::TooLarge`] if it ends too early, [`ErrorClass::Transient`] if it makes no sense. The
    /// text never holds a part of the answer.
    pub fn from_json(body: &[u8]) -> Result<Self, ClientError> {
        aws::answer(body)
    }

    /// Whether it shows that there was nothing more to read. Without records it may still be behind.
    pub(crate) fn is_caught_up(&self) -> bool {
        self.records.is_empty() && self.behind_latest.is_none_or(|behind| behind.is_zero())
    }
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

    fn session(&self) -> Option<Arc<dyn Client>> {
        (**self).session()
    }

    fn interrupt(&self) {
        (**self).interrupt();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_answer_has_caught_up_unless_it_is_behind() {
        let empty = |behind_latest| Answer {
            records: Records::empty(),
            next: None,
            behind_latest,
            children: Vec::new(),
        };
        assert!(empty(None).is_caught_up() && empty(Some(Duration::ZERO)).is_caught_up());
        assert!(!empty(Some(Duration::from_millis(1))).is_caught_up());
    }
}
