//! Reads a stream at one of the doors, and keeps what came.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use kinesis_consumer::{Batch, BoxError, Error, SequenceNumber, Shutdown, Stream};
use parking_lot::{Condvar, Mutex};

use super::stream::{INTERVAL, id};

/// How long anything is waited for: a server on a busy machine may take minutes over what others ask of it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(600);

#[derive(Clone, Copy, Debug)]
pub(crate) enum Door {
    Listen,
    Spawn,
    Receiver,
}

/// A consumer in progress; dropping it stops it.
pub(crate) struct Reader {
    journal: Arc<Journal>,
    shutdown: Shutdown,
    thread: Option<JoinHandle<Result<(), Error>>>,
}

/// What came, in the order in which it did.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) records: Vec<Entry>,
    /// How many records each batch held, and how many bytes of data.
    pub(crate) batches: Vec<(usize, usize)>,
    /// The shards that were read to their end, and how many records had come by then.
    pub(crate) ended: Vec<(String, usize)>,
}

#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) id: usize,
    pub(crate) shard: String,
    pub(crate) sequence: SequenceNumber,
    pub(crate) arrival: SystemTime,
}

#[derive(Default)]
struct Journal {
    state: Mutex<(Seen, Ended)>,
    changed: Condvar,
}

/// Whether the consumer has ended by itself.
type Ended = bool;

impl Reader {
    pub(crate) fn start(stream: Stream, door: Door) -> Self {
        let (journal, shutdown) = (Arc::<Journal>::default(), stream.shutdown());
        let kept = Arc::clone(&journal);
        let thread = thread::spawn(move || {
            let taken = Arc::clone(&kept);
            let result = door.open(stream, move |batch| taken.take(batch));
            kept.state.lock().1 = true;
            kept.changed.notify_all();
            result
        });
        Self { journal, shutdown, thread: Some(thread) }
    }

    /// Waits until this many records have come.
    pub(crate) fn wait_for(&self, records: usize) {
        self.wait(|seen| seen.records.len() >= records);
    }

    pub(crate) fn wait(&self, enough: impl Fn(&Seen) -> bool) {
        let mut state = self.journal.state.lock();
        let more = |state: &mut (Seen, Ended)| !enough(&state.0) && !state.1;
        self.journal.changed.wait_while_for(&mut state, more, PATIENCE);
        if !enough(&state.0) {
            let (ids, ended, by_itself) = (state.0.sorted_ids(), &state.0.ended, state.1);
            panic!(
                "too little came: {ids:?}, ended {ended:?}, reading ended by itself: {by_itself}"
            );
        }
    }

    /// Stops it a little later, since nothing more should come, and says what came.
    pub(crate) fn stop(self) -> Seen {
        thread::sleep(INTERVAL * 3);
        self.stop_now()
    }

    pub(crate) fn stop_now(mut self) -> Seen {
        self.shutdown.now();
        let thread = self.thread.take().expect("only this and `drop` take it");
        let result = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        result.unwrap_or_else(|error| panic!("{error}: {error:?}"));
        self.journal.state.lock().0.clone()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.shutdown.now();
        if let Some(thread) = self.thread.take() {
            println!("stopped with {:?}", thread.join());
        }
    }
}

impl Door {
    fn open(
        self,
        stream: Stream,
        mut take: impl FnMut(&Batch) -> Result<(), BoxError> + Send + 'static,
    ) -> Result<(), Error> {
        match self {
            Self::Listen => stream.listen(take),
            Self::Spawn => stream.spawn(take)?.join(),
            Self::Receiver => {
                let (batches, listener) = stream.receiver()?;
                for batch in &batches {
                    take(&batch).unwrap();
                    batch.commit()?;
                }
                listener.join()
            }
        }
    }
}

impl Journal {
    fn take(&self, batch: &Batch) -> Result<(), BoxError> {
        let mut state = self.state.lock();
        let seen = &mut state.0;
        for record in batch.records() {
            seen.records.push(Entry {
                id: id(record.data())?,
                shard: batch.shard().into(),
                sequence: record.sequence_number().parse()?,
                arrival: record.approximate_arrival().ok_or("a record without its time")?,
            });
        }
        let bytes = batch.records().iter().map(|record| record.data().len()).sum();
        seen.batches.push((batch.len(), bytes));
        if batch.ends_shard() {
            let count = seen.records.len();
            seen.ended.push((batch.shard().into(), count));
        }
        if let Some(gap) = batch.gap() {
            return Err(format!("{gap}").into());
        }
        drop(state);
        self.changed.notify_all();
        Ok(())
    }
}

impl Seen {
    pub(crate) fn sorted_ids(&self) -> Vec<usize> {
        let mut ids: Vec<_> = self.records.iter().map(|entry| entry.id).collect();
        ids.sort_unstable();
        ids
    }

    /// The ids by shard, in order.
    pub(crate) fn by_shard(&self) -> BTreeMap<&str, Vec<&Entry>> {
        let mut shards = BTreeMap::<&str, Vec<&Entry>>::new();
        for entry in &self.records {
            shards.entry(&entry.shard).or_default().push(entry);
        }
        shards
    }

    /// Exactly these records came, each once, in the order of their shards.
    pub(crate) fn assert_is(&self, ids: impl IntoIterator<Item = usize>) {
        let expected: Vec<_> = ids.into_iter().collect();
        assert_eq!(self.sorted_ids(), expected);
        for (shard, entries) in self.by_shard() {
            let is_sorted = entries.is_sorted_by(|one, next| one.sequence < next.sequence);
            assert!(is_sorted, "{shard} came out of order: {entries:?}");
        }
    }

    /// Each record came after all records of the shards that its shard was made from, as far as those
    /// were read in this run.
    pub(crate) fn assert_parents_first(&self, shards: &[rusoto_kinesis::Shard]) {
        let ended: BTreeMap<_, _> = self.ended.iter().map(|(id, at)| (id.as_str(), *at)).collect();
        assert_eq!(ended.len(), self.ended.len(), "a shard ended twice: {:?}", self.ended);
        let first = |id: &str| self.records.iter().position(|entry| entry.shard == id);
        for shard in shards {
            let Some(start) = first(&shard.shard_id) else { continue };
            for parent in [&shard.parent_shard_id, &shard.adjacent_parent_shard_id] {
                let Some(parent) = parent.as_deref().filter(|id| !id.is_empty()) else { continue };
                let end = ended.get(parent);
                let is_before = end.is_some_and(|end| *end <= start);
                let is_unread = end.is_none() && first(parent).is_none();
                assert!(is_before || is_unread, "{parent} ended at {end:?}, {shard:?} at {start}");
            }
        }
    }
}
