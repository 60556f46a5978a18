//! What producers, operators and retention do to the stream.

use std::time::Duration;

use super::aggregate;
use super::consumer::Task;
use super::plan::pick;
use super::world::{STREAM, World};
use crate::model::position::{IteratorType, Position};
use crate::model::shard::Shard;
use crate::store::Store;

const MAX_OPEN_SHARDS: usize = 8;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Another stream of the same service, which is not read.
const OTHER: &str = "invoices";

impl World {
    /// Creates the stream, and, if the seed says so, puts the positions of another one into the store.
    pub(super) fn create(&mut self) {
        let lower = (self.scenario.foreign == Some(false)).then(|| self.other_positions());
        self.create_stream();
        let higher = (self.scenario.foreign == Some(true)).then(|| self.other_positions());
        for (shard, position) in lower.or(higher).unwrap_or_default() {
            self.counts.fault("position of another stream");
            self.store.positions.update_shard_iterator(STREAM, &shard, &position).unwrap();
        }
    }

    fn create_stream(&mut self) {
        self.kinesis.create_stream(STREAM, self.scenario.shards);
        self.choose();
        self.kinesis.set_page_size(STREAM, self.scenario.page_size);
        self.kinesis.announce_children(STREAM, self.scenario.announces_children);
        self.kinesis.set_empty_answers(STREAM, self.scenario.empty_answers);
        self.truth.lock().created(&self.kinesis.shards(STREAM));
    }

    /// Chooses shards, and their own starts, if the seed says so.
    fn choose(&mut self) {
        let shards = self.kinesis.shards(STREAM);
        let mut truth = self.truth.lock();
        truth.starts_at = Some(self.scenario.config.iterator_type.clone());
        if self.scenario.chosen > 0 {
            let ids = shards.iter().take(self.scenario.chosen).map(|shard| shard.id().to_owned());
            truth.chosen = Some(ids.collect());
            self.counts.fault("shards chosen");
        }
        for shard in shards.iter().take(self.scenario.own_starts) {
            let own =
                if self.rng.bool() { IteratorType::Latest } else { IteratorType::TrimHorizon };
            truth.own_starts.insert(shard.id().to_owned(), own);
            self.counts.fault("start of a shard's own");
        }
    }

    /// The positions of a consumer of another stream.
    fn other_positions(&mut self) -> Vec<(String, Position)> {
        self.kinesis.create_stream(OTHER, 2);
        let shards = self.kinesis.shards(OTHER);
        let positions = shards.into_iter().map(|shard| {
            let put = self.kinesis.put_to(OTHER, shard.id(), "key", b"");
            let sequence = put.sequence;
            let is_end = self.rng.bool();
            let end = Position::End { sequence: sequence.clone() };
            (shard.id().to_owned(), if is_end { end } else { Position::after(sequence) })
        });
        positions.collect()
    }

    /// Producers put, operators reshard, retention passes.
    pub(super) fn happen(&mut self) {
        match self.rng.u8(0..if self.scenario.has_disasters { 41 } else { 40 }) {
            0..22 => self.put(),
            22..28 => self.split(),
            28..34 => self.merge(),
            34..36 => {
                self.kinesis.expire_iterators(STREAM);
                self.counts.fault("all iterators expired");
            }
            36..38 => self.trim(),
            38..40 => self.retire(),
            _ => self.recreate(),
        }
    }

    /// No consumer reads for longer than the stream's retention: shards begin and age out unread.
    pub(super) fn be_absent(&mut self) {
        for _ in 0..self.rng.u32(5..30) {
            let time = Duration::from_secs(self.rng.u64(1..600));
            self.pass(time);
            self.happen();
        }
        let kept = Duration::from_secs(pick(&mut self.rng, &[0, 60, 3600]));
        self.kinesis.trim_older(STREAM, self.kinesis.now() - kept);
        self.tell_trims();
        if self.rng.bool() {
            for shard in self.kinesis.shards(STREAM).iter().filter(|shard| shard.is_closed()) {
                self.kinesis.retire(STREAM, shard.id());
                self.truth.lock().retired(shard.id());
            }
        }
        self.counts.fault("absent beyond retention");
    }

