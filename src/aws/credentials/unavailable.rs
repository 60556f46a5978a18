//! Why there are no credentials.

use crate::error::client::ErrorClass;

/// A reason, and whether a person must change a setting first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unavailable {
    pub(crate) reason: String,
    pub(crate) is_final: bool,
}

impl Unavailable {
    /// Their source may be back in a moment.
    pub(crate) fn for_now(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), is_final: false }
    }

    /// The configured source can never be used.
    pub(crate) fn for_good(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), is_final: true }
    }

    /// The class for a call. The service has refused nothing: a source may be unreachable for a while, and a source
    /// that `has_given` credentials may give others later.
    pub(crate) fn class(&self, has_given: bool) -> ErrorClass {
        if self.is_final && !has_given { ErrorClass::Fatal } else { ErrorClass::Transient }
    }

    /// The same, with the name of this source.
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
