//! What an answer that is an error means, by its type and status, never by its message.

use std::time::{Duration, SystemTime};

use serde::Deserialize;

use super::text::cut;
use crate::error::client::{ClientError, ErrorClass};

/// What to do about an answer that no Kinesis gives.
pub(super) const NO_KINESIS: &str =
    "check that the endpoint is a Kinesis, and any proxy on the way";

/// A clock that is so far off is worth telling.
const SKEW: Duration = Duration::from_secs(60);

/// Amazon refuses requests that are earlier or later.
const MAX_SKEW: Duration = Duration::from_secs(300);

/// An answer that is an error.
pub(super) struct Refusal<'a> {
    pub(super) operation: &'static str,
    pub(super) status: u16,
    /// The header `x-amzn-ErrorType`, which counts if the body names no type.
    pub(super) header: Option<&'a str>,
    /// The server's clock.
    pub(super) date: Option<SystemTime>,
    pub(super) body: &'a [u8],
}

impl Refusal<'_> {
    /// The error that it is.
    pub(super) fn into_error(self) -> ClientError {
        let said: Said = serde_json::from_slice(self.body).unwrap_or_default();
        let code = said.code.as_deref().or(self.header).and_then(bare);
        let class = classify(code, self.status);
        let mut message = cut(&said.message.unwrap_or_default());
        if code.is_none() || message.is_empty() {
            message = join(&format!("HTTP status {}", self.status), &message);
        }
        if let Some(advice) = advice(self.operation, code, self.date) {
            message = join(&message, &advice);
        }
        let mut error = ClientError::new(class, self.operation, message);
        if class == ErrorClass::Fatal && may_pass(code, self.date) {
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
    // It goes into logs, and a gateway may say anything.
    let is_name = (1..=100).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic());
    is_name.then_some(name)
}

/// Names come with and without "Exception" at their end, depending on who in front of the service
/// refuses.
fn classify(code: Option<&str>, status: u16) -> ErrorClass {
    let code = code.unwrap_or_default();
    match code.strip_suffix("Exception").unwrap_or(code) {
        "ResourceNotFound" => ErrorClass::NotFound,
        "ResourceInUse" => ErrorClass::InUse,
        "InvalidArgument" | "Validation" | "ValidationError" => ErrorClass::InvalidArgument,
        "ExpiredIterator" => ErrorClass::ExpiredIterator,
        "ExpiredNextToken" => ErrorClass::ExpiredNextToken,
        "ProvisionedThroughputExceeded"
        | "LimitExceeded"
        | "KMSThrottling"
        | "TooManyRequests"
        | "RequestLimitExceeded"
        | "RequestThrottled"
        | "SlowDown" => ErrorClass::Throttled,
        "UnrecognizedClient" | "InvalidClientTokenId" => ErrorClass::Credentials,
        name if is_about_time(name) => ErrorClass::Fatal,
        "OptInRequired" => ErrorClass::Fatal,
        // Amazon's clients try these again, though their status is 400.
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
    }
}

/// What is refused for its signature, of which the time is a part.
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

/// Whether a fatal refusal may be over at the next call. What no Kinesis answers may be a gateway's, whose server is
/// away for a moment; a key may be out of reach of its store, or in transition.
fn may_pass(code: Option<&str>, date: Option<SystemTime>) -> bool {
    let Some(code) = code else { return true };
    match code.strip_suffix("Exception").unwrap_or(code) {
        // Each call is signed anew. A clock that is really wrong stays so.
        name if is_about_time(name) => date.is_none_or(|date| off_by(date).0 <= MAX_SKEW),
        "KMSInvalidState" => true,
        "OptInRequired" => false,
        name => !is_denial(name),
    }
}

