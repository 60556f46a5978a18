//! What is told of a table that does not answer: an outage once, and so its end, and the ends of fences.

use std::time::Duration;

use crate::core::fleet::steward::Steward;
use crate::core::fleet::steward::answers::Span;
use crate::core::fleet::steward::words::News;
use crate::error::lease_table::LeaseTableError;

/// The calls of one process, whatever they are for. One that is answered shows that the table works, also if it refuses.
#[derive(Debug, Default)]
pub(super) struct Answering {
    /// When the last answer came.
    last: Duration,
    /// Since when every call has failed.
    failing: Option<Duration>,
    is_told: bool,
}

impl Answering {
    /// A call failed. Returns for how long all have failed, if that is longer than `limit` and not told yet.
    pub(super) fn failed(&mut self, at: Span, limit: Duration) -> Option<Duration> {
        // A call that was sent before the last answer shows nothing of the time before that.
        let begun = at.sent.monotonic.max(self.last);
        let lasted = at.now.monotonic.saturating_sub(*self.failing.get_or_insert(begun));
        let must_tell = lasted > limit && !self.is_told;
        self.is_told |= must_tell;
        must_tell.then_some(lasted)
    }

    /// A call was answered. Returns how long none was, if that was told.
    pub(super) fn answered(&mut self, now: Duration) -> Option<Duration> {
        self.last = now;
        let failing = self.failing.take();
        let was_told = std::mem::take(&mut self.is_told);
        failing.filter(|_| was_told).map(|since| now.saturating_sub(since))
    }
}

impl Steward {
    /// A call was answered, or has failed.
    pub(super) fn hears_of_table(&mut self, at: Span, failure: Option<&LeaseTableError>) {
        let news = match failure {
            Some(error) => {
                let lasted = self.answering.failed(at, self.settings.marks.failover / 3);
                lasted.map(|lasted| News::Outage { lasted, why: format!("{error:#}") })
            }
            None => {
                let lasted = self.answering.answered(at.now.monotonic);
                lasted.map(|lasted| News::Answers { lasted })
            }
        };
        self.news.extend(news);
    }

    /// There is nothing more to hand over of a shard, so that no beat will lift its fence.
    pub(super) fn lift(&mut self, shard: &str) {
        let lease = self.leases.get_mut(shard).filter(|it| !it.is_given_up);
        if lease.is_some_and(|lease| lease.held.lifts()) {
            self.news.push(News::Unfenced { shard: shard.to_owned() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::fleet::held::Moment;

    const SECOND: Duration = Duration::from_secs(1);

    fn span(sent: u32, now: u32) -> Span {
        let at = |second| Moment { monotonic: SECOND * second, wall: SECOND };
        Span { sent: at(sent), now: at(now) }
    }

    #[test]
    fn an_outage_is_told_once_after_the_limit_and_so_is_its_end() {
        let mut answering = Answering::default();
        assert_eq!(answering.answered(SECOND * 10), None, "nothing has failed");
        for (sent, now, told) in [(10, 11, None), (12, 13, None), (13, 14, Some(4)), (15, 16, None)]
        {
            let lasted = answering.failed(span(sent, now), SECOND * 3);
            assert_eq!(lasted, told.map(|seconds| SECOND * seconds), "{now}");
        }
        assert_eq!(answering.answered(SECOND * 20), Some(SECOND * 10));
        assert_eq!(answering.answered(SECOND * 21), None);
        assert_eq!(answering.failed(span(30, 34), SECOND * 3), Some(SECOND * 4), "it is another");
    }

    #[test]
    fn one_answer_among_failures_is_no_outage() {
        let mut answering = Answering::default();
        for second in 0..100 {
            assert_eq!(answering.failed(span(second, second + 1), SECOND * 3), None);
            if second % 2 == 0 {
                assert_eq!(answering.answered(SECOND * (second + 1)), None);
            }
        }
    }

    #[test]
    fn a_call_that_hangs_while_others_are_answered_is_no_outage() {
        let mut answering = Answering::default();
        answering.answered(SECOND * 59);
        assert_eq!(answering.failed(span(0, 60), SECOND * 3), None);
        assert_eq!(answering.failed(span(0, 63), SECOND * 3), Some(SECOND * 4));
    }
}
