//! The server that requests go to.

use std::fmt;
use std::net::IpAddr;

use ureq::http::Uri;

use crate::aws::environment::{self, Lookup};
use crate::aws::profile;
use crate::aws::text::cut;
use crate::error::Error;

/// The variables of Amazon's SDKs, the more specific one first.
const VARIABLES: [&str; 2] = ["AWS_ENDPOINT_URL_KINESIS", "AWS_ENDPOINT_URL"];

const IGNORE: &str = "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS";

/// A checked address of a server: `http` or `https`, a host, perhaps a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    url: String,
    uri: Uri,
    host: String,
}

/// The endpoint that was set, else the environment's, else the profile's; `None` means Amazon's own.
///
/// # Errors
/// If the profile has an endpoint for each service, which is not supported.
pub(crate) fn find(set: Option<&str>, lookup: Lookup<'_>) -> Result<Option<String>, Error> {
    if let Some(set) = set {
        return Ok(Some(set.to_owned()));
    }
    let ignores = environment::first(lookup, &[IGNORE])
        .or_else(|| profile::setting(lookup, "ignore_configured_endpoint_urls"));
    if ignores.is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return Ok(None);
    }
    if let Some(url) = environment::first(lookup, &VARIABLES) {
        return Ok(Some(url));
    }
    let services = profile::setting(lookup, "services");
    let part = services.map(|name| format!("services {name}"));
    if let Some(part) = part.filter(|part| profile::has(lookup, part, "kinesis")) {
        let reason = format!("[{part}] of the profile is not supported: set {}", VARIABLES[0]);
        return Err(Error::InvalidSetting { setting: "endpoint", reason });
    }
    Ok(profile::setting(lookup, "endpoint_url").filter(|url| !url.is_empty()))
}

impl Endpoint {
    /// Checks an address.
    ///
    /// # Errors
    /// Unless it is an address, and encrypted, or on this machine, or allowed by `allow_plain_http`.
    // long: one check of an address after the other, each with its text.
    pub(crate) fn parse(url: &str, allow_plain_http: bool) -> Result<Self, Error> {
        let invalid = |reason: &str| {
            // The text before an @ may be a password.
            let shown = if url.contains('@') { String::new() } else { format!("{:?}: ", cut(url)) };
            Error::InvalidSetting { setting: "endpoint", reason: format!("{shown}{reason}") }
        };
        let uri: Uri = url
            .trim()
            .parse()
            .map_err(|_| invalid("it is not a URL, such as http://localhost:4567"))?;
        let scheme = uri.scheme_str().unwrap_or_default();
        if scheme != "http" && scheme != "https" {
            return Err(invalid("it must start with http:// or https://"));
        }
        let authority = uri.authority().ok_or_else(|| invalid("it names no host"))?;
        let host = authority.host().trim_matches(['[', ']']).to_ascii_lowercase();
        if authority.as_str().contains('@') {
            return Err(invalid("it must hold no user and no password"));
        }
        let has_colon = authority.as_str() != authority.host();
        if host.is_empty() || has_colon && authority.port_u16().is_none() {
            return Err(invalid("it must name a host, and a port of at most 65535 after a colon"));
        }
        if !matches!(uri.path(), "" | "/") || url.contains(['?', '#']) {
            return Err(invalid("it must hold no path and no query"));
        }
        let url = format!("{scheme}://{authority}");
        let uri = url.parse().map_err(|_| invalid("it is not a URL"))?;
        let endpoint = Self { url, uri, host };
        if scheme == "http" && !endpoint.is_loopback() && !allow_plain_http {
            return Err(invalid(
                "plain http to another machine shows every record to the network: use https, or \
                 ClientBuilder::allow_plain_http",
            ));
        }
        Ok(endpoint)
    }

    /// The address without a path.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The same address, parsed.
    pub(crate) fn uri(&self) -> &Uri {
        &self.uri
    }

    /// The header `Host` of requests to it.
    pub(crate) fn host_header(&self) -> String {
        self.uri.authority().map(|authority| authority.to_string()).unwrap_or_default()
    }

    /// The name or address of the host, in lower case, without brackets.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Whether it is on this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        let address = self.host.parse::<IpAddr>();
        self.host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_addresses_are_taken_without_their_path() {
        for (given, url, host) in [
            ("https://kinesis.eu-west-1.amazonaws.com", None, "kinesis.eu-west-1.amazonaws.com"),
            ("https://Example.com:443/", Some("https://Example.com:443"), "example.com"),
            ("http://localhost:4567", None, "localhost"),
            ("http://127.0.0.9:1/", Some("http://127.0.0.9:1"), "127.0.0.9"),
            ("http://[::1]:4567", None, "::1"),
        ] {
            let endpoint = Endpoint::parse(given, false).unwrap();
            assert_eq!((endpoint.url(), endpoint.host()), (url.unwrap_or(given), host));
        }
    }

    #[test]
    fn bad_addresses_are_refused() {
        for url in [
            "",
            "kinesis.eu-west-1.amazonaws.com",
            "ftp://example.com",
            "https://",
            "https://example.com/path",
            "https://example.com/?query",
            "https://example.com?query",
            "https://example.com/#part",
            "https://user:secret@example.com",
            "https://exa mple.com",
            "https://:443",
            "https://example.com:",
            "https://example.com:99999",
        ] {
            let error = Endpoint::parse(url, true).unwrap_err().to_string();
            assert!(error.starts_with("endpoint: ") && !error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn plain_http_leaves_the_machine_only_if_allowed() {
        for url in ["http://10.0.0.1:4567", "http://example.com", "http://localhost.example.com"] {
            assert!(Endpoint::parse(url, false).is_err(), "{url}");
            assert!(Endpoint::parse(url, true).is_ok(), "{url}");
        }
    }

    #[test]
    fn the_special_variable_goes_before_the_general_one() {
        let both = |name: &str| Some(format!("of {name}"));
        let general = |name: &str| (name == "AWS_ENDPOINT_URL").then(|| "general".to_owned());
        let empty = |_: &str| Some(String::new());
        let find = |set, lookup: Lookup<'_>| find(set, lookup).unwrap();
        assert_eq!(find(Some("set"), &both).unwrap(), "set");
        assert_eq!(find(None, &both).unwrap(), "of AWS_ENDPOINT_URL_KINESIS");
        assert_eq!(find(None, &general).unwrap(), "general");
        assert_eq!(find(None, &empty), None);
        let ignored = |name: &str| Some(if name == IGNORE { "true" } else { "x" }.to_owned());
        assert_eq!(
            (find(None, &ignored), find(Some("set"), &ignored).unwrap()),
            (None, "set".into())
        );
    }
}
