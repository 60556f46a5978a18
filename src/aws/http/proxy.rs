//! The proxy for an endpoint, and the variable that names it.

use ureq::{Proxy, ProxyProtocol};

use crate::aws::endpoint::Endpoint;
use crate::aws::environment::{self, Lookup};
use crate::aws::http::no_proxy;
use crate::error::Error;

/// Variables for the scheme of the endpoint count first, as in other programs; variables for the other scheme last, as
/// in earlier versions of this library.
const HTTPS: [&str; 6] =
    ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HTTP_PROXY", "http_proxy"];
const HTTP: [&str; 6] =
    ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "HTTPS_PROXY", "https_proxy"];

/// A proxy, and its text for people.
pub(crate) struct Route {
    pub(crate) proxy: Proxy,
    /// Such as `the proxy http://proxy:3128 (HTTPS_PROXY)`, without user and password.
    pub(crate) name: String,
}

/// The proxy for an endpoint; none for this machine, since a proxy's loopback is another machine.
///
/// # Errors
/// If a variable names a proxy that cannot be used.
// long: one variable after the other, in the order in which they count.
pub(crate) fn find(endpoint: &Endpoint, lookup: Lookup<'_>) -> Result<Option<Route>, Error> {
    let is_https = endpoint.uri().scheme_str() == Some("https");
    let port = endpoint.uri().port_u16().unwrap_or(if is_https { 443 } else { 80 });
    let exempt = environment::first(lookup, &["NO_PROXY", "no_proxy"]).unwrap_or_default();
    if endpoint.is_loopback() || no_proxy::names(&exempt, endpoint.host(), port) {
        return Ok(None);
    }
    let variables = if is_https { HTTPS } else { HTTP };
    let mut set = variables
        .into_iter()
        .filter_map(|variable| Some((variable, environment::first(lookup, &[variable])?)));
    let Some((setting, url)) = set.next() else { return Ok(None) };
    // The URL is not shown: there may be a password in it.
    let invalid = |reason: &str| Error::InvalidSetting { setting, reason: reason.to_owned() };
    let proxy = Proxy::new(&url)
        .map_err(|_| invalid("it is not the URL of a proxy, such as http://proxy:3128"))?;
    let scheme = match proxy.protocol() {
        ProxyProtocol::Http => "http",
        ProxyProtocol::Https => "https",
        _ => {
            return Err(invalid(
                "a SOCKS proxy is not supported: name an HTTP proxy, or the endpoint in NO_PROXY",
            ));
        }
    };
    let (host, port) = (proxy.host(), proxy.port());
    let name = format!("the proxy {scheme}://{host}:{port} ({setting})");
    Ok(Some(Route { proxy, name }))
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

    #[test]
    fn the_variable_for_the_scheme_counts_first_and_no_password_is_shown() {
        let all = [("ALL_PROXY", "http://a:1"), ("HTTP_PROXY", "http://b:2"), ("https_proxy", "c")];
        let name = |name: &str| Ok(Some(name.to_owned()));
        assert_eq!(route(URL, &all), name("the proxy http://c:80 (https_proxy)"));
        assert_eq!(route("http://example.com", &all), name("the proxy http://b:2 (HTTP_PROXY)"));
        assert_eq!(route(URL, &all[..2]), name("the proxy http://a:1 (ALL_PROXY)"));
        assert_eq!(route(URL, &all[1..2]), name("the proxy http://b:2 (HTTP_PROXY)"));
        let secret = [("HTTPS_PROXY", "https://user:hush@proxy.example:3128")];
        assert_eq!(route(URL, &secret), name("the proxy https://proxy.example:3128 (HTTPS_PROXY)"));
        assert_eq!(route(URL, &[("HTTPS_PROXY", " ")]), Ok(None));
    }

    #[test]
    fn hosts_that_are_named_and_this_machine_need_none() {
        let proxy = ("HTTPS_PROXY", "http://a:1");
        for no_proxy in [("NO_PROXY", "amazonaws.com"), ("no_proxy", "localhost, amazonaws.com")] {
            assert_eq!(route(URL, &[proxy, no_proxy]), Ok(None));
            assert_eq!(route(URL, &[proxy, no_proxy, ("NO_PROXY", "")]), Ok(None));
        }
        assert_eq!(route("https://localhost:1", &[proxy]), Ok(None));
        assert_eq!(route("http://127.0.0.1:1", &[("ALL_PROXY", "socks5://b")]), Ok(None));
    }

    #[test]
    fn a_proxy_that_cannot_be_used_is_an_error_that_names_its_variable() {
        for (url, fact) in [
            ("socks5://user:hush@b:1080", "SOCKS"),
            ("http://", "not the URL"),
            ("hush hush", "not the URL"),
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
