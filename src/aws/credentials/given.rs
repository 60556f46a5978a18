//! Keys in JSON, as services and programs give them.

use serde::Deserialize;
use serde_json::Value;

use crate::aws::credentials::Credentials;
use crate::aws::credentials::expiry;
use crate::aws::credentials::unavailable::Unavailable;
use crate::aws::text::cut;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Given {
    access_key_id: String,
    secret_access_key: String,
    /// Services name it so, programs otherwise.
    #[serde(alias = "Token")]
    session_token: Option<String>,
    expiration: Option<String>,
}

/// Reads keys, without showing any other text.
///
/// # Errors
/// If there are none: with the service's own error, if it gave one.
pub(crate) fn keys(text: &[u8]) -> Result<Credentials, Unavailable> {
    let said = serde_json::from_slice::<Value>(text).unwrap_or_default();
    if let Some(code) = said["Code"].as_str().filter(|code| *code != "Success") {
        let message = said["Message"].as_str().unwrap_or_default();
        return Err(Unavailable::for_now(cut(&format!("{code} {message}"))));
    }
    read(said).ok_or_else(|| Unavailable::for_now("it did not answer a JSON object with a key"))
}

/// The keys in an object, if they are whole.
pub(crate) fn read(said: Value) -> Option<Credentials> {
    let given: Given = serde_json::from_value(said).ok()?;
    let mut credentials = Credentials::new(given.access_key_id, given.secret_access_key);
    if let Some(token) = given.session_token.filter(|token| !token.is_empty()) {
        credentials = credentials.with_session_token(token);
    }
    match given.expiration.filter(|text| !text.is_empty()) {
        Some(text) => Some(credentials.with_expiry(expiry::parse(&text)?)),
        None => Some(credentials),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_key_is_an_error_that_shows_nothing_of_it() {
        for text in [
            "",
            "<html>hush</html>",
            "[]",
            "{}",
            r#"{"AccessKeyId":"hush"}"#,
            r#"{"Token":"hush"}"#,
            r#"{"AccessKeyId":"hush","SecretAccessKey":"s","Expiration":"hush"}"#,
        ] {
            let error = keys(text.as_bytes()).unwrap_err();
            assert_eq!(error.reason, "it did not answer a JSON object with a key");
        }
        let failed = br#"{"Code":"AssumeRoleUnauthorizedAccess","Message":"no trust"}"#;
        assert_eq!(keys(failed).unwrap_err().reason, "AssumeRoleUnauthorizedAccess no trust");
    }

    #[test]
    fn keys_come_whole_in_both_forms() {
        let wanted = Credentials::new("k", "s").with_session_token("t");
        let good = br#"{"Code":"Success","AccessKeyId":"k","SecretAccessKey":"s","Token":"t"}"#;
        assert_eq!(keys(good).unwrap(), wanted);
        let printed = br#"{"Version":1,"AccessKeyId":"k","SecretAccessKey":"s","SessionToken":"t",
            "Expiration":"2100-01-01T00:00:00+00:00"}"#;
        let expires = expiry::parse("2100-01-01T00:00:00Z").unwrap();
        assert_eq!(keys(printed).unwrap(), wanted.with_expiry(expires));
        let bare = br#"{"AccessKeyId":"k","SecretAccessKey":"s","Token":"","Expiration":null}"#;
        assert_eq!(keys(bare).unwrap(), Credentials::new("k", "s"));
    }
}
