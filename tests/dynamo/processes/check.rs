//! What became of every record, and why some came twice.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use kinesis_consumer::SequenceNumber;

use super::life::{Close, End, Life};
use super::notes::Handled;
use super::world::World;

/// Why a record may come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cause {
    /// Who handled it first was killed.
    Killed,
    /// Who handled it stood still.
    Stopped,
    /// Who handled it could not reach the table for so long that its lease was taken.
    Fenced,
    /// Who handled it was told to end, and could not reach the table for its last write.
    Unstored,
    /// It should not have.
    None,
}

/// The result.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) put: usize,
    pub(crate) lost: usize,
    /// Records of a key that came first after a later one of it, or that a tenure handled after a later one.
    pub(crate) disordered: usize,
    /// Batches that were handed over while somebody else was known to hold the lease.
    pub(crate) late: usize,
    /// Records that came again although the table had them before as done.
    pub(crate) below: usize,
    pub(crate) again: BTreeMap<Cause, usize>,
    /// What is wrong, in words.
    pub(crate) faults: Vec<String>,
}

/// A time at which a record was handled.
#[derive(Clone, Copy)]
struct Time<'a> {
    life: &'a Life,
    tenure: usize,
    batch: &'a Handled,
}

impl Verdict {
    /// Of all that was handled; each key has so many records.
    pub(crate) fn of(world: &World, rounds: u64) -> Self {
        let mut verdict = Self { put: (rounds * world.plan.keys) as usize, ..Self::default() };
        let mut records: BTreeMap<(u64, u64), Vec<(Time<'_>, &SequenceNumber)>> = BTreeMap::new();
        for life in &world.lives {
            for (tenure, batch) in &life.handled {
                let time = Time { life, tenure: *tenure, batch };
                for (number, key, count) in &batch.records {
                    records.entry((*key, *count)).or_default().push((time, number));
                }
            }
        }
        records.values_mut().for_each(|times| times.sort_by_key(|(time, _)| time.batch.ended));
        verdict.lost = verdict.put - records.len();
        verdict.check_keys(&records);
        world.lives.iter().for_each(|life| verdict.check_tenures(life));
        verdict.check_holders(world);
        for times in records.values() {
            for pair in times.windows(2) {
                verdict.check_again(world, &pair[0].0, &pair[1].0, pair[1].1);
            }
        }
        verdict
    }

    /// Whether all is as it must be.
    pub(crate) fn is_right(&self) -> bool {
        let unexplained = self.again.get(&Cause::None).copied().unwrap_or(0);
        self.lost + self.disordered + self.late + self.below + unexplained == 0
    }

    fn fault(&mut self, text: String) {
        if self.faults.len() < 20 {
            self.faults.push(text);
        }
    }

    /// The records of a key come for the first time in their order.
    fn check_keys(&mut self, records: &BTreeMap<(u64, u64), Vec<(Time<'_>, &SequenceNumber)>>) {
        let mut last: Option<(u64, Duration)> = None;
        for ((key, count), times) in records {
            let at = times[0].0.batch.ended;
            if last.is_some_and(|(other, before)| other == *key && at < before) {
                self.disordered += 1;
                self.fault(format!("record {count} of key {key} came after a later one"));
            }
            last = Some((*key, at));
        }
    }

    /// The numbers of a tenure ascend.
    fn check_tenures(&mut self, life: &Life) {
        let mut last = BTreeMap::new();
        for (tenure, batch) in &life.handled {
            for (number, ..) in &batch.records {
                if last.insert(*tenure, number).is_some_and(|before| before >= number) {
                    self.disordered += 1;
                    self.fault(format!("{}: {} again or late", life.worker, number));
                }
            }
        }
    }

    /// No batch is handed over on a lease that somebody else has gained since.
    fn check_holders(&mut self, world: &World) {
        for life in &world.lives {
            for (tenure, batch) in &life.handled {
                let gained = life.tenures[*tenure].gained;
                let newer = world.lives.iter().filter(|other| other.worker != life.worker);
                let newer = newer.filter(|other| {
                    other.tenures.iter().any(|it| {
                        // What one that stood still says may be old.
                        let known = it.gained.saturating_sub(Duration::from_secs(30));
                        let is_old = other.was_stopped(known, it.gained);
                        let is_since = gained < it.gained && it.gained < batch.begun;
                        it.shard == batch.shard && is_since && !is_old
                    })
                });
                let newer: Vec<_> = newer.map(|other| other.worker.clone()).collect();
                if !newer.is_empty() {
                    self.late += 1;
                    let Handled { shard, begun, .. } = batch;
                    let worker = &life.worker;
                    self.fault(format!("{shard}: {worker} at {begun:?}, after {newer:?} had it"));
                }
            }
        }
    }

    fn check_again(
        &mut self,
        world: &World,
        first: &Time<'_>,
        later: &Time<'_>,
        number: &SequenceNumber,
    ) {
        let cause = cause(first, later);
        *self.again.entry(cause).or_default() += 1;
        let what = |why| {
            let (one, other) = (&first.life.worker, &later.life.worker);
            format!("{}: {number} by {one} and {other}: {why}", first.batch.shard)
        };
        if cause == Cause::None {
            let tenure = &first.life.tenures[first.tenure];
            self.fault(what(format!("without a cause: {tenure:?}, {:?}", first.life.end)));
        }
        let gained = later.life.tenures[later.tenure].gained;
        let stored = world.stored.get(&first.batch.shard).into_iter().flatten();
        if stored.into_iter().any(|(at, stored)| *at < gained && number <= stored) {
            self.below += 1;
            self.fault(what("it was stored before".to_owned()));
        }
    }
}

/// Why a record came again.
fn cause(first: &Time<'_>, later: &Time<'_>) -> Cause {
    let is_stopped = |time: &Time<'_>| time.life.was_stopped(time.batch.begun, time.batch.ended);
    let tenure = &first.life.tenures[first.tenure];
    if first.life.worker == later.life.worker && first.tenure == later.tenure {
        return Cause::None;
    }
    // One was at work while the lease went to the other.
    if is_stopped(first) || is_stopped(later) {
        return Cause::Stopped;
    }
    match (tenure.closed, first.life.end) {
        (Some((_, Close::Released)), _) => Cause::None,
        (Some((at, Close::Lost)), _) if first.life.was_stopped(tenure.gained, at) => Cause::Stopped,
        (Some((_, Close::Lost)), _) if tenure.was_fenced => Cause::Fenced,
        (None, Some((_, End::Killed))) => Cause::Killed,
        (None, Some((_, End::Told))) if first.life.is_unstored => Cause::Unstored,
        // It ended before it could tell of the loss.
        (None, Some((_, End::Told))) if tenure.was_fenced => Cause::Fenced,
        _ => Cause::None,
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { put, lost, disordered, late, below, again, .. } = self;
        let again = |cause| again.get(&cause).copied().unwrap_or(0);
        write!(
            f,
            "{put} put, {lost} lost, {disordered} out of order, {late} handed over after the fence, again: {} after kills, \
             {} after stops, {} after fences, {} after ends without a table, {} below the stored position, {} without a cause",
            again(Cause::Killed),
            again(Cause::Stopped),
            again(Cause::Fenced),
            again(Cause::Unstored),
            below,
            again(Cause::None),
        )
    }
}
