//! Credentials of an EC2 instance, from its metadata.

use rusoto_core::credential::AwsCredentials;
use ureq::http::Uri;

use crate::aws::credentials::metadata::{self, Failure, Metadata};
use crate::aws::credentials::unavailable::Unavailable;
use crate::aws::environment::{self, Lookup};

const ENDPOINT: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT";
const MODE: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE";
const DISABLED: &str = "AWS_EC2_METADATA_DISABLED";
const V1_DISABLED: &str = "AWS_EC2_METADATA_V1_DISABLED";

const V4: &str = "http://169.254.169.254";
const V6: &str = "http://[fd00:ec2::254]";
const ROLES: &str = "/latest/meta-data/iam/security-credentials/";

const NEWER: &str = "version 2, which is not supported here: use ClientBuilder::credentials_fn, or a \
                     profile with credential_process = aws configure export-credentials --format \
                     process";

/// The metadata of this instance, of version 1.
pub(crate) struct Instance {
    endpoint: String,
}

impl Instance {
    /// # Errors
    /// If it must not be asked, or cannot be asked.
    pub(crate) fn of(lookup: Lookup<'_>) -> Result<Self, String> {
        let is_true = |name| {
            let value = environment::first(lookup, &[name]);
            value.is_some_and(|value| value.eq_ignore_ascii_case("true"))
        };
        if is_true(DISABLED) {
            return Err(format!("{DISABLED} is true"));
        }
        if is_true(V1_DISABLED) {
            return Err(format!("{V1_DISABLED} demands {NEWER}"));
        }
        let mode = environment::first(lookup, &[MODE]).unwrap_or_default().to_ascii_lowercase();
        let usual = match mode.as_str() {
            "" | "ipv4" => V4,
            "ipv6" => V6,
            _ => return Err(format!("{MODE} is neither IPv4 nor IPv6")),
        };
        let endpoint = environment::first(lookup, &[ENDPOINT]).unwrap_or_else(|| usual.to_owned());
        let uri = endpoint.parse::<Uri>().ok();
        if uri.is_none_or(|uri| uri.scheme_str() != Some("http") || uri.host().is_none()) {
            return Err(format!("{ENDPOINT} is not an http:// URL"));
        }
        Ok(Self { endpoint: endpoint.trim_end_matches('/').to_owned() })
    }

    /// Makes two calls: for the role, and for its keys.
    pub(crate) async fn keys(&self) -> Result<AwsCredentials, Unavailable> {
        let (metadata, url) = (Metadata::new(), format!("{}{ROLES}", self.endpoint));
        let role = metadata.get(&url, None).await.map_err(refusal)?;
        let role = role_of(&role).ok_or_else(|| {
            let reason = format!("it did not answer a role name: check {ENDPOINT}");
            Unavailable::for_now(reason)
        })?;
        let text = metadata.get(&format!("{url}{role}"), None).await.map_err(refusal)?;
        metadata::keys(&text)
    }
}

fn refusal(failure: Failure) -> Unavailable {
    match failure {
        Failure::Status(status @ (401 | 403), _) => {
            Unavailable::for_good(format!("HTTP status {status}: this instance demands {NEWER}"))
        }
        Failure::Status(404, _) => {
            Unavailable::for_now("HTTP status 404: the instance has no role")
        }
        failure => failure.into(),
    }
}

/// The first role, which is the only one.
fn role_of(text: &str) -> Option<&str> {
    let role = text.lines().next()?.trim();
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"+=,.@-_".contains(&byte);
    ((1..=128).contains(&role.len()) && role.bytes().all(is_part)).then_some(role)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_no_role() {
        assert_eq!(role_of("my-role_1@x\n"), Some("my-role_1@x"));
        for text in ["", "<html>", "\n", "a b", "../../x", "a/b"] {
            assert_eq!(role_of(text), None, "{text:?}");
        }
    }

    #[test]
    fn it_is_asked_where_the_environment_says() {
        let at = |name: &'static str, value: &'static str| {
            move |asked: &str| (asked == name).then(|| value.to_owned())
        };
        let endpoint = |lookup: Lookup<'_>| Instance::of(lookup).map(|it| it.endpoint);
        assert_eq!(endpoint(&|_| None).unwrap(), V4);
        assert_eq!(endpoint(&at(MODE, "IPv6")).unwrap(), V6);
        assert_eq!(endpoint(&at(ENDPOINT, "http://127.0.0.1:1/")).unwrap(), "http://127.0.0.1:1");
        for (name, value) in
            [(DISABLED, "TRUE"), (V1_DISABLED, "true"), (MODE, "ipv5"), (ENDPOINT, "https://x")]
        {
            assert!(endpoint(&at(name, value)).unwrap_err().contains(name), "{name}");
        }
    }
}
