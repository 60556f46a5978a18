//! Tests that need the connection itself, or a faulty file.

use std::fs::{self, File};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::sync::atomic::{AtomicUsize, Ordering};

use std::time::Duration;

use parking_lot::{MappedMutexGuard, MutexGuard};

use super::*;
use crate::error::store::StoreErrorKind;
use crate::store::sqlite::builder::Durability;

/// A directory of its own, gone at the end.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("kc-sqlite-{}-{count}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("positions.db")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // Files left in a temporary directory do no harm.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn at(number: u64) -> Position {
    Position::after(number.to_string().parse().unwrap())
}

fn connection(store: &SqliteStore) -> MappedMutexGuard<'_, Connection> {
    MutexGuard::map(store.opened.lock(), |opened| &mut opened.as_mut().unwrap().connection)
}

fn update(store: &SqliteStore, shard: &str, number: u64) -> Result<(), StoreError> {
    store.update_shard_iterator("orders", shard, &at(number))
}

fn get(store: &SqliteStore, shard: &str) -> Option<Position> {
    store.get_shard_iterator("orders", shard).unwrap()
}

/// Checks the kind, the path in the message, and this part of the message.
fn assert_told(error: &StoreError, kind: StoreErrorKind, path: &Path, part: &str) {
    let told = error.to_string();
    assert_eq!(error.kind(), kind, "{told}");
    assert!(told.contains(part) && told.contains(&path.display().to_string()), "{told}");
}

#[test]
fn the_connection_that_writes_has_the_durability_that_was_chosen() {
    let directory = Directory::new();
    let pragmas = |store: &SqliteStore| {
        update(store, "shard", 1).unwrap();
        let connection = connection(store);
        let get =
            |name: &str| connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0));
        let mode: String = get_text(&connection, "journal_mode");
        (get("synchronous").unwrap(), get("fullfsync").unwrap(), mode)
    };
    let open = |builder: SqliteStoreBuilder| builder.open("billing").unwrap();
    let wal = || "wal".to_owned();
    let default = SqliteStore::open(directory.file(), "billing").unwrap();
    assert_eq!(pragmas(&default), (2, 1, wal()), "full is the default");
    let full = open(SqliteStore::builder(directory.file()).durability(Durability::Full));
    assert_eq!(pragmas(&full), (2, 1, wal()));
    let normal = open(SqliteStore::builder(directory.file()).durability(Durability::Normal));
    assert_eq!(pragmas(&normal), (1, 0, wal()));
}

fn get_text(connection: &Connection, pragma: &str) -> String {
    connection.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get(0)).unwrap()
}

#[test]
fn positions_are_there_after_the_file_was_closed_and_each_application_has_its_own() {
    let directory = Directory::new();
    let open = |application| SqliteStore::open(directory.file(), application).unwrap();
    let (billing, audit) = (open("billing"), open("Billing"));
    update(&billing, "shard", 1).unwrap();
    update(&audit, "shard", 2).unwrap();
    drop((billing, audit));
    assert_eq!(get(&open("billing"), "shard"), Some(at(1)));
    assert_eq!(get(&open("Billing"), "shard"), Some(at(2)));
    assert_eq!(get(&open("billing\0"), "shard"), None);
}

#[test]
#[cfg(unix)]
fn nobody_else_may_read_the_files() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = Directory::new();
    let store = SqliteStore::open(directory.file(), "billing").unwrap();
    update(&store, "shard", 1).unwrap();
    let files: Vec<_> = fs::read_dir(&directory.0).unwrap().map(|entry| entry.unwrap()).collect();
    assert_eq!(files.len(), 3, "the database, its log and its shared memory: {files:?}");
    for file in files {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
    }
}

#[test]
fn a_strange_path_is_a_file_of_that_name() {
    let directory = Directory::new();
    for name in ["file:x?mode=memory", ":memory:", "ü %41 ?#.db"] {
        let path = directory.0.join(name);
        update(&SqliteStore::open(&path, "billing").unwrap(), "shard", 1).unwrap();
        assert!(path.metadata().unwrap().len() > 0, "{name}");
    }
    let error = SqliteStore::open("", "billing").unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Fatal);
}

