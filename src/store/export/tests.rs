//! Nothing is lost on the way out and in, and what is wrong is named.

use std::error::Error as _;
use std::iter::repeat_with;
use std::sync::Arc;

use super::*;
use crate::error::store::StoreErrorKind;
use crate::model::position::Position;
use crate::model::time::at_epoch;
use crate::store::local::LocalStore;

fn random_position(rng: &mut fastrand::Rng) -> Position {
    let number = match rng.usize(0..4) {
        0 => rng.u8(..).to_string(),
        1 => rng.u128(..).to_string(),
        2 => "9".repeat(129),
        _ => format!("1{}", repeat_with(|| rng.digit(10)).take(55).collect::<String>()),
    };
    let sequence = number.parse().unwrap();
    match rng.usize(0..4) {
        0 => {
            let seconds = rng.i64(..) >> rng.u32(0..50);
            Position::Since(at_epoch(seconds, rng.u32(0..1_000_000_000)).unwrap())
        }
        1 => Position::after(sequence),
        2 => Position::After { sequence, sub: rng.u64(..) >> rng.u32(0..64) },
        _ => Position::End { sequence },
    }
}

fn random_name(rng: &mut fastrand::Rng) -> String {
    let characters =
        ['\0', '"', '\\', '\n', '/', 'a', 'ü', '\u{308}', '鱼', '\u{10ffff}', '\u{7f}'];
    let length = rng.usize(0..12);
    repeat_with(|| characters[rng.usize(0..characters.len())]).take(length).collect()
}

#[test]
fn what_was_exported_is_imported_without_loss() {
    let mut rng = fastrand::Rng::with_seed(4);
    for round in 0..300 {
        let stream = random_name(&mut rng);
        let store = LocalStore::new();
        for _ in 0..rng.usize(0..40) {
            let (shard, to) = (random_name(&mut rng), random_position(&mut rng));
            store.reset_shard_iterator(&stream, &shard, Some(&to)).unwrap();
        }
        let json = export_positions(&store, &stream).unwrap();
        let other = Arc::new(LocalStore::new());
        let import = if round % 2 == 0 { Import::Forward } else { Import::Overwrite };
        let count = import_positions(&other, &json, import).unwrap();

        let sorted = |store: &dyn Store| {
            let mut positions = store.shard_iterators(&stream).unwrap();
            positions.sort();
            positions
        };
        assert_eq!(sorted(&other), sorted(&store), "{json}");
        assert_eq!(count, sorted(&store).len());
        assert_eq!(export_positions(&other, &stream).unwrap(), json);
    }
}

#[test]
fn the_form_is_what_the_manual_shows() {
    let store = LocalStore::new();
    let number = |text: &str| text.parse().unwrap();
    for (shard, to) in [
        ("d", Position::Since(at_epoch(1_714_552_200, 250_000_000).unwrap())),
        ("a", Position::End { sequence: number("1") }),
        ("c", Position::After { sequence: number("3"), sub: 3 }),
        ("b \"quoted\"", Position::after(number("2"))),
    ] {
        store.update_shard_iterator("orders", shard, &to).unwrap();
    }
    let expected = r#"{
  "version": 1,
  "stream": "orders",
  "shards": {
    "a": {"end": "1"},
    "b \"quoted\"": {"after": "2"},
    "c": {"after": "3", "sub": 3},
    "d": {"from": "2024-05-01T08:30:00.25Z"}
  }
}
"#;
    assert_eq!(export_positions(&store, "orders").unwrap(), expected);
    let empty = "{\n  \"version\": 1,\n  \"stream\": \"none\",\n  \"shards\": {}\n}\n";
    assert_eq!(export_positions(&store, "none").unwrap(), empty);
}

#[test]
fn an_edited_export_rewinds_only_if_it_overwrites() {
    let store = LocalStore::new();
    let at = |number: &str| Position::after(number.parse().unwrap());
    store.update_shard_iterator("orders", "shard", &at("42")).unwrap();
    let json = export_positions(&store, "orders").unwrap().replace("42", "17");
    import_positions(&store, &json, Import::Forward).unwrap();
    assert_eq!(store.get_shard_iterator("orders", "shard").unwrap(), Some(at("42")));
    import_positions(&store, &json, Import::Overwrite).unwrap();
    assert_eq!(store.get_shard_iterator("orders", "shard").unwrap(), Some(at("17")));
}

