//! Signed requests over a blocking HTTP client.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use ureq::http::{HeaderMap, Request, Response};
use ureq::{Agent, Body, Timeout};

use crate::aws::endpoint::Endpoint;
use crate::aws::environment::Lookup;
use crate::aws::http::body::{self, MAX_BODY, Unread};
use crate::aws::http::bounds::Bounds;
use crate::aws::http::connector::SharedTls;
use crate::aws::http::malformed::Malformed;
use crate::aws::http::proxy::{self, Route};
use crate::aws::http::refusal::{Dialect, Refusal};
use crate::aws::http::request::Outgoing;
use crate::aws::http::resolver::CachingResolver;
use crate::aws::http::tls::{self, Roots};
use crate::aws::text::{cut, with_sources};
use crate::error::Error;
use crate::error::client::{ClientError, ErrorClass};
use crate::model::time::spoken;

/// Neither a lookup of a name nor a connect in progress can be interrupted, so they are kept short.
pub(crate) const CONNECT: Duration = Duration::from_secs(3);

/// Retries at once, uncounted: a server that has just closed a kept connection loses the request.
const RETRIES: usize = 3;

/// Smaller buffers cost a fifth to a third of the CPU time of reading; larger ones gain nothing.
const INPUT_BUFFER: usize = 64 << 10;

/// Room for the headers; a session token may have several KiB.
const OUTPUT_BUFFER: usize = 32 << 10;

/// Most error answers are a line of JSON. A write that DynamoDB refuses brings the row with it: a row has up to 400 KB, and
/// JSON makes a third more of bytes, and up to twice as much of a text full of quotes. A longer answer is from somebody else.
const MAX_REFUSAL: u64 = 1 << 20;

/// How much later than its deadline a call may end.
///
/// ureq copies all its settings for a request that has its own. Most requests have as much time left as the agent gives
/// each.
const GRAIN: Duration = Duration::from_millis(5);

const USER_AGENT: &str = concat!("kinesis-consumer/", env!("CARGO_PKG_VERSION"), " (sync)");

/// Connections to one server. A clone shares them.
#[derive(Clone)]
pub(crate) struct Transport {
    agent: Agent,
    resolver: CachingResolver,
    deadline: Duration,
    /// The name of the proxy.
    proxy: Option<Arc<str>>,
    ended: Arc<AtomicBool>,
    dialect: &'static Dialect,
}

/// The settings of the way to the server.
pub(crate) struct Network {
    pub(crate) proxy: Option<Route>,
    /// Certificates that are trusted instead of the system's.
    pub(crate) roots: Option<Roots>,
}

impl Network {
    /// The way to this server, as the environment and the profile say it.
    ///
    /// # Errors
    /// If a proxy is not one, or certificates cannot be read.
    pub(crate) fn to(endpoint: &Endpoint, lookup: Lookup<'_>) -> Result<Self, Error> {
        let (proxy, roots) = (proxy::find(endpoint, lookup)?, tls::roots(endpoint.uri(), lookup)?);
        Ok(Self { proxy, roots })
    }
}

/// The head of a good answer.
pub(crate) struct Head<'a>(&'a HeaderMap);

impl Head<'_> {
    /// The server's clock, if the answer has it.
    pub(crate) fn date(&self) -> Option<SystemTime> {
        date(self.0)
    }
}

impl Transport {
    /// A transport with its own connections; it keeps up to `calls` of them open between calls.
    pub(crate) fn new(
        network: &Network,
        resolver: &CachingResolver,
        deadline: Duration,
        calls: usize,
        dialect: &'static Dialect,
    ) -> Self {
        let config = Agent::config_builder()
            .proxy(network.proxy.as_ref().map(|route| route.proxy.clone()))
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(USER_AGENT)
            .accept_encoding("")
            .input_buffer_size(INPUT_BUFFER)
            .output_buffer_size(OUTPUT_BUFFER)
            .max_idle_connections(calls)
            .max_idle_connections_per_host(calls)
            .timeout_global(Some(deadline))
            .timeout_resolve(Some(CONNECT))
            .timeout_connect(Some(CONNECT));
        let config = tls::set(config, network.roots.clone());
        let agent = Agent::with_parts(config.build(), SharedTls::default(), resolver.clone());
        let proxy = network.proxy.as_ref().map(|route| Arc::from(route.name.as_str()));
        Self { agent, resolver: resolver.clone(), deadline, proxy, ended: Arc::default(), dialect }
    }

