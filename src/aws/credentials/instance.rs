//! Credentials of an EC2 instance, from its metadata.

use std::time::Duration;

use ureq::http::Uri;

use crate::aws::credentials::service::{Failure, NEAR, Place, Services, anywhere};
use crate::aws::credentials::unavailable::Unavailable;
use crate::aws::credentials::{Credentials, given};
use crate::aws::endpoint::has_user;
use crate::aws::environment::{self, Lookup};
use crate::aws::http::quiet::Ask;
use crate::aws::profile;

const ENDPOINT: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT";
const MODE: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE";
const DISABLED: &str = "AWS_EC2_METADATA_DISABLED";
const V1_DISABLED: &str = "AWS_EC2_METADATA_V1_DISABLED";

const V4: &str = "http://169.254.169.254";
const V6: &str = "http://[fd00:ec2::254]";
const ROLES: &str = "/latest/meta-data/iam/security-credentials/";

const TOKEN: &str = "/latest/api/token";

/// The token is for the calls that follow at once; this is as long as Amazon lets one live.
const TOKEN_LIFE: (&str, &str) = ("x-aws-ec2-metadata-token-ttl-seconds", "21600");
const TOKEN_HEADER: &str = "x-aws-ec2-metadata-token";
/// A token that takes longer does not come: the way to the metadata ends before a container.
const PATIENCE: Duration = Duration::from_secs(1);

/// The metadata of this instance.
pub(crate) struct Instance {
    endpoint: String,
    may_use_v1: bool,
}

/// How the metadata is asked.
enum Version {
    /// With a token.
    Two(String),
    /// Without a token, and why there is none.
    One(Failure),
}

impl Instance {
    /// The instance's metadata, as the environment says, else the profile.
    ///
    /// # Errors
    /// If it must not be asked, or cannot be asked.
    pub(crate) fn of(lookup: Lookup<'_>) -> Result<Self, String> {
        let get = |variable| setting(lookup, variable);
        let is_true =
            |value: Option<String>| value.is_some_and(|it| it.eq_ignore_ascii_case("true"));
        // The profile has no such setting: it is for a whole machine.
        if is_true(environment::first(lookup, &[DISABLED])) {
            return Err(format!("{DISABLED} is true"));
        }
        let mode = get(MODE).unwrap_or_default().to_ascii_lowercase();
        let usual = match mode.as_str() {
            "" | "ipv4" => V4,
            "ipv6" => V6,
            _ => return Err(format!("{MODE} is neither IPv4 nor IPv6")),
        };
        let endpoint = get(ENDPOINT).unwrap_or_else(|| usual.to_owned());
        if !is_plain(&endpoint) {
            return Err(format!("{ENDPOINT} is not an http:// URL without a user"));
        }
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        Ok(Self { endpoint, may_use_v1: !is_true(get(V1_DISABLED)) })
    }

    /// Makes three calls: for a token, for the role, and for its keys.
    pub(crate) fn keys(&self, services: &Services<'_>) -> Result<Credentials, Unavailable> {
        let version = self.version(services)?;
        let get = |path: &str| {
            let headers = version.header().into_iter().collect();
            let answer = self.ask(services, "GET", path, headers, NEAR);
            answer.map_err(|failure| version.refusal(failure))
        };
        let role = get(ROLES)?;
        let role = role_of(&role).ok_or_else(|| {
            Unavailable::for_now(format!("it did not answer a role name: check {ENDPOINT}"))
        })?;
        given::keys(get(&format!("{ROLES}{role}"))?.as_bytes())
    }

    /// Version 2, unless the metadata knows only the older one, or its token does not come.
    fn version(&self, services: &Services<'_>) -> Result<Version, Unavailable> {
        let failure = match self.ask(services, "PUT", TOKEN, vec![TOKEN_LIFE], PATIENCE) {
            Ok(token) if is_token(&token) => return Ok(Version::Two(token)),
            Ok(_) => {
                let reason = format!("it did not answer a token: check {ENDPOINT}");
                return Err(Unavailable::for_now(reason));
            }
            Err(failure) => failure,
        };
        match failure {
            failure if self.may_use_v1 && is_older(&failure) => Ok(Version::One(failure)),
            failure => {
                let version =
                    if self.may_use_v1 { "" } else { "; AWS_EC2_METADATA_V1_DISABLED is true" };
                let why = hint(&failure);
                Err(Unavailable::for_now(format!("no token came: {why}{version}")))
            }
        }
    }

