//! A consumer that is killed again and again loses nothing and repeats nothing that it had stored.
//!
//! A child process, which is this binary again, reads a stream into a `SqliteStore` and notes what it
//! handled; the parent puts, splits, merges, kills, and compares.

#![cfg(feature = "sqlite")]

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use kinesis_consumer::{
    BoxError, Config, KinesisClient, Position, SequenceNumber, SqliteStore, Store, Stream,
};

use crate::common::children::test_of;
use crate::common::support::{Admin, Server};

const STREAM: &str = "crash";
const KILLS: usize = 100;
/// A life is at most this long after its first sign.
const LIFE: Duration = Duration::from_millis(150);
/// The name of the test, which the child runs too.
const TEST: &str = "a_hundred_kills_lose_nothing_and_repeat_nothing_below_the_stored_position";
/// How long nothing may come of what is missing.
const PATIENCE: Duration = Duration::from_secs(60);
/// The parent tells the child by these what it is to do.
const ENDPOINT: &str = "CRASH_TEST_ENDPOINT";
const FOLDER: &str = "CRASH_TEST_FOLDER";

type Result<T> = std::result::Result<T, BoxError>;

/// What was handled: the numbers by shard, in the order of handling.
type Handled = BTreeMap<String, Vec<SequenceNumber>>;

#[test]
fn a_hundred_kills_lose_nothing_and_repeat_nothing_below_the_stored_position() -> Result<()> {
    if let (Ok(endpoint), Ok(folder)) = (env::var(ENDPOINT), env::var(FOLDER)) {
        return consume(&endpoint, Path::new(&folder));
    }
    // Another run may be under way. What a failed one leaves under target is there to be looked at.
    let name = format!("crash-{}", std::process::id());
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&folder)?;
    let server = Server::start()?;
    let admin = Admin::new(server.endpoint(), STREAM)?;
    admin.create(2)?;
    let mut trial = Trial { admin, server, folder, put: 0 };
    let (mut lost, mut repeated) = (0, 0);
    for kill in 0..KILLS {
        let before = trial.stored()?;
        trial.one_life(kill)?;
        let (missing, again) = trial.compare(&before)?;
        (lost, repeated) = (lost + missing, repeated + again);
    }
    lost += trial.last_life()?;
    println!("{KILLS} kills, {lost} lost, {repeated} repeated below the stored position");
    assert!(lost == 0 && repeated == 0);
    fs::remove_dir_all(&trial.folder)?;
    Ok(())
}

/// The child: handles every batch by noting its records, until it is killed.
fn consume(endpoint: &str, folder: &Path) -> Result<()> {
    let client = KinesisClient::builder()
        .endpoint(endpoint)
        .region("us-east-1")
        .credentials("test", "test")
        .build()?;
    let store = SqliteStore::open(folder.join("positions.db"), "crash")?;
    let config = Config::new().interval(Duration::from_millis(10)).limit(7);
    let mut notes = OpenOptions::new().append(true).create(true).open(folder.join("handled"))?;
    Stream::new(client, STREAM, store, config)?.listen(|batch| {
        let lines = batch.records().iter().map(|record| {
            let data = String::from_utf8_lossy(record.data()).into_owned();
            format!("{} {} {data}\n", batch.shard(), record.sequence_number())
        });
        // One write, which the system keeps when the process is killed.
        notes.write_all(lines.collect::<String>().as_bytes())?;
        Ok(())
    })?;
    Ok(())
}

struct Trial {
    admin: Admin,
    server: Server,
    folder: PathBuf,
    put: usize,
}

