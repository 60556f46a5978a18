//! Amazon's shard iterators.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

/// Amazon's opaque shard iterator: it reads one answer, and expires after five minutes.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Token(Arc<str>);

/// The answer of `GetShardIterator`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ShardIterator {
    /// The token for the first read.
    pub token: Token,
    /// The server's clock (the `Date` header), if the answer has it.
    pub server_time: Option<SystemTime>,
}

impl ShardIterator {
    /// A token, and the server's clock at that moment, if known.
    ///
    /// Without it, a shard that is read from [`Latest`](crate::IteratorType::Latest) uses this machine's clock, less
    /// five minutes.
    pub fn new(token: Token, server_time: impl Into<Option<SystemTime>>) -> Self {
        Self { token, server_time: server_time.into() }
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

// Anybody who has a token can read the shard until it expires.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}
