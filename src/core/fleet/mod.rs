//! Decides which process reads which shard, when many processes share a stream through a table of leases.

pub(crate) mod hearts;
pub(crate) mod held;
pub(crate) mod lease;
pub(crate) mod share;
pub(crate) mod steward;
