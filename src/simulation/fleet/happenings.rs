//! What happens to the stream and to the table while workers run.

use std::time::{Duration, UNIX_EPOCH};

use super::world::{STREAM, World};
use crate::client::memory::Put;
use crate::core::fleet::lease::checkpoint::At;
use crate::core::fleet::lease::names;
use crate::core::fleet::lease::row::{Row, Seen, read};
use crate::model::item::Item;
use crate::model::position::Position;
use crate::model::shard::Shard;
use crate::simulation::aggregate;

const MAX_OPEN_SHARDS: usize = 8;
/// An attribute that somebody else has put on rows.
const FOREIGN: &str = "note";

impl World {
    /// Producers put, operators reshard, somebody changes rows by hand.
    pub(super) fn happen(&mut self) {
        match self.rng.u8(0..20) {
            0..10 => self.put(),
            10..13 => self.split(),
            13..15 => self.merge(),
            15.. if !self.plan.is_meddled_with => self.put(),
            15..17 => self.add_foreign(),
            17..19 => self.set_back(),
            _ => self.delete(),
        }
    }

    pub(super) fn put(&mut self) {
        for _ in 0..self.rng.u32(1..15) {
            let key = self.rng.u64(..).to_string();
            let is_aggregate = self.plan.has_aggregates && self.rng.bool();
            let users = is_aggregate.then(|| self.rng.u64(1..6));
            let data = users.map(aggregate::of).unwrap_or_default();
            let put = self.kinesis.put(STREAM, &key, &data);
            self.tell_put(&put, users);
            self.counts.records += 1;
            self.counts.faults_of("aggregate", u64::from(is_aggregate));
        }
    }

    /// A record was put, with so many user records if it is an aggregate.
    pub(super) fn tell_put(&mut self, put: &Put, users: Option<u64>) {
        // Milliseconds count.
        let since = self.kinesis.now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let arrival = UNIX_EPOCH + Duration::from_millis(since.as_millis() as u64);
        let mut oracle = self.oracle.lock();
        let subs = users.map_or(u64::MAX..=u64::MAX, |users| 0..=users - 1);
        for sub in subs {
            let position = Position::After { sequence: put.sequence.clone(), sub };
            oracle.put(&put.shard, position, arrival);
        }
    }

    fn split(&mut self) {
        let open = self.open_shards();
        let shard = open[self.rng.usize(0..open.len())].id();
        if open.len() < MAX_OPEN_SHARDS {
            for child in self.kinesis.split(STREAM, shard) {
                self.oracle.lock().born(&child, &[shard.to_owned()]);
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
            self.oracle.lock().born(&child, &parents);
            self.counts.merges += 1;
        }
    }

    pub(super) fn open_shards(&self) -> Vec<Shard> {
        self.kinesis.shards(STREAM).into_iter().filter(|shard| !shard.is_closed()).collect()
    }

    /// Another program marks a row.
    fn add_foreign(&mut self) {
        if let Some((mut row, _)) = self.some_row() {
            row.insert(FOREIGN.to_owned(), self.rng.u64(..).into());
            self.counts.fault("attribute of others");
            self.table.put_by_hand(row);
        }
    }

    /// Somebody sets a shard back, so that it is read again. Of one that begins with the latest records the holder would say
    /// where that was.
    fn set_back(&mut self) {
        let may_be = |row: &Row| !row.checkpoint.is_end() && row.checkpoint.at != At::Latest;
        if let Some((mut row, _)) = self.some_row().filter(|(_, row)| may_be(row)) {
            row.insert(names::CHECKPOINT.to_owned(), names::TRIM_HORIZON.into());
            self.counts.fault("checkpoint set by hand");
            self.table.put_by_hand(row);
        }
    }

    /// Somebody deletes the row of an open shard. The row of one that is done would come again, and all its records.
    fn delete(&mut self) {
        let open = self.open_shards();
        let is_open = |row: &Row| open.iter().any(|shard| shard.id() == row.shard);
        if let Some((_, row)) = self.some_row().filter(|(_, row)| is_open(row)) {
            self.counts.fault("row deleted");
            self.table.delete_by_hand(&row.shard);
        }
    }

    fn some_row(&mut self) -> Option<(Item, Row)> {
        let mut rows = self.table.rows();
        if rows.is_empty() {
            return None;
        }
        let item = rows.swap_remove(self.rng.usize(0..rows.len()));
        match read(&item) {
            Ok(Seen::Lease(row)) => Some((item, *row)),
            _ => None,
        }
    }
}