impl Trial {
    /// Starts a child, lets things happen, and kills it.
    fn one_life(&mut self, kill: usize) -> Result<()> {
        // What the last life handled is not what this one handles.
        fs::rename(self.notes(), self.folder.join(format!("handled-{kill}"))).or_else(|error| {
            if error.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
        })?;
        let mut child = self.child()?;
        self.put_some()?;
        if kill % 10 == 4 {
            let open = self.admin.open_shards()?;
            self.admin.begin_split(&open[fastrand::usize(0..open.len())])?;
        }
        if kill % 10 == 9 {
            self.merge()?;
        }
        self.wait_for_a_sign(&mut child)?;
        thread::sleep(LIFE.mul_f64(fastrand::f64()));
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// One more life, which reads to the end: how many records never came in any.
    fn last_life(&mut self) -> Result<usize> {
        let mut child = self.child()?;
        let mut until = Instant::now() + PATIENCE;
        let mut missing = usize::MAX;
        while missing > 0 && Instant::now() < until {
            thread::sleep(Duration::from_millis(100));
            let left = self.put - self.all_handled()?.len();
            if left < std::mem::replace(&mut missing, left) {
                until = Instant::now() + PATIENCE;
            }
        }
        child.kill()?;
        child.wait()?;
        Ok(missing)
    }

    /// After a kill: records that the file counts as done and nobody handled, and records that were
    /// handled although the file counted them as done before.
    fn compare(&self, before: &BTreeMap<String, Position>) -> Result<(usize, usize)> {
        let handled = read_notes(&self.notes())?;
        let is_below = |position: Option<&Position>, number: &SequenceNumber| {
            position.and_then(Position::sequence).is_some_and(|stored| number <= stored)
        };
        let repeated = handled.iter().flat_map(|(shard, numbers)| {
            numbers.iter().filter(|number| is_below(before.get(shard), number))
        });
        let all: BTreeSet<_> = self.all_handled()?;
        let stored = self.stored()?;
        let lost = self.held().into_iter().map(|(shard, numbers)| {
            let is_end = stored.get(&shard).is_some_and(Position::is_end);
            let is_done = |number: &SequenceNumber| is_end || is_below(stored.get(&shard), number);
            numbers.iter().filter(|number| is_done(number) && !all.contains(number)).count()
        });
        let lost = lost.sum();
        Ok((lost, repeated.count()))
    }

    /// What the server holds: the numbers by shard. It keeps everything as long as the test runs.
    fn held(&self) -> Handled {
        let mut held = Handled::new();
        for key in self.server.keys(STREAM) {
            let (shard, number) = key.split_once('/').expect("keys are shard and number");
            let shard = i64::from_str_radix(shard, 16).expect("the shard is in hexadecimal");
            let number = number.parse().expect("the number is decimal");
            held.entry(format!("shardId-{shard:012}")).or_default().push(number);
        }
        held
    }

    fn child(&self) -> Result<Child> {
        let child = Command::new(env::current_exe()?)
            .args(["--exact", "--nocapture"])
            .arg(test_of(module_path!(), TEST))
            .env(ENDPOINT, self.server.endpoint())
            .env(FOLDER, &self.folder)
            .stdout(Stdio::null())
            .stderr(File::create(self.folder.join("errors"))?)
            .spawn()?;
        Ok(child)
    }

    /// The child has handled something, or has nothing to do.
    fn wait_for_a_sign(&self, child: &mut Child) -> Result<()> {
        let until = Instant::now() + Duration::from_secs(5);
        while !self.notes().exists() && Instant::now() < until {
            if let Some(status) = child.try_wait()? {
                let errors = fs::read_to_string(self.folder.join("errors"))?;
                return Err(format!("the consumer ended by itself, {status}: {errors}").into());
            }
            thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    fn put_some(&mut self) -> Result<()> {
        let numbers = self.put..self.put + 40;
        let records = numbers.map(|number| (format!("key-{number}"), number.to_string().into()));
        self.admin.put(records.collect())?;
        self.put += 40;
        Ok(())
    }

    fn merge(&self) -> Result<()> {
        let mut open = self.admin.open_shards()?;
        let start = |shard: &rusoto_kinesis::Shard| -> u128 {
            shard.hash_key_range.starting_hash_key.parse().unwrap_or_default()
        };
        open.sort_by_key(start);
        self.admin.begin_merge(&open[0], &open[1])
    }

    fn stored(&self) -> Result<BTreeMap<String, Position>> {
        let store = SqliteStore::open(self.folder.join("positions.db"), "crash")?;
        Ok(store.shard_iterators(STREAM)?.into_iter().collect())
    }

    fn notes(&self) -> PathBuf {
        self.folder.join("handled")
    }

    /// What was handled in all lives.
    fn all_notes(&self) -> Result<Handled> {
        let mut all = Handled::new();
        for file in fs::read_dir(&self.folder)? {
            let path = file?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name.starts_with("handled") {
                for (shard, numbers) in read_notes(&path)? {
                    all.entry(shard).or_default().extend(numbers);
                }
            }
        }
        Ok(all)
    }

    fn all_handled(&self) -> Result<BTreeSet<SequenceNumber>> {
        Ok(self.all_notes()?.into_values().flatten().collect())
    }
}

fn read_notes(path: &Path) -> Result<Handled> {
    let mut handled = Handled::new();
    let text = if path.exists() { fs::read_to_string(path)? } else { String::new() };
    // A kill in the middle of a write may leave part of a line, which is not handled.
    for line in text.lines().filter(|line| line.split(' ').count() == 3) {
        let mut words = line.split(' ');
        if let (Some(shard), Some(number)) = (words.next(), words.next()) {
            handled.entry(shard.into()).or_default().push(number.parse()?);
        }
    }
    Ok(handled)
}