    /// The stream is deleted, and another takes its name.
    fn recreate(&mut self) {
        self.kinesis.delete_stream(STREAM);
        self.scenario.shards = self.rng.usize(1..4);
        self.create_stream();
        self.was_recreated = true;
        self.counts.fault("stream created again");
        // A consumer that knows no number of a shard may not notice: its user restarts it.
        let later = Duration::from_secs(1200).max(self.scenario.config.interval * 20);
        for worker in 0..self.timeline.workers() {
            self.timeline.plan_for(worker, later, Task::Crash);
        }
    }

    /// The records that the service still holds.
    fn tell_trims(&mut self) {
        let held = self.kinesis.held(STREAM);
        for shard in self.kinesis.shards(STREAM) {
            let first = held.iter().find(|record| record.shard == shard.id());
            self.truth.lock().trimmed(shard.id(), first.map(|record| &record.sequence));
        }
    }

    /// Records older than a day leave the stream.
    pub(super) fn retain(&mut self) {
        self.kinesis.trim_older(STREAM, self.kinesis.now() - DAY);
        self.tell_trims();
    }

    pub(super) fn put(&mut self) {
        for _ in 0..self.rng.u32(1..15) {
            let key = self.rng.u64(..).to_string();
            let aggregates = self.scenario.aggregates && self.rng.bool();
            let users = aggregates.then(|| self.rng.u64(1..6));
            let data = users.map(aggregate::of).unwrap_or_default();
            let put = self.kinesis.put(STREAM, &key, &data);
            let now = self.kinesis.now();
            self.truth.lock().put(&put.shard, &put.sequence, users, now);
            self.counts.records += 1;
            self.counts.faults_of("aggregate", u64::from(aggregates));
        }
    }

    fn split(&mut self) {
        let open = self.open_shards();
        let shard = &open[self.rng.usize(0..open.len())];
        if open.len() < MAX_OPEN_SHARDS {
            let parents = [shard.id().to_owned()];
            for child in self.kinesis.split(STREAM, shard.id()) {
                self.truth.lock().born(&child, &parents);
            }
            self.counts.splits += 1;
        }
    }

    fn merge(&mut self) {
        let mut open = self.open_shards();
        open.sort_by_key(|shard| shard.hash_keys().start);
        if open.len() > 1 {
            let pair = &open[self.rng.usize(0..open.len() - 1)..][..2];
            let parents = [pair[0].id().to_owned(), pair[1].id().to_owned()];
            let child = self.kinesis.merge(STREAM, &parents[0], &parents[1]);
            self.truth.lock().born(&child, &parents);
            self.counts.merges += 1;
        }
    }

    fn trim(&mut self) {
        let shards = self.kinesis.shards(STREAM);
        let shard = &shards[self.rng.usize(0..shards.len())];
        self.kinesis.trim(STREAM, shard.id(), self.rng.usize(1..10));
        self.counts.fault("records trimmed");
        self.tell_trims();
    }

    /// The oldest closed shard ages out, as parents do before their children.
    fn retire(&mut self) {
        let closed = self.kinesis.shards(STREAM).into_iter().find(Shard::is_closed);
        // A shard that was chosen must be listed at every start.
        let may_leave = self.truth.lock().chosen.is_none() && self.scenario.own_starts == 0;
        if let Some(shard) = closed.filter(|_| may_leave && pick(&mut self.rng, &[true, false])) {
            self.kinesis.retire(STREAM, shard.id());
            self.truth.lock().retired(shard.id());
            self.counts.fault("shard aged out");
        }
    }

    fn open_shards(&self) -> Vec<Shard> {
        self.kinesis.shards(STREAM).into_iter().filter(|shard| !shard.is_closed()).collect()
    }
}
