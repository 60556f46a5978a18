//! The services that give credentials, asked over HTTP.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use serde_json::Value;
use ureq::Timeout;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use crate::aws::credentials::question::Question;
use crate::aws::credentials::unavailable::Unavailable;
use crate::aws::endpoint::Endpoint;
use crate::aws::environment::Lookup;
use crate::aws::http::proxy::{self, Route};
use crate::aws::http::quiet::{self, Answer, Ask, Way};
use crate::aws::http::resolver::CachingResolver;
use crate::aws::http::tls;
use crate::aws::http::transport::CONNECT;
use crate::aws::text::{cut, with_sources};
use crate::error::Error;
use crate::model::time::spoken;

/// How long an answer of the machine's own network may take; a working service answers in milliseconds.
pub(crate) const NEAR: Duration = Duration::from_secs(2);
/// How long an answer of a service of the region may take.
pub(crate) const FAR: Duration = Duration::from_secs(5);

/// How often a request is sent whose service fails for a moment.
const ATTEMPTS: u32 = 3;
/// The longest wait between two of them.
const PAUSE_MILLIS: u64 = 200;

/// Asks services for one question.
pub(crate) struct Services<'a> {
    question: &'a Question,
    lookup: Lookup<'a>,
    resolver: CachingResolver,
}

/// Where a service is.
#[derive(Clone, Copy)]
pub(crate) enum Place<'a> {
    /// On the network of the machine, without a proxy, at an address that fits.
    Near(fn(IpAddr) -> bool),
    /// At an endpoint, by a proxy if the environment names one.
    At(&'a Endpoint),
}

/// A failed call.
pub(crate) enum Failure {
    /// An error status.
    Refused(Answer),
    /// The connection broke.
    Broken(String),
    /// There was no answer in time.
    Late(String),
    /// There is no server of that name, or what answered is none.
    Strange(String),
    /// It must not be sent as it is set up.
    Forbidden(String),
}

impl<'a> Services<'a> {
    pub(crate) fn new(question: &'a Question, lookup: Lookup<'a>) -> Self {
        Self { question, lookup, resolver: CachingResolver::new() }
    }

    /// The answer to this request. It is sent again if the service fails for a moment.
    pub(crate) fn ask(
        &self,
        ask: &Ask<'_>,
        place: Place<'_>,
        limit: Duration,
    ) -> Result<Answer, Failure> {
        let mut attempts = ATTEMPTS;
        loop {
            attempts -= 1;
            let failure = match self.attempt(ask, place, limit) {
                Ok(answer) if answer.status == 200 => return Ok(answer),
                Ok(answer) => Failure::Refused(answer),
                Err(failure) => failure,
            };
            let pause = Duration::from_millis(fastrand::u64(PAUSE_MILLIS / 4..=PAUSE_MILLIS));
            if !failure.may_pass() || attempts == 0 || !self.question.pause(pause) {
                return Err(failure);
            }
        }
    }

    fn attempt(&self, ask: &Ask<'_>, place: Place<'_>, limit: Duration) -> Result<Answer, Failure> {
        let forbidden = |error: Error| Failure::Forbidden(error.to_string());
        let (route, fits) = match place {
            Place::Near(fits) => (None, fits),
            Place::At(endpoint) => {
                let route = proxy::find(endpoint, self.lookup).map_err(forbidden)?;
                (route, anywhere as fn(IpAddr) -> bool)
            }
        };
        let roots = tls::roots(ask.uri, self.lookup).map_err(forbidden)?;
        let resolver = Guarded { resolver: self.resolver.clone(), fits };
        let (proxy, register) = (route.as_ref(), self.question.register());
        let way = Way { resolver: &resolver, proxy, roots, register };
        quiet::exchange(ask, &way, self.question.left(limit))
            .map_err(|error| Failure::of(&error, ask.uri, proxy, limit))
    }
}

impl Failure {
    fn of(error: &ureq::Error, uri: &Uri, proxy: Option<&Route>, limit: Duration) -> Self {
        let by = proxy.map_or_else(String::new, |route| format!(" by {}", route.name));
        let server = uri.authority().map(|it| it.as_str()).unwrap_or_default();
        let text = format!("no answer from {server}{by}: {}", with_sources(error));
        match error {
            error if tls::is_failure(error) => Self::Strange(format!("{text}; {}", tls::ADVICE)),
            ureq::Error::Timeout(Timeout::Connect | Timeout::Resolve) => {
                let limit = limit.min(CONNECT);
                Self::Late(format!("no connection to {server}{by} within {}", spoken(limit)))
            }
            ureq::Error::Timeout(_) => {
                Self::Late(format!("no answer within {}{by}", spoken(limit)))
            }
            ureq::Error::Io(io) => match io.get_ref().and_then(|it| it.downcast_ref::<Far>()) {
                Some(far) => Self::Forbidden(format!("{server}: {far}")),
                None => Self::Broken(text),
            },
            ureq::Error::ConnectionFailed => Self::Broken(text),
            _ => Self::Strange(text),
        }
    }

