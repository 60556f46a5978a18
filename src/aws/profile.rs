//! Profiles: sections of the two files that Amazon's tools share.

use std::collections::HashMap;
use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::aws::environment::{self, Lookup};
use crate::aws::ini;
use crate::aws::repeats;

/// The settings of one profile, by their names in lower case. An empty one counts as not set.
pub(crate) type Settings = HashMap<String, String>;

const CONFIG: &str = "AWS_CONFIG_FILE";
/// Amazon's oldest tools use the second name.
const PROFILE: [&str; 2] = ["AWS_PROFILE", "AWS_DEFAULT_PROFILE"];
const CREDENTIALS: &str = "AWS_SHARED_CREDENTIALS_FILE";

/// The chosen profile in both files.
pub(crate) struct Profile {
    pub(crate) name: String,
    /// `AWS_PROFILE` names it.
    pub(crate) is_chosen: bool,
    pub(crate) config: Section,
    pub(crate) credentials: Section,
}

/// A profile in one file.
pub(crate) struct Section {
    /// `None` if no home directory is known.
    path: Option<PathBuf>,
    /// A variable names the file.
    is_chosen: bool,
    said: Said,
}

/// What a file says of a profile. It has no `Debug`, which would show keys.
#[derive(PartialEq, Eq)]
pub(crate) enum Said {
    NoFile,
    Unreadable(String),
    /// It is there, and is no file of profiles.
    Broken(String),
    NoProfile,
    Settings(Settings),
}

/// The name of the chosen profile.
pub(crate) fn name(lookup: Lookup<'_>) -> String {
    environment::first(lookup, &PROFILE).unwrap_or_else(|| "default".to_owned())
}

/// The file of settings; `None` if no home directory is known.
pub(crate) fn config_file(lookup: Lookup<'_>) -> Option<PathBuf> {
    file(CONFIG, "config", lookup)
}

/// Both files, the one of keys first; none if no home directory is known.
pub(crate) fn files(lookup: Lookup<'_>) -> impl Iterator<Item = PathBuf> {
    [file(CREDENTIALS, "credentials", lookup), config_file(lookup)].into_iter().flatten()
}

/// The setting of this name for the chosen profile; the file of keys counts first.
pub(crate) fn setting(lookup: Lookup<'_>, setting: &str) -> Option<String> {
    let name = name(lookup);
    files(lookup).find_map(|path| {
        let Said::Settings(mut settings) = read(&path, &name) else { return None };
        settings.remove(setting).filter(|value| !value.is_empty())
    })
}

/// The settings below a setting of this section in the file of settings; `None` if there is no such section.
pub(crate) fn nested(lookup: Lookup<'_>, section: &str, setting: &str) -> Option<Settings> {
    let path = config_file(lookup)?;
    let Said::Settings(_) = read(&path, section) else { return None };
    ini::below(&String::from_utf8_lossy(&std::fs::read(path).ok()?), section, setting)
}

/// Reads a profile in a file.
///
/// Read here, since rusoto panics on a file that it cannot open and on a line that it does not
/// expect, and cuts session tokens at their first `=`.
// long: each reason for which a file has no profile.
pub(crate) fn read(path: &Path, profile: &str) -> Said {
    match std::fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Said::NoFile,
        Err(error) => return Said::Unreadable(error.to_string()),
        // The usual way to say that there is no file.
        Ok(_) if path == Path::new("/dev/null") || path == Path::new("NUL") => {
            return Said::NoProfile;
        }
        // Reading a pipe might wait for ever.
        Ok(data) if !data.is_file() => {
            return Said::Broken("it is not a regular file".to_owned());
        }
        Ok(_) => {}
    }
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) => return Said::Unreadable(error.to_string()),
    };
    let Ok(text) = String::from_utf8(bytes) else {
        return Said::Broken("it is not text in UTF-8".to_owned());
    };
    if let Err(why) = ini::check(&text) {
        return Said::Broken(why);
    }
    ini::section(&text, profile).map_or(Said::NoProfile, Said::Settings)
}

fn file(variable: &str, name: &str, lookup: Lookup<'_>) -> Option<PathBuf> {
    if let Some(path) = environment::first(lookup, &[variable]) {
        return Some(path.into());
    }
    Some(home(lookup)?.join(".aws").join(name))
}

