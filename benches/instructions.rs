//! A fixed read over the in-memory Kinesis, for `tests/instructions.sh`, which counts its instructions.
//!
//! One shard, small records. Everything is read before the first batch is received, so that threads wait for each other
//! only a few times: each such wait makes the count depend on their speed. With the argument `fill` nothing is read:
//! the difference of the two counts is the read.

use std::env;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crossbeam_channel::{Sender, bounded};
use kinesis_consumer::testing::MemoryKinesis;
use kinesis_consumer::{
    Answer, BoxError, Call, Client, ClientError, Config, IteratorType, LocalStore, ShardIterator,
    ShardPage, Stream, StreamStatus, Token,
};

const STREAM: &str = "orders";
const RECORDS: usize = 50_000;
const SIZE: usize = 100;
const LIMIT: u32 = 500;
/// Longer than the whole takes: a shard that has caught up is not read again.
const NEVER: Duration = Duration::from_secs(3_600);

fn main() -> Result<(), BoxError> {
    let start = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let kinesis = filled(start);
    if env::args().any(|argument| argument == "fill") {
        return Ok(());
    }
    let read = read(kinesis)?;
    if read != RECORDS * SIZE {
        return Err(format!("{read} bytes were read").into());
    }
    Ok(())
}

/// The time does not change, or its digits would change the count.
fn filled(now: SystemTime) -> MemoryKinesis {
    let kinesis = MemoryKinesis::with_manual_clock(now);
    kinesis.create_stream(STREAM, 1);
    for record in 0..RECORDS {
        kinesis.put(STREAM, &format!("key-{record:05}"), &[b'a'; SIZE]);
    }
    kinesis
}

/// How many bytes of data were received.
fn read(kinesis: MemoryKinesis) -> Result<usize, BoxError> {
    let (tell, last) = bounded(1);
    let client = TellsOfTheLast { kinesis, tell, left: AtomicUsize::new(RECORDS / LIMIT as usize) };
    let config = Config::new().limit(LIMIT).interval(NEVER).catch_up_interval(Duration::ZERO);
    let config = config.capacity(RECORDS / LIMIT as usize);
    let (batches, listener) = Stream::new(client, STREAM, LocalStore::new(), config)?.receiver()?;
    last.recv()?;
    let mut read = 0;
    while read < RECORDS * SIZE {
        let batch = batches.recv()?;
        read += batch.records().iter().map(|record| record.data().len()).sum::<usize>();
        batch.commit()?;
    }
    listener.shutdown().now();
    listener.join()?;
    Ok(read)
}

/// Tells when the last read is made.
struct TellsOfTheLast {
    kinesis: MemoryKinesis,
    tell: Sender<()>,
    left: AtomicUsize,
}

impl Client for TellsOfTheLast {
    fn describe_stream(&self, stream: &str, call: &Call) -> Result<StreamStatus, ClientError> {
        self.kinesis.describe_stream(stream, call)
    }

    fn list_shards(
        &self,
        stream: &str,
        token: Option<&str>,
        call: &Call,
    ) -> Result<ShardPage, ClientError> {
        self.kinesis.list_shards(stream, token, call)
    }

    fn get_shard_iterator(
        &self,
        stream: &str,
        shard: &str,
        at: &IteratorType,
        call: &Call,
    ) -> Result<ShardIterator, ClientError> {
        self.kinesis.get_shard_iterator(stream, shard, at, call)
    }

    fn get_records(&self, token: &Token, limit: u32, call: &Call) -> Result<Answer, ClientError> {
        let answer = self.kinesis.get_records(token, limit, call);
        if self.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            let _ = self.tell.send(()); // or nobody is there any more
        }
        answer
    }
}
