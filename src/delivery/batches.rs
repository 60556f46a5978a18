//! The receiving end of a channel of batches, whose last owner stops the consumer when it goes.

use std::fmt;
use std::iter::FusedIterator;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crossbeam_channel::{
    Iter, Receiver, RecvError, RecvTimeoutError, Sender, TryIter, TryRecvError, bounded,
};

use crate::control::shutdown::Shutdown;
use crate::delivery::batch::Batch;

/// Yields the batches of a consumer that was opened with [`Stream::receiver`](crate::Stream::receiver) or
/// [`Stream::receivers`](crate::Stream::receivers), as an iterator or by its methods.
///
/// A clone takes batches from the same channel: each comes to one of them. When the last clone is dropped, the consumer
/// is stopped at once, as by [`Shutdown::now`]: nobody wants more. What was still in the channel is dropped with it,
/// uncommitted, and comes again at the next start. After it has yielded everything there is nothing left to stop.
///
/// It is disconnected when every shard has ended, something failed, or the consumer was stopped, and after it has
/// yielded what was sent until then. [`Listener::join`](crate::Listener::join) says which it was.
///
/// For `select!`, [`as_crossbeam`](Self::as_crossbeam) lends the channel, here of two streams:
///
/// ```
/// use kinesis_consumer::crossbeam_channel::select;
/// use kinesis_consumer::{Config, LocalStore, Stream};
/// use kinesis_consumer::testing::MemoryKinesis;
///
/// let kinesis = MemoryKinesis::new();
/// # kinesis.create_stream("orders", 2);
/// # kinesis.create_stream("clicks", 1);
/// # kinesis.put("orders", "customer-7", b"one espresso");
/// # kinesis.put("clicks", "customer-7", b"the menu");
/// let open = |name| {
///     Stream::new(kinesis.clone(), name, LocalStore::new(), Config::new())?.receiver()
/// };
/// let (orders, order_listener) = open("orders")?;
/// let (clicks, click_listener) = open("clicks")?;
/// let mut handled = 0;
/// while handled < 2 {
///     let batch = select! {
///         recv(orders.as_crossbeam()) -> batch => batch?,
///         recv(clicks.as_crossbeam()) -> batch => batch?,
///     };
///     println!("{} records of {}", batch.len(), batch.stream());
///     handled += batch.len();
///     batch.commit()?;
/// }
/// drop((orders, clicks)); // stops both
/// order_listener.join()?;
/// click_listener.join()?;
/// # Ok::<(), kinesis_consumer::BoxError>(())
/// ```
#[derive(Clone)]
#[must_use = "dropping its last clone stops the consumer"]
pub struct Batches(Arc<Inner>);

/// Takes batches until there are no more, and owns the receiver: `for batch in batches`.
///
/// Dropped earlier, it stops the consumer, unless there is a clone of the [`Batches`].
#[derive(Debug)]
#[must_use = "dropping it stops the consumer"]
pub struct IntoBatches(Batches);

struct Inner {
    queue: Receiver<Batch>,
    shutdown: Shutdown,
}

/// What is left in the channel when its owner is gone. A channel keeps its messages as long as it has any sender or any
/// receiver, and each of them holds memory, and perhaps a slot of its shard.
pub(crate) struct Leftovers {
    queue: Receiver<Batch>,
    owner: Weak<Inner>,
}

/// A channel that holds this many batches. The consumer stops when the last receiver is dropped.
pub(crate) fn channel(capacity: usize, shutdown: &Shutdown) -> (Sender<Batch>, Batches, Leftovers) {
    let (sender, queue) = bounded(capacity);
    let inner = Arc::new(Inner { queue: queue.clone(), shutdown: shutdown.clone() });
    let leftovers = Leftovers { queue, owner: Arc::downgrade(&inner) };
    (sender, Batches(inner), leftovers)
}

impl Batches {
    /// Waits for the next batch.
    ///
    /// # Errors
    /// If there are no more.
    pub fn recv(&self) -> Result<Batch, RecvError> {
        self.0.queue.recv()
    }

