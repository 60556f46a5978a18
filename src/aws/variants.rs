//! Kinds of endpoints that a setting demands and that are not chosen here.

use crate::aws::environment::{self, Lookup};
use crate::aws::profile;
use crate::error::Error;

/// A variable, the setting of the profile, what both demand, and an example.
const KINDS: [[&str; 4]; 2] = [
    [
        "AWS_USE_FIPS_ENDPOINT",
        "use_fips_endpoint",
        "a FIPS endpoint",
        "https://kinesis-fips.us-east-1.amazonaws.com",
    ],
    [
        "AWS_USE_DUALSTACK_ENDPOINT",
        "use_dualstack_endpoint",
        "an endpoint for both kinds of addresses",
        "https://kinesis.us-east-1.api.aws",
    ],
];

/// Refuses to choose a usual endpoint if another kind is demanded. A configured endpoint is used, with a warning.
///
/// # Errors
/// If another kind is demanded, and no endpoint is set.
pub(crate) fn check(is_set: bool, lookup: Lookup<'_>) -> Result<(), Error> {
    for [variable, setting, kind, example] in KINDS {
        let Some(who) = demanded(variable, setting, lookup)? else { continue };
        if !is_set {
            return Err(invalid(format!(
                "{who} demands {kind}, which is not chosen here: set the endpoint, such as {example}"
            )));
        }
        log::warn!("{who} demands {kind}: the configured endpoint is not checked for that");
    }
    Ok(())
}

/// The variable or setting that demands it. The variable counts before the profile.
fn demanded(variable: &str, setting: &str, lookup: Lookup<'_>) -> Result<Option<String>, Error> {
    let of_variable = environment::first(lookup, &[variable]);
    let (who, value) = match of_variable {
        Some(value) => (variable.to_owned(), value),
        None => {
            let Some(value) = profile::setting(lookup, setting) else { return Ok(None) };
            (format!("{setting} of profile {:?}", profile::name(lookup)), value)
        }
    };
    match value.to_ascii_lowercase().as_str() {
        "true" => Ok(Some(who)),
        "false" | "" => Ok(None),
        _ => Err(invalid(format!("{who} is neither true nor false"))),
    }
}

fn invalid(reason: String) -> Error {
    Error::InvalidSetting { setting: "endpoint", reason }
}
