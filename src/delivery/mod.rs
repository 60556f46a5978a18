//! From the channel to the commit: batches, the commits of a shard, the dispatcher, and batches that are parked.

pub(crate) mod batch;
pub(crate) mod batches;
pub(crate) mod commits;
pub(crate) mod dispatch;
pub(crate) mod handler;
pub(crate) mod in_flight;
pub(crate) mod on_error;
pub(crate) mod parked;
pub(crate) mod refusals;
pub(crate) mod tenancy;
