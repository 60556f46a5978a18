//! Listing a stream: page by page on threads of a run, or all at once before one.

use std::thread::Scope;
use std::time::Duration;

use crate::client::Client;
use crate::control::call::Call;
use crate::control::shutdown::Shutdown;
use crate::core::event::Event;
use crate::core::stream::listing::{Listing, Next};
use crate::engine::run::Run;
use crate::error::Error;
use crate::error::client::{ClientError, ErrorClass};
use crate::model::shard::Shard;
use crate::sync;

/// Lists every shard, as the coordinator does at its start, on this thread.
///
/// # Errors
/// If the listing fails for longer than `patience`, or for good, or is stopped.
// long: one branch for each step of a listing.
pub(crate) fn list_now(
    client: &dyn Client,
    stream: &str,
    patience: Duration,
    shutdown: &Shutdown,
) -> Result<Vec<Shard>, Error> {
    let (started, mut rng) = (sync::now(), fastrand::Rng::new());
    let call = Call::new(shutdown.reading_stopped().clone()).with_stream(stream);
    let mut listing = Listing::new(stream, patience, None);
    let mut next = Next::Page(listing.page(sync::since(started)));
    while !call.is_stopped() {
        next = match next {
            Next::Page(page) => {
                let page = client.list_shards(stream, page.as_deref(), &call);
                listing.listed(sync::since(started), &mut rng, page)
            }
            Next::Describe => {
                let status = client.describe_stream(stream, &call);
                listing.described(sync::since(started), &mut rng, status)
            }
            Next::Again { wait, .. } => {
                // Disconnected by a shutdown; nothing is ever sent.
                sync::wait(shutdown.reading_stopped(), wait);
                Next::Page(listing.page(sync::since(started)))
            }
            Next::Done(shards) => return Ok(shards),
            Next::Fail(error) => return Err(error),
        };
    }
    Err(Error::Stopped { stream: stream.to_owned() })
}

impl Run<'_> {
    /// Reads a page on a thread of its own, so that the coordinator never waits.
    pub(super) fn list<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        page: Option<String>,
    ) {
        let list = move || {
            let (client, stream) = (self.client, &self.engine.stream);
            let listed = client.list_shards(stream, page.as_deref(), &self.call());
            self.tell(Event::Listed(self.counted(listed)));
        };
        if let Err(source) = self.try_spawn(scope, "kc-list", list) {
            self.tell(Event::Listed(Err(threadless("ListShards", source))));
        }
    }

    /// As `list`.
    pub(super) fn describe<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>) {
        let describe = move || {
            let stream = &self.engine.stream;
            let status = self.client.describe_stream(stream, &self.call());
            self.tell(Event::Described(self.counted(status)));
        };
        if let Err(source) = self.try_spawn(scope, "kc-list", describe) {
            self.tell(Event::Described(Err(threadless("DescribeStreamSummary", source))));
        }
    }

    /// Counts a failure, unless its call was stopped.
    fn counted<T>(&self, outcome: Result<T, ClientError>) -> Result<T, ClientError> {
        if outcome.is_err() && !self.engine.shutdown.is_stopped() {
            self.meter.listing_failures.increment(1);
        }
        outcome
    }
}

/// The system has no thread for a call now; it may have one when the listing is retried.
fn threadless(operation: &'static str, source: std::io::Error) -> ClientError {
    let message = "the system has no thread for it";
    ClientError::new(ErrorClass::Transient, operation, message).with_source(source)
}
