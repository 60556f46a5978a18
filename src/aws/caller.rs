//! Signed calls of one service.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::Serialize;
use ureq::http::{self, HeaderMap, Uri};

use crate::aws::credentials::Credentials;
use crate::aws::credentials::cache::CredentialsCache;
use crate::aws::endpoint::Endpoint;
use crate::aws::http::bounds::Bounds;
use crate::aws::http::malformed::Malformed;
use crate::aws::http::refusal::Dialect;
use crate::aws::http::request::{Outgoing, SHARED};
use crate::aws::http::resolver::CachingResolver;
use crate::aws::http::transport::{Head, Network, Transport};
use crate::aws::service::Service;
use crate::aws::sign::{Content, Signer};
use crate::aws::variants::Variants;
use crate::control::call::Call;
use crate::error::client::{ClientError, ErrorClass};

/// Makes calls of one service, as JSON. A clone shares the connections.
#[derive(Clone)]
pub(crate) struct Caller {
    shared: Arc<Shared>,
    transport: Transport,
}

/// Who calls, and where it looks for what a service needs: the same for all services that a client calls.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) region: String,
    pub(crate) credentials: CredentialsCache,
    #[cfg_attr(not(feature = "fleet"), expect(dead_code, reason = "only for other services"))]
    pub(crate) variants: Variants,
    #[cfg_attr(not(feature = "fleet"), expect(dead_code, reason = "only for other services"))]
    pub(crate) allow_plain_http: bool,
}

/// How a service is reached, and how it speaks.
pub(crate) struct Peer {
    pub(crate) service: Service,
    pub(crate) content: Content,
    pub(crate) dialect: &'static Dialect,
    pub(crate) endpoint: Endpoint,
    pub(crate) network: Network,
}

/// A caller and its sessions share this.
struct Shared {
    account: Arc<Account>,
    peer: Peer,
    signer: Signer,
    resolver: CachingResolver,
}

/// A request, which is signed when it is sent.
struct Post<'a> {
    shared: &'a Shared,
    credentials: &'a Credentials,
    target: &'static str,
    body: &'a [u8],
}

impl Caller {
    /// A caller with its own connections; it keeps up to `calls` of them open between calls, each of which takes no longer
    /// than `deadline`.
    pub(crate) fn new(account: Arc<Account>, peer: Peer, deadline: Duration, calls: usize) -> Self {
        let resolver = CachingResolver::new();
        let transport = Transport::new(&peer.network, &resolver, deadline, calls, peer.dialect);
        let (host, service) = (peer.endpoint.host_header(), peer.service.signing_name());
        let signer = Signer::new(host, account.region.clone(), service, peer.content);
        Self { shared: Arc::new(Shared { account, peer, signer, resolver }), transport }
    }

    /// The same with connections of its own, where a call takes no longer than `deadline`.
    pub(crate) fn session(&self, deadline: Duration, calls: usize) -> Self {
        let Shared { peer, resolver, .. } = &*self.shared;
        let transport = Transport::new(&peer.network, resolver, deadline, calls, peer.dialect);
        Self { shared: Arc::clone(&self.shared), transport }
    }

    pub(crate) fn account(&self) -> &Arc<Account> {
        &self.shared.account
    }

    pub(crate) fn peer(&self) -> &Peer {
        &self.shared.peer
    }

    pub(crate) fn transport(&self) -> &Transport {
        &self.transport
    }

    pub(crate) fn bounds(&self, operation: &'static str, call: &Call) -> Bounds {
        Bounds::new(operation, call, self.transport.deadline())
    }

    /// Runs a call that needs credentials, and replaces them if the service refuses them.
    pub(crate) fn signed<T>(
        &self,
        bounds: &Bounds,
        call: impl FnOnce(&Credentials) -> Result<T, ClientError>,
    ) -> Result<T, ClientError> {
        bounds.check()?;
        let cache = &self.shared.account.credentials;
        let credentials = cache.get(bounds)?;
        call(&credentials).inspect(|_| cache.accepted(&credentials)).map_err(|error| {
            let is_refused = error.class() == ErrorClass::Credentials;
            match is_refused && cache.refused(&credentials) {
                true => error.with_new_keys_refused(),
                false => error,
            }
        })
    }

    /// One call.
    pub(crate) fn post<T>(
        &self,
        bounds: &Bounds,
        target: &'static str,
        input: &impl Serialize,
        decode: impl FnOnce(&Head<'_>, &[u8]) -> Result<T, Malformed>,
    ) -> Result<T, ClientError> {
        self.post_or(bounds, target, input, decode, |_, _| None)
    }

    /// The same, where a refusal may be an answer too: `refused` gets the service's name for it, and its body.
    pub(crate) fn post_or<T>(
        &self,
        bounds: &Bounds,
        target: &'static str,
        input: &impl Serialize,
        decode: impl FnOnce(&Head<'_>, &[u8]) -> Result<T, Malformed>,
        refused: impl FnOnce(&str, &[u8]) -> Option<Result<T, Malformed>>,
    ) -> Result<T, ClientError> {
        self.signed(bounds, |credentials| {
            let mut body = Vec::with_capacity(SHARED);
            serde_json::to_writer(&mut body, input).expect("inputs are plain strings and numbers");
            let request = Post { shared: &self.shared, credentials, target, body: &body };
            self.transport.exchange(&request, bounds, decode, refused)
        })
    }
}

impl Outgoing for Post<'_> {
    fn uri(&self) -> Result<Uri, http::Error> {
        Ok(self.shared.peer.endpoint.uri().clone())
    }

    fn headers(&self) -> Result<HeaderMap, http::Error> {
        let now = SystemTime::now();
        Ok(self.shared.signer.sign(self.credentials, Some(self.target), self.body, now))
    }

    fn body(&self) -> &[u8] {
        self.body
    }
}