    /// The next batch, if one is there.
    ///
    /// # Errors
    /// [`TryRecvError::Empty`] if no batch waits now, [`TryRecvError::Disconnected`] if no more will come.
    pub fn try_recv(&self) -> Result<Batch, TryRecvError> {
        self.0.queue.try_recv()
    }

    /// Waits for the next batch, at most for this long.
    ///
    /// # Errors
    /// If none came in time, or there are no more.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Batch, RecvTimeoutError> {
        self.0.queue.recv_timeout(timeout)
    }

    /// Waits for the next batch, at most until then.
    ///
    /// # Errors
    /// As [`recv_timeout`](Self::recv_timeout).
    pub fn recv_deadline(&self, deadline: Instant) -> Result<Batch, RecvTimeoutError> {
        self.0.queue.recv_deadline(deadline)
    }

    /// Takes batches until there are no more, and waits for each: the same as `for batch in &batches`.
    pub fn iter(&self) -> Iter<'_, Batch> {
        self.0.queue.iter()
    }

    /// Takes the batches that are there, and does not wait.
    pub fn try_iter(&self) -> TryIter<'_, Batch> {
        self.0.queue.try_iter()
    }

    /// How many batches are there now.
    pub fn len(&self) -> usize {
        self.0.queue.len()
    }

    /// Whether no batch waits now. More may come.
    pub fn is_empty(&self) -> bool {
        self.0.queue.is_empty()
    }

    /// The channel, for `select!`.
    ///
    /// A clone of what is lent takes batches too, but does not keep the consumer running: that is stopped when the last
    /// clone of the `Batches` is dropped. What is then in the channel is dropped, so that it holds no memory, and such a
    /// clone is disconnected when the consumer has ended.
    pub fn as_crossbeam(&self) -> &Receiver<Batch> {
        &self.0.queue
    }
}

impl Leftovers {
    /// Drops what is in the channel if its owner is gone. To be called when something was sent that the owner may not
    /// have seen.
    pub(crate) fn clear(&self) {
        if self.owner.strong_count() == 0 {
            self.queue.try_iter().for_each(drop);
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let first = self.queue.try_recv();
        // Without a sender all has been read, and there is nothing to stop: what is committed is still to be stored,
        // with all the patience that there is for that.
        if matches!(first, Err(TryRecvError::Disconnected)) {
            return;
        }
        // Before any is dropped: what is dropped by a stop was not forgotten.
        self.shutdown.now();
        drop(first);
        // A shard's thread that finds a place only now clears the channel when it ends.
        self.queue.try_iter().for_each(drop);
    }
}

impl IntoIterator for Batches {
    type Item = Batch;
    type IntoIter = IntoBatches;

    fn into_iter(self) -> IntoBatches {
        IntoBatches(self)
    }
}

impl<'a> IntoIterator for &'a Batches {
    type Item = Batch;
    type IntoIter = Iter<'a, Batch>;

    fn into_iter(self) -> Iter<'a, Batch> {
        self.iter()
    }
}

impl Iterator for IntoBatches {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        self.0.recv().ok()
    }
}

impl FusedIterator for IntoBatches {}

// As crossbeam's receiver: a panic leaves nothing half done in a channel, nor in a shutdown.
impl UnwindSafe for Batches {}
impl RefUnwindSafe for Batches {}

impl fmt::Debug for Batches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batches").field("len", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_receiver_stops_the_consumer_unless_all_is_read() {
        let shutdown = Shutdown::new();
        let (sender, batches, _leftovers) = channel(1, &shutdown);
        drop(sender);
        assert_eq!(batches.into_iter().count(), 0);
        assert!(!shutdown.is_stopped(), "its end stores what is committed");

        let (_sender, batches, _leftovers) = channel(1, &shutdown);
        let other = batches.clone();
        drop(batches);
        assert!(!shutdown.is_stopped());
        drop(other);
        assert!(shutdown.is_stopped());
    }
}
