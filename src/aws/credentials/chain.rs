//! The places where credentials are searched by default.

use std::time::Duration;

use rusoto_core::credential::{AwsCredentials, EnvironmentProvider, ProvideAwsCredentials};

use crate::aws::credentials::container::{self, Container};
use crate::aws::credentials::instance::Instance;
use crate::aws::credentials::process;
use crate::aws::credentials::unavailable::Unavailable;
use crate::aws::environment::{self, Lookup};
use crate::aws::profile::{Profile, Section};
use crate::aws::text::cut;

/// Longer than all of its steps together.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

const KEY: &str = "AWS_ACCESS_KEY_ID";
const SECRET: &str = "AWS_SECRET_ACCESS_KEY";
/// A name from Amazon's oldest tools.
const OLD_TOKEN: &str = "AWS_SECURITY_TOKEN";
const WEB_IDENTITY: &str = "AWS_WEB_IDENTITY_TOKEN_FILE";

/// Settings of a profile that are not supported here.
const BEYOND: [&str; 7] = [
    "role_arn",
    "source_profile",
    "credential_source",
    "web_identity_token_file",
    "sso_session",
    "sso_start_url",
    "login_session",
];

/// The command of Amazon's own tool that resolves any kind of profile.
const EXPORT: &str = "export-credentials";

/// The first place that is set up.
enum Place {
    Environment,
    Keys(AwsCredentials),
    Process { profile: String, command: String },
    Container(Container),
    Instance { instance: Instance, looked: String },
}

/// The credentials of the first place that is set up, in the order of rusoto's `ChainProvider`.
///
/// Not by that provider itself: it continues with the next place when one fails, so that a broken `credential_process`
/// would end as an instance that does not answer, or as somebody else's role.
///
/// # Errors
/// Why the first place that is set up has none; if no place is set up, which places were searched.
pub(crate) async fn find() -> Result<AwsCredentials, Unavailable> {
    match choose(&environment::process).map_err(Unavailable::for_good)? {
        Place::Environment => EnvironmentProvider::default()
            .credentials()
            .await
            .map_err(|error| Unavailable::for_good(cut(&error.message)).of("the environment")),
        Place::Keys(keys) => Ok(keys),
        Place::Process { profile, command } => {
            let keys = process::run(&command, process::LIMIT).await;
            keys.map_err(|why| why.of(&format!("credential_process of profile {profile:?}")))
        }
        Place::Container(container) => {
            container.keys().await.map_err(|why| why.of("the container"))
        }
        Place::Instance { instance, looked } => instance.keys().await.map_err(|why| {
            let mut why = why.of("the instance's metadata");
            why.reason = format!("{}; before that: {looked}", why.reason);
            why
        }),
    }
}

/// A place that is set up and cannot be used ends the search: a later place may be somebody else's.
// long: one place after the other, in the order in which they count.
fn choose(lookup: Lookup<'_>) -> Result<Place, String> {
    let token = environment::first(lookup, &["AWS_SESSION_TOKEN"]);
    if token.is_none() && environment::first(lookup, &[OLD_TOKEN]).is_some() {
        return Err(format!("{OLD_TOKEN} is not supported: set AWS_SESSION_TOKEN"));
    }
    let [key, secret] = [KEY, SECRET].map(|name| environment::first(lookup, &[name]));
    match (key, secret) {
        (Some(_), Some(_)) => return Ok(Place::Environment),
        (Some(_), None) => return Err(half("the environment", KEY, SECRET)),
        (None, Some(_)) => return Err(half("the environment", SECRET, KEY)),
        (None, None) => {}
    }
    let profile = Profile::read(lookup)?;
    if let Some(place) = of_profile(&profile)? {
        return Ok(place);
    }
    if environment::first(lookup, &[WEB_IDENTITY]).is_some() {
        return Err(format!(
            "{WEB_IDENTITY} (a role for a web identity, as EKS gives it) is not supported: {}",
            remedy(None)
        ));
    }
    if let Some(container) = Container::of(lookup)? {
        return Ok(Place::Container(container));
    }
    let looked = looked(&profile);
    match Instance::of(lookup) {
        Ok(instance) => Ok(Place::Instance { instance, looked }),
        Err(why) => Err(format!("the instance's metadata: {why}; before that: {looked}")),
    }
}

