//! Rows as they are found in tables of KCL: what is not ours stays as it is.

use serde_json::Value;

use super::super::checkpoint::{NumberUnknown, Start};
use super::super::names;
use super::super::row::{Misread, Other};
use super::super::writes::AtEnd;
use super::json::{item, to_json};
use super::*;
use crate::model::position::Position;

macro_rules! golden {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../../../../../tests/golden/leases/", $name, ".json")))),*]
    };
}

/// Leases of one stream.
const LEASES: [(&str, &str); 18] = golden![
    "G01",
    "G01-typed",
    "G02",
    "G03",
    "G04",
    "G05",
    "G06",
    "G07",
    "G08",
    "G09",
    "G10",
    "G10-state",
    "G10-created",
    "G11",
    "G12",
    "G13-latest",
    "G13-at-timestamp",
    "G13-1x",
];

/// What is no lease.
const OTHERS: [(&str, &str); 7] =
    golden!["N1", "N1-own-table", "N2", "N2-metrics", "N3", "N4", "N5"];

const SEVERAL: [(&str, &str); 1] = golden!["G14"];

const NUMBER: &str = "49680607622405051426916627138813915973776273771891523586";

/// What our writes may change.
const WRITTEN: [&str; 14] = [
    "leaseOwner",
    "checkpointOwner",
    "leaseCounter",
    "ownerSwitchesSinceCheckpoint",
    "checkpoint",
    "checkpointSubSequenceNumber",
    "pendingCheckpoint",
    "pendingCheckpointSubSequenceNumber",
    "pendingCheckpointState",
    "kcHolder",
    "kcFrom",
    "kcFailover",
    "kcStream",
    "kcFormat",
];

fn found(name: &str) -> Item {
    let all = LEASES.iter().chain(&OTHERS).chain(&SEVERAL);
    item(all.clone().find(|(it, _)| *it == name).unwrap().1)
}

/// What is left of a row without what our writes may change.
fn foreign(item: &Item) -> Value {
    let kept = item.iter().filter(|(name, _)| !WRITTEN.contains(&name.as_str()));
    to_json(&kept.map(|(name, value)| (name.clone(), value.clone())).collect())
}

#[test]
fn rows_come_back_from_json_as_they_are_written_there() {
    for (name, text) in LEASES.iter().chain(&OTHERS).chain(&SEVERAL) {
        let value: Value = serde_json::from_str(text).unwrap();
        assert_eq!(to_json(&item(text)), value, "{name}");
    }
}

