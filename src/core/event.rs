//! The vocabulary between the core, which decides, and the threads, which act.

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
    /// The thread of a shard has ended, for any reason.
    Exited { shard: String },
    /// The dispatcher has ended.
    Dispatched,
    /// A commit could not write its position, which waits in the shard's tracker.
    Unstored { shard: String, error: StoreError },
    /// A commit did not write its position, because the write may wait.
    Deferred,
    /// The positions that waited in the trackers were written, or a write failed.
    Flushed(Result<(), (String, StoreError)>),
    /// This process holds the lease of a shard, and the table says that all of its parents are done.
    Leased { shard: String, at: StartAt, epoch: u64 },
    /// The lease of a shard is wanted back, after what was sent is handled and stored.
    Asked { shard: String, epoch: u64 },
    /// Somebody else holds the lease of a shard.
    LeaseLost { shard: String, epoch: u64, why: StoreError },
    /// A shard of which `StopShard` was said has no thread any more, and no batch that is not stored or dropped.
    Drained { shard: String, epoch: u64 },
    /// A shard that was given up because its handler stood still has no thread any more, and nobody has a batch of it.
    Emptied { shard: String, epoch: u64 },
    /// A complete listing is wanted.
    ListingWanted,
    /// The table says that every shard is done.
    Completed,
    /// Something failed for good.
    Failed(Error),
    /// A thread panicked; the panic continues in the caller at the end of the run.
    Panicked,
    /// A `Shutdown` has stopped reading, and says how handling continues.
    Stopped,
    /// The time that `wake` returned has come.
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
    /// Read a shard, after a delay: `Ended` or `Failed`, then `Exited`. A process of a fleet does it in a tenure.
    Start { start: Start, delay: Duration, epoch: Option<u64> },
    /// Stop reading a shard, and let what was sent be handled and stored: `Exited`, `Drained`.
    StopShard { shard: String, epoch: u64 },
    /// Answer a shard's thread with what a listing proves that was made after its question.
    Confirm { shard: String, proof: Proof },
    /// Stop reading a shard, and hand over and store nothing more of it: `Exited`, if it has a thread.
    GiveUp { shard: String, why: StoreError },
    /// Write the positions that wait in the trackers: `Flushed`.
    Flush,
    /// Tell the steward of the leases.
    Lease(Word),
    /// No shard will start any more: when the running shards have ended, the batches end too.
    Close,
    /// Stop every shard and the dispatcher.
    Halt,
    /// The run ends.
    Finish(Result<(), Error>),
}

/// What a process of a fleet tells the steward of its leases.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Word {
    /// A complete listing.
    Listed(Vec<Shard>),
    /// Nothing of a tenure is left to do: its lease may be handed over, or released.
    Drained { shard: String, epoch: u64 },
    /// Nobody reads any more in a tenure that is lost.
    GivenUp { shard: String, epoch: u64 },
    /// Something was read in a tenure, and nothing was committed for this time: its handler stands still.
    Hangs { shard: String, epoch: u64, age: Duration },
    /// Nobody has a batch any more of a tenure whose handler stood still.
    Emptied { shard: String, epoch: u64 },
    /// The consumer is stopped: it starts no shard any more.
    Stopping,
}

/// A shard that may be read now.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Start {
    pub(crate) shard: Shard,
    pub(crate) at: StartAt,
    /// The gap before it, if the configuration chose to continue after it.
    pub(crate) gap: Option<Gap>,
}

/// Where a shard starts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum StartAt {
    /// Resume at the stored position.
    Stored(Position),
    /// An end is stored for a shard that is open: this overwrites it, since no later position could be stored
    /// otherwise.
    Reopened(Position),
    /// Nothing is stored.
    Fresh(IteratorType),
    /// An unusable position is stored, and must be overwritten.
    Reset(IteratorType),
}

/// How a shard came to its end.
#[derive(Debug)]
pub(crate) enum Ending {
    /// It was read to its end, and these are its children, if the service names them.
    Read(Vec<ChildShard>),
    /// It does not exist any more: it has aged out, or its whole stream was replaced.
    Vanished,
}

/// The proof of a listing that was made after the question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// The shard is closed: it has an ending number, or children.
    Closed,
    /// An earlier listing showed the shard closed; this one lacks it, and a part of the hash keys.
    WasClosed,
    /// The shard has left the stream.
    Gone,
    /// The shard is open.
    Open,
    /// There was no listing.
    Unknown,
}
