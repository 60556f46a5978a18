//! The refusals that only DynamoDB has, by the type of the error, never by its message.

use crate::aws::http::refusal::Dialect;
use crate::error::client::{ClientError, ErrorClass};
use crate::error::lease_table::{LeaseTableError, LeaseTableErrorKind};

/// How DynamoDB refuses.
pub(super) const DYNAMODB: Dialect = Dialect {
    class,
    may_pass: |_| None,
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

/// What a worker does about it.
pub(super) fn of(error: ClientError) -> LeaseTableError {
    use LeaseTableErrorKind::{Fatal, NoTable, Throttled, Transient};
    let kind = match error.class() {
        ErrorClass::Throttled => Throttled,
        ErrorClass::NotFound => NoTable,
        // The table is being made.
        ErrorClass::InUse => Transient,
        _ if error.is_retriable() => Transient,
        _ => Fatal,
    };
    LeaseTableError::new(kind, format!("{} failed", error.operation())).with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::http::refusal::Refusal;
    use LeaseTableErrorKind::{Fatal, NoTable, Throttled, Transient};

    fn refused(status: u16, code: &str) -> LeaseTableError {
        let body =
            format!(r#"{{"__type":"com.amazonaws.dynamodb.v20120810#{code}","message":"no"}}"#);
        let (header, date, operation) = (None, None, "UpdateItem");
        let refusal = Refusal { operation, status, header, date, body: body.as_bytes() };
        of(refusal.into_error(&DYNAMODB))
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
        ] {
            assert_eq!(refused(status, code).kind(), kind, "{code}");
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
