//! The listing of a stream's shards: what to do about each outcome.

use std::time::Duration;

use crate::core::outage::{Outage, Tally};
use crate::core::retry::Retry;
use crate::core::stream::pages::{Paged, Pages};
use crate::error::Error;
use crate::error::client::{ClientError, ErrorClass};
use crate::model::listed::{ShardPage, StreamStatus};
use crate::model::shard::{HashKeyRange, Shard};
use crate::model::time::spoken;

/// How often in a row a listing restarts at once because a page token was too old.
const MAX_RESTARTS: u32 = 3;
/// How often in a row a page other than the first is refused before that counts for the whole listing.
const MAX_REFUSALS: u32 = 2;
/// How long a listing that lacks a part of the hash keys is not accepted as the first one. If a split came between two
/// pages, the next attempt is complete; nothing is read until then.
const HOLE_PATIENCE: Duration = Duration::from_secs(5);

/// The listing of one stream, over all its pages and attempts.
#[derive(Debug)]
pub(crate) struct Listing {
    stream: String,
    /// How long attempts may fail: `start_patience` until the first success, then `max_outage`.
    limit: Option<Duration>,
    later: Option<Duration>,
    /// Since when a complete listing is wanted.
    since: Option<Duration>,
    pages: Pages,
    retry: Retry,
    /// How often in a row the same page was refused, and how often page tokens were too old.
    refusals: u32,
    restarts: u32,
    /// How often in a row it listed nothing, although the stream was not in creation.
    empties: u32,
    /// Attempts that lacked a part of the hash keys, until the first success.
    holes: Option<Retry>,
    outage: Outage<ErrorClass>,
}

/// What to do after an attempt.
#[derive(Debug)]
pub(crate) enum Next {
    /// These are the shards, in the order of their ids.
    Done(Vec<Shard>),
    /// Request this page; `None` is the first one.
    Page(Option<String>),
    /// Request the stream's status.
    Describe,
    /// Continue after this time.
    Again {
        /// How long.
        wait: Duration,
        /// Whether the attempt has failed: otherwise only one of its pages is late.
        has_failed: bool,
    },
    /// Give up.
    Fail(Error),
}

impl Listing {
    pub(crate) fn new(stream: &str, start_patience: Duration, outage: Option<Duration>) -> Self {
        Self {
            stream: stream.into(),
            limit: Some(start_patience),
            later: outage,
            since: None,
            pages: Pages::default(),
            retry: Retry::default(),
            refusals: 0,
            restarts: 0,
            empties: 0,
            holes: Some(Retry::default()),
            outage: Outage::default(),
        }
    }

    /// The page to request now, at the start and after a wait; `None` is the first one.
    pub(crate) fn page(&mut self, now: Duration) -> Option<String> {
        self.since.get_or_insert(now);
        self.pages.next(now)
    }

    /// The stream was listed before this began.
    pub(crate) fn succeed(&mut self) {
        (self.limit, self.holes) = (self.later, None);
    }

    /// A page was read, or the read failed.
    // long: one branch for each outcome of a page.
    pub(crate) fn listed(
        &mut self,
        now: Duration,
        rng: &mut fastrand::Rng,
        outcome: Result<ShardPage, ClientError>,
    ) -> Next {
        self.since.get_or_insert(now);
        let error = match outcome {
            Ok(page) => match self.pages.take_in(now, page) {
                Paged::Complete(shards) => return self.completed(now, rng, shards),
                Paged::Next(name) if !self.has_lasted(now) => {
                    self.retry.succeeded(now);
                    (self.refusals, self.restarts) = (0, 0);
                    return Next::Page(Some(name));
                }
                Paged::Next(_) => endless("it continues for too long".into()),
                Paged::Endless { pages, shards } => endless(format!(
                    "after {pages} pages with {shards} different shards comes another"
                )),
            },
            Err(error) if error.class() == ErrorClass::InUse => return Next::Describe,
            Err(error) => error,
        };
        use ErrorClass::{ExpiredNextToken, InvalidArgument};
        // A server may report a token that is too old as invalid.
        let is_old = matches!(error.class(), ExpiredNextToken | InvalidArgument);
        if !is_old || !self.pages.are_under_way() {
            return self.failed(now, rng, error);
        }
        self.pages = Pages::default();
        self.restarts += 1;
        if self.restarts < MAX_RESTARTS {
            return Next::Page(None);
        }
        self.restarts = 0;
        self.failed(
            now,
            rng,
            endless("the tokens of its pages are refused".into()).with_source(error),
        )
    }

