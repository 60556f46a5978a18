//! Endpoints that are none, keys that are refused, and a clock that is wrong: each ends in an error
//! that says what was tried and what to do.

use std::net::TcpListener;
use std::time::{Duration, Instant, SystemTime};

use kinesis_consumer::{Config, Error, ErrorClass, KinesisClient, LocalStore, Stream};

use crate::common::SOON;
use crate::common::loopback::{Server, answer, chain, refusal, says, stream_of};

const PATIENCE: Duration = Duration::from_millis(300);

/// What ends reading a stream at this endpoint, and its class; not before `PATIENCE` if it is one
/// that may pass.
#[track_caller]
fn failure(url: &str) -> (ErrorClass, String) {
    failure_within(SOON, url)
}

/// The same with this deadline of a call.
#[track_caller]
fn failure_within(deadline: Duration, url: &str) -> (ErrorClass, String) {
    let builder = KinesisClient::builder().endpoint(url).credentials("key", "secret");
    let client = builder.deadline(deadline).build().unwrap();
    let config = Config::new().start_patience(PATIENCE);
    let stream = Stream::new(client, "orders", LocalStore::new(), config).unwrap();
    let start = Instant::now();
    let error = stream.listen(|_| Ok(())).unwrap_err();
    let Error::Client { source, .. } = &error else { panic!("{error}") };
    let may_pass = matches!(source.class(), ErrorClass::Transient | ErrorClass::TooLarge);
    assert!(!may_pass || start.elapsed() >= PATIENCE, "{:?}: {error}", start.elapsed());
    let text = chain(&error);
    says(&text, &["\"orders\"", "ListShards"]);
    (source.class(), text)
}

#[track_caller]
fn failure_of(answer: String) -> (ErrorClass, String) {
    failure(&Server::saying(answer).url())
}

#[test]
fn an_endpoint_that_is_no_url() {
    for (url, fact) in [
        ("not a url", "not a URL, such as http://"),
        ("localhost:4567", "http:// or https://"),
        ("http://example.com", "use https, or let the program allow plain http"),
        ("https://example.com/path", "no path"),
    ] {
        let error = KinesisClient::builder().endpoint(url).build().unwrap_err();
        says(&chain(&error), &["the setting \"endpoint\": ", &format!("{url:?}"), fact]);
    }
}

#[test]
fn an_endpoint_that_refuses() {
    // Bound and closed again: nobody listens there.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{address}");
    let (class, text) = failure(&url);
    assert_eq!(class, ErrorClass::Transient);
    says(&text, &[&url, "refused", "check that the server is up, and the endpoint"]);
}

#[test]
fn an_endpoint_that_never_answers() {
    let deadline = Duration::from_millis(200);
    let (class, text) = failure_within(deadline, &Server::new(|_| None).url());
    assert_eq!(class, ErrorClass::TooLarge);
    says(
        &text,
        &["no complete answer within the deadline of 200 ms", "let the program wait longer"],
    );
}

#[test]
fn an_endpoint_that_is_a_web_server() {
    const ADVICE: &str = "check that the endpoint is a Kinesis, and any proxy on the way";
    let html = |status| answer(status, "content-type: text/html\r\n", "<html>Welcome</html>");
    for (status, class, fact) in [
        ("200 OK", ErrorClass::Transient, "makes no sense"),
        ("404 Not Found", ErrorClass::Fatal, "HTTP status 404"),
        ("502 Bad Gateway", ErrorClass::Transient, "HTTP status 502"),
        ("307 Elsewhere", ErrorClass::Transient, "HTTP status 307"),
    ] {
        let (found, text) = failure_of(html(status));
        assert_eq!(found, class, "{text}");
        says(&text, &[fact, ADVICE]);
    }
}

#[test]
fn a_wrong_secret() {
    let (class, text) = failure_of(refusal("InvalidSignatureException", "does not match"));
    assert_eq!(class, ErrorClass::Fatal);
    says(&text, &["answered InvalidSignatureException: does not match", "the secret access key"]);
}

#[test]
fn a_wrong_key() {
    let (class, text) = failure_of(refusal("UnrecognizedClientException", "invalid token"));
    assert_eq!(class, ErrorClass::Credentials);
    says(&text, &["answered UnrecognizedClientException: invalid token", "check the access key"]);
}

#[test]
fn a_missing_permission() {
    let (class, text) = failure_of(refusal("AccessDeniedException", "not authorized"));
    assert_eq!(class, ErrorClass::Fatal);
    says(&text, &["not authorized", "the credentials need kinesis:ListShards on the stream"]);
}

#[test]
fn a_key_that_cannot_be_used_names_the_shard() {
    let good = stream_of(1);
    let server = Server::new(move |request| {
        Some(match request.operation() {
            "GetRecords" => refusal("KMSDisabledException", "key/1 is disabled"),
            _ => good(request),
        })
    });
    let builder = KinesisClient::builder().endpoint(server.url()).credentials("key", "secret");
    let client = builder.build().unwrap();
    let stream = Stream::new(client, "orders", LocalStore::new(), Config::new()).unwrap();
    let error = stream.listen(|_| Ok(())).unwrap_err();
    assert_eq!(error.shard(), Some("shardId-000000000000"));
    let facts = ["\"orders\"", "shardId-000000000000", "GetRecords", "key/1", "enable the key"];
    says(&chain(&error), &facts);
}

#[test]
fn a_clock_that_is_more_than_five_minutes_off() {
    for code in ["RequestExpired", "InvalidSignatureException"] {
        let off = Duration::from_secs(400);
        let date = httpdate::fmt_http_date(SystemTime::now() - off);
        let body = format!(r#"{{"__type":"{code}","message":"Signature expired"}}"#);
        let said = answer("400 Bad Request", &format!("date: {date}\r\n"), &body);
        let (class, text) = failure_of(said);
        assert_eq!(class, ErrorClass::Fatal);
        says(&text, &[code, "check the clock: this machine's is 6 min ahead of the server's"]);
        let (_, text) = failure_of(refusal(code, "Signature not yet current"));
        says(&text, &["check the clock, the secret access key and the region"]);
    }
}
