//! The names of a row's attributes: those of Amazon's consumer library (KCL), and ours.

/// Who holds the lease; of a lease that is being handed over, who gets it.
pub(crate) const OWNER: &str = "leaseOwner";
/// Who still holds a lease that is being handed over.
pub(crate) const CHECKPOINT_OWNER: &str = "checkpointOwner";
/// Grows with every write of the holder.
pub(crate) const COUNTER: &str = "leaseCounter";
/// How often the owner has changed since the last checkpoint.
pub(crate) const SWITCHES: &str = "ownerSwitchesSinceCheckpoint";
/// The number of the last record that is done, or a word.
pub(crate) const CHECKPOINT: &str = "checkpoint";
/// The last user record that is done in it.
pub(crate) const SUB: &str = "checkpointSubSequenceNumber";
/// A checkpoint that was announced, and not yet made.
pub(crate) const PENDING: &str = "pendingCheckpoint";
/// The user record of the announced checkpoint.
pub(crate) const PENDING_SUB: &str = "pendingCheckpointSubSequenceNumber";
/// What the application has kept with the announced checkpoint.
pub(crate) const PENDING_STATE: &str = "pendingCheckpointState";
/// The shard's parents, in spite of its name.
pub(crate) const PARENTS: &str = "parentShardId";
/// The shard's children.
pub(crate) const CHILDREN: &str = "childShardIds";
/// The shard's lowest hash key.
pub(crate) const HASH_START: &str = "startingHashKey";
/// The shard's highest hash key.
pub(crate) const HASH_END: &str = "endingHashKey";
/// What kind of row it is; a lease may have none.
pub(crate) const ENTITY: &str = "entityType";
/// The stream of a lease, where an application reads several.
pub(crate) const STREAM_NAME: &str = "streamName";
/// The version of the protocol, in a row of its own.
pub(crate) const CLIENT_VERSION: &str = "cv";

/// The kind of a lease.
pub(crate) const LEASE: &str = "LEASE";
/// The kind of the row that has the version of the protocol.
pub(crate) const MIGRATION: &str = "CLIENT_VERSION_MIGRATION";

/// The checkpoint of a shard that is read from its oldest record.
pub(crate) const TRIM_HORIZON: &str = "TRIM_HORIZON";
/// The checkpoint of a shard that is read from the next record.
pub(crate) const LATEST: &str = "LATEST";
/// The checkpoint of a shard that is read from a time, which stands elsewhere.
pub(crate) const AT_TIMESTAMP: &str = "AT_TIMESTAMP";
/// The checkpoint of a shard that is done to its end.
pub(crate) const SHARD_END: &str = "SHARD_END";

/// Ours: which tenure holds the lease.
pub(crate) const HOLDER: &str = "kcHolder";
/// Ours: from which time a shard is read that has no record done, in milliseconds since 1970.
pub(crate) const FROM: &str = "kcFrom";
/// Ours: the last number of a shard that is done to its end.
pub(crate) const END: &str = "kcEnd";
/// Ours: after how many milliseconds without a beat the holder loses the lease.
pub(crate) const FAILOVER: &str = "kcFailover";
/// Ours: how many leases the holder wants at most.
pub(crate) const LIMIT: &str = "kcLimit";
/// Ours: the worker that has asked for the lease, until it holds it. So it is not taken for one of KCL's meanwhile.
pub(crate) const ASKER: &str = "kcAsker";
/// Ours: the stream of the shard.
pub(crate) const STREAM: &str = "kcStream";
/// Ours: the format of the row.
pub(crate) const FORMAT: &str = "kcFormat";

/// The newest format that is understood.
pub(crate) const NEWEST_FORMAT: u64 = 1;
