//! The requests of the four calls, as JSON.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::model::position::IteratorType;
use crate::model::stream_id::arn_in;

/// What a call about a stream names it by; alone, it is the request of `DescribeStreamSummary` and `ListShards`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) enum Subject<'a> {
    #[serde(rename = "StreamName")]
    Name(&'a str),
    /// Without a name, which would be looked up in the account of the credentials.
    #[serde(rename = "StreamARN")]
    Arn(&'a str),
    /// The next page of a listing. It goes alone: the API reference forbids `StreamName` beside it, "because the latter
    /// unambiguously identifies the stream", and of `StreamARN` it says nothing; but the service refuses that too, with
    /// "NextToken and StreamARN cannot be provided together" (issue 9635 of aws/aws-cli, pull request 482 of
    /// awslabs/amazon-kinesis-producer).
    #[serde(rename = "NextToken")]
    Page(&'a str),
}

/// The request of `GetShardIterator`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct IteratorInput<'a> {
    #[serde(flatten)]
    stream: Subject<'a>,
    shard_id: &'a str,
    shard_iterator_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    starting_sequence_number: Option<&'a str>,
    /// Seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<f64>,
}

/// The request of `GetRecords`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RecordsInput<'a> {
    pub(super) limit: u32,
    pub(super) shard_iterator: &'a str,
    /// The iterator names the stream already. The policy of another account's stream is found by its ARN.
    #[serde(flatten)]
    pub(super) stream: Option<Subject<'a>>,
}

impl<'a> Subject<'a> {
    /// The stream, by what the user gave.
    pub(super) fn of(stream: &'a str) -> Self {
        Self::arn(stream).unwrap_or(Self::Name(stream))
    }

    /// The stream, if the user gave its ARN.
    pub(super) fn arn(stream: &'a str) -> Option<Self> {
        arn_in(stream).map(Self::Arn)
    }

    /// A page of the listing of a stream.
    pub(super) fn page(stream: &'a str, token: Option<&'a str>) -> Self {
        token.map_or_else(|| Self::of(stream), Self::Page)
    }
}

impl<'a> IteratorInput<'a> {
    pub(super) fn new(stream: &'a str, shard: &'a str, at: &'a IteratorType) -> Self {
        use IteratorType::{
            AfterSequenceNumber, AtSequenceNumber, AtTimestamp, Latest, TrimHorizon,
        };
        let (kind, number, time) = match at {
            AtSequenceNumber(number) => ("AT_SEQUENCE_NUMBER", Some(number), None),
            AfterSequenceNumber(number) => ("AFTER_SEQUENCE_NUMBER", Some(number), None),
            AtTimestamp(time) => ("AT_TIMESTAMP", None, Some(seconds(*time))),
            TrimHorizon => ("TRIM_HORIZON", None, None),
            Latest => ("LATEST", None, None),
        };
        Self {
            stream: Subject::of(stream),
            shard_id: shard,
            shard_iterator_type: kind,
            starting_sequence_number: number.map(|number| number.as_str()),
            timestamp: time,
        }
    }
}

/// Seconds since 1970 in whole milliseconds, as the service counts; earlier times are 1970, before
/// which there is no record.
fn seconds(time: SystemTime) -> f64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_millis() as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rusoto_kinesis as rusoto;
    use serde_json::{Value, json, to_value};

    use super::*;

    const ARN: &str = "arn:aws:kinesis:eu-west-1:123456789012:stream/orders";

    /// One of each type, as we write it and as rusoto does.
    fn iterators(stream: &str) -> Vec<(Value, Value)> {
        let number = || "42".parse().unwrap();
        let time = UNIX_EPOCH + Duration::from_nanos(1_700_000_000_123_999_999);
        let types = [
            (IteratorType::AtSequenceNumber(number()), "AT_SEQUENCE_NUMBER", Some("42"), None),
            (
                IteratorType::AfterSequenceNumber(number()),
                "AFTER_SEQUENCE_NUMBER",
                Some("42"),
                None,
            ),
            (IteratorType::TrimHorizon, "TRIM_HORIZON", None, None),
            (IteratorType::Latest, "LATEST", None, None),
            (IteratorType::AtTimestamp(time), "AT_TIMESTAMP", None, Some(1_700_000_000.123)),
            (
                IteratorType::AtTimestamp(UNIX_EPOCH - Duration::from_secs(1)),
                "AT_TIMESTAMP",
                None,
                Some(0.0),
            ),
        ];
        let both = types.map(|(at, kind, number, timestamp)| {
            let theirs = rusoto::GetShardIteratorInput {
                stream_name: stream.to_owned(),
                shard_id: "shard".to_owned(),
                shard_iterator_type: kind.to_owned(),
                starting_sequence_number: number.map(str::to_owned),
                timestamp,
            };
            let ours = IteratorInput::new(stream, "shard", &at);
            (to_value(ours).unwrap(), to_value(theirs).unwrap())
        });
        both.into()
    }

    #[test]
    fn a_stream_by_its_name_is_asked_for_as_rusoto_asks() {
        for (ours, theirs) in iterators("orders") {
            assert_eq!(ours, theirs);
        }
        let theirs = rusoto::DescribeStreamSummaryInput { stream_name: "orders".into() };
        assert_eq!(to_value(Subject::of("orders")).unwrap(), to_value(theirs).unwrap());
        let none = rusoto::ListShardsInput::default;
        let first = rusoto::ListShardsInput { stream_name: Some("orders".into()), ..none() };
        let ours = to_value(Subject::page("orders", None)).unwrap();
        assert_eq!(ours, to_value(first).unwrap());
        let next = rusoto::ListShardsInput { next_token: Some("more\"".into()), ..none() };
        let ours = to_value(Subject::page("orders", Some("more\""))).unwrap();
        assert_eq!(ours, to_value(next).unwrap());
        let ours =
            RecordsInput { limit: 7, shard_iterator: "token", stream: Subject::arn("orders") };
        let theirs = rusoto::GetRecordsInput { limit: Some(7), shard_iterator: "token".into() };
        assert_eq!(to_value(ours).unwrap(), to_value(theirs).unwrap());
    }

    #[test]
    fn a_stream_by_its_arn_is_asked_for_by_that_alone() {
        for (ours, mut theirs) in iterators("orders") {
            let by_arn = iterators(ARN).into_iter().map(|(ours, _)| ours);
            let members = theirs.as_object_mut().unwrap();
            members.remove("StreamName");
            members.insert("StreamARN".into(), ARN.into());
            assert!(by_arn.into_iter().any(|it| it == theirs), "{ours}");
        }
        assert_eq!(to_value(Subject::of(ARN)).unwrap(), json!({"StreamARN": ARN}));
        let next = Subject::page(ARN, Some("more"));
        assert_eq!(to_value(next).unwrap(), json!({"NextToken": "more"}));
        let ours = RecordsInput { limit: 7, shard_iterator: "token", stream: Subject::arn(ARN) };
        let wanted = json!({"Limit": 7, "ShardIterator": "token", "StreamARN": ARN});
        assert_eq!(to_value(ours).unwrap(), wanted);
    }
}
