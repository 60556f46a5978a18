//! Decides what one shard's thread does next.

mod begin;
pub(crate) mod caught_up;
pub(crate) mod cursor;
pub(crate) mod doubt;
mod failures;
mod gaps;
pub(crate) mod probing;
mod proofs;
pub(crate) mod step;
#[cfg(test)]
mod tests;
pub(crate) mod tracker;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::core::event::{Ending, Start, StartAt};
use crate::core::outage::Trouble;
use crate::core::retry::Retry;
use crate::core::settings::ShardSettings;
use crate::core::shard::begin::Begin;
use crate::core::shard::caught_up::CaughtUp;
use crate::core::shard::cursor::{Cursor, Span};
use crate::core::shard::doubt::{Doubt, Doubts};
use crate::core::shard::probing::Probing;
use crate::core::shard::step::{Delivery, News, Outcome, Read, Step};
use crate::error::client::ClientError;
use crate::model::gap::Gap;
use crate::model::position::{MAX_SKEW, Position};
use crate::model::sequence::SequenceNumber;
use crate::model::shard::{ChildShard, Shard};
use crate::model::token::{ShardIterator, Token};
use crate::record::Records;
use crate::record::answer::Answer;

/// Amazon's tokens live five minutes; older than this they are replaced before use.
pub(crate) const TOKEN_LIFE: Duration = Duration::from_secs(270);
/// The server sends its clock in whole seconds, and perhaps after it made the token.
const CLOCK_GRAIN: Duration = Duration::from_secs(1);
/// No clock is ahead of the service's by more than this.
const MAX_AHEAD: Duration = Duration::from_secs(24 * 60 * 60);

/// Reads one shard: it takes the outcome of its last step, and returns the next step.
#[derive(Debug)]
pub(crate) struct Poller {
    stream: Arc<str>,
    shard: Shard,
    settings: ShardSettings,
    cursor: Cursor,
    token: Option<(Token, Duration)>,
    probing: Probing,
    is_begun: bool,
    /// The record that the first answer after a resumption must start with.
    expected: Option<SequenceNumber>,
    caught_up: CaughtUp,
    /// The service's clock at the last answer, if the answer has it, and this machine's when a place was refused.
    service: Option<SystemTime>,
    wall: Option<SystemTime>,
    /// Whether the service refused a time as later than its own.
    is_ahead: bool,
    doubts: Doubts,
    begin: Begin,
    /// Whether the store's position was not confirmed by an answer yet.
    is_unconfirmed: bool,
    /// The gap before the next batch.
    gap: Option<Gap>,
    limit: u32,
    /// Whether the last answer said that more records wait.
    is_behind: bool,
    /// How long the first read waits, so that shards do not all begin at once.
    delay: Duration,
    /// When the last call for records began.
    called: Duration,
    retry: Retry,
    /// The failure of the last token, or of the last request for one: its stream, or shard, was not found.
    missing: Option<ClientError>,
    /// How often in a row a fresh token was refused.
    refused: u32,
    /// Whether a failure was reported, so that the recovery is too.
    has_warned: bool,
    /// What to tell, until the shell has taken it.
    news: Vec<News>,
    /// Whether the end was sent last.
    ended: Option<Ending>,
}

/// Which call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    GetIterator,
    GetRecords,
    Describe,
}

impl Poller {
    // long: one line for each field.
    pub(crate) fn new(
        stream: Arc<str>,
        start: Start,
        settings: ShardSettings,
        delay: Duration,
    ) -> Self {
        let reset = matches!(start.at, StartAt::Reset(_) | StartAt::Reopened(_));
        let is_unconfirmed = matches!(start.at, StartAt::Stored(_) | StartAt::Reopened(_));
        let begin = Begin::new(settings.store_patience);
        let mut poller = Self {
            stream,
            doubts: Doubts::default(),
            shard: start.shard,
            limit: settings.limit,
            is_behind: false,
            settings,
            cursor: Cursor::new(start.at),
            token: None,
            probing: Probing::default(),
            is_begun: false,
            expected: None,
            caught_up: CaughtUp::default(),
            service: None,
            wall: None,
            is_ahead: false,
            begin,
            is_unconfirmed,
            gap: None,
            delay,
            called: Duration::ZERO,
            retry: Retry::default(),
            missing: None,
            refused: 0,
            has_warned: false,
            news: Vec::new(),
            ended: None,
        };
        if let Some(gap) = start.gap {
            poller.report(gap);
        }
        if reset {
            poller.begin.overwrite(&poller.cursor);
        }
        poller
    }

