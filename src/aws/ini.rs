//! The form of profile files.

use crate::aws::profile::Settings;

/// The settings under `[profile]` or `[profile profile]`. The last of each name counts, and those under `[profile
/// profile]` count before those under `[profile]`.
///
/// As Amazon's tools read them: text after ` #` or ` ;` is a comment, and a line that is indented further than the
/// setting above it continues that setting.
pub(crate) fn section(text: &str, profile: &str) -> Option<Settings> {
    settings(text, profile, true).or_else(|| settings(text, profile, false))
}

/// The settings under headers with, or without, the word `profile`.
fn settings(text: &str, profile: &str, has_word: bool) -> Option<Settings> {
    let (mut settings, mut last) = (Settings::new(), None);
    let is_there = walk(text, profile, has_word, |line| match line {
        Line::Setting(name, value) => {
            settings.insert(name.clone(), uncommented(value));
            last = Some(name);
        }
        Line::Below(line) => {
            if let Some(value) = last.as_ref().and_then(|name| settings.get_mut(name)) {
                *value = format!("{value}\n{}", uncommented(line)).trim().to_owned();
            }
        }
    });
    is_there.then_some(settings)
}

/// Checks that every line of a file can be read.
///
/// # Errors
/// The first line that is neither a header, a setting under a header, nor the rest of one, by its number.
// long: each kind of line is a branch.
pub(crate) fn check(text: &str) -> Result<(), String> {
    let (mut has_header, mut indent) = (false, None);
    for (number, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let trimmed = line.trim();
        let blanks = line.len() - line.trim_start().len();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        let is_rest = indent.is_some_and(|indent| blanks > indent);
        let why = match trimmed.strip_prefix('[') {
            _ if is_rest => continue,
            Some(header) if header.contains(']') => {
                (has_header, indent) = (true, None);
                continue;
            }
            Some(_) => "the header has no ]",
            None if !has_header => "the setting is under no header",
            None if !trimmed.contains('=') => "the setting has no =",
            None => {
                indent = Some(blanks);
                continue;
            }
        };
        return Err(format!("line {}: {why}", number + 1));
    }
    Ok(())
}

/// The lines that continue a setting of a section, as settings; `None` if there is no such section.
pub(crate) fn below(text: &str, profile: &str, setting: &str) -> Option<Settings> {
    let (mut settings, mut is_it) = (Settings::new(), false);
    let is_there = walk(text, profile, false, |line| match line {
        Line::Setting(name, _) => is_it = name == setting,
        Line::Below(line) => {
            if let Some((name, value)) = split(line).filter(|_| is_it) {
                settings.insert(name, uncommented(value));
            }
        }
    });
    is_there.then_some(settings)
}

/// A line of a section.
enum Line<'a> {
    /// A name in lower case, and the text after `=`.
    Setting(String, &'a str),
    /// It continues the last setting.
    Below(&'a str),
}

/// Reads the lines of a section. Whether there is one.
// long: a reader of lines: each kind of line is a branch.
fn walk<'a>(text: &'a str, profile: &str, has_word: bool, mut each: impl FnMut(Line<'a>)) -> bool {
    let text = text.trim_start_matches('\u{feff}');
    let (mut is_there, mut is_ours) = (false, false);
    // How far the last setting of this section is indented.
    let mut indent = None;
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        let blanks = line.len() - line.trim_start().len();
        if indent.is_some_and(|indent| blanks > indent) {
            if is_ours {
                each(Line::Below(trimmed));
            }
            continue;
        }
        if let Some(header) = trimmed.strip_prefix('[') {
            // A broken header also ends the section: the lines after it belong to no profile.
            let name = header.split_once(']').map(|(name, _)| name.trim());
            is_ours = name.is_some_and(|name| is_of(name, profile, has_word));
            indent = None;
            is_there |= is_ours;
        } else if let Some((name, value)) = split(trimmed) {
            indent = Some(blanks);
            if is_ours {
                each(Line::Setting(name, value));
            }
        }
    }
    is_there
}

/// The name in lower case, and the text after `=`.
fn split(line: &str) -> Option<(String, &str)> {
    let (name, value) = line.split_once('=')?;
    Some((name.trim().to_ascii_lowercase(), value))
}

/// Whether a header names the section; a name with blanks is in quotes.
fn is_of(header: &str, section: &str, has_word: bool) -> bool {
    let (word, name) = header.split_once([' ', '\t']).unwrap_or(("", header));
    let quoted = name.trim().strip_prefix('"').and_then(|name| name.strip_suffix('"'));
    let name = quoted.unwrap_or(name.trim());
    match has_word {
        true => word == "profile" && name == section,
        false if word.is_empty() => name == section,
        // Of another kind, such as `sso-session`.
        false => section.split_once(' ').is_some_and(|(kind, of)| (word, name) == (kind, of)),
    }
}

