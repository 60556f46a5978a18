//! Why there are no credentials.

/// A reason, and whether somebody must change a setting before there can be any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unavailable {
    pub(super) reason: String,
    pub(super) is_final: bool,
}

impl Unavailable {
    /// Who gives them may be back in a moment.
    pub(super) fn for_now(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), is_final: false }
    }

    /// What is set up cannot be used, whenever it is asked.
    pub(super) fn for_good(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), is_final: true }
    }

    /// The same, of this source.
    pub(super) fn of(mut self, source: &str) -> Self {
        self.reason = format!("{source}: {}", self.reason);
        self
    }
}