    /// The next step. `now` counts from any fixed moment, and never falls.
    // long: one branch for each outcome.
    pub(crate) fn step(
        &mut self,
        now: Duration,
        rng: &mut fastrand::Rng,
        outcome: Outcome,
    ) -> Step {
        match outcome {
            Outcome::Waited => self.call(now),
            Outcome::Iterator(Ok(iterator), wall) => self.begun(now, iterator, wall),
            Outcome::Iterator(Err(error), wall) => {
                self.wall = Some(wall);
                self.failed(now, rng, Call::GetIterator, error)
            }
            Outcome::Records { begun, read } => {
                self.called = begun;
                match read {
                    Ok(read) => self.answered(now, rng, read),
                    Err(error) => self.failed(now, rng, Call::GetRecords, error),
                }
            }
            Outcome::Status(Ok(status)) => self.described(now, rng, status),
            Outcome::Status(Err(error)) => self.failed(now, rng, Call::Describe, error),
            Outcome::Stored(Ok(())) => {
                if self.begin.stored(now) {
                    self.news.push(News::Trouble(Trouble::Stored));
                }
                self.call(now)
            }
            Outcome::Stored(Err(error)) => self.unstored(now, rng, error),
            Outcome::Delivered => match self.ended.take() {
                Some(ending) => Step::End { ending, told: self.settings.children_start },
                None if self.doubts.is_open() => self.ask(now, rng),
                None => self.wait_interval(now),
            },
            Outcome::Confirmed(proof) => self.confirmed(now, rng, proof),
        }
    }

    /// What to tell, since the last call.
    pub(crate) fn take_news(&mut self) -> Vec<News> {
        std::mem::take(&mut self.news)
    }

    /// The children that the answer named which ended the shard; none before its last batch is delivered.
    pub(crate) fn children(&self) -> &[ChildShard] {
        match &self.ended {
            Some(Ending::Read(children)) => children,
            _ => &[],
        }
    }

    /// How far the shard was read.
    #[cfg(feature = "kpl")]
    pub(crate) fn read(&self) -> Option<Position> {
        self.cursor.position()
    }

    /// The shard that is read.
    #[cfg(feature = "kpl")]
    pub(crate) fn shard(&self) -> &Shard {
        &self.shard
    }

    /// Whether the last call, or write, failed.
    pub(crate) fn is_failing(&self) -> bool {
        self.retry.is_failing() || self.begin.is_failing() || self.doubts.is_failing()
    }

    fn call(&mut self, now: Duration) -> Step {
        if let Some(store) = self.begin.step() {
            return store;
        }
        // `Latest` means the records that arrive from now on, not only those after the delay.
        if !self.delay.is_zero() && !self.cursor.is_latest() {
            return Step::Wait(std::mem::take(&mut self.delay));
        }
        match &self.token {
            Some((token, made)) if now.saturating_sub(*made) < TOKEN_LIFE => {
                // The first record after a resumption is not new: with a limit of one no other would come. But two may
                // be too much for one answer.
                let resumes = self.expected.is_some() && !self.retry.is_failing();
                let limit = self.limit.max(if resumes { 2 } else { 1 });
                Step::GetRecords { token: token.clone(), limit }
            }
            _ => Step::GetIterator(self.cursor.iterator_type()),
        }
    }

    /// The interval runs from the start of one call to the start of the next.
    fn wait_interval(&mut self, now: Duration) -> Step {
        let shorter = self.settings.catch_up_interval.filter(|_| self.is_behind);
        let interval = shorter.map_or(self.settings.interval, |it| it.min(self.settings.interval));
        match (self.called + interval).checked_sub(now) {
            Some(wait) if !wait.is_zero() => Step::Wait(wait),
            _ => self.call(now),
        }
    }

