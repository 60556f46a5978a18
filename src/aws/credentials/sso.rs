//! Keys for the role of somebody who has signed on at IAM Identity Center.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use percent_encoding::utf8_percent_encode;
use serde::Deserialize;
use sha1::{Digest, Sha1};

use crate::aws::credentials::chosen::quoted;
use crate::aws::credentials::search::Search;
use crate::aws::credentials::service::{FAR, Failure, Place};
use crate::aws::credentials::unavailable::Unavailable;
use crate::aws::credentials::{Credentials, expiry, file};
use crate::aws::http::quiet::Ask;
use crate::aws::profile;
use crate::aws::service::Service;
use crate::aws::text::RESERVED;

const TOKEN: &str = "x-amz-sso_bearer_token";

/// A role of somebody who has signed on by a profile.
pub(crate) struct Sso {
    pub(crate) profile: String,
    /// The name of the session, or its start URL if it has no name: the token's file is called after it.
    pub(crate) session: String,
    pub(crate) region: String,
    pub(crate) account: String,
    pub(crate) role: String,
}

/// The file of a token, which `aws sso login` writes.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Token {
    access_token: String,
    expires_at: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Given {
    role_credentials: Keys,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Keys {
    access_key_id: String,
    secret_access_key: String,
    session_token: String,
    /// Milliseconds since 1970.
    expiration: u64,
}

impl Sso {
    /// The token is read anew each time: whoever signs on again writes it anew.
    pub(crate) fn keys(&self, search: &Search<'_>) -> Result<Credentials, Unavailable> {
        let token = self.token(search)?;
        let portal = search.endpoint(Service::SsoPortal, &self.region)?;
        let [role, account] =
            [&self.role, &self.account].map(|it| utf8_percent_encode(it, RESERVED));
        let path = format!("/federation/credentials?role_name={role}&account_id={account}");
        let uri = format!("{}{path}", portal.url()).parse();
        let uri = uri.map_err(|_| Unavailable::for_good("the portal's endpoint is not a URL"))?;
        let ask = Ask { method: "GET", uri: &uri, headers: vec![(TOKEN, &token)], body: b"" };
        let answer = search.services.ask(&ask, Place::At(&portal), FAR);
        let answer = answer.map_err(|failure| self.refusal(failure))?;
        read(&answer.body).ok_or_else(|| {
            Unavailable::for_now("the portal's answer holds no keys: check the endpoint of SSO")
        })
    }

    fn token(&self, search: &Search<'_>) -> Result<String, Unavailable> {
        let login = |why: String| Unavailable::for_good(format!("{why}: {}", self.remedy()));
        let path = self.cache(search)?;
        let text =
            file::read(&path).map_err(|why| login(format!("no token of a session: {why}")))?;
        let token = serde_json::from_str::<Token>(&text);
        let Token { access_token, expires_at } =
            token.map_err(|_| login(format!("{} holds no token", path.display())))?;
        // A time of another form is the portal's matter.
        if expiry::parse(&expires_at).is_some_and(|expires| expires <= SystemTime::now()) {
            return Err(login("the session has expired".to_owned()));
        }
        file::check(&access_token).map_err(|why| login(format!("{}: {why}", path.display())))?;
        Ok(access_token)
    }

    fn cache(&self, search: &Search<'_>) -> Result<PathBuf, Unavailable> {
        let home = profile::home(search.lookup).ok_or_else(|| {
            Unavailable::for_good(
                "no home directory is known, where the token of a session would be",
            )
        })?;
        let name = hex::encode(Sha1::digest(self.session.as_bytes()));
        Ok(home.join(".aws/sso/cache").join(format!("{name}.json")))
    }

    fn refusal(&self, failure: Failure) -> Unavailable {
        match &failure {
            Failure::Refused(answer) if answer.status == 401 => {
                let remedy = self.remedy();
                Unavailable::for_good(format!(
                    "the portal refuses the session: {remedy} ({failure})"
                ))
            }
            Failure::Refused(answer) if matches!(answer.status, 403 | 404) => {
                Unavailable::for_good(format!(
                    "the portal gives no keys: check sso_account_id and sso_role_name ({failure})"
                ))
            }
            _ => Unavailable::from(failure).of("the portal"),
        }
    }

    fn remedy(&self) -> String {
        format!("run aws sso login --profile {}", quoted(&self.profile))
    }
}

fn read(text: &[u8]) -> Option<Credentials> {
    let Given { role_credentials: keys } = serde_json::from_slice(text).ok()?;
    let expires = UNIX_EPOCH.checked_add(Duration::from_millis(keys.expiration))?;
    let credentials = Credentials::new(keys.access_key_id, keys.secret_access_key);
    Some(credentials.with_session_token(keys.session_token).with_expiry(expires))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_are_read_whole_or_not_at_all() {
        let text = r#"{"roleCredentials":{"accessKeyId":"k","secretAccessKey":"s","sessionToken":"t",
            "expiration":4102444800000}}"#;
        let expires = expiry::parse("2100-01-01T00:00:00Z").unwrap();
        let wanted = Credentials::new("k", "s").with_session_token("t").with_expiry(expires);
        assert_eq!(read(text.as_bytes()), Some(wanted));
        for name in ["accessKeyId", "secretAccessKey", "sessionToken", "expiration", "roleCred"] {
            assert_eq!(read(text.replace(name, "x").as_bytes()), None, "{name}");
        }
        assert_eq!(read(b"<html>"), None);
    }
}
