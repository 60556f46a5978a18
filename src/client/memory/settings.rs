//! How the in-memory Kinesis answers.

use std::time::Duration;

use super::MemoryKinesis;
use crate::model::listed::StreamStatus;

impl MemoryKinesis {
    /// The state of a stream.
    ///
    /// While it is [`Creating`](StreamStatus::Creating) or [`Deleting`](StreamStatus::Deleting),
    /// `ListShards` and `GetShardIterator` answer `ResourceInUseException`; iterators that were given
    /// out before can still be read. Defaults to [`Active`](StreamStatus::Active).
    ///
    /// # Panics
    /// If there is no such stream.
    pub fn set_status(&self, stream: &str, status: StreamStatus) {
        self.with_stream(stream, |stream| stream.status = status);
    }

    /// How many shards a page of `ListShards` holds. Defaults to 1,000, as on Amazon.
    ///
    /// # Panics
    /// If there is no such stream, or the size is 0.
    pub fn set_page_size(&self, stream: &str, shards: usize) {
        assert!(shards > 0, "a page holds at least one shard");
        self.with_stream(stream, |stream| stream.page_size = shards);
    }

    /// How many empty answers, each with a next token, come before the answer that shows the end of a
    /// closed shard.
    ///
    /// Defaults to 0: the answer with the last records shows the end.
    ///
    /// # Panics
    /// If there is no such stream.
    pub fn set_empty_answers(&self, stream: &str, answers: u32) {
        self.with_stream(stream, |stream| stream.empty_answers = answers);
    }

    /// Whether the last answer of a closed shard names its children. Defaults to `true`; some
    /// servers never do.
    ///
    /// # Panics
    /// If there is no such stream.
    pub fn announce_children(&self, stream: &str, on: bool) {
        self.with_stream(stream, |stream| stream.announces_children = on);
    }

    /// Whether answers say how far they are behind. Defaults to `true`; some servers always say 0.
    ///
    /// # Panics
    /// If there is no such stream.
    pub fn report_behind_latest(&self, stream: &str, on: bool) {
        self.with_stream(stream, |stream| stream.reports_behind_latest = on);
    }

    /// The time after which an iterator expires, also if it was given before. Defaults to
    /// 5 minutes, as on Amazon.
    pub fn set_iterator_life(&self, life: Duration) {
        self.cloud.lock().iterator_life = life;
    }

    /// Lets every iterator that a stream has given so far expire at once.
    ///
    /// # Panics
    /// If there is no such stream.
    pub fn expire_iterators(&self, stream: &str) {
        self.with_stream(stream, |stream| stream.epoch += 1);
    }
}
