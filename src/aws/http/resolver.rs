//! Names of hosts, looked up once a minute instead of before every call.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::bounded;
use parking_lot::Mutex;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;
use ureq::unversioned::transport::time::Duration::NotHappening;

/// How long Amazon's names may be kept.
const FRESH: Duration = Duration::from_secs(60);

/// How long the last good answer is used while one caller looks up again, and after a failure.
const GRACE: Duration = Duration::from_secs(5);

/// Keeps the last good answer for each scheme and host, and uses it while lookups fail.
///
/// Otherwise ureq looks up on every call, each time in a new thread. A clone shares the answers.
#[derive(Clone, Debug)]
pub(crate) struct CachingResolver {
    inner: Arc<dyn Resolver>,
    known: Arc<Mutex<HashMap<String, Known>>>,
}

#[derive(Debug)]
struct Known {
    addresses: ResolvedSocketAddrs,
    fresh_until: Instant,
}

impl CachingResolver {
    pub(crate) fn new() -> Self {
        Self::with(DefaultResolver::default())
    }

    pub(crate) fn with(inner: impl Resolver) -> Self {
        Self { inner: Arc::new(inner), known: Arc::default() }
    }

    /// Looks up again at the next call: connecting has failed, perhaps the host has moved.
    pub(crate) fn distrust(&self) {
        let now = Instant::now();
        for known in self.known.lock().values_mut() {
            known.fresh_until = now;
        }
    }

    /// Looks up in a thread, for as long as the deadline allows: a lookup cannot be interrupted.
    ///
    /// ureq would do the same, but panics if the system gives it no thread.
    fn look_up(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let (answered, answer) = bounded(1);
        let (inner, uri, config) = (Arc::clone(&self.inner), uri.clone(), config.clone());
        let whole = NextTimeout { after: NotHappening, ..timeout };
        // Not joined: it ends when the system gives up the lookup, which may be much later.
        let spawned = thread::Builder::new().name("kc-resolver".to_owned()).spawn(move || {
            // If this came too late, there is no receiver any more.
            let _ = answered.send(inner.resolve(&uri, &config, whole));
        });
        spawned.map_err(|error| {
            let reason = format!("no thread to look up the host: {error}");
            io::Error::new(io::ErrorKind::QuotaExceeded, reason)
        })?;
        match answer.recv_timeout(*timeout.after) {
            Ok(answer) => answer,
            Err(_) => Err(ureq::Error::Timeout(timeout.reason)),
        }
    }

    /// The answer to use as it is. A stale one gets more time, so that other callers continue with it while this caller
    /// looks up.
    fn fresh(&self, key: &str) -> Option<ResolvedSocketAddrs> {
        let mut known = self.known.lock();
        let known = known.get_mut(key)?;
        let now = Instant::now();
        if known.fresh_until > now {
            return Some(known.addresses.clone());
        }
        known.fresh_until = now + GRACE;
        None
    }
}

impl Resolver for CachingResolver {
    // long: one way out for each state of a kept address.
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        if let Some(address) = literal(uri) {
            let mut addresses = self.inner.empty();
            addresses.push(address);
            return Ok(addresses);
        }
        let key = format!("{:?} {:?}", uri.scheme_str(), uri.authority());
        if let Some(addresses) = self.fresh(&key) {
            return Ok(addresses);
        }
        let answer = self.look_up(uri, config, timeout);
        let mut known = self.known.lock();
        match answer {
            Ok(addresses) => {
                let fresh_until = Instant::now() + FRESH;
                known.insert(key, Known { addresses: addresses.clone(), fresh_until });
                Ok(addresses)
            }
            Err(error) => match known.get(&key) {
                Some(last_good) => {
                    log::debug!("looking up {uri} failed, the last answer is used: {error}");
                    Ok(last_good.addresses.clone())
                }
                None => Err(error),
            },
        }
    }
}