#[test]
#[cfg(unix)]
fn a_link_that_leads_nowhere_yet_is_followed_and_the_file_is_created_there() {
    use std::os::unix::fs::symlink;
    let directory = Directory::new();
    fs::create_dir(directory.0.join("data")).unwrap();
    // From one link to the next, relative as in mounted volumes, and absolute.
    symlink("next.db", directory.file()).unwrap();
    symlink(directory.0.join("data/positions.db"), directory.0.join("next.db")).unwrap();
    let store = SqliteStore::open(directory.file(), "billing").unwrap();
    update(&store, "shard", 1).unwrap();
    let files = fs::read_dir(directory.0.join("data")).unwrap().count();
    assert_eq!(files, 3, "the database, its log and its shared memory");
    let direct = SqliteStore::open(directory.0.join("data/positions.db"), "billing").unwrap();
    assert_eq!(get(&direct, "shard"), Some(at(1)));
}

#[test]
#[cfg(unix)]
fn a_link_to_where_no_file_can_be_is_fatal_and_names_the_place() {
    use std::os::unix::fs::symlink;
    let directory = Directory::new();
    symlink("away/positions.db", directory.file()).unwrap();
    let error = SqliteStore::open(directory.file(), "billing").unwrap_err();
    assert_told(&error, StoreErrorKind::Fatal, &directory.file(), "the directory does not exist");
    let place = directory.0.join("away/positions.db");
    assert!(error.to_string().contains(&format!("a link to {}", place.display())), "{error}");

    let circle = directory.0.join("circle.db");
    symlink("circle.db", &circle).unwrap();
    let error = SqliteStore::open(&circle, "billing").unwrap_err();
    assert_told(&error, StoreErrorKind::Fatal, &circle, "cannot be created");
}

#[test]
fn a_file_that_cannot_be_opened_yet_is_opened_by_the_first_call_that_can() {
    let directory = Directory::new();
    drop(SqliteStore::open(directory.file(), "billing").unwrap());
    let mut other = Connection::open(directory.file()).unwrap();
    // So that not even the version can be read.
    other.pragma_update(None, "locking_mode", "EXCLUSIVE").unwrap();
    let lock = other.transaction_with_behavior(TransactionBehavior::Exclusive).unwrap();
    let builder = SqliteStore::builder(directory.file()).busy_timeout(Duration::from_millis(10));
    let store = builder.open("billing").unwrap();
    let error = store.shard_iterators("orders").unwrap_err();
    assert_told(&error, StoreErrorKind::Retry, &directory.file(), "locked");
    drop(lock);
    drop(other);
    update(&store, "shard", 1).unwrap();
    assert_eq!(get(&store, "shard"), Some(at(1)));
}

#[test]
fn a_locked_file_is_told_when_the_busy_timeout_is_over_and_may_pass() {
    let directory = Directory::new();
    let timeout = Duration::from_millis(150);
    let builder = SqliteStore::builder(directory.file()).busy_timeout(timeout);
    let store = builder.open("billing").unwrap();
    update(&store, "shard", 1).unwrap();

    let mut other = Connection::open(directory.file()).unwrap();
    let lock = other.transaction_with_behavior(TransactionBehavior::Exclusive).unwrap();
    let begin = std::time::Instant::now();
    let error = update(&store, "shard", 2).unwrap_err();
    let waited = begin.elapsed();
    assert!(waited >= timeout / 2, "{waited:?}");
    assert_told(&error, StoreErrorKind::Retry, &directory.file(), "locked for 150 ms");
    assert!(std::error::Error::source(&error).is_some());
    let imported = store.import_shard_iterators("orders", &[], Import::Forward);
    assert_eq!(imported.unwrap_err().kind(), StoreErrorKind::Retry);
    assert_eq!(get(&store, "shard"), Some(at(1)), "reading does not wait for a writer");

    drop(lock);
    update(&store, "shard", 2).unwrap();
    assert_eq!(get(&store, "shard"), Some(at(2)));
}

