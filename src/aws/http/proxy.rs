//! The proxy for an endpoint, and the variable that names it.

use ureq::{Proxy, ProxyProtocol};

use crate::aws::endpoint::Endpoint;
use crate::aws::environment::{self, Lookup};
use crate::aws::http::no_proxy;
use crate::aws::http::tls;
use crate::aws::repeats;
use crate::error::Error;

/// As curl reads them: for the scheme of the endpoint, the one in lower case first.
const HTTPS: [&str; 4] = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
/// Without `HTTP_PROXY`: where a web server starts this program, as CGI does, that is a header of the visitor's.
const HTTP: [&str; 3] = ["http_proxy", "all_proxy", "ALL_PROXY"];
const EXEMPT: [&str; 2] = ["no_proxy", "NO_PROXY"];
/// Variables that other programs may read for an endpoint of either scheme.
const UNUSED: [&str; 4] = ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"];

/// A proxy, and its text for people.
pub(crate) struct Route {
    pub(crate) proxy: Proxy,
    /// Such as `the proxy http://proxy:3128 (HTTPS_PROXY)`, without user and password.
    pub(crate) name: String,
}

/// The proxy for an endpoint; none for this machine and its link: for a proxy these are other machines.
///
/// # Errors
/// If a variable names a proxy that cannot be used.
pub(crate) fn find(endpoint: &Endpoint, lookup: Lookup<'_>) -> Result<Option<Route>, Error> {
    let is_https = endpoint.uri().scheme_str() == Some("https");
    let port = endpoint.uri().port_u16().unwrap_or(if is_https { 443 } else { 80 });
    let exempt = environment::first(lookup, &EXEMPT).unwrap_or_default();
    let is_near = endpoint.is_loopback() || endpoint.is_link_local();
    if is_near || no_proxy::names(&exempt, endpoint.host(), port) {
        return Ok(None);
    }
    let variables: &[&'static str] = if is_https { &HTTPS } else { &HTTP };
    let is_set = |variable: &str| environment::first(lookup, &[variable]);
    let mut set = variables.iter().filter_map(|variable| Some((*variable, is_set(variable)?)));
    let Some((setting, url)) = set.next() else {
        if let Some(unused) = UNUSED.iter().find(|variable| is_set(variable).is_some()) {
            say_unused(unused, variables[0], endpoint);
        }
        return Ok(None);
    };
    route(setting, &url).map(Some)
}

/// Logs, once for each endpoint, that a proxy is set which does not count for it.
fn say_unused(variable: &str, right: &str, endpoint: &Endpoint) {
    if repeats::is_new(&format!("{variable} {endpoint}")) {
        log::warn!(
            "{variable} is set, but no proxy is used for {endpoint}: its variable is {right}"
        );
    }
}

fn route(setting: &'static str, url: &str) -> Result<Route, Error> {
    // The URL is not shown: there may be a password in it.
    let invalid = |reason: &str| Error::InvalidSetting { setting, reason: reason.to_owned() };
    let not_a_url = || invalid("it is not the URL of a proxy, such as http://proxy:3128");
    let proxy = Proxy::new(url).map_err(|_| not_a_url())?;
    let scheme = match proxy.protocol() {
        ProxyProtocol::Http => "http",
        ProxyProtocol::Https => tls::check().map(|()| "https").map_err(&invalid)?,
        _ => {
            return Err(invalid(
                "a SOCKS proxy is not supported: name an HTTP proxy, or the endpoint in NO_PROXY",
            ));
        }
    };
    let (host, port) = (proxy.host(), proxy.port());
    // A port that is none would count as the usual one.
    let authority = proxy.uri().authority().map_or("", |authority| authority.as_str());
    let place = authority.rsplit_once('@').map_or(authority, |(_, place)| place);
    let after = place.strip_prefix(host).unwrap_or_default();
    if host.is_empty() || !matches!(after, "" | ":") && after != format!(":{port}") {
        return Err(not_a_url());
    }
    let name = format!("the proxy {scheme}://{host}:{port} ({setting})");
    Ok(Route { proxy, name })
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpListener};

    use super::*;
    use crate::client::Client;
    use crate::client::kinesis::builder::ClientBuilder;
    use crate::control::call::Call;

    fn route(url: &str, variables: &[(&str, &str)]) -> Result<Option<String>, String> {
        let endpoint = Endpoint::parse(url, true).unwrap();
        let lookup = |name: &str| {
            let set = variables.iter().find(|(variable, _)| *variable == name);
            set.map(|(_, value)| (*value).to_owned())
        };
        let route = find(&endpoint, &lookup).map_err(|error| error.to_string())?;
        Ok(route.map(|route| route.name))
    }

    const URL: &str = "https://kinesis.eu-west-1.amazonaws.com";

    /// What curl 7.88 said with `-v`, unless a comment says otherwise.
    #[test]
    fn the_variables_count_as_curl_reads_them_and_no_password_is_shown() {
        let name = |name: &str| Ok(Some(name.to_owned()));
        let all = [
            ("ALL_PROXY", "http://a:1"),
            ("all_proxy", "http://b:2"),
            ("HTTPS_PROXY", "http://c:3"),
            ("https_proxy", "http://d:4"),
        ];
        for (number, (variable, url)) in all.into_iter().enumerate() {
            let wanted = name(&format!("the proxy {url} ({variable})"));
            assert_eq!(route(URL, &all[..=number]), wanted, "{variable}");
        }
        let blank = ["https_proxy", "all_proxy"].map(|variable| (variable, ""));
        assert_eq!(route(URL, &[all[2], blank[0]]), name("the proxy http://c:3 (HTTPS_PROXY)"));
        // A blank one is none; for curl it is an error.
        assert_eq!(route(URL, &[("HTTPS_PROXY", " ")]), Ok(None));
        let http = [("HTTP_PROXY", "http://h:1"), ("http_proxy", "http://i:2")];
        assert_eq!(route(URL, &http), Ok(None));
        assert_eq!(route("http://example.com", &http[..1]), Ok(None));
        assert_eq!(route("http://example.com", &all[2..]), Ok(None));
        assert_eq!(route("http://example.com", &http), name("the proxy http://i:2 (http_proxy)"));
        let both = [http[0], all[0]];
        assert_eq!(route("http://example.com", &both), name("the proxy http://a:1 (ALL_PROXY)"));
        // Port 80; curl takes 1080, which is the port of SOCKS.
        assert_eq!(
            route(URL, &[("https_proxy", "c")]),
            name("the proxy http://c:80 (https_proxy)")
        );
        let secret = [("HTTPS_PROXY", "https://user:hush@proxy.example:3128")];
        assert_eq!(route(URL, &secret), name("the proxy https://proxy.example:3128 (HTTPS_PROXY)"));
        let six = [("HTTPS_PROXY", "http://u:hush@[::1]:3128")];
        assert_eq!(route(URL, &six), name("the proxy http://[::1]:3128 (HTTPS_PROXY)"));
        let digits = [("HTTPS_PROXY", "http://1:hush@1:13")];
        assert_eq!(route(URL, &digits), name("the proxy http://1:13 (HTTPS_PROXY)"));
    }

    #[test]
    fn hosts_that_are_named_and_this_machine_and_its_link_need_none() {
        let proxy = ("HTTPS_PROXY", "http://a:1");
        let used = Ok(Some("the proxy http://a:1 (HTTPS_PROXY)".to_owned()));
        for no_proxy in [("NO_PROXY", "amazonaws.com"), ("no_proxy", "localhost, amazonaws.com")] {
            assert_eq!(route(URL, &[proxy, no_proxy]), Ok(None));
            assert_eq!(route(URL, &[proxy, no_proxy, ("no_proxy", "")]), Ok(None));
        }
        assert_eq!(route(URL, &[proxy, ("NO_PROXY", "amazonaws.com"), ("no_proxy", "x")]), used);
        assert_eq!(route("http://127.0.0.1:1", &[("ALL_PROXY", "socks5://b")]), Ok(None));
        for near in [
            "localhost",
            "127.9.9.9",
            "[::1]",
            "169.254.170.2",
            "169.254.0.0",
            "[fe80::1]",
            "[febf::1]",
            "[fd00:ec2::254]",
            "[::ffff:169.254.170.23]",
        ] {
            assert_eq!(route(&format!("https://{near}:1"), &[proxy]), Ok(None), "{near}");
        }
        for far in ["169.253.0.1", "169.255.0.1", "[fec0::1]", "[fd00:ec3::254]", "[fd00::1]"] {
            assert_eq!(route(&format!("https://{far}:1"), &[proxy]), used, "{far}");
        }
    }

    #[test]
    fn a_proxy_that_cannot_be_used_is_an_error_that_names_its_variable() {
        for (url, fact) in [
            ("socks5://user:hush@b:1080", "SOCKS"),
            ("http://", "not the URL"),
            ("hush hush", "not the URL"),
            ("http://hush:hush@b:99999", "not the URL"),
            ("http://b:hush", "not the URL"),
        ] {
            let error = route(URL, &[("ALL_PROXY", url)]).unwrap_err();
            assert!(error.starts_with("ALL_PROXY: ") && error.contains(fact), "{error}");
            assert!(!error.contains("hush"), "{error}");
        }
    }

    /// The error of a call through a proxy at this address, to a host that does not exist.
    fn failure(proxy: SocketAddr) -> String {
        let url = format!("http://user:hush@{proxy}");
        let lookup = |name: &str| (name == "HTTPS_PROXY").then(|| url.clone());
        let builder = ClientBuilder::new().endpoint("https://kinesis.example.invalid");
        let client = builder.credentials("k", "s").build_in(&lookup).unwrap();
        let error = client.list_shards("s", None, &Call::unbounded()).unwrap_err().to_string();
        assert!(!error.contains("hush"), "{error}");
        error
    }

    #[test]
    fn a_proxy_that_refuses_is_named_with_its_variable_instead_of_the_endpoint() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            // It may come in pieces.
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut piece = [0; 4_096];
                let read = stream.read(&mut piece).unwrap();
                assert!(read > 0, "{request:?}");
                request.extend_from_slice(&piece[..read]);
            }
            assert!(request.starts_with(b"CONNECT kinesis.example.invalid:443"));
            stream.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n").unwrap();
        });
        let error = failure(address);
        server.join().unwrap();
        let name = format!("the proxy http://{address} (HTTPS_PROXY)");
        assert!(error.contains(&name) && error.contains("403"), "{error}");
        // Nothing listens there any more.
        let error = failure(address);
        assert!(error.contains(&format!("no connection to {name}")), "{error}");
        assert!(error.contains("refused") && !error.contains("example.invalid"), "{error}");
    }
}
