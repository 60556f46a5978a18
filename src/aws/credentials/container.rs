//! Credentials of a container, from the agent that runs it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use ureq::http::Uri;

use crate::aws::credentials::service::{NEAR, Place, Services, anywhere};
use crate::aws::credentials::unavailable::Unavailable;
use crate::aws::credentials::{Credentials, file, given};
use crate::aws::endpoint::has_user;
use crate::aws::environment::{self, Lookup};
use crate::aws::http::quiet::Ask;

const RELATIVE: &str = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";
const FULL: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
const TOKEN: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN";
const TOKEN_FILE: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";

/// The text for a search without a container.
pub(crate) const NONE: &str =
    "the container: neither AWS_CONTAINER_CREDENTIALS_RELATIVE_URI nor _FULL_URI is set";

/// The agents of ECS and EKS, to which a token may go in plain text.
const ECS: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2));
const EKS: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 170, 23));
const EKS_6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23));

/// The address of this container's keys.
pub(crate) struct Container {
    url: String,
    /// The variable that names it.
    setting: &'static str,
    token: Option<Token>,
}

/// What proves to the agent who asks.
enum Token {
    Is(String),
    /// In a file, as EKS Pod Identity gives it.
    In(PathBuf),
}

impl Container {
    /// The container in the environment.
    ///
    /// # Errors
    /// If it cannot be used.
    pub(crate) fn of(lookup: Lookup<'_>) -> Result<Option<Self>, String> {
        let file = environment::first(lookup, &[TOKEN_FILE]).map(|path| Token::In(path.into()));
        let token = file.or_else(|| environment::first(lookup, &[TOKEN]).map(Token::Is));
        if let Some(path) = environment::first(lookup, &[RELATIVE]) {
            if !path.starts_with('/') {
                return Err(format!("{RELATIVE} must begin with /"));
            }
            return Ok(Some(Self { url: format!("http://{ECS}{path}"), setting: RELATIVE, token }));
        }
        let Some(url) = environment::first(lookup, &[FULL]) else { return Ok(None) };
        check(&url)?;
        Ok(Some(Self { url, setting: FULL, token }))
    }

    /// The token is read anew each time: it is replaced before it expires.
    pub(crate) fn keys(&self, services: &Services<'_>) -> Result<Credentials, Unavailable> {
        let token = self.token.as_ref().map(Token::read).transpose();
        let token = token.map_err(Unavailable::for_now)?;
        let headers = token.as_deref().map(|token| ("authorization", token)).into_iter().collect();
        let uri = self.url.parse();
        let uri =
            uri.map_err(|_| Unavailable::for_good(format!("{} is not a URL", self.setting)))?;
        let ask = Ask { method: "GET", uri: &uri, headers, body: b"" };
        let fits = if self.url.starts_with("https") { anywhere } else { is_near };
        given::keys(&services.ask(&ask, Place::Near(fits), NEAR)?.body)
    }
}

impl Token {
    fn read(&self) -> Result<String, String> {
        match self {
            Self::Is(token) => {
                let why = file::check(token).map_err(|why| format!("{TOKEN}: {why}"));
                why.map(|()| token.clone())
            }
            Self::In(path) => file::read_line(path).map_err(|why| format!("{TOKEN_FILE}, {why}")),
        }
    }
}

/// Whether plain text may go there.
fn is_near(address: IpAddr) -> bool {
    address.is_loopback() || [ECS, EKS, EKS_6].contains(&address)
}

/// Whether keys may come from there, and a token may be sent there: it is encrypted, or near. The addresses of a name
/// are checked when it is connected to.
fn check(url: &str) -> Result<(), String> {
    let uri = url.parse::<Uri>().map_err(|_| format!("{FULL} is not a URL"))?;
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let is_far = host.parse::<IpAddr>().is_ok_and(|address| !is_near(address));
    match uri.scheme_str() {
        _ if has_user(&uri) => Err(format!("{FULL} must hold no user and no password")),
        _ if host.is_empty() => Err(format!("{FULL} names no host")),
        Some("https") => Ok(()),
        Some("http") if !is_far => Ok(()),
        Some("http") => Err(format!(
            "{FULL}: plain http goes only to localhost, loopback addresses, {ECS}, {EKS} and \
             [{EKS_6}], and not to {host:?}: use https"
        )),
        _ => Err(format!("{FULL} is not an http:// or https:// URL")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_goes_to_this_machine_and_to_amazons_agents_alone() {
        for url in [
            "http://localhost:1/x",
            "http://127.9.9.9/",
            "http://[::1]:80/x?y",
            "http://169.254.170.2/v2",
            "http://169.254.170.23/v1/credentials",
            "http://[fd00:ec2::23]/v1/credentials",
            "https://example.com/keys",
            // The addresses of a name are checked when it is connected to.
            "http://example.com/",
        ] {
            assert_eq!(check(url), Ok(()), "{url}");
        }
        for url in [
            "http://169.254.170.3/",
            "http://169.254.169.254/",
            "http://10.0.0.1/",
            "http://[fd00:ec2::24]/",
            "http://localhost@10.0.0.1/",
            "ftp://localhost/",
            "localhost",
            "not a url",
        ] {
            let error = check(url).unwrap_err();
            assert!(error.contains(FULL), "{error}");
        }
    }

    #[test]
    fn a_relative_path_goes_to_the_agent_of_ecs_and_counts_first() {
        let lookup = |name: &str| match name {
            RELATIVE => Some("/v2/credentials".to_owned()),
            FULL => Some("http://example.com".to_owned()),
            TOKEN => Some("let me in".to_owned()),
            _ => None,
        };
        let container = Container::of(&lookup).unwrap().unwrap();
        assert_eq!(container.url, "http://169.254.170.2/v2/credentials");
        let lookup = |name: &str| (name == RELATIVE).then(|| ".example.com".to_owned());
        assert!(Container::of(&lookup).err().unwrap().contains("must begin with /"));
        assert!(Container::of(&|_| None).unwrap().is_none());
    }
}
