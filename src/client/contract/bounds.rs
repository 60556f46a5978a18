//! The ends of a call: a stop, a deadline, and the end of a session.

use std::thread;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, bounded};

use super::service::Service;
use super::trial::{Trial, done, hold};
use crate::client::Client;
use crate::control::call::Call;
use crate::error::client::{ClientError, ErrorClass};
use crate::model::position::IteratorType;
use crate::model::token::Token;

/// A call has probably begun after this time. If it has not, a stop must still end it.
const BEGUN: Duration = Duration::from_millis(100);

/// A session that was interrupted, and the sessions that are left.
pub(super) fn interrupt(trial: &Trial<impl Service>) {
    let Some(session) = trial.client.session() else { return };
    let (shard, token) = (trial.shard(), trial.token(&IteratorType::TrimHorizon));
    let call = |client: &dyn Client| all(client, &trial.stream, &shard, &token, &Call::unbounded());
    for (operation, result) in call(&*session) {
        done(operation, result);
    }
    let other = trial.client.session();
    session.interrupt();
    for (operation, result) in call(&*session) {
        hold("after an interrupt every call of the session fails", result.is_err(), &operation);
    }
    let others = call(&trial.client).into_iter().chain(other.iter().flat_map(|it| call(&**it)));
    for (operation, result) in others {
        let rule = "an interrupt ends one session, not its client, nor another session";
        hold(rule, result.is_ok(), &(operation, result));
    }
}

/// Calls without an answer, each with a deadline.
// long: a story of one call, told in order.
pub(super) fn deadline(trial: &Trial<impl Service>) {
    let (shard, token) = (trial.shard(), trial.token(&IteratorType::TrimHorizon));
    if !trial.service.hang(&trial.stream, true) {
        return;
    }
    let (client, stream) = (&trial.client, &trial.stream);
    let (tell, told) = bounded(1);
    let results = thread::scope(|scope| {
        scope.spawn(|| {
            let results = OPERATIONS.map(|(operation, attempt)| {
                let call = Call::unbounded().with_deadline(BEGUN);
                (operation, attempt(client, stream, &shard, &token, &call))
            });
            // If it comes too late, nobody receives it.
            let _ = tell.send(results);
        });
        let results = told.recv_timeout(trial.patience);
        // Or a client that breaks the rule would never end.
        trial.service.hang(&trial.stream, false);
        results
    });
    let rule = "a call ends when its deadline has passed";
    hold(rule, results.is_ok(), &trial.patience);
    for (operation, result) in results.into_iter().flatten() {
        let class = result.map_err(|error| error.class());
        let rule = "a call whose deadline has passed is of class TooLarge, or Transient";
        let is_right = matches!(class, Err(ErrorClass::TooLarge | ErrorClass::Transient));
        hold(rule, is_right, &(operation, class));
    }
}

/// A call without an answer, in a run that stops.
// long: a story of one call, told in order.
pub(super) fn stop(trial: &Trial<impl Service>) {
    let token = trial.token(&IteratorType::TrimHorizon);
    if !trial.service.hang(&trial.stream, true) {
        return;
    }
    let session = trial.client.session();
    let client: &dyn Client = session.as_deref().unwrap_or(&trial.client);
    let (stop, stopped) = bounded(0);
    let (tell, told) = bounded(1);
    let (early, ended) = thread::scope(|scope| {
        scope.spawn(|| {
            let answer = client.get_records(&token, 10, &Call::new(stopped));
            // If it comes too late, nobody receives it.
            let _ = tell.send(answer.is_err());
        });
        let early = told.recv_timeout(BEGUN);
        // Like the stop of a consumer, which interrupts a session alone.
        drop(stop);
        if let Some(session) = &session {
            session.interrupt();
        }
        let ended = told.recv_timeout(trial.patience);
        // Or a client that breaks the rule would never end.
        trial.service.hang(&trial.stream, false);
        (early, ended)
    });
    let waits = early == Err(RecvTimeoutError::Timeout);
    hold("a call waits for its answer while nothing ends it", waits, &early);
    let rule = "a stop ends a call in progress, which fails";
    hold(rule, ended == Ok(true), &ended);
}

type Attempt = fn(&dyn Client, &str, &str, &Token, &Call) -> Result<(), ClientError>;

/// The four calls, by their names.
const OPERATIONS: [(&str, Attempt); 4] = [
    ("describe_stream", |client, stream, _, _, call| {
        client.describe_stream(stream, call).map(drop)
    }),
    ("list_shards", |client, stream, _, _, call| client.list_shards(stream, None, call).map(drop)),
    ("get_shard_iterator", |client, stream, shard, _, call| {
        client.get_shard_iterator(stream, shard, &IteratorType::TrimHorizon, call).map(drop)
    }),
    ("get_records", |client, _, _, token, call| client.get_records(token, 10, call).map(drop)),
];

fn all(
    client: &dyn Client,
    stream: &str,
    shard: &str,
    token: &Token,
    call: &Call,
) -> Vec<(&'static str, Result<(), ClientError>)> {
    let made =
        |(name, attempt): &(_, Attempt)| (*name, attempt(client, stream, shard, token, call));
    OPERATIONS.iter().map(made).collect()
}
