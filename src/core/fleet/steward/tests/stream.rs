//! The stream: shards with numbered records, which split and merge.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::position::Position;
use crate::model::sequence::SequenceNumber;
use crate::model::shard::{ChildShard, HashKeyRange, Shard};

/// A shard, and its records, which are numbered from 1.
pub(super) struct ShardTruth {
    pub(super) shard: Shard,
    base: u64,
    /// The number of its last record.
    pub(super) last: u64,
    pub(super) is_closed: bool,
    pub(super) handled: BTreeSet<u64>,
    /// All up to this one are handled.
    prefix: u64,
    /// All up to this one were handled, and stored, when the shard was drained: none of them comes again.
    pub(super) drained: u64,
}

#[derive(Default)]
pub(super) struct Stream {
    pub(super) shards: BTreeMap<String, ShardTruth>,
    made: u64,
}

impl Stream {
    pub(super) fn new(shards: u64) -> Self {
        let mut stream = Self::default();
        let width = u128::MAX / u128::from(shards);
        for at in 0..shards {
            let start = if at == 0 { 0 } else { width * u128::from(at) };
            let end = if at + 1 == shards { u128::MAX } else { width * u128::from(at + 1) - 1 };
            stream.open(HashKeyRange { start, end }, Vec::new());
        }
        stream
    }

    fn open(&mut self, hash_keys: HashKeyRange, parents: Vec<String>) -> String {
        let id = format!("shardId-{:012}", self.made);
        self.made += 1;
        let base = self.made * 1_000_000;
        let starting = base.to_string().parse().unwrap();
        let shard = Shard::new(&id, hash_keys, starting).with_parents(parents);
        let truth = ShardTruth {
            shard,
            base,
            last: 0,
            is_closed: false,
            handled: BTreeSet::new(),
            prefix: 0,
            drained: 0,
        };
        self.shards.insert(id.clone(), truth);
        id
    }

    pub(super) fn listing(&self) -> Vec<Shard> {
        self.shards.values().map(|it| it.shard.clone()).collect()
    }

    pub(super) fn open_shards(&self) -> Vec<String> {
        let open = self.shards.iter().filter(|(_, it)| !it.is_closed);
        open.map(|(id, _)| id.clone()).collect()
    }

    pub(super) fn split(&mut self, id: &str) {
        let HashKeyRange { start, end } = self.close(id);
        if end - start < 2 {
            return;
        }
        let middle = start + (end - start) / 2;
        self.open(HashKeyRange { start, end: middle }, vec![id.to_owned()]);
        self.open(HashKeyRange { start: middle + 1, end }, vec![id.to_owned()]);
    }

    /// Merges it with its neighbour, if that is open.
    pub(super) fn merge(&mut self, id: &str) {
        let keys = self.shards[id].shard.hash_keys();
        let is_next = |it: &&ShardTruth| {
            !it.is_closed && keys.end.checked_add(1) == Some(it.shard.hash_keys().start)
        };
        let Some(next) = self.shards.values().find(is_next) else { return };
        let next = next.shard.id().to_owned();
        let (one, other) = (self.close(id), self.close(&next));
        let keys = HashKeyRange { start: one.start, end: other.end };
        self.open(keys, vec![id.to_owned(), next]);
    }

    fn close(&mut self, id: &str) -> HashKeyRange {
        let truth = self.shards.get_mut(id).unwrap();
        truth.is_closed = true;
        truth.shard = truth.shard.clone().with_ending(truth.ending());
        truth.shard.hash_keys()
    }

    pub(super) fn children(&self, id: &str) -> Vec<ChildShard> {
        let is_child = |it: &&ShardTruth| it.shard.parents().iter().any(|parent| parent == id);
        let child = |it: &ShardTruth| {
            ChildShard::new(it.shard.id(), it.shard.parents().to_vec(), it.shard.hash_keys())
        };
        self.shards.values().filter(is_child).map(child).collect()
    }
}

impl ShardTruth {
    pub(super) fn ending(&self) -> SequenceNumber {
        (self.base + 999_999).to_string().parse().unwrap()
    }

    pub(super) fn after(&self, record: u64) -> Position {
        Position::after((self.base + record).to_string().parse().unwrap())
    }

    /// The record that a number names; 0 before the first one.
    pub(super) fn record(&self, sequence: &SequenceNumber) -> u64 {
        sequence.as_str().parse::<u64>().unwrap() - self.base
    }

    /// A record is handled. Returns whether for the first time.
    pub(super) fn handles(&mut self, record: u64) -> bool {
        let is_first = self.handled.insert(record);
        while self.handled.contains(&(self.prefix + 1)) {
            self.prefix += 1;
        }
        is_first
    }

    /// Whether all up to this record are handled.
    pub(super) fn is_handled_to(&self, record: u64) -> bool {
        record.min(self.last) <= self.prefix
    }

    pub(super) fn is_done(&self) -> bool {
        self.is_handled_to(self.last)
    }
}
