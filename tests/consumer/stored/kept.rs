//! Every kept file is read, whole.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use kinesis_consumer::{
    Import, LocalStore, Position, SqliteStore, Store, export_positions, import_positions,
};

use super::{copy, kept_file, positions};
use crate::common::directory::Directory;

const STREAM: &str = "orders";
/// Of another application, and of another stream: what must not be mixed up.
const OTHERS: [(&str, &str); 2] = [("audit", STREAM), ("billing", "payments")];

fn sorted(store: &impl Store, stream: &str) -> BTreeMap<String, Position> {
    store.shard_iterators(stream).unwrap().into_iter().collect()
}

#[test]
fn the_key_of_every_kind_of_position_is_written_and_read_as_ever() {
    let kept = fs::read_to_string(kept_file("keys-v1.txt")).unwrap();
    let keys: Vec<_> = kept.lines().collect();
    let positions = positions();
    assert_eq!(keys.len(), positions.len());
    for ((shard, position), key) in positions.iter().zip(keys) {
        assert_eq!(position.key(), key, "{shard}");
        assert_eq!(&key.parse::<Position>().unwrap(), position, "{shard}");
    }
}

#[test]
fn a_file_of_the_first_version_is_read_whole_and_written_on() {
    let directory = Directory::new("stored");
    let file = copy("positions-v1.db", &directory);
    let store = SqliteStore::open(&file, "billing").unwrap();
    let wanted: BTreeMap<_, _> = positions().into_iter().collect();
    assert_eq!(sorted(&store, STREAM), wanted);
    for (shard, position) in positions() {
        assert_eq!(store.get_shard_iterator(STREAM, &shard).unwrap(), Some(position));
    }
    for (application, stream) in OTHERS {
        let other = SqliteStore::open(&file, application).unwrap();
        let only = Position::after("7".parse().unwrap());
        assert_eq!(sorted(&other, stream), [("after".to_owned(), only)].into());
    }

    // Forward only, as the store always was: the kept rows are compared with new ones.
    let (behind, ahead) =
        (Position::after("41".parse().unwrap()), Position::after("43".parse().unwrap()));
    store.update_shard_iterator(STREAM, "after-sub", &behind).unwrap();
    assert_eq!(sorted(&store, STREAM), wanted);
    store.update_shard_iterator(STREAM, "after-sub", &ahead).unwrap();
    drop(store);
    let store = SqliteStore::open(&file, "billing").unwrap();
    assert_eq!(store.get_shard_iterator(STREAM, "after-sub").unwrap(), Some(ahead));
}

#[test]
fn an_export_of_the_first_version_is_imported_whole() {
    let json = fs::read_to_string(kept_file("export-v1.json")).unwrap();
    for import in [Import::Forward, Import::Overwrite] {
        let store = LocalStore::new();
        assert_eq!(import_positions(&store, &json, import).unwrap(), positions().len());
        assert_eq!(sorted(&store, STREAM), positions().into_iter().collect());
    }
}

/// Beside the kept files and not over them: a new version of a form is kept under a new name.
#[test]
#[ignore = "makes files like those that are kept, under target/tmp/stored"]
fn write_what_this_version_stores() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("stored");
    // Perhaps it is not there.
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).unwrap();
    let file = directory.join("positions.db");
    let store = SqliteStore::open(&file, "billing").unwrap();
    for (shard, position) in positions() {
        store.update_shard_iterator(STREAM, &shard, &position).unwrap();
    }
    for (application, stream) in OTHERS {
        let other = SqliteStore::open(&file, application).unwrap();
        let only = Position::after("7".parse().unwrap());
        other.update_shard_iterator(stream, "after", &only).unwrap();
    }
    fs::write(directory.join("export.json"), export_positions(&store, STREAM).unwrap()).unwrap();
    let keys = positions().iter().map(|(_, position)| position.key() + "\n").collect::<String>();
    fs::write(directory.join("keys.txt"), keys).unwrap();
}
