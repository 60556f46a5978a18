//! Every store keeps the contract, and a file keeps it among processes.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use std::{env, fs};

use kinesis_consumer::testing::{MemoryKinesis, store_contract};
use kinesis_consumer::{
    Config, Durability, Error, Import, LocalStore, Position, SqliteStore, Store, StoreErrorKind,
    Stream, export_positions, import_positions,
};

use crate::common::children::test_of;
use crate::common::directory::Directory;

/// How long a disk that is busy may take for those who write before one.
const SOON: Duration = Duration::from_secs(60);

fn open(file: &Path, application: &str) -> SqliteStore {
    SqliteStore::builder(file).busy_timeout(SOON).open(application).unwrap()
}

fn at(number: u64) -> Position {
    Position::after(number.to_string().parse().unwrap())
}

#[test]
fn the_local_store_keeps_the_contract() {
    store_contract(|_| LocalStore::new());
    let shared: fn(&str) -> Arc<dyn Store> = |_| Arc::new(LocalStore::new());
    store_contract(shared);
}

#[test]
fn the_sqlite_store_keeps_the_contract() {
    let directory = Directory::new("stores");
    store_contract(|name| open(&directory.join(name), "billing"));
}

#[test]
fn the_sqlite_store_keeps_the_contract_beside_other_applications_in_the_file() {
    let directory = Directory::new("stores");
    store_contract(|name| {
        let builder = SqliteStore::builder(directory.file()).durability(Durability::Normal);
        builder.busy_timeout(SOON).open(name).unwrap()
    });
}

#[test]
fn positions_move_from_store_to_store_and_back() {
    let directory = Directory::new("stores");
    let (local, sqlite) = (LocalStore::new(), SqliteStore::open(directory.file(), "a").unwrap());
    for number in 0..100 {
        local.update_shard_iterator("orders", &format!("shard-{number}"), &at(number)).unwrap();
    }
    let json = export_positions(&local, "orders").unwrap();
    assert_eq!(import_positions(&sqlite, &json, Import::Forward).unwrap(), 100);
    assert_eq!(export_positions(&sqlite, "orders").unwrap(), json);
    let other: Arc<dyn Store> = Arc::new(LocalStore::new());
    import_positions(&other, &json, Import::Overwrite).unwrap();
    assert_eq!(export_positions(&other, "orders").unwrap(), json);
}

/// What a child of the test does, if this process is one: its number, and the file.
fn child() -> Option<(u64, PathBuf)> {
    let number = env::var("STORES_CHILD").ok()?.parse().unwrap();
    Some((number, env::var_os("STORES_FILE").unwrap().into()))
}

/// This program once more, for this test alone.
fn spawn(test: &str, number: u64, file: &Path) -> Child {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args([&test_of(module_path!(), test), "--exact", "--nocapture"]).stdout(Stdio::piped());
    command.env("STORES_CHILD", number.to_string()).env("STORES_FILE", file);
    command.spawn().unwrap()
}

#[test]
fn processes_share_a_file() {
    const CHILDREN: u64 = 3;
    const ROUNDS: u64 = 200;
    if let Some((number, file)) = child() {
        let own = format!("application-{number}");
        let (shared, own) = (open(&file, "shared"), open(&file, &own));
        for round in 0..ROUNDS {
            let to = at(1 + round * CHILDREN + number);
            shared.update_shard_iterator("orders", "shard", &to).unwrap();
            let now = shared.get_shard_iterator("orders", "shard").unwrap().unwrap();
            assert!(now >= to, "{now} after {to} was stored");
            own.update_shard_iterator("orders", "shard", &to).unwrap();
            assert_eq!(own.get_shard_iterator("orders", "shard").unwrap(), Some(to));
        }
        return;
    }
    let directory = Directory::new("stores");
    let children: Vec<_> =
        (0..CHILDREN).map(|it| spawn("processes_share_a_file", it, &directory.file())).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let stored = |application: &str| {
        let store = SqliteStore::open(directory.file(), application).unwrap();
        store.get_shard_iterator("orders", "shard").unwrap()
    };
    assert_eq!(stored("shared"), Some(at(ROUNDS * CHILDREN)));
    for number in 0..CHILDREN {
        let last = 1 + (ROUNDS - 1) * CHILDREN + number;
        assert_eq!(stored(&format!("application-{number}")), Some(at(last)));
    }
}

#[test]
fn what_was_stored_survives_a_killed_process() {
    if let Some((from, file)) = child() {
        let store = SqliteStore::open(&file, "billing").unwrap();
        for number in from.. {
            store.update_shard_iterator("orders", "shard", &at(number)).unwrap();
            // Said only after it was stored: the parent holds the store to it.
            println!("\nstored {number}");
        }
    }
    let directory = Directory::new("stores");
    let (file, mut said) = (directory.file(), 0);
    for round in 1..=5 {
        let mut child = spawn("what_was_stored_survives_a_killed_process", said + 1, &file);
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let numbers = lines.map_while(Result::ok);
        let numbers = numbers.filter_map(|line| line.strip_prefix("stored ")?.parse().ok());
        let before = said;
        // To the end: what it said before it died counts too.
        for number in numbers {
            said = number;
            if said == before + 20 * round {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(said >= before + 20 * round, "the child ended by itself");
        let store = SqliteStore::open(&file, "billing").unwrap();
        let stored = store.get_shard_iterator("orders", "shard").unwrap().unwrap();
        // It may have died between storing one and saying so.
        assert!(stored == at(said) || stored == at(said + 1), "{stored}, though {said} was stored");
    }
}

#[test]
fn a_consumer_goes_on_where_the_last_one_stopped() {
    let directory = Directory::new("stores");
    let kinesis = MemoryKinesis::new();
    kinesis.create_stream("orders", 3);
    let mut read = Vec::new();
    for run in 0..3 {
        for number in 0..100 {
            kinesis.put("orders", &format!("key-{number}"), format!("{run}-{number}").as_bytes());
        }
        let store = SqliteStore::open(directory.file(), "billing").unwrap();
        let config = Config::new().interval(Duration::from_millis(2)).limit(7);
        let stream = Stream::new(kinesis.clone(), "orders", store, config).unwrap();
        let shutdown = stream.shutdown();
        let wanted = read.len() + 100;
        stream
            .listen(|batch| {
                read.extend(batch.records().iter().map(|record| record.data().to_vec()));
                if read.len() >= wanted {
                    shutdown.now();
                }
                Ok(())
            })
            .unwrap();
    }
    let count = read.len();
    read.sort();
    read.dedup();
    assert_eq!((read.len(), count), (300, 300), "each record once");
}

#[test]
fn a_consumer_says_which_file_stopped_it() {
    let directory = Directory::new("stores");
    let kinesis = MemoryKinesis::new();
    kinesis.create_stream("orders", 1);
    kinesis.put("orders", "key", b"record");
    let store = SqliteStore::open(directory.file(), "billing").unwrap();
    let config = Config::new().interval(Duration::from_millis(2));
    let stream = Stream::new(kinesis, "orders", store, config).unwrap();
    let error = stream
        .listen(|_| {
            for suffix in ["", "-wal", "-shm"] {
                fs::remove_file(directory.join(&format!("positions.db{suffix}")))?;
            }
            Ok(())
        })
        .unwrap_err();
    let Error::Store { source, .. } = error else { panic!("{error}") };
    assert_eq!(source.kind(), StoreErrorKind::Fatal);
    assert!(source.to_string().contains(&directory.file().display().to_string()), "{source}");
}
