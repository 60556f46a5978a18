//! Decides about a failed call for a shard.

use std::time::{Duration, SystemTime};

use crate::core::outage::Trouble;
use crate::core::shard::cursor::Cursor;
use crate::core::shard::doubt::Doubt;
use crate::core::shard::step::{News, Step};
use crate::core::shard::{Call, MAX_AHEAD, Poller};
use crate::error::Error;
use crate::error::client::{ClientError, ErrorClass};
use crate::error::store::StoreError;
use crate::model::listed::StreamStatus;
use crate::model::position::IteratorType;

impl Poller {
    // long: a table of class and call.
    pub(super) fn failed(
        &mut self,
        now: Duration,
        rng: &mut fastrand::Rng,
        call: Call,
        error: ClientError,
    ) -> Step {
        match (error.class(), call) {
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
            // The stream, or the shard alone?
            (ErrorClass::NotFound, Call::GetIterator) => {
                self.missing = Some(error);
                Step::Describe
            }
            (ErrorClass::NotFound, Call::Describe) => {
                match self.retry.failed(now, rng, &error, self.settings.max_outage) {
                    Some(wait) => self.backs_off(wait, error),
                    None => {
                        let stream = self.stream.to_string();
                        Step::Fail(Error::StreamNotFound { stream, source: error })
                    }
                }
            }
            (ErrorClass::TooLarge, Call::GetRecords) => {
                self.limit = (self.limit / 2).max(1);
                self.again(now, rng, error)
            }
            _ => self.again(now, rng, error),
        }
    }

    /// The service refused the place where reading starts.
    // long: a table of patience and place.
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
            _ if self.is_unconfirmed => return self.foreign(now, wanted),
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

    pub(super) fn again(
        &mut self,
        now: Duration,
        rng: &mut fastrand::Rng,
        error: ClientError,
    ) -> Step {
        match self.retry.failed(now, rng, &error, self.settings.max_outage) {
            Some(wait) => self.backs_off(wait, error),
            None => {
                let lasted = self.retry.lasted(now, &error);
                Step::Fail(self.client_error(lasted, error))
            }
        }
    }

    pub(super) fn backs_off(&mut self, wait: Duration, error: ClientError) -> Step {
        self.has_warned = true;
        self.news.push(News::Trouble(Trouble::Failed { error, wait }));
        Step::Wait(wait)
    }

    pub(super) fn recovered(&mut self, now: Duration) {
        self.refused = 0;
        self.retry.succeeded(now);
        if std::mem::take(&mut self.has_warned) {
            self.news.push(News::Trouble(Trouble::Recovered));
        }
    }

    /// A shard was not found: what about its stream?
    pub(super) fn described(
        &mut self,
        now: Duration,
        rng: &mut fastrand::Rng,
        status: StreamStatus,
    ) -> Step {
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

    /// The start of the shard was not stored.
    pub(super) fn unstored(
        &mut self,
        now: Duration,
        rng: &mut fastrand::Rng,
        error: StoreError,
    ) -> Step {
        match self.begin.failed(now, rng, &error) {
            Some(wait) => {
                self.news.push(News::Trouble(Trouble::Unstored { error, wait }));
                Step::Wait(wait)
            }
            None => Step::Fail(Error::of_store(&self.stream, Some(self.shard.id()), error)),
        }
    }

    pub(super) fn client_error(&self, lasted: Option<Duration>, source: ClientError) -> Error {
        let (stream, shard) = (self.stream.to_string(), Some(self.shard.id().into()));
        Error::Client { stream, shard, lasted, source }
    }
}
