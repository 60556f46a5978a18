//! Whose certificates are trusted.

use std::sync::Arc;

use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, TlsProvider, parse_pem};

use super::environment::{self, Lookup};
use super::profile;
use crate::error::Error;

const BUNDLE: &str = "AWS_CA_BUNDLE";
const SETTING: &str = "ca_bundle";

/// Certificates that are trusted instead of the system's.
pub(super) type Roots = Arc<Vec<Certificate<'static>>>;

/// TLS by the system's library, which trusts these, or whom the system trusts.
pub(super) fn config(roots: Option<Roots>) -> TlsConfig {
    let roots = roots.map_or(RootCerts::PlatformVerifier, RootCerts::Specific);
    TlsConfig::builder().provider(TlsProvider::NativeTls).root_certs(roots).build()
}

/// The certificates in `AWS_CA_BUNDLE`, else in the profile's `ca_bundle`; `None` if neither is set.
///
/// # Errors
/// If the file cannot be read, or holds none.
pub(super) fn roots(lookup: Lookup<'_>) -> Result<Option<Roots>, Error> {
    let set = environment::first(lookup, &[BUNDLE]).map(|path| (BUNDLE, path));
    let set = set.or_else(|| Some((SETTING, profile::setting(lookup, SETTING)?)));
    let Some((setting, path)) = set else { return Ok(None) };
    let invalid = |why: String| Error::InvalidSetting { setting, reason: format!("{path}: {why}") };
    let text = std::fs::read(&path).map_err(|error| invalid(error.to_string()))?;
    let mut roots = Vec::new();
    for item in parse_pem(&text) {
        if let PemItem::Certificate(root) = item.map_err(|error| invalid(error.to_string()))? {
            roots.push(root);
        }
    }
    if roots.is_empty() {
        Err(invalid("no certificate in it".to_owned()))
    } else {
        Ok(Some(Arc::new(roots)))
    }
}
