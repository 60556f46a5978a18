//! The bounds of a call: a stop, a deadline and room in memory.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;

use crate::budget::Budget;
use crate::budget::room::Room;
use crate::sync;

/// When a call must give up: at its deadline, or when the consumer stops; and which stream it is about.
#[derive(Clone, Debug)]
pub struct Call {
    stop: Receiver<Infallible>,
    deadline: Option<Instant>,
    room: Option<Arc<Room>>,
    stream: Option<Arc<str>>,
}

impl Call {
    /// A call that gives up when `stop` is disconnected.
    pub(crate) fn new(stop: Receiver<Infallible>) -> Self {
        Self { stop, deadline: None, room: None, stream: None }
    }

    /// A call that nothing stops; to try a client by hand.
    pub fn unbounded() -> Self {
        Self::new(crossbeam_channel::never())
    }

    /// The same with a deadline, from now on; it covers connecting, headers and body.
    ///
    /// Defaults to none: then the client's own deadline applies.
    #[must_use]
    pub fn with_deadline(mut self, limit: Duration) -> Self {
        self.deadline = sync::now().checked_add(limit);
        self
    }

    /// The same about this stream: its name or its ARN, as it was given to [`Stream::new`](crate::Stream::new).
    ///
    /// Defaults to none. A consumer sets it in every call.
    #[must_use]
    pub fn with_stream(mut self, stream: impl Into<Arc<str>>) -> Self {
        self.stream = Some(stream.into());
        self
    }

    /// The same with room for its answer.
    pub(crate) fn with_room(mut self, room: Arc<Room>) -> Self {
        self.room = Some(room);
        self
    }

    /// Reserves `bytes` for the whole call, such as the text of an answer and the data decoded from it. Returns at
    /// once.
    ///
    /// If it is `false`, the [`Budget`](crate::Budget) has no room now: `get_records` must drop the part of the answer
    /// that it has, and return an error of [`ErrorClass::OverBudget`](crate::ErrorClass::OverBudget). The consumer
    /// waits for this many bytes, and calls again.
    #[must_use]
    pub fn try_reserve(&self, bytes: usize) -> bool {
        self.try_reserve_of(bytes, bytes)
    }

    /// The same; only a part of it is in use until [`fill`](Self::fill) says otherwise.
    #[must_use]
    pub(crate) fn try_reserve_of(&self, bytes: usize, used: usize) -> bool {
        self.room.as_ref().is_none_or(|room| room.try_reserve(bytes, used))
    }

    /// From now on this many of the reserved bytes are in use.
    pub(crate) fn fill(&self, bytes: usize) {
        if let Some(room) = &self.room {
            room.fill(bytes);
        }
    }

    /// Where buffers are kept for the next answer.
    pub(crate) fn budget(&self) -> Option<&Budget> {
        self.room.as_ref().map(|room| room.budget())
    }

    /// The stream that the call is about, if that was set: its name or its ARN. `get_records` has it from nowhere
    /// else.
    pub fn stream(&self) -> Option<&str> {
        self.stream.as_deref()
    }

    /// The time until the deadline, if one was set.
    pub fn remaining(&self) -> Option<Duration> {
        let deadline = self.deadline?;
        Some(deadline.saturating_duration_since(sync::now()))
    }

    /// A channel that carries nothing and is disconnected when the consumer stops, for `select!`.
    pub fn stopped(&self) -> &Receiver<Infallible> {
        &self.stop
    }

    /// Whether the consumer has stopped.
    pub fn is_stopped(&self) -> bool {
        use crossbeam_channel::TryRecvError::Disconnected;
        self.stop.try_recv() == Err(Disconnected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    #[test]
    fn a_deadline_that_has_passed_leaves_no_time() {
        assert_eq!(Call::unbounded().remaining(), None);
        let deadline = sync::now().checked_sub(Duration::from_secs(1));
        let call = Call { deadline, ..Call::unbounded() };
        assert_eq!(call.remaining(), Some(Duration::ZERO));
    }

    #[test]
    fn a_call_reserves_all_that_it_asks_for_also_what_is_not_in_use_yet() {
        let budget = Budget::new(Budget::MIN);
        let room = Arc::new(Room::new(budget.clone()));
        assert!(room.try_enter());
        let call = Call::unbounded().with_room(Arc::clone(&room));
        assert!(call.try_reserve_of(3 * MIB, MIB));
        assert_eq!(budget.used(), 3 * MIB);
        assert!(!call.try_reserve_of(Budget::MIN + 1, MIB));
        drop(room.leave());
        assert_eq!(budget.used(), 0);
        assert!(Call::unbounded().try_reserve(usize::MAX), "without a consumer there is no budget");
    }
}
