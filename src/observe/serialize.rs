//! Progress for serde, for example for a health page.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::{Duration, SystemTime};

use serde::ser::{Serialize, SerializeStruct, Serializer};

use crate::model::time;
use crate::observe::fleet::FleetProgress;
use crate::observe::progress::{Progress, ShardProgress};

impl Serialize for Progress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Taken apart, so that no field is forgotten.
        let Self { shards, budget_used, fleet } = self;
        let mut written = serializer.serialize_struct("Progress", 3)?;
        written.serialize_field("shards", shards)?;
        written.serialize_field("budget_used", budget_used)?;
        written.serialize_field("fleet", fleet)?;
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

impl Serialize for FleetProgress {
    // long: one line for each field.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self {
            worker,
            held,
            target,
            workers,
            unowned,
            oldest_beat,
            surveyed,
            calls,
            refused,
            errors,
        } = self;
        let calls: BTreeMap<_, _> =
            calls.iter().map(|(call, count)| (call.label(), count)).collect();
        let mut written = serializer.serialize_struct("FleetProgress", 10)?;
        written.serialize_field("worker", worker)?;
        written.serialize_field("held", held)?;
        written.serialize_field("target", target)?;
        written.serialize_field("workers", workers)?;
        written.serialize_field("unowned", unowned)?;
        written.serialize_field("oldest_beat", &seconds(*oldest_beat))?;
        written.serialize_field("surveyed", &seconds(*surveyed))?;
        written.serialize_field("calls", &calls)?;
        written.serialize_field("refused", refused)?;
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

/// By the label `class` or `kind` of the metrics.
fn by_name<K: Debug>(errors: &BTreeMap<K, u64>) -> BTreeMap<String, u64> {
    errors.iter().map(|(kind, count)| (format!("{kind:?}"), *count)).collect()
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use serde_json::json;

    use super::*;
    use crate::error::client::ErrorClass;
    use crate::error::lease_table::LeaseTableErrorKind;
    use crate::model::lease_call::LeaseCall;
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
        let progress = Progress { shards: vec![shard], budget_used: 32, fleet: None };
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
            "fleet": null,
        });
        assert_eq!(written, expected);
    }

    #[test]
    fn what_is_known_of_a_fleet_is_written_with_seconds_and_names() {
        let fleet = FleetProgress {
            worker: "one".to_owned(),
            held: 2,
            target: 3,
            workers: 4,
            unowned: 1,
            oldest_beat: Some(Duration::from_millis(2_500)),
            surveyed: None,
            calls: BTreeMap::from([(LeaseCall::HandOver, 5), (LeaseCall::Beat, 60)]),
            refused: 7,
            errors: BTreeMap::from([(LeaseTableErrorKind::Throttled, 8)]),
        };
        let expected = json!({
            "worker": "one",
            "held": 2,
            "target": 3,
            "workers": 4,
            "unowned": 1,
            "oldest_beat": 2.5,
            "surveyed": null,
            "calls": {"hand_over": 5, "beat": 60},
            "refused": 7,
            "errors": {"Throttled": 8},
        });
        let progress = Progress { fleet: Some(fleet), ..Progress::default() };
        assert_eq!(serde_json::to_value(&progress).unwrap()["fleet"], expected);
    }
}