fn is_denial(name: &str) -> bool {
    let starts = ["AccessDenied", "KMS", "MissingAuthenticationToken", "IncompleteSignature"];
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

/// What to do about it, where that is known.
fn advice(operation: &str, code: Option<&str>, date: Option<SystemTime>) -> Option<String> {
    let Some(code) = code else { return Some(NO_KINESIS.to_owned()) };
    let text = match code.strip_suffix("Exception").unwrap_or(code) {
        "KMSAccessDenied" => "the credentials need kms:Decrypt on the key of the stream",
        "KMSDisabled" => "enable the key that the stream is encrypted with",
        "KMSInvalidState" => "check the state of the stream's key: it may await its deletion",
        "KMSNotFound" => "check that the stream's key exists in this region",
        "KMSOptInRequired" | "OptInRequired" => "the account must subscribe to the service first",
        name if name.starts_with("AccessDenied") => {
            return Some(format!("the credentials need kinesis:{operation} on the stream"));
        }
        "KMSThrottling" => "the key is used too often: raise its quota, or the interval",
        "ProvisionedThroughputExceeded" => {
            "all consumers of a shard share five reads and 2 MB a second: raise the interval, or the \
             number of shards"
        }
        "InvalidArgument" if operation == "GetShardIterator" => {
            "check the sequence number or timestamp that reading starts at"
        }
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
}

/// What is wrong with this machine's clock, if the server's tells.
fn skew(server: SystemTime) -> Option<String> {
    let (by, side) = off_by(server);
    (by > SKEW).then(|| {
        format!("check the clock: this machine's is {} s {side} the server's", by.as_secs())
    })
}

/// How far this machine's clock is from the server's, and on which side.
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

#[cfg(test)]
mod tests {
    use super::*;
    use ErrorClass::*;

    fn refusal(status: u16, header: Option<&str>, body: &str) -> ClientError {
        let body = body.as_bytes();
        Refusal { operation: "GetRecords", status, header, date: None, body }.into_error()
    }

    #[test]
    fn every_known_type_has_its_class_however_it_is_wrapped() {
        for (code, status, class) in [
            ("ResourceNotFoundException", 400, NotFound),
            ("ResourceInUseException", 400, InUse),
            ("InvalidArgumentException", 400, InvalidArgument),
            ("ValidationException", 400, InvalidArgument),
            ("ExpiredIteratorException", 400, ExpiredIterator),
            ("ExpiredNextTokenException", 400, ExpiredNextToken),
            ("ProvisionedThroughputExceededException", 400, Throttled),
            ("LimitExceededException", 400, Throttled),
            ("KMSThrottlingException", 400, Throttled),
            ("ThrottlingException", 400, Throttled),
            ("Throttling", 400, Throttled),
            ("ThrottlingFutureException", 400, Throttled),
            ("TooManyRequestsException", 400, Throttled),
            ("SomethingNew", 429, Throttled),
            ("RequestTimeoutException", 400, Transient),
            ("BandwidthLimitExceeded", 400, Throttled),
            ("ThrottledException", 400, Throttled),
            ("TransactionInProgressException", 400, Throttled),
            ("InternalFailure", 400, Transient),
            ("InternalError", 400, Transient),
            ("ServiceUnavailableException", 400, Transient),
            ("ExpiredTokenException", 400, Credentials),
            ("ExpiredToken", 403, Credentials),
            ("UnrecognizedClientException", 400, Credentials),
            ("InvalidClientTokenId", 403, Credentials),
            ("AccessDeniedException", 400, Fatal),
            ("AccessDenied", 403, Fatal),
            ("KMSAccessDeniedException", 400, Fatal),
            ("KMSDisabledException", 400, Fatal),
            ("KMSInvalidStateException", 400, Fatal),
            ("KMSNotFoundException", 400, Fatal),
            ("KMSOptInRequired", 400, Fatal),
            ("RequestExpired", 400, Fatal),
            ("InvalidSignatureException", 400, Fatal),
            ("SignatureDoesNotMatch", 403, Fatal),
            ("RequestTimeTooSkewed", 403, Fatal),
            ("RequestInTheFuture", 400, Fatal),
            ("MissingAuthenticationTokenException", 400, Fatal),
            ("SomethingNew", 400, Fatal),
            ("InternalFailure", 500, Transient),
            ("ServiceUnavailable", 503, Transient),
            ("SomethingNew", 503, Transient),
        ] {
            for code in [code.to_owned(), format!("com.amazonaws.kinesis.v20131202#{code}")] {
                let error = refusal(status, None, &format!(r#"{{"__type":"{code}"}}"#));
                assert_eq!(error.class(), class, "{code}");
                assert_eq!(error.code(), code.rsplit('#').next());
            }
            let header = format!("{code}:http://internal.amazon.com/coral/");
            assert_eq!(refusal(status, Some(&header), "").class(), class, "{code}");
        }
    }

    #[test]
    fn a_refusal_passes_unless_somebody_must_change_something() {
        for (code, passes) in [
            ("AccessDeniedException", false),
            ("MissingAuthenticationTokenException", false),
            ("IncompleteSignature", false),
            ("KMSAccessDeniedException", false),
            ("KMSDisabledException", false),
            ("KMSNotFoundException", false),
            ("KMSOptInRequired", false),
            ("OptInRequired", false),
            ("InvalidArgumentException", false),
            ("KMSInvalidStateException", true),
            ("RequestExpired", true),
            ("RequestTimeTooSkewed", true),
            ("InvalidSignatureException", true),
            ("SignatureDoesNotMatch", true),
            ("ResourceNotFoundException", true),
            ("SomethingNewException", true),
        ] {
            let error = refusal(400, None, &format!(r#"{{"__type":"{code}"}}"#));
            assert_eq!(error.may_pass(), passes, "{code}");
            assert!(!error.is_retriable(), "{code}");
        }
        for status in [403, 404] {
            let error = refusal(status, None, "<html>no route</html>");
            assert!(error.class() == Fatal && error.may_pass(), "{status}");
        }
    }

    #[test]
    fn a_refusal_for_time_does_not_pass_while_the_clock_is_wrong() {
        let now = SystemTime::now();
        for (date, passes) in [
            (now, true),
            (now - Duration::from_secs(290), true),
            (now - Duration::from_secs(310), false),
            (now + Duration::from_secs(310), false),
        ] {
            let body = br#"{"__type":"InvalidSignatureException"}"#;
            let date = Some(date);
            let error = Refusal { operation: "GetRecords", status: 400, header: None, date, body };
            assert_eq!(error.into_error().may_pass(), passes, "{date:?}");
        }
    }

    #[test]
    fn without_a_type_the_status_decides() {
        for body in ["", "<html>", "null", "[]", "{}", r#"{"__type":7}"#, "\u{fffd}", "\"x\""] {
            for (status, class) in [
                (500, Transient),
                (502, Transient),
                (301, Transient),
                (429, Throttled),
                (408, Transient),
                (404, Fatal),
                (400, Fatal),
            ] {
                let error = refusal(status, None, body);
                assert_eq!((error.class(), error.code()), (class, None), "{status} {body}");
                assert!(error.to_string().contains(&status.to_string()), "{error}");
            }
        }
    }

    #[test]
    fn the_body_goes_before_the_header() {
        let error = refusal(400, Some("AccessDenied"), r#"{"__type":"ExpiredIteratorException"}"#);
        assert_eq!(error.class(), ExpiredIterator);
    }

    #[test]
    fn the_message_is_the_servers_and_says_what_to_do() {
        let denied = r#"{"__type":"AccessDeniedException","Message":"not you"}"#;
        let text = refusal(400, None, denied).to_string();
        let wanted = "GetRecords answered AccessDeniedException: not you; the credentials need \
                      kinesis:GetRecords on the stream";
        assert_eq!(text, wanted);
        let clock = r#"{"__type":"InvalidSignatureException","message":"expired"}"#;
        assert!(refusal(400, None, clock).to_string().contains("check the clock"));
    }

    #[test]
    fn a_clock_that_is_wrong_is_told_by_how_much() {
        let text = |date: SystemTime| {
            let body = br#"{"__type":"RequestExpired"}"#;
            let date = Some(date);
            Refusal { operation: "GetRecords", status: 400, header: None, date, body }
                .into_error()
                .to_string()
        };
        let (now, off) = (SystemTime::now(), Duration::from_secs(3_000));
        assert!(text(now + off).contains(" s behind the server's"), "{}", text(now + off));
        assert!(text(now - off).contains("is 3000 s ahead of the server's"), "{}", text(now - off));
        assert!(text(now).contains("check the clock, the secret access key and the region"));
    }

    #[test]
    fn whatever_is_fatal_by_name_says_what_to_do() {
        for code in [
            "AccessDeniedException",
            "KMSAccessDeniedException",
            "KMSDisabledException",
            "KMSInvalidStateException",
            "KMSNotFoundException",
            "KMSOptInRequired",
            "OptInRequired",
            "RequestExpired",
            "InvalidSignatureException",
            "MissingAuthenticationTokenException",
        ] {
            let error = refusal(400, None, &format!(r#"{{"__type":"{code}","message":"no"}}"#));
            assert_eq!(error.class(), Fatal, "{code}");
            assert!(error.to_string().contains("no; "), "{error}");
        }
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let body = format!(r#"{{"__type":"X","message":"{}"}}"#, "é".repeat(1_000));
        assert!(refusal(500, None, &body).to_string().chars().count() < 350);
    }
}
