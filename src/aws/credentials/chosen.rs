//! What a profile says about credentials.

use crate::aws::credentials::Credentials;
use crate::aws::credentials::container::{self, Container};
use crate::aws::credentials::instance::Instance;
use crate::aws::credentials::place::Place;
use crate::aws::credentials::role::{Assumed, Role, SESSION, WebIdentity};
use crate::aws::credentials::sso::Sso;
use crate::aws::credentials::variables::{self, half};
use crate::aws::credentials::words;
use crate::aws::environment::Lookup;
use crate::aws::profile::{self, Profile, Section};

/// The command of Amazon's own tool that resolves any kind of profile.
const EXPORT: &str = "export-credentials";

/// The place that the profile names, if any. Its kinds count in the order of Amazon's SDKs: a role, a single sign-on,
/// keys, a process.
///
/// # Errors
/// If it names one that cannot be used.
pub(crate) fn place(profile: &Profile, lookup: Lookup<'_>) -> Result<Option<Place>, String> {
    Family::of(profile, lookup).place(profile).map_err(|Named(why)| why)
}

/// Whether `AWS_PROFILE` names a profile whose role, or whose source's role, is assumed with the keys in the environment:
/// then these are not meant to sign by themselves.
pub(crate) fn is_by_environment(lookup: Lookup<'_>) -> bool {
    let profile = Profile::read(lookup).ok().filter(|profile| profile.is_chosen);
    profile.is_some_and(|profile| {
        let mut family = Family::of(&profile, lookup);
        // If it cannot be used, the search says why.
        let _ = family.place(&profile);
        family.is_by_environment
    })
}

/// Profiles, each of which gets its keys by the next one.
struct Family<'a> {
    lookup: Lookup<'a>,
    seen: Vec<String>,
    /// The last one gets them from the environment.
    is_by_environment: bool,
}

/// What is wrong, with the profile in which it is.
struct Named(String);

/// What is wrong in a profile, or in the one that it names.
enum Wrong {
    Here(String),
    There(Named),
}

impl From<String> for Wrong {
    fn from(why: String) -> Self {
        Self::Here(why)
    }
}

impl<'a> Family<'a> {
    fn of(profile: &Profile, lookup: Lookup<'a>) -> Self {
        Self { lookup, seen: vec![profile.name.clone()], is_by_environment: false }
    }

    fn place(&mut self, profile: &Profile) -> Result<Option<Place>, Named> {
        let place = match self.role(profile) {
            Ok(None) => own(profile, self.lookup).map_err(Wrong::Here),
            role => role,
        };
        place.map_err(|wrong| match wrong {
            Wrong::Here(why) => named(&profile.name, &why),
            Wrong::There(named) => named,
        })
    }

    /// A role, and where the keys come from that may assume it.
    // long: the three ways to a role, and what may be missing.
    fn role(&mut self, profile: &Profile) -> Result<Option<Place>, Wrong> {
        const WAYS: [&str; 3] = ["source_profile", "credential_source", "web_identity_token_file"];
        let set: Vec<_> =
            WAYS.into_iter().filter_map(|way| Some((way, profile.get(way)?))).collect();
        let Some(arn) = profile.get("role_arn") else {
            // Otherwise a later place would be somebody else.
            return match set.first() {
                Some((way, _)) => Err(format!("{way} is set, but no role_arn").into()),
                None => Ok(None),
            };
        };
        if profile.get("mfa_serial").is_some() {
            return Err(format!(
                "mfa_serial demands a code that a program cannot type: {}",
                in_shell(&profile.name)
            )
            .into());
        }
        let role = role(arn, profile)?;
        let source = match set[..] {
            [("source_profile", name)] => self.source(profile, name)?,
            [("credential_source", source)] => self.elsewhere(source)?,
            [(setting, path)] => {
                let token = path.into();
                return Ok(Some(Place::WebIdentity(WebIdentity { role, token, setting })));
            }
            [] => {
                return Err(format!(
                    "role_arn is set, but none of {}, {} and {}",
                    WAYS[0], WAYS[1], WAYS[2]
                )
                .into());
            }
            [(first, _), (second, _), ..] => {
                return Err(format!("{first} and {second} are both set: keep one").into());
            }
        };
        Ok(Some(Place::Assumed(Box::new(Assumed { role, source }))))
    }

