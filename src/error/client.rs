//! What can go wrong with a call, classified once.

use std::borrow::Cow;
use std::error::Error;
use std::fmt::{self, Display, Formatter};
use std::sync::Arc;

use crate::error::{BoxError, chain};

/// What a failed call means for the consumer.
///
/// It follows from the service's name for the error and the status of the answer, never from a
/// message. If the consumer retries, it does so with back-off and jitter, and with one warning.
///
/// What the consumer does for each, and what you can do: [the manual](crate::manual::errors#classes-of-failed-calls).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ErrorClass {
    /// Too many calls, or too much data, for the stream, the key or the account. Retried with back-off.
    Throttled,
    /// The network or the service failed, or the answer made no sense. Retried with back-off.
    Transient,
    /// The deadline passed, or the answer was cut inside its body, or too long. Retried with back-off, for
    /// fewer records.
    TooLarge,
    /// There is no room for the answer just now; see [`Call::try_reserve`](crate::Call::try_reserve).
    OverBudget,
    /// The shard iterator is older than five minutes.
    ExpiredIterator,
    /// The token of a listing's next page is too old.
    ExpiredNextToken,
    /// The service refused the credentials: they are unknown or have expired; new ones may work.
    Credentials,
    /// There is no such stream, or no such shard.
    NotFound,
    /// The stream is being created or deleted.
    InUse,
    /// The service refused an argument, such as a sequence number that it does not know.
    InvalidArgument,
    /// A retry cannot help: no permission, a disabled key, a wrong clock.
    Fatal,
}

impl ErrorClass {
    /// Every class, in the order of their numbers.
    pub(crate) const ALL: [Self; 11] = [
        Self::Throttled,
        Self::Transient,
        Self::TooLarge,
        Self::OverBudget,
        Self::ExpiredIterator,
        Self::ExpiredNextToken,
        Self::Credentials,
        Self::NotFound,
        Self::InUse,
        Self::InvalidArgument,
        Self::Fatal,
    ];
}

/// A call that failed.
///
/// Its text says what the server or the network said, and what to do if that is known; `{error:#}` shows its sources
/// too.
#[derive(Clone, Debug, thiserror::Error)]
#[error(transparent)]
pub struct ClientError(Box<Failure>);

/// Boxed, so that a result that may hold it stays small.
#[derive(Clone, Debug)]
struct Failure {
    class: ErrorClass,
    operation: &'static str,
    code: Option<Cow<'static, str>>,
    message: String,
    /// Only with class `Fatal`: the same call may still succeed later, for example after a refusal for its time.
    passes: bool,
    /// Only with class `Credentials`: different ones were refused before, or their source has no others.
    refuses_new_keys: bool,
    /// The service answered with it; an earlier request for the same call broke off, and may have been done.
    has_earlier_request: bool,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl ClientError {
    /// An error of this class in an operation such as `GetRecords`.
    pub fn new(class: ErrorClass, operation: &'static str, message: impl Into<String>) -> Self {
        Self(Box::new(Failure {
            class,
            operation,
            code: None,
            message: message.into(),
            passes: false,
            refuses_new_keys: false,
            has_earlier_request: false,
            source: None,
        }))
    }

    /// The same with the service's name for it, such as `ProvisionedThroughputExceededException`.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<Cow<'static, str>>) -> Self {
        self.0.code = Some(code.into());
        self
    }

    /// The same with its cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.0.source = Some(Arc::from(source.into()));
        self
    }

    /// The same, fatal, although the next call may succeed.
    pub(crate) fn with_passing(mut self) -> Self {
        self.0.passes = true;
        self
    }

    /// The same, after new credentials were refused as well.
    pub(crate) fn with_new_keys_refused(mut self) -> Self {
        self.0.refuses_new_keys = true;
        self
    }

    /// The same, after an earlier request for this call that may have reached the service.
    pub(crate) fn with_earlier_request(mut self) -> Self {
        self.0.has_earlier_request = true;
        self
    }

    /// Decides what the consumer does.
    pub fn class(&self) -> ErrorClass {
        self.0.class
    }

    /// The operation that failed, such as `GetRecords`.
    pub fn operation(&self) -> &'static str {
        self.0.operation
    }

    /// The service's name for it, if the service answered with one.
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// Whether the same call may succeed later by itself.
    pub fn is_retriable(&self) -> bool {
        use ErrorClass::{
            Credentials, ExpiredIterator, ExpiredNextToken, OverBudget, Throttled, TooLarge,
            Transient,
        };
        match self.0.class {
            Throttled | Transient | TooLarge | OverBudget | ExpiredIterator | ExpiredNextToken => {
                true
            }
            Credentials => !self.refuses_new_keys(),
            _ => false,
        }
    }

    /// Whether it may pass by itself, so that one refusal is no proof. `false` if a person must change something: a
    /// permission, a key, a clock, an argument.
    pub(crate) fn may_pass(&self) -> bool {
        match self.0.class {
            ErrorClass::Fatal => self.0.passes,
            ErrorClass::Credentials => !self.0.refuses_new_keys,
            ErrorClass::InvalidArgument => false,
            _ => true,
        }
    }

    /// Whether new credentials cannot help: the service refused two different ones in a row, or their source has no
    /// others.
    pub(crate) fn refuses_new_keys(&self) -> bool {
        self.0.refuses_new_keys
    }

    /// Whether the service may have done what it refuses here: an earlier request for the same call broke off after it may
    /// have reached the service.
    #[cfg_attr(not(feature = "fleet"), expect(dead_code, reason = "Kinesis is only read"))]
    pub(crate) fn has_earlier_request(&self) -> bool {
        self.0.has_earlier_request
    }
}

impl Failure {
    /// What it says without its sources.
    fn text(&self) -> String {
        let mut text = match &self.code {
            Some(code) => format!("{} answered {code}", self.operation),
            None => format!("{} failed", self.operation),
        };
        if !self.message.is_empty() {
            text = format!("{text}: {}", self.message);
        }
        text
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        chain::write(f, self.text(), self.source())
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_must_change_does_not_pass() {
        use ErrorClass::{Credentials, Fatal, InvalidArgument};
        for class in ErrorClass::ALL {
            let error = ClientError::new(class, "GetRecords", "");
            assert_eq!(error.may_pass(), !matches!(class, Fatal | InvalidArgument), "{class:?}");
            assert!(!error.refuses_new_keys(), "{class:?}");
        }
        let refused = ClientError::new(Credentials, "GetRecords", "").with_new_keys_refused();
        assert!(refused.refuses_new_keys() && !refused.may_pass() && !refused.is_retriable());
        assert!(ClientError::new(Fatal, "GetRecords", "").with_passing().may_pass());
    }

    #[test]
    fn classes_stand_at_their_numbers() {
        for (number, class) in ErrorClass::ALL.into_iter().enumerate() {
            assert_eq!(class as usize, number);
        }
    }
}