    /// The status was read, or the read failed.
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
                // It may have become active between the two calls: accept only a second empty listing. A stream that
                // was listed before has shards.
                match self.empties > 1 {
                    true if self.is_first() => Next::Fail(Error::NoShards { stream }),
                    true => self.failed(now, rng, endless("it shows no shard".into())),
                    false => self.wait(now, rng),
                }
            }
            Err(error) => self.failed(now, rng, error),
        }
    }

    /// The last page has come.
    fn completed(&mut self, now: Duration, rng: &mut fastrand::Rng, shards: Vec<Shard>) -> Next {
        // Some servers list nothing for a stream in creation, others answer that it is in use.
        if shards.is_empty() {
            self.empties += 1;
            return Next::Describe;
        }
        if let Some(Tally { lasted, .. }) = self.outage.recovered(now, &self.stream) {
            let lasted = spoken(lasted);
            log::warn!("stream {:?}: listings recovered after {lasted}", self.stream);
        }
        self.retry.succeeded(now);
        (self.since, self.refusals, self.restarts, self.empties) = (None, 0, 0, 0);
        if let Some(wait) = self.hole(now, rng, &shards) {
            return Next::Again { wait, has_failed: true };
        }
        self.succeed();
        Next::Done(shards)
    }

    /// If the run begins with this listing, missing shards would be left out, or read from another place. Returns when
    /// to list again, if so.
    fn hole(
        &mut self,
        now: Duration,
        rng: &mut fastrand::Rng,
        shards: &[Shard],
    ) -> Option<Duration> {
        let holes = self.holes.as_mut()?;
        let open = shards.iter().filter(|shard| !shard.is_closed()).map(Shard::hash_keys);
        if HashKeyRange::ALL.is_covered_by(open) {
            return None;
        }
        let patience = self.limit.unwrap_or(HOLE_PATIENCE).min(HOLE_PATIENCE);
        if !holes.is_failing() {
            log::warn!(
                "stream {:?}: the listing shows open shards for only a part of the hash keys; \
                 listing again for up to {}",
                self.stream,
                spoken(patience),
            );
        }
        holes.wait(now, rng, Some(patience))
    }

    /// Waits for a stream that is being created.
    fn wait(&mut self, now: Duration, rng: &mut fastrand::Rng) -> Next {
        match self.retry.wait(now, rng, self.limit) {
            Some(wait) => Next::Again { wait, has_failed: true },
            None => {
                let waited = self.limit.unwrap_or_default();
                Next::Fail(Error::StreamCreating { stream: self.stream.clone(), waited })
            }
        }
    }

    /// For how long it has been wanted.
    fn lasted(&self, now: Duration) -> Duration {
        self.since.map(|since| now.saturating_sub(since)).unwrap_or_default()
    }

    /// Whether the limit has passed, however many pages have come.
    fn has_lasted(&self, now: Duration) -> bool {
        self.limit.is_some_and(|limit| self.lasted(now) >= limit)
    }

    // long: one branch for each class of failure.
    fn failed(&mut self, now: Duration, rng: &mut fastrand::Rng, error: ClientError) -> Next {
        let stream = self.stream.clone();
        let is_final = self.is_first()
            && matches!(
                error.class(),
                ErrorClass::NotFound | ErrorClass::InvalidArgument | ErrorClass::Fatal
            );
        let wait = match error.class() {
            _ if is_final => None,
            ErrorClass::InvalidArgument => self.retry.refused(now, rng, self.limit),
            _ => self.retry.failed(now, rng, &error, self.limit),
        };
        match (wait, error.class()) {
            (Some(wait), _) if !self.has_lasted(now) => {
                let left = self.limit.map_or(wait, |limit| limit - self.lasted(now));
                let wait = wait.min(left);
                let level = self.outage.failed(now, &stream, error.class());
                let again = spoken(wait);
                log::log!(level, "stream {stream:?}: {error:#}; again in {again}");
                self.refusals += 1;
                let is_first = !self.pages.are_under_way();
                Next::Again { wait, has_failed: is_first || self.refusals >= MAX_REFUSALS }
            }
            (_, ErrorClass::NotFound) => {
                Next::Fail(Error::StreamNotFound { stream, source: error })
            }
            _ => {
                let lasted = self.retry.lasted(now, &error).filter(|_| !is_final);
                let lasted = lasted.map(|_| self.lasted(now));
                Next::Fail(Error::Client { stream, shard: None, lasted, source: error })
            }
        }
    }

    /// Whether the stream was never listed before: then its user waits for an answer.
    fn is_first(&self) -> bool {
        self.holes.is_some()
    }
}

