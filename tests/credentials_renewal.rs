//! Credentials that end while a stream is read.

#![allow(clippy::unwrap_used, reason = "helpers of tests, which Clippy does not see as tests")]

mod loopback;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use kinesis_consumer::{Config, Credentials, Error, ErrorClass, KinesisClient, LocalStore, Stream};
use loopback::{Server, chain, ok, refusal, says, stream_of};

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
    let client = builder.credentials_fn(closure).build().unwrap();
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
fn keys_that_cannot_be_had_end_it_with_the_reason() {
    let server = Server::saying(ok("{}"));
    let builder = KinesisClient::builder().endpoint(server.url());
    let client = builder.credentials_fn(|| Err("the vault is sealed".into())).build().unwrap();
    let stream = Stream::new(client, "orders", LocalStore::new(), Config::new()).unwrap();
    let error = stream.listen(|_| Ok(())).unwrap_err();
    let Error::Client { source, .. } = &error else { panic!("{error}") };
    assert_eq!(source.class(), ErrorClass::Credentials);
    says(&chain(&error), &["\"orders\"", "ListShards", "no credentials", "the vault is sealed"]);
    assert!(server.requests.is_empty(), "nothing is sent unsigned");
}
