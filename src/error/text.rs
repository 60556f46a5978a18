//! The texts of errors.

use std::error::Error as _;
use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use crate::error::chain::Chain;
use crate::error::{BoxError, Error, chain};
use crate::model::time::spoken;

impl Display for Error {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        chain::write(f, Own(self), self.source())
    }
}

/// An error without its source.
struct Own<'a>(&'a Error);

impl Display for Own<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.of_start(f)
    }
}

impl Error {
    /// Errors before the first read; the others are in `of_run`.
    // long: a text for each variant.
    fn of_start(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidSetting { setting, reason } => write!(f, "{}: {reason}", named(setting)),
            Self::StreamNotFound { stream, .. } => write!(
                f,
                "stream {stream:?} does not exist here: check its name, the region, the account of the \
                 credentials, and the endpoint"
            ),
            Self::StreamDeleting { stream } => {
                write!(f, "stream {stream:?} is being deleted: it can no longer be read")
            }
            Self::StreamCreating { stream, waited } => write!(
                f,
                "stream {stream:?} is still being created after {}: start later, or let the program wait longer for \
                 its start",
                spoken(*waited)
            ),
            Self::NoShards { stream } => write!(
                f,
                "stream {stream:?} is active and lists no shard: check that the endpoint is Kinesis"
            ),
            Self::UnknownShard { stream, shard } => write!(
                f,
                "stream {stream:?} has no shard {shard:?}: take one that ListShards shows"
            ),
            Self::SequenceNumberForSeveralShards { stream, shards } => write!(
                f,
                "a sequence number was given as the start of {shards} shards of stream {stream:?}, and belongs to \
                 one: read one shard alone, or give the number to its shard alone"
            ),
            Self::StoredUnderName { stream, name } => write!(
                f,
                "the store has no position of stream {stream:?}, but some of {name:?}, its name: to resume there, \
                 let the program keep positions under {name:?}, or export those positions, set \"stream\" in the \
                 text to the ARN, and import them; to begin anew, let it keep positions under the ARN"
            ),
            Self::Stopped { stream } => write!(
                f,
                "stream {stream:?} was stopped before its shards were listed: open it again"
            ),
            _ => self.of_run(f),
        }
    }

    /// Errors while the stream is read.
    // long: a text for each variant.
    fn of_run(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client { stream, shard, lasted, .. } => {
                let (shard, lasted) = (of_shard(shard), lasting(*lasted));
                write!(f, "reading stream {stream:?}{shard} failed{lasted}")
            }
            Self::Gap { stream, gap } => write!(f, "stream {stream:?}: {gap}"),
            Self::Store { stream, shard, .. } => write!(
                f,
                "could not read or store the position of stream {stream:?}{}; records after the last stored \
                 position will be delivered again",
                of_shard(shard)
            ),
            Self::Fleet { stream, .. } => {
                write!(f, "stream {stream:?} cannot be shared through the table of leases")
            }
            Self::Handler { stream, shard, .. } => write!(
                f,
                "the handler failed on a batch of stream {stream:?}, shard {shard:?}; the batch comes again at \
                 the next start"
            ),
            Self::DeadLetter { stream, shard, handler, .. } => write!(
                f,
                "the handler failed on a batch of stream {stream:?}, shard {shard:?} ({}), and the batch could not \
                 be put aside; it comes again at the next start",
                told(handler, f.alternate())
            ),
            Self::JoinedByItself { stream } => write!(
                f,
                "the consumer of stream {stream:?} was joined by one of its own threads, so it would wait for \
                 itself: it is stopped; join it from another thread"
            ),
            Self::Thread { stream, thread, .. } => write!(
                f,
                "thread {thread:?} for stream {stream:?} could not be started: raise the limit of threads, or \
                 choose fewer shards"
            ),
            // Written by `of_start`; listed by name, so that a new variant is not left without a text.
            Self::InvalidSetting { .. }
            | Self::StreamNotFound { .. }
            | Self::StreamDeleting { .. }
            | Self::StreamCreating { .. }
            | Self::NoShards { .. }
            | Self::UnknownShard { .. }
            | Self::SequenceNumberForSeveralShards { .. }
            | Self::StoredUnderName { .. }
            | Self::Stopped { .. } => Ok(()),
        }
    }
}

fn of_shard(shard: &Option<String>) -> String {
    shard.as_ref().map(|shard| format!(", shard {shard:?}")).unwrap_or_default()
}

fn lasting(lasted: Option<Duration>) -> String {
    let told = |lasted| {
        format!(" for {}, longer than the program allows an outage to last", spoken(lasted))
    };
    lasted.map(told).unwrap_or_default()
}

/// A setting of the program in words; an environment variable, and a setting of Amazon's profiles, by its name.
fn named(setting: &str) -> String {
    let is_variable = setting.ends_with("_proxy") || setting.contains(char::is_uppercase);
    if is_variable || setting == "ca_bundle" {
        setting.into()
    } else {
        format!("the setting {:?}", setting.replace('_', " "))
    }
}

/// An error within the text of another one.
fn told(error: &BoxError, with_sources: bool) -> String {
    if with_sources { Chain(&**error).to_string() } else { error.to_string() }
}
