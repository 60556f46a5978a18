//! The places where credentials are searched by default.

use std::time::Duration;

use crate::aws::credentials::container::{self, Container};
use crate::aws::credentials::instance::Instance;
use crate::aws::credentials::place::Place;
use crate::aws::credentials::question::Question;
use crate::aws::credentials::search::Search;
use crate::aws::credentials::service::Services;
use crate::aws::credentials::unavailable::Unavailable;
use crate::aws::credentials::{Credentials, chosen, variables};
use crate::aws::environment::{self, Lookup};
use crate::aws::profile::Profile;
use crate::aws::variants::Variants;

/// Longer than all of its steps together, unless a service is very slow.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// What a search needs to know of the client.
#[derive(Debug)]
pub(crate) struct Chain {
    /// The region whose services are asked.
    pub(crate) region: String,
    /// The kinds of endpoints that the client demands.
    pub(crate) variants: Variants,
    /// Whether keys may come unencrypted from another machine.
    pub(crate) allow_plain_http: bool,
}

/// The first place that is set up.
struct Found {
    place: Place,
    /// The name of a place that does not name itself in its errors.
    name: Option<String>,
    /// What was searched before, if nothing else names a place.
    looked: Option<String>,
}

impl Chain {
    /// The credentials of the first place that is set up: environment, profile, web identity, container, instance.
    ///
    /// When one fails it does not continue with the next, which may hold somebody else's keys.
    ///
    /// # Errors
    /// Why the first place that is set up has none; if no place is set up, which places were searched.
    pub(crate) fn find(&self, question: &Question) -> Result<Credentials, Unavailable> {
        let lookup: Lookup<'_> = &environment::process;
        let found = choose(lookup).map_err(Unavailable::for_good)?;
        let services = Services::new(question, lookup);
        let search = Search { lookup, question, services, chain: self };
        found.place.keys(&search).map_err(|mut why| {
            if let Some(name) = found.name {
                why = why.of(&name);
            }
            if let Some(looked) = found.looked {
                why.reason = format!("{}; before that: {looked}", why.reason);
            }
            why
        })
    }
}

/// A place that is set up and cannot be used ends the search: a later place may be somebody else's.
// long: one place after the other, in the order in which they count.
fn choose(lookup: Lookup<'_>) -> Result<Found, String> {
    let found = |place, name: Option<String>| Found { place, name, looked: None };
    if let Some(keys) = variables::keys(lookup)?.filter(|_| !chosen::is_by_environment(lookup)) {
        return Ok(found(keys, None));
    }
    let profile = Profile::read(lookup)?;
    if profile.is_chosen && !profile.is_known() {
        let (name, config, credentials) = (&profile.name, &profile.config, &profile.credentials);
        return Err(format!(
            "AWS_PROFILE names {name:?}, which is not a profile: {config}; {credentials}"
        ));
    }
    if let Some(place) = chosen::place(&profile, lookup)? {
        return Ok(found(place, Some(format!("profile {:?}", profile.name))));
    }
    if let Some(identity) = variables::web_identity(lookup)? {
        return Ok(found(identity, None));
    }
    if let Some(container) = Container::of(lookup)? {
        return Ok(found(Place::Container(container), None));
    }
    let looked = looked(&profile);
    match Instance::of(lookup) {
        Ok(instance) => {
            Ok(Found { place: Place::Instance(instance), name: None, looked: Some(looked) })
        }
        Err(why) => Err(format!("the instance's metadata: {why}; before that: {looked}")),
    }
}

fn looked(profile: &Profile) -> String {
    let (config, credentials) = (&profile.config, &profile.credentials);
    format!(
        "{} in the environment: not set; profile {:?} in {config}; in {credentials}; {}",
        variables::KEY,
        profile.name,
        container::NONE,
    )
}

/// Why no place is set up, or why a place cannot be used.
#[cfg(test)]
pub(crate) fn refusal(lookup: Lookup<'_>) -> String {
    choose(lookup).map(|_| "it can be used".to_owned()).unwrap_or_else(|why| why)
}
