//! Progress for serde, for example for a health page.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::ser::{Serialize, SerializeStruct, Serializer};

use crate::error::client::ErrorClass;
use crate::model::time;
use crate::observe::progress::{Progress, ShardProgress};

impl Serialize for Progress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Taken apart, so that no field is forgotten.
        let Self { shards, budget_used } = self;
        let mut written = serializer.serialize_struct("Progress", 2)?;
        written.serialize_field("shards", shards)?;
        written.serialize_field("budget_used", budget_used)?;
        written.end()
    }
}

impl Serialize for ShardProgress {
    // long: one line for each field.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self {
            shard,
            state,
            read,
            stored,
            records,
            bytes,
            left_out,
            answers,
            behind_latest,
            failing,
            answered,
            caught_up,
            committed,
            committed_arrival,
            handler_failures,
            dead_letters,
            errors,
        } = self;
        let mut written = serializer.serialize_struct("ShardProgress", 17)?;
        written.serialize_field("shard", shard)?;
        written.serialize_field("state", state)?;
        written.serialize_field("read", read)?;
        written.serialize_field("stored", stored)?;
        written.serialize_field("records", records)?;
        written.serialize_field("bytes", bytes)?;
        written.serialize_field("left_out", left_out)?;
        written.serialize_field("answers", answers)?;
        written.serialize_field("behind_latest", &seconds(*behind_latest))?;
        written.serialize_field("failing", &seconds(*failing))?;
        written.serialize_field("answered", &seconds(*answered))?;
        written.serialize_field("caught_up", &seconds(*caught_up))?;
        written.serialize_field("committed", &seconds(*committed))?;
        written.serialize_field("committed_arrival", &committed_arrival.map(text))?;
        written.serialize_field("handler_failures", handler_failures)?;
        written.serialize_field("dead_letters", dead_letters)?;
        written.serialize_field("errors", &by_name(errors))?;
        written.end()
    }
}

fn seconds(time: Option<Duration>) -> Option<f64> {
    time.map(|time| time.as_secs_f64())
}

fn text(time: SystemTime) -> String {
    time::text(time)
}

/// By the label `class` of the metrics.
fn by_name(errors: &BTreeMap<ErrorClass, u64>) -> BTreeMap<String, u64> {
    errors.iter().map(|(class, count)| (format!("{class:?}"), *count)).collect()
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use serde_json::json;

    use super::*;
    use crate::model::notice::ShardState;
    use crate::model::position::Position;

    #[test]
    fn progress_is_written_with_seconds_and_names() {
        let mut shard = ShardProgress::new("shardId-000000000000", ShardState::Handling);
        shard.read = Some(Position::after("7".parse().unwrap()));
        shard.records = 7;
        shard.behind_latest = Some(Duration::from_millis(1_500));
        shard.committed_arrival = Some(UNIX_EPOCH + Duration::from_millis(1_714_552_200_250));
        shard.errors.insert(ErrorClass::Throttled, 2);
        let progress = Progress { shards: vec![shard], budget_used: 32 };
        let written = serde_json::to_value(&progress).unwrap();
        let expected = json!({
            "shards": [{
                "shard": "shardId-000000000000",
                "state": "handling",
                "read": "2001.7.18446744073709551615",
                "stored": null,
                "records": 7,
                "bytes": 0,
                "left_out": 0,
                "answers": 0,
                "behind_latest": 1.5,
                "failing": null,
                "answered": null,
                "caught_up": null,
                "committed": null,
                "committed_arrival": "2024-05-01T08:30:00.25Z",
                "handler_failures": 0,
                "dead_letters": 0,
                "errors": {"Throttled": 2},
            }],
            "budget_used": 32,
        });
        assert_eq!(written, expected);
    }
}
