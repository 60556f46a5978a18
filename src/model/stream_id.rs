//! Which stream is read: its name, or its ARN.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Amazon's limit for a name.
const MAX_NAME: usize = 128;
/// No partition or region has a longer name.
const MAX_WORD: usize = 32;
/// No ARN of a stream is longer, with a name and words as long as they may be.
const MAX_ARN: usize = 250;
/// Longer text is cut in errors.
const SHOWN: usize = 140;
/// The form of an ARN, for errors.
const FORM: &str = "arn:aws:kinesis:REGION:ACCOUNT:stream/NAME";

/// A stream by its name, or by its ARN, as [`Stream::new`](crate::Stream::new) takes it.
///
/// A name is 1 to 128 letters, digits, `_`, `.` and `-`. An ARN names the region and the account too, so that it may
/// be a stream of another account. A clone is cheap.
///
/// ```
/// use kinesis_consumer::StreamId;
///
/// let id: StreamId = "arn:aws:kinesis:eu-west-1:123456789012:stream/orders".parse()?;
/// assert_eq!((id.name(), id.region(), id.account()), ("orders", Some("eu-west-1"), Some("123456789012")));
///
/// let id: StreamId = "orders".parse()?;
/// assert_eq!((id.name(), id.region()), ("orders", None));
/// # Ok::<(), kinesis_consumer::InvalidStreamId>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct StreamId(Arc<str>);

/// Text that is neither the name nor the ARN of a stream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {wanted}: {reason}")]
pub struct InvalidStreamId {
    text: String,
    wanted: &'static str,
    reason: String,
}

impl StreamId {
    /// Takes a name or an ARN.
    ///
    /// # Errors
    /// [`InvalidStreamId`], whose text says what is wrong.
    pub fn new(text: &str) -> Result<Self, InvalidStreamId> {
        let (wanted, checked) = match arn_in(text) {
            Some(arn) => ("the ARN of a stream", check_arn(arn)),
            None => ("a stream name", check_name(text)),
        };
        match checked {
            Ok(()) => Ok(Self(text.into())),
            Err(reason) => {
                let text = text.chars().take(SHOWN).collect();
                Err(InvalidStreamId { text, wanted, reason })
            }
        }
    }

    /// The text, as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of the stream, also of one that was given by its ARN.
    pub fn name(&self) -> &str {
        name_in(&self.0)
    }

    /// Whether it was given by its ARN.
    pub fn is_arn(&self) -> bool {
        arn_in(&self.0).is_some()
    }

    /// The partition in the ARN, such as `aws` or `aws-cn`; `None` if only a name was given.
    pub fn partition(&self) -> Option<&str> {
        self.part(1)
    }

    /// The region in the ARN; `None` if only a name was given.
    pub fn region(&self) -> Option<&str> {
        self.part(3)
    }

    /// The account in the ARN, twelve digits; `None` if only a name was given.
    pub fn account(&self) -> Option<&str> {
        self.part(4)
    }

    /// The same text, shared.
    pub(crate) fn shared(&self) -> &Arc<str> {
        &self.0
    }

    fn part(&self, number: usize) -> Option<&str> {
        arn_in(&self.0)?.split(':').nth(number)
    }
}

