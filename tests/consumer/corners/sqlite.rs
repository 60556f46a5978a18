//! A file of positions that is locked or damaged, under a whole consumer on the embedded server.

use std::fs::{self, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kinesis_consumer::{Config, Error, SqliteStore, StoreErrorKind, Stream};
use rusqlite::Connection;

use super::server::Cloud;
use super::{all, read, sorted, up_to};
use crate::common::directory::Directory;
use crate::common::{STREAM, numbers, quick, until};

const BUSY: Duration = Duration::from_millis(50);

/// A stream with the records 0 to 4, and a directory for the file.
struct Trial {
    cloud: Cloud,
    directory: Directory,
}

impl Trial {
    fn new(name: &str) -> Self {
        let cloud = Cloud::new(1);
        cloud.put(0..5);
        let directory = Directory::new(name);
        Self { cloud, directory }
    }

    fn file(&self) -> PathBuf {
        self.directory.file()
    }

    fn store(&self) -> Result<SqliteStore, kinesis_consumer::StoreError> {
        SqliteStore::builder(self.file()).busy_timeout(BUSY).open("billing")
    }

    fn open(&self, store: SqliteStore, config: Config) -> Stream {
        Stream::new(self.cloud.client(), STREAM, store, config).unwrap()
    }
}

fn lock(trial: &Trial) -> Connection {
    let other = Connection::open(trial.file()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    other
}

#[test]
fn a_file_that_is_locked_for_a_while_holds_up_no_handler_and_keeps_every_position() {
    let trial = Trial::new("locked");
    let stream = trial.open(trial.store().unwrap(), quick().limit(1));
    let other = lock(&trial);
    let shutdown = stream.shutdown();
    let handled = Arc::new(parking_lot::Mutex::new(Vec::new()));
    let seen = Arc::clone(&handled);
    let listener = stream.spawn(move |batch| {
        seen.lock().extend(numbers(batch));
        Ok(())
    });
    let listener = listener.unwrap();
    until("all are handled while nothing can be stored", || handled.lock().len() == 5);
    drop(other);
    shutdown.now();
    listener.join().unwrap();
    trial.cloud.put(5..8);
    let again = read(trial.open(trial.store().unwrap(), quick()), up_to(3));
    assert_eq!(all(&again), [5, 6, 7]);
}

#[test]
fn a_file_that_stays_locked_is_an_error_after_the_patience_and_nothing_is_lost() {
    let trial = Trial::new("kept-locked");
    let patience = Duration::from_millis(300);
    let stream = trial.open(trial.store().unwrap(), quick().store_patience(patience));
    let other = lock(&trial);
    let Err(Error::Store { source, shard, .. }) = stream.listen(|_| Ok(())) else { panic!() };
    assert!(source.kind() == StoreErrorKind::Retry && shard.is_some(), "{source}");
    // Of two threads that try one waits for the other, which is told in other words.
    let told = source.to_string();
    assert!(told.contains("locked") || told.contains("another process holds the file"), "{told}");
    drop(other);
    let again = read(trial.open(trial.store().unwrap(), quick()), up_to(5));
    assert_eq!(all(&again), [0, 1, 2, 3, 4]);
}

#[test]
fn a_damaged_file_is_an_error_and_with_another_one_everything_is_read() {
    let trial = Trial::new("damaged");
    read(trial.open(trial.store().unwrap(), quick()), up_to(5));
    let length = fs::metadata(trial.file()).unwrap().len();
    let mut file = OpenOptions::new().write(true).open(trial.file()).unwrap();
    file.seek(SeekFrom::Start(100)).unwrap(); // behind the mark that says what the file is
    file.write_all(&vec![0xA5; usize::try_from(length).unwrap() - 100]).unwrap();
    drop(file);
    let error = match trial.store() {
        Err(error) => error,
        Ok(store) => match trial.open(store, quick()).listen(|_| Ok(())) {
            Err(Error::Store { source, .. }) => source,
            other => panic!("{other:?}"),
        },
    };
    assert_eq!(error.kind(), StoreErrorKind::Fatal, "{error}");
    assert!(error.to_string().contains("damaged"), "{error}");

    fs::remove_file(trial.file()).unwrap();
    let again = read(trial.open(trial.store().unwrap(), quick()), up_to(5));
    assert_eq!(sorted(&again), [0, 1, 2, 3, 4]);
}
