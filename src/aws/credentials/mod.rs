//! Keys that sign requests.

pub(crate) mod cache;
pub(crate) mod chain;
pub(crate) mod chosen;
pub(crate) mod container;
pub(crate) mod expiry;
pub(crate) mod file;
pub(crate) mod given;
pub(crate) mod instance;
pub(crate) mod place;
pub(crate) mod process;
pub(crate) mod provider;
pub(crate) mod question;
pub(crate) mod role;
#[cfg(feature = "rusoto")]
pub(crate) mod rusoto;
pub(crate) mod search;
pub(crate) mod service;
pub(crate) mod source;
pub(crate) mod sso;
pub(crate) mod sts;
pub(crate) mod unavailable;
pub(crate) mod variables;
pub(crate) mod words;
use std::fmt;
use std::time::SystemTime;

/// An access key with its secret, token and expiry. `Debug` shows none of them.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
    expires: Option<SystemTime>,
}

impl Credentials {
    /// A key that does not expire.
    pub fn new(access_key_id: impl Into<String>, secret_access_key: impl Into<String>) -> Self {
        Self {
            access_key_id: access_key_id.into(),
            secret_access_key: secret_access_key.into(),
            session_token: None,
            expires: None,
        }
    }

    /// The same with the token of temporary keys.
    #[must_use]
    pub fn with_session_token(mut self, token: impl Into<String>) -> Self {
        self.session_token = Some(token.into());
        self
    }

    /// The same, replaced before this time: new credentials are requested five minutes earlier.
    ///
    /// Defaults to never; then they are replaced when the service refuses them.
    #[must_use]
    pub fn with_expiry(mut self, expires: SystemTime) -> Self {
        self.expires = Some(expires);
        self
    }

    pub(crate) fn access_key_id(&self) -> &str {
        &self.access_key_id
    }

    pub(crate) fn secret_access_key(&self) -> &str {
        &self.secret_access_key
    }

    pub(crate) fn session_token(&self) -> Option<&str> {
        self.session_token.as_deref()
    }

    pub(crate) fn expires(&self) -> Option<SystemTime> {
        self.expires
    }

    /// Whether both sign alike; they may expire at different times.
    pub(crate) fn sign_like(&self, other: &Self) -> bool {
        self.access_key_id == other.access_key_id
            && self.secret_access_key == other.secret_access_key
            && self.session_token == other.session_token
    }

    /// Whether a request can be signed with them: they go into headers.
    ///
    /// # Errors
    /// The reason, without the text itself.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        if self.access_key_id.is_empty() || self.secret_access_key.is_empty() {
            return Err("the access key or its secret is empty");
        }
        let token = self.session_token.as_deref().unwrap_or_default();
        let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        if !plain(&self.access_key_id) || !plain(&self.secret_access_key) || !plain(token) {
            return Err("a key or token holds a blank, a line break or another strange character");
        }
        Ok(())
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("expires", &self.expires).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_part_of_the_keys() {
        let credentials = Credentials::new("AKIDVISIBLE", "hush").with_session_token("token");
        let shown = format!("{credentials:?}");
        assert!(!["AKID", "hush", "token"].iter().any(|part| shown.contains(part)), "{shown}");
    }

    #[test]
    fn keys_that_cannot_stand_in_a_header_are_refused() {
        assert!(Credentials::new("AKID", "se/cr+et=").check().is_ok());
        for (key, secret, token) in [
            ("", "s", "t"),
            ("k", "", "t"),
            ("k\n", "s", "t"),
            ("k", "s ", "t"),
            ("k", "s", "\u{e9}"),
        ] {
            let credentials = Credentials::new(key, secret).with_session_token(token);
            assert!(credentials.check().is_err(), "{key:?} {secret:?} {token:?}");
        }
    }
}
