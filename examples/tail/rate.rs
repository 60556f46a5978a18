//! How many records come per second.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use kinesis_consumer::Progress;

/// Long enough that shards polled once a second do not flicker.
const WINDOW: Duration = Duration::from_secs(5);

/// Numbers of records read, with their times.
#[derive(Default)]
pub(crate) struct Rate(VecDeque<(Instant, HashMap<String, u64>)>);

impl Rate {
    /// Records the number read until now.
    pub(crate) fn saw(&mut self, now: Instant, progress: &Progress) {
        let counts = progress.shards.iter().map(|shard| (shard.shard.clone(), shard.records));
        self.0.push_back((now, counts.collect()));
        // One entry from before the window stays, so that there is always one to compare with.
        while self.0.get(1).is_some_and(|(then, _)| now.duration_since(*then) >= WINDOW) {
            self.0.pop_front();
        }
    }

    /// How many records per second came from this shard in the last seconds.
    pub(crate) fn of(&self, shard: &str) -> u64 {
        let (Some((from, before)), Some((to, after))) = (self.0.front(), self.0.back()) else {
            return 0;
        };
        let count = |counts: &HashMap<String, u64>| counts.get(shard).copied().unwrap_or(0);
        let seconds = to.duration_since(*from).as_secs_f64();
        if seconds == 0.0 {
            0
        } else {
            ((count(after) - count(before)) as f64 / seconds).round() as u64
        }
    }
}
