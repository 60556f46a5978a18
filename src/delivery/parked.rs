//! Batches that wait: for another attempt of the handler, or until they may be handed over.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, SystemTime};

use crate::core::retry::Retry;
use crate::delivery::batch::Batch;
use crate::delivery::on_error::OnError;
use crate::delivery::refusals::Refusals;
use crate::error::BoxError;
use crate::error::chain::Chain;
use crate::model::notice::ShardState;

/// A fenced shard is looked at again after this time, and then after twice the time before, up to the second one: mostly
/// the next write of its lease lifts the fence.
const FIRST_LOOK: Duration = Duration::from_millis(50);
const LAST_LOOK: Duration = Duration::from_secs(1);

/// The shards whose batches wait, with the batches that follow them.
#[derive(Debug)]
pub(crate) struct Parking {
    on_error: OnError,
    lanes: BTreeMap<String, Lane>,
    refusals: Refusals,
    /// The stream of the last batch that was refused.
    stream: String,
}

/// A shard with a batch that failed, or came while the shard was fenced.
#[derive(Debug, Default)]
struct Lane {
    /// In the order in which they must be handled.
    batches: VecDeque<Batch>,
    /// When the handler gets the first of them; `None` while it has it.
    due: Option<Duration>,
    attempts: u32,
    retry: Retry,
    /// How long the first of them waits because the shard is fenced.
    fenced: Duration,
    /// What the handler said of the first of them at last, if only the dead-letter callback is still to get it.
    refusal: Option<BoxError>,
}

/// The time, since any fixed moment and on the calendar.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Time {
    pub(crate) now: Duration,
    pub(crate) wall: SystemTime,
}

/// What happens to a batch that the handler refused.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// It is retried when it is due.
    Parked,
    /// It was tried often enough, or for long enough.
    GivenUp { batch: Box<Batch>, attempts: u32 },
}

impl Parking {
    pub(crate) fn new(on_error: OnError) -> Self {
        let (lanes, refusals) = (BTreeMap::new(), Refusals::new());
        Self { on_error, lanes, refusals, stream: String::new() }
    }

    pub(crate) fn on_error(&self) -> &OnError {
        &self.on_error
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }

    /// When the next batch is due.
    pub(crate) fn due(&self) -> Option<Duration> {
        self.lanes.values().filter_map(|lane| lane.due).min()
    }

    /// The batch that is due longest, if one is.
    pub(crate) fn take(&mut self, now: Duration) -> Option<Batch> {
        let due = self.due().filter(|due| *due <= now)?;
        let lane = self.lanes.values_mut().find(|lane| lane.due == Some(due))?;
        lane.due = None;
        lane.batches.pop_front()
    }

    /// A batch that may be handled now; a batch after one that waits waits too.
    pub(crate) fn pass(&mut self, batch: Batch) -> Option<Batch> {
        match self.lanes.get_mut(batch.shard()) {
            Some(lane) => {
                lane.batches.push_back(batch);
                None
            }
            None => Some(batch),
        }
    }

    /// The handler refused a batch.
    // long: a batch is halved, given up or tried again, and each is told.
    pub(crate) fn failed(
        &mut self,
        time: Time,
        rng: &mut fastrand::Rng,
        mut batch: Batch,
        error: &BoxError,
    ) -> Verdict {
        let error = Chain(&**error);
        batch.commits().handles(Some(ShardState::Parked));
        batch.commits().status().refused();
        batch.stream().clone_into(&mut self.stream);
        let limit = self.on_error.max_record_age.zip(age(&batch, time));
        let is_old = limit.is_some_and(|(limit, age)| age > limit);
        let lane = self.lanes.entry(batch.shard().to_owned()).or_default();
        (lane.attempts, lane.fenced) = (lane.attempts + 1, Duration::ZERO);
        if self.on_error.halve && batch.len() > 1 {
            let level = self.refusals.failed(time.now, batch.shard());
            let (stream, shard, records) = (batch.stream(), batch.shard(), batch.len());
            log::log!(
                level,
                "stream {stream:?}, shard {shard:?}: the handler failed on {records} records; they are halved: {error}"
            );
            let rest = batch.split_half();
            lane.batches.push_front(rest);
            lane.batches.push_front(batch);
            (lane.attempts, lane.due) = (0, Some(time.now));
            return Verdict::Parked;
        }
        if is_old || self.on_error.max_attempts.is_some_and(|most| lane.attempts >= most) {
            return Verdict::GivenUp { batch: Box::new(batch), attempts: lane.attempts };
        }
        let level = self.refusals.failed(time.now, batch.shard());
        let (stream, shard) = (batch.stream(), batch.shard());
        log::log!(
            level,
            "stream {stream:?}, shard {shard:?}: the handler failed, and is called again: {error}"
        );
        let wait = lane.retry.wait(time.now, rng, None).unwrap_or_default();
        lane.due = Some(time.now + wait);
        lane.batches.push_front(batch);
        Verdict::Parked
    }