#[test]
fn threads_do_not_queue_for_longer_than_the_busy_timeout() {
    let directory = Directory::new();
    let builder = SqliteStore::builder(directory.file()).busy_timeout(Duration::from_millis(50));
    let store = builder.open("billing").unwrap();
    let held = connection(&store);
    let error = std::thread::scope(|scope| scope.spawn(|| update(&store, "shard", 1)).join());
    drop(held);
    let error = error.unwrap().unwrap_err();
    assert_told(&error, StoreErrorKind::Retry, &directory.file(), "other threads");
    update(&store, "shard", 1).unwrap();
}

#[test]
fn a_full_disk_may_pass_and_loses_nothing() {
    let directory = Directory::new();
    let store = SqliteStore::open(directory.file(), "billing").unwrap();
    limit_pages(&store, 8);
    let name = |number: u64| format!("{number:0>500}");
    let (error, stored) = (0..1_000)
        .find_map(|number| Some((update(&store, &name(number), number).err()?, number)))
        .unwrap();
    assert_told(&error, StoreErrorKind::Retry, &directory.file(), "full");
    let many: Vec<_> = (0..100).map(|number| (name(5_000 + number), at(number))).collect();
    let imported = store.import_shard_iterators("orders", &many, Import::Forward);
    assert_eq!(imported.unwrap_err().kind(), StoreErrorKind::Retry);
    assert_eq!(store.shard_iterators("orders").unwrap().len() as u64, stored);

    limit_pages(&store, 10_000);
    update(&store, &name(stored), stored).unwrap();
    for number in 0..=stored {
        assert_eq!(get(&store, &name(number)), Some(at(number)));
    }
}

fn limit_pages(store: &SqliteStore, pages: u32) {
    let sql = format!("PRAGMA max_page_count = {pages}");
    connection(store).query_row(&sql, [], |_| Ok(())).unwrap();
}

#[test]
fn a_damaged_file_is_fatal() {
    let directory = Directory::new();
    let store = SqliteStore::open(directory.file(), "billing").unwrap();
    let many: Vec<_> = (0..2_000).map(|it| (format!("shard-{it}"), at(it))).collect();
    store.import_shard_iterators("orders", &many, Import::Forward).unwrap();
    drop(store);
    let mut file = File::options().write(true).open(directory.file()).unwrap();
    // All pages but the first, which holds the schema.
    let length = file.metadata().unwrap().len();
    file.seek(SeekFrom::Start(4096)).unwrap();
    file.write_all(&vec![0x5a; length as usize - 4096]).unwrap();
    drop(file);

    let store = SqliteStore::open(directory.file(), "billing").unwrap();
    for error in [
        store.shard_iterators("orders").unwrap_err(),
        store.get_shard_iterator("orders", "shard-7").unwrap_err(),
        update(&store, "shard-7", 9_999).unwrap_err(),
    ] {
        assert_told(&error, StoreErrorKind::Fatal, &directory.file(), "damaged");
    }
}

#[test]
fn a_value_that_no_version_wrote_is_damage() {
    let directory = Directory::new();
    let store = SqliteStore::open(directory.file(), "billing").unwrap();
    update(&store, "shard", 1).unwrap();
    connection(&store).execute("UPDATE positions SET position = '2'", []).unwrap();
    for error in [
        store.shard_iterators("orders").unwrap_err(),
        store.get_shard_iterator("orders", "shard").unwrap_err(),
    ] {
        assert_told(&error, StoreErrorKind::Fatal, &directory.file(), "damaged");
    }
}

#[test]
fn what_is_no_database_is_fatal_and_stays_as_it_was() {
    let directory = Directory::new();
    let text = "This is not a database. ".repeat(1_000);
    fs::write(directory.file(), &text).unwrap();
    let error = SqliteStore::open(directory.file(), "billing").unwrap_err();
    assert_told(&error, StoreErrorKind::Fatal, &directory.file(), "not an SQLite database");
    assert_eq!(fs::read_to_string(directory.file()).unwrap(), text);

    let error = SqliteStore::open(&directory.0, "billing").unwrap_err();
    assert_told(&error, StoreErrorKind::Fatal, &directory.0, "cannot be opened: it must be a file");
    let nowhere = directory.0.join("nowhere/positions.db");
    let error = SqliteStore::open(&nowhere, "billing").unwrap_err();
    assert_told(&error, StoreErrorKind::Fatal, &nowhere, "directory does not exist");
}

