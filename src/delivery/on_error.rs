//! What to do when the handler fails.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::delivery::batch::Batch;
use crate::error::BoxError;

/// What [`listen`](crate::Stream::listen) and [`spawn`](crate::Stream::spawn) do when the handler fails.
/// No setting skips a record, unless a dead-letter callback accepted it.
///
/// A batch that waits for another attempt is parked: its shard and the descendants of that shard wait
/// with it; all other shards continue. The wait is random, up to a bound that doubles with each failure in
/// a row, from 250 milliseconds to 10 seconds.
///
/// ```
/// use std::time::Duration;
/// use kinesis_consumer::{Config, OnError};
///
/// let on_error = OnError::retry(5)
///     .max_record_age(Duration::from_secs(3600))
///     .halve(true)
///     .dead_letter(|letter| {
///         for record in letter.batch().records() {
///             eprintln!("{} is put aside: {}", record.sequence_number(), letter.error());
///         }
///         Ok(()) // they are safe elsewhere: continue after them
///     });
/// let config = Config::new().on_error(on_error);
/// # drop(config);
/// ```
#[derive(Clone)]
#[must_use]
pub struct OnError {
    pub(crate) max_attempts: Option<u32>,
    pub(crate) max_record_age: Option<Duration>,
    pub(crate) halve: bool,
    pub(crate) catch_panics: bool,
    pub(crate) dead_letter: Option<TakeDeadLetter>,
}

pub(crate) type TakeDeadLetter = Arc<dyn Fn(&DeadLetter<'_>) -> Result<(), BoxError> + Send + Sync>;

/// A batch that the handler refused for the last time.
#[derive(Debug)]
pub struct DeadLetter<'a> {
    pub(crate) batch: &'a Batch,
    pub(crate) error: &'a BoxError,
    pub(crate) attempts: u32,
}

impl OnError {
    /// Stops with [`Error::Handler`](crate::Error::Handler) at the first error: the same as one attempt
    /// of [`retry`](Self::retry).
    pub fn stop() -> Self {
        Self::retry(1)
    }

    /// Calls the handler at most this often with the same records (1 or more; `None`: no limit). After that
    /// the consumer stops with [`Error::Handler`](crate::Error::Handler), unless there is a
    /// [`dead_letter`](Self::dead_letter) callback.
    pub fn retry(max_attempts: impl Into<Option<u32>>) -> Self {
        Self {
            max_attempts: max_attempts.into(),
            max_record_age: None,
            halve: false,
            catch_panics: false,
            dead_letter: None,
        }
    }

    /// Does not retry a batch if its first record arrived in the stream longer ago than this, by
    /// this machine's clock. Defaults to any age.
    pub fn max_record_age(mut self, age: impl Into<Option<Duration>>) -> Self {
        self.max_record_age = age.into();
        self
    }

    /// Bisects a failing batch: halves are retried at once, in order, and committed as they succeed, until one record is
    /// isolated; only that record is [retried](Self::retry) with back-off and given up. Defaults to `false`.
    pub fn halve(mut self, halve: bool) -> Self {
        self.halve = halve;
        self
    }

    /// Whether a panic of the handler counts as an error, so that the batch is retried. The handler
    /// is then called again in the state that its panic has left. Defaults to `false`: a panic stops
    /// the consumer, and continues in the caller of `listen` or `join`.
    pub fn catch_panics(mut self, catch: bool) -> Self {
        self.catch_panics = catch;
        self
    }

    /// Calls this callback with a batch that the handler refused for the last time. If it returns `Ok`, the
    /// consumer continues after that batch; otherwise it stops with
    /// [`Error::DeadLetter`](crate::Error::DeadLetter). It is called on the handler's thread. Defaults to
    /// none.
    pub fn dead_letter(
        mut self,
        take: impl Fn(&DeadLetter<'_>) -> Result<(), BoxError> + Send + Sync + 'static,
    ) -> Self {
        self.dead_letter = Some(Arc::new(take));
        self
    }

    /// Whether a batch may have to wait for its next attempt.
    pub(crate) fn parks(&self) -> bool {
        self.max_attempts != Some(1) || self.halve
    }
}

impl<'a> DeadLetter<'a> {
    /// The records, with their shard and position: the batch, or what is left of it after halving. It
    /// is committed when the callback returned `Ok`.
    pub fn batch(&self) -> &'a Batch {
        self.batch
    }

    /// What the handler returned at last.
    pub fn error(&self) -> &'a (dyn std::error::Error + Send + Sync + 'static) {
        &**self.error
    }

    /// How often the handler got these records, not counting larger batches that included them.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }
}

/// [`OnError::stop`].
impl Default for OnError {
    fn default() -> Self {
        Self::stop()
    }
}

impl fmt::Debug for OnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnError")
            .field("max_attempts", &self.max_attempts)
            .field("max_record_age", &self.max_record_age)
            .field("halve", &self.halve)
            .field("catch_panics", &self.catch_panics)
            .field("dead_letter", &self.dead_letter.is_some())
            .finish()
    }
}
