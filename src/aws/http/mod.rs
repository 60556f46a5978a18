//! A blocking HTTP client for the services of AWS, and what their refusals mean.

pub(crate) mod body;
pub(crate) mod bounds;
pub(crate) mod connector;
pub(crate) mod malformed;
pub(crate) mod no_proxy;
pub(crate) mod proxy;
pub(crate) mod quiet;
pub(crate) mod refusal;
pub(crate) mod request;
pub(crate) mod resolver;
pub(crate) mod tls;
pub(crate) mod transport;
