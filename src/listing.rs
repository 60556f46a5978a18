//! Listing a stream's shards: what to do about each outcome. Pure.

use std::time::Duration;

use crate::client::{ClientError, ErrorClass, StreamStatus};
use crate::error::Error;
use crate::outage::{Outage, Tally, spoken};
use crate::retry::Retry;
use crate::shard::Shard;

/// The listing of one stream, over all its attempts.
#[derive(Debug)]
pub(crate) struct Listing {
    stream: String,
    /// How long attempts may fail: start patience until the first success, then the outage allowed.
    limit: Option<Duration>,
    later: Option<Duration>,
    retry: Retry,
    /// How often in a row it listed nothing without being in creation.
    empties: u32,
    outage: Outage<ErrorClass>,
}

/// What to do after an attempt.
#[derive(Debug)]
pub(crate) enum Next {
    /// These are the shards.
    Done(Vec<Shard>),
    /// Ask for the stream's status.
    Describe,
    /// List again after this time.
    Again(Duration),
    /// Give up.
    Fail(Error),
}

impl Listing {
    pub(crate) fn new(stream: &str, start_patience: Duration, outage: Option<Duration>) -> Self {
        Self {
            stream: stream.into(),
            limit: Some(start_patience),
            later: outage,
            retry: Retry::default(),
            empties: 0,
            outage: Outage::default(),
        }
    }

    /// All pages were read, or one failed.
    pub(crate) fn listed(
        &mut self,
        now: Duration,
        rng: &mut fastrand::Rng,
        outcome: Result<Vec<Shard>, ClientError>,
    ) -> Next {
        match outcome {
            // Some servers list nothing for a stream in creation, others answer that it is in use.
            Ok(shards) if shards.is_empty() => {
                self.empties += 1;
                Next::Describe
            }
            Ok(shards) => {
                self.retry.succeeded(now);
                if let Some(Tally { lasted, .. }) = self.outage.recovered(now, &self.stream) {
                    let lasted = spoken(lasted);
                    log::warn!("stream {:?}: is listed again, after {lasted}", self.stream);
                }
                self.limit = self.later;
                self.empties = 0;
                Next::Done(shards)
            }
            Err(error) if error.class() == ErrorClass::InUse => Next::Describe,
            Err(error) => self.failed(now, rng, error),
        }
    }

    /// The status is known, or could not be had.
    pub(crate) fn described(
        &mut self,
        now: Duration,
        rng: &mut fastrand::Rng,
        outcome: Result<StreamStatus, ClientError>,
    ) -> Next {
        let stream = self.stream.clone();
        match outcome {
            Ok(StreamStatus::Deleting) => Next::Fail(Error::StreamDeleting { stream }),
            Ok(StreamStatus::Creating) => {
                self.empties = 0;
                self.wait(now, rng)
            }
            Ok(StreamStatus::Active | StreamStatus::Updating) => {
                // It may have become active between the two calls: believe an empty listing twice.
                if self.empties > 1 {
                    return Next::Fail(Error::NoShards { stream });
                }
                self.wait(now, rng)
            }
            Err(error) => self.failed(now, rng, error),
        }
    }

    /// Waits for a stream that is being created.
    fn wait(&mut self, now: Duration, rng: &mut fastrand::Rng) -> Next {
        match self.retry.wait(now, rng, self.limit) {
            Some(wait) => Next::Again(wait),
            None => {
                let waited = self.limit.unwrap_or_default();
                Next::Fail(Error::StreamCreating { stream: self.stream.clone(), waited })
            }
        }
    }

