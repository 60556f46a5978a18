//! Logs a run and its shards: few lines for any number of shards.

use std::sync::Arc;
use std::time::Duration;

use log::Level;

use crate::core::event::Ending;
use crate::core::event::{Start, StartAt};
use crate::core::fleet::lease::refused::Loss;
use crate::core::outage::{Outage, Tally, Trouble};
use crate::core::quota::Quota;
use crate::error::Error;
use crate::error::client::ErrorClass;
use crate::model::notice::Notice;
use crate::model::position::IteratorType;
use crate::model::shard::ChildShard;
use crate::model::time;
use crate::model::time::spoken;
use crate::sync::Mutex;

/// How many shards that start, or end, together are named.
const NAMED: u32 = 20;
/// Ends within this time of each other count as one group.
const IN_ONE_GO: Duration = Duration::from_secs(10);

/// The log of one stream, for all threads of the run.
pub(crate) struct Journal {
    stream: Arc<str>,
    /// Never held while something is logged: a logger is not ours.
    said: Mutex<Said>,
}

struct Said {
    reads: Outage<ErrorClass>,
    writes: Outage,
    starts: Quota,
    ends: Quota,
    /// In a fleet, of leases that move, and of those that cannot be kept up.
    gains: Quota,
    releases: Quota,
    fences: Outage,
    has_started: bool,
}

impl Journal {
    pub(crate) fn new(stream: Arc<str>) -> Self {
        let quota = || Quota::new(NAMED, IN_ONE_GO);
        let said = Said {
            reads: Outage::default(),
            writes: Outage::default(),
            starts: quota(),
            ends: quota(),
            gains: quota(),
            releases: quota(),
            fences: Outage::default(),
            has_started: false,
        };
        Self { stream, said: Mutex::new(said) }
    }

    /// The run begins.
    pub(crate) fn begins(&self, place: Option<&str>) {
        let place = place.map(|place| format!(" at {place}")).unwrap_or_default();
        log::info!("stream {:?}: the consumer starts{place}", self.stream);
    }

    /// These shards start; `waiting` counts those that wait for their parents.
    pub(crate) fn starts(&self, now: Duration, starts: &[&Start], waiting: impl Fn() -> usize) {
        let stream = &self.stream;
        for start in starts {
            let is_shown = self.said.lock().starts.shows(now);
            let level = level(is_shown);
            let (shard, at) = (start.shard.id(), place_of(&start.at));
            log::log!(level, "stream {stream:?}, shard {shard:?}: starts {at}");
        }
        // The children of a split come in pairs: they are counted later.
        let more = (starts.len() > NAMED as usize).then(|| self.said.lock().starts.rest());
        self.more_start(more.flatten());
        if !std::mem::replace(&mut self.said.lock().has_started, true) {
            match waiting() {
                0 => {}
                waiting => log::info!("stream {stream:?}: {waiting} shards wait for their parents"),
            }
        }
    }

    fn more_start(&self, more: Option<u64>) {
        if let Some(more) = more {
            log::info!("stream {:?}: {more} more shards start", self.stream);
        }
    }

    fn more_end(&self, more: Option<u64>) {
        if let Some(more) = more {
            log::info!("stream {:?}: {more} more shards were read to their ends", self.stream);
        }
    }

    fn more_move(&self, gains: Option<u64>, releases: Option<u64>) {
        let stream = &self.stream;
        if let Some(more) = gains {
            log::info!("stream {stream:?}: {more} more leases are held from now on");
        }
        if let Some(more) = releases {
            log::info!("stream {stream:?}: {more} more leases were given up");
        }
    }

    /// A shard was read to its end.
    pub(crate) fn ended(&self, now: Duration, shard: &str, ending: &Ending) {
        let is_shown = self.said.lock().ends.shows(now);
        let level = level(is_shown);
        let how = match ending {
            Ending::Read(children) => format!("was read to its end{}", heirs(shard, children)),
            Ending::Vanished => "has aged out of the stream".into(),
        };
        log::log!(level, "stream {:?}, shard {shard:?}: {how}", self.stream);
        self.told(now, shard, Trouble::Recovered);
    }

    /// The thread of a shard ends: it does not fail any more.
    pub(crate) fn leaves(&self, now: Duration, shard: &str) {
        let mut said = self.said.lock();
        // That is no recovery, so nothing is logged.
        let _ = (said.reads.recovered(now, shard), said.writes.recovered(now, shard));
    }

