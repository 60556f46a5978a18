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
