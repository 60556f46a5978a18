//! Text from outside, made safe for an error and a log.

use std::error::Error;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};

use crate::error::chain::Chain;

/// What a form or a query holds otherwise than it is: all but letters, digits, `-`, `.`, `_` and `~`.
pub(crate) const RESERVED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Longer text is cut.
const MAX: usize = 300;

/// At most the first 300 characters, in one line: a line break could forge a line of the log.
pub(crate) fn cut(text: &str) -> String {
    let plain: String = text.chars().map(|it| if it.is_control() { ' ' } else { it }).collect();
    let text = plain.trim();
    match text.char_indices().nth(MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The text of an error and its sources.
pub(crate) fn with_sources(error: &(dyn Error + 'static)) -> String {
    cut(&Chain(error).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::client::{ClientError, ErrorClass};

    #[test]
    fn long_text_is_cut_between_characters() {
        assert_eq!(cut(" short "), "short");
        assert_eq!(cut("no\nERROR \u{1b}[31mforged\r\n"), "no ERROR  [31mforged");
        assert_eq!(cut(&"é".repeat(1_000)).chars().count(), MAX + 1);
    }

    #[test]
    fn the_sources_are_said_after_the_error() {
        let error = ClientError::new(ErrorClass::Transient, "GetRecords", "lost");
        let error = error.with_source(std::io::Error::other("no route"));
        assert_eq!(with_sources(&error), "GetRecords failed: lost: no route");
    }
}
