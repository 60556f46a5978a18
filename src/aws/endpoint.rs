//! The server that requests go to.

use std::fmt;
use std::net::IpAddr;

use ureq::http::Uri;

use crate::aws::environment::{self, Lookup};
use crate::aws::partition;
use crate::aws::profile;
use crate::aws::repeats;
use crate::aws::service::Service;
use crate::aws::text::cut;
use crate::aws::variants::{self, Demands, Variants};
use crate::error::Error;

/// For every service; the variable of a service goes before it.
const GENERAL: &str = "AWS_ENDPOINT_URL";
const IGNORE: [&str; 2] =
    ["AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "ignore_configured_endpoint_urls"];
const SETTING: &str = "endpoint_url";

/// A checked address of a server: `http` or `https`, a host, perhaps a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    url: String,
    uri: Uri,
    host: String,
}

/// The endpoint of a service: the one that the environment or the profile names, else Amazon's own in this region.
///
/// `variants` are the client's own settings; the default leaves them to the environment and the profile too. A request
/// must be signed for the region of the endpoint's name, if it has one: [`partition::known`].
///
/// # Errors
/// If a setting is wrong, or Amazon has no such endpoint in this region.
pub(crate) fn of_service(
    service: Service,
    region: &str,
    variants: Variants,
    allow_plain_http: bool,
    lookup: Lookup<'_>,
) -> Result<Endpoint, Error> {
    let demands = variants.demanded(lookup)?;
    match configured(service, allow_plain_http, lookup)? {
        Some(endpoint) => {
            endpoint.say_unmet(&demands);
            Ok(endpoint)
        }
        None => own(service, region, &demands),
    }
}

/// The endpoint of a service that the environment or the profile names.
///
/// # Errors
/// If it is no endpoint, or Amazon's for another service, or the profile's section of services does not exist.
pub(crate) fn configured(
    service: Service,
    allow_plain_http: bool,
    lookup: Lookup<'_>,
) -> Result<Option<Endpoint>, Error> {
    if variants::switched_on(IGNORE[0], IGNORE[1], lookup)?.is_some() {
        return Ok(None);
    }
    let Some((who, url)) = named(service, lookup)? else { return Ok(None) };
    let endpoint = Endpoint::parse(&url, allow_plain_http)
        .and_then(|endpoint| endpoint.check(service).map(|()| endpoint));
    endpoint.map(Some).map_err(|error| match error {
        Error::InvalidSetting { setting, reason } => {
            Error::InvalidSetting { setting, reason: format!("{who}: {reason}") }
        }
        other => other,
    })
}

/// The address of a service in the environment or in the profile, after the name of its setting.
fn named(service: Service, lookup: Lookup<'_>) -> Result<Option<(String, String)>, Error> {
    for variable in [service.variable(), GENERAL] {
        if let Some(url) = environment::first(lookup, &[variable]) {
            return Ok(Some((variable.to_owned(), url)));
        }
    }
    if let Some(name) = profile::setting(lookup, "services") {
        let part = format!("services {name}");
        let settings = profile::nested(lookup, &part, service.section()).ok_or_else(|| {
            let profile = profile::name(lookup);
            invalid(format!("profile {profile:?} names [{part}], which is not in the config file"))
        })?;
        if let Some(url) = settings.get(SETTING).filter(|url| !url.is_empty()) {
            return Ok(Some((format!("{SETTING} in [{part}]"), url.clone())));
        }
    }
    let url = profile::setting(lookup, SETTING);
    Ok(url.map(|url| (format!("{SETTING} of profile {:?}", profile::name(lookup)), url)))
}

/// Amazon's own endpoint of a service in a region.
///
/// Built from the name, so that new regions work as well.
fn own(service: Service, region: &str, demands: &Demands) -> Result<Endpoint, Error> {
    let (title, variable) = (service.title(), service.variable());
    if let Some(who) = demands.fips.as_ref().filter(|_| !service.has_fips(region)) {
        return Err(invalid(format!(
            "{who} demands a FIPS endpoint, and Amazon lists none of {title} in {region:?}: set the \
             endpoint ({variable}), choose another region, or do without FIPS"
        )));
    }
    let (is_fips, is_dual_stack) = (demands.fips.is_some(), demands.dual_stack.is_some());
    let host = partition::host(service, region, is_fips, is_dual_stack).ok_or_else(|| {
        invalid(format!(
            "region {region:?} is in an isolated partition that is not known here: set the endpoint \
             ({variable})"
        ))
    })?;
    Endpoint::parse(&format!("https://{host}"), false)
}

fn invalid(reason: String) -> Error {
    Error::InvalidSetting { setting: "endpoint", reason }
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
        if has_user(&uri) {
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
                "plain http to another machine shows every record and key to the network: use https, or \
                 let the program allow plain http",
            ));
        }
        Ok(endpoint)
    }

    /// Checks that it is not Amazon's endpoint of another service.
    ///
    /// # Errors
    /// If it is.
    pub(crate) fn check(&self, service: Service) -> Result<(), Error> {
        match partition::known(&self.host).map(|known| known.service) {
            Some(other) if other != service => Err(invalid(format!(
                "{} is an endpoint of {}, not of {}: set {} for the one, and {} for the other",
                self.host,
                other.title(),
                service.title(),
                other.variable(),
                service.variable(),
            ))),
            _ => Ok(()),
        }
    }

    /// Logs which demands it does not meet as far as its name shows; once, since keys may be asked for often.
    pub(crate) fn say_unmet(&self, demands: &Demands) {
        for (who, kind) in demands.unmet_by(partition::known(&self.host)) {
            if repeats::is_new(&format!("{who} {self}")) {
                log::warn!(
                    "{who} demands {kind}: the configured endpoint {self} is not checked for that"
                );
            }
        }
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

    /// Whether its address is on this machine's link, such as 169.254.170.2.
    pub(crate) fn is_link_local(&self) -> bool {
        self.host.parse().is_ok_and(is_link_local)
    }
}

/// Whether an address holds a user, and perhaps a password, which would stand in errors.
pub(crate) fn has_user(uri: &Uri) -> bool {
    uri.authority().is_some_and(|authority| authority.as_str().contains('@'))
}

/// Also in a mapped address.
fn is_link_local(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => {
            let [first, second, ..] = address.segments();
            // The second range has the metadata of Amazon's instances and containers.
            address.is_unicast_link_local() || [first, second] == [0xfd00, 0x0ec2]
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

#[cfg(test)]
mod choice_tests;

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
            assert!(error.contains("\"endpoint\": ") && !error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn plain_http_leaves_the_machine_only_if_allowed() {
        for url in ["http://10.0.0.1:4567", "http://example.com", "http://localhost.example.com"] {
            assert!(Endpoint::parse(url, false).is_err(), "{url}");
            assert!(Endpoint::parse(url, true).is_ok(), "{url}");
        }
    }
}