    /// A batch must not be handed over now, since the shard is fenced. That is no failure, and no attempt. It comes with a
    /// refusal if it was given up, and the dead-letter callback did not get it.
    pub(crate) fn fenced(&mut self, now: Duration, batch: Batch, refusal: Option<BoxError>) {
        batch.commits().handles(Some(ShardState::Fenced));
        let lane = self.lanes.entry(batch.shard().to_owned()).or_default();
        lane.fenced = (lane.fenced * 2).clamp(FIRST_LOOK, LAST_LOOK);
        (lane.due, lane.refusal) = (Some(now + lane.fenced), refusal);
        lane.batches.push_front(batch);
    }

    /// Why a batch that was taken must not come to the handler again, and after how many attempts.
    pub(crate) fn take_refusal(&mut self, batch: &Batch) -> Option<(BoxError, u32)> {
        let lane = self.lanes.get_mut(batch.shard())?;
        Some((lane.refusal.take()?, lane.attempts))
    }

    /// The handler took a batch: the batch after it is next.
    pub(crate) fn done(&mut self, now: Duration, batch: &Batch) {
        let (stream, shard) = (batch.stream(), batch.shard());
        // Of a batch that was halved only the last part counts as recovery.
        if !batch.is_part() {
            if let Some(tally) = self.refusals.handled(now, shard) {
                log::warn!(
                    "stream {stream:?}, shard {shard:?}: the handler recovered after {tally}"
                );
            }
        }
        self.next(now, shard);
    }

    /// The dead-letter callback took a batch after this many attempts: the batch after it is next.
    pub(crate) fn put_aside(
        &mut self,
        now: Duration,
        batch: &Batch,
        error: &BoxError,
        attempts: u32,
    ) {
        let error = Chain(&**error);
        let (stream, shard, what) = (batch.stream(), batch.shard(), named(batch));
        batch.commits().status().put_aside(batch.len());
        log::log!(
            self.refusals.put_aside(now, shard, batch.len()),
            "stream {stream:?}, shard {shard:?}: put aside after attempt {attempts}: {what}: {error}"
        );
        self.next(now, shard);
        stream.clone_into(&mut self.stream);
    }

    /// Logs, if it is time, how many lines were left out.
    pub(crate) fn say_more(&mut self, now: Duration) {
        if let Some(hidden) = self.refusals.summary(now) {
            log::warn!("stream {:?}: the handler failed again: {hidden}", self.stream);
        }
    }

    /// The same, before it is time.
    pub(crate) fn say_rest(&mut self) {
        if let Some(hidden) = self.refusals.rest() {
            log::warn!("stream {:?}: the handler failed again: {hidden}", self.stream);
        }
    }

    /// When a batch is due, or a line must be logged.
    pub(crate) fn wake(&self) -> Option<Duration> {
        self.due().into_iter().chain(self.refusals.due()).min()
    }

    fn next(&mut self, now: Duration, shard: &str) {
        let Some(lane) = self.lanes.get_mut(shard) else { return };
        lane.retry.succeeded(now);
        (lane.attempts, lane.due) = (0, Some(now));
        (lane.fenced, lane.refusal) = (Duration::ZERO, None);
        if lane.batches.is_empty() {
            self.lanes.remove(shard);
        }
    }

    /// Drops the batches that wait with one of a lost shard.
    pub(crate) fn forget(&mut self, now: Duration, lost: &Batch) {
        if let Some(lane) = self.lanes.get_mut(lost.shard()) {
            lane.batches.retain(|batch| !batch.commits().is_lost());
        }
        self.next(now, lost.shard());
    }

    /// Keeps a batch, which is not used any more, until everything is dropped.
    pub(crate) fn keep(&mut self, batch: Batch) {
        self.lanes.entry(batch.shard().to_owned()).or_default().batches.push_front(batch);
    }
}

/// The records of a batch by their numbers.
fn named(batch: &Batch) -> String {
    let records = batch.records();
    match (records.first(), records.last()) {
        (Some(one), _) if batch.len() == 1 => format!("1 record, {}", one.sequence_number()),
        (Some(first), Some(last)) => {
            let (first, last) = (first.sequence_number(), last.sequence_number());
            format!("{} records, from {first} to {last}", batch.len())
        }
        _ => "no record, the end of the shard".into(),
    }
}

/// How long the first record of a batch has been in the stream; `None` if unknown, which counts as new.
fn age(batch: &Batch, time: Time) -> Option<Duration> {
    let arrival = batch.records().first()?.approximate_arrival()?;
    time.wall.duration_since(arrival).ok()
}

#[cfg(test)]
mod tests;
