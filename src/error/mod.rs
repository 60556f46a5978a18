//! The one error of the crate.

pub(crate) mod client;
pub(crate) mod store;
use std::time::Duration;

use crate::error::client::ClientError;
use crate::error::store::StoreError;
use crate::model::gap::Gap;

/// The error of a handler: any error type.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a consumer could not start, or stopped.
///
/// No error loses a record: what was not committed comes again at the next start.
///
/// Its text says what was tried and what to do, and does not repeat its
/// [`source`](std::error::Error::source), which says what went wrong: show both.
///
#[doc = include_str!("../manual/errors.md")]
///
/// A panic of the handler is not among them: it continues in the caller of `listen` or `join`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting of the stream, its configuration or the client is out of range.
    #[error("{setting}: {reason}")]
    #[non_exhaustive]
    InvalidSetting {
        /// The name of the setter, or of the environment variable.
        setting: &'static str,
        /// What is wrong, and what is allowed.
        reason: String,
    },

    /// The stream does not exist, or no longer exists.
    #[error(
        "stream {stream:?} does not exist here: check its name, the region, the account of the \
         credentials, and the endpoint"
    )]
    #[non_exhaustive]
    StreamNotFound {
        /// The stream.
        stream: String,
        /// What the service said.
        source: ClientError,
    },

    /// The stream is being deleted.
    #[error("stream {stream:?} is being deleted: it can no longer be read")]
    #[non_exhaustive]
    StreamDeleting {
        /// The stream.
        stream: String,
    },

    /// The stream was still being created when `start_patience` ended.
    #[error(
        "stream {stream:?} is still being created after {waited:?}: start later, or raise start_patience"
    )]
    #[non_exhaustive]
    StreamCreating {
        /// The stream.
        stream: String,
        /// How long the consumer has waited.
        waited: Duration,
    },

    /// The stream lists no shard at all.
    #[error("stream {stream:?} is active and lists no shard: check that the endpoint is Kinesis")]
    #[non_exhaustive]
    NoShards {
        /// The stream.
        stream: String,
    },

    /// A shard was chosen that the stream does not have.
    #[error("stream {stream:?} has no shard {shard:?}: Stream::shards lists its shards")]
    #[non_exhaustive]
    UnknownShard {
        /// The stream.
        stream: String,
        /// The shard.
        shard: String,
    },

    /// A sequence number was given as the start of several shards; a number belongs to one.
    #[error(
        "a sequence number was given as the start of {shards} shards of stream {stream:?}: choose \
         one shard, or set the start of a shard with Stream::start_at"
    )]
    #[non_exhaustive]
    SequenceNumberForSeveralShards {
        /// The stream.
        stream: String,
        /// How many shards would start there.
        shards: usize,
    },

    /// A call failed for good, or for longer than the configuration allows.
    #[error("reading stream {stream:?}{} failed{}", of_shard(shard), lasting(*lasted))]
    #[non_exhaustive]
    Client {
        /// The stream.
        stream: String,
        /// The shard, unless the call was about the whole stream.
        shard: Option<String>,
        /// How long calls had failed, if that was too long.
        lasted: Option<Duration>,
        /// The call, and what went wrong.
        source: ClientError,
    },

    /// A stored position cannot be resumed exactly.
    #[error("stream {stream:?}: {gap}")]
    #[non_exhaustive]
    Gap {
        /// The stream.
        stream: String,
        /// The shard, and what is missing.
        gap: Gap,
    },

    /// The store failed for good, or for longer than `store_patience`.
    #[error(
        "could not read or store the position of stream {stream:?}{}; records after the last stored position will be \
         delivered again",
        of_shard(shard)
    )]
    #[non_exhaustive]
    Store {
        /// The stream.
        stream: String,
        /// The shard; `None` if the positions of all shards were being read.
        shard: Option<String>,
        /// What the store said.
        source: StoreError,
    },

    /// The handler returned an error. Its batch is not committed.
    #[error(
        "the handler failed on a batch of stream {stream:?}, shard {shard:?}; the batch comes again at \
         the next start"
    )]
    #[non_exhaustive]
    Handler {
        /// The stream.
        stream: String,
        /// The shard of the batch.
        shard: String,
        /// What the handler returned.
        source: BoxError,
    },

    /// The dead-letter callback returned an error. Its batch is not committed.
    #[error(
        "the dead-letter callback failed on a batch of stream {stream:?}, shard {shard:?}; the batch \
         comes again at the next start; the handler had failed with: {handler}"
    )]
    #[non_exhaustive]
    DeadLetter {
        /// The stream.
        stream: String,
        /// The shard of the batch.
        shard: String,
        /// What the handler returned.
        handler: BoxError,
        /// What the callback returned.
        source: BoxError,
    },

    /// The shards of the stream were requested after its shutdown.
    #[error("stream {stream:?} was stopped before its shards were listed: create another Stream")]
    #[non_exhaustive]
    Stopped {
        /// The stream.
        stream: String,
    },

    /// A thread of the consumer joined its listener. It would wait for itself: the consumer was stopped instead, and
    /// ends when that thread returns.
    #[error(
        "the consumer of stream {stream:?} was joined by one of its own threads, so it would wait for itself: it is \
         stopped; join it from another thread"
    )]
    #[non_exhaustive]
    JoinedByItself {
        /// The stream.
        stream: String,
    },

    /// The system gave no thread.
    #[error(
        "thread {thread:?} for stream {stream:?} could not be started: raise the limit of threads, or \
         choose fewer shards"
    )]
    #[non_exhaustive]
    Thread {
        /// The stream.
        stream: String,
        /// The name of the thread; a shard's ends in the digits of its id.
        thread: String,
        /// What the system said.
        source: std::io::Error,
    },
}

impl Error {
    /// The shard that the error is about, if it is about one.
    pub fn shard(&self) -> Option<&str> {
        match self {
            Self::UnknownShard { shard, .. }
            | Self::Handler { shard, .. }
            | Self::DeadLetter { shard, .. } => Some(shard),
            Self::Client { shard, .. } | Self::Store { shard, .. } => shard.as_deref(),
            Self::Gap { gap, .. } => Some(gap.shard()),
            _ => None,
        }
    }
}

fn of_shard(shard: &Option<String>) -> String {
    shard.as_ref().map(|shard| format!(", shard {shard:?}")).unwrap_or_default()
}

fn lasting(lasted: Option<Duration>) -> String {
    let told = |lasted| format!(" for {lasted:?}, longer than start_patience or max_outage allows");
    lasted.map(told).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_table_has_a_row_for_every_error() {
        let (text, table) = (include_str!("mod.rs"), include_str!("../manual/errors.md"));
        let (_, variants) = text.split_once("pub enum Error {\n").unwrap();
        let (variants, _) = variants.split_once("\n}\n").unwrap();
        let names =
            variants.lines().filter_map(|line| line.strip_prefix("    ")?.strip_suffix(" {"));
        let rows = names.map(|name| {
            let row = format!("\n| [`{name}`](crate::Error::{name}) | ");
            assert!(table.contains(&row), "{name} has no row");
        });
        assert_eq!(rows.count(), table.matches("\n| [`").count());
    }
}
