//! The one error of the crate.

pub(crate) mod chain;
pub(crate) mod client;
pub(crate) mod fleet;
pub(crate) mod lease_table;
pub(crate) mod store;
mod text;

use std::time::Duration;

use crate::error::client::ClientError;
use crate::error::fleet::FleetErrorKind;
use crate::error::store::{StoreError, StoreErrorKind};
use crate::model::gap::Gap;

/// The error of a handler: any error type.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a consumer could not start, or stopped.
///
/// No error loses a record: what was not committed comes again at the next start.
///
/// Its text says what was tried and what to do, and does not repeat its
/// [`source`](std::error::Error::source), which says what went wrong: `{error:#}` shows both, with all deeper sources.
///
/// Cause and remedy of each: [the manual](crate::manual::errors).
///
/// A panic of the handler is not among them: it continues in the caller of `listen` or `join`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting of the stream, its configuration or the client is out of range. The text has the setter in words, such
    /// as `the setting "start at"`.
    #[non_exhaustive]
    InvalidSetting {
        /// The name of the setter, such as `start_at`, or of the environment variable, or of the profile's setting.
        setting: &'static str,
        /// What is wrong, and what is allowed.
        reason: String,
    },

    /// The stream does not exist, or no longer exists.
    #[non_exhaustive]
    StreamNotFound {
        /// The stream.
        stream: String,
        /// What the service said.
        source: ClientError,
    },

    /// The stream is being deleted.
    #[non_exhaustive]
    StreamDeleting {
        /// The stream.
        stream: String,
    },

    /// The stream was still being created when [`start_patience`](crate::Config::start_patience) ended.
    #[non_exhaustive]
    StreamCreating {
        /// The stream.
        stream: String,
        /// How long the consumer has waited.
        waited: Duration,
    },

    /// The stream lists no shard at all.
    #[non_exhaustive]
    NoShards {
        /// The stream.
        stream: String,
    },

    /// [`choose`](crate::Stream::choose) or [`start_at`](crate::Stream::start_at) names a shard that the stream does not
    /// have.
    #[non_exhaustive]
    UnknownShard {
        /// The stream.
        stream: String,
        /// The shard.
        shard: String,
    },

    /// A sequence number was given as the start of several shards; a number belongs to one:
    /// [`choose`](crate::Stream::choose) reads it alone, [`start_at`](crate::Stream::start_at) gives it the number alone.
    #[non_exhaustive]
    SequenceNumberForSeveralShards {
        /// The stream.
        stream: String,
        /// How many shards would start there.
        shards: usize,
    },

    /// A call failed for good, or for longer than [`start_patience`](crate::Config::start_patience) or, later,
    /// [`max_outage`](crate::Config::max_outage) allows.
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

    /// A stored position cannot be resumed exactly, and [`on_gap`](crate::Config::on_gap) says that this is an error.
    #[non_exhaustive]
    Gap {
        /// The stream.
        stream: String,
        /// The shard, and what is missing.
        gap: Gap,
    },

    /// The store failed for good, or for longer than [`store_patience`](crate::Config::store_patience); or it said that
    /// somebody else owns this shard ([`StoreErrorKind::Lost`](crate::StoreErrorKind::Lost)), and the other shards were read
    /// until the end.
    #[non_exhaustive]
    Store {
        /// The stream.
        stream: String,
        /// The shard; `None` if the positions of all shards were being read.
        shard: Option<String>,
        /// What the store said.
        source: StoreError,
    },

    /// The consumer cannot share the stream with the others of its [fleet](crate::Fleet), or not any more.
    #[non_exhaustive]
    Fleet {
        /// The stream.
        stream: String,
        /// Why.
        #[source]
        kind: FleetErrorKind,
    },

    /// The store holds positions under the name of the stream, and none under its ARN, by which it was opened:
    /// [`store_key`](crate::Stream::store_key) says which to use.
    #[non_exhaustive]
    StoredUnderName {
        /// The stream, by its ARN.
        stream: String,
        /// Its name, under which there are positions.
        name: String,
    },

    /// The handler returned an error. Its batch is not committed.
    #[non_exhaustive]
    Handler {
        /// The stream.
        stream: String,
        /// The shard of the batch.
        shard: String,
        /// What the handler returned.
        source: BoxError,
    },

    /// The callback of [`dead_letter`](crate::OnError::dead_letter) returned an error. Its batch is not committed.
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
    #[non_exhaustive]
    Stopped {
        /// The stream.
        stream: String,
    },

    /// A thread of the consumer joined its listener. It would wait for itself: the consumer was stopped instead, and
    /// ends when that thread returns.
    #[non_exhaustive]
    JoinedByItself {
        /// The stream.
        stream: String,
    },

    /// The system gave no thread.
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
    /// The stream that the error is about, by its name or its ARN, as it was given; `None` for a setting that is out of
    /// range.
    pub fn stream(&self) -> Option<&str> {
        match self {
            Self::InvalidSetting { .. } => None,
            Self::StreamNotFound { stream, .. }
            | Self::StreamDeleting { stream }
            | Self::StreamCreating { stream, .. }
            | Self::NoShards { stream }
            | Self::UnknownShard { stream, .. }
            | Self::SequenceNumberForSeveralShards { stream, .. }
            | Self::Client { stream, .. }
            | Self::Gap { stream, .. }
            | Self::Store { stream, .. }
            | Self::Fleet { stream, .. }
            | Self::StoredUnderName { stream, .. }
            | Self::Handler { stream, .. }
            | Self::DeadLetter { stream, .. }
            | Self::Stopped { stream }
            | Self::JoinedByItself { stream }
            | Self::Thread { stream, .. } => Some(stream),
        }
    }

    /// Whether the same consumer may succeed at a later start without any change, for example after an outage of the
    /// service or the store. `false` if that is unknown, as for an error of a handler.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::StreamCreating { .. } => true,
            Self::Client { source, .. } => source.is_retriable(),
            Self::Store { source, .. } => source.kind() == StoreErrorKind::Retry,
            _ => false,
        }
    }

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

    /// A store's failure, of this stream, and of this shard if it is about one.
    pub(crate) fn of_store(stream: &str, shard: Option<&str>, source: StoreError) -> Self {
        Self::Store { stream: stream.to_owned(), shard: shard.map(str::to_owned), source }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::error::Error as _;

    use super::*;
    use crate::error::client::ErrorClass;
    use crate::model::position::Position;

    const STREAM: &str = "orders";

    fn client(class: ErrorClass) -> ClientError {
        ClientError::new(class, "GetRecords", "no answer").with_source("connection reset")
    }

    fn stored(source: StoreError) -> Error {
        Error::Store { stream: STREAM.into(), shard: None, source }
    }

    /// One of each.
    fn all() -> Vec<Error> {
        let (stream, shard) = (|| STREAM.to_owned(), || "shardId-000000000000".to_owned());
        let waited = Duration::from_nanos(31_000_000_001);
        let wanted = Position::after("7".parse().unwrap());
        vec![
            Error::InvalidSetting { setting: "limit", reason: "0 is too little".into() },
            Error::StreamNotFound { stream: stream(), source: client(ErrorClass::NotFound) },
            Error::StreamDeleting { stream: stream() },
            Error::StreamCreating { stream: stream(), waited },
            Error::NoShards { stream: stream() },
            Error::UnknownShard { stream: stream(), shard: shard() },
            Error::SequenceNumberForSeveralShards { stream: stream(), shards: 2 },
            Error::Client {
                stream: stream(),
                shard: Some(shard()),
                lasted: Some(waited),
                source: client(ErrorClass::Transient),
            },
            Error::Gap { stream: stream(), gap: Gap::Foreign { shard: shard(), wanted } },
            stored(StoreError::fatal("read-only")),
            Error::Fleet {
                stream: stream(),
                kind: FleetErrorKind::WorkerIdInUse { worker: "one".into() },
            },
            Error::StoredUnderName { stream: stream(), name: "name".into() },
            Error::Handler { stream: stream(), shard: shard(), source: "no price".into() },
            Error::DeadLetter {
                stream: stream(),
                shard: shard(),
                handler: "no price".into(),
                source: "disk full".into(),
            },
            Error::Stopped { stream: stream() },
            Error::JoinedByItself { stream: stream() },
            Error::Thread {
                stream: stream(),
                thread: "kc-list".into(),
                source: std::io::Error::other("limit"),
            },
        ]
    }

    #[test]
    fn each_error_has_a_text_of_its_own_and_names_its_stream() {
        let all = all();
        let texts: HashSet<_> = all.iter().map(ToString::to_string).collect();
        assert_eq!(texts.len(), all.len());
        for error in all {
            let names_it = error.to_string().contains(STREAM);
            let is_setting = matches!(error, Error::InvalidSetting { .. });
            assert_eq!(error.stream(), (!is_setting).then_some(STREAM), "{error}");
            assert_eq!(names_it, !is_setting, "{error}");
        }
    }

    #[test]
    fn a_setting_is_told_in_words_and_a_variable_by_its_name() {
        for (setting, told) in [
            ("limit", "the setting \"limit\": too low"),
            ("start_at", "the setting \"start at\": too low"),
            ("AWS_CA_BUNDLE", "AWS_CA_BUNDLE: too low"),
            ("https_proxy", "https_proxy: too low"),
            ("ca_bundle", "ca_bundle: too low"),
        ] {
            let error = Error::InvalidSetting { setting, reason: "too low".into() };
            assert_eq!(error.to_string(), told);
        }
    }

    #[test]
    fn times_in_texts_are_rounded() {
        let timed = all().into_iter().filter(|error| error.to_string().contains("31 s")).count();
        assert_eq!(timed, 2);
        assert!(all().iter().all(|error| !error.to_string().contains("31.")));
    }

    #[test]
    fn the_longer_form_is_longer_if_there_is_a_source() {
        for error in all() {
            let (short, long) = (error.to_string(), format!("{error:#}"));
            assert_eq!(long.len() > short.len(), error.source().is_some(), "{long}");
        }
    }

    #[test]
    fn what_passes_by_itself_may_be_started_again() {
        let retriable = |error: &Error| error.is_retriable();
        assert_eq!(all().iter().filter(|error| retriable(error)).count(), 2);
        assert!(retriable(&all()[3]) && retriable(&all()[7]));
        assert!(retriable(&stored(StoreError::retry("busy"))));
        assert!(!retriable(&stored(StoreError::lost("another owner"))));
        let (stream, source) = (STREAM.to_owned(), client(ErrorClass::Fatal));
        assert!(!retriable(&Error::Client { stream, shard: None, lasted: None, source }));
    }
}