    /// The place of a profile that another one names.
    fn source(&mut self, profile: &Profile, name: &str) -> Result<Place, Wrong> {
        let none = || Wrong::There(named(name, "it has no keys, which source_profile demands"));
        if name == profile.name {
            // Its own keys may assume its role.
            return own(profile, self.lookup)?.ok_or_else(none);
        }
        if self.seen.iter().any(|seen| seen == name) {
            let circle = self.seen.join(", ");
            return Err(format!("source_profile goes in a circle: {circle}, {name}").into());
        }
        self.seen.push(name.to_owned());
        let source = Profile::named(name, self.lookup)?;
        if !source.is_known() {
            let (config, credentials) = (&source.config, &source.credentials);
            let why = format!("which is not a profile: {config}; {credentials}");
            return Err(format!("source_profile names {name:?}, {why}").into());
        }
        // As for Amazon's SDKs, its keys count before its role.
        let keys = keys(&source).map_err(|why| Wrong::There(named(name, &why)))?;
        match keys {
            Some(keys) => Ok(keys),
            None => self.place(&source).map_err(Wrong::There)?.ok_or_else(none),
        }
    }

    /// The place that `credential_source` names.
    fn elsewhere(&mut self, source: &str) -> Result<Place, String> {
        let none = |why: &str| format!("credential_source is {source}: {why}");
        match source.to_ascii_lowercase().as_str() {
            "environment" => {
                self.is_by_environment = true;
                let unset = format!("{} is not set", variables::KEY);
                variables::keys(self.lookup)?.ok_or_else(|| none(&unset))
            }
            "ecscontainer" => {
                let container = Container::of(self.lookup)?.ok_or_else(|| none(container::NONE))?;
                Ok(Place::Container(container))
            }
            "ec2instancemetadata" => {
                Instance::of(self.lookup).map(Place::Instance).map_err(|why| none(&why))
            }
            _ => Err(none("it must be Environment, Ec2InstanceMetadata or EcsContainer")),
        }
    }
}

fn named(profile: &str, why: &str) -> Named {
    Named(format!("profile {profile:?}: {why}"))
}

/// What the profile says without a role.
fn own(profile: &Profile, lookup: Lookup<'_>) -> Result<Option<Place>, String> {
    if let Some(sso) = sso(profile, lookup)? {
        return Ok(Some(Place::Sso(sso)));
    }
    let process = profile.get("credential_process");
    if profile.get("login_session").is_some() {
        let exported = process.filter(|command| exports(command, &profile.name));
        let unsupported = || {
            let remedy = by_tool(&profile.name);
            format!("login_session, which aws login writes, is not supported: {remedy}")
        };
        return Ok(Some(Place::Process(exported.ok_or_else(unsupported)?.to_owned())));
    }
    if let Some(keys) = keys(profile)? {
        return Ok(Some(keys));
    }
    Ok(process.map(|command| Place::Process(command.to_owned())))
}

/// Whether a command is Amazon's own tool, which resolves the profile itself.
fn exports(command: &str, profile: &str) -> bool {
    let words = words::split(command).unwrap_or_default();
    let behind = words.windows(2).find(|pair| pair[0] == "--profile").map(|pair| pair[1].as_str());
    let named = behind.or_else(|| words.iter().find_map(|word| word.strip_prefix("--profile=")));
    let is_tool = words.windows(2).any(|pair| pair == ["configure", EXPORT]);
    is_tool && named.is_none_or(|named| named == profile)
}

fn role(arn: &str, profile: &Profile) -> Result<Role, String> {
    let text = |name: &str| profile.get(name).map(str::to_owned);
    let duration = text("duration_seconds");
    let is_allowed = |text: &String| text.parse().is_ok_and(|it: u32| (900..=43_200).contains(&it));
    if duration.as_ref().is_some_and(|duration| !is_allowed(duration)) {
        return Err("duration_seconds must be from 900 to 43200".to_owned());
    }
    Ok(Role {
        arn: arn.to_owned(),
        session: text("role_session_name").unwrap_or_else(|| SESSION.to_owned()),
        duration,
        external_id: text("external_id"),
    })
}

