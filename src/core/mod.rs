//! Decides, and does not act: what the whole stream needs next, and what one shard does next. Pure: no thread, no lock,
//! no clock, no call. The same events give the same actions, so that a seed replays a run.

pub(crate) mod event;
pub(crate) mod fleet;
pub(crate) mod outage;
pub(crate) mod quota;
pub(crate) mod retry;
pub(crate) mod settings;
pub(crate) mod shard;
pub(crate) mod stream;
