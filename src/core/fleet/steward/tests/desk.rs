//! One steward at a table in memory, in time that a test moves.

use std::time::Duration;

use super::stream::Stream;
use crate::core::event::{StartAt, Word};
use crate::core::fleet::held::Moment;
use crate::core::fleet::lease::checkpoint::Checkpoint;
use crate::core::fleet::lease::row::Row;
use crate::core::fleet::lease::writes::Marks;
use crate::core::fleet::steward::answers::Span;
use crate::core::fleet::steward::commit::Commit;
use crate::core::fleet::steward::lease::Stage;
use crate::core::fleet::steward::words::{Act, Answer, Call, News};
use crate::core::fleet::steward::{Settings, Steward};
use crate::core::shard::step::Write;
use crate::error::lease_table::{LeaseTableError, LeaseTableErrorKind};
use crate::error::store::StoreError;
use crate::model::item::Item;
use crate::model::position::{IteratorType, Position};
use crate::model::shard::Shard;
use crate::store::leases::LeaseTable;
use crate::store::leases::memory::MemoryLeases;

pub(super) const F: Duration = Duration::from_secs(10);

pub(super) struct Desk {
    pub(super) steward: Steward,
    pub(super) table: MemoryLeases,
    pub(super) now: Moment,
    /// All that was said so far, but for listings.
    pub(super) news: Vec<News>,
    /// What a listing shows; without it none is made.
    pub(super) shards: Option<Vec<Shard>>,
    pub(super) listings: usize,
}

pub(super) fn settings(worker: &str) -> Settings {
    Settings {
        worker: worker.to_owned(),
        process: format!("{worker}/1"),
        marks: Marks { failover: F, stream: "orders".to_owned(), limit: None },
        patience: F * 3,
        budget: 100.0,
        retires: true,
        start: IteratorType::TrimHorizon,
    }
}

pub(super) fn failure(kind: LeaseTableErrorKind) -> LeaseTableError {
    LeaseTableError::new(kind, "a failure")
}

pub(super) fn transient() -> LeaseTableError {
    failure(LeaseTableErrorKind::Transient)
}

pub(super) fn id(shard: u64) -> String {
    format!("shardId-{shard:012}")
}

pub(super) fn act(call: &Call) -> Option<&Act> {
    match call {
        Call::Write(job) => Some(&job.act),
        Call::Page { .. } | Call::Coordinator | Call::Get { .. } => None,
    }
}

/// The row that a call writes.
pub(super) fn key(call: &Call) -> Option<&str> {
    match call {
        Call::Write(job) => Some(job.write.key()),
        Call::Page { .. } | Call::Coordinator | Call::Get { .. } => None,
    }
}

pub(super) fn is_beat(call: &Call) -> bool {
    matches!(act(call), Some(Act::Beat { .. }))
}

impl Desk {
    pub(super) fn new(settings: Settings, table: &MemoryLeases) -> Self {
        let time = Duration::from_secs(1_000);
        let now = Moment { monotonic: time, wall: time };
        let steward = Steward::new(settings, now, fastrand::Rng::with_seed(1));
        let (table, news) = (table.clone(), Vec::new());
        Self { steward, table, now, news, shards: None, listings: 0 }
    }

    /// A worker that reads all shards of a new stream.
    pub(super) fn reading(shards: u64) -> (Self, Stream) {
        let stream = Stream::new(shards);
        let mut desk = Self::new(settings("me"), &MemoryLeases::new());
        desk.list(&stream);
        desk.live(60);
        assert_eq!(desk.steward.held(), usize::try_from(shards).unwrap());
        (desk, stream)
    }

    /// The next process of a worker, at the same table.
    pub(super) fn next_life(&self, worker: &str, stream: &Stream) -> Self {
        let settings = Settings { process: format!("{worker}/2"), ..settings(worker) };
        let mut next = Self::new(settings, &self.table);
        next.list(stream);
        next
    }

    /// The stream is listed, now and whenever that is wanted.
    pub(super) fn list(&mut self, stream: &Stream) {
        self.shards = Some(stream.listing());
        self.hears(Word::Listed(stream.listing()));
    }

    pub(super) fn hears(&mut self, word: Word) {
        self.steward.hears(self.now, word);
        self.hear();
    }

    pub(super) fn pass(&mut self, seconds: f64) {
        let time = Duration::from_secs_f64(seconds);
        self.now.monotonic += time;
        self.now.wall += time;
    }

    pub(super) fn next(&mut self) -> Option<Call> {
        self.steward.next_beat(self.now).or_else(|| self.steward.next_call(self.now))
    }

    /// Makes a call, and keeps its answer back.
    pub(super) fn make(&self, call: &Call) -> Answer {
        match call {
            Call::Page { after } => Answer::Page(self.table.page(after.as_ref())),
            Call::Coordinator => Answer::Item(Ok(None)),
            Call::Get { shard } => Answer::Item(self.table.get(shard)),
            Call::Write(job) => Answer::Applied(self.table.apply(&job.write)),
        }
    }

    pub(super) fn answer(&mut self, call: Call) {
        let answer = self.make(&call);
        self.answered(self.now, call, answer);
    }

    pub(super) fn answered(&mut self, sent: Moment, call: Call, answer: Answer) {
        self.steward.answered(Span { sent, now: self.now }, call, answer);
    }

