//! Claims in the answers for a shard that are not proved yet.

use std::time::Duration;

use crate::core::retry::Retry;
use crate::error::client::ClientError;

/// After this many claimed ends a closed shard counts as ended, although no answer says that it is at the tip.
const ENOUGH: u32 = 3;
/// How late a listing may show a change before a warning is due.
const LATE: Duration = Duration::from_secs(5);

/// The claim.
#[derive(Debug)]
pub(crate) enum Doubt {
    /// The shard has ended: an answer had no next token, and named no children.
    End,
    /// The shard has left the stream: it was not found, and its stream was.
    Vanished(ClientError),
    /// The shard was not found for a moment, and no number shows whether it is the same one now.
    Replaced(ClientError),
}

/// The doubts about one shard. An end is proved if the answer names children, or came after a listing had shown the
/// shard closed that was made after the end was first claimed: an older one may be of another stream of this name.
#[derive(Debug, Default)]
pub(crate) struct Doubts {
    open: Option<Doubt>,
    /// Whether such a listing has shown the shard closed.
    is_closed: bool,
    /// How often an end was claimed since the last new record and that listing, since when, and how long to wait before
    /// the next question.
    count: u32,
    since: Option<Duration>,
    retry: Retry,
    has_warned: bool,
    /// Whether the last answer left something in doubt.
    is_failing: bool,
    /// How many listings in a row have shown that the shard is gone. One may lack it by chance.
    gone: u32,
    /// How long the shard has not been found, although a listing shows it. Other calls are refused for other reasons.
    lost: Retry,
}

impl Doubts {
    /// An answer had no next token. Returns whether the shard has ended. An answer that may not be at the tip is
    /// accepted only after several repetitions.
    pub(crate) fn is_end(&mut self, names_children: bool, is_at_tip: bool) -> bool {
        self.count += 1;
        names_children || (self.is_closed && (is_at_tip || self.count >= ENOUGH))
    }

    /// A listing has shown the shard closed. Earlier answers may be from before that, and prove nothing.
    pub(crate) fn close(&mut self) {
        (self.is_closed, self.count) = (true, 0);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed
    }

    pub(crate) fn open(&mut self, doubt: Doubt) {
        (self.open, self.is_failing) = (Some(doubt), true);
    }

    pub(crate) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    pub(crate) fn take(&mut self) -> Option<Doubt> {
        self.open.take()
    }

    /// A listing lacks the shard, and the shard was not found. Returns whether that is enough.
    pub(crate) fn is_gone(&mut self) -> bool {
        self.gone += 1;
        self.gone > 1
    }

    /// A listing shows the shard, or showed it earlier, and it was not found. Returns how long to wait before the next
    /// attempt; `None` if that has lasted.
    pub(crate) fn is_lost(
        &mut self,
        now: Duration,
        rng: &mut fastrand::Rng,
        limit: Option<Duration>,
    ) -> Option<Duration> {
        self.lost.refused(now, rng, limit)
    }

    /// How long that has lasted.
    pub(crate) fn lost_for(&self, now: Duration, error: &ClientError) -> Option<Duration> {
        self.lost.lasted(now, error)
    }

    /// The shard was found.
    pub(crate) fn is_there(&mut self) {
        (self.gone, self.lost) = (0, Retry::default());
    }

    /// An answer had a next token. Returns whether to log that the earlier claim of an end was false.
    pub(crate) fn settle(&mut self) -> bool {
        (self.open, self.is_failing) = (None, false);
        self.since.take().is_some() && !std::mem::replace(&mut self.has_warned, true)
    }

    /// An answer has a new record: a claim in it is the first one. Without a record, a repeated claim after empty
    /// answers is the same claim.
    pub(crate) fn progress(&mut self) {
        (self.count, self.retry) = (0, Retry::default());
    }

    /// How long to wait before the next question.
    pub(crate) fn wait(&mut self, now: Duration, rng: &mut fastrand::Rng) -> Duration {
        self.retry.wait(now, rng, None).expect("without a limit there is always a wait")
    }

    /// An end is not proved yet. Returns whether to log that. A listing may be late by some seconds, and a closed shard
    /// is certain to end.
    pub(crate) fn is_strange(&mut self, now: Duration) -> bool {
        if self.is_closed {
            return false;
        }
        let since = *self.since.get_or_insert(now);
        now.saturating_sub(since) >= LATE && !std::mem::replace(&mut self.has_warned, true)
    }

    /// Whether something was claimed that is not proved yet.
    pub(crate) fn is_failing(&self) -> bool {
        self.is_failing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_that_is_not_proved_for_long_is_strange_once_and_never_if_the_shard_is_closed() {
        let mut doubts = Doubts::default();
        let told = [0, 4, 5, 6, 60].map(|second| doubts.is_strange(Duration::from_secs(second)));
        assert_eq!(told, [false, false, true, false, false]);
        let mut doubts = Doubts::default();
        doubts.close();
        let told = [0, 60].map(|second| doubts.is_strange(Duration::from_secs(second)));
        assert_eq!(told, [false, false]);
    }
}
