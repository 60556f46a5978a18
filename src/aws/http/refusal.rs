//! The meaning of an error answer, by its type and status, never by its message.

use std::time::{Duration, SystemTime};

use serde::Deserialize;

use crate::aws::text::cut;
use crate::error::client::{ClientError, ErrorClass};
use crate::model::time::spoken;

/// A clock that is wrong by this much is named in the error.
const SKEW: Duration = Duration::from_secs(60);

/// Amazon refuses requests that are earlier or later.
const MAX_SKEW: Duration = Duration::from_secs(300);

/// The codes of one service. They come without "Exception" at their ends.
pub(crate) struct Dialect {
    /// The class of a code, if it is the service's own.
    pub(crate) class: fn(&str) -> Option<ErrorClass>,
    /// Whether a fatal refusal with this code may have passed at the next call, if it is the service's own.
    pub(crate) may_pass: fn(&str) -> Option<bool>,
    /// What to do about a code, in an operation.
    pub(crate) advice: fn(&str, &str) -> Option<String>,
    /// What to do about an answer that the service never gives.
    pub(crate) stranger: &'static str,
}

/// An answer that is an error.
pub(crate) struct Refusal<'a> {
    pub(crate) operation: &'static str,
    pub(crate) status: u16,
    /// The header `x-amzn-ErrorType`, which counts if the body names no type.
    pub(crate) header: Option<&'a str>,
    /// The server's clock.
    pub(crate) date: Option<SystemTime>,
    pub(crate) body: &'a [u8],
}

