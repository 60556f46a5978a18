//! The settings of a client.

use std::sync::Arc;
use std::time::Duration;

use crate::aws::caller::Account;
use crate::aws::credentials::Credentials;
use crate::aws::credentials::cache::CredentialsCache;
use crate::aws::credentials::chain::Chain;
use crate::aws::credentials::provider::CredentialsProvider;
use crate::aws::credentials::source::Source;
use crate::aws::endpoint::{self, Endpoint};
use crate::aws::environment::{self, Lookup};
use crate::aws::http::transport::Network;
use crate::aws::partition;
use crate::aws::region;
use crate::aws::service::Service;
use crate::aws::variants::Variants;
use crate::client::kinesis::KinesisClient;
use crate::error::Error;

/// The default deadline of a call.
const DEADLINE: Duration = Duration::from_secs(30);

/// Settings of a [`KinesisClient`], from [`KinesisClient::builder`].
///
/// Settings that are not set come from the environment, as in Amazon's own tools; each setter says how.
#[derive(Clone, Debug)]
#[must_use]
pub struct ClientBuilder {
    region: Option<String>,
    endpoint: Option<String>,
    variants: Variants,
    allow_plain_http: bool,
    deadline: Duration,
    /// `None` for the default places.
    source: Option<Source>,
}

impl ClientBuilder {
    pub(crate) fn new() -> Self {
        Self {
            region: None,
            endpoint: None,
            variants: Variants::default(),
            allow_plain_http: false,
            deadline: DEADLINE,
            source: None,
        }
    }

    /// The region, by name, such as `eu-central-1`; a region that this crate does not know works too.
    ///
    /// Defaults to `AWS_REGION`, else `AWS_DEFAULT_REGION`, else the region of the profile (`AWS_PROFILE`, or
    /// `default`) in `AWS_SHARED_CREDENTIALS_FILE`, or `~/.aws/credentials`, else in `AWS_CONFIG_FILE`, or
    /// `~/.aws/config`. With an endpoint and none of these: the region in the name of the endpoint's host if that is
    /// Amazon's, else `us-east-1`. A region that contradicts such a host is an error.
    pub fn region(mut self, name: impl Into<String>) -> Self {
        self.region = Some(name.into());
        self
    }

    /// The address of the server: scheme and host, perhaps a port, such as `http://localhost:4567`
    /// for a test server, or the address of a VPC endpoint.
    ///
    /// It is for Kinesis alone. Services that give credentials, such as STS, have
    /// [endpoints of their own](crate::manual::environment#which-endpoint).
    ///
    /// Defaults to `AWS_ENDPOINT_URL_KINESIS`, else `AWS_ENDPOINT_URL`, else `endpoint_url` of `kinesis` in the section
    /// of `services` that the profile names, else `endpoint_url` of the profile, unless
    /// `AWS_IGNORE_CONFIGURED_ENDPOINT_URLS` is `true`; else `https://kinesis.<region>.amazonaws.com`, or the name
    /// in the region's partition (China, the European Sovereign Cloud, the isolated ones), or what
    /// [`fips`](Self::fips) and [`dual_stack`](Self::dual_stack) make of it.
    ///
    /// [A proxy](crate::manual::environment#proxies) in the environment (`https_proxy`, `HTTPS_PROXY`, `all_proxy`, `ALL_PROXY`; not SOCKS)
    /// is used, but not for `localhost`, `127.0.0.0/8` or `::1`, and not for the entries of `no_proxy` or `NO_PROXY`.
    ///
    /// The client trusts the certificates that the system trusts (`SSL_CERT_FILE`), or instead those in
    /// `AWS_CA_BUNDLE`, or in `ca_bundle` of the profile.
    pub fn endpoint(mut self, url: impl Into<String>) -> Self {
        self.endpoint = Some(url.into());
        self
    }

    /// Whether to use an endpoint whose encryption is validated by FIPS 140, such as
    /// `kinesis-fips.us-east-1.amazonaws.com`.
    ///
    /// It counts for the services that give credentials too, such as STS. A service that has no such endpoint in its
    /// region, as far as Amazon lists them, is an error: the usual endpoint is never used instead. In `us-gov-*` the
    /// usual endpoints are FIPS endpoints. An endpoint that is set is used as it is, with a warning unless its name
    /// shows that it is one. Only the server's side of the encryption is chosen here: this program's side is the
    /// system's TLS library.
    ///
    /// Defaults to `AWS_USE_FIPS_ENDPOINT`, else `use_fips_endpoint` of the profile, else `false`.
    pub fn fips(mut self, demand: bool) -> Self {
        self.variants.fips = Some(demand);
        self
    }

    /// Whether to use an endpoint that has addresses of version 4 and 6, such as `kinesis.us-east-1.api.aws`.
    ///
    /// A network without addresses of version 4 needs it. It counts for the services that give credentials too. An
    /// endpoint that is set is used as it is, with a warning unless its name shows that it is one. Where Amazon has no
    /// such endpoint its name does not exist, and each call fails.
    ///
    /// Defaults to `AWS_USE_DUALSTACK_ENDPOINT`, else `use_dualstack_endpoint` of the profile, else `false`.
    pub fn dual_stack(mut self, demand: bool) -> Self {
        self.variants.dual_stack = Some(demand);
        self
    }

