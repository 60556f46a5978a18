//! Amazon's limits on reading a shard.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

const SECOND: Duration = Duration::from_secs(1);

/// Counts what was read from each shard, and says when it is too much.
#[derive(Debug)]
pub(super) struct Meter {
    calls: usize,
    bytes: f64,
    shards: BTreeMap<String, Reading>,
}

#[derive(Debug, Default)]
struct Reading {
    /// The calls of the last second.
    calls: VecDeque<Instant>,
    /// Until when the shard is paying for what it gave: 10 MB at 2 MB/s close it for five seconds.
    paying: Option<Instant>,
}

impl Meter {
    /// This many calls, and this many bytes, a second.
    pub(super) fn new(calls: usize, bytes: u32) -> Self {
        Self { calls, bytes: f64::from(bytes), shards: BTreeMap::new() }
    }

    /// Counts a call, unless there are too many, or too much was read.
    pub(super) fn admit(&mut self, shard: &str, now: Instant) -> bool {
        let reading = self.shards.entry(shard.into()).or_default();
        while reading.calls.front().is_some_and(|call| now.duration_since(*call) >= SECOND) {
            reading.calls.pop_front();
        }
        let is_paying = reading.paying.is_some_and(|until| now < until);
        let admitted = !is_paying && reading.calls.len() < self.calls;
        if admitted {
            reading.calls.push_back(now);
        }
        admitted
    }

    /// An answer of this size was given.
    pub(super) fn charge(&mut self, shard: &str, now: Instant, size: usize) {
        let price = Duration::from_secs_f64(size as f64 / self.bytes);
        let reading = self.shards.entry(shard.into()).or_default();
        let from = reading.paying.map_or(now, |until| until.max(now));
        reading.paying = Some(from + price);
    }
}