fn endless(why: String) -> ClientError {
    let message = format!("the listing did not end: {why}");
    ClientError::new(ErrorClass::Transient, "ListShards", message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::shard::HashKeyRange;

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
            self.pages(ShardPage::new(shards, None))
        }

        /// A page with a shard of this number, open for these keys, and the token of the next page.
        fn page(&mut self, number: usize, hash_keys: HashKeyRange, next: Option<&str>) -> Next {
            let id = format!("shardId-{number:012}");
            let shard = Shard::new(id, hash_keys, "1".parse().unwrap());
            self.pages(ShardPage::new(vec![shard], next.map(str::to_owned)))
        }

        fn pages(&mut self, page: ShardPage) -> Next {
            self.listing.listed(self.now, &mut self.rng, Ok(page))
        }

        /// Waits. Returns the page that is requested then.
        fn waits(&mut self, next: Next) -> Option<String> {
            let Next::Again { wait, .. } = next else { panic!("{next:?}") };
            self.now += wait;
            self.listing.page(self.now)
        }
    }

    #[test]
    fn a_stream_in_creation_is_waited_for_but_not_for_ever() {
        let mut trial = trial();
        assert!(matches!(trial.fails(ErrorClass::InUse), Next::Describe));
        assert!(matches!(trial.is(StreamStatus::Creating), Next::Again { .. }));
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
        assert!(matches!(trial.is(StreamStatus::Active), Next::Again { .. }));
        assert!(matches!(trial.lists(0), Next::Describe));
        assert!(matches!(trial.is(StreamStatus::Active), Next::Fail(Error::NoShards { .. })));
    }

    #[test]
    fn a_stream_that_is_in_use_and_active_by_turns_is_waited_for() {
        let mut trial = trial();
        for _ in 0..5 {
            assert!(matches!(trial.fails(ErrorClass::InUse), Next::Describe));
            assert!(matches!(trial.is(StreamStatus::Active), Next::Again { .. }));
        }
        assert!(matches!(trial.lists(0), Next::Describe));
        assert!(matches!(trial.is(StreamStatus::Creating), Next::Again { .. }));
        assert!(matches!(trial.lists(0), Next::Describe));
        assert!(matches!(trial.is(StreamStatus::Active), Next::Again { .. }));
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
        assert!(matches!(trial.fails(ErrorClass::Transient), Next::Again { .. }));
        trial.now += PATIENCE;
        assert!(matches!(trial.fails(ErrorClass::Transient), Next::Fail(Error::Client { .. })));

        assert!(matches!(trial.lists(1), Next::Done(_)));
        for _ in 0..100 {
            trial.now += PATIENCE;
            assert!(matches!(trial.fails(ErrorClass::Transient), Next::Again { .. }));
        }
    }

    #[test]
    fn a_page_that_is_refused_is_asked_for_again_by_its_name_and_the_listing_completes() {
        let mut trial = trial();
        let mut page = trial.listing.page(Duration::ZERO);
        // Every fourth call is refused, and six pages must be read, also with a short limit.
        for call in 1.. {
            let number: usize = page.as_deref().map_or(1, |name| name.parse().unwrap());
            let next = if call % 4 == 0 {
                trial.fails(ErrorClass::Throttled)
            } else {
                let name = (number + 1).to_string();
                trial.page(number, HashKeyRange::ALL, (number < 6).then_some(&*name))
            };
            page = match next {
                Next::Page(page) => page,
                Next::Done(shards) => {
                    assert_eq!((shards.len(), call), (6, 7));
                    return;
                }
                Next::Again { has_failed, .. } => {
                    assert!(!has_failed, "the listing goes on where it is");
                    trial.waits(next)
                }
                other => panic!("{other:?}"),
            };
        }
    }

    #[test]
    fn a_page_that_is_refused_twice_has_failed_and_its_name_is_not_used_when_it_is_old() {
        let mut trial = trial();
        trial.lists(1);
        trial.page(1, HashKeyRange::ALL, Some("2"));
        let first = trial.fails(ErrorClass::Throttled);
        assert!(matches!(first, Next::Again { has_failed: false, .. }));
        assert_eq!(trial.waits(first).as_deref(), Some("2"));
        let second = trial.fails(ErrorClass::Throttled);
        assert!(matches!(second, Next::Again { has_failed: true, .. }));
        trial.now += Duration::from_secs(300);
        assert_eq!(trial.waits(second), None);
    }

    #[test]
    fn pages_without_end_are_an_error_when_patience_ends_whatever_they_hold() {
        // Each page has a new shard; each has the same shard; two tokens alternate.
        for (numbers, names) in [(usize::MAX, usize::MAX), (1, usize::MAX), (usize::MAX, 2)] {
            let mut trial = trial();
            for call in 0.. {
                let name = (call % names).to_string();
                match trial.page(call % numbers, HashKeyRange::ALL, Some(&name)) {
                    Next::Page(Some(_)) => trial.now += Duration::from_millis(20),
                    Next::Fail(Error::Client { source, lasted, .. }) => {
                        assert!(source.to_string().contains("did not end"), "{source}");
                        assert!(lasted >= Some(PATIENCE), "{lasted:?}");
                        break;
                    }
                    again => drop(trial.waits(again)),
                }
                assert!(trial.now < PATIENCE * 2 && call < 10_000);
            }
        }
    }

    #[test]
    fn the_first_listing_is_made_again_while_it_lacks_open_shards_and_then_taken_as_it_is() {
        let (low, high) = ((0, u128::MAX / 2), (u128::MAX / 2 + 1, u128::MAX));
        let [low, high] = [low, high].map(|(start, end)| HashKeyRange { start, end });
        let mut healed = trial();
        let next = healed.page(1, low, None);
        assert_eq!(healed.waits(next), None);
        healed.page(1, low, Some("2"));
        assert!(matches!(healed.page(2, high, None), Next::Done(shards) if shards.len() == 2));
        // `Missing` judges later ones, since it knows which shards have ended.
        assert!(matches!(healed.page(1, low, None), Next::Done(_)));

        let mut torn = trial();
        loop {
            match torn.page(1, low, None) {
                Next::Done(shards) => break assert_eq!(shards.len(), 1),
                next => assert_eq!(torn.waits(next), None),
            }
        }
        assert!(torn.now >= HOLE_PATIENCE && torn.now < HOLE_PATIENCE * 2, "{:?}", torn.now);
    }

    #[test]
    fn the_name_of_a_page_that_makes_no_sense_any_more_begins_the_listing_anew() {
        let mut trial = trial();
        for class in [ErrorClass::InvalidArgument, ErrorClass::ExpiredNextToken] {
            trial.page(1, HashKeyRange::ALL, Some("2"));
            assert!(matches!(trial.fails(class), Next::Page(None)));
        }
        // Without a token the user's argument is invalid.
        assert!(matches!(trial.fails(ErrorClass::InvalidArgument), Next::Fail(_)));
    }

    #[test]
    fn a_stream_that_was_listed_is_not_given_up_for_one_refusal_or_an_empty_listing() {
        for class in [ErrorClass::NotFound, ErrorClass::InvalidArgument] {
            let mut trial = trial();
            assert!(matches!(trial.lists(1), Next::Done(_)));
            let mut next = trial.fails(class);
            while let Next::Again { wait, .. } = next {
                trial.now += wait;
                assert!(trial.now < PATIENCE * 3, "{class:?}");
                next = trial.fails(class);
            }
            assert!(matches!(next, Next::Fail(_)) && trial.now > PATIENCE, "{class:?}: {next:?}");
        }
        let mut trial = trial();
        assert!(matches!(trial.lists(1), Next::Done(_)));
        for _ in 0..9 {
            assert!(matches!(trial.lists(0), Next::Describe));
            assert!(matches!(trial.is(StreamStatus::Active), Next::Again { .. }));
        }
    }
}