/// The home directory.
pub(crate) fn home(lookup: Lookup<'_>) -> Option<PathBuf> {
    let home = if cfg!(windows) { "USERPROFILE" } else { "HOME" };
    environment::first(lookup, &[home]).map(PathBuf::from)
}

/// The section of this name in the file of settings.
pub(crate) fn section(lookup: Lookup<'_>, part: &str) -> Option<Settings> {
    match read(&config_file(lookup)?, part) {
        Said::Settings(settings) => Some(settings),
        _ => None,
    }
}

/// The reason, with the variable that names the file, if one does.
fn whose(is_chosen: bool, variable: &str, why: &str) -> String {
    if is_chosen { format!("{variable}: {why}") } else { why.to_owned() }
}

impl Profile {
    /// Reads the chosen profile in both files.
    ///
    /// # Errors
    /// If a file that a variable names cannot be read, or a file is no file of profiles.
    pub(crate) fn read(lookup: Lookup<'_>) -> Result<Self, String> {
        Self::named(&name(lookup), lookup)
    }

    /// Reads a profile in both files.
    ///
    /// # Errors
    /// If a file that a variable names cannot be read, or a file is no file of profiles.
    pub(crate) fn named(name: &str, lookup: Lookup<'_>) -> Result<Self, String> {
        let section = |variable: &str, usual: &str| {
            let path = file(variable, usual, lookup);
            let said = path.as_deref().map_or(Said::NoFile, |path| read(path, name));
            let is_chosen = environment::first(lookup, &[variable]).is_some();
            let section = Section { path, is_chosen, said };
            section.check().map_err(|why| whose(is_chosen, variable, &why)).map(|()| section)
        };
        Ok(Self {
            config: section(CONFIG, "config")?,
            credentials: section(CREDENTIALS, "credentials")?,
            is_chosen: environment::first(lookup, &PROFILE).is_some(),
            name: name.to_owned(),
        })
    }

    /// Whether either file knows it.
    pub(crate) fn is_known(&self) -> bool {
        [&self.config, &self.credentials].iter().any(|it| matches!(it.said, Said::Settings(_)))
    }

    /// A setting; the file of keys counts first.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.credentials.get(name).or_else(|| self.config.get(name))
    }
}

impl Section {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let Said::Settings(settings) = &self.said else { return None };
        settings.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The path of the file.
    pub(crate) fn place(&self) -> String {
        self.path.as_ref().map(|path| path.display().to_string()).unwrap_or_default()
    }

    /// A file at the usual place may be unreadable without harm: it may belong to another user.
    fn check(&self) -> Result<(), String> {
        match &self.said {
            Said::NoFile | Said::Unreadable(_) if self.is_chosen => Err(self.to_string()),
            // It may hold the keys that are meant.
            Said::Broken(_) => Err(self.to_string()),
            Said::Unreadable(_) => {
                if repeats::is_new(&self.to_string()) {
                    log::warn!("a profile file cannot be read, and is ignored: {self}");
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// The searched place, and the result.
impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(path) = &self.path else { return f.write_str("no home directory is known") };
        write!(f, "{}: ", path.display())?;
        f.write_str(match &self.said {
            Said::NoFile => "no such file",
            Said::Unreadable(why) | Said::Broken(why) => why,
            Said::NoProfile => "no such profile",
            Said::Settings(_) => "no keys",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_of_profiles_is_no_profile() {
        assert!(read(Path::new("/no/such/file"), "default") == Said::NoFile);
        assert!(matches!(read(Path::new("/"), "default"), Said::Broken(_)));
        assert!(read(Path::new("/dev/null"), "default") == Said::NoProfile);
    }

    #[test]
    fn a_file_that_a_variable_names_must_be_there() {
        for path in ["/no/such/file", "/"] {
            for variable in [CONFIG, CREDENTIALS] {
                let lookup = |name: &str| (name == variable).then(|| path.to_owned());
                let error = Profile::read(&lookup).err().unwrap();
                assert!(error.starts_with(&format!("{variable}: {path}: ")), "{error}");
            }
        }
        let none = |name: &str| (name == CONFIG || name == CREDENTIALS).then(|| "/dev/null".into());
        assert!(!Profile::read(&none).unwrap().is_known());
        assert!(!Profile::read(&|name| (name == "HOME").then(|| "/no".into())).unwrap().is_known());
    }
}
