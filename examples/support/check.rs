//! Checks that every record that was put was read once, and in order.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::Duration;

use kinesis_consumer::{Batch, BoxError};

use parking_lot::Mutex;

use super::{Admin, Trail};

/// Partition keys; a call puts no key twice, so that a refused record never changes places.
const KEYS: usize = 500;
/// The digits of an id, at the start of the data.
const DIGITS: usize = 20;
/// The records are put over this time, so that most are read while others are put.
const PUTTING: Duration = Duration::from_secs(2);

/// Which records are put: ids from 0 on, each with its key and its data.
pub(crate) struct Plan {
    records: usize,
    size: usize,
    put: AtomicUsize,
    /// What the next run needs to know.
    trail: Option<Mutex<Trail>>,
}

/// Counts what was read, by id and by partition key.
pub(crate) struct Check<'a> {
    plan: &'a Plan,
    /// By id: whether it was read.
    seen: Vec<bool>,
    /// By partition key: the first id that may come next.
    next: Vec<usize>,
    read: usize,
    distinct: usize,
    disordered: usize,
}

impl Plan {
    pub(crate) fn new(records: usize, size: usize) -> Self {
        Self { records, size, put: AtomicUsize::new(0), trail: None }
    }

    /// The same, resumed after earlier runs.
    pub(crate) fn resumed(records: usize, size: usize, trail: Trail) -> Result<Self, BoxError> {
        let put = AtomicUsize::new(trail.put_before()?);
        Ok(Self { records, size, put, trail: Some(Mutex::new(trail)) })
    }

    /// How long the rest of the reading may take after the last put.
    pub(crate) fn patience(&self) -> Duration {
        Duration::from_secs(60 + self.records as u64 / 2_000)
    }

    /// Puts all records that earlier runs did not; after a third it asks for a split, after two thirds for
    /// a merge, and continues to put while the stream is being resharded. Ends early if it `is_stopped`.
    pub(crate) fn put_all(
        &self,
        admin: &Admin,
        is_stopped: impl Fn() -> bool,
    ) -> Result<(), BoxError> {
        let batches = self.records.div_ceil(KEYS);
        let first = self.put.load(Ordering::Relaxed).div_ceil(KEYS);
        for batch in first..batches {
            if is_stopped() {
                return Ok(());
            }
            if batch == batches / 3 {
                split(admin)?;
            }
            if batch == batches * 2 / 3 {
                merge(admin)?;
            }
            let ids = batch * KEYS..self.records.min((batch + 1) * KEYS);
            let records = ids.clone().map(|id| (key(id), self.data(id))).collect();
            if let Some(trail) = &self.trail {
                trail.lock().putting()?;
            }
            admin.put(records)?;
            self.put.store(ids.end, Ordering::Relaxed);
            if let Some(trail) = &self.trail {
                trail.lock().has_put(ids.end)?;
            }
            sleep(PUTTING / batches as u32);
        }
        Ok(())
    }

    /// The id as text, filled up to the size with a letter that depends on it.
    fn data(&self, id: usize) -> Vec<u8> {
        let mut data = format!("{id:0DIGITS$}").into_bytes();
        data.resize(self.size, filler(id));
        data
    }

    /// The id that stands in this data, if it is exactly as it was put.
    fn id(&self, data: &[u8], partition_key: &str) -> Option<usize> {
        let (digits, rest) = data.split_at_checked(DIGITS)?;
        let id: usize = std::str::from_utf8(digits).ok()?.parse().ok()?;
        let same = data.len() == self.size
            && rest.iter().all(|byte| *byte == filler(id))
            && partition_key == key(id);
        (same && id < self.records).then_some(id)
    }
}

impl<'a> Check<'a> {
    pub(crate) fn new(plan: &'a Plan) -> Self {
        let (seen, next) = (vec![false; plan.records], vec![0; KEYS]);
        let mut check = Self { plan, seen, next, read: 0, distinct: 0, disordered: 0 };
        if let Some(trail) = &plan.trail {
            trail.lock().read_before().iter().for_each(|id| check.count(*id));
        }
        check
    }

    /// Whether all ids have been read.
    pub(crate) fn is_complete(&self) -> bool {
        self.distinct == self.plan.records
    }

    /// Counts a batch. Whether all ids have been read now.
    pub(crate) fn take(&mut self, batch: &Batch) -> Result<bool, BoxError> {
        let mut ids = Vec::with_capacity(batch.len());
        for record in batch.records() {
            let id = self.plan.id(record.data(), record.partition_key()).ok_or_else(|| {
                let number = record.sequence_number();
                format!("record {number} of shard {} is not as it was put", batch.shard())
            })?;
            ids.push(id);
        }
        if let Some(trail) = &self.plan.trail {
            trail.lock().has_read(&ids)?;
        }
        ids.into_iter().for_each(|id| self.count(id));
        if batch.ends_shard() {
            eprintln!("{self}, {} to its end", batch.shard());
        }
        Ok(self.is_complete())
    }

    fn count(&mut self, id: usize) {
        self.read += 1;
        // A record that comes again is counted once, as duplicated, wherever it comes.
        if !std::mem::replace(&mut self.seen[id], true) {
            self.distinct += 1;
            let next = &mut self.next[id % KEYS];
            if id < *next {
                self.disordered += 1;
            } else {
                *next = id + 1;
            }
        }
        if self.read % (self.plan.records / 5).max(1) == 0 {
            eprintln!("{self}");
        }
    }

    /// The result in one line, and whether it is right.
    pub(crate) fn verdict(&self) -> (String, bool) {
        let put = self.plan.put.load(Ordering::Relaxed);
        let lost = self.seen[..put].iter().filter(|seen| !**seen).count();
        let (read, disordered) = (self.read, self.disordered);
        let duplicated = read - self.distinct;
        let line = format!(
            "{put} put, {read} read, {lost} lost, {duplicated} duplicated, {disordered} out of order"
        );
        (line, put == self.plan.records && lost + duplicated + disordered == 0)
    }
}

/// How far it has come.
impl fmt::Display for Check<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>9} of {} read", self.read, self.plan.records)
    }
}

fn key(id: usize) -> String {
    format!("key-{:03}", id % KEYS)
}

fn filler(id: usize) -> u8 {
    b'a' + (id % 26) as u8
}

fn split(admin: &Admin) -> Result<(), BoxError> {
    let shards = admin.open_shards()?;
    let shard = shards.first().ok_or("the stream has no open shard")?;
    eprintln!("splitting {}", shard.shard_id);
    admin.begin_split(shard)
}

/// Merges a child of the split with a shard of the beginning.
fn merge(admin: &Admin) -> Result<(), BoxError> {
    admin.wait_until_active()?;
    let shards = admin.open_shards()?;
    let [_, one, other, ..] = &shards[..] else { return Err("too few open shards".into()) };
    eprintln!("merging {} and {}", one.shard_id, other.shard_id);
    admin.begin_merge(one, other)
}
