//! An in-memory Kinesis.

mod answer;
mod clock;
pub(crate) mod fault;
mod number;
mod seal;
mod settings;
pub(crate) mod shard;
mod stream;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use self::clock::Clock;
use self::fault::Faults;
use self::shard::ShardState;
use self::stream::StreamState;
use crate::client::memory::shard::HeldRecord;
use crate::model::sequence::SequenceNumber;
use crate::model::shard::Shard;
use crate::model::stream_id::name_in;
use crate::sync::Mutex;

/// An in-memory Kinesis, so that tests, examples and docs run offline; with feature `testing`.
///
/// It is a [`Client`](crate::Client) that answers as Amazon does, a handle for filling, resharding
/// and trimming its streams, and a source of faults. A clone is another handle to the same streams.
///
/// It differs from Amazon in this:
/// - Its own hash, not MD5, assigns a partition key to a shard: keys are spread as evenly, but a
///   key may be in another shard.
/// - Nothing is throttled, unless [`fail_next`](Self::fail_next) or [`fail_shard`](Self::fail_shard)
///   says so. The limits of one answer are Amazon's: 10,000 records, and 10 MiB of data, but at
///   least one record.
/// - Creating, deleting, splitting and merging take no time, and nothing ages out by itself.
/// - Arrival times of a shard never go back.
/// - As a client it takes ARNs too, of any region and account: only the name in them counts.
///
/// ```
/// use kinesis_consumer::{Call, Client, IteratorType};
/// use kinesis_consumer::testing::MemoryKinesis;
///
/// let kinesis = MemoryKinesis::new();
/// kinesis.create_stream("orders", 1);
/// let put = kinesis.put("orders", "customer-7", b"one espresso");
///
/// let call = Call::unbounded();
/// let at = IteratorType::TrimHorizon;
/// let token = kinesis.get_shard_iterator("orders", &put.shard, &at, &call)?.token;
/// let answer = kinesis.get_records(&token, 10_000, &call)?;
/// assert_eq!(answer.records.first().unwrap().data(), b"one espresso");
/// # Ok::<(), kinesis_consumer::ClientError>(())
/// ```
#[derive(Clone)]
pub struct MemoryKinesis {
    cloud: Arc<Mutex<Cloud>>,
}

/// Where a record was put.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Put {
    /// The id of its shard.
    pub shard: String,
    /// Its number.
    pub sequence: SequenceNumber,
}

/// All streams and settings.
struct Cloud {
    clock: Clock,
    /// The incarnation of each stream by its name.
    names: BTreeMap<String, u64>,
    /// The streams by incarnation, since a token outlives a name.
    streams: BTreeMap<u64, StreamState>,
    /// How many streams were ever created.
    created: u64,
    iterator_life: Duration,
    faults: Faults,
}

/// Amazon's life of a shard iterator.
const ITERATOR_LIFE: Duration = Duration::from_secs(300);

impl MemoryKinesis {
    /// A Kinesis without streams, on the real clock.
    pub fn new() -> Self {
        Self::with_clock(Clock::Real)
    }

    /// A Kinesis without streams, on a clock that only [`advance`](Self::advance) moves.
    ///
    /// The deadline of a [`Call`](crate::Call) uses the real clock.
    ///
    /// ```
    /// # use std::time::{Duration, SystemTime};
    /// # use kinesis_consumer::testing::MemoryKinesis;
    /// let kinesis = MemoryKinesis::with_manual_clock(SystemTime::UNIX_EPOCH);
    /// kinesis.advance(Duration::from_secs(60));
    /// assert_eq!(kinesis.now(), SystemTime::UNIX_EPOCH + Duration::from_secs(60));
    /// ```
    pub fn with_manual_clock(start: SystemTime) -> Self {
        Self::with_clock(Clock::Manual(start))
    }

    /// The time on its clock. `GetShardIterator` answers it in whole seconds, as Amazon does.
    pub fn now(&self) -> SystemTime {
        self.cloud.lock().clock.now()
    }

    /// Moves a manual clock.
    ///
    /// # Panics
    /// If the clock is the real one.
    pub fn advance(&self, by: Duration) {
        self.cloud.lock().clock.advance(by);
    }

    /// Creates a stream, with the hash keys spread evenly over its shards. It is
    /// [`Active`](crate::StreamStatus::Active) at once.
    ///
    /// Its numbers are higher than those of any stream created before. With 0 shards, which Amazon
    /// does not allow, its listing is empty.
    ///
    /// # Panics
    /// If there is such a stream already.
    pub fn create_stream(&self, stream: &str, shards: usize) {
        let mut cloud = self.cloud.lock();
        assert!(!cloud.names.contains_key(stream), "there is a stream {stream:?} already");
        cloud.created += 1;
        let incarnation = cloud.created;
        cloud.names.insert(stream.into(), incarnation);
        cloud.streams.insert(incarnation, StreamState::new(stream, incarnation, shards));
    }

    /// Deletes a stream with all its records. A stream of the same name may be created again.
    ///
    /// # Panics
    /// If there is no such stream.
    pub fn delete_stream(&self, stream: &str) {
        let mut cloud = self.cloud.lock();
        let incarnation = cloud.expect(stream).incarnation;
        cloud.names.remove(stream);
        cloud.streams.remove(&incarnation);
    }

    /// Puts a record into the open shard of its partition key.
    ///
    /// # Panics
    /// If there is no such stream, or it has no shard.
    pub fn put(&self, stream: &str, key: &str, data: &[u8]) -> Put {
        self.put_into(stream, key, data, |stream| stream.shard_of(key))
    }

