//! No TLS: an endpoint that needs it is refused before it is connected to.

use std::convert::Infallible;

use ureq::config::ConfigBuilder;
use ureq::typestate::AgentScope;

pub(super) type Roots = Infallible;

pub(super) fn set(
    config: ConfigBuilder<AgentScope>,
    _: Option<Roots>,
) -> ConfigBuilder<AgentScope> {
    config
}

pub(super) fn is_failure(_: &ureq::Error) -> bool {
    false
}

pub(super) fn roots(_: &[u8]) -> Result<Roots, String> {
    Err("there is no TLS".to_owned())
}

#[cfg(test)]
mod tests {
    use crate::client::kinesis::builder::ClientBuilder;

    fn built(endpoint: &str, proxy: &'static str) -> Result<(), String> {
        let lookup = |name: &str| (name == "http_proxy" && !proxy.is_empty()).then(|| proxy.into());
        let builder = ClientBuilder::new().endpoint(endpoint).allow_plain_http(true);
        builder.build_in(&lookup).map(drop).map_err(|error| error.to_string())
    }

    #[test]
    fn without_tls_an_https_endpoint_and_an_https_proxy_are_refused_with_what_to_do() {
        const REMEDY: &str = "turn on its feature native-tls or rustls";
        let error = built("https://kinesis.eu-west-1.amazonaws.com", "").unwrap_err();
        assert!(error.contains("\"endpoint\": ") && error.contains(REMEDY), "{error}");
        let error = built("http://example.com", "https://127.0.0.1:1").unwrap_err();
        assert!(error.starts_with("http_proxy: ") && error.contains(REMEDY), "{error}");
        assert_eq!(built("http://example.com", "http://127.0.0.1:1"), Ok(()));
    }
}