/// The kind of credentials in a profile, if any.
fn of_profile(profile: &Profile) -> Result<Option<Place>, String> {
    let name = &profile.name;
    if profile.is_chosen && !profile.is_known() {
        let (config, credentials) = (&profile.config, &profile.credentials);
        return Err(format!(
            "AWS_PROFILE names {name:?}, which is not a profile: {config}; {credentials}"
        ));
    }
    let command = profile.get("credential_process");
    let is_exported = command.is_some_and(|command| exports(command, name));
    let beyond = BEYOND.iter().find(|beyond| profile.get(beyond).is_some());
    if let Some(beyond) = beyond.filter(|_| !is_exported) {
        let remedy = remedy(Some(name));
        return Err(format!("profile {name:?} has {beyond}, which is not supported: {remedy}"));
    }
    if let Some(command) = command {
        return Ok(Some(Place::Process { profile: name.clone(), command: command.to_owned() }));
    }
    for section in [&profile.credentials, &profile.config] {
        if let Some(keys) = keys(section).map_err(|why| format!("profile {name:?}: {why}"))? {
            return Ok(Some(Place::Keys(keys)));
        }
    }
    Ok(None)
}

/// Whether a command is Amazon's own tool, which resolves the profile itself.
fn exports(command: &str, profile: &str) -> bool {
    let words = shlex::split(command).unwrap_or_default();
    let behind = words.windows(2).find(|pair| pair[0] == "--profile").map(|pair| pair[1].as_str());
    let named = behind.or_else(|| words.iter().find_map(|word| word.strip_prefix("--profile=")));
    words.iter().any(|word| word.ends_with(EXPORT)) && named.is_none_or(|named| named == profile)
}

/// The keys in one file: half a pair is not completed from another.
fn keys(section: &Section) -> Result<Option<AwsCredentials>, String> {
    const NAMES: [&str; 2] = ["aws_access_key_id", "aws_secret_access_key"];
    let (key, secret) = match NAMES.map(|name| section.get(name)) {
        [Some(key), Some(secret)] => (key, secret),
        [Some(_), None] => return Err(half(&section.place(), NAMES[0], NAMES[1])),
        [None, Some(_)] => return Err(half(&section.place(), NAMES[1], NAMES[0])),
        [None, None] => return Ok(None),
    };
    // Amazon's oldest tools use the second name.
    let token = section.get("aws_session_token").or_else(|| section.get("aws_security_token"));
    Ok(Some(AwsCredentials::new(key, secret, token.map(str::to_owned), None)))
}

fn half(place: &str, set: &str, missing: &str) -> String {
    format!("{place}: {set} is set, but no {missing}")
}

fn remedy(profile: Option<&str>) -> String {
    let of = profile.map_or_else(String::new, |name| format!(" --profile {name}"));
    format!(
        "give a profile of its own `credential_process = aws configure {EXPORT}{of} --format \
         process`, or use ClientBuilder::credentials_fn"
    )
}

fn looked(profile: &Profile) -> String {
    let (config, credentials) = (&profile.config, &profile.credentials);
    format!(
        "{KEY} in the environment: not set; profile {:?} in {config}; in {credentials}; {}",
        profile.name,
        container::NONE,
    )
}

/// Why no place is set up, or why a place cannot be used.
#[cfg(test)]
pub(crate) fn refusal(lookup: Lookup<'_>) -> String {
    choose(lookup).map(|_| "it can be used".to_owned()).unwrap_or_else(|why| why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tool_exports_this_profile_or_another() {
        for (command, is_ours) in [
            ("aws configure export-credentials", true),
            ("aws configure export-credentials --profile prod --format process", true),
            ("'/opt/my aws' configure export-credentials --profile=prod", true),
            ("aws configure export-credentials --profile base", false),
            ("aws configure export-credentials --profile=base", false),
            ("get-keys prod", false),
            ("'unfinished export-credentials", false),
        ] {
            assert_eq!(exports(command, "prod"), is_ours, "{command}");
        }
    }
}
