//! The receiving end of a channel of batches. The drop of its last clone stops the consumer.

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
use crate::sync;

/// Yields the batches of a consumer that was opened with [`Stream::receiver`](crate::Stream::receiver) or
/// [`Stream::receivers`](crate::Stream::receivers), as an iterator or by its methods.
///
/// A clone takes batches from the same channel: each batch comes to one of them. When the last clone is dropped, the
/// consumer is stopped at once, as by [`Shutdown::now`]. Batches that are still in the channel are dropped with it,
/// uncommitted, and come again at the next start. After it has yielded everything there is nothing to stop.
///
/// When every shard has ended, something failed, or the consumer was stopped, it yields the batches that were sent
/// until then, and is disconnected. [`Listener::join`](crate::Listener::join) says which of these it was.
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
/// An earlier drop stops the consumer, unless there is a clone of the [`Batches`].
#[derive(Debug)]
#[must_use = "dropping it stops the consumer"]
pub struct IntoBatches(Batches);

struct Inner {
    queue: Receiver<Batch>,
    shutdown: Shutdown,
}

/// The batches left in the channel after the drop of its owner. A channel keeps its messages as long as it has any
/// sender or receiver, and each message holds memory, and perhaps a slot of its shard.
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
        sync::recv(&self.0.queue)
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
        match sync::now().checked_add(timeout) {
            Some(until) => sync::recv_until(&self.0.queue, until),
            None => self.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    /// Waits for the next batch, at most until this time.
    ///
    /// # Errors
    /// As [`recv_timeout`](Self::recv_timeout).
    pub fn recv_deadline(&self, deadline: Instant) -> Result<Batch, RecvTimeoutError> {
        sync::recv_until(&self.0.queue, deadline)
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
    /// A clone of this receiver takes batches too, but does not keep the consumer running: the last drop of the
    /// `Batches` stops it. Batches that are then in the channel are dropped, so that they hold no memory. Such a
    /// clone is disconnected when the consumer has ended.
    pub fn as_crossbeam(&self) -> &Receiver<Batch> {
        &self.0.queue
    }
}

impl Leftovers {
    /// Drops the batches in the channel if its owner was dropped. Call it after a send that the owner may not have
    /// seen.
    pub(crate) fn clear(&self) {
        if self.owner.strong_count() == 0 {
            self.queue.try_iter().for_each(drop);
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let first = self.queue.try_recv();
        // Without a sender everything was read, and there is nothing to stop: the commits must still be stored, with
        // the whole `store_patience`.
        if matches!(first, Err(TryRecvError::Disconnected)) {
            return;
        }
        // Before any batch is dropped: a drop after a stop gives no warning.
        self.shutdown.now();
        drop(first);
        sync::point();
        // If a shard's thread finds a place only now, it clears the channel when it ends.
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
