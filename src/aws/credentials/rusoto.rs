//! Providers of rusoto's kind.

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{bounded, select_biased};
use rusoto_core::credential::{AwsCredentials, ProvideAwsCredentials, StaticProvider};
use tokio::sync::oneshot;

use crate::aws::credentials::Credentials;
use crate::aws::credentials::provider::{CredentialsProvider, LIMIT};
use crate::aws::credentials::question::UNWANTED;
use crate::aws::text::cut;
use crate::control::call::Call;
use crate::error::BoxError;
use crate::model::time::spoken;

/// A provider of rusoto's kind, such as `rusoto_sts::StsAssumeRoleSessionCredentialsProvider`, for
/// [`ClientBuilder::credentials_provider`](crate::ClientBuilder::credentials_provider); with feature `rusoto`.
///
/// It is asked in a tokio runtime of its own, since some of these panic without one, for at most 10 s.
pub struct RusotoProvider<P>(P);

impl<P: ProvideAwsCredentials + Send + Sync> RusotoProvider<P> {
    /// Makes a provider of this crate's kind of one of rusoto's.
    pub fn new(provider: P) -> Self {
        Self(provider)
    }
}

impl<P: ProvideAwsCredentials + Send + Sync> CredentialsProvider for RusotoProvider<P> {
    fn credentials(&self, call: &Call) -> Result<Credentials, BoxError> {
        let limit = call.remaining().map_or(LIMIT, |left| left.min(LIMIT));
        let (cancel, cancelled) = oneshot::channel();
        let (done, answered) = bounded::<()>(0);
        thread::scope(|scope| {
            let asking = thread::Builder::new().name("kc-rusoto".to_owned());
            let asking = asking.spawn_scoped(scope, move || {
                let _done = done; // dropped at the end
                run(limit, cancelled, async {
                    let keys = self.0.credentials().await;
                    keys.map_err(|error| BoxError::from(cut(&error.message)))
                })
            })?;
            select_biased! {
                recv(call.stopped()) -> _ => drop(cancel),
                recv(answered) -> _ => {}
            }
            let keys = asking.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            Ok(of(&keys))
        })
    }
}

// A provider may show its keys.
impl<P> fmt::Debug for RusotoProvider<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RusotoProvider")
    }
}

/// Waits for credentials in a runtime of its own.
fn run<T>(
    limit: Duration,
    cancelled: oneshot::Receiver<()>,
    answer: impl Future<Output = Result<T, BoxError>>,
) -> Result<T, BoxError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let answer =
        runtime.block_on(async { tokio::time::timeout(limit, unless(cancelled, answer)).await });
    // It does not wait: a lookup of a name may hang in one of its threads.
    runtime.shutdown_background();
    match answer {
        Ok(Some(answer)) => answer,
        Ok(None) => Err(UNWANTED.into()),
        Err(_) => Err(format!("the provider gave no credentials within {}", spoken(limit)).into()),
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

/// The credentials in rusoto's form.
fn of(from: &AwsCredentials) -> Credentials {
    let mut keys = Credentials::new(from.aws_access_key_id(), from.aws_secret_access_key());
    // In profile files an empty token means no token.
    if let Some(token) = from.token().as_deref().filter(|token| !token.is_empty()) {
        keys = keys.with_session_token(token);
    }
    match from.expires_at() {
        Some(expires) => keys.with_expiry((*expires).into()),
        None => keys,
    }
}

/// A provider of rusoto's kind that gives these credentials at once.
pub(crate) fn fixed(keys: &Credentials) -> StaticProvider {
    let (key, secret) = (keys.access_key_id().to_owned(), keys.secret_access_key().to_owned());
    StaticProvider::new(key, secret, keys.session_token().map(str::to_owned), None)
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::time::SystemTime;

    use rusoto_core::credential::CredentialsError;

    use super::*;

    #[test]
    fn rusotos_credentials_come_across_whole() {
        let soon = SystemTime::now();
        let token = Some("t".to_owned());
        let rusoto = AwsCredentials::new("k", "s", token, Some(soon.into()));
        let wanted = Credentials::new("k", "s").with_session_token("t").with_expiry(soon);
        assert_eq!(of(&rusoto), wanted);
        let empty = AwsCredentials::new("k", "s", Some(String::new()), None);
        assert_eq!(of(&empty), Credentials::new("k", "s"));
    }

    struct Hanging;

    type Answer<'b> =
        Pin<Box<dyn Future<Output = Result<AwsCredentials, CredentialsError>> + Send + 'b>>;

    impl ProvideAwsCredentials for Hanging {
        fn credentials<'a, 'b>(&'a self) -> Answer<'b>
        where
            'a: 'b,
            Self: 'b,
        {
            Box::pin(std::future::pending())
        }
    }

    #[test]
    fn a_provider_that_hangs_ends_when_nobody_waits_any_more_or_with_its_time() {
        let (stop, stopped) = bounded(0);
        let asking = thread::spawn(|| {
            let call = Call::new(stopped);
            RusotoProvider::new(Hanging).credentials(&call).unwrap_err().to_string()
        });
        drop(stop);
        assert!(asking.join().unwrap().contains("nobody waits"));
        let call = Call::unbounded().with_deadline(Duration::from_millis(10));
        let error = RusotoProvider::new(Hanging).credentials(&call).unwrap_err().to_string();
        assert!(error.contains("gave no credentials within"), "{error}");
    }
}
