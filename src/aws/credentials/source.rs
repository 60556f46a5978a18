//! The sources of credentials.

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use parking_lot::Mutex;
use rusoto_core::credential::ProvideAwsCredentials;
use tokio::sync::oneshot;
use ureq::unversioned::transport::ShutdownHandle;

use crate::aws::credentials::Credentials;
use crate::aws::credentials::chain::{self, Chain};
use crate::aws::credentials::question::Question;
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
    /// Environment, profile, web identity, container, instance.
    Chain(Arc<Chain>),
}

impl Source {
    /// Asks the source. The question's limit is for a chain and a provider, others take as long as they need. Call it
    /// on its own thread: the caller's may have a runtime.
    ///
    /// # Errors
    /// Why there are none.
    pub(crate) fn ask(&self, question: &Question) -> Result<Credentials, Unavailable> {
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
                Credentials::from_rusoto(&run(question, answer)?)
            }
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

// A closure or a provider has no text, and a key must not be shown.
impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Static(_) => "Static(..)",
            Self::Function(_) => "Function(..)",
            Self::Provider(_) => "Provider(..)",
            Self::Chain(_) => "Chain",
        })
    }
}

/// Its drop cancels a provider's wait.
struct Cancel(Mutex<Option<oneshot::Sender<()>>>);

impl ShutdownHandle for Cancel {
    fn shutdown(&self) {
        self.0.lock().take();
    }
}

/// Waits for credentials in a runtime of its own: some providers panic without one.
fn run<T>(
    question: &Question,
    answer: impl Future<Output = Result<T, Unavailable>>,
) -> Result<T, Unavailable> {
    let (cancel, cancelled) = oneshot::channel();
    let cancel: Arc<dyn ShutdownHandle> = Arc::new(Cancel(Mutex::new(Some(cancel))));
    (question.register())(Arc::downgrade(&cancel)).map_err(|_| unwanted())?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| {
            Unavailable::for_now(format!("no runtime to ask for credentials: {error}"))
        })?;
    let limit = question.left(LIMIT);
    let answer =
        runtime.block_on(async { tokio::time::timeout(limit, unless(cancelled, answer)).await });
    // It does not wait: a lookup of a name may hang in one of its threads.
    runtime.shutdown_background();
    match answer {
        Ok(Some(answer)) => answer,
        Ok(None) => Err(unwanted()),
        Err(_) => {
            let reason = format!("the provider gave no credentials within {LIMIT:?}");
            Err(Unavailable::for_now(reason))
        }
    }
}

fn unwanted() -> Unavailable {
    Unavailable::for_now("nobody waits for the credentials any more")
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
        let source = Source::Provider(Arc::new(Hanging));
        let (question, interest) = Question::new(LIMIT);
        let asking = std::thread::spawn(move || source.ask(&question));
        drop(interest);
        assert!(asking.join().unwrap().unwrap_err().reason.contains("nobody waits"));
    }

    #[test]
    fn an_error_of_a_closure_comes_with_its_sources() {
        let function = || Err(BoxError::from("vault is sealed"));
        let source = Source::Function(Arc::new(function));
        let (question, _interest) = Question::new(LIMIT);
        assert_eq!(source.ask(&question).unwrap_err(), Unavailable::for_now("vault is sealed"));
        assert_eq!(format!("{source:?}"), "Function(..)");
    }
}
