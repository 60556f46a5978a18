//! What gives credentials, written by a user.

use std::time::Duration;

use crate::aws::credentials::Credentials;
use crate::control::call::Call;
use crate::error::BoxError;

/// The time that a provider is told to take at most.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);

/// Gives credentials when they are asked for. Closures that return them are providers.
///
/// One question at a time is asked, on a thread of its own, which may block. An answer is kept until five minutes before
/// it expires, or until the service refuses it, so that a provider need not keep it; an error is not kept.
///
/// ```
/// use kinesis_consumer::{BoxError, Call, Credentials, CredentialsProvider, KinesisClient};
///
/// struct Vault;
///
/// impl CredentialsProvider for Vault {
///     fn credentials(&self, call: &Call) -> Result<Credentials, BoxError> {
///         // Whoever asks an HTTP server gives it no more time than this.
///         println!("asked for keys, and have {:?} for it", call.remaining());
///         Ok(Credentials::new("key", "secret").with_session_token("token"))
///     }
/// }
///
/// let builder = KinesisClient::builder().region("eu-central-1");
/// let client = builder.credentials_provider(Vault).build()?;
/// assert_eq!(client.region(), "eu-central-1");
/// # Ok::<(), kinesis_consumer::Error>(())
/// ```
pub trait CredentialsProvider: Send + Sync {
    /// Credentials, or why there are none.
    ///
    /// `call` says how much time there is, 10 s in all, and by [`Call::stopped`] when nobody waits for the answer any
    /// more. A provider that does not look at it cannot be interrupted: a call that needs its answer fails at its own
    /// deadline, and the drop of the last clone of the client waits until the provider returns.
    ///
    /// # Errors
    /// Any text; the call that needs credentials fails with it, as [`Transient`](crate::ErrorClass::Transient). It is
    /// logged, and must not hold a key.
    fn credentials(&self, call: &Call) -> Result<Credentials, BoxError>;
}

impl<F> CredentialsProvider for F
where
    F: Fn() -> Result<Credentials, BoxError> + Send + Sync,
{
    fn credentials(&self, _: &Call) -> Result<Credentials, BoxError> {
        self()
    }
}
