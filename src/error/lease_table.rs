//! What can go wrong with a table of leases.

use std::error::Error;
use std::fmt::{self, Display, Formatter};
use std::sync::Arc;

use crate::error::{BoxError, chain};

/// A table of leases that could not be read or written. A clone shares its cause, which `{error:#}` shows too.
#[derive(Clone, Debug, thiserror::Error)]
pub struct LeaseTableError {
    kind: LeaseTableErrorKind,
    message: String,
    #[source]
    source: Option<Arc<dyn Error + Send + Sync>>,
}

/// What a worker does about a [`LeaseTableError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum LeaseTableErrorKind {
    /// The table is asked too much: less is asked of it, later. Nothing was written.
    Throttled,
    /// It may work later. A write may have been done all the same.
    Transient,
    /// There is no such table.
    NoTable,
    /// A retry cannot help. Nothing was written.
    Fatal,
}

impl LeaseTableErrorKind {
    /// Every kind, in the order of their numbers.
    pub(crate) const ALL: [Self; 4] =
        [Self::Throttled, Self::Transient, Self::NoTable, Self::Fatal];
}

impl LeaseTableError {
    /// One of this kind; the message says which call failed, and how.
    pub fn new(kind: LeaseTableErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// The same with its cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.source = Some(Arc::from(source.into()));
        self
    }

    /// What a worker does about it.
    pub fn kind(&self) -> LeaseTableErrorKind {
        self.kind
    }
}

impl Display for LeaseTableError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        chain::write(f, &self.message, self.source())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_longer_form_says_the_cause() {
        let error = LeaseTableError::new(LeaseTableErrorKind::Transient, "reading a row failed");
        let error = error.with_source("connection reset");
        assert_eq!(error.kind(), LeaseTableErrorKind::Transient);
        assert_eq!(error.to_string(), "reading a row failed");
        assert!(format!("{error:#}").ends_with("connection reset"));
    }

    #[test]
    fn kinds_stand_at_their_numbers() {
        for (number, kind) in LeaseTableErrorKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, number);
        }
    }
}
