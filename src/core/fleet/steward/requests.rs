//! The leases that a process has asked others for.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::core::fleet::lease::row::Row;
use crate::core::fleet::steward::words::{Act, Job};

/// How often a row that was asked for is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// What was asked for, and when it is looked at next.
#[derive(Debug, Default)]
pub(super) struct Requests(BTreeMap<String, Request>);

#[derive(Debug)]
struct Request {
    /// Who has it, if that is known.
    of: Option<String>,
    since: Duration,
    /// The counter, and the end of the look that first showed it.
    seen: Option<(u64, Duration)>,
    /// When it is looked at; `None` during a look, or while it is taken.
    due: Option<Duration>,
}

/// What a look at a row says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It was handed over: to be accepted from this worker.
    Ready { from: Option<String> },
    /// Its holder does not hand it over, or is gone: to be taken.
    Overdue { from: String },
    /// It is looked at again.
    Wait,
    /// Somebody else has it.
    Gone,
}

impl Requests {
    pub(super) fn has(&self, shard: &str) -> bool {
        self.0.contains_key(shard)
    }

    /// What is asked for.
    pub(super) fn shards(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub(super) fn add(&mut self, shard: &str, of: Option<String>, now: Duration) {
        let request = Request { of, since: now, seen: None, due: Some(now + LOOK) };
        self.0.insert(shard.to_owned(), request);
    }

    pub(super) fn forget(&mut self, shard: &str) {
        self.0.remove(shard);
    }

    /// A write that may wait is not tried again. What it may have asked for is looked at: the row tells.
    pub(super) fn unheard(&mut self, job: &Job, now: Duration) {
        let shard = job.write.key();
        match &job.act {
            Act::Ask { of } if job.sent.is_some() => self.add(shard, Some(of.clone()), now),
            _ => self.failed(shard, now),
        }
    }

    /// All of them, with who has each if that is known.
    pub(super) fn into_all(self) -> impl Iterator<Item = (String, Option<String>)> {
        self.0.into_iter().map(|(shard, request)| (shard, request.of))
    }

    /// The next row to look at.
    pub(super) fn next(&mut self, now: Duration) -> Option<String> {
        let is_due = |it: &Request| it.due.is_some_and(|due| due <= now);
        let (shard, request) = self.0.iter_mut().find(|(_, it)| is_due(it))?;
        request.due = None;
        Some(shard.clone())
    }

    /// When the next row is looked at.
    pub(super) fn due(&self) -> Option<Duration> {
        self.0.values().filter_map(|it| it.due).min()
    }

    /// A look, or what followed it, failed.
    pub(super) fn failed(&mut self, shard: &str, now: Duration) {
        if let Some(request) = self.0.get_mut(shard) {
            request.due = Some(now + LOOK);
        }
    }

    /// What is to be done about a row that was looked at between these times. `me` is the worker, and its process.
    // long: one step for each thing that the row may say.
    pub(super) fn looked(
        &mut self,
        shard: &str,
        row: Option<&Row>,
        me: (&str, &str),
        times: (Duration, Duration),
        limits: (Duration, Duration),
    ) -> Verdict {
        let ((begun, ended), (failover, patience), (worker, process)) = (times, limits, me);
        let Some(request) = self.0.get_mut(shard) else { return Verdict::Gone };
        // Another process with the same id may have accepted it; if that process is dead, a survey tells.
        let is_its = |row: &Row| {
            let holder = row.holder.as_ref().filter(|_| row.checkpoint_owner.is_none());
            holder.is_some_and(|it| it.is_of(worker) && it.process() != process)
        };
        let Some(row) = row.filter(|it| it.owner.as_deref() == Some(worker) && !is_its(it)) else {
            self.0.remove(shard);
            return Verdict::Gone;
        };
        let Some(giver) = row.giver().map(str::to_owned) else {
            return Verdict::Ready { from: request.of.clone() };
        };
        request.of = Some(giver.clone());
        // As long as a holder with a longer time hands batches over.
        let failover = row.failover.map_or(failover, |own| own.max(failover));
        let since = match request.seen {
            Some((counter, since)) if counter == row.counter => since,
            _ => ended,
        };
        request.seen = Some((row.counter, since));
        let stands_still = begun.saturating_sub(since) > failover;
        if stands_still || begun.saturating_sub(request.since) > patience + failover {
            return Verdict::Overdue { from: giver };
        }
        request.due = Some(ended + LOOK);
        Verdict::Wait
    }
}
