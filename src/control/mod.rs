//! What stops, pauses and bounds the work of a consumer.

pub(crate) mod call;
pub(crate) mod membership;
pub(crate) mod pause;
pub(crate) mod shard_stop;
pub(crate) mod shutdown;