    /// Whether records, and the keys that STS and IAM Identity Center give, may go unencrypted to and from another machine.
    ///
    /// Defaults to `false`: `http://` is allowed only for `localhost`, `127.0.0.0/8` and `::1`.
    pub fn allow_plain_http(mut self, allow: bool) -> Self {
        self.allow_plain_http = allow;
        self
    }

    /// The time that a whole call may take, from connecting to the last byte of the answer.
    ///
    /// From 100 ms to 5 minutes, the life of a shard iterator; less than a second is for
    /// tests. The system may round it up by an eighth. Connecting takes at most 3 s of it. Defaults to
    /// 30 s; an answer of 10 MiB, the largest, takes 5 s at the 2 MB/s that a shard gives.
    pub fn deadline(mut self, limit: Duration) -> Self {
        self.deadline = limit;
        self
    }

    /// An access key that does not expire.
    ///
    /// Without this or one of the next two, credentials are looked for in the order of Amazon's SDKs:
    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN` in the environment; the profile (a role, a
    /// single sign-on, keys, a `credential_process`); the web identity in the environment; the container's metadata;
    /// the instance's metadata. The manual says what each place needs. The first place that is set up counts. If it
    /// fails, or is not supported (`aws login`, a role with MFA), each call fails with that error, of class
    /// [`Fatal`](crate::ErrorClass::Fatal) if only another setting can help, else
    /// [`Transient`](crate::ErrorClass::Transient). Use [`credentials_provider`](Self::credentials_provider) for other sources.
    pub fn credentials(mut self, key: impl Into<String>, secret: impl Into<String>) -> Self {
        self.source = Some(Source::Static(Arc::new(Credentials::new(key, secret))));
        self
    }

    /// A temporary access key with its session token. Once it has expired, every call fails.
    pub fn session_credentials(
        mut self,
        key: impl Into<String>,
        secret: impl Into<String>,
        token: impl Into<String>,
    ) -> Self {
        let credentials = Credentials::new(key, secret).with_session_token(token);
        self.source = Some(Source::Static(Arc::new(credentials)));
        self
    }

    /// A provider of credentials, or a closure that returns them.
    ///
    /// ```
    /// use kinesis_consumer::{Credentials, KinesisClient};
    ///
    /// let client = KinesisClient::builder()
    ///     .region("eu-central-1")
    ///     .credentials_provider(|| {
    ///         let secret = std::fs::read_to_string("/run/secrets/key")?;
    ///         Ok(Credentials::new("key", secret.trim()))
    ///     })
    ///     .build()?;
    /// # drop(client);
    /// # Ok::<(), kinesis_consumer::Error>(())
    /// ```
    ///
    /// [`CredentialsProvider`] says how it is asked. `RusotoProvider` makes one of rusoto's kind into one.
    pub fn credentials_provider(mut self, provider: impl CredentialsProvider + 'static) -> Self {
        self.source = Some(Source::Provider(Arc::new(provider)));
        self
    }

    /// Checks the settings and makes the client. Nothing is sent yet, and no credentials are asked
    /// for.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] with the name of the setter, also for values from the environment.
    pub fn build(self) -> Result<KinesisClient, Error> {
        self.build_in(&environment::process)
    }

    pub(crate) fn build_in(self, lookup: Lookup<'_>) -> Result<KinesisClient, Error> {
        self.check()?;
        let (region, endpoint) = self.place(lookup)?;
        let network = Network::to(&endpoint, lookup)?;
        let (variants, allow_plain_http) = (self.variants, self.allow_plain_http);
        let source = self.source.unwrap_or_else(|| {
            Source::Chain(Arc::new(Chain { region: region.clone(), variants, allow_plain_http }))
        });
        let credentials = CredentialsCache::new(source);
        let account = Account { region, credentials, variants, allow_plain_http };
        Ok(KinesisClient::with(account, endpoint, network, self.deadline))
    }

    /// The region, and the endpoint in it.
    fn place(&self, lookup: Lookup<'_>) -> Result<(String, Endpoint), Error> {
        let (service, plain) = (Service::Kinesis, self.allow_plain_http);
        let set = self.endpoint.as_deref().map(|url| Endpoint::parse(url, plain)).transpose()?;
        let named = match &set {
            Some(set) => Some(set.clone()),
            None => endpoint::configured(service, plain, lookup)?,
        };
        let fallback = named.map(|endpoint| {
            let known = partition::known(endpoint.host());
            known.map_or("us-east-1", |known| known.region).to_owned()
        });
        let region = region::find(self.region.as_deref(), fallback, lookup)?;
        let endpoint = match set {
            Some(endpoint) => {
                endpoint.check(service)?;
                endpoint.say_unmet(&self.variants.demanded(lookup)?);
                endpoint
            }
            None => endpoint::of_service(service, &region, self.variants, plain, lookup)?,
        };
        region::check(&region, endpoint.host())?;
        Ok((region, endpoint))
    }

