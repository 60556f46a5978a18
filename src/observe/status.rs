//! What a shard does now, and when it last made progress.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::error::client::ErrorClass;
use crate::model::notice::ShardState;
use crate::observe::metrics::Meter;
use crate::observe::progress::ShardProgress;

/// The shard's thread and the dispatcher write it, the watchdog reads it. Nothing else depends on it,
/// so its parts need no order.
#[derive(Debug)]
pub(crate) struct Status {
    /// The state of the shard's thread.
    reading: AtomicU8,
    /// The state of its batches at the dispatcher; `NOWHERE` if it has none of them.
    handling: AtomicU8,
    /// Nanoseconds since the consumer began: of the start, of the last progress, of the last change of the thread's
    /// state, and of the last change of the dispatcher's.
    started: u64,
    progressed: AtomicU64,
    reading_since: AtomicU64,
    handling_since: AtomicU64,
    /// Times of events: nanoseconds, or `NEVER`.
    records: AtomicU64,
    bytes: AtomicU64,
    /// User records of aggregates that belong to another shard.
    left_out: AtomicU64,
    answers: AtomicU64,
    answered: AtomicU64,
    behind_latest: AtomicU64,
    caught_up: AtomicU64,
    committed: AtomicU64,
    /// When the newest committed record arrived: milliseconds since 1970, or 0.
    committed_arrival: AtomicU64,
    /// While calls fail, the time of the first failure.
    failing: AtomicU64,
    /// When the thread has ended.
    left: AtomicU64,
    /// Whether the meter has got its last values.
    is_over: AtomicBool,
    errors: [AtomicU64; ErrorClass::ALL.len()],
    handler_failures: AtomicU64,
    /// Records that were put aside.
    dead_letters: AtomicU64,
    /// Gets all of it too.
    meter: Meter,
}

const NEVER: u64 = u64::MAX;

const NOWHERE: u8 = u8::MAX;

/// A call that is answered within this time is not late.
const USUAL: Duration = Duration::from_secs(1);

impl Status {
    // long: one line for each field.
    pub(crate) fn new(now: Duration, meter: Meter) -> Self {
        let never = || AtomicU64::new(NEVER);
        Self {
            reading: AtomicU8::new(ShardState::Idle as u8),
            handling: AtomicU8::new(NOWHERE),
            started: nanos(now),
            progressed: AtomicU64::new(nanos(now)),
            reading_since: AtomicU64::new(nanos(now)),
            handling_since: AtomicU64::new(0),
            records: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            left_out: AtomicU64::new(0),
            answers: AtomicU64::new(0),
            answered: never(),
            behind_latest: never(),
            caught_up: never(),
            committed: never(),
            committed_arrival: AtomicU64::new(0),
            failing: never(),
            left: never(),
            is_over: AtomicBool::new(false),
            errors: Default::default(),
            handler_failures: AtomicU64::new(0),
            dead_letters: AtomicU64::new(0),
            meter,
        }
    }

    /// The shard's thread does this from now on.
    pub(crate) fn reads(&self, now: Duration, state: ShardState) {
        // Until now it was idle, perhaps for longer than `stall_after`.
        if matches!(self.reading(), ShardState::Idle | ShardState::Paused) {
            self.progresses(now);
        }
        self.reading_since.store(nanos(now), Ordering::Relaxed);
        self.reading.store(state as u8, Ordering::Relaxed);
    }

    /// The shard's thread has ended: the shard was read to its end, or the run was stopped.
    pub(crate) fn leaves(&self, now: Duration) {
        self.left.store(nanos(now), Ordering::Relaxed);
        self.meter.leaves();
    }

    /// Whether the shard's thread has ended.
    pub(crate) fn has_left(&self) -> bool {
        time(&self.left).is_some()
    }

    /// The dispatcher does this with a batch; `None` if it is done with it.
    pub(crate) fn handles(&self, now: Duration, state: Option<ShardState>) {
        let state = state.map_or(NOWHERE, |state| state as u8);
        // The way from the handler to parking and back is no progress.
        if self.handling.load(Ordering::Relaxed) == NOWHERE {
            self.handling_since.store(nanos(now), Ordering::Relaxed);
        }
        self.handling.store(state, Ordering::Relaxed);
    }

    /// An answer came, or a batch was sent or handled.
    pub(crate) fn progresses(&self, now: Duration) {
        self.progressed.fetch_max(nanos(now), Ordering::Relaxed);
    }

    /// A call of `GetRecords` was answered, after this time.
    pub(crate) fn answered(&self, now: Duration, took: Duration, behind_latest: Option<Duration>) {
        self.answers.fetch_add(1, Ordering::Relaxed);
        self.answered.store(nanos(now), Ordering::Relaxed);
        self.failing.store(NEVER, Ordering::Relaxed);
        self.behind_latest.store(behind_latest.map_or(NEVER, nanos), Ordering::Relaxed);
        self.meter.answered();
        self.meter.latency.record(took);
        self.meter.behind_latest(behind_latest.unwrap_or_default());
    }

    /// An answer showed that there was nothing more to read.
    pub(crate) fn caught_up(&self, now: Duration) {
        self.caught_up.store(nanos(now), Ordering::Relaxed);
    }

    /// A call failed.
    pub(crate) fn failed(&self, now: Duration, class: ErrorClass) {
        self.meter.failed(class);
        self.errors[class as usize].fetch_add(1, Ordering::Relaxed);
        // An expired iterator does no harm.
        if class != ErrorClass::ExpiredIterator {
            // The time of the first failure stays.
            self.failing.fetch_min(nanos(now), Ordering::Relaxed);
        }
    }

    /// A call that failed is made again.
    pub(crate) fn retries(&self) {
        self.meter.retries.increment(1);
    }

