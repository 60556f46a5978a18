//! The sources of credentials.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::aws::credentials::Credentials;
use crate::aws::credentials::chain::{self, Chain};
use crate::aws::credentials::provider::{CredentialsProvider, LIMIT};
use crate::aws::credentials::question::Question;
use crate::aws::credentials::unavailable::Unavailable;
use crate::aws::text::with_sources;

/// A source of credentials.
#[derive(Clone)]
pub(crate) enum Source {
    /// They are known.
    Static(Arc<Credentials>),
    /// Written by the user.
    Provider(Arc<dyn CredentialsProvider>),
    /// Environment, profile, web identity, container, instance.
    Chain(Arc<Chain>),
}

impl Source {
    /// Asks the source. Call it on its own thread: the caller's may have a runtime.
    ///
    /// # Errors
    /// Why there are none.
    pub(crate) fn ask(&self, question: &Question) -> Result<Credentials, Unavailable> {
        let credentials = match self {
            Self::Static(credentials) => return Ok((**credentials).clone()),
            Self::Provider(provider) => provider
                .credentials(&question.call(LIMIT))
                .map_err(|error| Unavailable::for_now(with_sources(&*error)))?,
            Self::Chain(chain) => chain.find(question)?,
        };
        credentials.check().map_err(Unavailable::for_now)?;
        Ok(credentials)
    }

    /// How long a question may take.
    pub(crate) fn limit(&self) -> Duration {
        match self {
            Self::Chain(_) => chain::LIMIT,
            _ => LIMIT,
        }
    }
}

// A provider has no text, and a key must not be shown.
impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Static(_) => "Static(..)",
            Self::Provider(_) => "Provider(..)",
            Self::Chain(_) => "Chain",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::BoxError;

    #[test]
    fn an_error_of_a_closure_comes_with_its_sources() {
        let closure = || Err(BoxError::from("vault is sealed"));
        let source = Source::Provider(Arc::new(closure));
        let (question, _interest) = Question::new(LIMIT);
        assert_eq!(source.ask(&question).unwrap_err(), Unavailable::for_now("vault is sealed"));
        assert_eq!(format!("{source:?}"), "Provider(..)");
    }
}
