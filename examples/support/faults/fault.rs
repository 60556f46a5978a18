//! The faults of a call.

use std::time::Duration;

/// One way in which a call goes wrong, or an answer differs from what the server said.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fault {
    /// The server is away for this long: nobody listens, and every connection is closed.
    Refused(Duration),
    /// The connection is reset before an answer.
    Reset,
    /// The connection is reset in the middle of the body.
    ResetInBody,
    /// The connection is closed before an answer.
    Closed,
    /// The connection is closed after the answer without notice.
    ClosedAfter,
    /// Nothing comes, and the connection stays.
    NoAnswer,
    /// Nothing comes after the middle of the body.
    Stalled,
    /// The answer comes in pieces of `bytes`, with this pause after each.
    Dripped { bytes: usize, every: Duration },
    /// The connection is closed in the middle of the body.
    Truncated,
    /// `Content-Length` is larger than the body, and the connection stays.
    LengthTooLong,
    /// `Content-Length` is half of the body, all of which is sent.
    LengthTooShort,
    /// A gateway lets this much of a body through, and sets `Content-Length` accordingly.
    CutTo(usize),
    /// Half of the body holds bytes that no JSON may hold.
    Malformed,
    /// A gateway answers a page with status 200.
    Html,
    /// A header of the answer holds bytes that are not ASCII.
    ForeignHeader,
    /// The service refuses: with JSON if there is a code, else with a page for people.
    Error { status: u16, code: Option<&'static str> },
    /// An answer without records though there are some, which is normal.
    Empty,
    /// The last answer of a shard names its children, as Amazon's does.
    ChildShards,
    /// The last records of a closed shard come with its end, not before it.
    EndsWithRecords,
    /// Listings come in pages of this many shards.
    Paged(usize),
}

impl Fault {
    /// The service refuses with status 400 and this code.
    pub(crate) const fn refusal(code: &'static str) -> Self {
        Self::Error { status: 400, code: Some(code) }
    }

    /// One of each kind that breaks a connection or the bytes of an answer, for a client whose
    /// deadline is `deadline`.
    pub(crate) fn transport(deadline: Duration) -> Vec<Self> {
        let every = deadline / 10;
        vec![
            Self::Refused(deadline / 4),
            Self::Reset,
            Self::ResetInBody,
            Self::Closed,
            Self::ClosedAfter,
            Self::NoAnswer,
            Self::Stalled,
            Self::Dripped { bytes: 20, every },
            Self::Truncated,
            Self::LengthTooLong,
            Self::LengthTooShort,
            Self::CutTo(2_000),
            Self::Malformed,
            Self::Html,
            Self::ForeignHeader,
        ]
    }

    /// One of each kind of answer that a consumer must survive, as the service gives it.
    pub(crate) fn answers() -> Vec<Self> {
        let mut all = vec![Self::Empty, Self::Error { status: 503, code: None }];
        all.extend(
            [(500, "InternalFailure"), (503, "ServiceUnavailable")]
                .map(|(status, code)| Self::Error { status, code: Some(code) }),
        );
        all.extend(
            [
                "ProvisionedThroughputExceededException",
                "LimitExceededException",
                "KMSThrottlingException",
                "ExpiredIteratorException",
            ]
            .map(Self::refusal),
        );
        all
    }

    /// Its name in the counts.
    pub(crate) fn name(&self) -> String {
        let name = match self {
            Self::Refused(_) => "connection refused",
            Self::Reset => "reset",
            Self::ResetInBody => "reset in mid-body",
            Self::Closed => "closed without an answer",
            Self::ClosedAfter => "closed after the answer",
            Self::NoAnswer => "no answer",
            Self::Stalled => "stall in mid-body",
            Self::Dripped { .. } => "slow drip",
            Self::Truncated => "truncated body",
            Self::LengthTooLong => "Content-Length too long",
            Self::LengthTooShort => "Content-Length too short",
            Self::CutTo(_) => "body cut by a gateway",
            Self::Malformed => "malformed JSON",
            Self::Html => "HTML",
            Self::ForeignHeader => "non-ASCII header",
            Self::Error { code: Some(code), .. } => code,
            Self::Error { status, code: None } => return format!("{status} without JSON"),
            Self::Empty => "empty answer",
            Self::ChildShards => "ChildShards",
            Self::EndsWithRecords => "null iterator with records",
            Self::Paged(_) => "paged listing",
        };
        name.into()
    }

    /// Whether it only changes what the server said, so that another fault may come on top.
    pub(super) fn is_rewrite(&self) -> bool {
        matches!(self, Self::ChildShards | Self::EndsWithRecords | Self::Paged(_))
    }
}