    /// A report of a shard's poller.
    // long: one text for each kind of trouble.
    pub(crate) fn told(&self, now: Duration, shard: &str, trouble: Trouble) {
        let stream = &self.stream;
        match trouble {
            Trouble::Failed { error, wait } => {
                let level = self.said.lock().reads.failed(now, shard, error.class());
                let again = spoken(wait);
                log::log!(level, "stream {stream:?}, shard {shard:?}: {error:#}; again in {again}");
            }
            Trouble::Unstored { error, wait } => {
                let level = self.said.lock().writes.failed(now, shard, ());
                let again = spoken(wait);
                log::log!(level, "stream {stream:?}, shard {shard:?}: {error:#}; again in {again}");
            }
            Trouble::Recovered => {
                let tally = self.said.lock().reads.recovered(now, shard);
                if let Some(tally) = tally {
                    let whose = whose(shard, tally);
                    log::warn!("stream {stream:?}{whose}: reads recovered after {tally}");
                }
            }
            Trouble::Stored => {
                let tally = self.said.lock().writes.recovered(now, shard);
                if let Some(tally) = tally {
                    let whose = whose(shard, tally);
                    log::warn!(
                        "stream {stream:?}{whose}: where shards start is stored again after {tally}"
                    );
                }
            }
        }
    }

    /// What has become of a lease, or of its table. Hundreds of leases may move, or fall to their fences, at once.
    // long: one text for each notice.
    pub(crate) fn lease(&self, now: Duration, notice: &Notice) {
        let stream = &self.stream;
        match notice {
            Notice::Gained { shard, from } => {
                let level = level(self.said.lock().gains.shows(now));
                let from = worker(from);
                log::log!(
                    level,
                    "stream {stream:?}, shard {shard:?}: its lease is held from now on, and was held by {from}"
                );
            }
            Notice::Released { shard, to } => {
                let level = level(self.said.lock().releases.shows(now));
                let to = worker(to);
                log::log!(
                    level,
                    "stream {stream:?}, shard {shard:?}: its lease was given up, and left to {to}"
                );
                self.fence_is_over(now, shard);
            }
            Notice::Fenced { shard } => {
                let level = self.said.lock().fences.failed(now, shard, ());
                log::log!(
                    level,
                    "stream {stream:?}, shard {shard:?}: its lease could not be kept up, so its batches wait"
                );
            }
            // `lost` has logged the loss.
            Notice::Unfenced { shard } | Notice::Lost { shard, .. } => {
                self.fence_is_over(now, shard);
            }
            Notice::TableRecovered { lasted } => {
                let lasted = spoken(*lasted);
                log::warn!("stream {stream:?}: the table of leases answers again after {lasted}");
            }
            Notice::Protocol { version } => log::warn!(
                "stream {stream:?}: the table of leases says {version:?}: the application's version of Amazon's \
                 library has changed"
            ),
            _ => {}
        }
    }

    /// In a fleet, a lease is lost; whether its shard was started or not.
    pub(crate) fn lost(&self, shard: &str, why: &Loss) {
        log::warn!("stream {:?}, shard {shard:?}: its lease is lost: {why}", self.stream);
    }

    fn fence_is_over(&self, now: Duration, shard: &str) {
        let tally = self.said.lock().fences.recovered(now, shard);
        if let Some(tally) = tally {
            log::warn!("stream {:?}: no shard is fenced any more, after {tally}", self.stream);
        }
    }

    /// All calls of the table of leases have failed for this time.
    pub(crate) fn table_fails(&self, lasted: Duration, why: &str) {
        let (stream, lasted) = (&self.stream, spoken(lasted));
        log::warn!(
            "stream {stream:?}: all calls of the table of leases have failed for {lasted}: {why}"
        );
    }

    /// Time has passed.
    pub(crate) fn tick(&self, now: Duration) {
        let (spread, fences, starts, ends, gains, releases) = {
            let said = &mut *self.said.lock();
            let spread = (said.reads.spread(now), said.fences.spread(now));
            let quotas = [&mut said.starts, &mut said.ends, &mut said.gains, &mut said.releases];
            let [starts, ends, gains, releases] = quotas.map(|quota| quota.summary(now));
            (spread.0, spread.1, starts, ends, gains, releases)
        };
        let stream = &self.stream;
        if let Some(Tally { lasted, shards }) = fences {
            let lasted = spoken(lasted);
            log::warn!(
                "stream {stream:?}: batches of {shards} shards wait, the first for {lasted}, since their leases could not be kept up"
            );
        }
        self.more_move(gains, releases);
        if let Some(Tally { lasted, shards }) = spread {
            let lasted = spoken(lasted);
            log::warn!("stream {stream:?}: calls fail for {shards} shards, the first for {lasted}");
        }
        self.more_start(starts);
        self.more_end(ends);
    }

