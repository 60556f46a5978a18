//! The cost of taking aggregates apart, for each user record, compared with decoding them with prost into vectors:
//! `cargo bench --bench kpl`, in a minute.
//!
//! A consumer reads the same answer again and again: as it is; as it is, while the client decodes its aggregate and
//! copies the user records; and taken apart. The extra cost of the latter two is the CPU time of the whole process, the
//! median of several alternating rounds.

#[allow(dead_code, reason = "tests use more of it")]
#[path = "../src/record/aggregate/tests/owning.rs"]
mod owning;

use std::hint::black_box;
use std::time::{Duration, SystemTime};

use kinesis_consumer::{
    Answer, Batch, BoxError, Call, Client, ClientError, Config, Deaggregation, HashKeyRange,
    IteratorType, LocalStore, Records, RecordsBuilder, Shard, ShardIterator, ShardPage, Stream,
    StreamStatus, Token,
};
use md5::{Digest, Md5};
use rustix::time::{ClockId, clock_gettime};

const ROUNDS: usize = 15;
/// User records of one figure, about.
const USERS: usize = 1 << 20;
const SIZES: [usize; 3] = [1, 20, 100];
const AGGREGATES: [(&str, usize); 2] = [("50KiB", 50 << 10), ("1MiB", (1 << 20) - 1_024)];

/// What is done with the aggregate of an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    Left,
    Owned,
    Walked,
}

/// Gives the same answer again and again.
struct Again {
    records: Records,
    how: How,
}

fn main() -> Result<(), BoxError> {
    let columns = ["aggregate", "user", "users", "prost ns", "here ns", "x prost"];
    println!("{}", columns.map(|column| format!("{column:>9}")).join(" "));
    let mut lines = Vec::new();
    for (name, bytes) in AGGREGATES {
        for size in SIZES {
            let (data, users) = aggregate(bytes, size);
            let mut figures = [const { Vec::new() }; 3];
            for _ in 0..ROUNDS {
                for (figures, how) in figures.iter_mut().zip([How::Left, How::Owned, How::Walked]) {
                    figures.push(nanos(&data, users, how)?);
                }
            }
            let [left, owned, walked] = figures.map(median);
            let (owned, walked) = (owned - left, walked - left);
            let ratio = walked / owned;
            println!("{name:>9} {size:>9} {users:>9} {owned:>9.1} {walked:>9.1} {ratio:>9.2}");
            lines.push(format!("kpl_{name}_{size}B x_prost={ratio:.3}"));
        }
    }
    println!("\n{}", lines.join("\n"));
    Ok(())
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// The CPU time for each user record, in nanoseconds.
fn nanos(data: &[u8], users: usize, how: How) -> Result<f64, BoxError> {
    let answers = (USERS / users).max(8);
    let mut records = RecordsBuilder::new();
    records.push(&"1".parse()?, "key", SystemTime::now(), data);
    let client = Again { records: records.build(), how };
    let apart = if how == How::Walked { Deaggregation::All } else { Deaggregation::Off };
    let config = Config::new().interval(Duration::ZERO).capacity(1).deaggregation(apart);
    let (batches, listener) = Stream::new(client, "kpl", LocalStore::new(), config)?.receiver()?;
    let next = || -> Result<Batch, BoxError> { Ok(batches.recv()?) };
    for _ in 0..3 {
        next()?.commit()?;
    }
    let before = cpu();
    for _ in 0..answers {
        let batch = next()?;
        assert_eq!(batch.len(), if how == How::Walked { users } else { 1 });
        batch.commit()?;
    }
    let taken = cpu() - before;
    listener.shutdown().now();
    listener.join()?;
    Ok(taken.as_nanos() as f64 / (answers * users) as f64)
}

/// The CPU time of this process.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// An aggregate of about this many bytes, and the number of its user records of `size` bytes. Eight keys.
fn aggregate(bytes: usize, size: usize) -> (Vec<u8>, usize) {
    let keys: Vec<String> = (0..8).map(|number| format!("customer-{number}")).collect();
    let users: Vec<_> = (0..bytes / (6 + size))
        .map(|number| owning::UserRecord {
            partition_key: Some(number as u64 % 8),
            explicit_hash_key: None,
            data: Some(vec![b'u'; size]),
        })
        .collect();
    let count = users.len();
    let aggregate =
        owning::Aggregate { partition_keys: keys, explicit_hash_keys: Vec::new(), records: users };
    let message = prost::Message::encode_to_vec(&aggregate);
    let digest = Md5::digest(&message);
    ([&b"\xf3\x89\x9a\xc2"[..], &message, &digest].concat(), count)
}

/// The user records of one answer in a few buffers, as the consumer keeps them.
#[derive(Default)]
struct Copied {
    data: Vec<u8>,
    text: String,
    index: Vec<Entry>,
}

struct Entry {
    _data: (u32, u32),
    _key: (u32, u32),
    _sequence: (u32, u32),
    _sub: u64,
    _arrival_millis: i64,
}

/// Decodes and copies, as was done before.
fn own(records: &Records) -> Copied {
    let mut copied = Copied::default();
    for record in records {
        copied.data.reserve_exact(record.data().len());
        copied.index.reserve_exact(owning::count(record.data()));
        let Some(aggregate) = owning::parse(record.data()) else { continue };
        let sequence = copied.push_text(record.sequence_number());
        let mut places = vec![None; aggregate.partition_keys.len()];
        for (sub, user) in aggregate.records.iter().enumerate() {
            let (Some(index), Some(data)) = (aggregate.key_of(user), &user.data) else { continue };
            let key = &aggregate.partition_keys[index];
            let key = *places[index].get_or_insert_with(|| copied.push_text(key));
            let from = copied.data.len() as u32;
            copied.data.extend_from_slice(data);
            copied.index.push(Entry {
                _data: (from, copied.data.len() as u32),
                _key: key,
                _sequence: sequence,
                _sub: sub as u64,
                _arrival_millis: 0,
            });
        }
    }
    copied
}

impl Copied {
    fn push_text(&mut self, text: &str) -> (u32, u32) {
        let from = self.text.len() as u32;
        self.text.push_str(text);
        (from, self.text.len() as u32)
    }
}

impl Client for Again {
    fn describe_stream(&self, _: &str, _: &Call) -> Result<StreamStatus, ClientError> {
        Ok(StreamStatus::Active)
    }

    fn list_shards(&self, _: &str, _: Option<&str>, _: &Call) -> Result<ShardPage, ClientError> {
        let starting = "0".parse().expect("a number");
        Ok(ShardPage::new(vec![Shard::new("shard", HashKeyRange::ALL, starting)], None))
    }

    fn get_shard_iterator(
        &self,
        _: &str,
        _: &str,
        _: &IteratorType,
        _: &Call,
    ) -> Result<ShardIterator, ClientError> {
        Ok(ShardIterator::new(Token::new("again"), SystemTime::now()))
    }

    fn get_records(&self, token: &Token, _: u32, _: &Call) -> Result<Answer, ClientError> {
        if self.how == How::Owned {
            drop(black_box(own(&self.records)));
        }
        Ok(Answer::new(self.records.clone(), Some(token.clone())))
    }
}
