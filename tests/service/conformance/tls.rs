//! A server behind TLS: read if its certificate is trusted, refused clearly if not.

use std::env;
use std::process::Command;
use std::time::Duration;

use kinesis_consumer::{Error, LocalStore, Stream};

use super::reader::{Door, Reader};
use super::server::{Case, Tls, client};
use super::stream::{TestStream, config};
use crate::common::children::test_of;

const RECORDS: usize = 20;
/// What the process of its own is told: where, and which stream.
const ENDPOINT: &str = "CONFORMANCE_TLS_ENDPOINT";
const STREAM: &str = "CONFORMANCE_TLS_STREAM";

pub(crate) fn tls(case: &Case) {
    let stream = TestStream::new(case, 2);
    stream.put(RECORDS);
    let plain = case.endpoint().replacen("http://", "https://", 1);
    assert!(refusal(&plain, stream.name()).contains(&plain), "a plain port was read over TLS");

    case.check(case.tls().is_some(), "there is a port for TLS");
    if let Some(tls) = case.tls() {
        let refusal = refusal(&tls.endpoint, stream.name());
        // As OpenSSL says it, or as rustls.
        let reasons = ["certificate verify failed", "UnknownIssuer"];
        assert!(reasons.iter().any(|reason| refusal.contains(reason)), "{refusal}");
        read_trusting(tls, stream.name());
    }
}

/// What is said about a server that cannot be spoken to.
fn refusal(endpoint: &str, stream: &str) -> String {
    let config = config().start_patience(Duration::from_secs(1));
    let stream = Stream::new(client(endpoint), stream, LocalStore::new(), config).unwrap();
    let error = stream.listen(|_| panic!("nothing is read")).unwrap_err();
    let Error::Client { source, .. } = &error else { panic!("{error:?}") };
    source.to_string()
}

/// In a process of its own: certificates to trust are read once, and come from the environment.
fn read_trusting(tls: &Tls, stream: &str) {
    let test = test_of(module_path!(), "child");
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", &test, "--ignored", "--nocapture"])
        .env("SSL_CERT_FILE", &tls.certificate)
        .env_remove("AWS_CA_BUNDLE")
        .env(ENDPOINT, &tls.endpoint)
        .env(STREAM, stream)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{output:?}");
}

#[test]
#[ignore = "the case `tls` runs it, in a process of its own"]
fn child() {
    let (endpoint, stream) = (env::var(ENDPOINT).unwrap(), env::var(STREAM).unwrap());
    let stream = Stream::new(client(&endpoint), &stream, LocalStore::new(), config()).unwrap();
    let reader = Reader::start(stream, Door::Listen);
    reader.wait_for(RECORDS);
    reader.stop().assert_is(0..RECORDS);
}
