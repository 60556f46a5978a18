//! What a shard does now, and when it last made progress.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use crate::notice::ShardState;

/// Written by the shard's thread and by the dispatcher, read by the watchdog. Nothing else depends on it,
/// so that no order between its parts is needed.
#[derive(Debug)]
pub(crate) struct Status {
    /// Of the shard's thread.
    reading: AtomicU8,
    /// Of its batches at the dispatcher; `NOWHERE` if it has none of them.
    handling: AtomicU8,
    /// Nanoseconds since the consumer began: of the last progress, and of the time since when the
    /// dispatcher has had the batch.
    progressed: AtomicU64,
    handling_since: AtomicU64,
}

const NOWHERE: u8 = u8::MAX;
const STATES: [ShardState; 10] = [
    ShardState::WaitingForParents,
    ShardState::Idle,
    ShardState::WaitingForBudget,
    ShardState::Calling,
    ShardState::BackingOff,
    ShardState::Storing,
    ShardState::WaitingForChannel,
    ShardState::Handling,
    ShardState::Parked,
    ShardState::Ended,
];

impl Status {
    pub(crate) fn new(now: Duration) -> Self {
        Self {
            reading: AtomicU8::new(ShardState::Idle as u8),
            handling: AtomicU8::new(NOWHERE),
            progressed: AtomicU64::new(nanos(now)),
            handling_since: AtomicU64::new(0),
        }
    }

    /// The shard's thread does this from now on.
    pub(crate) fn reads(&self, state: ShardState) {
        self.reading.store(state as u8, Ordering::Relaxed);
    }

    /// The dispatcher does this with a batch; `None` if it is done with it.
    pub(crate) fn handles(&self, now: Duration, state: Option<ShardState>) {
        let state = state.map_or(NOWHERE, |state| state as u8);
        // From the handler to parking and back is no progress.
        if self.handling.load(Ordering::Relaxed) == NOWHERE {
            self.handling_since.store(nanos(now), Ordering::Relaxed);
        }
        self.handling.store(state, Ordering::Relaxed);
    }

    /// An answer came, or a batch was sent or handled.
    pub(crate) fn progresses(&self, now: Duration) {
        self.progressed.fetch_max(nanos(now), Ordering::Relaxed);
    }

    pub(crate) fn state(&self) -> ShardState {
        let handling = STATES.get(usize::from(self.handling.load(Ordering::Relaxed)));
        let reading = || STATES[usize::from(self.reading.load(Ordering::Relaxed))];
        handling.copied().unwrap_or_else(reading)
    }

    /// When it last made progress. While the handler has a batch, answers are none.
    pub(crate) fn progressed(&self) -> Duration {
        let read = self.progressed.load(Ordering::Relaxed);
        Duration::from_nanos(match self.handling.load(Ordering::Relaxed) {
            NOWHERE => read,
            _ => read.min(self.handling_since.load(Ordering::Relaxed)),
        })
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_is_read_back() {
        let status = Status::new(Duration::ZERO);
        for state in STATES {
            status.reads(state);
            assert_eq!(status.state(), state);
        }
        status.handles(Duration::ZERO, Some(ShardState::Parked));
        assert_eq!(status.state(), ShardState::Parked);
        status.handles(Duration::ZERO, None);
        assert_eq!(status.state(), ShardState::Ended);
    }

    #[test]
    fn progress_never_goes_back() {
        let status = Status::new(Duration::from_secs(5));
        status.progresses(Duration::from_secs(3));
        assert_eq!(status.progressed(), Duration::from_secs(5));
    }

    #[test]
    fn answers_are_no_progress_while_the_handler_has_a_batch() {
        let seconds = Duration::from_secs;
        let status = Status::new(seconds(0));
        status.handles(seconds(7), Some(ShardState::Handling));
        status.handles(seconds(8), Some(ShardState::Parked));
        status.progresses(seconds(9));
        assert_eq!(status.progressed(), seconds(7));
        status.handles(seconds(10), None);
        assert_eq!(status.progressed(), seconds(9));
    }
}