    /// Whether the same request may pass a moment later.
    fn may_pass(&self) -> bool {
        match self {
            Self::Refused(answer) => answer.status >= 500 || answer.status == 429,
            Self::Broken(_) => true,
            Self::Late(_) | Self::Strange(_) | Self::Forbidden(_) => false,
        }
    }
}

/// Any address fits.
pub(crate) fn anywhere(_: IpAddr) -> bool {
    true
}

/// An address that does not fit.
#[derive(Debug, thiserror::Error)]
#[error("plain http does not go to its address {0}: use https")]
struct Far(IpAddr);

/// Gives only addresses that fit. The connection is made to them, and the name is not looked up again.
#[derive(Debug)]
struct Guarded {
    resolver: CachingResolver,
    fits: fn(IpAddr) -> bool,
}

impl Resolver for Guarded {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let found = self.resolver.resolve(uri, config, timeout)?;
        // Tests reach no other machine.
        let is_open =
            |address: IpAddr| (self.fits)(address) && (!cfg!(test) || address.is_loopback());
        match found.iter().find(|it| !is_open(it.ip())) {
            Some(other) => Err(io::Error::other(Far(other.ip())).into()),
            None => Ok(found),
        }
    }
}

impl Answer {
    /// The body as text; bytes that are not UTF-8 are replaced.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

// Bodies may hold keys.
impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Failure({self})")
    }
}

/// The status and the reason, if it is in JSON.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(answer) => {
                write!(f, "HTTP status {}", answer.status)?;
                let said = said(&answer.text());
                if said.is_empty() { Ok(()) } else { write!(f, ": {said}") }
            }
            Self::Broken(why) | Self::Late(why) | Self::Strange(why) | Self::Forbidden(why) => {
                f.write_str(why)
            }
        }
    }
}

impl From<Failure> for Unavailable {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Forbidden(why) => Self::for_good(why),
            failure => Self::for_now(failure.to_string()),
        }
    }
}

/// The text of an error in JSON; a page for people has none.
fn said(text: &str) -> String {
    let said = serde_json::from_str::<Value>(text).unwrap_or_default();
    let fields = ["code", "Code", "message", "Message"].into_iter();
    let texts: Vec<_> = fields.filter_map(|field| said[field].as_str()).collect();
    cut(&texts.join(" "))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn an_error_tells_its_reason_but_no_page() {
        assert_eq!(said(r#"{"code":"AccessDenied","message":"no"}"#), "AccessDenied no");
        assert_eq!(said("<html>Forbidden</html>"), "");
    }

    fn asked(services: &Services<'_>, url: &str, fits: fn(IpAddr) -> bool) -> Unavailable {
        let uri = url.parse().unwrap();
        let ask = Ask { method: "GET", uri: &uri, headers: Vec::new(), body: b"" };
        services.ask(&ask, Place::Near(fits), NEAR).err().expect("nobody answers").into()
    }

    /// Gives one address first, and another at each later time.
    #[derive(Debug, Default)]
    struct Turning(AtomicUsize);

    impl Resolver for Turning {
        fn resolve(
            &self,
            _: &Uri,
            _: &Config,
            _: NextTimeout,
        ) -> Result<ResolvedSocketAddrs, ureq::Error> {
            let mut found = self.empty();
            let is_first = self.0.fetch_add(1, Ordering::SeqCst) == 0;
            found.push(if is_first { "127.0.0.1:9" } else { "192.0.2.1:9" }.parse().unwrap());
            found.push("127.0.0.1:9".parse().unwrap());
            Ok(found)
        }
    }

    #[test]
    fn a_connection_is_made_to_the_addresses_that_were_checked_and_all_of_them_must_fit() {
        let (question, _interest) = Question::new(FAR);
        let resolver = CachingResolver::with(Turning::default());
        let services = Services { resolver, ..Services::new(&question, &|_| None) };
        let near = |address: IpAddr| address.is_loopback();
        let why = asked(&services, "http://agent.example:9/", near);
        assert!(why.reason.contains("refused") && !why.is_final, "{why:?}");
        services.resolver.distrust();
        let why = asked(&services, "http://agent.example:9/", near);
        assert_eq!(
            why.reason,
            "agent.example:9: plain http does not go to its address 192.0.2.1: use https"
        );
        assert!(why.is_final);
    }

    #[test]
    fn a_connection_that_the_system_does_not_permit_may_come_about_later() {
        let refused = io::Error::from(io::ErrorKind::PermissionDenied).into();
        let failure = Failure::of(&refused, &"http://agent.example/".parse().unwrap(), None, NEAR);
        assert!(failure.may_pass() && !Unavailable::from(failure).is_final);
    }

    #[test]
    fn a_test_reaches_no_other_machine() {
        let (question, _interest) = Question::new(FAR);
        let services = Services::new(&question, &|_| None);
        for url in ["http://169.254.169.254/", "https://192.0.2.1/"] {
            let why = asked(&services, url, anywhere);
            assert!(why.reason.contains("does not go to its address"), "{why:?}");
        }
    }
}
