//! Finds the gaps of a shard, and where reading resumes after them.

use std::time::{Duration, SystemTime};

use crate::core::event::Ending;
use crate::core::settings::{OnForeign, OnTrimmed};
use crate::core::shard::Poller;
use crate::core::shard::cursor::{Cursor, Span};
use crate::core::shard::step::{News, Step};
use crate::error::Error;
use crate::model::gap::Gap;
use crate::model::position::{IteratorType, Position};
use crate::model::sequence::SequenceNumber;
use crate::record::Records;

impl Poller {
    /// Leaves out records that were read before, and notices missing ones.
    pub(super) fn resume(
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
        if self.settings.on_gap.trimmed == OnTrimmed::Fail {
            return Err(Error::Gap { stream: self.stream.to_string(), gap });
        }
        self.report(gap);
        Ok(())
    }

    pub(super) fn report(&mut self, gap: Gap) {
        log::warn!("stream {:?}: {gap}", self.stream);
        self.news.push(News::Gap(gap.clone()));
        self.gap = Some(gap);
    }

    /// The shard left the stream: nothing of it is left to read, whatever the setting for unusable positions.
    pub(super) fn aged_out(&mut self, now: Duration) -> Step {
        let is_strict = self.is_unconfirmed && self.settings.on_gap.foreign == OnForeign::Fail;
        if let Some(wanted) = self.cursor.position().filter(|_| is_strict) {
            return self.foreign(now, wanted);
        }
        match self.trimmed(now, self.cursor.sequence().cloned(), None, None) {
            Ok(()) => self.deliver_end(Records::empty(), None, Ending::Vanished),
            Err(error) => Step::Fail(error),
        }
    }

    /// The service does not know the position where the shard should resume.
    pub(super) fn foreign(&mut self, now: Duration, wanted: Position) -> Step {
        let gap = Gap::Foreign { shard: self.shard.id().into(), wanted };
        // A number that was read in this run belongs to a deleted stream: its replacement may have other shards, which
        // a new start lists.
        let choice =
            if self.is_unconfirmed { self.settings.on_gap.foreign } else { OnForeign::Fail };
        let at = match choice {
            OnForeign::Earliest => IteratorType::TrimHorizon,
            OnForeign::Latest => IteratorType::Latest,
            OnForeign::Fail => {
                return Step::Fail(Error::Gap { stream: self.stream.to_string(), gap });
            }
        };
        self.report(gap);
        self.cursor = Cursor::Fresh(at);
        self.begin.overwrite(&self.cursor);
        self.call(now)
    }
}
