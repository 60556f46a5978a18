//! Files that hold tokens. They are only read.

use std::fs::{self, Metadata};
use std::path::Path;

use crate::aws::http::quiet::MAX_BODY;
use crate::aws::repeats;

/// Where a container has its secrets: whoever is in the container may read them.
const MOUNTED: [&str; 2] = ["/var/run/secrets/", "/run/secrets/"];

/// The text of a file.
///
/// # Errors
/// Why it cannot be read, with its path.
pub(crate) fn read(path: &Path) -> Result<String, String> {
    text(path).map_err(|why| format!("{}: {why}", path.display()))
}

/// The one line in a file, which becomes the value of a header.
///
/// # Errors
/// Why the file holds no token, with its path.
pub(crate) fn read_line(path: &Path) -> Result<String, String> {
    let text = read(path)?;
    let line = text.trim_end_matches(['\r', '\n']);
    check(line).map_err(|why| format!("{}: {why}", path.display()))?;
    Ok(line.to_owned())
}

/// Whether a token is one line of plain text. Otherwise the rest would be another header.
pub(crate) fn check(token: &str) -> Result<(), &'static str> {
    let is_plain = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
    match !token.is_empty() && token.bytes().all(is_plain) {
        true => Ok(()),
        false => Err("a token is one line of text, without a line break or a strange character"),
    }
}

fn text(path: &Path) -> Result<String, String> {
    let data = fs::metadata(path).map_err(|error| error.to_string())?;
    // Reading a pipe might wait for ever.
    if !data.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    if data.len() > MAX_BODY as u64 {
        return Err("it is too long for a token".to_owned());
    }
    let is_mounted = MOUNTED.iter().any(|folder| path.starts_with(folder));
    let shown = path.display().to_string();
    if is_open(&data) && !is_mounted && repeats::is_new(&shown) {
        log::warn!("every user of this machine may read the token in {shown}");
    }
    fs::read_to_string(path).map_err(|error| error.to_string())
}

/// Whether every user of the machine may read it.
#[cfg(unix)]
fn is_open(data: &Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    data.permissions().mode() & 0o004 != 0
}

#[cfg(not(unix))]
fn is_open(_: &Metadata) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_one_line_of_a_regular_file() {
        let path = std::env::temp_dir().join(format!("kc-token-{}", std::process::id()));
        let written = |text: &str| {
            fs::write(&path, text).unwrap();
            read_line(&path)
        };
        assert_eq!(written("let me in"), Ok("let me in".to_owned()));
        assert_eq!(written("let.me.in\r\n"), Ok("let.me.in".to_owned()));
        for text in ["", "\n", "hush\r\nx: y", "hush\nhush\n", "hush\u{e9}"] {
            let error = written(text).unwrap_err();
            assert!(error.contains("one line") && !error.contains("hush"), "{error}");
        }
        assert!(written(&"x".repeat(MAX_BODY + 1)).unwrap_err().contains("too long"));
        fs::remove_file(&path).unwrap();
        for (path, why) in [("/no/such/token", "No such file"), ("/", "not a regular file")] {
            let error = read_line(Path::new(path)).unwrap_err();
            assert!(error.starts_with(&format!("{path}: ")) && error.contains(why), "{error}");
        }
    }
}
