//! The kinds of endpoints that are demanded: FIPS, and addresses of both kinds.

use crate::aws::environment::{self, Lookup};
use crate::aws::partition::Known;
use crate::aws::profile;
use crate::error::Error;

/// What the setters of a client say; `None` leaves it to the environment and the profile.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Variants {
    pub(crate) fips: Option<bool>,
    pub(crate) dual_stack: Option<bool>,
}

/// What is demanded, with the setting that demands it.
#[derive(Debug)]
pub(crate) struct Demands {
    pub(crate) fips: Option<String>,
    pub(crate) dual_stack: Option<String>,
}

/// A kind of endpoints, and who may demand it.
struct Kind {
    variable: &'static str,
    setting: &'static str,
}

const FIPS: Kind = Kind { variable: "AWS_USE_FIPS_ENDPOINT", setting: "use_fips_endpoint" };
const DUAL_STACK: Kind =
    Kind { variable: "AWS_USE_DUALSTACK_ENDPOINT", setting: "use_dualstack_endpoint" };

impl Variants {
    /// What the setters demand, else the variables, else the profile.
    ///
    /// # Errors
    /// If a value is neither `true` nor `false`.
    pub(crate) fn demanded(self, lookup: Lookup<'_>) -> Result<Demands, Error> {
        let demanded = |set: Option<bool>, kind: &Kind| match set {
            Some(set) => Ok(set.then(|| "the program".to_owned())),
            None => switched_on(kind.variable, kind.setting, lookup),
        };
        Ok(Demands {
            fips: demanded(self.fips, &FIPS)?,
            dual_stack: demanded(self.dual_stack, &DUAL_STACK)?,
        })
    }
}

impl Demands {
    /// Which demands a configured endpoint does not meet as far as its name shows, with who demands it.
    pub(crate) fn unmet_by(&self, known: Option<Known<'_>>) -> Vec<(&str, &'static str)> {
        let fips = self.fips.as_deref().filter(|_| !known.is_some_and(|it| it.is_fips));
        let dual = self.dual_stack.as_deref().filter(|_| !known.is_some_and(|it| it.is_dual_stack));
        let fips = fips.map(|who| (who, "a FIPS endpoint"));
        let dual = dual.map(|who| (who, "an endpoint for both kinds of addresses"));
        fips.into_iter().chain(dual).collect()
    }
}

/// Which setting says `true`: the variable, or else the one of the profile; `None` if none does.
///
/// # Errors
/// If a value is neither `true` nor `false`.
pub(crate) fn switched_on(
    variable: &str,
    setting: &str,
    lookup: Lookup<'_>,
) -> Result<Option<String>, Error> {
    let (who, value) = match environment::first(lookup, &[variable]) {
        Some(value) => (variable.to_owned(), value),
        None => {
            let Some(value) = profile::setting(lookup, setting) else { return Ok(None) };
            (format!("{setting} of profile {:?}", profile::name(lookup)), value)
        }
    };
    match value.to_ascii_lowercase().as_str() {
        "true" => Ok(Some(who)),
        "false" | "" => Ok(None),
        _ => {
            let reason = format!("{who} is neither true nor false");
            Err(Error::InvalidSetting { setting: "endpoint", reason })
        }
    }
}
