//! What a newer version stores is refused by name, and left as it is.

use std::fs;

use kinesis_consumer::{
    Import, ImportError, LocalStore, Position, SqliteStore, Store, StoreError, StoreErrorKind,
    import_positions,
};
use rusqlite::Connection;

use super::{copy, kept_file};
use crate::common::directory::Directory;

/// A fatal error that names the file, holds this part, and does not call for a deletion.
#[track_caller]
fn assert_newer(error: &StoreError, part: &str) {
    let told = error.to_string();
    assert_eq!(error.kind(), StoreErrorKind::Fatal, "{told}");
    assert!(told.contains("positions-v1.db") && told.contains(part), "{told}");
    assert!(!told.contains("damaged") && !told.contains("delete"), "{told}");
}

fn change(file: &std::path::Path, sql: &str) {
    Connection::open(file).unwrap().execute_batch(sql).unwrap();
}

#[test]
fn a_file_of_a_later_version_is_refused_and_stays_as_it_was() {
    let directory = Directory::new("stored");
    let file = copy("positions-v1.db", &directory);
    change(&file, "ALTER TABLE positions ADD COLUMN owner BLOB; PRAGMA user_version = 2");
    let before = fs::read(&file).unwrap();
    let error = SqliteStore::open(&file, "billing").unwrap_err();
    assert_newer(&error, "has version 2, and this version of kinesis-consumer knows 1 at most");
    assert_eq!(fs::read(&file).unwrap(), before);
}

#[test]
fn a_file_that_becomes_one_of_a_later_version_under_an_open_store_is_refused() {
    let directory = Directory::new("stored");
    let file = copy("positions-v1.db", &directory);
    let store = SqliteStore::open(&file, "billing").unwrap();
    store.shard_iterators("orders").unwrap();
    change(&file, "ALTER TABLE positions ADD COLUMN owner BLOB; PRAGMA user_version = 2");
    let to = Position::after("99".parse().unwrap());
    for error in [
        store.shard_iterators("orders").unwrap_err(),
        store.get_shard_iterator("orders", "after").unwrap_err(),
        store.update_shard_iterator("orders", "after-sub", &to).unwrap_err(),
        store.reset_shard_iterator("orders", "after-sub", Some(&to)).unwrap_err(),
        store.reset_shard_iterator("orders", "after-sub", None).unwrap_err(),
        store
            .import_shard_iterators("orders", &[("new".into(), to.clone())], Import::Forward)
            .unwrap_err(),
    ] {
        assert_newer(&error, "has version 2");
    }
    let rows = "SELECT count(*), sum(shard = CAST('new' AS BLOB)) FROM positions";
    let rows = Connection::open(&file)
        .unwrap()
        .query_row(rows, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)));
    assert_eq!(rows.unwrap(), (13, 0), "nothing was written");
}

#[test]
fn a_position_in_a_later_form_is_refused_and_not_called_damage() {
    let directory = Directory::new("stored");
    let file = copy("positions-v1.db", &directory);
    change(
        &file,
        "UPDATE positions SET position = '4002.42.7' WHERE shard = CAST('after' AS BLOB)",
    );
    let store = SqliteStore::open(&file, "billing").unwrap();
    for error in [
        store.shard_iterators("orders").unwrap_err(),
        store.get_shard_iterator("orders", "after").unwrap_err(),
    ] {
        assert_newer(
            &error,
            "a position in a form that this version of kinesis-consumer does not know",
        );
    }
    // It counts as ahead, and stays; the other shards are as they were.
    store
        .update_shard_iterator("orders", "after", &Position::after("99".parse().unwrap()))
        .unwrap();
    store.shard_iterators("orders").unwrap_err();
    assert!(store.get_shard_iterator("orders", "end").unwrap().is_some());
}

#[test]
fn a_key_in_a_later_form_is_no_position() {
    let kept = fs::read_to_string(kept_file("keys-v1.txt")).unwrap();
    for key in kept.lines() {
        for later in [format!("4{}", &key[1..]), format!("{key}.1"), format!("{key} ")] {
            let error = later.parse::<Position>().unwrap_err();
            assert!(error.to_string().contains("is not a position key"), "{error}");
        }
    }
}

#[test]
fn an_export_of_a_later_version_is_refused_whatever_else_it_holds() {
    let json = fs::read_to_string(kept_file("export-v1.json")).unwrap();
    for later in [
        json.replace("\"version\": 1", "\"version\": 2"),
        r#"{"version": 2, "streams": [], "checksum": "abc"}"#.to_owned(),
    ] {
        let store = LocalStore::new();
        let error = import_positions(&store, &later, Import::Overwrite).unwrap_err();
        assert!(matches!(error, ImportError::Version { found: 2, .. }), "{error}");
        assert!(store.shard_iterators("orders").unwrap().is_empty());
    }
}

#[test]
fn a_member_that_only_a_later_version_knows_is_refused() {
    let json = fs::read_to_string(kept_file("export-v1.json")).unwrap();
    let later = json.replace("{\"end\":", "{\"owner\": \"a\", \"end\":");
    assert_ne!(later, json);
    let store = LocalStore::new();
    let error = import_positions(&store, &later, Import::Overwrite).unwrap_err();
    assert!(matches!(error, ImportError::Format { .. }), "{error}");
    assert!(store.shard_iterators("orders").unwrap().is_empty());
}