impl FromStr for StreamId {
    type Err = InvalidStreamId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// The name in what a [`StreamId`] holds.
pub(crate) fn name_in(stream: &str) -> &str {
    let parted = arn_in(stream).and_then(|arn| arn.rsplit_once('/'));
    parted.map_or(stream, |(_, name)| name)
}

/// What a [`StreamId`] holds, if it is an ARN: a name has no colon.
pub(crate) fn arn_in(stream: &str) -> Option<&str> {
    stream.starts_with("arn:").then_some(stream)
}

fn check_name(name: &str) -> Result<(), String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    if (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(allowed) {
        return Ok(());
    }
    Err(format!("use 1 to {MAX_NAME} letters, digits, or `_`, `.` and `-`; or an ARN, {FORM}"))
}

/// As Amazon's API reference has it: `arn:aws.*:kinesis:.*:\d{12}:stream/\S+`.
// long: one text for each part.
fn check_arn(arn: &str) -> Result<(), String> {
    if arn.len() > MAX_ARN {
        return Err(format!("it has more than {MAX_ARN} characters"));
    }
    let parts: Vec<_> = arn.splitn(6, ':').collect();
    let [_, partition, service, region, account, resource] = parts[..] else {
        return Err(format!("it has {} of the six parts of {FORM}", parts.len()));
    };
    if service != "kinesis" {
        return Err(format!("it is of the service {service:?}, not of \"kinesis\""));
    }
    let is_word = |text: &str| {
        (1..=MAX_WORD).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    if !partition.starts_with("aws") || !is_word(partition) {
        return Err(format!(
            "its partition, {partition:?}, is not aws, aws-cn or another of Amazon's"
        ));
    }
    if !is_word(region) {
        return Err(format!("its region, {region:?}, is not a region such as eu-west-1"));
    }
    if account.len() != 12 || !account.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("its account, {account:?}, is not twelve digits"));
    }
    let Some(name) = resource.strip_prefix("stream/") else {
        return Err(format!("it ends in {resource:?}, not in \"stream/NAME\""));
    };
    if let Some((stream, _)) = name.split_once("/consumer/") {
        return Err(format!(
            "it is the ARN of a consumer: use that of its stream, up to \"stream/{stream}\""
        ));
    }
    check_name(name).map_err(|_| format!("{name:?} is not the name of a stream"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_only_a_name() {
        for name in ["orders", "a", "A_b.c-9", &"x".repeat(128), "arn", "arn.aws"] {
            let id = StreamId::new(name).unwrap();
            assert_eq!((id.as_str(), id.name(), id.is_arn()), (name, name, false));
            assert_eq!((id.partition(), id.region(), id.account()), (None, None, None));
        }
    }

    #[test]
    fn an_arn_comes_apart_into_its_parts() {
        for (partition, region) in
            [("aws", "eu-west-1"), ("aws-cn", "cn-north-1"), ("aws-us-gov", "us-gov-west-1")]
        {
            let arn = format!("arn:{partition}:kinesis:{region}:123456789012:stream/or.ders");
            let id: StreamId = arn.parse().unwrap();
            assert_eq!((id.as_str(), id.to_string()), (arn.as_str(), arn.clone()));
            assert_eq!((id.name(), id.is_arn()), ("or.ders", true));
            assert_eq!((id.partition(), id.region()), (Some(partition), Some(region)));
            assert_eq!(id.account(), Some("123456789012"));
        }
    }

    #[test]
    fn the_longest_arn_is_one() {
        let (word, name) = ("a".repeat(29), "n".repeat(128));
        let arn = format!("arn:aws{word}:kinesis:{word}aaa:123456789012:stream/{name}");
        assert_eq!(StreamId::new(&arn).unwrap().name(), name);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, reason) in [
            ("", "is not a stream name: use 1 to 128"),
            ("or ders", "is not a stream name: use 1 to 128"),
            (" arn:aws:kinesis:eu-west-1:123456789012:stream/orders", "is not a stream name"),
            ("orders/consumer/x", "is not a stream name"),
            (&"x".repeat(129), "is not a stream name"),
            ("arn:", "it has 2 of the six parts"),
            ("arn:aws:kinesis:eu-west-1:123456789012", "it has 5 of the six parts"),
            ("arn:aws:s3:::x", "it is of the service \"s3\""),
            ("arn:aws:sqs:eu-west-1:123456789012:stream/orders", "it is of the service \"sqs\""),
            ("arn::kinesis:eu-west-1:123456789012:stream/orders", "its partition, \"\""),
            ("arn:gcp:kinesis:eu-west-1:123456789012:stream/orders", "its partition, \"gcp\""),
            ("arn:aws:kinesis::123456789012:stream/orders", "its region, \"\""),
            (&format!("arn:aws:kinesis:{}:123456789012:stream/a", "x".repeat(33)), "its region, "),
            ("arn:aws:kinesis:*:123456789012:stream/orders", "its region, \"*\""),
            ("arn:aws:kinesis:eu-west-1::stream/orders", "its account, \"\""),
            ("arn:aws:kinesis:eu-west-1:12345678901:stream/orders", "is not twelve digits"),
            ("arn:aws:kinesis:eu-west-1:12345678901x:stream/orders", "is not twelve digits"),
            ("arn:aws:kinesis:eu-west-1:123456789012:orders", "ends in \"orders\""),
            ("arn:aws:kinesis:eu-west-1:123456789012:stream:orders", "ends in \"stream:orders\""),
            ("arn:aws:kinesis:eu-west-1:123456789012:stream/", "\"\" is not the name"),
            ("arn:aws:kinesis:eu-west-1:123456789012:stream/a/b", "\"a/b\" is not the name"),
            ("arn:aws:kinesis:eu-west-1:123456789012:stream/o:1", "\"o:1\" is not the name"),
            (
                "arn:aws:kinesis:eu-west-1:123456789012:stream/orders/consumer/app:1522",
                "the ARN of a consumer: use that of its stream, up to \"stream/orders\"",
            ),
        ] {
            let error = StreamId::new(text).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn a_long_text_is_cut_and_lines_are_escaped() {
        for text in ["a\n".repeat(10_000), format!("arn:aws:{}:::", "a\n".repeat(10_000))] {
            let error = StreamId::new(&text).unwrap_err().to_string();
            assert!(error.len() < 500 && !error.contains('\n'), "{error}");
        }
    }
}
