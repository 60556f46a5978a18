//! Connections that share one TLS context.

use ureq::config::Config;
use ureq::unversioned::transport::{ConnectionDetails, Connector, DefaultConnector, Transport};

/// ureq's connector, with the TLS context kept between connections.
///
/// ureq keeps it only for requests without settings of their own, and reads every root certificate of the system again
/// for the others. Each of ours has such a setting, its deadline; the TLS settings never differ.
#[derive(Debug, Default)]
pub(crate) struct SharedTls(DefaultConnector);

impl Connector for SharedTls {
    type Out = Box<dyn Transport>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<()>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        let config: &Config = details.config;
        let details = ConnectionDetails {
            uri: details.uri,
            addrs: details.addrs.clone(),
            config,
            request_level: false,
            resolver: details.resolver,
            now: details.now,
            timeout: details.timeout,
            current_time: details.current_time.clone(),
            run_connector: details.run_connector.clone(),
            register_shutdown: details.register_shutdown.clone(),
        };
        self.0.connect(&details, chained)
    }
}
