//! The contract of every client, as a suite of tests.

mod bounds;
mod listing;
mod reading;
pub(crate) mod service;
#[cfg(test)]
mod tests;
mod trial;

use self::bounds::{deadline, interrupt, stop};
use self::listing::{by_arn, described, paged, split, unknown};
use self::reading::{
    at_once, expired, invalid, limits, numbers, order, timestamps, tips, tokens_again,
};
use self::service::Service;
use self::trial::Trial;

/// Checks that a [`Client`](crate::Client) keeps the contract of the trait; for your own client's tests, with
/// feature `testing`.
///
/// `make` gives a [`Service`] for each check: a new one, or another handle to the same service. It is called with the
/// name of the check, made of lower-case letters and underscores. The check creates a stream of this name, which must not
/// be there yet, with at most five shards; `unknown` creates none. The service must not throttle, and what it is asked
/// for must come within 60 s: a call without an answer must end by then, too. A check that needs an optional ability of the service, such as expiring
/// tokens, is left out without it.
///
/// ```
/// use kinesis_consumer::testing::{MemoryKinesis, client_contract};
///
/// client_contract(|_name| MemoryKinesis::new());
/// ```
///
/// # Panics
/// If the client breaks a rule; the message names the rule.
pub fn client_contract<S: Service>(make: impl Fn(&str) -> S) {
    let trial = |check: &str, shards| Trial::new(make(check), check, shards);
    unknown(&trial("unknown", 0));
    described(&trial("described", 1));
    by_arn(trial("by_arn", 1));
    paged(&trial("paged", 5));
    order(&trial("order", 1));
    limits(&trial("limits", 1));
    tokens_again(&trial("tokens_again", 1));
    numbers(&trial("numbers", 1));
    tips(&trial("tips", 1));
    timestamps(&trial("timestamps", 1));
    invalid(&trial("invalid", 1));
    expired(&trial("expired", 1));
    at_once(&trial("at_once", 1));
    split(&trial("split", 1));
    interrupt(&trial("interrupt", 1));
    deadline(&trial("deadline", 1));
    stop(&trial("stop", 1));
}
