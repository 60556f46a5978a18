//! The trusted certificates, and whether there is TLS at all.

#[cfg(any(feature = "native-tls", feature = "rustls"))]
mod library;
#[cfg(not(any(feature = "native-tls", feature = "rustls")))]
mod none;
#[cfg(test)]
mod tests;

use ureq::config::ConfigBuilder;
use ureq::http::Uri;
use ureq::typestate::AgentScope;

use crate::aws::environment::{self, Lookup};
#[cfg(any(feature = "native-tls", feature = "rustls"))]
use crate::aws::http::tls::library as tls;
#[cfg(not(any(feature = "native-tls", feature = "rustls")))]
use crate::aws::http::tls::none as tls;
use crate::aws::profile;
use crate::error::Error;

const BUNDLE: &str = "AWS_CA_BUNDLE";
const SETTING: &str = "ca_bundle";
/// A hundred times the certificates of a system.
const MAX_BUNDLE: u64 = 16 << 20;

/// What to do about a failure of TLS.
pub(crate) const ADVICE: &str = "check the endpoint, and that its certificate is trusted here: SSL_CERT_FILE or \
     AWS_CA_BUNDLE names a file of others";

/// Certificates that are trusted instead of the usual ones.
#[derive(Clone)]
pub(crate) struct Roots(tls::Roots);

/// The same settings of an agent with those of TLS. It trusts these certificates, otherwise the usual ones.
pub(crate) fn set(
    config: ConfigBuilder<AgentScope>,
    roots: Option<Roots>,
) -> ConfigBuilder<AgentScope> {
    tls::set(config, roots.map(|roots| roots.0))
}

/// Whether this program speaks TLS.
///
/// # Errors
/// What to do if it does not.
pub(crate) fn check() -> Result<(), &'static str> {
    match cfg!(any(feature = "native-tls", feature = "rustls")) {
        true => Ok(()),
        false => {
            Err("kinesis-consumer was built without TLS: turn on its feature native-tls or rustls")
        }
    }
}

/// Whether an error is TLS's.
pub(crate) fn is_failure(error: &ureq::Error) -> bool {
    matches!(error, ureq::Error::Tls(_)) || tls::is_failure(error)
}

/// The certificates in `AWS_CA_BUNDLE`, else in the profile's `ca_bundle`; `None` if neither is set, or the endpoint is
/// not encrypted.
///
/// # Errors
/// If the file cannot be read, or holds no certificate; or if this program has no TLS, and the server demands it.
pub(crate) fn roots(uri: &Uri, lookup: Lookup<'_>) -> Result<Option<Roots>, Error> {
    if uri.scheme_str() != Some("https") {
        return Ok(None);
    }
    let invalid = |setting, reason: String| Error::InvalidSetting { setting, reason };
    check().map_err(|why| {
        let host = uri.host().unwrap_or_default();
        invalid("endpoint", format!("{host} needs TLS, and {why}"))
    })?;
    let set = environment::first(lookup, &[BUNDLE]).map(|path| (BUNDLE, path));
    let set = set.or_else(|| Some((SETTING, profile::setting(lookup, SETTING)?)));
    let Some((setting, path)) = set else { return Ok(None) };
    let roots = read(&path).and_then(|text| tls::roots(&text));
    match roots {
        Ok(roots) => Ok(Some(Roots(roots))),
        Err(why) => Err(invalid(setting, format!("{path}: {why}"))),
    }
}

fn read(path: &str) -> Result<Vec<u8>, String> {
    let data = std::fs::metadata(path).map_err(|error| error.to_string())?;
    // Reading a pipe might wait for ever.
    if !data.is_file() || data.len() > MAX_BUNDLE {
        return Err("it is not a regular file of at most 16 MiB".to_owned());
    }
    std::fs::read(path).map_err(|error| error.to_string())
}