    fn check(&self) -> Result<(), Error> {
        let invalid = |setting, reason: &str| {
            Err(Error::InvalidSetting { setting, reason: reason.to_owned() })
        };
        if !(Duration::from_millis(100)..=Duration::from_secs(300)).contains(&self.deadline) {
            return invalid("deadline", "it must be from 100 ms to 5 minutes");
        }
        match &self.source {
            Some(Source::Static(credentials)) => {
                credentials.check().or_else(|reason| invalid("credentials", reason))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn none(_: &str) -> Option<String> {
        None
    }

    fn setting(builder: ClientBuilder) -> &'static str {
        match builder.build_in(&none).unwrap_err() {
            Error::InvalidSetting { setting, .. } => setting,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn endpoint_and_region_complete_each_other() {
        let place = |builder: ClientBuilder, lookup: Lookup<'_>| {
            let client = builder.build_in(lookup).unwrap();
            (client.region().to_owned(), client.endpoint().to_owned())
        };
        let own =
            |region: &str| (region.to_owned(), format!("https://kinesis.{region}.amazonaws.com"));
        let new = ClientBuilder::new;
        assert_eq!(place(new().region("eu-x-1"), &none), own("eu-x-1"));
        let vpc = "https://v.kinesis.eu-x-1.vpce.amazonaws.com";
        assert_eq!(place(new().endpoint(vpc), &none), ("eu-x-1".to_owned(), vpc.to_owned()));
        let local = "http://127.0.0.1:4567";
        assert_eq!(place(new().endpoint(local), &none), ("us-east-1".to_owned(), local.to_owned()));
        let all = |name: &str| match name {
            "AWS_REGION" => Some("eu-env-1".to_owned()),
            "AWS_ENDPOINT_URL" => Some(local.to_owned()),
            _ => None,
        };
        assert_eq!(place(new(), &all), ("eu-env-1".to_owned(), local.to_owned()));
    }

    #[test]
    fn wrong_settings_are_named() {
        let good = || ClientBuilder::new().region("eu-central-1");
        assert_eq!(setting(ClientBuilder::new()), "region");
        assert_eq!(setting(good().region("a b")), "region");
        assert_eq!(setting(good().endpoint("http://example.com")), "endpoint");
        assert_eq!(setting(good().credentials("", "s")), "credentials");
        assert_eq!(setting(good().session_credentials("k", "s", "\n")), "credentials");
        assert_eq!(setting(good().deadline(Duration::from_millis(99))), "deadline");
        assert_eq!(setting(good().deadline(Duration::from_secs(301))), "deadline");
        assert!(
            good().endpoint("http://example.com").allow_plain_http(true).build_in(&none).is_ok()
        );
    }

    /// A lookup of one variable.
    fn only(variable: &'static str, value: &str) -> impl Fn(&str) -> Option<String> + use<> {
        let value = value.to_owned();
        move |name| (name == variable).then(|| value.clone())
    }

    #[test]
    fn a_region_that_contradicts_the_endpoint_is_an_error() {
        let endpoint = "https://kinesis.us-gov-west-1.amazonaws.com";
        let builder = || ClientBuilder::new().endpoint(endpoint);
        assert_eq!(builder().build_in(&none).unwrap().region(), "us-gov-west-1");
        assert_eq!(setting(builder().region("eu-west-1")), "region");
        assert!(builder().build_in(&only("AWS_REGION", "eu-west-1")).is_err());
    }

    #[test]
    fn certificates_that_cannot_be_read_are_an_error() {
        let empty = std::env::temp_dir().join(format!("kc-bundle-{}", std::process::id()));
        std::fs::write(&empty, "no certificate").unwrap();
        let good = || ClientBuilder::new().region("eu-x-1");
        for path in ["/no/such/bundle", empty.to_str().unwrap()] {
            let lookup = only("AWS_CA_BUNDLE", path);
            let error = good().build_in(&lookup).unwrap_err().to_string();
            assert!(error.starts_with(&format!("AWS_CA_BUNDLE: {path}: ")), "{error}");
            assert!(good().endpoint("http://127.0.0.1:1").build_in(&lookup).is_ok(), "no TLS");
        }
        std::fs::remove_file(&empty).unwrap();
    }

    #[test]
    fn debug_shows_no_secret() {
        let good = || ClientBuilder::new().region("eu-central-1");
        for builder in [
            good().session_credentials("visible1", "visible2", "visible3"),
            good().credentials_provider(|| Ok(Credentials::new("visible1", "visible2"))),
        ] {
            let shown = format!("{builder:?} ");
            let shown = shown + &format!("{:?}", builder.build_in(&none).unwrap());
            assert!(shown.contains("eu-central-1") && !shown.contains("visible"), "{shown}");
        }
    }
}
