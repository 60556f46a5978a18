//! What a shard does now, and when it last made progress.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use crate::client::ErrorClass;
use crate::meter::Meter;
use crate::notice::ShardState;
use crate::progress::ShardProgress;

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
    /// What came, and when: nanoseconds, or `NEVER`.
    records: AtomicU64,
    bytes: AtomicU64,
    /// User records of aggregates that belong to another shard.
    left_out: AtomicU64,
    answers: AtomicU64,
    answered: AtomicU64,
    behind_latest: AtomicU64,
    caught_up: AtomicU64,
    committed: AtomicU64,
    errors: [AtomicU64; ErrorClass::ALL.len()],
    /// Is told all of it too.
    meter: Meter,
}

const NEVER: u64 = u64::MAX;

const NOWHERE: u8 = u8::MAX;
const STATES: [ShardState; 12] = [
    ShardState::WaitingForParents,
    ShardState::Idle,
    ShardState::WaitingForBudget,
    ShardState::Calling,
    ShardState::BackingOff,
    ShardState::Storing,
    ShardState::WaitingForChannel,
    ShardState::Handling,
    ShardState::Parked,
    ShardState::Paused,
    ShardState::ConfirmingEnd,
    ShardState::Ended,
];

impl Status {
    pub(crate) fn new(now: Duration, meter: Meter) -> Self {
        Self {
            reading: AtomicU8::new(ShardState::Idle as u8),
            handling: AtomicU8::new(NOWHERE),
            progressed: AtomicU64::new(nanos(now)),
            handling_since: AtomicU64::new(0),
            records: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            left_out: AtomicU64::new(0),
            answers: AtomicU64::new(0),
            answered: AtomicU64::new(NEVER),
            behind_latest: AtomicU64::new(NEVER),
            caught_up: AtomicU64::new(NEVER),
            committed: AtomicU64::new(NEVER),
            errors: Default::default(),
            meter,
        }
    }

    /// The shard's thread does this from now on.
    pub(crate) fn reads(&self, now: Duration, state: ShardState) {
        let before = STATES[usize::from(self.reading.load(Ordering::Relaxed))];
        // Until now it had nothing to do, perhaps for longer than a stall takes.
        if matches!(before, ShardState::Idle | ShardState::Paused) {
            self.progresses(now);
        }
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

    /// A call of `GetRecords` was answered, after so long.
    pub(crate) fn answered(&self, now: Duration, took: Duration, behind_latest: Option<Duration>) {
        self.meter.answered(took, behind_latest);
        if let Some(committed) = time(&self.committed) {
            self.meter.commit_age(now.saturating_sub(committed));
        }
        self.answers.fetch_add(1, Ordering::Relaxed);
        self.answered.store(nanos(now), Ordering::Relaxed);
        self.behind_latest.store(behind_latest.map_or(NEVER, nanos), Ordering::Relaxed);
    }

    /// An answer showed that there was nothing more to read.
    pub(crate) fn caught_up(&self, now: Duration) {
        self.caught_up.store(nanos(now), Ordering::Relaxed);
    }

    /// A call failed.
    pub(crate) fn failed(&self, class: ErrorClass) {
        self.meter.failed(class);
        self.errors[class as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Records were sent.
    pub(crate) fn sent(&self, records: usize, bytes: usize) {
        self.meter.sent(records, bytes);
        self.records.fetch_add(records as u64, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// User records of aggregates were left out.
    #[cfg(feature = "kpl")]
    pub(crate) fn left_out(&self, records: u64) {
        self.left_out.fetch_add(records, Ordering::Relaxed);
    }

    /// The handler was done with a batch, after so long.
    pub(crate) fn handled(&self, took: Duration) {
        self.meter.handled(took);
    }

    /// A batch was committed.
    pub(crate) fn committed(&self, now: Duration) {
        self.committed.store(nanos(now), Ordering::Relaxed);
    }

    /// What has come so far, and the state, in what says the rest.
    pub(crate) fn tell(&self, now: Duration, progress: &mut ShardProgress) {
        let age = |it| time(it).map(|at| now.saturating_sub(at));
        progress.state = self.state();
        progress.records = self.records.load(Ordering::Relaxed);
        progress.bytes = self.bytes.load(Ordering::Relaxed);
        progress.left_out = self.left_out.load(Ordering::Relaxed);
        progress.answers = self.answers.load(Ordering::Relaxed);
        progress.answered = age(&self.answered);
        progress.caught_up = age(&self.caught_up);
        progress.behind_latest = time(&self.behind_latest);
        progress.committed = age(&self.committed);
        let counts = self.errors.iter().map(|count| count.load(Ordering::Relaxed));
        let errors = ErrorClass::ALL.into_iter().zip(counts);
        progress.errors = errors.filter(|(_, count)| *count > 0).collect();
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

/// What was stored as nanoseconds.
fn time(from: &AtomicU64) -> Option<Duration> {
    match from.load(Ordering::Relaxed) {
        NEVER => None,
        nanos => Some(Duration::from_nanos(nanos)),
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
        let status = Status::new(Duration::ZERO, Meter::new("stream", "shard"));
        for state in STATES {
            status.reads(Duration::ZERO, state);
            assert_eq!(status.state(), state);
        }
        status.handles(Duration::ZERO, Some(ShardState::Parked));
        assert_eq!(status.state(), ShardState::Parked);
        status.handles(Duration::ZERO, None);
        assert_eq!(status.state(), ShardState::Ended);
    }

    #[test]
    fn progress_never_goes_back() {
        let status = Status::new(Duration::from_secs(5), Meter::new("stream", "shard"));
        status.progresses(Duration::from_secs(3));
        assert_eq!(status.progressed(), Duration::from_secs(5));
    }

    #[test]
    fn who_had_nothing_to_do_has_not_stalled_when_it_goes_on() {
        let seconds = Duration::from_secs;
        for idle in [ShardState::Idle, ShardState::Paused] {
            let status = Status::new(seconds(0), Meter::new("stream", "shard"));
            status.reads(seconds(1), idle);
            status.reads(seconds(3_600), ShardState::Calling);
            status.reads(seconds(3_700), ShardState::BackingOff);
            assert_eq!(status.progressed(), seconds(3_600));
        }
    }

    #[test]
    fn answers_are_no_progress_while_the_handler_has_a_batch() {
        let seconds = Duration::from_secs;
        let status = Status::new(seconds(0), Meter::new("stream", "shard"));
        status.handles(seconds(7), Some(ShardState::Handling));
        status.handles(seconds(8), Some(ShardState::Parked));
        status.progresses(seconds(9));
        assert_eq!(status.progressed(), seconds(7));
        status.handles(seconds(10), None);
        assert_eq!(status.progressed(), seconds(9));
    }
}
