//! The words of a command line.

/// Splits as this system's shell does; `None` if a quote is not closed.
pub(crate) fn split(command: &str) -> Option<Vec<String>> {
    if cfg!(windows) { split_windows(command) } else { shlex::split(command) }
}

/// Splits as programs for Windows do: a backslash is a character of a path, except before a quote.
fn split_windows(command: &str) -> Option<Vec<String>> {
    let (mut words, mut word, mut is_quoted) = (Vec::new(), None::<String>, false);
    let mut rest = command.chars().peekable();
    while let Some(it) = rest.next() {
        match it {
            '"' => {
                word.get_or_insert_default();
                is_quoted = !is_quoted;
            }
            '\\' if rest.peek() == Some(&'"') => {
                word.get_or_insert_default().extend(rest.next());
            }
            it if it.is_whitespace() && !is_quoted => words.extend(word.take()),
            it => word.get_or_insert_default().push(it),
        }
    }
    words.extend(word);
    (!is_quoted).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_windows_keeps_its_backslashes() {
        for (command, wanted) in [
            (r"C:\tools\get.exe --profile x", vec![r"C:\tools\get.exe", "--profile", "x"]),
            (r#""C:\Program Files\get.exe" a"#, vec![r"C:\Program Files\get.exe", "a"]),
            (r#"get --name "" "a b"c"#, vec!["get", "--name", "", "a bc"]),
            (r#"get say\"hi\""#, vec!["get", r#"say"hi""#]),
            (r"\\server\share\get.exe", vec![r"\\server\share\get.exe"]),
            ("  ", vec![]),
        ] {
            assert_eq!(split_windows(command).unwrap(), wanted, "{command}");
        }
        assert_eq!(split_windows(r#"get "unfinished"#), None);
    }

    #[cfg(unix)]
    #[test]
    fn elsewhere_a_shell_says_where_words_end() {
        assert_eq!(split("get 'a b' c\\ d").unwrap(), ["get", "a b", "c d"]);
        assert_eq!(split("get 'unfinished"), None);
    }
}