/// The address of a host that is given as an address.
fn literal(uri: &Uri) -> Option<SocketAddr> {
    let authority = uri.authority()?;
    let address: IpAddr = authority.host().trim_matches(['[', ']']).parse().ok()?;
    let port = if uri.scheme_str() == Some("https") { 443 } else { 80 };
    Some(SocketAddr::new(address, authority.port_u16().unwrap_or(port)))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU16, Ordering};

    use super::*;

    /// Answers with the number of times it was asked as the port; fails at 3 and beyond.
    #[derive(Debug, Default)]
    struct Counting(AtomicU16);

    impl Resolver for Counting {
        fn resolve(
            &self,
            _: &Uri,
            _: &Config,
            _: NextTimeout,
        ) -> Result<ResolvedSocketAddrs, ureq::Error> {
            let asked = self.0.fetch_add(1, Ordering::Relaxed) + 1;
            if asked > 2 {
                return Err(ureq::Error::HostNotFound);
            }
            let mut addresses = self.empty();
            addresses.push(([127, 0, 0, 1], asked).into());
            Ok(addresses)
        }
    }

    fn ask(resolver: &CachingResolver, uri: &str) -> Result<SocketAddr, ureq::Error> {
        let config = ureq::Agent::config_builder().build();
        let answer = resolver.resolve(&uri.parse().unwrap(), &config, NextTimeout::default())?;
        Ok(answer[0])
    }

    #[test]
    fn a_host_is_looked_up_once() {
        let resolver = CachingResolver::with(Counting::default());
        for _ in 0..3 {
            assert_eq!(ask(&resolver.clone(), "https://a.example/").unwrap().port(), 1);
        }
        assert_eq!(ask(&resolver, "https://b.example/").unwrap().port(), 2);
    }

    #[test]
    fn after_a_failed_connect_it_is_looked_up_again_and_the_last_good_answer_is_kept() {
        let resolver = CachingResolver::with(Counting::default());
        assert_eq!(ask(&resolver, "https://a.example/").unwrap().port(), 1);
        resolver.distrust();
        assert_eq!(ask(&resolver, "https://a.example/").unwrap().port(), 2);
        resolver.distrust();
        assert_eq!(ask(&resolver, "https://a.example/").unwrap().port(), 2, "the third one fails");
        assert!(ask(&resolver, "https://unknown.example/").is_err());
    }

    #[test]
    fn while_one_caller_asks_again_the_others_use_the_stale_answer() {
        let resolver = CachingResolver::with(Counting::default());
        ask(&resolver, "http://a.example/").unwrap();
        resolver.distrust();
        let key = resolver.known.lock().keys().next().unwrap().clone();
        assert!(resolver.fresh(&key).is_none(), "the first is to ask");
        assert!(resolver.fresh(&key).is_some(), "the second is not");
    }

    #[test]
    fn a_lookup_that_hangs_is_given_up() {
        #[derive(Debug)]
        struct Hanging(crossbeam_channel::Receiver<()>);
        impl Resolver for Hanging {
            fn resolve(
                &self,
                _: &Uri,
                _: &Config,
                _: NextTimeout,
            ) -> Result<ResolvedSocketAddrs, ureq::Error> {
                // Ends when the test drops its end.
                let _ = self.0.recv();
                Err(ureq::Error::HostNotFound)
            }
        }
        let (_release, gate) = bounded(0);
        let resolver = CachingResolver::with(Hanging(gate));
        let config = ureq::Agent::config_builder().build();
        let after = Duration::from_millis(20).into();
        let timeout =
            NextTimeout { after, reason: ureq::Timeout::Resolve, ..NextTimeout::default() };
        let error = resolver.resolve(&"http://a.example/".parse().unwrap(), &config, timeout);
        assert!(matches!(error, Err(ureq::Error::Timeout(ureq::Timeout::Resolve))));
    }

    #[test]
    fn addresses_are_not_looked_up() {
        let resolver = CachingResolver::with(Counting::default());
        assert_eq!(ask(&resolver, "http://127.0.0.1:4567/").unwrap().to_string(), "127.0.0.1:4567");
        assert_eq!(ask(&resolver, "https://[::1]/").unwrap().to_string(), "[::1]:443");
        assert_eq!(ask(&resolver, "http://[::1]/").unwrap().to_string(), "[::1]:80");
    }
}
