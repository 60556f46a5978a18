//! The sources of credentials.

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use rusoto_core::credential::ProvideAwsCredentials;
use tokio::sync::oneshot;

use crate::aws::credentials::Credentials;
use crate::aws::credentials::chain;
use crate::aws::credentials::unavailable::Unavailable;
use crate::aws::text::{cut, with_sources};
use crate::error::BoxError;

/// The time limit of a provider.
const LIMIT: Duration = Duration::from_secs(10);

pub(crate) type Function = dyn Fn() -> Result<Credentials, BoxError> + Send + Sync;

/// A source of credentials.
#[derive(Clone)]
pub(crate) enum Source {
    /// They are known.
    Static(Arc<Credentials>),
    /// A closure.
    Function(Arc<Function>),
    /// A provider of rusoto's kind.
    Provider(Arc<dyn ProvideAwsCredentials + Send + Sync>),
    /// Environment, profile, container, instance.
    Chain,
}

impl Source {
    /// Asks the source. A provider has until the limit, or until `cancelled` is ready; others take as long as they
    /// need. Call it on its own thread: the caller's may have another runtime.
    ///
    /// # Errors
    /// Why there are none.
    pub(crate) fn ask(&self, cancelled: oneshot::Receiver<()>) -> Result<Credentials, Unavailable> {
        let for_now = Unavailable::for_now;
        let credentials = match self {
            Self::Static(credentials) => return Ok((**credentials).clone()),
            Self::Function(function) => {
                function().map_err(|error| for_now(with_sources(&*error)))?
            }
            Self::Provider(provider) => {
                let answer = async {
                    provider.credentials().await.map_err(|error| for_now(cut(&error.message)))
                };
                Credentials::from_rusoto(&run(LIMIT, cancelled, answer)?)
            }
            Self::Chain => Credentials::from_rusoto(&run(chain::LIMIT, cancelled, chain::find())?),
        };
        credentials.check().map_err(Unavailable::for_now)?;
        Ok(credentials)
    }
}

// A closure or a provider has no text, and a key must not be shown.
impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Static(_) => "Static(..)",
            Self::Function(_) => "Function(..)",
            Self::Provider(_) => "Provider(..)",
            Self::Chain => "Chain",
        })
    }
}

/// Waits for credentials in a runtime of its own: some providers panic without one.
fn run<T>(
    limit: Duration,
    cancelled: oneshot::Receiver<()>,
    answer: impl Future<Output = Result<T, Unavailable>>,
) -> Result<T, Unavailable> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| {
            Unavailable::for_now(format!("no runtime to ask for credentials: {error}"))
        })?;
    let answer =
        runtime.block_on(async { tokio::time::timeout(limit, unless(cancelled, answer)).await });
    // It does not wait: a lookup of a name may hang in one of its threads.
    runtime.shutdown_background();
    match answer {
        Ok(Some(answer)) => answer,
        Ok(None) => Err(Unavailable::for_now("nobody waits for the credentials any more")),
        Err(_) => {
            let reason = format!("the provider gave no credentials within {limit:?}");
            Err(Unavailable::for_now(reason))
        }
    }
}

/// The future's answer, or `None` after the drop of the sender of `cancelled`.
async fn unless<T>(cancelled: oneshot::Receiver<()>, future: impl Future<Output = T>) -> Option<T> {
    let (mut cancelled, mut future) = (pin!(cancelled), pin!(future));
    std::future::poll_fn(|context| {
        if cancelled.as_mut().poll(context).is_ready() {
            return Poll::Ready(None);
        }
        future.as_mut().poll(context).map(Some)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_that_hangs_ends_when_nobody_waits_any_more() {
        struct Hanging;
        impl ProvideAwsCredentials for Hanging {
            fn credentials<'a, 'b>(
                &'a self,
            ) -> std::pin::Pin<
                Box<
                    dyn Future<
                            Output = Result<
                                rusoto_core::credential::AwsCredentials,
                                rusoto_core::credential::CredentialsError,
                            >,
                        > + Send
                        + 'b,
                >,
            >
            where
                'a: 'b,
                Self: 'b,
            {
                Box::pin(std::future::pending())
            }
        }
        let (cancel, cancelled) = oneshot::channel();
        drop(cancel);
        let source = Source::Provider(Arc::new(Hanging));
        assert!(source.ask(cancelled).unwrap_err().reason.contains("nobody waits"));
    }

    #[test]
    fn an_error_of_a_closure_comes_with_its_sources() {
        let function = || Err(BoxError::from("vault is sealed"));
        let source = Source::Function(Arc::new(function));
        let (_keep, cancelled) = oneshot::channel();
        assert_eq!(source.ask(cancelled).unwrap_err(), Unavailable::for_now("vault is sealed"));
        assert_eq!(format!("{source:?}"), "Function(..)");
    }
}
