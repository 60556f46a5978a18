//! Why a consumer cannot take part in a fleet.

use std::time::Duration;

use crate::error::lease_table::LeaseTableError;
use crate::model::time::spoken;

/// Why a consumer cannot share a stream through a table of leases: see [`Error::Fleet`](crate::Error::Fleet).
///
/// Whatever it is, nothing of the table was broken: a consumer that is refused releases the leases that it has.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FleetErrorKind {
    /// The application is run by a version of Amazon's library (KCL) whose protocol this crate does not speak: by KCL 3
    /// after its switch from the protocol of KCL 2. If that is seen at the consumer's first look at the table, it has changed
    /// no row.
    #[error(
        "its tables say {version:?}: the application is run by a newer version of Amazon's library, or by an unknown \
         one; keep that compatible with version 2, or use a table of its own for each of them"
    )]
    #[non_exhaustive]
    NewerProtocol {
        /// The version, in the words of KCL, such as `CLIENT_VERSION_3X`; empty if it is not understood at all.
        version: String,
    },
    /// Another consumer, of this process or of another one, has the same [worker id](crate::Fleet::worker_id).
    #[error(
        "another process runs under the same worker id, {worker:?}: give each process an id of its own"
    )]
    #[non_exhaustive]
    WorkerIdInUse {
        /// The worker id.
        worker: String,
    },
    /// Another worker waits for another time before it takes a lease; the time is [`failover`](crate::Fleet::failover).
    #[error(
        "the worker {worker:?} has a failover time of {}, and this one of {}: all workers of a fleet need the same",
        spoken(*theirs), spoken(*ours)
    )]
    #[non_exhaustive]
    FailoverDiffers {
        /// The other worker.
        worker: String,
        /// Its time.
        theirs: Duration,
        /// This worker's.
        ours: Duration,
    },
    /// There is no such table.
    #[error("the table of leases does not exist: create it, or check its name and region")]
    #[non_exhaustive]
    NoTable {
        /// What the table said.
        source: LeaseTableError,
    },
    /// A row claims to be a lease, and cannot be one of this stream's shards.
    #[error("the lease {lease:?} cannot be used: {reason}")]
    #[non_exhaustive]
    NotALeaseTable {
        /// The row's key.
        lease: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A later version of this crate has written a row.
    #[error(
        "the lease {lease:?} was written by a later version, in format {format:?}: update this program"
    )]
    #[non_exhaustive]
    NewerFormat {
        /// The row's key.
        lease: String,
        /// The format that it names.
        format: String,
    },
    /// A row is about another stream: each stream needs a table of its own.
    #[error(
        "the lease {lease:?} is about the stream {stream:?}: use a table of its own for each stream"
    )]
    #[non_exhaustive]
    OtherStream {
        /// The row's key.
        lease: String,
        /// The stream that it names.
        stream: String,
    },
    /// Rows are about an earlier stream of the same name, which was deleted and created again.
    #[error(
        "the leases of {} are about an earlier stream of the same name: use another table, or delete them",
        shards.join(", ")
    )]
    #[non_exhaustive]
    Recreated {
        /// The shards.
        shards: Vec<String>,
    },
    /// The table refuses a call for good.
    #[error("the table of leases cannot be used")]
    #[non_exhaustive]
    Table {
        /// What the table said.
        source: LeaseTableError,
    },
}