    fn ask(
        &self,
        services: &Services<'_>,
        method: &'static str,
        path: &str,
        headers: Vec<(&str, &str)>,
        limit: Duration,
    ) -> Result<String, Failure> {
        let uri = format!("{}{path}", self.endpoint).parse();
        let uri = uri.map_err(|_| Failure::Forbidden(format!("{ENDPOINT} is not a URL")))?;
        let ask = Ask { method, uri: &uri, headers, body: b"" };
        Ok(services.ask(&ask, Place::Near(anywhere), limit)?.text())
    }
}

/// Whether it is the address of a server that speaks plain http.
fn is_plain(url: &str) -> bool {
    url.parse::<Uri>().is_ok_and(|uri| {
        uri.scheme_str() == Some("http") && uri.host().is_some() && !has_user(&uri)
    })
}

/// A variable, else the setting of the profile with the same name.
fn setting(lookup: Lookup<'_>, variable: &str) -> Option<String> {
    let setting = variable.trim_start_matches("AWS_").to_ascii_lowercase();
    environment::first(lookup, &[variable]).or_else(|| profile::setting(lookup, &setting))
}

/// Whether the failure of a token may mean that the metadata gives none.
fn is_older(failure: &Failure) -> bool {
    match failure {
        Failure::Refused(answer) => (403..=405).contains(&answer.status),
        Failure::Broken(_) | Failure::Late(_) => true,
        Failure::Strange(_) | Failure::Forbidden(_) => false,
    }
}

impl Version {
    fn header(&self) -> Option<(&str, &str)> {
        match self {
            Self::Two(token) => Some((TOKEN_HEADER, token)),
            Self::One(_) => None,
        }
    }

    fn refusal(&self, failure: Failure) -> Unavailable {
        match (self, failure) {
            (_, Failure::Refused(answer)) if answer.status == 404 => {
                Unavailable::for_now("HTTP status 404: the instance has no role")
            }
            (Self::One(why), failure) => Unavailable::for_now(format!(
                "{failure} without a token, which did not come: {}",
                hint(why)
            )),
            (Self::Two(_), failure) => failure.into(),
        }
    }
}

/// Where no answer comes, the metadata's answers may not come as far as here.
fn hint(failure: &Failure) -> String {
    match failure {
        Failure::Late(why) => format!("{why} (in a container, the instance's hop limit must be 2)"),
        _ => failure.to_string(),
    }
}

/// It goes into a header; a page of another server is none.
fn is_token(text: &str) -> bool {
    (1..=1_024).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_graphic())
        && !text.starts_with('<')
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
    fn a_page_is_no_token() {
        assert!(is_token("AQAEAGe-x_9=="));
        let long = "x".repeat(2_000);
        for text in ["", "<html>", "a b", "a\n", "\u{e9}", &long] {
            assert!(!is_token(text), "{text:?}");
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
        let may_use_v1 = |lookup: Lookup<'_>| Instance::of(lookup).unwrap().may_use_v1;
        assert!(may_use_v1(&|_| None) && !may_use_v1(&at(V1_DISABLED, "True")));
        assert_eq!(endpoint(&at(ENDPOINT, "http://127.0.0.1:1/")).unwrap(), "http://127.0.0.1:1");
        for (name, value) in [(DISABLED, "TRUE"), (MODE, "ipv5"), (ENDPOINT, "https://x")] {
            assert!(endpoint(&at(name, value)).unwrap_err().contains(name), "{name}");
        }
    }

    #[test]
    fn it_is_asked_where_the_profile_says_if_the_environment_says_nothing() {
        let path = std::env::temp_dir().join(format!("kc-instance-{}", std::process::id()));
        let text = "[default]\nec2_metadata_service_endpoint = http://127.0.0.1:1\n\
                    ec2_metadata_v1_disabled = true\n";
        std::fs::write(&path, text).unwrap();
        let file = path.display().to_string();
        let lookup = |more: &'static str| {
            let file = file.clone();
            move |name: &str| match name {
                "AWS_CONFIG_FILE" => Some(file.clone()),
                ENDPOINT if !more.is_empty() => Some(more.to_owned()),
                _ => None,
            }
        };
        let instance = Instance::of(&lookup("")).unwrap();
        assert_eq!(
            (instance.endpoint.as_str(), instance.may_use_v1),
            ("http://127.0.0.1:1", false)
        );
        assert_eq!(Instance::of(&lookup("http://[::1]:2")).unwrap().endpoint, "http://[::1]:2");
        std::fs::write(&path, "[default]\nec2_metadata_service_endpoint_mode = IPv6\n").unwrap();
        assert_eq!(Instance::of(&lookup("")).unwrap().endpoint, V6);
        std::fs::remove_file(&path).unwrap();
    }
}
