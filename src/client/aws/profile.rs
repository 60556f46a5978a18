//! Profiles: sections of the two files that Amazon's tools share.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::environment::{self, Lookup};

/// The settings of one profile, by their names in lower case.
pub(super) type Settings = HashMap<String, String>;

/// The name of the profile that is meant.
pub(super) fn name(lookup: Lookup<'_>) -> String {
    environment::first(lookup, &["AWS_PROFILE"]).unwrap_or_else(|| "default".to_owned())
}

/// The file of settings; `None` if no home directory is known.
pub(super) fn config_file(lookup: Lookup<'_>) -> Option<PathBuf> {
    file("AWS_CONFIG_FILE", "config", lookup)
}

/// The file of keys; `None` if no home directory is known.
pub(super) fn credentials_file(lookup: Lookup<'_>) -> Option<PathBuf> {
    file("AWS_SHARED_CREDENTIALS_FILE", "credentials", lookup)
}

/// What a file says of a profile.
///
/// Read here, since rusoto panics on a file that it cannot open and on a line that it does not
/// expect, and cuts session tokens at their first `=`.
///
/// # Errors
/// Why it says nothing.
pub(super) fn read(path: &Path, profile: &str) -> Result<Settings, String> {
    // Reading a pipe might wait for ever.
    if !path.is_file() {
        return Err("no such file".to_owned());
    }
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&bytes);
    section(&text, profile).ok_or_else(|| format!("no profile {profile:?} in it"))
}

fn file(variable: &str, name: &str, lookup: Lookup<'_>) -> Option<PathBuf> {
    if let Some(path) = environment::first(lookup, &[variable]) {
        return Some(path.into());
    }
    let home = if cfg!(windows) { "USERPROFILE" } else { "HOME" };
    let home = PathBuf::from(environment::first(lookup, &[home])?);
    Some(home.join(".aws").join(name))
}

/// The lines under `[profile]` or `[profile profile]`, the first of each name.
fn section(text: &str, profile: &str) -> Option<Settings> {
    let (mut settings, mut is_ours) = (None, false);
    for line in text.lines().map(str::trim) {
        if line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(header) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            let header = header.trim();
            is_ours = header == profile
                || header.strip_prefix("profile ").is_some_and(|name| name.trim() == profile);
            if is_ours {
                settings.get_or_insert_with(Settings::new);
            }
        } else if let (true, Some((name, value))) = (is_ours, line.split_once('=')) {
            let (name, value) = (name.trim().to_ascii_lowercase(), value.trim().to_owned());
            settings.get_or_insert_default().entry(name).or_insert(value);
        }
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
        aws_access_key_id = nobody's\n\
        [default]\n\
        # aws_access_key_id = not this one\n\
        ; nor = this\n\
        AWS_Access_Key_Id=key\r\n\
        aws_session_token = with=padding==\n\
        aws_session_token = second\n\
        a line without an equals sign\n\
        \n\
        [ profile work ]\n\
        region = eu-b-1\n\
        [empty]\n";

    #[test]
    fn a_section_is_found_by_its_name_with_and_without_the_word_profile() {
        let default = section(TEXT, "default").unwrap();
        assert_eq!(default["aws_access_key_id"], "key");
        assert_eq!(default["aws_session_token"], "with=padding==");
        assert_eq!(default.len(), 2);
        assert_eq!(section(TEXT, "work").unwrap()["region"], "eu-b-1");
        assert_eq!(section(TEXT, "empty").unwrap().len(), 0);
        assert_eq!(section(TEXT, "other"), None);
    }

    #[test]
    fn what_is_no_file_of_profiles_is_an_error() {
        for path in ["/", "/dev/null", "/no/such/file"] {
            assert!(read(Path::new(path), "default").is_err(), "{path}");
        }
    }
}
