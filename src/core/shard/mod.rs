//! Decides what one shard's thread does next.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::core::event::{Ending, Proof};
use crate::core::event::{Start, StartAt};
use crate::core::outage::Trouble;
use crate::core::retry::Retry;
use crate::core::settings::OnGap;
use crate::core::settings::ShardSettings;
use crate::core::shard::caught_up::CaughtUp;
use crate::core::shard::cursor::{Cursor, Span};
use crate::core::shard::doubt::{Doubt, Doubts};
use crate::core::shard::probing::Probing;
use crate::core::shard::step::{Delivery, Outcome, Step};
use crate::error::Error;
use crate::error::client::{ClientError, ErrorClass};
use crate::error::store::{StoreError, StoreErrorKind};
use crate::model::gap::Gap;
use crate::model::listed::StreamStatus;
use crate::model::position::{IteratorType, MAX_SKEW, Position};
use crate::model::sequence::SequenceNumber;
use crate::model::shard::Shard;
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
    /// The span of the next answer, if user records have replaced its own.
    span: Option<Span>,
    /// The position that must be stored before the next call.
    to_store: Option<Position>,
    /// Whether that overwrites an unusable position.
    reset: bool,
    /// Whether the store's position was not confirmed by an answer yet.
    unconfirmed: bool,
    /// The gap before the next batch.
    gap: Option<Gap>,
    /// The same, until the shell has taken it.
    news: Option<Gap>,
    limit: u32,
    /// Whether the last answer said that more records wait.
    is_behind: bool,
    /// How long the first read waits, so that shards do not all begin at once.
    delay: Duration,
    called: Duration,
    last: Call,
    retry: Retry,
    store_retry: Retry,
    /// The failure of the last token, or of the last request for one: its stream, or shard, was not found.
    missing: Option<ClientError>,
    /// How often in a row a fresh token was refused.
    refused: u32,
    /// Whether a failure was reported, so that the recovery is too.
    warned: bool,
    /// The report of that, until the shell has taken it.
    trouble: Option<Trouble>,
    /// Whether the end was sent last.
    ended: Option<Ending>,
}

/// The last step, for outcomes that do not name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    GetIterator,
    GetRecords,
    Describe,
}

impl Poller {
    pub(crate) fn new(
        stream: Arc<str>,
        start: Start,
        settings: ShardSettings,
        delay: Duration,
    ) -> Self {
        let reset = matches!(start.at, StartAt::Reset(_) | StartAt::Reopened(_));
        let unconfirmed = matches!(start.at, StartAt::Stored(_) | StartAt::Reopened(_));
        let mut poller = Self {
            stream,
            doubts: Doubts::new(start.shard.is_closed()),
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
            span: None,
            to_store: None,
            reset: false,
            unconfirmed,
            gap: None,
            news: None,
            delay,
            called: Duration::ZERO,
            last: Call::GetIterator,
            retry: Retry::default(),
            store_retry: Retry::default(),
            missing: None,
            refused: 0,
            warned: false,
            trouble: None,
            ended: None,
        };
        if let Some(gap) = start.gap {
            poller.report(gap);
        }
        if reset {
            poller.overwrite();
        }
        poller
    }

