//! An answer that makes no sense.

use std::borrow::Cow;
use std::fmt;

/// An answer that makes no sense. Its text never holds a part of the answer, which may be secret.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed {
    what: Cow<'static, str>,
    is_cut: bool,
}

impl Malformed {
    pub(crate) fn new(what: &'static str) -> Self {
        Self { what: what.into(), is_cut: false }
    }

    /// The same with our own reason, if there is one, instead of serde's, which may quote the answer.
    pub(crate) fn with_reason(mut self, reason: Option<&'static str>) -> Self {
        if let Some(reason) = reason {
            let (_, place) = self.what.split_once(", ").unwrap_or_default();
            self.what = format!("{reason}, {place}").into();
        }
        self
    }

    /// The same, of a kind of answer that asking for less does not shorten.
    pub(crate) fn uncut(self) -> Self {
        Self { is_cut: false, ..self }
    }

    /// Whether the answer made sense until it ended. A gateway that cuts large bodies may set
    /// `Content-Length` accordingly, so that only this tells.
    pub(crate) fn is_cut(&self) -> bool {
        self.is_cut
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl From<serde_json::Error> for Malformed {
    fn from(error: serde_json::Error) -> Self {
        use serde_json::error::Category;
        // The error's own text may quote the answer.
        let what = match error.classify() {
            Category::Eof => "JSON that ends too early",
            Category::Data => "JSON of another form",
            Category::Syntax | Category::Io => "no JSON",
        };
        let (line, column) = (error.line(), error.column());
        Self {
            what: format!("{what}, at line {line}, column {column}").into(),
            // An empty answer was not too large.
            is_cut: error.is_eof() && (line, column) > (1, 0),
        }
    }
}
