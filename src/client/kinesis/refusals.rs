//! The refusals that only Kinesis has, by the type of the error, never by its message.

use crate::aws::http::refusal::Dialect;
use crate::error::client::ErrorClass;

/// How Kinesis refuses.
pub(crate) const KINESIS: Dialect = Dialect {
    class,
    may_pass,
    advice,
    stranger: "check that the endpoint is a Kinesis, and any proxy on the way",
};

fn class(name: &str) -> Option<ErrorClass> {
    Some(match name {
        "ResourceNotFound" => ErrorClass::NotFound,
        "ResourceInUse" => ErrorClass::InUse,
        "InvalidArgument" => ErrorClass::InvalidArgument,
        "ExpiredIterator" => ErrorClass::ExpiredIterator,
        "ExpiredNextToken" => ErrorClass::ExpiredNextToken,
        "ProvisionedThroughputExceeded" | "KMSThrottling" => ErrorClass::Throttled,
        name if name.starts_with("KMS") => ErrorClass::Fatal,
        _ => return None,
    })
}

/// A key may be unreachable by its store, or in transition; anything else about it a person must change.
fn may_pass(name: &str) -> Option<bool> {
    name.starts_with("KMS").then_some(name == "KMSInvalidState")
}

fn advice(operation: &str, name: &str) -> Option<String> {
    let text = match name {
        "KMSAccessDenied" => "the credentials need kms:Decrypt on the key of the stream",
        "KMSDisabled" => "enable the key that the stream is encrypted with",
        "KMSInvalidState" => "check the state of the stream's key: it may await its deletion",
        "KMSNotFound" => "check that the stream's key exists in this region",
        "KMSOptInRequired" => "the account must subscribe to the service first",
        "KMSThrottling" => {
            "the key is used too often: raise its quota, or the interval between reads"
        }
        "ProvisionedThroughputExceeded" => {
            "all consumers of a shard share five reads and 2 MB a second: raise the interval between reads, or the \
             number of shards"
        }
        "InvalidArgument" if operation == "GetShardIterator" => {
            "check the sequence number or timestamp where reading starts"
        }
        name if name.starts_with("AccessDenied") => {
            return Some(format!("the credentials need kinesis:{operation} on the stream"));
        }
        _ => return None,
    };
    Some(text.to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::aws::http::refusal::Refusal;
    use crate::error::client::ClientError;
    use ErrorClass::*;

    fn refusal(status: u16, header: Option<&str>, body: &str) -> ClientError {
        let body = body.as_bytes();
        Refusal { operation: "GetRecords", status, header, date: None, body }.into_error(&KINESIS)
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
            assert_eq!(error.into_error(&KINESIS).may_pass(), passes, "{date:?}");
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
                .into_error(&KINESIS)
                .to_string()
        };
        let (now, off) = (SystemTime::now(), Duration::from_secs(3_000));
        assert!(text(now + off).contains(" min behind the server's"), "{}", text(now + off));
        assert!(text(now - off).contains("is 50 min ahead of the server's"), "{}", text(now - off));
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
