//! What can go wrong with a store.

use std::error::Error;
use std::fmt::{self, Display, Formatter};
use std::sync::Arc;

use crate::error::{BoxError, chain};

/// A store that could not be read or written. A clone shares its cause, which `{error:#}` shows too.
#[derive(Clone, Debug, thiserror::Error)]
pub struct StoreError {
    kind: StoreErrorKind,
    message: String,
    #[source]
    source: Option<Arc<dyn Error + Send + Sync>>,
}

/// What the consumer does about a [`StoreError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// It may work later: the consumer retries for `store_patience`.
    Retry,
    /// Somebody else owns the shard now: it is [given up](crate::Notice::Lost), the other shards continue, and the
    /// first such error comes out at the end.
    Lost,
    /// A retry cannot help: the consumer stops.
    Fatal,
}

impl StoreError {
    /// It may work later.
    pub fn retry(message: impl Into<String>) -> Self {
        Self { kind: StoreErrorKind::Retry, message: message.into(), source: None }
    }

    /// Somebody else owns the shard now.
    pub fn lost(message: impl Into<String>) -> Self {
        Self { kind: StoreErrorKind::Lost, message: message.into(), source: None }
    }

    /// A retry cannot help.
    pub fn fatal(message: impl Into<String>) -> Self {
        Self { kind: StoreErrorKind::Fatal, message: message.into(), source: None }
    }

    /// The same with its cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.source = Some(Arc::from(source.into()));
        self
    }

    /// What the consumer does about it.
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }
}

impl Display for StoreError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        chain::write(f, &self.message, self.source())
    }
}
