//! A stream of the in-memory Kinesis.

use std::collections::BTreeMap;

use super::fault::Gate;
use super::number::Number;
use super::seal::mix;
use super::shard::ShardState;
use crate::model::listed::StreamStatus;
use crate::model::sequence::SequenceNumber;
use crate::model::shard::{ChildShard, HashKeyRange, Shard};

pub(super) struct StreamState {
    pub(super) name: String,
    pub(super) incarnation: u64,
    pub(super) status: StreamStatus,
    /// By index; shards that have aged out keep their place.
    pub(super) shards: Vec<ShardState>,
    /// The open shards by the start of their hash keys.
    open: BTreeMap<u128, usize>,
    /// The counter of the last number given.
    pub(super) counter: u64,
    /// How often its iterators were expired by hand.
    pub(super) epoch: u32,
    pub(super) page_size: usize,
    pub(super) empty_answers: u32,
    pub(super) announces_children: bool,
    pub(super) reports_behind_latest: bool,
    pub(super) gate: Option<Gate>,
}

/// Amazon's default for `MaxResults` of a listing.
const PAGE_SIZE: usize = 1_000;

impl StreamState {
    pub(super) fn new(name: &str, incarnation: u64, shards: usize) -> Self {
        let mut stream = Self {
            name: name.into(),
            incarnation,
            status: StreamStatus::Active,
            shards: Vec::new(),
            open: BTreeMap::new(),
            counter: 0,
            epoch: 0,
            page_size: PAGE_SIZE,
            empty_answers: 0,
            announces_children: true,
            reports_behind_latest: true,
            gate: None,
        };
        for range in ranges(shards) {
            stream.open_shard(range, &[]);
        }
        stream
    }

    /// The index of a listed shard.
    pub(super) fn find(&self, shard: &str) -> Option<usize> {
        let digits = shard.strip_prefix("shardId-").filter(|digits| digits.len() == 12)?;
        let index: usize = digits.parse().ok()?;
        // Compared again because `parse` takes a sign as well.
        self.shards.get(index).filter(|it| !it.is_retired && it.shard.id() == shard)?;
        Some(index)
    }

    /// The index of a listed shard, for a caller that expects it to exist.
    pub(super) fn expect(&self, shard: &str) -> usize {
        self.find(shard)
            .unwrap_or_else(|| panic!("stream {:?} lists no shard {shard:?}", self.name))
    }

    pub(super) fn listed(&self) -> impl Iterator<Item = &ShardState> {
        self.shards.iter().filter(|shard| !shard.is_retired)
    }

    /// The open shard of this key.
    pub(super) fn shard_of(&self, key: &str) -> usize {
        let shard = self.open.range(..=hash(key)).next_back();
        *shard.unwrap_or_else(|| panic!("stream {:?} has no open shard", self.name)).1
    }

    pub(super) fn put(&mut self, shard: usize, key: &str, data: &[u8], now: i64) -> SequenceNumber {
        self.expect_open(shard);
        let (counter, sequence) = self.next_number(shard);
        self.shards[shard].push(counter, sequence.clone(), key, data, now);
        sequence
    }

    pub(super) fn split(&mut self, parent: usize) -> [String; 2] {
        self.expect_open(parent);
        let HashKeyRange { start, end } = self.shards[parent].shard.hash_keys();
        assert!(start < end, "a shard with a single hash key cannot be split");
        let middle = start + (end - start) / 2;
        self.close_shard(parent);
        let [low, high] = [(start, middle), (middle + 1, end)];
        [low, high].map(|(start, end)| self.open_shard(HashKeyRange { start, end }, &[parent]))
    }

    pub(super) fn merge(&mut self, a: usize, b: usize) -> String {
        self.expect_open(a);
        self.expect_open(b);
        let [first, second] = [a, b].map(|shard| self.shards[shard].shard.hash_keys());
        let follows =
            |low: HashKeyRange, high: HashKeyRange| low.end.checked_add(1) == Some(high.start);
        assert!(
            follows(first, second) || follows(second, first),
            "only shards whose hash keys are adjacent can be merged"
        );
        self.close_shard(a);
        self.close_shard(b);
        let range =
            HashKeyRange { start: first.start.min(second.start), end: first.end.max(second.end) };
        self.open_shard(range, &[a, b])
    }

    fn expect_open(&self, shard: usize) {
        let shard = &self.shards[shard];
        assert!(
            shard.is_open(),
            "shard {:?} of stream {:?} is closed",
            shard.shard.id(),
            self.name
        );
    }

    fn close_shard(&mut self, shard: usize) {
        let (counter, ending) = self.next_number(shard);
        let state = &mut self.shards[shard];
        state.close(counter, ending);
        self.open.remove(&state.shard.hash_keys().start);
    }

    fn open_shard(&mut self, hash_keys: HashKeyRange, parents: &[usize]) -> String {
        let index = self.shards.len();
        let id = format!("shardId-{index:012}");
        let parent_ids: Vec<String> =
            parents.iter().map(|parent| self.shards[*parent].shard.id().into()).collect();
        let child = ChildShard::new(id.clone(), parent_ids.clone(), hash_keys);
        for parent in parents {
            self.shards[*parent].children.push(child.clone());
        }
        let (counter, starting) = self.next_number(index);
        let shard = Shard::new(id.clone(), hash_keys, starting).with_parents(parent_ids);
        self.shards.push(ShardState::new(shard, counter));
        self.open.insert(hash_keys.start, index);
        id
    }

    fn next_number(&mut self, shard: usize) -> (u64, SequenceNumber) {
        self.counter += 1;
        let number = Number { incarnation: self.incarnation, counter: self.counter, shard };
        (self.counter, number.text())
    }
}

/// All hash keys in equal parts.
fn ranges(shards: usize) -> impl Iterator<Item = HashKeyRange> {
    let count = shards.max(1) as u128;
    // 2^128 / count; it wraps to 0 for one shard, whose range needs no width.
    let width = (u128::MAX / count).wrapping_add(u128::from(u128::MAX % count == count - 1));
    (1..=shards as u128).map(move |number| HashKeyRange {
        start: width.wrapping_mul(number - 1),
        end: if number == count { u128::MAX } else { width * number - 1 },
    })
}

/// Two FNV-1a hashes from different beginnings, mixed: not Amazon's MD5, but spread as well.
fn hash(key: &str) -> u128 {
    let half = |seed: u64| {
        let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        mix(key.bytes().fold(seed, step))
    };
    u128::from(half(0xcbf2_9ce4_8422_2325)) << 64 | u128::from(half(0x8422_2325_cbf2_9ce4))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_cover_every_hash_key_once() {
        for shards in [1, 2, 3, 7, 64, 1_000] {
            let ranges: Vec<_> = ranges(shards).collect();
            assert_eq!(ranges.len(), shards);
            assert_eq!((ranges[0].start, ranges[shards - 1].end), (0, u128::MAX));
            assert!(ranges.windows(2).all(|pair| pair[0].end + 1 == pair[1].start));
        }
        assert_eq!(ranges(2).next().unwrap().end, u128::MAX / 2);
        assert_eq!(ranges(0).count(), 0);
    }

    #[test]
    fn keys_spread_over_the_shards() {
        let stream = StreamState::new("s", 1, 8);
        let mut hits = [0; 8];
        for key in 0..8_000 {
            hits[stream.shard_of(&key.to_string())] += 1;
        }
        assert!(hits.iter().all(|hits| (850..1_150).contains(hits)), "{hits:?}");
    }
}