    /// The run has ended.
    pub(crate) fn ends(&self, result: Result<(), &Error>, is_stopped: bool) {
        let stream = &self.stream;
        let [starts, ends, gains, releases] = {
            let said = &mut *self.said.lock();
            let quotas = [&mut said.starts, &mut said.ends, &mut said.gains, &mut said.releases];
            quotas.map(Quota::rest)
        };
        self.more_move(gains, releases);
        self.more_start(starts);
        self.more_end(ends);
        match result {
            Err(error) => log::info!("stream {stream:?}: the consumer ends: {error:#}"),
            Ok(()) if is_stopped => {
                log::info!("stream {stream:?}: the consumer ends: it was stopped")
            }
            Ok(()) => log::info!("stream {stream:?}: the consumer ends: all was read"),
        }
    }
}

/// Of a line among many.
fn level(is_shown: bool) -> Level {
    if is_shown { Level::Info } else { Level::Debug }
}

fn worker(id: &Option<String>) -> String {
    id.as_ref().map_or_else(|| "nobody".to_owned(), |id| format!("the worker {id:?}"))
}

/// The one shard that an outage was about.
fn whose(shard: &str, tally: Tally) -> String {
    if tally.shards == 1 { format!(", shard {shard:?}") } else { String::new() }
}

fn place_of(start: &StartAt) -> String {
    let first = |at: &IteratorType| match at {
        IteratorType::AtSequenceNumber(number) => format!("at {number}"),
        IteratorType::AfterSequenceNumber(number) => format!("after {number}"),
        IteratorType::AtTimestamp(time) => format!("at {}", time::text(*time)),
        IteratorType::TrimHorizon => "at the oldest record".into(),
        IteratorType::Latest => "at the next record that arrives".into(),
    };
    match start {
        StartAt::Stored(position) => format!("at its stored position, {position}"),
        StartAt::Reopened(position) => {
            format!("{position}: its end is stored, but the shard is open")
        }
        StartAt::Fresh(at) => first(at),
        StartAt::Reset(at) => format!("anew, {}", first(at)),
    }
}

/// The children of a shard, if the service names them.
fn heirs(shard: &str, children: &[ChildShard]) -> String {
    let ids: Vec<_> = children.iter().map(|child| format!("{:?}", child.id)).collect();
    let others = children.iter().flat_map(|child| &child.parents).filter(|id| *id != shard);
    let others: Vec<_> = others.map(|id| format!("{id:?}")).collect();
    match (children, &others[..]) {
        ([], _) => String::new(),
        (_, []) => format!(" and was split into {}", ids.join(" and ")),
        (_, others) => {
            format!(" and was merged with {} into {}", others.join(", "), ids.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::shard::HashKeyRange;

    #[test]
    fn what_has_become_of_a_shard_is_told() {
        let child = |id: &str, parents: &[&str]| {
            let parents = parents.iter().map(|id| (*id).to_owned()).collect();
            ChildShard::new(id, parents, HashKeyRange::ALL)
        };
        assert_eq!(heirs("a", &[]), "");
        let split = [child("b", &["a"]), child("c", &["a"])];
        assert_eq!(heirs("a", &split), r#" and was split into "b" and "c""#);
        let merged = [child("d", &["a", "b"])];
        assert_eq!(heirs("a", &merged), r#" and was merged with "b" into "d""#);
    }

    #[test]
    fn every_start_is_told_as_a_place() {
        let number = || "7".parse().unwrap();
        let time = crate::model::time::parse("2024-05-01T08:30:00Z").unwrap();
        for (start, place) in [
            (StartAt::Fresh(IteratorType::AtTimestamp(time)), "at 2024-05-01T08:30:00Z"),
            (StartAt::Fresh(IteratorType::AtSequenceNumber(number())), "at 7"),
            (
                StartAt::Stored(crate::model::position::Position::after(number())),
                "at its stored position, after 7",
            ),
            (StartAt::Reset(IteratorType::TrimHorizon), "anew, at the oldest record"),
        ] {
            assert_eq!(place_of(&start), place);
        }
    }
}
