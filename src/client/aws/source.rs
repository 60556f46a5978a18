//! Where credentials come from.

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use rusoto_core::credential::{AwsCredentials, ChainProvider, ProvideAwsCredentials};
use tokio::sync::oneshot;

use super::credentials::Credentials;
use super::environment::{self, Lookup};
use super::text::{cut, with_sources};
use crate::error::BoxError;

/// How long a provider may take altogether.
const LIMIT: Duration = Duration::from_secs(10);

/// How long the chain waits for each answer of a container's or an instance's metadata, which
/// answer in milliseconds where there are any.
const METADATA: Duration = Duration::from_secs(2);

pub(super) type Function = dyn Fn() -> Result<Credentials, BoxError> + Send + Sync;

/// Who is asked for credentials.
#[derive(Clone)]
pub(super) enum Source {
    /// Nobody: they are known.
    Static(Arc<Credentials>),
    /// A closure.
    Function(Arc<Function>),
    /// A provider of rusoto's kind.
    Provider(Arc<dyn ProvideAwsCredentials + Send + Sync>),
    /// Environment, profile, container, instance. A new chain each time: the parts keep errors.
    Chain,
}

impl Source {
    /// Asks, for as long as it takes, but a provider no longer than the limit, nor than `cancelled`
    /// is pending. Needs a thread of its own: there may be another runtime on the caller's.
    ///
    /// # Errors
    /// Why there are none, as text.
    pub(super) fn ask(&self, cancelled: oneshot::Receiver<()>) -> Result<Credentials, String> {
        let credentials = match self {
            Self::Static(credentials) => return Ok((**credentials).clone()),
            Self::Function(function) => function().map_err(|error| with_sources(&*error))?,
            Self::Provider(provider) => run(&**provider, cancelled)?.into(),
            Self::Chain => {
                let mut chain = ChainProvider::new();
                chain.set_timeout(METADATA);
                let found = run(&chain, cancelled);
                found.map_err(|error| nowhere(&error, &environment::process))?.into()
            }
        };
        credentials.check().map_err(str::to_owned)?;
        Ok(credentials)
    }
}

// A closure or a provider shows nothing, and a key must not.
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

/// Asks a provider in a runtime of its own: some panic without one.
fn run(
    provider: &(dyn ProvideAwsCredentials + Send + Sync),
    cancelled: oneshot::Receiver<()>,
) -> Result<AwsCredentials, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("no runtime to ask for credentials in: {error}"))?;
    let answer = runtime.block_on(async {
        tokio::time::timeout(LIMIT, unless(cancelled, provider.credentials())).await
    });
    // Not waited for: a lookup of a name may hang in one of its threads.
    runtime.shutdown_background();
    match answer {
        Ok(Some(answer)) => answer.map_err(|error| cut(&error.message)),
        Ok(None) => Err("nobody waits for the credentials any more".to_owned()),
        Err(_) => Err(format!("the provider gave no credentials within {LIMIT:?}")),
    }
}

/// The future's answer, or `None` once the sender of `cancelled` is gone.
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

fn nowhere(error: &str, lookup: Lookup<'_>) -> String {
    let profile = environment::first(lookup, &["AWS_PROFILE"]);
    let file = environment::first(lookup, &["AWS_SHARED_CREDENTIALS_FILE"]);
    format!(
        "{error} Looked at: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment; profile \
         {:?} in {} and its credential_process; the container's (AWS_CONTAINER_CREDENTIALS_…_URI) and \
         the instance's metadata (version 1)",
        profile.as_deref().unwrap_or("default"),
        file.as_deref().unwrap_or("~/.aws/credentials"),
    )
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
                                AwsCredentials,
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
        assert!(source.ask(cancelled).unwrap_err().contains("nobody waits"));
    }

    #[test]
    fn what_was_looked_at_is_named() {
        let lookup = |name: &str| (name == "AWS_PROFILE").then(|| "work".to_owned());
        let text = nowhere("None.", &lookup);
        for place in
            ["AWS_ACCESS_KEY_ID", "\"work\"", "~/.aws/credentials", "CONTAINER", "metadata"]
        {
            assert!(text.contains(place), "{text}");
        }
    }

    #[test]
    fn an_error_of_a_closure_comes_with_its_sources() {
        let function = || Err(BoxError::from("vault is sealed"));
        let source = Source::Function(Arc::new(function));
        let (_keep, cancelled) = oneshot::channel();
        assert_eq!(source.ask(cancelled).unwrap_err(), "vault is sealed");
        assert_eq!(format!("{source:?}"), "Function(..)");
    }
}
