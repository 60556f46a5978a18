//! The TLS that was built in. If there are two, the system's library counts.

use std::sync::Arc;

use ureq::config::ConfigBuilder;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, TlsProvider, parse_pem};
use ureq::typestate::AgentScope;

const IS_NATIVE: bool = cfg!(feature = "native-tls");
/// Mozilla's certificates, for a system that has none.
const IS_BUNDLED: bool = cfg!(feature = "bundled-roots");

pub(super) type Roots = Arc<Vec<Certificate<'static>>>;

pub(super) fn set(
    config: ConfigBuilder<AgentScope>,
    roots: Option<Roots>,
) -> ConfigBuilder<AgentScope> {
    let provider = if IS_NATIVE { TlsProvider::NativeTls } else { TlsProvider::Rustls };
    let usual =
        if IS_BUNDLED && !IS_NATIVE { RootCerts::WebPki } else { RootCerts::PlatformVerifier };
    let roots = roots.map_or(usual, RootCerts::Specific);
    config.tls_config(TlsConfig::builder().provider(provider).root_certs(roots).build())
}

pub(super) fn is_failure(error: &ureq::Error) -> bool {
    match error {
        #[cfg(feature = "native-tls")]
        ureq::Error::NativeTls(_) => true,
        #[cfg(feature = "rustls")]
        ureq::Error::Rustls(_) => true,
        // A handshake fails while the connection is written to or read from.
        #[cfg(feature = "rustls")]
        ureq::Error::Io(error) => error.get_ref().is_some_and(|it| it.is::<rustls::Error>()),
        _ => false,
    }
}

/// The certificates in the text of a file.
pub(super) fn roots(text: &[u8]) -> Result<Roots, String> {
    let mut roots = Vec::new();
    for item in parse_pem(text) {
        if let PemItem::Certificate(root) = item.map_err(|error| error.to_string())? {
            roots.push(root);
        }
    }
    if roots.is_empty() { Err("no certificate in it".to_owned()) } else { Ok(Arc::new(roots)) }
}