    /// The most time that a call takes.
    pub(crate) fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Ends every call in progress and fails every later one, of all clones.
    pub(crate) fn end(&self) {
        // Before the connections break: otherwise a call that sees one break would retry.
        self.ended.store(true, Ordering::SeqCst);
        self.agent.clone().shutdown();
    }

    /// Sends a signed request and reads its answer. If the connection breaks, the request is sent again, up to three times: the
    /// service may do it more than once, and an error that it answers then says so; a refusal that is an answer does not.
    /// `refused` gets the service's name for a refusal, and its body.
    ///
    /// # Errors
    /// Whatever goes wrong, classified.
    pub(crate) fn exchange<T>(
        &self,
        request: &impl Outgoing,
        bounds: &Bounds,
        decode: impl FnOnce(&Head<'_>, &[u8]) -> Result<T, Malformed>,
        refused: impl FnOnce(&str, &[u8]) -> Option<Result<T, Malformed>>,
    ) -> Result<T, ClientError> {
        let (response, was_sent_before) = self.send(request, bounds)?;
        let answer = self.answer(response, bounds, decode, refused);
        answer.map_err(|error| if was_sent_before { error.with_earlier_request() } else { error })
    }

    // long: what a bad status and a good one mean for the same body.
    fn answer<T>(
        &self,
        response: Response<Body>,
        bounds: &Bounds,
        decode: impl FnOnce(&Head<'_>, &[u8]) -> Result<T, Malformed>,
        refused: impl FnOnce(&str, &[u8]) -> Option<Result<T, Malformed>>,
    ) -> Result<T, ClientError> {
        let (head, body) = response.into_parts();
        let status = head.status;
        if !status.is_success() {
            return body::read(body, MAX_REFUSAL, bounds.call(), |body, end| {
                let refusal = self.refusal(bounds, status.as_u16(), &head.headers, body);
                let answer = refusal.code().filter(|_| end.is_ok());
                if let Some(answer) = answer.and_then(|code| refused(code, body)) {
                    return answer.map_err(|reason| self.malformed(bounds, &head.headers, &reason));
                }
                match end {
                    // Only the body shows whether a call was throttled or is not allowed.
                    Err(error) if refusal.code().is_none() && status.is_client_error() => {
                        Err(broken_refusal(bounds, status.as_u16(), &error))
                    }
                    _ => Err(refusal),
                }
            });
        }
        body::read(body, MAX_BODY, bounds.call(), |body, end| {
            end.map_err(|unread| broken_body(bounds, &unread))?;
            decode(&Head(&head.headers), body)
                .map_err(|reason| self.malformed(bounds, &head.headers, &reason))
        })
    }

    fn malformed(&self, bounds: &Bounds, headers: &HeaderMap, reason: &Malformed) -> ClientError {
        let kind = header(headers, "content-type").unwrap_or_else(|| "no content type".to_owned());
        let class = if reason.is_cut() { ErrorClass::TooLarge } else { ErrorClass::Transient };
        let (kind, advice) = (cut(&kind), self.dialect.stranger);
        bounds.error(class, format!("the answer ({kind}) makes no sense: {reason}; {advice}"))
    }

    fn refusal(
        &self,
        bounds: &Bounds,
        status: u16,
        headers: &HeaderMap,
        body: &[u8],
    ) -> ClientError {
        let header = header(headers, "x-amzn-errortype");
        let (operation, date) = (bounds.operation(), date(headers));
        let refusal = Refusal { operation, status, header: header.as_deref(), date, body };
        refusal.into_error(self.dialect)
    }

    /// The head of the answer, and whether an earlier request that broke off may have reached the server.
    fn send(
        &self,
        signed: &impl Outgoing,
        bounds: &Bounds,
    ) -> Result<(Response<Body>, bool), ClientError> {
        let (mut retries, mut was_sent) = (0, false);
        loop {
            let left = bounds.check()?;
            if self.ended.load(Ordering::SeqCst) {
                return Err(bounds.stopped());
            }
            let error = match self.attempt(signed, left) {
                Ok(response) => return Ok((response, was_sent)),
                Err(error) => error,
            };
            if is_connect_failure(&error) {
                self.resolver.distrust();
            }
            if retries == RETRIES || !may_pass(&error) {
                return Err(unanswered(bounds, signed, self.proxy.as_deref(), &error));
            }
            (retries, was_sent) = (retries + 1, was_sent || may_have_arrived(&error));
            log::debug!("{} is sent again: {error}", bounds.operation());
        }
    }

    fn attempt(
        &self,
        signed: &impl Outgoing,
        left: Duration,
    ) -> Result<Response<Body>, ureq::Error> {
        let request = signed.to_http()?;
        if left + GRAIN < self.deadline {
            return self.run_within(left, request);
        }
        self.agent.run(request)
    }

    /// Rare, and out of line so that other calls need less stack.
    #[cold]
    fn run_within(
        &self,
        left: Duration,
        request: Request<&[u8]>,
    ) -> Result<Response<Body>, ureq::Error> {
        let request = self.agent.configure_request(request).timeout_global(Some(left)).build();
        self.agent.run(request)
    }
}

/// Whether the same request may pass at once: the connection broke, the server's answer did not.
fn may_pass(error: &ureq::Error) -> bool {
    use ErrorKind::{NotConnected, TimedOut, WouldBlock};
    match error {
        error if tls::is_failure(error) => false,
        ureq::Error::Io(error) => !matches!(error.kind(), NotConnected | TimedOut | WouldBlock),
        ureq::Error::ConnectionFailed => true,
        _ => false,
    }
}

/// Whether the server may have got the request before the connection broke. A route may be lost at any time, so only what
/// cannot come from an open connection proves that it has not.
fn may_have_arrived(error: &ureq::Error) -> bool {
    use ErrorKind::{AddrNotAvailable, ConnectionRefused};
    match error {
        ureq::Error::Io(error) => !matches!(error.kind(), ConnectionRefused | AddrNotAvailable),
        ureq::Error::ConnectionFailed => false,
        _ => true,
    }
}

fn is_connect_failure(error: &ureq::Error) -> bool {
    use ErrorKind::{
        AddrNotAvailable, ConnectionRefused, HostUnreachable, NetworkDown, NetworkUnreachable,
    };
    match error {
        ureq::Error::Io(error) => matches!(
            error.kind(),
            ConnectionRefused
                | HostUnreachable
                | NetworkUnreachable
                | NetworkDown
                | AddrNotAvailable
        ),
        ureq::Error::Timeout(Timeout::Connect) | ureq::Error::ConnectionFailed => true,
        error => tls::is_failure(error),
    }
}

/// There was no status line.
// long: one text for each way in which no answer comes.
fn unanswered(
    bounds: &Bounds,
    signed: &impl Outgoing,
    proxy: Option<&str>,
    error: &ureq::Error,
) -> ClientError {
    let server = signed.server();
    bounds.transient(match (error, proxy) {
        // The connection that failed.
        (ureq::Error::Timeout(Timeout::Connect | Timeout::Resolve), proxy) => {
            let advice = "check the endpoint, the network and any proxy";
            let first = proxy.unwrap_or(&server);
            format!("no connection to {first} within {}; {advice}", spoken(CONNECT))
        }
        (ureq::Error::Timeout(_), _) => return bounds.late(),
        (ureq::Error::ConnectProxyFailed(said), Some(proxy)) => {
            let said = cut(said);
            format!(
                "{proxy} does not reach {server}: {said}; check which hosts and users it allows"
            )
        }
        (error, Some(proxy)) if is_unreached(error) => {
            let said = with_sources(error);
            format!("no connection to {proxy}: {said}; check that it is up, or set NO_PROXY")
        }
        (error, proxy) => {
            let (said, advice) = (with_sources(error), unanswered_advice(error));
            let by = proxy.map_or_else(String::new, |proxy| format!(" by {proxy}"));
            format!("no answer from {server}{by}: {said}; {advice}")
        }
    })
}

/// There was no connection to the first host of the route.
fn is_unreached(error: &ureq::Error) -> bool {
    let is_tls = tls::is_failure(error);
    matches!(error, ureq::Error::HostNotFound) || is_connect_failure(error) && !is_tls
}

/// What to do about a request without an answer.
fn unanswered_advice(error: &ureq::Error) -> &'static str {
    match error {
        error if tls::is_failure(error) => tls::ADVICE,
        ureq::Error::Io(error) if error.kind() == ErrorKind::ConnectionRefused => {
            "check that the server is up, and the endpoint"
        }
        ureq::Error::Io(error) if is_out_of_files(error) => "raise the limit of open files",
        // An error of the resolver.
        ureq::Error::Io(error) if error.kind() == ErrorKind::QuotaExceeded => {
            "raise the limit of threads"
        }
        ureq::Error::HostNotFound => "check the endpoint and the region",
        _ => "check the endpoint, the network and any proxy",
    }
}

/// `EMFILE` and `ENFILE`, which have no kind of their own.
fn is_out_of_files(error: &std::io::Error) -> bool {
    cfg!(unix) && matches!(error.raw_os_error(), Some(23 | 24))
}

/// The body ended before its end.
fn broken_body(bounds: &Bounds, unread: &Unread) -> ClientError {
    let error = match unread {
        Unread::Broken(error) => error,
        Unread::OverBudget => {
            return bounds.error(ErrorClass::OverBudget, "no room for the answer in the budget");
        }
    };
    match error {
        ureq::Error::Timeout(_) => bounds.late(),
        ureq::Error::BodyExceedsLimit(limit) => {
            let message = format!("an answer of more than {} MiB", limit >> 20);
            bounds.error(ErrorClass::TooLarge, message)
        }
        ureq::Error::Io(error) => {
            bounds.error(ErrorClass::TooLarge, format!("the answer was cut: {error}"))
        }
        error => bounds.transient(format!("the answer makes no sense: {}", with_sources(error))),
    }
}

/// The answer was an error, and was cut before its type.
fn broken_refusal(bounds: &Bounds, status: u16, unread: &Unread) -> ClientError {
    match unread {
        Unread::OverBudget | Unread::Broken(ureq::Error::Timeout(_)) => bounds.late(),
        Unread::Broken(error) => {
            bounds.transient(format!("HTTP status {status}, and the answer was cut: {error}"))
        }
    }
}

/// The server's clock, if the answer has it.
fn date(headers: &HeaderMap) -> Option<SystemTime> {
    httpdate::parse_http_date(&header(headers, "date")?).ok()
}

/// A header's text; bytes that are not UTF-8 are replaced.
fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = headers.get(name)?;
    Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn only_a_connection_that_was_never_made_has_surely_carried_nothing() {
        use ErrorKind::*;
        let of = |kind: ErrorKind| may_have_arrived(&ureq::Error::Io(io::Error::from(kind)));
        for kind in [ConnectionReset, BrokenPipe, UnexpectedEof, HostUnreachable, NetworkDown] {
            assert!(of(kind), "{kind}");
        }
        assert!(!of(ConnectionRefused) && !of(AddrNotAvailable));
        assert!(!may_have_arrived(&ureq::Error::ConnectionFailed));
    }
}
