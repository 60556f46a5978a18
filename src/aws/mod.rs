//! Speaks to AWS: credentials, region, endpoint, signature and HTTP. Of Kinesis it knows the names of hosts.

pub(crate) mod caller;
pub(crate) mod credentials;
pub(crate) mod endpoint;
pub(crate) mod environment;
pub(crate) mod http;
pub(crate) mod ini;
pub(crate) mod partition;
pub(crate) mod profile;
pub(crate) mod region;
pub(crate) mod repeats;
pub(crate) mod service;
pub(crate) mod sign;
pub(crate) mod text;
pub(crate) mod variants;
