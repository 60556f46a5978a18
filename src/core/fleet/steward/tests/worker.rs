//! One process: a steward with its loops, and a consumer that reads, hands over and commits.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::judge::{Counts, check_hand_over, row};
use super::stream::Stream;
use super::world::{F, Table};
use crate::core::event::{StartAt, Word};
use crate::core::fleet::held::Moment;
use crate::core::fleet::lease::writes::Marks;
use crate::core::fleet::steward::answers::Span;
use crate::core::fleet::steward::commit::Commit;
use crate::core::fleet::steward::words::{News, Refusal};
use crate::core::fleet::steward::{Settings, Steward};
use crate::core::shard::step::Write;
use crate::error::store::StoreErrorKind;
use crate::model::position::{IteratorType, Position};

pub(super) struct Worker {
    pub(super) process: String,
    pub(super) steward: Steward,
    clock: Clock,
    /// Nothing of it runs before this time.
    pub(super) frozen: Duration,
    /// Whether its monotonic clock stands still until then.
    is_suspended: bool,
    pub(super) max: Option<usize>,
    pub(super) readers: BTreeMap<String, Reader>,
    /// Tenures whose handler stands still.
    pub(super) hanging: BTreeSet<u64>,
    pub(super) is_stopping: bool,
    pub(super) failed: Option<String>,
    /// Whether its consumer lists the stream.
    pub(super) wants_listing: bool,
}

/// A clock in real time.
#[derive(Clone, Copy)]
struct Clock {
    offset: Duration,
    rate: f64,
    /// How long the monotonic clock stood still, and how far the wall clock was set forward.
    suspended: Duration,
    ahead: Duration,
}

pub(super) struct Reader {
    pub(super) epoch: u64,
    pub(super) next: u64,
    /// Handled, and not committed yet.
    pub(super) committed: u64,
    pub(super) is_draining: bool,
}

impl Worker {
    // long: one line for each field.
    pub(super) fn new(
        id: &str,
        nonce: u64,
        rng: &mut fastrand::Rng,
        now: Duration,
        max: Option<usize>,
    ) -> Self {
        let process = format!("{id}/{nonce:x}");
        let settings = Settings {
            worker: id.to_owned(),
            process: process.clone(),
            marks: Marks { failover: F, stream: "orders".to_owned(), limit: max },
            patience: F * 3,
            budget: 100.0,
            retires: true,
            start: IteratorType::TrimHorizon,
        };
        let offset = Duration::from_secs(3600).mul_f64(rng.f64());
        let rate = 0.95 + 0.1 * rng.f64();
        let clock = Clock { offset, rate, suspended: Duration::ZERO, ahead: Duration::ZERO };
        let steward = Steward::new(settings, clock.at(now), rng.fork());
        Self {
            process,
            steward,
            clock,
            frozen: Duration::ZERO,
            is_suspended: false,
            max,
            readers: BTreeMap::new(),
            hanging: BTreeSet::new(),
            is_stopping: false,
            failed: None,
            wants_listing: false,
        }
    }

    pub(super) fn moment(&self, now: Duration) -> Moment {
        self.clock.at(now)
    }

    /// It does nothing until then; its machine is suspended, or only slow.
    pub(super) fn freeze(&mut self, now: Duration, until: Duration, is_suspended: bool) {
        if self.frozen <= now {
            (self.frozen, self.is_suspended) = (until, is_suspended);
            self.clock.suspended += if is_suspended { until - now } else { Duration::ZERO };
        }
    }

    pub(super) fn thaw(&mut self, now: Duration) {
        let rest = self.frozen.saturating_sub(now);
        self.clock.suspended -= if self.is_suspended { rest } else { Duration::ZERO };
        self.frozen = self.frozen.min(now);
    }

    pub(super) fn set_forward(&mut self, by: Duration) {
        self.clock.ahead += by;
    }

    /// Whether it was refused, or has stopped and given everything up.
    pub(super) fn is_over(&self) -> bool {
        self.is_stopping && self.readers.is_empty() && self.steward.is_idle()
    }

    /// By real time.
    pub(super) fn real(&self, wait: Duration) -> Duration {
        wait.div_f64(self.clock.rate)
    }

    /// Takes in what the steward says. Returns the shards that begin to be read.
    // long: one branch for each kind of news.
    pub(super) fn hears(&mut self, stream: &Stream, counts: &mut Counts) -> Vec<String> {
        let mut begun = Vec::new();
        for news in self.steward.take_news() {
            match news {
                News::Leased { shard, at, epoch } => {
                    let next = match at {
                        StartAt::Stored(Position::After { sequence, .. }) => {
                            stream.shards[&shard].record(&sequence) + 1
                        }
                        StartAt::Fresh(IteratorType::TrimHorizon) => 1,
                        other => panic!("{shard} starts at {other:?}"),
                    };
                    let committed = next - 1;
                    let drained = stream.shards[&shard].drained;
                    assert!(
                        committed >= drained,
                        "{shard} was drained up to {drained}, and starts at {next}"
                    );
                    let reader = Reader { epoch, next, committed, is_draining: false };
                    self.readers.insert(shard.clone(), reader);
                    begun.push(shard);
                }
                News::Asked { shard, epoch, .. } => {
                    counts.count("asked");
                    match self.readers.get_mut(&shard).filter(|it| it.epoch == epoch) {
                        Some(reader) => reader.is_draining = true,
                        None => assert!(stream.shards[&shard].is_done(), "{shard} is not read"),
                    }
                }
                News::Lost { shard, epoch, .. } => {
                    counts.count("lost");
                    if self.readers.get(&shard).is_some_and(|it| it.epoch == epoch) {
                        self.readers.remove(&shard);
                    }
                }
                News::Gained { .. } => counts.count("gained"),
                News::Left { to, .. } => {
                    counts.count(if to.is_some() { "handed over" } else { "released" });
                }
                News::Fenced { .. } => counts.count("fenced"),
                News::Unfenced { .. } => counts.count("unfenced"),
                News::Outage { .. } => counts.count("outages told"),
                News::Answers { .. } => counts.count("recoveries told"),
                News::Protocol { version } => panic!("nobody says {version}"),
                News::ListingWanted => self.wants_listing = true,
                News::Completed => panic!("the stream has open shards"),
                News::Beside(refusal) => panic!("all have the same time, but {refusal:?}"),
                News::Failed(refusal) => {
                    let is_id = matches!(refusal, Refusal::WorkerIdInUse { .. });
                    assert!(is_id, "{refusal:?}");
                    counts.count("refused ids");
                    (self.is_stopping, self.failed) = (true, Some(format!("{refusal:?}")));
                }
            }
        }
        begun
    }

