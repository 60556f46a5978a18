//! How a record is written.

use std::io::{self, Write};

use base64_simd::STANDARD;
use chrono::{DateTime, SecondsFormat, Utc};
use clap::ValueEnum;
use kinesis_consumer::Record;
use serde::Serialize;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Raw,
    Json,
    Hex,
}

#[derive(Serialize)]
struct Object<'a> {
    shard: &'a str,
    sequence_number: &'a str,
    partition_key: &'a str,
    /// Left out if it is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    arrival: Option<String>,
    #[serde(flatten)]
    data: Data<'a>,
}

/// Under two names, so that nobody takes the one for the other.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Data<'a> {
    Data(&'a str),
    DataBase64(String),
}

impl Format {
    /// Appends the record, and the newline after it.
    pub(crate) fn write(
        self,
        shard: &str,
        record: Record<'_>,
        to: &mut Vec<u8>,
    ) -> Result<(), io::Error> {
        match self {
            Self::Raw => to.extend_from_slice(record.data()),
            Self::Json => serde_json::to_writer(&mut *to, &Object::new(shard, record))?,
            Self::Hex => write!(to, "{}", hex::encode(record.data()))?,
        }
        to.push(b'\n');
        Ok(())
    }
}

impl<'a> Object<'a> {
    fn new(shard: &'a str, record: Record<'a>) -> Self {
        let arrival = record.approximate_arrival().map(DateTime::<Utc>::from);
        Self {
            shard,
            sequence_number: record.sequence_number(),
            partition_key: record.partition_key(),
            arrival: arrival.map(|it| it.to_rfc3339_opts(SecondsFormat::Millis, true)),
            data: match std::str::from_utf8(record.data()) {
                Ok(text) => Data::Data(text),
                Err(_) => Data::DataBase64(STANDARD.encode_to_string(record.data())),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    use kinesis_consumer::RecordsBuilder;

    fn written(format: Format, data: &[u8]) -> String {
        let mut records = RecordsBuilder::default();
        let arrival = UNIX_EPOCH + Duration::from_millis(1_714_552_200_250);
        records.push(&"49".parse().unwrap(), "a \"key\"", arrival, data);
        let (records, mut written) = (records.build(), Vec::new());
        format.write("shardId-0", records.first().unwrap(), &mut written).unwrap();
        String::from_utf8(written).unwrap()
    }

    #[test]
    fn raw_is_the_data_and_a_newline() {
        assert_eq!(written(Format::Raw, b"one\nespresso"), "one\nespresso\n");
        assert_eq!(written(Format::Raw, b""), "\n");
    }

    #[test]
    fn json_is_a_line_whatever_the_data_holds() {
        let head = "{\"shard\":\"shardId-0\",\"sequence_number\":\"49\",\"partition_key\":\"a \\\"key\\\"\",\
             \"arrival\":\"2024-05-01T08:30:00.250Z\",";
        let line = format!("{head}\"data\":\"caffè\\n\"}}\n");
        assert_eq!(written(Format::Json, "caffè\n".as_bytes()), line);
        let line = format!("{head}\"data_base64\":\"/wA=\"}}\n");
        assert_eq!(written(Format::Json, &[0xff, 0]), line);
    }

    #[test]
    fn hex_is_two_digits_a_byte() {
        assert_eq!(written(Format::Hex, b"\x00\xffA\n"), "00ff410a\n");
    }
}