/// A value without the comment after it, which begins after a blank.
fn uncommented(value: &str) -> String {
    let mut before = '=';
    let comment = value.char_indices().find(|(_, it)| {
        let is_comment = matches!(it, '#' | ';') && before.is_whitespace();
        before = *it;
        is_comment
    });
    comment.map_or(value, |(at, _)| &value[..at]).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\u{feff}\
        aws_access_key_id = nobody's\n\
        [default]\n\
        # aws_access_key_id = not this one\n\
        ; nor = this\n\
        AWS_Access_Key_Id=key\r\n\
        aws_session_token = first\n\
        aws_session_token = with=padding==\n\
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
    fn a_comment_behind_a_header_or_a_value_belongs_to_neither() {
        for header in ["[default] ; mine", "[default]# mine", "[ default ]\t;", "[default] [x]"] {
            let settings = section(&format!("{header}\na = b\n"), "default");
            assert_eq!(settings.unwrap_or_else(|| panic!("{header}"))["a"], "b");
        }
        for (value, wanted) in [
            ("key # mine", "key"),
            ("key\t;mine", "key"),
            (" # only", ""),
            ("a#b", "a#b"),
            ("a;b = c ;d", "a;b = c"),
            ("s/e+c#r;et==", "s/e+c#r;et=="),
        ] {
            let settings = section(&format!("[default]\na = {value}\n"), "default").unwrap();
            assert_eq!(settings["a"], wanted, "{value:?}");
        }
    }

    #[test]
    fn a_setting_below_another_is_not_the_profiles() {
        let text =
            "[default]\ns3 =\n  region = wrong\n\n  # so far\n  [not] = a header\nregion = right\n";
        let settings = section(text, "default").unwrap();
        assert_eq!((settings["region"].as_str(), settings.len()), ("right", 2));
        // A whole section may be indented.
        let text = "  [default]\n  key = a\n  token = b\n    sub = c\n[next]\nkey = d\n";
        let settings = section(text, "default").unwrap();
        assert_eq!((settings["token"].as_str(), settings.len()), ("b\nsub = c", 2));
        assert_eq!(section(text, "next").unwrap()["key"], "d");
    }

    #[test]
    fn the_settings_below_a_setting_are_read_alone() {
        let text = "[services mine]\ns3 =\n  kinesis = no\n  endpoint_url = http://s3\n\nkinesis =\n\
                    \n  # so far\n  endpoint_url = 2\n  [x] = y\n  Endpoint_URL = http://k ; mine\n\
                    sts = one line\ndynamodb =\n  region = d\n[services other]\nkinesis =\n  endpoint_url = http://o\n";
        let below = |part: &str, setting: &str| below(text, part, setting);
        let kinesis = below("services mine", "kinesis").unwrap();
        assert_eq!((kinesis["endpoint_url"].as_str(), kinesis.len()), ("http://k", 2), "the last");
        assert_eq!(below("services other", "kinesis").unwrap()["endpoint_url"], "http://o");
        assert_eq!(below("services mine", "sts").unwrap().len(), 0);
        assert_eq!(below("services mine", "dynamodb").unwrap().len(), 1);
        assert_eq!(below("services mine", "firehose").unwrap().len(), 0);
        assert_eq!(below("services third", "kinesis"), None);
    }

    #[test]
    fn a_line_that_continues_a_setting_belongs_to_it() {
        let text =
            "[default]\ncredential_process = get\n    --name x # mine\n  y\nrole_arn =\n  arn:x\n";
        let settings = section(text, "default").unwrap();
        assert_eq!(settings["credential_process"], "get\n--name x\ny");
        assert_eq!(settings["role_arn"], "arn:x");
    }

    #[test]
    fn the_last_setting_counts_and_a_header_with_the_word_profile_before_one_without() {
        let twice = "[default]\na = 1\n[other]\na = 2\n[default]\na = 3\nb = 4\n";
        let settings = section(twice, "default").unwrap();
        assert_eq!((settings["a"].as_str(), settings["b"].as_str()), ("3", "4"));
        for text in [
            "[profile default]\na = 1\n[default]\na = 2\n",
            "[default]\na = 2\n[profile default]\na = 1\n",
        ] {
            assert_eq!(section(text, "default").unwrap()["a"], "1");
        }
        let session = "[sso-session \"my org\"]\na = 1\n[sso-session mine]\na = 2\n";
        assert_eq!(section(session, "sso-session my org").unwrap()["a"], "1");
        assert_eq!(section(session, "sso-session mine").unwrap()["a"], "2");
    }

    #[test]
    fn a_line_that_is_nothing_is_named_by_its_number() {
        let good = "\u{feff}# x\n[a] ; x\nb = c\n  d\n\n ; x\n[ e ]\n s3 =\n   f = g\n";
        assert_eq!(check(good), Ok(()));
        for (text, why) in [
            ("[default\na = b\n", "line 1: the header has no ]"),
            ("\na = b\n[default]\n", "line 2: the setting is under no header"),
            ("[default]\na: b\n", "line 2: the setting has no ="),
            ("[]\0a\0=\n[default]\n[x", "line 3: the header has no ]"),
        ] {
            assert_eq!(check(text).unwrap_err(), why);
        }
    }

    #[test]
    fn other_sections_are_no_profiles() {
        let text = "[sso-session mine]\na = 1\n[profile \"my own\"]\nb = 2\n[services mine]\nc = 3\n\
                    [profilemine]\nd = 4\n";
        assert_eq!(section(text, "mine"), None);
        assert_eq!(section(text, "my own").unwrap().len(), 1);
        // A broken header begins no profile's section.
        assert_eq!(section("[mine]\na = 1\n[broken\nb = 2\n", "mine").unwrap().len(), 1);
    }
}