    fn failed(&mut self, now: Duration, rng: &mut fastrand::Rng, error: ClientError) -> Next {
        let stream = self.stream.clone();
        match error.class() {
            ErrorClass::NotFound => Next::Fail(Error::StreamNotFound { stream, source: error }),
            ErrorClass::InvalidArgument => {
                Next::Fail(Error::Client { stream, shard: None, lasted: None, source: error })
            }
            _ => match self.retry.failed(now, rng, &error, self.limit) {
                Some(wait) => {
                    let level = self.outage.failed(now, &stream, error.class());
                    let again = spoken(wait);
                    log::log!(level, "stream {stream:?}: {error}; again in {again}");
                    Next::Again(wait)
                }
                None => {
                    let lasted = self.retry.lasted(now, &error);
                    Next::Fail(Error::Client { stream, shard: None, lasted, source: error })
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::HashKeyRange;

    const PATIENCE: Duration = Duration::from_secs(30);

    struct Trial {
        listing: Listing,
        rng: fastrand::Rng,
        now: Duration,
    }

    fn trial() -> Trial {
        let listing = Listing::new("orders", PATIENCE, None);
        Trial { listing, rng: fastrand::Rng::with_seed(7), now: Duration::ZERO }
    }

    impl Trial {
        fn fails(&mut self, class: ErrorClass) -> Next {
            let error = ClientError::new(class, "ListShards", "");
            self.listing.listed(self.now, &mut self.rng, Err(error))
        }

        fn is(&mut self, status: StreamStatus) -> Next {
            self.listing.described(self.now, &mut self.rng, Ok(status))
        }

        fn lists(&mut self, shards: usize) -> Next {
            let shard = |at: usize| {
                Shard::new(format!("shardId-{at:012}"), HashKeyRange::ALL, "1".parse().unwrap())
            };
            let shards = (0..shards).map(shard).collect();
            self.listing.listed(self.now, &mut self.rng, Ok(shards))
        }
    }

    #[test]
    fn a_stream_in_creation_is_waited_for_but_not_for_ever() {
        let mut trial = trial();
        assert!(matches!(trial.fails(ErrorClass::InUse), Next::Describe));
        assert!(matches!(trial.is(StreamStatus::Creating), Next::Again(_)));
        trial.now += PATIENCE;
        assert!(matches!(
            trial.is(StreamStatus::Creating),
            Next::Fail(Error::StreamCreating { .. })
        ));
    }

    #[test]
    fn an_active_stream_without_shards_is_an_error_when_seen_twice() {
        let mut trial = trial();
        assert!(matches!(trial.lists(0), Next::Describe));
        assert!(matches!(trial.is(StreamStatus::Active), Next::Again(_)));
        assert!(matches!(trial.lists(0), Next::Describe));
        assert!(matches!(trial.is(StreamStatus::Active), Next::Fail(Error::NoShards { .. })));
    }

    #[test]
    fn a_stream_that_is_in_use_and_active_by_turns_is_waited_for() {
        let mut trial = trial();
        for _ in 0..5 {
            assert!(matches!(trial.fails(ErrorClass::InUse), Next::Describe));
            assert!(matches!(trial.is(StreamStatus::Active), Next::Again(_)));
        }
        assert!(matches!(trial.lists(0), Next::Describe));
        assert!(matches!(trial.is(StreamStatus::Creating), Next::Again(_)));
        assert!(matches!(trial.lists(0), Next::Describe));
        assert!(matches!(trial.is(StreamStatus::Active), Next::Again(_)));
        assert!(matches!(trial.lists(2), Next::Done(_)));
    }

    #[test]
    fn an_unknown_or_dying_stream_is_an_error_at_once() {
        assert!(matches!(
            trial().fails(ErrorClass::NotFound),
            Next::Fail(Error::StreamNotFound { .. })
        ));
        assert!(matches!(
            trial().is(StreamStatus::Deleting),
            Next::Fail(Error::StreamDeleting { .. })
        ));
    }

    #[test]
    fn an_outage_is_bounded_before_the_first_success_and_not_after_it() {
        let mut trial = trial();
        assert!(matches!(trial.fails(ErrorClass::Transient), Next::Again(_)));
        trial.now += PATIENCE;
        assert!(matches!(trial.fails(ErrorClass::Transient), Next::Fail(Error::Client { .. })));

        assert!(matches!(trial.lists(1), Next::Done(_)));
        for _ in 0..100 {
            trial.now += PATIENCE;
            assert!(matches!(trial.fails(ErrorClass::Transient), Next::Again(_)));
        }
    }
}
