//! The service for the checks of a client.

use crate::client::Client;
use crate::client::memory::MemoryKinesis;

/// A Kinesis on which [`client_contract`](crate::testing::client_contract) checks a client: a server, real or not, that
/// can be filled.
///
/// A method returns `false`, or `None`, if the service cannot do it, as the defaults do; then the checks that need it are left out.
/// Each method returns when it is done, and panics if it fails.
pub trait Service {
    /// The client to check.
    type Client: Client;

    /// A client of this service.
    fn client(&self) -> Self::Client;

    /// Creates a stream with this many shards, and waits until it is active.
    fn create_stream(&self, stream: &str, shards: usize);

    /// Puts a record, after those that were put before.
    fn put(&self, stream: &str, partition_key: &str, data: &[u8]);

    /// Splits a shard, and waits until the stream is active again.
    fn split(&self, _stream: &str, _shard: &str) -> bool {
        false
    }

    /// The ARN of the stream, if its client can read it by that.
    fn arn(&self, _stream: &str) -> Option<String> {
        None
    }

    /// Lets pages of the stream's listing hold at most this many shards.
    fn set_page_size(&self, _stream: &str, _shards: usize) -> bool {
        false
    }

    /// Lets every shard iterator that was given expire. It is enough if only the next read is refused with
    /// `ExpiredIteratorException`.
    fn expire_iterators(&self, _stream: &str) -> bool {
        false
    }

    /// Lets calls about the stream wait for an answer that never comes, until it is called with `false`.
    fn hang(&self, _stream: &str, _on: bool) -> bool {
        false
    }
}

impl Service for MemoryKinesis {
    type Client = Self;

    fn client(&self) -> Self {
        self.clone()
    }

    fn create_stream(&self, stream: &str, shards: usize) {
        Self::create_stream(self, stream, shards);
    }

    fn put(&self, stream: &str, partition_key: &str, data: &[u8]) {
        Self::put(self, stream, partition_key, data);
    }

    fn split(&self, stream: &str, shard: &str) -> bool {
        Self::split(self, stream, shard);
        true
    }

    fn arn(&self, stream: &str) -> Option<String> {
        Some(format!("arn:aws:kinesis:eu-west-1:123456789012:stream/{stream}"))
    }

    fn set_page_size(&self, stream: &str, shards: usize) -> bool {
        Self::set_page_size(self, stream, shards);
        true
    }

    fn expire_iterators(&self, stream: &str) -> bool {
        Self::expire_iterators(self, stream);
        true
    }

    fn hang(&self, stream: &str, on: bool) -> bool {
        Self::hang(self, stream, on);
        true
    }
}
