//! The refusals that only DynamoDB has, by the type of the error, never by its message.

use crate::aws::http::refusal::Dialect;
use crate::error::client::{ClientError, ErrorClass};
use crate::error::lease_table::{LeaseTableError, LeaseTableErrorKind};

/// How DynamoDB refuses.
pub(super) const DYNAMODB: Dialect = Dialect {
    class,
    may_pass,
    advice,
    stranger: "check that the endpoint is a DynamoDB, and any proxy on the way",
};

/// The condition of a write did not hold.
pub(super) const REFUSED: &str = "ConditionalCheckFailedException";

/// There is no such table.
pub(super) const NO_TABLE: &str = "ResourceNotFoundException";

/// The table exists.
pub(super) const IN_USE: &str = "ResourceInUseException";

fn class(name: &str) -> Option<ErrorClass> {
    Some(match name {
        "ResourceNotFound" | "TableNotFound" => ErrorClass::NotFound,
        "ResourceInUse" => ErrorClass::InUse,
        "ProvisionedThroughputExceeded" => ErrorClass::Throttled,
        // Somebody else writes the same row at this moment.
        "TransactionConflict" | "ReplicatedWriteConflict" => ErrorClass::Transient,
        _ => return None,
    })
}

/// No later call passes by itself: the row has no room, or the server knows no such request.
fn may_pass(name: &str) -> Option<bool> {
    matches!(name, "ItemCollectionSizeLimitExceeded" | "Serialization" | "UnknownOperation")
        .then_some(false)
}

fn advice(operation: &str, name: &str) -> Option<String> {
    let text = match name {
        "ProvisionedThroughputExceeded" | "RequestLimitExceeded" | "Throttling" => {
            "raise the capacity of the table of leases, or the failover time of all workers"
        }
        "Validation" => "the key of a table of leases is the text leaseKey, and nothing else",
        name if name.starts_with("AccessDenied") => {
            return Some(format!("the credentials need dynamodb:{operation} on the table"));
        }
        _ => return None,
    };
    Some(text.to_owned())
}

/// What a worker does about a call that has written nothing.
pub(super) fn of(error: ClientError) -> LeaseTableError {
    let kind = kind(&error);
    LeaseTableError::new(kind, format!("{} failed", error.operation())).with_source(error)
}

/// What a worker does about a write. Nothing was written if the service says so, and no earlier request for the same write
/// may have reached it.
pub(super) fn of_write(error: ClientError) -> LeaseTableError {
    if error.has_earlier_request() { unheard(error) } else { of(error) }
}

/// What a worker does if the row would tell whether a write was done, and cannot be read.
pub(super) fn unheard(error: ClientError) -> LeaseTableError {
    use LeaseTableErrorKind::{Fatal, NoTable, Throttled, Transient};
    let kind = match kind(&error) {
        Throttled | Transient | Fatal => Transient,
        // There is no row.
        NoTable => NoTable,
    };
    LeaseTableError::new(kind, format!("{} failed", error.operation())).with_source(error)
}

fn kind(error: &ClientError) -> LeaseTableErrorKind {
    use LeaseTableErrorKind::{Fatal, NoTable, Throttled, Transient};
    match error.class() {
        ErrorClass::Throttled => Throttled,
        ErrorClass::NotFound => NoTable,
        // The table is being made.
        ErrorClass::InUse => Transient,
        // One answer of a gateway, or one refusal of a signature for its time, is no reason to leave the fleet.
        _ if error.is_retriable() || error.may_pass() => Transient,
        _ => Fatal,
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::aws::http::refusal::Refusal;
    use LeaseTableErrorKind::{Fatal, NoTable, Throttled, Transient};

    fn answer(status: u16, date: Option<SystemTime>, body: &str) -> ClientError {
        let (header, operation) = (None, "UpdateItem");
        let refusal = Refusal { operation, status, header, date, body: body.as_bytes() };
        refusal.into_error(&DYNAMODB)
    }

    fn named(status: u16, code: &str) -> ClientError {
        let code = format!("com.amazonaws.dynamodb.v20120810#{code}");
        answer(status, None, &format!(r#"{{"__type":"{code}","message":"no"}}"#))
    }

    fn refused(status: u16, code: &str) -> LeaseTableError {
        of(named(status, code))
    }

    #[test]
    fn every_known_type_has_its_kind() {
        for (code, status, kind) in [
            ("ProvisionedThroughputExceededException", 400, Throttled),
            ("RequestLimitExceeded", 400, Throttled),
            ("ThrottlingException", 400, Throttled),
            ("LimitExceededException", 400, Throttled),
            ("TransactionConflictException", 400, Transient),
            ("ReplicatedWriteConflictException", 400, Transient),
            ("TransactionInProgressException", 400, Throttled),
            ("InternalServerError", 500, Transient),
            ("InternalServerError", 400, Transient),
            ("ServiceUnavailable", 503, Transient),
            ("ResourceInUseException", 400, Transient),
            ("ResourceNotFoundException", 400, NoTable),
            ("TableNotFoundException", 400, NoTable),
            ("ExpiredTokenException", 400, Transient),
            ("ValidationException", 400, Fatal),
            ("AccessDeniedException", 400, Fatal),
            ("ItemCollectionSizeLimitExceededException", 400, Fatal),
            ("SerializationException", 400, Fatal),
            ("UnknownOperationException", 400, Fatal),
            ("MissingAuthenticationTokenException", 400, Fatal),
            ("InvalidSignatureException", 400, Transient),
            ("RequestExpired", 400, Transient),
            ("ForbiddenException", 403, Transient),
        ] {
            assert_eq!(refused(status, code).kind(), kind, "{code}");
        }
    }

    #[test]
    fn what_a_gateway_answers_in_its_place_may_pass() {
        for status in [301, 400, 403, 404, 407, 502] {
            for body in ["", "<html>no route</html>", r#"{"message":"Forbidden"}"#] {
                let error = of(answer(status, None, body));
                assert_eq!(error.kind(), Transient, "{status} {body}");
                assert!(format!("{error:#}").contains("check that the endpoint is a DynamoDB"));
            }
        }
    }

    #[test]
    fn a_signature_is_refused_for_good_only_by_a_clock_that_shows_why() {
        let body = r#"{"__type":"InvalidSignatureException"}"#;
        for (off, kind) in [(290, Transient), (310, Fatal)] {
            let off = Duration::from_secs(off);
            for date in [SystemTime::now() - off, SystemTime::now() + off] {
                assert_eq!(of(answer(400, Some(date), body)).kind(), kind, "{off:?}");
            }
        }
    }

    #[test]
    fn nobody_knows_what_was_written_once_an_earlier_request_may_have_arrived() {
        for (code, once, again) in [
            ("ThrottlingException", Throttled, Transient),
            ("AccessDeniedException", Fatal, Transient),
            ("InternalServerError", Transient, Transient),
            ("ResourceNotFoundException", NoTable, NoTable),
        ] {
            assert_eq!(of_write(named(400, code)).kind(), once, "{code}");
            assert_eq!(of_write(named(400, code).with_earlier_request()).kind(), again, "{code}");
            assert_eq!(of(named(400, code).with_earlier_request()).kind(), once, "{code}");
            assert_eq!(unheard(named(400, code)).kind(), again, "{code}");
        }
    }

    #[test]
    fn the_text_says_what_to_do() {
        let text = |code| format!("{:#}", refused(400, code));
        assert!(text("AccessDeniedException").contains("dynamodb:UpdateItem on the table"));
        assert!(text("ValidationException").contains("leaseKey"));
        assert!(text("ProvisionedThroughputExceededException").contains("capacity"));
    }
}
