//! Keys in the environment, and the variables of a web identity.

use crate::aws::credentials::place::Place;
use crate::aws::credentials::role::{Role, SESSION, WebIdentity};
use crate::aws::credentials::{Credentials, expiry};
use crate::aws::environment::{self, Lookup};

pub(crate) const KEY: &str = "AWS_ACCESS_KEY_ID";
const SECRET: &str = "AWS_SECRET_ACCESS_KEY";
const TOKEN: &str = "AWS_SESSION_TOKEN";
/// A name from Amazon's oldest tools.
const OLD_TOKEN: &str = "AWS_SECURITY_TOKEN";
const EXPIRATION: &str = "AWS_CREDENTIAL_EXPIRATION";

const TOKEN_FILE: &str = "AWS_WEB_IDENTITY_TOKEN_FILE";
const ROLE: &str = "AWS_ROLE_ARN";
const ROLE_SESSION: &str = "AWS_ROLE_SESSION_NAME";

/// The keys in the environment.
///
/// # Errors
/// If they cannot be used.
pub(crate) fn keys(lookup: Lookup<'_>) -> Result<Option<Place>, String> {
    let get = |name: &str| environment::first(lookup, &[name]);
    if get(TOKEN).is_none() && get(OLD_TOKEN).is_some() {
        return Err(format!("{OLD_TOKEN} is not supported: set {TOKEN}"));
    }
    let (key, secret) = match (get(KEY), get(SECRET)) {
        (Some(key), Some(secret)) => (key, secret),
        (Some(_), None) => return Err(half("the environment", KEY, SECRET)),
        (None, Some(_)) => return Err(half("the environment", SECRET, KEY)),
        (None, None) => return Ok(None),
    };
    let mut keys = Credentials::new(key, secret);
    if let Some(token) = get(TOKEN) {
        keys = keys.with_session_token(token);
    }
    if let Some(text) = get(EXPIRATION) {
        let expires = expiry::parse(&text);
        let why = format!("{EXPIRATION} is not a time such as 2030-01-01T00:00:00Z");
        keys = keys.with_expiry(expires.ok_or(why)?);
    }
    Ok(Some(Place::Keys(keys)))
}

/// The web identity in the environment, as EKS gives it to service accounts.
///
/// # Errors
/// If it names no role.
pub(crate) fn web_identity(lookup: Lookup<'_>) -> Result<Option<Place>, String> {
    let get = |name: &str| environment::first(lookup, &[name]);
    let Some(token) = get(TOKEN_FILE) else { return Ok(None) };
    let arn = get(ROLE).ok_or_else(|| half("the environment", TOKEN_FILE, ROLE))?;
    let session = get(ROLE_SESSION).unwrap_or_else(|| SESSION.to_owned());
    let role = Role { arn, session, duration: None, external_id: None };
    Ok(Some(Place::WebIdentity(WebIdentity { role, token: token.into(), setting: TOKEN_FILE })))
}

/// The text for one of two settings that belong together.
pub(crate) fn half(place: &str, set: &str, missing: &str) -> String {
    format!("{place}: {set} is set, but no {missing}")
}