    /// Puts a record into this shard, whatever its partition key.
    ///
    /// # Panics
    /// If there is no such stream or shard, or the shard is closed.
    pub fn put_to(&self, stream: &str, shard: &str, key: &str, data: &[u8]) -> Put {
        self.put_into(stream, key, data, |stream| stream.expect(shard))
    }

    /// Splits a shard in the middle of its hash keys: it closes, and two children open.
    ///
    /// ```
    /// # use kinesis_consumer::testing::MemoryKinesis;
    /// let kinesis = MemoryKinesis::new();
    /// kinesis.create_stream("orders", 1);
    /// let [low, high] = kinesis.split("orders", "shardId-000000000000");
    /// assert_eq!(kinesis.merge("orders", &low, &high), "shardId-000000000003");
    /// ```
    ///
    /// # Panics
    /// If there is no such stream or shard, the shard is closed, or it has a single hash key.
    pub fn split(&self, stream: &str, shard: &str) -> [String; 2] {
        self.with_stream(stream, |stream| stream.split(stream.expect(shard)))
    }

    /// Merges two shards with adjacent hash keys: they close, and one child opens.
    ///
    /// # Panics
    /// If there is no such stream or shard, a shard is closed, or they are not adjacent.
    pub fn merge(&self, stream: &str, a: &str, b: &str) -> String {
        self.with_stream(stream, |stream| stream.merge(stream.expect(a), stream.expect(b)))
    }

    /// Lets this many of the oldest records of a shard age out, or all if it holds fewer.
    ///
    /// # Panics
    /// If there is no such stream or shard.
    pub fn trim(&self, stream: &str, shard: &str, records: usize) {
        self.with_shard(stream, shard, |shard| shard.trim(records));
    }

    /// Lets all records of a stream that arrived before this time age out.
    ///
    /// # Panics
    /// If there is no such stream.
    pub fn trim_older(&self, stream: &str, than: SystemTime) {
        let than = clock::millis(than);
        self.with_stream(stream, |stream| {
            stream.shards.iter_mut().for_each(|shard| shard.trim_older(than));
        });
    }

    /// Lets a closed shard age out: it leaves the listing, and reading it answers
    /// `ResourceNotFoundException`. Its children still name it as a parent.
    ///
    /// # Panics
    /// If there is no such stream or shard, or the shard is open.
    pub fn retire(&self, stream: &str, shard: &str) {
        self.with_shard(stream, shard, |shard| {
            assert!(!shard.is_open(), "shard {:?} is open: it cannot age out", shard.shard.id());
            shard.retire();
        });
    }

    /// The shards that the listing of a stream shows, on all its pages.
    ///
    /// # Panics
    /// If there is no such stream.
    pub fn shards(&self, stream: &str) -> Vec<Shard> {
        self.with_stream(stream, |stream| stream.listed().map(|it| it.shard.clone()).collect())
    }

    /// The records that a stream still holds: shard by shard in the order of the listing, and within
    /// a shard in sequence order.
    ///
    /// # Panics
    /// If there is no such stream.
    pub fn held(&self, stream: &str) -> Vec<HeldRecord> {
        self.with_stream(stream, |stream| stream.listed().flat_map(ShardState::held).collect())
    }

    fn with_clock(clock: Clock) -> Self {
        let cloud = Cloud {
            clock,
            names: BTreeMap::new(),
            streams: BTreeMap::new(),
            created: 0,
            iterator_life: ITERATOR_LIFE,
            faults: Faults::default(),
        };
        Self { cloud: Arc::new(Mutex::new(cloud)) }
    }

    fn put_into(
        &self,
        stream: &str,
        key: &str,
        data: &[u8],
        shard: impl FnOnce(&StreamState) -> usize,
    ) -> Put {
        let mut cloud = self.cloud.lock();
        let now = cloud.clock.now_millis();
        let stream = cloud.expect(stream);
        let shard = shard(stream);
        let sequence = stream.put(shard, key, data, now);
        Put { shard: stream.shards[shard].shard.id().into(), sequence }
    }

    fn with_stream<T>(&self, stream: &str, act: impl FnOnce(&mut StreamState) -> T) -> T {
        act(self.cloud.lock().expect(stream))
    }

    fn with_shard<T>(
        &self,
        stream: &str,
        shard: &str,
        act: impl FnOnce(&mut ShardState) -> T,
    ) -> T {
        self.with_stream(stream, |stream| {
            let shard = stream.expect(shard);
            act(&mut stream.shards[shard])
        })
    }
}

impl Default for MemoryKinesis {
    fn default() -> Self {
        Self::new()
    }
}

// `Debug` shows which streams there are, never their records.
impl fmt::Debug for MemoryKinesis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cloud = self.cloud.lock();
        let streams: Vec<_> = cloud.names.keys().collect();
        f.debug_struct("MemoryKinesis").field("streams", &streams).finish_non_exhaustive()
    }
}

impl Cloud {
    /// By its name, or by its ARN, of which only the name counts.
    fn named(&self, stream: &str) -> Option<&StreamState> {
        self.incarnation(*self.names.get(name_in(stream))?)
    }

    fn incarnation(&self, incarnation: u64) -> Option<&StreamState> {
        self.streams.get(&incarnation)
    }

    /// The stream, for a caller that expects it to exist.
    fn expect(&mut self, stream: &str) -> &mut StreamState {
        let found = self.names.get(stream).and_then(|it| self.streams.get_mut(it));
        found.unwrap_or_else(|| panic!("there is no stream {stream:?}: create_stream makes one"))
    }
}
