//! One life of the consumer, and how it ends.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kinesis_consumer::{
    Batch, BoxError, Config, Error, KinesisClient, LocalStore, OnError, Store, Stream,
};
use parking_lot::Mutex;

use crate::check::Check;
use crate::cloud::{DEADLINE, STREAM};
use crate::support::REGION;

const INTERVAL: Duration = Duration::from_millis(100);
/// How often the end of a life is checked.
const LOOK: Duration = Duration::from_millis(20);

/// How a life ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    /// The listener is dropped while the handler is at work.
    Drop,
    /// The queue is handled first.
    Drain,
    /// The handler fails in the middle of a batch.
    Error,
    /// The handler panics in the middle of a batch.
    Panic,
    /// Workers drop their batches and the receiver in the middle of a batch.
    Leave,
}

pub(crate) const ENDS: [End; 5] = [End::Drop, End::Drain, End::Error, End::Panic, End::Leave];

/// The state that outlives every consumer.
pub(crate) struct World {
    pub(crate) endpoint: String,
    pub(crate) store: Arc<LocalStore>,
    pub(crate) check: Arc<Mutex<Check>>,
}

impl World {
    /// Reads for this long, or until `is_enough`, and ends in this way.
    pub(crate) fn live(
        &self,
        time: Duration,
        end: End,
        seed: u64,
        is_enough: impl Fn(&Check) -> bool,
    ) -> Result<(), BoxError> {
        self.check.lock().begin(self.store.shard_iterators(STREAM)?);
        let stream = self.stream(end)?;
        let until = Instant::now() + time;
        if let End::Leave = end {
            return self.receive(stream, until);
        }
        let check = Arc::clone(&self.check);
        let mut refusals = fastrand::Rng::with_seed(seed);
        let listener = stream.spawn(move |batch| {
            let is_over = Instant::now() >= until;
            match end {
                // Parked, and tried again.
                End::Drain if refusals.u8(..20) == 0 => return Err("not now".into()),
                End::Error if is_over => {
                    count_half(&check, batch);
                    return Err("in the middle of a batch".into());
                }
                End::Panic if is_over => {
                    count_half(&check, batch);
                    std::panic::panic_any("in the middle of a batch");
                }
                End::Drop if is_over => {
                    count_half(&check, batch);
                    std::thread::sleep(LOOK * 3); // the listener is dropped now
                    count_rest(&check, batch);
                }
                _ => count_from(&check, batch, 0),
            }
            Ok(())
        })?;
        while !listener.is_finished() && !is_enough(&self.check.lock()) {
            if Instant::now() >= until + LOOK && matches!(end, End::Drop | End::Drain) {
                break;
            }
            std::thread::sleep(LOOK);
        }
        match end {
            End::Drop | End::Drain if listener.is_finished() => {
                listener.join()?;
                return Err("the consumer ended by itself".into());
            }
            End::Drop => drop(listener),
            End::Drain => {
                listener.shutdown().drain(Duration::from_secs(5));
                listener.join()?;
            }
            _ => expect_end(end, || listener.join())?,
        }
        Ok(())
    }

    fn stream(&self, end: End) -> Result<Stream, BoxError> {
        let client = KinesisClient::builder()
            .endpoint(&self.endpoint)
            .region(REGION)
            .credentials("test", "test")
            .deadline(DEADLINE)
            .build()?;
        let on_error = match end {
            End::Drain => OnError::retry(None).halve(true),
            _ => OnError::stop(),
        };
        let config = Config::new().interval(INTERVAL).limit(500).on_error(on_error);
        Ok(Stream::new(client, STREAM, Arc::clone(&self.store), config)?)
    }

    fn receive(&self, stream: Stream, until: Instant) -> Result<(), BoxError> {
        let (batches, listener) = stream.receiver()?;
        while let Ok(batch) = batches.recv_deadline(until) {
            count_from(&self.check, &batch, 0);
            batch.commit()?;
        }
        if let Ok(batch) = batches.try_recv() {
            count_half(&self.check, &batch);
        }
        drop(batches);
        listener.shutdown().now();
        Ok(listener.join()?)
    }
}

fn count_half(check: &Mutex<Check>, batch: &Batch) {
    let mut check = check.lock();
    let half = batch.records().iter().take(batch.len() / 2);
    half.for_each(|record| check.take(batch.shard(), &record));
}

/// The records that `count_half` left.
fn count_rest(check: &Mutex<Check>, batch: &Batch) {
    count_from(check, batch, batch.len() / 2);
}

fn count_from(check: &Mutex<Check>, batch: &Batch, first: usize) {
    let mut check = check.lock();
    let rest = batch.records().iter().skip(first);
    rest.for_each(|record| check.take(batch.shard(), &record));
}

/// Only the handler's error, or its panic, may have ended the consumer.
fn expect_end(end: End, join: impl FnOnce() -> Result<(), Error>) -> Result<(), BoxError> {
    match (end, catch_unwind(AssertUnwindSafe(join))) {
        (End::Error, Ok(Err(Error::Handler { .. }))) | (End::Panic, Err(_)) => Ok(()),
        (_, Ok(Err(error))) => Err(error.into()),
        (_, ended) => Err(format!("{end:?} ended with {ended:?}").into()),
    }
}