#[test]
fn a_database_of_another_program_is_fatal_and_stays_as_it_was() {
    for sql in ["CREATE TABLE t (x)", "PRAGMA user_version = 1", "PRAGMA application_id = 7"] {
        let directory = Directory::new();
        let other = Connection::open(directory.file()).unwrap();
        other.execute_batch(sql).unwrap();
        let error = SqliteStore::open(directory.file(), "billing").unwrap_err();
        assert_told(&error, StoreErrorKind::Fatal, &directory.file(), "another program");
        assert_eq!(get_text(&other, "journal_mode"), "delete");
    }
}

#[test]
fn a_file_that_may_not_be_written_is_fatal() {
    let directory = Directory::new();
    let store = SqliteStore::open(directory.file(), "billing").unwrap();
    update(&store, "shard", 1).unwrap();
    // File modes would not stop root, so the connection itself is made read-only.
    connection(&store).pragma_update(None, "query_only", true).unwrap();
    let error = update(&store, "shard", 2).unwrap_err();
    assert_told(&error, StoreErrorKind::Fatal, &directory.file(), "read-only");
    assert_eq!(get(&store, "shard"), Some(at(1)));
}

#[test]
fn a_file_that_was_deleted_or_replaced_is_fatal() {
    let directory = Directory::new();
    for replaced in [false, true] {
        let store = SqliteStore::open(directory.file(), "billing").unwrap();
        update(&store, "shard", 1).unwrap();
        for suffix in ["", "-wal", "-shm"] {
            fs::remove_file(directory.0.join(format!("positions.db{suffix}"))).unwrap();
        }
        if replaced {
            File::create(directory.file()).unwrap();
        }
        let error = update(&store, "shard", 2).unwrap_err();
        assert_told(&error, StoreErrorKind::Fatal, &directory.file(), "moved, replaced or deleted");
    }
}

#[test]
fn a_newer_form_is_fatal_and_an_older_one_is_brought_up() {
    let directory = Directory::new();
    let store = SqliteStore::open(directory.file(), "billing").unwrap();
    update(&store, "shard", 1).unwrap();
    drop(store);
    let mut future = schema::STEPS.to_vec();
    future.push("ALTER TABLE positions ADD COLUMN owner BLOB");
    let mut connection = Connection::open(directory.file()).unwrap();
    for _ in 0..2 {
        schema::prepare(&mut connection, &future, Duration::ZERO).unwrap();
    }
    let row = "SELECT position, owner IS NULL FROM positions";
    let row = connection.query_row(row, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    assert_eq!(row, (at(1).key(), true));
    let error = SqliteStore::open(directory.file(), "billing").unwrap_err();
    assert_told(&error, StoreErrorKind::Fatal, &directory.file(), "has version 2");
    assert!(error.to_string().contains("knows 1 at most"));
}

#[test]
fn a_step_that_fails_leaves_the_older_form() {
    let directory = Directory::new();
    drop(SqliteStore::open(directory.file(), "billing").unwrap());
    let mut future = schema::STEPS.to_vec();
    future.extend(["ALTER TABLE positions ADD COLUMN owner BLOB", "not SQL"]);
    let mut connection = Connection::open(directory.file()).unwrap();
    schema::prepare(&mut connection, &future, Duration::ZERO).unwrap_err();
    drop(connection);
    update(&SqliteStore::open(directory.file(), "billing").unwrap(), "shard", 1).unwrap();
}

#[test]
fn many_may_create_the_file_at_once() {
    for _ in 0..10 {
        let directory = Directory::new();
        let start = std::sync::Barrier::new(8);
        std::thread::scope(|scope| {
            for number in 0..8 {
                let (directory, start) = (&directory, &start);
                scope.spawn(move || {
                    start.wait();
                    // No thread fails because the disk is busy for the threads before it.
                    let minute = Duration::from_secs(60);
                    let builder = SqliteStore::builder(directory.file()).busy_timeout(minute);
                    let store = builder.open("billing").unwrap();
                    update(&store, &format!("shard-{number}"), number).unwrap();
                });
            }
        });
        let store = SqliteStore::open(directory.file(), "billing").unwrap();
        assert_eq!(store.shard_iterators("orders").unwrap().len(), 8);
    }
}