    /// A write to the store failed.
    pub(crate) fn unstored(&self) {
        self.meter.store_failures.increment(1);
    }

    /// Records were sent.
    pub(crate) fn sent(&self, records: usize, bytes: usize) {
        self.meter.records.increment(records as u64);
        self.meter.bytes.increment(bytes as u64);
        self.records.fetch_add(records as u64, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// User records of aggregates were left out.
    #[cfg(feature = "kpl")]
    pub(crate) fn left_out(&self, records: u64) {
        self.meter.left_out.increment(records);
        self.left_out.fetch_add(records, Ordering::Relaxed);
    }

    /// The handler was done with a batch, after this time.
    pub(crate) fn handled(&self, took: Duration) {
        self.meter.handling.record(took);
    }

    /// The handler refused a batch.
    pub(crate) fn refused(&self) {
        self.meter.handler_failures.increment(1);
        self.handler_failures.fetch_add(1, Ordering::Relaxed);
    }

    /// A batch that the handler refused was put aside.
    pub(crate) fn put_aside(&self, records: usize) {
        self.meter.dead_letters.increment(1);
        self.meter.dead_records.increment(records as u64);
        self.dead_letters.fetch_add(records as u64, Ordering::Relaxed);
    }

    /// A batch was committed.
    pub(crate) fn committed(&self, now: Duration) {
        self.committed.store(nanos(now), Ordering::Relaxed);
    }

    /// A record with this arrival is committed, if known.
    pub(crate) fn done_until(&self, arrival: Option<SystemTime>) {
        let Some(arrival) = arrival else { return };
        let since = arrival.duration_since(UNIX_EPOCH).unwrap_or_default();
        let millis = u64::try_from(since.as_millis()).unwrap_or(0);
        // Batches may be committed in any order.
        let before = self.committed_arrival.fetch_max(millis, Ordering::Relaxed);
        if before < millis && !self.is_over.load(Ordering::Relaxed) {
            self.meter.committed_arrival(arrival);
        }
    }

    /// Tells the meter the values that grow by themselves; `uncommitted` is how long a record has been read and not
    /// committed.
    pub(crate) fn refresh(&self, now: Duration, uncommitted: Duration) {
        self.meter.commit_age(uncommitted);
        match time(&self.left) {
            None => self.meter.behind_latest(self.behind(now).unwrap_or_default()),
            // The thread may have ended in the meantime.
            Some(_) => self.meter.leaves(),
        }
    }

    /// The meter's last values: nothing is left to commit, or the run has ended.
    pub(crate) fn ends(&self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.meter.ends();
    }

    /// Writes the counts so far and the state into `progress`.
    pub(crate) fn tell(&self, now: Duration, progress: &mut ShardProgress) {
        let age = |it| time(it).map(|at| now.saturating_sub(at));
        let count = |it: &AtomicU64| it.load(Ordering::Relaxed);
        progress.state = self.state();
        progress.records = count(&self.records);
        progress.bytes = count(&self.bytes);
        progress.left_out = count(&self.left_out);
        progress.answers = count(&self.answers);
        progress.answered = age(&self.answered);
        progress.caught_up = age(&self.caught_up);
        progress.behind_latest = self.behind(now);
        progress.failing = age(&self.failing).filter(|_| time(&self.left).is_none());
        progress.committed = age(&self.committed);
        let arrival = Some(count(&self.committed_arrival)).filter(|millis| *millis > 0);
        progress.committed_arrival =
            arrival.and_then(|millis| UNIX_EPOCH.checked_add(Duration::from_millis(millis)));
        progress.handler_failures = count(&self.handler_failures);
        progress.dead_letters = count(&self.dead_letters);
        let errors = ErrorClass::ALL.into_iter().zip(self.errors.iter().map(count));
        progress.errors = errors.filter(|(_, count)| *count > 0).collect();
    }

    pub(crate) fn state(&self) -> ShardState {
        let handling = ShardState::ALL.get(usize::from(self.handling.load(Ordering::Relaxed)));
        handling.copied().unwrap_or_else(|| self.reading())
    }

    /// When it last made progress. While the handler has a batch, answers do not count.
    pub(crate) fn progressed(&self) -> Duration {
        let read = self.progressed.load(Ordering::Relaxed);
        Duration::from_nanos(match self.handling.load(Ordering::Relaxed) {
            NOWHERE => read,
            _ => read.min(self.handling_since.load(Ordering::Relaxed)),
        })
    }

    fn reading(&self) -> ShardState {
        ShardState::ALL[usize::from(self.reading.load(Ordering::Relaxed))]
    }

    /// How far reading may be behind: what the last answer said, and the time since then if nothing could be read.
    fn behind(&self, now: Duration) -> Option<Duration> {
        // The code that stopped reading knows it.
        let now = time(&self.left).map_or(now, |left| now.min(left));
        let state = self.reading();
        let held_up = match state {
            ShardState::Ended => return Some(Duration::ZERO),
            _ if time(&self.failing).is_some() => self.unread(now),
            ShardState::Calling | ShardState::Storing => {
                let since = Duration::from_nanos(self.reading_since.load(Ordering::Relaxed));
                let taken = now.saturating_sub(since);
                if taken < USUAL { Duration::ZERO } else { taken }
            }
            ShardState::Idle | ShardState::WaitingForParents => Duration::ZERO,
            _ => self.unread(now),
        };
        match time(&self.behind_latest) {
            Some(known) => Some(known.saturating_add(held_up)),
            None => Some(held_up).filter(|held_up| !held_up.is_zero()),
        }
    }

    /// How long no answer has come.
    fn unread(&self, now: Duration) -> Duration {
        let since = time(&self.answered).unwrap_or(Duration::from_nanos(self.started));
        now.saturating_sub(since)
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
mod tests;
