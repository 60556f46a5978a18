//! Where credentials are looked for if nothing is said about them.

use std::fmt::Display;
use std::future::Future;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use rusoto_core::credential::{
    AwsCredentials, ContainerProvider, EnvironmentProvider, InstanceMetadataProvider,
    ProvideAwsCredentials,
};
use serde::Deserialize;
use tokio::process::Command;
use ureq::http::Uri;

use super::environment::{self, Lookup};
use super::profile::{self, Settings};
use super::text::cut;

/// How long a `credential_process` may run.
const PROCESS: Duration = Duration::from_secs(10);

/// How long one answer of a container's or an instance's metadata may take, which come in
/// milliseconds where there are any; with its body, which rusoto does not bound, twice as long.
const METADATA: Duration = Duration::from_secs(2);

/// Longer than all of it together.
pub(super) const LIMIT: Duration = Duration::from_secs(20);

const KEY: &str = "AWS_ACCESS_KEY_ID";
const CONTAINER: [&str; 2] =
    ["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"];
/// What rusoto does not speak, though Amazon's own tools do.
const BEYOND: [&str; 2] = ["AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"];
const INSTANCE: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT";
const NO_INSTANCE: &str = "AWS_EC2_METADATA_DISABLED";

/// The credentials of the first place that is set up, in the order of rusoto's `ChainProvider`.
///
/// Not by that provider itself, which goes on to the next place when one fails, so that a broken
/// `credential_process` ends as an instance that does not answer, or as somebody else's role.
///
/// # Errors
/// Why the first place that is set up has none; if none is, where was looked.
pub(super) async fn find() -> Result<AwsCredentials, String> {
    let lookup: Lookup<'_> = &environment::process;
    if environment::first(lookup, &[KEY]).is_some() {
        let found = EnvironmentProvider::default().credentials().await;
        return found.map_err(|error| format!("the environment: {}", cut(&error.message)));
    }
    let mut looked = vec![format!("{KEY} in the environment: not set")];
    let profile = profile::name(lookup);
    match of_file(profile::config_file(lookup), &profile, command) {
        Ok(command) => {
            let found = run(&command, PROCESS).await;
            return found
                .map_err(|error| format!("credential_process of profile {profile:?}: {error}"));
        }
        Err(why) => looked.push(why),
    }
    match of_file(profile::credentials_file(lookup), &profile, keys) {
        Ok(found) => return Ok(found),
        Err(why) => looked.push(why),
    }
    if environment::first(lookup, &CONTAINER).is_some() {
        let mut provider = ContainerProvider::new();
        provider.set_timeout(METADATA);
        let found = within(METADATA * 2, provider.credentials()).await;
        return found.map_err(|why| format!("the container: {}{}", cut(&why), beyond(lookup)));
    }
    looked.push(format!("the container: neither {} nor {} is set", CONTAINER[0], CONTAINER[1]));
    match instance(lookup).await {
        Ok(found) => return Ok(found),
        Err(why) => looked.push(format!("the instance's metadata, version 1: {why}")),
    }
    Err(format!("looked at {}{}", looked.join("; "), beyond(lookup)))
}

/// What is set up and cannot be used.
fn beyond(lookup: Lookup<'_>) -> String {
    let set = BEYOND.iter().filter(|name| environment::first(lookup, &[name]).is_some());
    set.map(|name| format!("; {name} is not supported: use ClientBuilder::credentials_fn"))
        .collect()
}

/// What the file of this path says of a profile, read by `read`.
fn of_file<T>(
    path: Option<PathBuf>,
    profile: &str,
    read: impl FnOnce(&Settings) -> Result<T, String>,
) -> Result<T, String> {
    let path = path.ok_or("no home directory is known")?;
    let read = profile::read(&path, profile).and_then(|settings| read(&settings));
    read.map_err(|why| format!("{}: {why}", path.display()))
}

