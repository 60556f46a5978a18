//! The settings of reading one shard.

use std::time::Duration;

use crate::config::{Config, OnGap};

/// The settings that a poller needs.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    pub(crate) interval: Duration,
    pub(crate) catch_up_interval: Option<Duration>,
    pub(crate) limit: u32,
    pub(crate) max_outage: Option<Duration>,
    pub(crate) store_patience: Duration,
    pub(crate) on_gap: OnGap,
    pub(crate) fail_on_trim: bool,
}

impl Pace {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            interval: config.interval,
            catch_up_interval: config.catch_up_interval,
            limit: config.limit,
            max_outage: config.max_outage,
            store_patience: config.store_patience,
            on_gap: config.on_gap,
            fail_on_trim: config.fail_on_trim,
        }
    }
}