/// A single sign-on: by a session of the config file, or by the profile alone.
// long: both forms, and what may be missing of each.
fn sso(profile: &Profile, lookup: Lookup<'_>) -> Result<Option<Sso>, String> {
    let (set, session, region) = match profile.get("sso_session") {
        Some(name) => {
            let part = format!("sso-session {name}");
            let settings = profile::section(lookup, &part)
                .ok_or_else(|| format!("sso_session names {name:?}, but there is no [{part}]"))?;
            let region = settings.get("sso_region").filter(|region| !region.is_empty());
            let missing = || half(&format!("[{part}]"), "the session", "sso_region");
            ("sso_session", name, region.ok_or_else(missing)?.clone())
        }
        None => {
            let Some(url) = profile.get("sso_start_url") else {
                const OTHERS: [&str; 3] = ["sso_account_id", "sso_role_name", "sso_region"];
                // Otherwise a later place would be somebody else.
                return match OTHERS.iter().find(|name| profile.get(name).is_some()) {
                    Some(set) => Err(format!("{set} is set, but no sso_session")),
                    None => Ok(None),
                };
            };
            let region = profile.get("sso_region");
            let missing = "sso_start_url is set, but no sso_region";
            ("sso_start_url", url, region.ok_or(missing)?.to_owned())
        }
    };
    let get = |name: &str| {
        let value = profile.get(name).map(str::to_owned);
        value.ok_or_else(|| format!("{set} is set, but no {name}"))
    };
    let (account, role) = (get("sso_account_id")?, get("sso_role_name")?);
    let (profile, session) = (profile.name.clone(), session.to_owned());
    Ok(Some(Sso { profile, session, region, account, role }))
}

/// The keys in the profile; those in the file of keys count first.
fn keys(profile: &Profile) -> Result<Option<Place>, String> {
    for section in [&profile.credentials, &profile.config] {
        if let Some(keys) = pair(section)? {
            return Ok(Some(Place::Keys(keys)));
        }
    }
    Ok(None)
}

/// The keys in one file: half a pair is not completed from another.
fn pair(section: &Section) -> Result<Option<Credentials>, String> {
    const NAMES: [&str; 2] = ["aws_access_key_id", "aws_secret_access_key"];
    let (key, secret) = match NAMES.map(|name| section.get(name)) {
        [Some(key), Some(secret)] => (key, secret),
        [Some(_), None] => return Err(half(&section.place(), NAMES[0], NAMES[1])),
        [None, Some(_)] => return Err(half(&section.place(), NAMES[1], NAMES[0])),
        [None, None] => return Ok(None),
    };
    let keys = Credentials::new(key, secret);
    // Amazon's oldest tools use the second name.
    let token = section.get("aws_session_token").or_else(|| section.get("aws_security_token"));
    Ok(Some(match token {
        Some(token) => keys.with_session_token(token),
        None => keys,
    }))
}

/// A name as a shell reads it.
pub(crate) fn quoted(name: &str) -> String {
    shlex::try_quote(name).map_or_else(|_| name.to_owned(), |name| name.into_owned())
}

/// How a profile is used that is not supported.
fn by_tool(profile: &str) -> String {
    let profile = quoted(profile);
    format!(
        "give a profile of its own `credential_process = aws configure {EXPORT} --profile {profile} \
         --format process`, or let the program get its keys in another way"
    )
}

/// How a profile is used that asks a person.
fn in_shell(profile: &str) -> String {
    let profile = quoted(profile);
    format!(
        "run eval \"$(aws configure {EXPORT} --profile {profile} --format env)\" in the shell that \
         starts this program, or let the program get its keys in another way"
    )
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
            ("corp-export-credentials", false),
            ("'unfinished export-credentials", false),
        ] {
            assert_eq!(exports(command, "prod"), is_ours, "{command}");
        }
    }
}
