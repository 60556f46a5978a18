//! The servers, and what a case knows about the one it runs on.

use std::env;
use std::fmt::Display;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ferrokinesis::store::StoreOptions;
use kinesis_consumer::KinesisClient;

use super::known;
use super::results::{Outcome, say};
use crate::common::support;

pub(crate) struct Server {
    name: &'static str,
    endpoint: String,
    expiring: Option<String>,
    tls: Option<Tls>,
}

/// The same server behind TLS.
pub(crate) struct Tls {
    pub(crate) endpoint: String,
    /// The path of the certificate to trust.
    pub(crate) certificate: String,
}

/// One case on one server.
pub(crate) struct Case<'a> {
    server: &'a Server,
    name: &'static str,
    reason: Option<&'static str>,
    differed: AtomicBool,
}

/// The embedded server with tokens that live one second.
pub(crate) fn with_tokens_of_a_second() -> support::Server {
    let options = StoreOptions { iterator_ttl_seconds: 1, ..support::Server::options() };
    support::Server::with(options, |router| router).unwrap()
}

impl Server {
    pub(crate) fn embedded(endpoint: &str, expiring: &str) -> Self {
        let (endpoint, expiring) = (endpoint.into(), Some(expiring.into()));
        Self { name: "embedded", endpoint, expiring, tls: None }
    }

    /// Where `KINESIS_LOCAL_ENDPOINT` says.
    pub(crate) fn kinesis_local() -> Option<Self> {
        let endpoint = address("kinesis-local", "KINESIS_LOCAL_ENDPOINT")?;
        let tls = Tls {
            endpoint: address("kinesis-local", "KINESIS_LOCAL_TLS_ENDPOINT")?,
            certificate: address("kinesis-local", "KINESIS_LOCAL_CERT")?,
        };
        Some(Self { name: "kinesis-local", endpoint, expiring: None, tls: Some(tls) })
    }

    /// Where `KINESALITE_ENDPOINT` says.
    pub(crate) fn kinesalite() -> Option<Self> {
        let endpoint = address("kinesalite", "KINESALITE_ENDPOINT")?;
        Some(Self { name: "kinesalite", endpoint, expiring: None, tls: None })
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }
}

/// What the variable holds. Without it the server is left out, which is said; in CI that is a failure.
fn address(server: &str, variable: &str) -> Option<String> {
    let found = env::var(variable).ok().filter(|value| !value.is_empty());
    if found.is_none() {
        let in_ci = env::var("CI").is_ok_and(|value| value == "true");
        assert!(!in_ci, "{variable} is not set: tests/servers/run.sh COMMAND sets it");
        say(&format!("{server}: left out, {variable} is not set (tests/servers/run.sh sets it)"));
    }
    found
}

impl<'a> Case<'a> {
    pub(crate) fn new(server: &'a Server, name: &'static str) -> Self {
        let reason = known::reason(server.name, name);
        Self { server, name, reason, differed: AtomicBool::new(false) }
    }

    /// The name that its stream takes.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn endpoint(&self) -> &str {
        &self.server.endpoint
    }

    /// Where tokens live a second, if there is such a server.
    pub(crate) fn expiring_endpoint(&self) -> &str {
        self.server.expiring.as_deref().unwrap_or(&self.server.endpoint)
    }

    pub(crate) fn tls(&self) -> Option<&Tls> {
        self.server.tls.as_ref()
    }

    /// The one assertion of the case that may be known to differ: it holds, unless the table says that
    /// it does not here; then it must not.
    pub(crate) fn check(&self, holds: bool, what: impl Display) {
        match self.reason {
            None => assert!(holds, "{what}"),
            Some(reason) => {
                assert!(!holds, "{what}: so it is no known difference any more that it {reason}");
                self.differed.store(true, Ordering::Relaxed);
            }
        }
    }

    pub(crate) fn outcome(&self) -> Outcome {
        match self.reason {
            None => Outcome::Passed,
            Some(reason) if self.differed.load(Ordering::Relaxed) => Outcome::Differs(reason),
            // It names a case that has no such assertion.
            Some(_) => Outcome::Failed,
        }
    }
}

/// The longest that a client can be told to wait for an answer: no case is about that.
const DEADLINE: Duration = Duration::from_secs(300);

pub(crate) fn client(endpoint: &str) -> KinesisClient {
    let client =
        KinesisClient::builder().endpoint(endpoint).region(support::REGION).deadline(DEADLINE);
    client.credentials("test", "test").build().unwrap()
}
