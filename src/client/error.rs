//! What can go wrong with a call, classified once.

use std::borrow::Cow;
use std::fmt;

use crate::error::BoxError;

/// What a failed call means for the consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorClass {
    /// Too many calls, or too much data, for the stream, the key or the account: later, again.
    Throttled,
    /// The network or the service failed, or the answer made no sense: later, again.
    Transient,
    /// The deadline passed, or the answer was cut inside its body, or too long: later, again, with
    /// fewer records.
    TooLarge,
    /// The shard iterator is older than five minutes.
    ExpiredIterator,
    /// The token of a listing's next page is too old.
    ExpiredNextToken,
    /// The credentials are unknown or have expired; new ones may work.
    Credentials,
    /// There is no such stream, or no such shard.
    NotFound,
    /// The stream is being created or deleted.
    InUse,
    /// The service refused an argument: a sequence number that it does not know, say.
    InvalidArgument,
    /// Trying again cannot help: no permission, a disabled key, a clock that is wrong.
    Fatal,
}

/// A call that failed.
///
/// Its text says what the server or the network said, and what to do where that is known.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct ClientError(Box<Failure>);

/// Boxed, so that a result that may hold it stays small.
#[derive(Debug)]
struct Failure {
    class: ErrorClass,
    operation: &'static str,
    code: Option<Cow<'static, str>>,
    message: String,
    source: Option<BoxError>,
}

impl ClientError {
    /// An error of this class in an operation such as `GetRecords`.
    pub fn new(class: ErrorClass, operation: &'static str, message: impl Into<String>) -> Self {
        Self(Box::new(Failure {
            class,
            operation,
            code: None,
            message: message.into(),
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
        self.0.source = Some(source.into());
        self
    }

    /// What it means for the consumer.
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

    /// Whether the same call may succeed later without anybody doing anything.
    pub fn is_retriable(&self) -> bool {
        use ErrorClass::{
            Credentials, ExpiredIterator, ExpiredNextToken, Throttled, TooLarge, Transient,
        };
        matches!(
            self.0.class,
            Throttled | Transient | TooLarge | ExpiredIterator | ExpiredNextToken | Credentials
        )
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.operation)?;
        match &self.code {
            Some(code) => write!(f, " answered {code}")?,
            None => f.write_str(" failed")?,
        }
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