impl Refusal<'_> {
    /// The error for this answer.
    pub(crate) fn into_error(self, dialect: &Dialect) -> ClientError {
        let said: Said = serde_json::from_slice(self.body).unwrap_or_default();
        let code = said.code.as_deref().or(self.header).and_then(bare);
        let class = classify(dialect, code, self.status);
        let mut message = cut(&said.message.unwrap_or_default());
        if code.is_none() || message.is_empty() {
            message = join(&format!("HTTP status {}", self.status), &message);
        }
        if let Some(advice) = advice(dialect, self.operation, code, self.date) {
            message = join(&message, &advice);
        }
        let mut error = ClientError::new(class, self.operation, message);
        if class == ErrorClass::Fatal && may_pass(dialect, code, self.date) {
            error = error.with_passing();
        }
        match code {
            Some(code) => error.with_code(code.to_owned()),
            None => error,
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Said {
    #[serde(rename = "__type")]
    code: Option<String>,
    #[serde(alias = "Message")]
    message: Option<String>,
}

/// The name without what stands round it: `com.amazonaws.kinesis#Name`, `Name:http://…`.
fn bare(code: &str) -> Option<&str> {
    let name = code.rsplit('#').next()?;
    let name = name.split(':').next()?.trim();
    // It appears in logs, and a gateway may send any text.
    let is_name = (1..=100).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic());
    is_name.then_some(name)
}

/// Names come with and without "Exception" at their end, depending on which host before the service refuses.
// long: a table of codes.
fn classify(dialect: &Dialect, code: Option<&str>, status: u16) -> ErrorClass {
    let name = short(code.unwrap_or_default());
    (dialect.class)(name).unwrap_or_else(|| match name {
        "Validation" | "ValidationError" => ErrorClass::InvalidArgument,
        "LimitExceeded"
        | "TooManyRequests"
        | "RequestLimitExceeded"
        | "RequestThrottled"
        | "SlowDown" => ErrorClass::Throttled,
        "UnrecognizedClient" | "InvalidClientTokenId" => ErrorClass::Credentials,
        name if is_about_time(name) => ErrorClass::Fatal,
        "OptInRequired" => ErrorClass::Fatal,
        // Amazon's clients retry these, although their status is 400.
        "RequestTimeout"
        | "IDPCommunicationError"
        | "InternalError"
        | "InternalFailure"
        | "InternalServerError"
        | "ServiceUnavailable" => ErrorClass::Transient,
        "BandwidthLimitExceeded"
        | "PriorRequestNotComplete"
        | "TransactionInProgress"
        | "Throttled"
        | "EC2Throttled" => ErrorClass::Throttled,
        name if name.starts_with("Throttling") => ErrorClass::Throttled,
        name if name.starts_with("ExpiredToken") => ErrorClass::Credentials,
        name if is_denial(name) => ErrorClass::Fatal,
        _ => by_status(status),
    })
}

fn short(code: &str) -> &str {
    code.strip_suffix("Exception").unwrap_or(code)
}

/// Refusals because of the signature, which includes the time.
fn is_about_time(name: &str) -> bool {
    matches!(
        name,
        "RequestExpired"
            | "RequestInTheFuture"
            | "RequestTimeTooSkewed"
            | "InvalidSignature"
            | "SignatureDoesNotMatch"
    )
}

/// Whether a fatal refusal may have passed at the next call. An answer that the service never gives may come from a
/// gateway whose server is away for a moment.
fn may_pass(dialect: &Dialect, code: Option<&str>, date: Option<SystemTime>) -> bool {
    let Some(code) = code else { return true };
    let name = short(code);
    (dialect.may_pass)(name).unwrap_or_else(|| match name {
        // Each call gets a new signature. A clock that is really wrong stays wrong.
        name if is_about_time(name) => date.is_none_or(|date| off_by(date).0 <= MAX_SKEW),
        "OptInRequired" => false,
        name => !is_denial(name),
    })
}

fn is_denial(name: &str) -> bool {
    let starts = ["AccessDenied", "MissingAuthenticationToken", "IncompleteSignature"];
    starts.iter().any(|start| name.starts_with(start))
}

fn by_status(status: u16) -> ErrorClass {
    match status {
        429 => ErrorClass::Throttled,
        // The server waited for the request too long: the network's fault, not the request's.
        408 => ErrorClass::Transient,
        400..=499 => ErrorClass::Fatal,
        _ => ErrorClass::Transient,
    }
}

/// What to do about it, if known.
// long: a table of codes.
fn advice(
    dialect: &Dialect,
    operation: &str,
    code: Option<&str>,
    date: Option<SystemTime>,
) -> Option<String> {
    let Some(code) = code else { return Some(dialect.stranger.to_owned()) };
    let name = short(code);
    (dialect.advice)(operation, name).or_else(|| {
        let text = match name {
            "OptInRequired" => "the account must subscribe to the service first",
            name if is_about_time(name) => {
                return Some(date.and_then(skew).unwrap_or_else(|| {
                    "check the clock, the secret access key and the region".to_owned()
                }));
            }
            "UnrecognizedClient" | "InvalidClientTokenId" => {
                "check the access key and the session token, and that they are for this region"
            }
            name if name.starts_with("ExpiredToken") => "get new credentials",
            name if name.starts_with("MissingAuthenticationToken") => "check the endpoint",
            _ => return None,
        };
        Some(text.to_owned())
    })
}

/// The error of this machine's clock, if the server's clock shows one.
pub(crate) fn skew(server: SystemTime) -> Option<String> {
    let (by, side) = off_by(server);
    (by > SKEW)
        .then(|| format!("check the clock: this machine's is {} {side} the server's", spoken(by)))
}

/// How much this machine's clock differs from the server's, and in which direction.
fn off_by(server: SystemTime) -> (Duration, &'static str) {
    match SystemTime::now().duration_since(server) {
        Ok(ahead) => (ahead, "ahead of"),
        Err(behind) => (behind.duration(), "behind"),
    }
}

fn join(first: &str, second: &str) -> String {
    match (first.is_empty(), second.is_empty()) {
        (true, _) => second.to_owned(),
        (_, true) => first.to_owned(),
        _ => format!("{first}; {second}"),
    }
}
