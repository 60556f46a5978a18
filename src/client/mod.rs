//! The four calls that a consumer makes, as a trait.

pub(crate) mod aws;
pub(crate) mod call;
#[cfg(any(test, feature = "testing"))]
pub(crate) mod memory;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::client::call::Call;
use crate::error::client::ClientError;
use crate::position::IteratorType;
use crate::record::Records;
use crate::shard::{ChildShard, Shard};

/// A client of Kinesis: the calls that a consumer makes, all blocking.
///
/// Each call gets a [`Call`], which says when to give up. A call that is stopped may return any error;
/// it is not looked at. A stop waits for a call that goes on all the same: a client either has a
/// [`session`](Self::session) that can be interrupted, or watches [`Call::stopped`], or bounds its calls by a time; that
/// is the implementor's duty.
///
/// One of your own makes its answers with the constructors of [`ShardPage`], [`ShardIterator`] and [`Answer`]:
///
/// ```
/// use std::time::SystemTime;
/// use kinesis_consumer::{
///     Answer, Call, Client, ClientError, Config, HashKeyRange, IteratorType, LocalStore, RecordsBuilder,
///     SequenceNumber, Shard, ShardIterator, ShardPage, Stream, StreamStatus, Token,
/// };
///
/// /// One shard with one record, which is read again and again.
/// struct Echo(SequenceNumber);
///
/// impl Client for Echo {
///     fn describe_stream(&self, _stream: &str, _call: &Call) -> Result<StreamStatus, ClientError> {
///         Ok(StreamStatus::Active)
///     }
///
///     fn list_shards(
///         &self,
///         _stream: &str,
///         _token: Option<&str>,
///         _call: &Call,
///     ) -> Result<ShardPage, ClientError> {
///         let shard = Shard::new("shardId-000000000000", HashKeyRange::ALL, self.0.clone());
///         Ok(ShardPage::new(vec![shard], None))
///     }
///
///     fn get_shard_iterator(
///         &self,
///         _stream: &str,
///         _shard: &str,
///         _at: &IteratorType,
///         _call: &Call,
///     ) -> Result<ShardIterator, ClientError> {
///         Ok(ShardIterator::new(Token::new("again"), SystemTime::now()))
///     }
///
///     fn get_records(&self, token: &Token, _limit: u32, _call: &Call) -> Result<Answer, ClientError> {
///         let mut records = RecordsBuilder::new();
///         records.push(&self.0, "customer-7", SystemTime::now(), b"one espresso");
///         Ok(Answer::new(records.build(), Some(token.clone())))
///     }
/// }
///
/// let stream = Stream::new(Echo("1".parse()?), "orders", LocalStore::new(), Config::new())?;
/// let (batches, _listener) = stream.receiver()?;
/// assert_eq!(batches.recv()?.records().first().unwrap().data(), b"one espresso");
/// # Ok::<(), kinesis_consumer::BoxError>(())
/// ```
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

    /// Where it reads, for people: the region and the endpoint, say, and never a credential. It is logged when a
    /// consumer starts. Defaults to nothing; a client that wraps another hands on what that says.
    fn place(&self) -> Option<String> {
        None
    }

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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
#[non_exhaustive]
pub struct ShardPage {
    /// The shards of this page.
    pub shards: Vec<Shard>,
    /// The name of the next page, if there is one.
    pub next_token: Option<String>,
}

/// Amazon's opaque shard iterator: it reads one answer, and expires after five minutes.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Token(Arc<str>);

/// What `GetShardIterator` says.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ShardIterator {
    /// The token for the first read.
    pub token: Token,
    /// The server's clock (the `Date` header), if it gave it.
    pub server_time: Option<SystemTime>,
}

/// What `GetRecords` says.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Answer {
    /// The records; an answer without any is normal, even while there are more to come.
    pub records: Records,
    /// The token for the next read; without one the answer says that the shard has ended.
    pub next: Option<Token>,
    /// How far this answer is behind the newest record. Some servers always say 0.
    pub behind_latest: Option<Duration>,
    /// At the end of a closed shard its children, if the server tells.
    pub children: Vec<ChildShard>,
    /// The server's clock (the `Date` header), if it gave it.
    pub server_time: Option<SystemTime>,
}

