//! A place that is set up, and its keys.

use crate::aws::credentials::container::Container;
use crate::aws::credentials::instance::Instance;
use crate::aws::credentials::role::{Assumed, WebIdentity};
use crate::aws::credentials::search::Search;
use crate::aws::credentials::sso::Sso;
use crate::aws::credentials::unavailable::Unavailable;
use crate::aws::credentials::{Credentials, process};

/// Where keys come from. It has no `Debug`, which might show a token.
pub(crate) enum Place {
    /// The environment or a file has them.
    Keys(Credentials),
    /// A command prints them.
    Process(String),
    Assumed(Box<Assumed>),
    WebIdentity(WebIdentity),
    Sso(Sso),
    Container(Container),
    Instance(Instance),
}

impl Place {
    /// Gets the keys.
    ///
    /// # Errors
    /// Why there are none.
    pub(crate) fn keys(&self, search: &Search<'_>) -> Result<Credentials, Unavailable> {
        match self {
            Self::Keys(keys) => Ok(keys.clone()),
            Self::Process(command) => {
                process::run(command, search.question).map_err(|why| why.of("credential_process"))
            }
            Self::Assumed(assumed) => assumed.keys(search),
            Self::WebIdentity(identity) => identity.keys(search),
            Self::Sso(sso) => sso.keys(search),
            Self::Container(container) => {
                container.keys(&search.services).map_err(|why| why.of("the container"))
            }
            Self::Instance(instance) => {
                instance.keys(&search.services).map_err(|why| why.of("the instance's metadata"))
            }
        }
    }
}
