//! The words of Kinesis: numbers, positions, shards, gaps, tokens and states. They have order and text, and no other
//! behaviour.

pub(crate) mod gap;
pub(crate) mod item;
pub(crate) mod lease_call;
pub(crate) mod listed;
pub(crate) mod notice;
pub(crate) mod page;
pub(crate) mod position;
pub(crate) mod sequence;
#[cfg(feature = "serde")]
mod serialize;
pub(crate) mod shard;
pub(crate) mod stream_id;
pub(crate) mod time;
pub(crate) mod token;
pub(crate) mod write;
