//! What a shard does and did: its state, a snapshot for people, metrics, and notices.

pub(crate) mod audience;
pub(crate) mod fleet;
pub(crate) mod fleet_metrics;
pub(crate) mod instruments;
pub(crate) mod metrics;
pub(crate) mod progress;
#[cfg(feature = "serde")]
mod serialize;
pub(crate) mod status;
