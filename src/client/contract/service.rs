//! What a client is tried on.

use crate::client::Client;
use crate::client::memory::MemoryKinesis;

/// A Kinesis that [`client_contract`](crate::testing::client_contract) tries a client on: a server, real or not, that can
/// be filled.
///
/// What it cannot do it answers with `false`, as the defaults do; then the checks that need it are left out. Each method
/// returns when it is done, and panics if it fails.
pub trait Service {
    /// The client that is tried.
    type Client: Client;

    /// A client of this service.
    fn client(&self) -> Self::Client;

    /// Creates a stream with so many shards, and waits until it is active.
    fn create_stream(&self, stream: &str, shards: usize);

    /// Puts a record, after those that were put before.
    fn put(&self, stream: &str, partition_key: &str, data: &[u8]);

    /// Splits a shard, and waits until the stream is active again.
    fn split(&self, _stream: &str, _shard: &str) -> bool {
        false
    }

    /// Lets pages of the stream's listing hold so many shards at most.
    fn set_page_size(&self, _stream: &str, _shards: usize) -> bool {
        false
    }

    /// Lets every shard iterator that was given out expire. If only the next read is refused with
    /// `ExpiredIteratorException`, that is enough.
    fn expire_iterators(&self, _stream: &str) -> bool {
        false
    }

    /// Lets calls about the stream wait for an answer that does not come, until it is called with `false`.
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