impl ShardPage {
    /// A page with these shards, and the name of the next one; `None` for the last.
    pub fn new(shards: Vec<Shard>, next_token: Option<String>) -> Self {
        Self { shards, next_token }
    }
}

impl ShardIterator {
    /// A token, and the server's clock when it gave it, if it told.
    ///
    /// Without it, a shard that is read from [`Latest`](crate::IteratorType::Latest) goes by this machine's clock, less
    /// five minutes.
    pub fn new(token: Token, server_time: impl Into<Option<SystemTime>>) -> Self {
        Self { token, server_time: server_time.into() }
    }
}

impl Answer {
    /// These records, and the token for the next read; `None` says that the shard has ended. That is believed if
    /// the answer names its children, or if a listing shows it; until then the shard is read on.
    ///
    /// ```
    /// use std::time::Duration;
    /// use kinesis_consumer::{Answer, ChildShard, HashKeyRange, Records, Token};
    ///
    /// // Nothing for now.
    /// let answer = Answer::new(Records::empty(), Some(Token::new("what the server said")))
    ///     .with_behind_latest(Duration::ZERO);
    ///
    /// // The end of a shard that was split.
    /// let parents = vec!["shardId-000000000000".to_owned()];
    /// let (low, high) = (u128::MAX / 2, u128::MAX / 2 + 1);
    /// let end = Answer::new(Records::empty(), None).with_children([
    ///     ChildShard::new("shardId-000000000001", parents.clone(), HashKeyRange { start: 0, end: low }),
    ///     ChildShard::new("shardId-000000000002", parents, HashKeyRange { start: high, end: u128::MAX }),
    /// ]);
    /// assert!(answer.next.is_some() && end.children.len() == 2);
    /// ```
    pub fn new(records: Records, next: Option<Token>) -> Self {
        Self { records, next, behind_latest: None, children: Vec::new(), server_time: None }
    }

    /// The same, so far behind the newest record. Defaults to unknown.
    #[must_use]
    pub fn with_behind_latest(mut self, behind: Duration) -> Self {
        self.behind_latest = Some(behind);
        self
    }

    /// The same with these children of a shard that ends here. Defaults to none: then they are looked for in the
    /// listing.
    #[must_use]
    pub fn with_children(mut self, children: impl IntoIterator<Item = ChildShard>) -> Self {
        self.children = children.into_iter().collect();
        self
    }

    /// The same with the server's clock when it answered. Defaults to unknown.
    ///
    /// It tells, after a long silence, that no record left the stream unread.
    #[must_use]
    pub fn with_server_time(mut self, time: impl Into<Option<SystemTime>>) -> Self {
        self.server_time = time.into();
        self
    }

    /// Reads the JSON that `GetRecords` answers with, for a [`Client`] over another HTTP library.
    ///
    /// # Errors
    /// [`ErrorClass::TooLarge`] if it ends too early, [`ErrorClass::Transient`] if it makes no sense. The
    /// text never holds a part of the answer.
    pub fn from_json(body: &[u8]) -> Result<Self, ClientError> {
        aws::answer(body)
    }

    /// Whether it shows that there was nothing more to read. Without records it may still be behind, and where the
    /// server does not tell nobody knows.
    pub(crate) fn is_caught_up(&self) -> bool {
        self.records.is_empty() && self.behind_latest == Some(Duration::ZERO)
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

    fn place(&self) -> Option<String> {
        (**self).place()
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
    fn an_empty_answer_has_caught_up_if_it_says_so() {
        let empty = Answer::new(Records::empty(), None);
        assert!(!empty.is_caught_up());
        assert!(empty.clone().with_behind_latest(Duration::ZERO).is_caught_up());
        assert!(!empty.with_behind_latest(Duration::from_millis(1)).is_caught_up());
    }
}