    /// The next step of a shard's reader. Returns whether there is another one.
    // long: what a reader does, in order.
    pub(super) fn read(
        &mut self,
        table: &mut Table,
        stream: &mut Stream,
        shard: &str,
        epoch: u64,
        now: Duration,
        counts: &mut Counts,
    ) -> bool {
        let moment = self.moment(now);
        let Some(reader) = self.readers.get_mut(shard).filter(|it| it.epoch == epoch) else {
            return false;
        };
        let truth = stream.shards.get_mut(shard).unwrap();
        let may = !self.steward.left(shard, epoch, moment).is_zero();
        let is_over = reader.is_draining || reader.next > truth.last;
        if !is_over {
            if may {
                check_hand_over(stream, &table.leases, shard, &format!("{}#{epoch}", self.process));
                let truth = stream.shards.get_mut(shard).unwrap();
                if !truth.handles(reader.next) {
                    counts.count("duplicates");
                }
                counts.count("records");
                reader.next += 1;
            } else {
                counts.count("held back");
            }
            if table.rng.u8(0..3) > 0 {
                return true;
            }
        }
        let done = reader.next - 1;
        let (is_draining, is_behind) = (reader.is_draining, reader.committed < done);
        let truth = &stream.shards[shard];
        let is_end = truth.is_closed && reader.next > truth.last && !is_draining;
        if is_behind && !self.commit(table, stream, shard, epoch, done, now, counts) {
            return self.readers.contains_key(shard);
        }
        if is_end {
            let children = stream.children(shard);
            if table.rng.u8(0..4) > 0 {
                self.steward.ends_with(shard, epoch, &children);
            }
            let sequence = stream.shards[shard].ending();
            let to = Position::End { sequence };
            if self.store(table, stream, shard, epoch, &to, now, counts) == Some(true) {
                counts.count("ended");
                self.readers.remove(shard);
                return false;
            }
            return self.readers.contains_key(shard);
        }
        if is_draining {
            self.readers.remove(shard);
            counts.count("drained");
            let truth = stream.shards.get_mut(shard).unwrap();
            // Somebody may have deleted the row since the last commit.
            let holder = format!("{}#{epoch}", self.process);
            let found = table.leases.row(shard).and_then(|item| row(&item).holder);
            if found.is_some_and(|it| it.text() == holder) {
                truth.drained = truth.drained.max(done);
            }
            let word = Word::Drained { shard: shard.to_owned(), epoch };
            self.steward.hears(self.moment(now), word);
            return false;
        }
        true
    }

    #[expect(clippy::too_many_arguments, reason = "the world lends what it has, part by part")]
    fn commit(
        &mut self,
        table: &mut Table,
        stream: &Stream,
        shard: &str,
        epoch: u64,
        done: u64,
        now: Duration,
        counts: &mut Counts,
    ) -> bool {
        let to = stream.shards[shard].after(done);
        let stored = self.store(table, stream, shard, epoch, &to, now, counts) == Some(true);
        if let Some(reader) = self.readers.get_mut(shard).filter(|_| stored) {
            reader.committed = done;
        }
        stored
    }

    /// Stores a position; `None` if the lease is lost.
    // long: one branch for each outcome.
    #[expect(clippy::too_many_arguments, reason = "the world lends what it has, part by part")]
    fn store(
        &mut self,
        table: &mut Table,
        stream: &Stream,
        shard: &str,
        epoch: u64,
        to: &Position,
        now: Duration,
        counts: &mut Counts,
    ) -> Option<bool> {
        let mut commit = Commit::new(shard, epoch, to, Write::Forward);
        let lose = |worker: &mut Self| {
            if worker.readers.get(shard).is_some_and(|it| it.epoch == epoch) {
                worker.readers.remove(shard);
            }
        };
        for _ in 0..100 {
            let write = match self.steward.next_write(&mut commit) {
                Ok(Some(write)) => write,
                Ok(None) => return Some(true),
                Err(error) if error.kind() == StoreErrorKind::Lost => {
                    lose(self);
                    return None;
                }
                Err(_) => return Some(false),
            };
            let at = self.moment(now);
            let outcome = table.apply_faulty(stream, &write, counts);
            match self.steward.committed(Span { sent: at, now: at }, &mut commit, outcome) {
                Ok(true) => return Some(true),
                Ok(false) => {}
                Err(error) if error.kind() == StoreErrorKind::Lost => {
                    lose(self);
                    return None;
                }
                Err(_) => return Some(false),
            }
        }
        panic!("a commit never ends");
    }
}

impl Clock {
    fn at(self, now: Duration) -> Moment {
        let time = |now: Duration| self.offset + now.mul_f64(self.rate);
        Moment { monotonic: time(now - self.suspended), wall: time(now) + self.ahead }
    }
}
