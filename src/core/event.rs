//! What passes between those who decide and the threads that do it.

use std::time::Duration;

use crate::error::Error;
use crate::error::client::ClientError;
use crate::error::store::StoreError;
use crate::model::gap::Gap;
use crate::model::listed::{ShardPage, StreamStatus};
use crate::model::position::{IteratorType, Position};
use crate::model::shard::{ChildShard, Shard};

/// What happened.
#[derive(Debug)]
pub(crate) enum Event {
    /// The consumer is started.
    Begun,
    /// The store was read.
    Loaded(Result<Vec<(String, Position)>, StoreError>),
    /// A page of the stream's listing was read.
    Listed(Result<ShardPage, ClientError>),
    /// The stream was described.
    Described(Result<StreamStatus, ClientError>),
    /// A shard's thread asks whether the shard has ended.
    Claimed { shard: String },
    /// The last batch of a shard was sent.
    Ended { shard: String, ending: Ending },
    /// The thread of a shard has ended, for whatever reason.
    Exited { shard: String },
    /// The dispatcher has ended.
    Dispatched,
    /// A commit could not write its position, which waits in the shard's tracker.
    Unstored { shard: String, error: StoreError },
    /// A commit did not write its position, which may wait.
    Deferred,
    /// What waited in the trackers was written, or one of them failed.
    Flushed(Result<(), (String, StoreError)>),
    /// Something failed for good.
    Failed(Error),
    /// A thread panicked; the panic goes on in the caller when all has ended.
    Panicked,
    /// Reading was stopped by somebody else, who says how handling goes on.
    Stopped,
    /// The time that `wake` told has come.
    Tick,
}

/// What to do.
#[derive(Debug)]
pub(crate) enum Action {
    /// Read the store: `Loaded`.
    Load,
    /// Read this page of the stream's listing, `None` is the first: `Listed`.
    List { page: Option<String> },
    /// Describe the stream: `Described`.
    Describe,
    /// Read a shard, after a delay: `Ended` or `Failed`, then `Exited`.
    Start { start: Start, delay: Duration },
    /// Tell a shard's thread, which asked, what a listing proves that was made since.
    Confirm { shard: String, proof: Proof },
    /// Write what waits in the trackers: `Flushed`.
    Flush,
    /// No shard will start any more: when those that run have ended, so have the batches.
    Close,
    /// Stop every shard and the dispatcher.
    Halt,
    /// All is over.
    Finish(Result<(), Error>),
}

/// A shard that may be read now.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Start {
    pub(crate) shard: Shard,
    pub(crate) at: StartAt,
    /// What is missing before it, where the configuration chose to go on.
    pub(crate) gap: Option<Gap>,
}

/// Where a shard starts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum StartAt {
    /// Resume what is stored.
    Stored(Position),
    /// An end is stored of a shard that is open: it is overwritten with this, or what is read on could not be stored.
    Reopened(Position),
    /// Nothing is stored.
    Fresh(IteratorType),
    /// Something is stored that is of no use, and is to be overwritten.
    Reset(IteratorType),
}

/// How a shard came to its end.
#[derive(Debug)]
pub(crate) enum Ending {
    /// It was read to its end, and these are its children, if the service told.
    Read(Vec<ChildShard>),
    /// It is not there any more: it has aged out, or all of its stream was replaced.
    Vanished,
}

/// What a listing proves that was made after the question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// The shard is closed: it has an ending number, or children.
    Closed,
    /// The shard has left the stream.
    Gone,
    /// The shard is open.
    Open,
    /// There was no listing.
    Unknown,
}
