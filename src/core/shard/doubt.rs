//! What the answers for a shard claim and nothing proves yet.

use std::time::Duration;

use crate::core::retry::Retry;
use crate::error::client::ClientError;

/// A closed shard is believed to have ended that claims so this often, though no answer says that it is at the tip.
const ENOUGH: u32 = 3;
/// How late a listing may show what happened, before that is strange.
const LATE: Duration = Duration::from_secs(5);

/// What is claimed.
#[derive(Debug)]
pub(crate) enum Doubt {
    /// The shard has ended: an answer had no next token, and named no children.
    End,
    /// The shard has left the stream: it was not found, and its stream was.
    Vanished(ClientError),
    /// The shard was not found for a moment, and no number tells whether it is the same one now.
    Replaced(ClientError),
}

/// The doubts about one shard. An end is proved if the answer names children, or came after a listing had shown the
/// shard closed.
#[derive(Debug, Default)]
pub(crate) struct Doubts {
    open: Option<Doubt>,
    /// Whether a listing has shown the shard closed.
    is_closed: bool,
    /// How often an end was claimed since something new was read, since when, and how long to wait before the next
    /// question.
    count: u32,
    since: Option<Duration>,
    retry: Retry,
    has_warned: bool,
    /// Whether the last answer left something in doubt.
    is_failing: bool,
    /// How many listings in a row have shown that the shard is gone. One may lack it by chance.
    gone: u32,
}

impl Doubts {
    pub(crate) fn new(is_closed: bool) -> Self {
        Self { is_closed, ..Self::default() }
    }

    /// An answer had no next token: whether the shard has ended. An answer that is not sure to be at the tip is
    /// believed only if it comes again and again.
    pub(crate) fn is_end(&mut self, names_children: bool, is_at_tip: bool) -> bool {
        self.count += 1;
        names_children || (self.is_closed && (is_at_tip || self.count >= ENOUGH))
    }

    /// A listing has shown the shard closed.
    pub(crate) fn close(&mut self) {
        self.is_closed = true;
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

    /// A listing lacks the shard, which was not found either: whether that is enough.
    pub(crate) fn is_gone(&mut self) -> bool {
        self.gone += 1;
        self.gone > 1
    }

    /// The shard is there.
    pub(crate) fn is_there(&mut self) {
        self.gone = 0;
    }

    /// An answer had a next token: whether the end that was claimed before is to be told as false.
    pub(crate) fn settle(&mut self) -> bool {
        (self.open, self.is_failing) = (None, false);
        self.since.take().is_some() && !std::mem::replace(&mut self.has_warned, true)
    }

    /// Something new was read. Until then a claim that comes again, after answers without anything, is the same.
    pub(crate) fn progress(&mut self) {
        (self.count, self.retry) = (0, Retry::default());
    }

    /// How long to wait before the shard is asked again.
    pub(crate) fn wait(&mut self, now: Duration, rng: &mut fastrand::Rng) -> Duration {
        self.retry.wait(now, rng, None).expect("without a limit there is always a wait")
    }

    /// An end is not proved yet: whether that is to be told. A listing may be late by some seconds, and of a closed
    /// shard it is only a question of when.
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