    pub(super) fn fails(&mut self, call: Call, error: LeaseTableError) {
        let answer = match call {
            Call::Page { .. } => Answer::Page(Err(error)),
            Call::Coordinator | Call::Get { .. } => Answer::Item(Err(error)),
            Call::Write(_) => Answer::Applied(Err(error)),
        };
        self.answered(self.now, call, answer);
    }

    /// Does what is due now.
    pub(super) fn work(&mut self) {
        for _ in 0..1_000 {
            let Some(call) = self.next() else { return self.hear() };
            self.answer(call);
        }
        panic!("it asks in a loop");
    }

    pub(super) fn live(&mut self, seconds: u64) {
        for _ in 0..seconds * 10 {
            self.pass(0.1);
            self.work();
        }
    }

    /// Works until there is such a call, which is not made.
    #[track_caller]
    pub(super) fn until(&mut self, is: impl Fn(&Call) -> bool) -> Call {
        for _ in 0..6_000 {
            while let Some(call) = self.next() {
                if is(&call) {
                    return call;
                }
                self.answer(call);
            }
            self.hear();
            self.pass(0.1);
        }
        panic!("there is no such call");
    }

    /// Whether there is such a call within this time. No call is answered.
    pub(super) fn would(&mut self, seconds: u64, is: impl Fn(&Call) -> bool) -> bool {
        (0..seconds * 10).any(|_| {
            self.pass(0.1);
            std::iter::from_fn(|| self.next()).any(|call| is(&call))
        })
    }

    pub(super) fn hear(&mut self) {
        let news = self.steward.take_news();
        let is_wanted = news.contains(&News::ListingWanted);
        self.news.extend(news.into_iter().filter(|it| *it != News::ListingWanted));
        if let Some(shards) = self.shards.clone().filter(|_| is_wanted) {
            self.listings += 1;
            self.steward.hears(self.now, Word::Listed(shards));
        }
    }

    /// What was said since this was asked last.
    pub(super) fn said(&mut self) -> Vec<News> {
        self.hear();
        std::mem::take(&mut self.news)
    }

    pub(super) fn epoch(&self, shard: &str) -> u64 {
        self.steward.leases[shard].epoch
    }

    pub(super) fn stage(&self, shard: &str) -> Option<Stage> {
        self.steward.leases.get(shard).map(|lease| lease.stage.clone())
    }

    pub(super) fn left(&self, shard: &str) -> Duration {
        self.steward.left(shard, self.epoch(shard), self.now)
    }

    pub(super) fn row(&self, shard: &str) -> Row {
        super::judge::row(&self.table.row(shard).unwrap())
    }

    /// Somebody changes a row by hand.
    pub(super) fn edit(&self, shard: &str, change: impl FnOnce(&mut Item)) {
        let mut item = self.table.row(shard).unwrap();
        change(&mut item);
        self.table.put(item);
    }

    /// Another worker asks for a lease.
    pub(super) fn ask(&self, shard: &str, by: &str) {
        self.edit(shard, |row| {
            let owner = row["leaseOwner"].clone();
            row.insert("checkpointOwner".to_owned(), owner);
            row.insert("leaseOwner".to_owned(), by.into());
            row.insert("kcAsker".to_owned(), by.into());
        });
    }

    /// Another process takes a lease.
    pub(super) fn steal(&self, shard: &str, by: &str) {
        let counter = self.row(shard).counter + 1;
        self.edit(shard, |row| {
            row.insert("leaseOwner".to_owned(), by.into());
            row.insert("kcHolder".to_owned(), format!("{by}/9#1").as_str().into());
            row.insert("leaseCounter".to_owned(), counter.into());
            row.remove("checkpointOwner");
        });
    }

    pub(super) fn commit(&mut self, shard: &str, to: &Position) -> Result<(), StoreError> {
        let mut commit = Commit::new(shard, self.epoch(shard), to, Write::Forward);
        self.write(&mut commit)
    }

    pub(super) fn write(&mut self, commit: &mut Commit) -> Result<(), StoreError> {
        while let Some(write) = self.steward.next_write(commit)? {
            if self.send(commit, &write)? {
                break;
            }
        }
        Ok(())
    }

    /// One write of a commit. Whether that is done.
    pub(super) fn send(
        &mut self,
        commit: &mut Commit,
        write: &crate::model::write::Write,
    ) -> Result<bool, StoreError> {
        let outcome = self.table.apply(write);
        self.steward.committed(Span { sent: self.now, now: self.now }, commit, outcome)
    }

    /// Its last write is done, and its answer is lost.
    pub(super) fn commit_unheard(&mut self, shard: &str, to: &Position) {
        let mut commit = Commit::new(shard, self.epoch(shard), to, Write::Forward);
        let aim = Checkpoint::of(to, &Checkpoint::trim_horizon());
        loop {
            let write = self.steward.next_write(&mut commit).unwrap().unwrap();
            let outcome = self.table.apply(&write);
            let at = Span { sent: self.now, now: self.now };
            if self.row(shard).checkpoint.reach(&aim).is_ge() {
                self.steward.committed(at, &mut commit, Err(transient())).unwrap_err();
                return;
            }
            assert!(!self.steward.committed(at, &mut commit, outcome).unwrap());
        }
    }
}

pub(super) fn leased(news: &[News], shard: &str) -> Option<StartAt> {
    news.iter().find_map(|it| match it {
        News::Leased { shard: found, at, .. } if found == shard => Some(at.clone()),
        _ => None,
    })
}