    /// The next step. `now` counts from any fixed moment, and never falls.
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
                self.failed(now, rng, error)
            }
            Outcome::Records(Ok(answer)) => self.answered(now, rng, answer),
            Outcome::Status(Ok(status)) => self.described(now, rng, status),
            Outcome::Records(Err(error)) | Outcome::Status(Err(error)) => {
                self.failed(now, rng, error)
            }
            Outcome::Stored(Ok(())) => {
                (self.to_store, self.reset) = (None, false);
                if self.store_retry.succeeded(now).is_some() {
                    self.trouble = Some(Trouble::Stored);
                }
                self.call(now)
            }
            Outcome::Stored(Err(error)) => self.unstored(now, rng, error),
            Outcome::Delivered => match self.ended.take() {
                Some(ending) => Step::End(ending),
                None if self.doubts.is_open() => self.ask(now, rng),
                None => self.wait_interval(now),
            },
            Outcome::Confirmed(proof) => self.confirmed(now, rng, proof),
        }
    }

    /// A gap that was skipped since the last call.
    pub(crate) fn take_news(&mut self) -> Option<Gap> {
        self.news.take()
    }

    /// A failure, or a recovery, since the last call.
    pub(crate) fn take_trouble(&mut self) -> Option<Trouble> {
        self.trouble.take()
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

    /// The records of the next answer, before user records replace them: user records that are left out were read too.
    #[cfg(feature = "kpl")]
    pub(crate) fn spans(&mut self, records: &Records) {
        self.span = Span::of(records);
    }

    /// The requested call begins only now.
    pub(crate) fn calls(&mut self, now: Duration) {
        self.called = now;
    }

    /// Whether the last call, or write, failed.
    pub(crate) fn is_failing(&self) -> bool {
        self.retry.is_failing() || self.store_retry.is_failing() || self.doubts.is_failing()
    }

    fn call(&mut self, now: Duration) -> Step {
        if let Some(to) = &self.to_store {
            return Step::Store { to: to.clone(), reset: self.reset };
        }
        // `Latest` means the records that arrive from now on, not only those after the delay.
        if !self.delay.is_zero() && !self.cursor.is_latest() {
            return Step::Wait(std::mem::take(&mut self.delay));
        }
        match &self.token {
            Some((token, made)) if now.saturating_sub(*made) < TOKEN_LIFE => {
                self.last = Call::GetRecords;
                self.called = now;
                // The first record after a resumption is not new: with a limit of one no other would come. But two may
                // be too much for one answer.
                let resumes = self.expected.is_some() && !self.retry.is_failing();
                let limit = self.limit.max(if resumes { 2 } else { 1 });
                Step::GetRecords { token: token.clone(), limit }
            }
            _ => {
                self.last = Call::GetIterator;
                Step::GetIterator(self.cursor.iterator_type())
            }
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
            self.reset |= self.is_ahead;
            let (time, doubt) =
                iterator.server_time.map_or((wall, skew), |service| (service, CLOCK_GRAIN));
            let time = time.checked_sub(doubt).unwrap_or(UNIX_EPOCH);
            self.cursor = Cursor::Time(time);
            self.to_store = Some(Position::From(time));
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

    fn answered(&mut self, now: Duration, rng: &mut fastrand::Rng, answer: Answer) -> Step {
        self.recovered(now);
        self.unconfirmed = false;
        self.limit = self.limit.saturating_mul(2).min(self.settings.limit);
        // User records that are left out were read too.
        let is_caught_up = answer.is_caught_up() && self.span.is_none();
        let Answer { mut records, next, behind_latest, children, server_time } = answer;
        self.is_behind = behind_latest.is_some_and(|behind| !behind.is_zero());
        self.service = server_time;
        let span = self.span.take().or_else(|| Span::of(&records));
        // After an answer that is behind, does not say so, or lacks its expected first record, more may follow.
        let lacks = self.expected.is_some() && span.is_none();
        let is_at_tip = behind_latest == Some(Duration::ZERO) && !lacks;
        let has_ended = next.is_none() && self.doubts.is_end(!children.is_empty(), is_at_tip);
        if let Err(error) = self.resume(now, &mut records, span.as_ref(), has_ended) {
            return Step::Fail(error);
        }
        if is_caught_up {
            self.caught_up.see(now, server_time, self.expected.is_some());
        }
        let is_new = span.as_ref().is_some_and(|span| self.cursor.advance(span));
        if is_new {
            self.probing.end();
            self.doubts.progress();
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

    /// Requests a proof of the claim, unless the shard is known to be closed: then it is read once more.
    fn ask(&mut self, now: Duration, rng: &mut fastrand::Rng) -> Step {
        if !self.doubts.is_closed() {
            return Step::Confirm;
        }
        self.doubts.take();
        self.read_on(now, rng)
    }

    fn confirmed(&mut self, now: Duration, rng: &mut fastrand::Rng, proof: Proof) -> Step {
        let Some(doubt) = self.doubts.take() else { return self.call(now) };
        match (doubt, proof) {
            // It may have been closed after it was read: one more answer from now on shows the end.
            (Doubt::End, Proof::Closed | Proof::Gone) => {
                self.doubts.close();
                self.call(now)
            }
            (Doubt::End, Proof::Open | Proof::Unknown) => self.read_on(now, rng),
            (Doubt::Vanished(_), Proof::Gone) if self.doubts.is_gone() => self.aged_out(now),
            // It may have aged out a moment ago.
            (Doubt::Vanished(error), Proof::Closed | Proof::Gone) => {
                match self.retry.refused(now, rng, self.settings.max_outage) {
                    Some(wait) => self.backs_off(wait, error),
                    None => self.aged_out(now),
                }
            }
            (Doubt::Vanished(error), Proof::Open) => {
                self.last = Call::GetIterator;
                self.again(now, rng, error)
            }
            // The listing would have failed if another stream had replaced this one.
            (Doubt::Replaced(_), Proof::Closed | Proof::Gone | Proof::Open) => self.call(now),
            // A missing listing says nothing about the shard.
            (Doubt::Vanished(_), Proof::Unknown) => Step::Wait(self.doubts.wait(now, rng)),
            (Doubt::Replaced(error), Proof::Unknown) => {
                self.missing = Some(error);
                self.token = None;
                Step::Wait(self.doubts.wait(now, rng))
            }
        }
    }

    fn warn(&self, what: &str) {
        log::warn!("stream {:?}, shard {:?}: {what}", self.stream, self.shard.id());
    }

    /// An end was claimed and not proved: reading continues after the last record.
    fn read_on(&mut self, now: Duration, rng: &mut fastrand::Rng) -> Step {
        if self.doubts.is_strange(now) {
            self.warn(
                "answers have no next shard iterator, as if the shard had ended, but no listing shows its end; reading continues",
            );
        }
        let wait = self.doubts.wait(now, rng);
        Step::Wait(wait)
    }

    /// Leaves out records that were read before, and notices missing ones.
    fn resume(
        &mut self,
        now: Duration,
        records: &mut Records,
        span: Option<&Span>,
        ends: bool,
    ) -> Result<(), Error> {
        // Without a record the answer proves nothing, unless it is the last.
        if span.is_none() && !ends {
            return Ok(());
        }
        let Some(wanted) = self.expected.take() else { return Ok(()) };
        let available = span.map(|span| span.first.clone());
        if available.as_ref() != Some(&wanted) {
            let arrival = records.first().and_then(|first| first.approximate_arrival());
            self.trimmed(now, Some(wanted), available, arrival)?;
        }
        self.cursor.skip_read(records);
        Ok(())
    }

    /// The wanted record has left the stream, and unread records may have left too.
    fn trimmed(
        &mut self,
        now: Duration,
        wanted: Option<SequenceNumber>,
        available: Option<SequenceNumber>,
        arrival: Option<SystemTime>,
    ) -> Result<(), Error> {
        if wanted.is_some() && self.caught_up.vouches(now, self.service, arrival) {
            log::debug!(
                "stream {:?}, shard {:?}: the last record that was read has left the stream; none is missing",
                self.stream,
                self.shard.id(),
            );
            return Ok(());
        }
        let gap = Gap::Trimmed { shard: self.shard.id().into(), wanted, available };
        if self.settings.fail_on_trim {
            return Err(Error::Gap { stream: self.stream.to_string(), gap });
        }
        self.report(gap);
        Ok(())
    }

    fn report(&mut self, gap: Gap) {
        log::warn!("stream {:?}: {gap}", self.stream);
        self.news = Some(gap.clone());
        self.gap = Some(gap);
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

    fn failed(&mut self, now: Duration, rng: &mut fastrand::Rng, error: ClientError) -> Step {
        match (error.class(), self.last) {
            (ErrorClass::ExpiredIterator, Call::GetRecords) => self.renew(now, rng, error),
            (ErrorClass::NotFound, Call::GetRecords) => {
                let step = self.renew(now, rng, error.clone());
                self.missing = Some(error);
                step
            }
            // The service made the token: if it does not know it, another stream may have replaced this one.
            (ErrorClass::InvalidArgument, Call::GetRecords) if self.refused == 0 => {
                self.renew(now, rng, error)
            }
            (ErrorClass::InvalidArgument, Call::GetIterator) => self.place_refused(now, rng, error),
            (ErrorClass::InvalidArgument, Call::GetRecords) => {
                self.token = None;
                match self.retry.refused(now, rng, self.settings.max_outage) {
                    Some(wait) => self.backs_off(wait, error),
                    None => Step::Fail(self.client_error(None, error)),
                }
            }
            (ErrorClass::InvalidArgument, _) => Step::Fail(self.client_error(None, error)),
            // The stream, or the shard alone?
            (ErrorClass::NotFound, Call::GetIterator) => {
                self.missing = Some(error);
                self.last = Call::Describe;
                Step::Describe
            }
            (ErrorClass::TooLarge, Call::GetRecords) => {
                self.limit = (self.limit / 2).max(1);
                self.again(now, rng, error)
            }
            _ => self.again(now, rng, error),
        }
    }

    /// The service refused the place where reading starts.
    fn place_refused(
        &mut self,
        now: Duration,
        rng: &mut fastrand::Rng,
        error: ClientError,
    ) -> Step {
        let Some(wanted) = self.cursor.position() else {
            return Step::Fail(self.client_error(None, error));
        };
        let time = match &self.cursor {
            Cursor::Time(time) => Some(*time),
            _ if self.unconfirmed => return self.foreign(now, wanted),
            _ => None,
        };
        // The place was good before, or is a time, which no service refuses for ever: one refusal is not final.
        match (self.retry.refused(now, rng, self.settings.max_outage), time) {
            (Some(wait), _) => self.backs_off(wait, error),
            (None, None) => self.foreign(now, wanted),
            (None, Some(time)) if self.may_be_ahead(time) => {
                self.warn(&format!(
                    "the service refused to start at {wanted}, so its clock is behind; reading starts at the next \
                     record that arrives: check this machine's clock"
                ));
                self.cursor = Cursor::Fresh(IteratorType::Latest);
                self.is_ahead = true;
                self.call(now)
            }
            (None, Some(_)) => {
                let lasted = self.retry.lasted(now, &error);
                Step::Fail(self.client_error(lasted, error))
            }
        }
    }

    /// Whether the time may be later than the service's own, its only reason to refuse a time: then all records from
    /// that time on arrive from now on.
    fn may_be_ahead(&self, time: SystemTime) -> bool {
        let early = self.wall.and_then(|wall| wall.checked_sub(MAX_AHEAD));
        early.is_none_or(|early| time > early)
    }

    /// A new token, at once; if new tokens are refused too, with back-off.
    fn renew(&mut self, now: Duration, rng: &mut fastrand::Rng, error: ClientError) -> Step {
        self.token = None;
        self.refused += 1;
        if self.refused > 1 { self.again(now, rng, error) } else { self.call(now) }
    }

    fn again(&mut self, now: Duration, rng: &mut fastrand::Rng, error: ClientError) -> Step {
        match self.retry.failed(now, rng, &error, self.settings.max_outage) {
            Some(wait) => self.backs_off(wait, error),
            None if error.class() == ErrorClass::NotFound && self.last == Call::Describe => {
                let stream = self.stream.to_string();
                Step::Fail(Error::StreamNotFound { stream, source: error })
            }
            None => {
                let lasted = self.retry.lasted(now, &error);
                Step::Fail(self.client_error(lasted, error))
            }
        }
    }

    fn backs_off(&mut self, wait: Duration, error: ClientError) -> Step {
        self.warned = true;
        self.trouble = Some(Trouble::Failed { error, wait });
        Step::Wait(wait)
    }

    fn recovered(&mut self, now: Duration) {
        self.refused = 0;
        self.retry.succeeded(now);
        if std::mem::take(&mut self.warned) {
            self.trouble = Some(Trouble::Recovered);
        }
    }

    /// A shard was not found: what about its stream?
    fn described(&mut self, now: Duration, rng: &mut fastrand::Rng, status: StreamStatus) -> Step {
        match status {
            StreamStatus::Deleting => {
                Step::Fail(Error::StreamDeleting { stream: self.stream.to_string() })
            }
            StreamStatus::Creating => {
                let message = "the stream is being created again";
                let error = ClientError::new(ErrorClass::InUse, "GetShardIterator", message);
                self.again(now, rng, error)
            }
            StreamStatus::Active | StreamStatus::Updating => {
                let Some(error) = self.missing.take() else { return self.call(now) };
                self.doubts.open(Doubt::Vanished(error));
                Step::Confirm
            }
        }
    }

    /// The shard left the stream: nothing of it is left to read, whatever the setting for unusable positions.
    fn aged_out(&mut self, now: Duration) -> Step {
        let is_strict = self.unconfirmed && self.settings.on_gap == OnGap::Fail;
        if let Some(wanted) = self.cursor.position().filter(|_| is_strict) {
            return self.foreign(now, wanted);
        }
        match self.trimmed(now, self.cursor.sequence().cloned(), None, None) {
            Ok(()) => self.deliver_end(Records::empty(), None, Ending::Vanished),
            Err(error) => Step::Fail(error),
        }
    }

    /// The service does not know the position where the shard should resume.
    fn foreign(&mut self, now: Duration, wanted: Position) -> Step {
        let gap = Gap::Foreign { shard: self.shard.id().into(), wanted };
        // A number that was read in this run belongs to a deleted stream: its replacement may have other shards, which
        // a new start lists.
        let on_gap = if self.unconfirmed { self.settings.on_gap } else { OnGap::Fail };
        let at = match on_gap {
            OnGap::Earliest => IteratorType::TrimHorizon,
            OnGap::Latest => IteratorType::Latest,
            OnGap::Fail => {
                return Step::Fail(Error::Gap { stream: self.stream.to_string(), gap });
            }
        };
        self.report(gap);
        self.cursor = Cursor::Fresh(at);
        self.overwrite();
        self.call(now)
    }

    /// The store's position is unusable: it is overwritten before anything is read.
    fn overwrite(&mut self) {
        self.reset = true;
        self.to_store = match &self.cursor {
            Cursor::Fresh(IteratorType::Latest) => None,
            // Everything: no record is older than this time, which a store can hold.
            Cursor::Fresh(_) => Some(Position::From(UNIX_EPOCH)),
            Cursor::Time(_) | Cursor::After { .. } => self.cursor.position(),
        };
    }

    fn unstored(&mut self, now: Duration, rng: &mut fastrand::Rng, error: StoreError) -> Step {
        let wait = match error.kind() {
            StoreErrorKind::Retry => {
                self.store_retry.wait(now, rng, Some(self.settings.store_patience))
            }
            StoreErrorKind::Lost | StoreErrorKind::Fatal => None,
        };
        match wait {
            Some(wait) => {
                self.trouble = Some(Trouble::Unstored { error, wait });
                Step::Wait(wait)
            }
            None => {
                let (stream, shard) = (self.stream.to_string(), Some(self.shard.id().into()));
                Step::Fail(Error::Store { stream, shard, source: error })
            }
        }
    }

    fn client_error(&self, lasted: Option<Duration>, source: ClientError) -> Error {
        let (stream, shard) = (self.stream.to_string(), Some(self.shard.id().into()));
        Error::Client { stream, shard, lasted, source }
    }
}

pub(crate) mod caught_up;
pub(crate) mod cursor;
pub(crate) mod doubt;
pub(crate) mod probing;
pub(crate) mod step;
#[cfg(test)]
mod tests;
pub(crate) mod tracker;
