//! Why there are no credentials.

use crate::error::client::ErrorClass;

/// A reason, and whether somebody must change a setting before there can be any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unavailable {
    pub(crate) reason: String,
    pub(crate) is_final: bool,
}

impl Unavailable {
    /// Who gives them may be back in a moment.
    pub(crate) fn for_now(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), is_final: false }
    }

    /// What is set up cannot be used, whenever it is asked.
    pub(crate) fn for_good(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), is_final: true }
    }

    /// What it means for a call. Nobody has refused anything: who gives credentials may be out of reach for a while,
    /// and who `has_given` some may give others, whatever stands in its way.
    pub(crate) fn class(&self, has_given: bool) -> ErrorClass {
        if self.is_final && !has_given { ErrorClass::Fatal } else { ErrorClass::Transient }
    }

    /// The same, of this source.
    pub(crate) fn of(mut self, source: &str) -> Self {
        self.reason = format!("{source}: {}", self.reason);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_source_that_never_gave_any_and_never_will_is_fatal() {
        let (now, good) = (Unavailable::for_now("away"), Unavailable::for_good("not spoken"));
        assert_eq!(
            (now.class(false), now.class(true)),
            (ErrorClass::Transient, ErrorClass::Transient)
        );
        assert_eq!(
            (good.class(false), good.class(true)),
            (ErrorClass::Fatal, ErrorClass::Transient)
        );
    }
}