    // long: what is stored of the latest must be decided before the first read.
    fn begun(&mut self, now: Duration, iterator: ShardIterator, wall: SystemTime) -> Step {
        self.token = Some((iterator.token, now));
        self.doubts.is_there();
        if std::mem::replace(&mut self.is_begun, true) {
            self.probing.begin(now);
        }
        self.expected = self.cursor.sequence().cloned();
        // A shard that stays silent, then restarts, must not start at a new `Latest`; nor must a
        // token that expires before the first record.
        if self.cursor.is_latest() {
            // A service that checks signatures differs no more from this machine's clock. A service with a larger known
            // difference may differ by any time: the stored time is in its future then, and is overwritten.
            let skew = if self.is_ahead { MAX_AHEAD } else { MAX_SKEW };
            if self.is_ahead {
                self.begin.overwrites();
            }
            let (time, doubt) =
                iterator.server_time.map_or((wall, skew), |service| (service, CLOCK_GRAIN));
            let time = time.checked_sub(doubt).unwrap_or(UNIX_EPOCH);
            self.cursor = Cursor::Time(time);
            self.begin.write(Position::Since(time));
        }
        match self.missing.take() {
            // The shard exists again, and no number shows whether it is the same: another stream may have replaced the
            // one that was read, perhaps with other shards. A listing shows it.
            Some(error) if self.cursor.sequence().is_none() => {
                self.doubts.open(Doubt::Replaced(error));
                Step::Confirm
            }
            _ => self.call(now),
        }
    }

    // long: the order matters: what is missing is noticed before the cursor moves, the end after it.
    fn answered(&mut self, now: Duration, rng: &mut fastrand::Rng, read: Read) -> Step {
        self.recovered(now);
        self.is_unconfirmed = false;
        self.limit = self.limit.saturating_mul(2).min(self.settings.limit);
        let Read { answer, span } = read;
        // User records that are left out were read too.
        let is_caught_up = answer.is_caught_up() && span.is_none();
        let Answer { mut records, next, behind_latest, children, server_time } = answer;
        self.is_behind = behind_latest.is_some_and(|behind| !behind.is_zero());
        self.service = server_time;
        // After an answer that is behind, does not say so, or lacks its expected first record, more may follow.
        let lacks = self.expected.is_some() && span.is_none();
        let is_at_tip = behind_latest == Some(Duration::ZERO) && !lacks;
        let is_new = span.as_ref().is_some_and(|span| self.cursor.is_before(span));
        if is_new {
            self.probing.end();
            self.doubts.progress();
        }
        let has_ended = next.is_none() && self.doubts.is_end(!children.is_empty(), is_at_tip);
        if let Err(error) = self.resume(now, &mut records, span.as_ref(), has_ended) {
            return Step::Fail(error);
        }
        // Nothing follows the records of an answer that claims to be the last one, and not to be behind.
        if is_caught_up || (is_at_tip && next.is_none()) {
            self.caught_up.see(now, server_time, self.expected.is_some());
        }
        if let Some(span) = span.as_ref().filter(|_| is_new) {
            self.cursor.advance(span);
        }
        if has_ended {
            self.token = None;
            return self.deliver_end(records, behind_latest, Ending::Read(children));
        }
        if next.is_none() {
            self.doubts.open(Doubt::End);
        } else if self.doubts.settle() {
            self.warn(
                "an answer had no next shard iterator, as if the shard had ended, but the shard continues: check the server",
            );
        }
        self.token = next.map(|token| (token, now));
        match span {
            Some(Span { through, .. }) if !records.is_empty() => {
                let gap = self.gap.take();
                Step::Deliver(Box::new(Delivery { records, through, behind_latest, gap }))
            }
            _ if self.doubts.is_open() => self.ask(now, rng),
            _ => self.nothing_new(now),
        }
    }

    fn nothing_new(&mut self, now: Duration) -> Step {
        match self.probing.wait(now, self.settings.interval, self.is_behind) {
            Some(wait) => Step::Wait(wait),
            None => self.wait_interval(now),
        }
    }

    fn warn(&self, what: &str) {
        log::warn!("stream {:?}, shard {:?}: {what}", self.stream, self.shard.id());
    }

    fn deliver_end(
        &mut self,
        records: Records,
        behind_latest: Option<Duration>,
        ending: Ending,
    ) -> Step {
        self.ended = Some(ending);
        let starting = self.shard.starting_sequence_number();
        let sequence = self.cursor.sequence().map_or(starting, |read| read.max(starting)).clone();
        let through = Position::End { sequence };
        let gap = self.gap.take();
        Step::Deliver(Box::new(Delivery { records, through, behind_latest, gap }))
    }
}