fn command(settings: &Settings) -> Result<String, String> {
    settings.get("credential_process").cloned().ok_or_else(|| "no credential_process".to_owned())
}

fn keys(settings: &Settings) -> Result<AwsCredentials, String> {
    let get = |name: &str| settings.get(name).filter(|value| !value.is_empty());
    let want = |name| get(name).ok_or_else(|| format!("no {name}"));
    let (key, secret) = (want("aws_access_key_id")?, want("aws_secret_access_key")?);
    // The second name is that of Amazon's oldest tools.
    let token = get("aws_session_token").or_else(|| get("aws_security_token"));
    Ok(AwsCredentials::new(key, secret, token.cloned(), None))
}

#[derive(Deserialize)]
struct Printed {
    #[serde(flatten)]
    credentials: AwsCredentials,
    #[serde(rename = "Version")]
    version: u8,
}

/// Runs a command, split into words as a shell does, and reads what it prints.
async fn run(command: &str, limit: Duration) -> Result<AwsCredentials, String> {
    let words = shlex::split(command).unwrap_or_default();
    let (program, arguments) = words.split_first().ok_or("it is no command line")?;
    let mut process = Command::new(program);
    // Killed when nobody waits any more: rusoto leaves it behind.
    process.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let output = within(limit, process.output()).await?;
    if !output.status.success() {
        let stderr = cut(&String::from_utf8_lossy(&output.stderr));
        return Err(format!("{program:?} ended with {}: {stderr}", output.status));
    }
    // What it printed is not shown: there may be a key in it.
    let wrong = || format!("{program:?} printed no JSON object of version 1 with a key");
    let printed: Printed = serde_json::from_slice(&output.stdout).map_err(|_| wrong())?;
    if printed.version == 1 { Ok(printed.credentials) } else { Err(wrong()) }
}

async fn instance(lookup: Lookup<'_>) -> Result<AwsCredentials, String> {
    let disabled = environment::first(lookup, &[NO_INSTANCE]);
    if disabled.is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return Err(format!("{NO_INSTANCE} is true"));
    }
    let mut provider = InstanceMetadataProvider::new();
    provider.set_timeout(METADATA);
    if let Some(url) = environment::first(lookup, &[INSTANCE]) {
        let uri = url.parse::<Uri>().ok().filter(|uri| uri.scheme_str() == Some("http"));
        let uri = uri.ok_or_else(|| format!("{INSTANCE} is no http:// URL"))?;
        let port = uri.port_u16().unwrap_or(80);
        provider.set_ip_addr_with_port(uri.host().unwrap_or_default(), &port.to_string());
    }
    // Two answers: the role, and its keys.
    within(METADATA * 2, provider.credentials()).await.map_err(|why| cut(&why))
}

/// The future's answer, as long as it comes in time: rusoto does not bound the body of one.
async fn within<T, E: Display>(
    limit: Duration,
    future: impl Future<Output = Result<T, E>>,
) -> Result<T, String> {
    match tokio::time::timeout(limit, future).await {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {limit:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn a_process_has_a_limit_of_its_own() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let start = Instant::now();
        let limit = Duration::from_millis(50);
        let error = runtime.block_on(run("sleep 1000", limit)).unwrap_err();
        assert_eq!(error, "no answer within 50ms");
        assert!(start.elapsed() < PROCESS);
    }

    #[test]
    fn keys_come_with_the_token_of_either_name() {
        let settings = |token: &str| {
            let pairs = [("aws_access_key_id", "k"), ("aws_secret_access_key", "s"), (token, "t")];
            pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
        };
        for (name, token) in
            [("aws_session_token", Some("t")), ("aws_security_token", Some("t")), ("other", None)]
        {
            assert_eq!(keys(&settings(name)).unwrap().token().as_deref(), token);
        }
        assert_eq!(keys(&Settings::new()).unwrap_err(), "no aws_access_key_id");
    }
}
