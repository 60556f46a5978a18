//! Credentials that end while a stream is read.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use kinesis_consumer::{
    Call, Client, Config, Credentials, Error, ErrorClass, KinesisClient, LocalStore, Stream, Token,
};

use crate::common::SOON;
use crate::common::loopback::{Server, chain, ok, refusal, says, stream_of};

/// Reads from a server with keys from a closure that is told how often it was asked before; stops
/// when a call signed with `until` comes, or something fails.
fn consume(
    server: &Server,
    key: impl Fn(usize) -> Credentials + Send + Sync + 'static,
    until: &str,
) -> (Result<(), Error>, usize) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let closure = move || Ok(key(count.fetch_add(1, Ordering::SeqCst)));
    let builder = KinesisClient::builder().endpoint(server.url()).region("eu-central-1");
    let client = builder.credentials_provider(closure).build().unwrap();
    let config = Config::new().interval(Duration::from_millis(20));
    let stream = Stream::new(client, "orders", LocalStore::new(), config).unwrap();
    let listener = stream.spawn(|_| Ok(())).unwrap();
    let mut reads = 0;
    while !listener.is_finished() {
        let Ok(request) = server.requests.recv_timeout(Duration::from_millis(100)) else {
            continue;
        };
        // Once more, so that its answer has come too.
        reads += usize::from(request.key() == until && request.operation() == "GetRecords");
        if reads == 2 {
            listener.shutdown().now();
        }
    }
    (listener.join(), asked.load(Ordering::SeqCst))
}

fn key(number: usize) -> Credentials {
    Credentials::new(format!("key{number}"), "secret")
}

#[test]
fn reading_goes_on_when_the_service_refuses_the_keys_in_mid_run() {
    let (good, reads) = (stream_of(3), AtomicUsize::new(0));
    let server = Server::new(move |request| {
        let is_old = request.operation() == "GetRecords" && request.key() == "key0";
        Some(match is_old && reads.fetch_add(1, Ordering::SeqCst) >= 6 {
            true => refusal("ExpiredTokenException", "the security token is expired"),
            false => good(request),
        })
    });
    let (result, asked) = consume(&server, key, "key1");
    result.unwrap();
    assert_eq!(asked, 2, "three shards were refused, one asked");
}

#[test]
fn keys_that_expire_in_mid_run_are_replaced_before_they_are_refused() {
    let good = stream_of(1);
    let server = Server::new(move |request| Some(good(request)));
    let lives = move |number| {
        let seconds = if number == 0 { 1 } else { 3_600 };
        key(number).with_expiry(SystemTime::now() + Duration::from_secs(seconds))
    };
    let (result, asked) = consume(&server, lives, "key1");
    result.unwrap();
    assert_eq!(asked, 2);
}

#[test]
fn keys_that_are_refused_twice_end_it_with_their_class() {
    let server = Server::new(|_| {
        Some(refusal("UnrecognizedClientException", "the security token is invalid"))
    });
    let (result, asked) = consume(&server, key, "nobody");
    let error = result.unwrap_err();
    let Error::Client { source, .. } = &error else { panic!("{error}") };
    assert_eq!(source.class(), ErrorClass::Credentials);
    assert_eq!(asked, 2);
    says(
        &chain(&error),
        &["\"orders\"", "ListShards answered UnrecognizedClientException", "check the access key"],
    );
}

#[test]
fn keys_that_cannot_be_had_are_waited_for_as_long_as_the_start_has_patience() {
    let server = Server::saying(ok("{}"));
    let builder = KinesisClient::builder().endpoint(server.url());
    let client =
        builder.credentials_provider(|| Err("the vault is sealed".into())).build().unwrap();
    let patience = Duration::from_millis(400);
    let config = Config::new().start_patience(patience);
    let stream = Stream::new(client, "orders", LocalStore::new(), config).unwrap();
    let start = Instant::now();
    let error = stream.listen(|_| Ok(())).unwrap_err();
    assert!(start.elapsed() >= patience, "{:?}", start.elapsed());
    let Error::Client { source, .. } = &error else { panic!("{error}") };
    assert_eq!(source.class(), ErrorClass::Transient);
    says(&chain(&error), &["\"orders\"", "ListShards", "no credentials", "the vault is sealed"]);
    assert!(server.requests.is_empty(), "nothing is sent unsigned");
}

#[test]
fn a_source_that_is_away_at_the_start_is_asked_until_it_is_back() {
    let good = stream_of(1);
    let server = Server::new(move |request| Some(good(request)));
    let asked = AtomicUsize::new(0);
    let vault = move || match asked.fetch_add(1, Ordering::SeqCst) {
        0..4 => Err("the vault restarts".into()),
        number => Ok(key(number)),
    };
    let builder = KinesisClient::builder().endpoint(server.url()).region("eu-central-1");
    let client = builder.credentials_provider(vault).build().unwrap();
    let stream = Stream::new(client, "orders", LocalStore::new(), Config::new()).unwrap();
    let listener = stream.spawn(|_| Ok(())).unwrap();
    let request = server.requests.recv_timeout(SOON).unwrap();
    assert_eq!((request.key(), request.operation()), ("key4", "ListShards"));
    listener.shutdown().now();
    listener.join().unwrap();
}

/// The keys that calls by hand are signed with, one after the other, until one succeeds.
fn keys_until_success(
    server: &Server,
    vault: impl Fn() -> Credentials + Send + Sync + 'static,
) -> Vec<String> {
    let builder = KinesisClient::builder().endpoint(server.url()).region("eu-central-1");
    let client = builder.credentials_provider(move || Ok(vault())).build().unwrap();
    let mut keys = Vec::new();
    loop {
        let answer = client.get_records(&Token::new("token"), 10, &Call::unbounded());
        keys.push(server.requests.recv_timeout(SOON).unwrap().key().to_owned());
        match answer {
            Ok(_) => return keys,
            Err(error) => assert_eq!(error.class(), ErrorClass::Credentials, "{error}"),
        }
    }
}

#[test]
fn a_renewal_that_is_late_is_waited_for_with_the_old_keys() {
    let good = stream_of(1);
    // Who renews them is seen to be late by the fourth refusal.
    let refused = Arc::new(AtomicUsize::new(0));
    let (counter, seen) = (Arc::clone(&refused), refused);
    let server = Server::new(move |request| {
        Some(if request.key() == "key0" {
            counter.fetch_add(1, Ordering::SeqCst);
            refusal("ExpiredTokenException", "the security token is expired")
        } else {
            good(request)
        })
    });
    let vault = move || key(usize::from(seen.load(Ordering::SeqCst) >= 4));
    let keys = keys_until_success(&server, vault);
    let (last, old) = keys.split_last().unwrap();
    assert!(last == "key1" && old.len() >= 4, "{keys:?}");
    assert!(old.iter().all(|key| key == "key0"), "{keys:?}");
}

#[test]
fn keys_that_the_service_comes_to_know_late_are_sent_again() {
    let (good, calls) = (stream_of(1), AtomicUsize::new(0));
    let server = Server::new(move |request| {
        Some(match calls.fetch_add(1, Ordering::SeqCst) {
            0..3 => refusal("UnrecognizedClientException", "the security token is invalid"),
            _ => good(request),
        })
    });
    assert_eq!(keys_until_success(&server, || key(7)), ["key7"; 4]);
}
