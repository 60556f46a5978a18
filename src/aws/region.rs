//! The region of a client.

use crate::aws::environment::{self, Lookup};
use crate::aws::partition;
use crate::aws::profile;
use crate::error::Error;

/// Read in this order, like in Amazon's newer SDKs.
const VARIABLES: [&str; 2] = ["AWS_REGION", "AWS_DEFAULT_REGION"];

/// The name of the region: the one that was set, else the environment's, else the profile's.
/// `fallback` replaces a missing one.
///
/// # Errors
/// If there is none, or it cannot be the name of a region.
pub(crate) fn find(
    set: Option<&str>,
    fallback: Option<String>,
    lookup: Lookup<'_>,
) -> Result<String, Error> {
    let name = set
        .map(str::to_owned)
        .or_else(|| environment::first(lookup, &VARIABLES))
        .or_else(|| profile::setting(lookup, "region"))
        .or(fallback)
        .ok_or_else(|| invalid(nowhere(lookup)))?;
    valid(&name)
}

/// The name in lower case. It becomes part of a host name and of the signature.
fn valid(name: &str) -> Result<String, Error> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if name.is_empty() || name.len() > 60 || !name.bytes().all(is_name) {
        let shown: String = name.chars().take(60).collect();
        return Err(invalid(format!(
            "{shown:?} is not a region name: use letters, digits and dashes, such as eu-central-1"
        )));
    }
    let name = name.to_ascii_lowercase();
    match name.strip_prefix("fips-").or_else(|| name.strip_suffix("-fips")) {
        Some(region) => Err(invalid(format!(
            "{name:?} is the name of a FIPS endpoint in old tools: set the region to {region:?}, and \
             AWS_USE_FIPS_ENDPOINT to true"
        ))),
        None => Ok(name),
    }
}

/// Checks that an endpoint of Amazon's is in this region.
///
/// # Errors
/// If it is in another region, whose service refuses signatures for this one.
pub(crate) fn check(region: &str, host: &str) -> Result<(), Error> {
    match partition::known(host).map(|known| known.region) {
        Some(other) if other != region => Err(invalid(format!(
            "{region:?} is not the region of the endpoint {host}, which is in {other}: make the two \
             agree"
        ))),
        _ => Ok(()),
    }
}

fn nowhere(lookup: Lookup<'_>) -> String {
    let files: Vec<_> = profile::files(lookup).map(|path| path.display().to_string()).collect();
    let files = match files.is_empty() {
        true => "a profile file (no home directory is known)".to_owned(),
        false => files.join(" or "),
    };
    format!(
        "none is set: neither by the program, nor by {} or {}, nor for profile {:?} in {files}",
        VARIABLES[0],
        VARIABLES[1],
        profile::name(lookup),
    )
}

fn invalid(reason: String) -> Error {
    Error::InvalidSetting { setting: "region", reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn none(_: &str) -> Option<String> {
        None
    }

    #[test]
    fn what_is_set_goes_before_the_environment_and_that_before_the_fallback() {
        let both = |name: &str| name.starts_with("AWS_").then(|| format!("of-{}", name.len()));
        let second = |name: &str| match name {
            "AWS_REGION" => Some(String::new()),
            "AWS_DEFAULT_REGION" => Some("eu-west-9".to_owned()),
            _ => None,
        };
        assert_eq!(find(Some("eu-central-1"), None, &both).unwrap(), "eu-central-1");
        assert_eq!(find(None, Some("x-1".to_owned()), &both).unwrap(), "of-10");
        assert_eq!(find(None, Some("x-1".to_owned()), &second).unwrap(), "eu-west-9");
        assert_eq!(find(None, Some("x-1".to_owned()), &none).unwrap(), "x-1");
    }

    #[test]
    fn a_region_comes_from_the_chosen_profile() {
        let file = std::env::temp_dir().join(format!("kc-config-{}", std::process::id()));
        std::fs::write(&file, "[default]\nregion = eu-a-1\n[profile other]\nregion=eu-b-1\n")
            .unwrap();
        let with = |profile: &'static str| {
            let path = file.display().to_string();
            move |name: &str| match name {
                "AWS_CONFIG_FILE" => Some(path.clone()),
                "AWS_PROFILE" => Some(profile.to_owned()),
                _ => None,
            }
        };
        assert_eq!(find(None, None, &with("")).unwrap(), "eu-a-1");
        assert_eq!(find(None, None, &with("other")).unwrap(), "eu-b-1");
        assert!(find(None, None, &with("third")).is_err());
        // The credentials file counts first.
        let keys = std::env::temp_dir().join(format!("kc-keys-{}", std::process::id()));
        std::fs::write(&keys, "[default]\nregion =\n[other]\nregion = eu-c-1\n").unwrap();
        let path = keys.display().to_string();
        let both = |config: &dyn Fn(&str) -> Option<String>, name: &str| match name {
            "AWS_SHARED_CREDENTIALS_FILE" => Some(path.clone()),
            other => config(other),
        };
        let of_other = |name: &str| both(&with("other"), name);
        assert_eq!(find(None, None, &of_other).unwrap(), "eu-c-1");
        assert_eq!(find(None, None, &|name| both(&with(""), name)).unwrap(), "eu-a-1");
        for file in [file, keys] {
            std::fs::remove_file(file).unwrap();
        }
    }

    #[test]
    fn without_a_region_the_error_names_every_place_that_was_looked_at() {
        let home = |name: &str| (name == "HOME" || name == "USERPROFILE").then(|| "/no".to_owned());
        let error = find(None, None, &home).unwrap_err().to_string();
        for place in [
            "by the program",
            "AWS_REGION",
            "AWS_DEFAULT_REGION",
            "default",
            ".aws/config",
            ".aws/credentials",
        ] {
            assert!(error.contains(place), "{error}");
        }
    }

    #[test]
    fn a_profile_file_that_is_none_is_no_panic() {
        for path in ["/", "/dev/null", "/no/such/file"] {
            let lookup = |name: &str| (name == "AWS_CONFIG_FILE").then(|| path.to_owned());
            assert!(find(None, None, &lookup).is_err(), "{path}");
        }
    }

    #[test]
    fn names_that_cannot_be_part_of_a_host_name_are_refused() {
        assert_eq!(find(Some("EU-Central-1"), None, &none).unwrap(), "eu-central-1");
        for name in ["", "eu central", "eu.central", "eu/central", "é", "a\nb", &"x".repeat(61)] {
            assert!(find(Some(name), None, &none).is_err(), "{name:?}");
        }
        for name in ["fips-us-gov-west-1", "us-gov-west-1-FIPS"] {
            let error = find(Some(name), None, &none).unwrap_err().to_string();
            assert!(error.contains("\"us-gov-west-1\", and AWS_USE_FIPS_ENDPOINT"), "{error}");
        }
    }

    #[test]
    fn a_region_that_contradicts_the_endpoint_is_an_error() {
        for host in [
            "kinesis-fips.us-gov-west-1.amazonaws.com",
            "kinesis.us-gov-west-1.api.aws",
            "v-1.kinesis.us-gov-west-1.vpce.amazonaws.com",
            "1.data-kinesis.us-gov-west-1.amazonaws.com",
            "1.control-kinesis.us-gov-west-1.api.aws",
            "kinesis.us-gov-west-1.amazonaws.eu",
        ] {
            assert!(check("us-gov-west-1", host).is_ok(), "{host}");
            let error = check("eu-west-1", host).unwrap_err().to_string();
            assert!(error.contains("\"eu-west-1\"") && error.contains(host), "{error}");
        }
        assert!(check("eu-west-1", "localhost").is_ok());
    }
}