/// A text with one entry of the shard `shard`.
macro_rules! entry {
    ($members:literal) => {
        concat!(r#"{"version": 1, "stream": "s", "shards": {"shard": {"#, $members, "}}}")
    };
}

/// Each with what its error must say, its cause included.
const WRONG: &[(&str, &str)] = &[
    ("", "line 1, column 0"),
    ("[]", "line 1"),
    (r#"{"stream": "s", "shards": {}}"#, "missing field `version`"),
    (r#"{"version": 2, "streams": []}"#, "version 2, but only version 1 is known"),
    (r#"{"version": "1", "stream": "s", "shards": {}}"#, "line 1, column 15"),
    (r#"{"version": 1, "shards": {}}"#, "missing field `stream`"),
    (r#"{"version": 1, "stream": "s"}"#, "missing field `shards`"),
    (r#"{"version": 1, "stream": "s", "shards": [1]}"#, "an object with an entry for each shard"),
    (r#"{"version": 1, "stream": "s", "shards": {}, "more": 1}"#, "unknown field `more`"),
    (r#"{"version": 1, "stream": "s", "shards": {}} x"#, "trailing characters"),
    (
        "{\"version\": 1, \"stream\": \"s\",\n \"shards\": {\"a\": {\"at\": \"1\"}}}",
        "line 2, column 22",
    ),
    (entry!(r#""after": "1"}, "shard": {"after": "1""#), "shard \"shard\" is there twice"),
    (entry!(r#""after": 1"#), "invalid type: integer `1`, expected a string"),
    (entry!(r#""after": "1", "sub": -1"#), "invalid value: integer `-1`"),
    (entry!(r#""after": "1", "sub": 18446744073709551616"#), "invalid type: floating point"),
    (
        entry!(r#""after": "01""#),
        "positions are wrong at shard \"shard\", \"after\": \"01\" is not",
    ),
    (entry!(r#""end": "x""#), "positions are wrong at shard \"shard\", \"end\": \"x\" is not"),
    (entry!(r#""from": "yesterday""#), "\"from\": \"yesterday\" is not a time"),
    (entry!(r#""from": "2024-05-01T08:30:00Z", "sub": 1"#), "\"sub\": it belongs to"),
    (entry!(r#""sub": 1"#), "\"sub\": it belongs to"),
    (entry!(r#""after": "1", "end": "1""#), "\"after\": a shard has one of"),
    (entry!(""), "a shard has one of"),
];

#[test]
fn what_is_wrong_with_a_text_is_named_and_nothing_is_stored() {
    for (json, expected) in WRONG {
        let store = LocalStore::new();
        let error = import_positions(&store, json, Import::Overwrite).unwrap_err();
        let source = error.source().map(|source| format!(": {source}")).unwrap_or_default();
        let told = format!("{error}{source}");
        assert!(told.contains(expected), "{json}\n{told}");
        assert!(store.shard_iterators("s").unwrap().is_empty());
    }
}

#[test]
fn null_is_as_good_as_nothing() {
    let json = r#"{"shards": {"a": {"after": "1", "sub": null, "end": null}}, "stream": "s", "version": 1}"#;
    let store = LocalStore::new();
    assert_eq!(import_positions(&store, json, Import::Forward).unwrap(), 1);
    let one = Position::after("1".parse().unwrap());
    assert_eq!(store.get_shard_iterator("s", "a").unwrap(), Some(one));
}

#[test]
fn a_store_that_fails_is_told_with_its_kind() {
    struct Full;
    impl Store for Full {
        fn get_shard_iterator(&self, _: &str, _: &str) -> Result<Option<Position>, StoreError> {
            Ok(None)
        }
        fn update_shard_iterator(&self, _: &str, _: &str, _: &Position) -> Result<(), StoreError> {
            Err(StoreError::retry("full"))
        }
        fn shard_iterators(&self, _: &str) -> Result<Vec<(String, Position)>, StoreError> {
            Err(StoreError::fatal("unreadable"))
        }
        fn reset_shard_iterator(
            &self,
            _: &str,
            _: &str,
            _: Option<&Position>,
        ) -> Result<(), StoreError> {
            Err(StoreError::retry("full"))
        }
    }
    assert_eq!(export_positions(&Full, "s").unwrap_err().kind(), StoreErrorKind::Fatal);
    for import in [Import::Forward, Import::Overwrite] {
        let error = import_positions(&Full, entry!(r#""after": "1""#), import).unwrap_err();
        let ImportError::Store { source } = error else { panic!("{error}") };
        assert_eq!(source.kind(), StoreErrorKind::Retry);
    }
}
