//! The form of profile files.

use crate::aws::profile::Settings;

/// The lines under `[profile]` or `[profile profile]`, the first of each name.
///
/// As Amazon's tools read them: text after ` #` or ` ;` is a comment, and a line that is indented further than the
/// setting above it continues that setting.
// long: a reader of lines: each kind of line is a branch.
pub(crate) fn section(text: &str, profile: &str) -> Option<Settings> {
    let text = text.trim_start_matches('\u{feff}');
    let (mut settings, mut is_ours) = (None, false);
    // How far the last setting of this section is indented.
    let mut indent = None;
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        let blanks = line.len() - line.trim_start().len();
        if indent.is_some_and(|indent| blanks > indent) {
            continue;
        }
        if let Some(header) = trimmed.strip_prefix('[') {
            // A broken header also ends the section: the lines after it belong to no profile.
            let name = header.split_once(']').map(|(name, _)| name.trim());
            is_ours = name.is_some_and(|name| is_of(name, profile));
            indent = None;
            if is_ours {
                settings.get_or_insert_with(Settings::new);
            }
        } else if let Some((name, value)) = trimmed.split_once('=') {
            indent = Some(blanks);
            if is_ours {
                let (name, value) = (name.trim().to_ascii_lowercase(), uncommented(value));
                settings.get_or_insert_default().entry(name).or_insert(value);
            }
        }
    }
    settings
}

/// Whether a header names the profile; a name with blanks is in quotes.
fn is_of(header: &str, profile: &str) -> bool {
    let word = header.strip_prefix("profile").filter(|rest| rest.starts_with([' ', '\t']));
    let name = word.unwrap_or_default().trim();
    let quoted = name.strip_prefix('"').and_then(|name| name.strip_suffix('"'));
    header == profile || word.is_some() && quoted.unwrap_or(name) == profile
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
        assert_eq!((settings["token"].as_str(), settings.len()), ("b", 2));
        assert_eq!(section(text, "next").unwrap()["key"], "d");
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