#[test]
fn a_row_of_kcl_is_taken_committed_and_released_and_keeps_what_is_not_ours() {
    for (name, text) in LEASES {
        let (table, before) = (MemoryLeases::new(), item(text));
        table.put(before.clone());
        let seen = lease(&before);
        let me = Tenure { shard: key(&before).into(), ..tenure("me", 1) };
        let taken = done(&table, &me.take(&seen, &marks()));
        assert!(me.holds(&taken) && taken.checkpoint == seen.checkpoint, "{name}");
        done(&table, &me.beat());
        let position = Position::After { sequence: "99".parse().unwrap(), sub: 0 };
        let to = Checkpoint::of(&position, &taken.checkpoint);
        let committed = done(&table, &me.commit(&taken.checkpoint, &to));
        assert_eq!(committed.counter, seen.counter + 3, "{name}");
        done(&table, &me.release());

        let after = table.get(key(&before)).unwrap().unwrap();
        assert_eq!(foreign(&after), foreign(&before), "{name}");
        let text = |attribute: &str| to_json(&after)[attribute].clone();
        let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        let counter = format!(r#"{{"N": "{}"}}"#, seen.counter + 4);
        for (attribute, value) in [
            ("leaseOwner", "null"),
            ("checkpointOwner", "null"),
            ("leaseCounter", counter.as_str()),
            ("ownerSwitchesSinceCheckpoint", r#"{"N": "0"}"#),
            ("checkpoint", r#"{"S": "99"}"#),
            ("checkpointSubSequenceNumber", r#"{"N": "0"}"#),
            ("pendingCheckpoint", "null"),
            ("pendingCheckpointSubSequenceNumber", "null"),
            ("pendingCheckpointState", "null"),
            ("kcHolder", "null"),
            ("kcFrom", "null"),
            ("kcFailover", r#"{"N": "10000"}"#),
            ("kcStream", r#"{"S": "orders"}"#),
            ("kcFormat", r#"{"N": "1"}"#),
        ] {
            assert_eq!(text(attribute), json(value), "{name}: {attribute}");
        }
    }
}

#[test]
fn rows_say_where_their_shards_are_read_from() {
    let after = |sub| Ok(Start::Stored(Position::After { sequence: NUMBER.parse().unwrap(), sub }));
    for (name, start) in [
        ("G01", Ok(Start::TrimHorizon)),
        ("G02", after(0)),
        ("G04", Err(NumberUnknown)),
        ("G09", after(7)),
        ("G11", after(0)),
        ("G13-latest", Ok(Start::Configured)),
        ("G13-at-timestamp", Ok(Start::Configured)),
        ("G13-1x", after(0)),
    ] {
        assert_eq!(lease(&found(name)).checkpoint.start(None), start, "{name}");
    }
}

#[test]
fn rows_say_whose_they_are_and_what_belongs_to_them() {
    let owners = |name: &str| {
        let row = lease(&found(name));
        (row.owner.clone(), row.checkpoint_owner.clone(), row.working_owner().map(str::to_owned))
    };
    let java = Some("java-1".to_owned());
    assert_eq!(owners("G01"), (None, None, None));
    assert_eq!(owners("G02"), (java.clone(), None, java.clone()));
    assert_eq!(owners("G11"), (Some("rust-1".into()), java.clone(), java));

    let split = lease(&found("G04"));
    assert_eq!(split.children, set(&["shardId-000000000004", "shardId-000000000005"]));
    assert!(split.checkpoint.is_end() && split.counter == 58 && split.parents.is_empty());
    let range = split.hash_keys.unwrap();
    assert_eq!((range.start, range.end), (3 << 126, u128::MAX));
    let merged = lease(&found("G07"));
    assert_eq!(merged.parents, set(&["shardId-000000000001", "shardId-000000000002"]));
    assert_eq!(lease(&found("G13-1x")).hash_keys, None);
}

#[test]
fn an_ended_row_keeps_its_children_and_is_retired_only_then() {
    for name in ["G04", "G05"] {
        let table = MemoryLeases::new();
        table.put(found(name));
        let retired = super::super::writes::retire(key(&found(name)));
        assert_eq!(table.apply(&retired).unwrap(), Applied::Done(found(name)));
        assert!(table.rows().is_empty());
    }
    for (name, text) in LEASES.iter().filter(|(name, _)| !["G04", "G05"].contains(name)) {
        let table = MemoryLeases::new();
        table.put(item(text));
        let retired = super::super::writes::retire(key(&item(text)));
        assert_eq!(table.apply(&retired).unwrap(), Applied::Refused(Some(item(text))), "{name}");
    }
}

#[test]
fn a_shard_of_kcl_is_ended_with_its_children() {
    let table = MemoryLeases::new();
    table.put(found("G02"));
    let me = tenure("me", 1);
    let taken = done(&table, &me.take(&row(&table), &marks()));
    done(&table, &me.children(&set(&["a", "b"])));
    let ended = done(&table, &me.end(&taken.checkpoint, &"77".parse().unwrap(), AtEnd::Release));
    assert_eq!((ended.owner, ended.holder, ended.children), (None, None, set(&["a", "b"])));
    let end = Position::End { sequence: "77".parse().unwrap() };
    assert_eq!(ended.checkpoint.start(None), Ok(Start::Stored(end)));
    let item = table.get(SHARD).unwrap().unwrap();
    assert_eq!(item.get("checkpoint"), Some(&"SHARD_END".into()));
    assert_eq!(item.get("kcEnd"), Some(&"77".into()));
}

#[test]
fn rows_that_are_no_leases_are_left_alone() {
    let entity = |text: &str| Ok(Seen::Other(Other::Entity(text.into())));
    for (name, seen) in [
        ("N1", Ok(Seen::Protocol("CLIENT_VERSION_3X".into()))),
        ("N1-own-table", Ok(Seen::Protocol("CLIENT_VERSION_2X".into()))),
        ("N2", entity("WORKER_METRIC_STATS")),
        ("N2-metrics", entity("WORKER_METRIC_STATS")),
        ("N3", entity("LEADER")),
        ("N4", entity("TABLE_MIGRATION")),
        ("N5", entity("STREAM")),
    ] {
        assert_eq!(read(&found(name)), seen, "{name}");
    }
}

#[test]
fn no_write_of_ours_changes_a_row_that_is_no_lease() {
    for (name, text) in OTHERS.iter().filter(|(name, _)| *name != "N1-own-table") {
        let (table, before) = (MemoryLeases::new(), item(text));
        table.put(before.clone());
        for write in super::writes::all(key(&before)) {
            assert_eq!(refused(&table, &write), Some(before.clone()), "{name}: {write:?}");
        }
        assert_eq!(table.rows(), [before], "{name}");
    }
}

#[test]
fn a_table_of_several_streams_is_refused() {
    let key = "123456789012:orders:1700000000:shardId-000000000000".to_owned();
    assert_eq!(read(&found("G14")), Err(Misread::SeveralStreams { key: key.clone() }));
    // One of the two signs is enough.
    let mut by_key = found("G14");
    by_key.remove(names::STREAM_NAME);
    assert_eq!(read(&by_key), Err(Misread::SeveralStreams { key }));
    let mut by_name = found("G02");
    by_name.insert(names::STREAM_NAME.into(), "orders".into());
    assert_eq!(read(&by_name), Err(Misread::SeveralStreams { key: SHARD.into() }));
}

#[test]
fn a_newer_format_is_refused_whatever_else_the_row_has() {
    for (format, refused) in [
        (Attribute::N("1".into()), false),
        (Attribute::N("0".into()), false),
        (Attribute::N("2".into()), true),
        (Attribute::N("1.5".into()), true),
        (Attribute::N("99999999999999999999".into()), true),
        ("two".into(), true),
        (Attribute::Null, true),
    ] {
        for mut item in [found("G02"), Item::from([(KEY.to_owned(), SHARD.into())])] {
            item.insert(names::FORMAT.into(), format.clone());
            let is_refused = matches!(read(&item), Err(Misread::NewerFormat { .. }));
            assert_eq!(is_refused, refused, "{format:?}");
        }
    }
}
