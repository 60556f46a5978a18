//! A search for credentials in progress.

use crate::aws::credentials::chain::Chain;
use crate::aws::credentials::question::Question;
use crate::aws::credentials::service::Services;
use crate::aws::credentials::unavailable::Unavailable;
use crate::aws::endpoint::{self, Endpoint};
use crate::aws::environment::Lookup;
use crate::aws::service::Service;

/// What a place may need to give its keys.
pub(crate) struct Search<'a> {
    pub(crate) lookup: Lookup<'a>,
    pub(crate) question: &'a Question,
    pub(crate) services: Services<'a>,
    pub(crate) chain: &'a Chain,
}

impl Search<'_> {
    /// The endpoint of a service of Amazon's in a region.
    ///
    /// # Errors
    /// If Amazon has none in the region, or a setting about it is wrong.
    pub(crate) fn endpoint(&self, service: Service, region: &str) -> Result<Endpoint, Unavailable> {
        let Chain { variants, allow_plain_http, .. } = *self.chain;
        endpoint::of_service(service, region, variants, allow_plain_http, self.lookup)
            .map_err(|error| Unavailable::for_good(error.to_string()))
    }
}
