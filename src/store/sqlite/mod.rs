//! Positions in an SQLite file.

pub(crate) mod builder;
mod fault;
mod file;
mod schema;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use rusqlite::types::Type;
use rusqlite::{Connection, Row, Transaction, TransactionBehavior, params};

use self::fault::Fault;
use self::file::DatabaseFile;
use crate::error::store::StoreError;
use crate::model::position::Position;
use crate::store::Store;
use crate::store::export::Import;
use crate::store::sqlite::builder::SqliteStoreBuilder;

/// Keeps positions in an SQLite file, which outlives the process.
///
/// Several stores, applications and processes of one machine may share a file; each application sees
/// its own positions only. The file is created if it does not exist, only for its owner (mode 0600); SQLite
/// keeps its log next to it, in `<file>-wal` and `<file>-shm`, with the same mode. It must be on a disk
/// of this machine: SQLite's write-ahead log does not work over a network.
///
/// ```
/// use kinesis_consumer::{Position, SqliteStore, Store};
///
/// # let directory = std::env::temp_dir().join(format!("kc-doc-{}", std::process::id()));
/// # std::fs::create_dir_all(&directory)?;
/// # let file = directory.join("positions.db");
/// let store = SqliteStore::open(&file, "billing")?;
/// let done = Position::after("42".parse()?);
/// store.update_shard_iterator("orders", "shardId-000000000000", &done)?;
///
/// drop(store); // or the process ends in any way
/// let store = SqliteStore::open(&file, "billing")?;
/// assert_eq!(store.get_shard_iterator("orders", "shardId-000000000000")?, Some(done));
/// # drop(store);
/// # std::fs::remove_dir_all(&directory)?;
/// # Ok::<(), kinesis_consumer::BoxError>(())
/// ```
///
/// # Errors
/// Each names the file and what to do. A locked file, a full disk and a failed read or write may pass, so the
/// consumer retries ([`Retry`](crate::StoreErrorKind::Retry)), at the start as well as later.
/// A file that is damaged, read-only, moved away, not SQLite's, another program's or written by a newer
/// version of this library stops it ([`Fatal`](crate::StoreErrorKind::Fatal)).
#[derive(Debug)]
pub struct SqliteStore {
    application: String,
    settings: SqliteStoreBuilder,
    /// One connection: SQLite writes one transaction at a time, for all connections. `None` until the file could be
    /// opened.
    opened: Mutex<Option<Opened>>,
}

/// The file, and the connection to it.
#[derive(Debug)]
struct Opened {
    // Closed before the file is forgotten.
    connection: Connection,
    file: DatabaseFile,
}

impl SqliteStore {
    /// The positions of an application in this file, with the defaults of
    /// [`builder`](Self::builder).
    ///
    /// # Errors
    /// If the file can be neither opened nor created, and that will not pass, or if it does not hold positions.
    pub fn open(
        path: impl AsRef<Path>,
        application: impl Into<String>,
    ) -> Result<Self, StoreError> {
        Self::builder(path.as_ref()).open(application)
    }

    /// Settings for a store in this file.
    pub fn builder(path: impl Into<PathBuf>) -> SqliteStoreBuilder {
        SqliteStoreBuilder::new(path.into())
    }

    fn read<T>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.with_file(|Opened { connection, .. }| {
            // One transaction, so that the rows have the version that was checked. Its end changes nothing.
            let transaction = connection.transaction()?;
            schema::check(&transaction)?;
            Ok(query(&transaction)?)
        })
    }

    /// One transaction: after an error nothing is changed. `Ok` only if the path still leads to this
    /// file.
    fn write(
        &self,
        change: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<()>,
    ) -> Result<(), StoreError> {
        self.with_file(|Opened { connection, file }| {
            // Immediate: a transaction that reads first could not become a writer next to another one.
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            schema::check(&transaction)?;
            change(&transaction)?;
            transaction.commit()?;
            file.check_in_place()
        })
    }

    fn with_file<T>(
        &self,
        call: impl FnOnce(&mut Opened) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        // Not for ever: each thread before this one may wait for another process, one after the other.
        let opened = self.opened.try_lock_for(self.settings.patience());
        let answer = opened.ok_or(Fault::Queue).and_then(|mut opened| match &mut *opened {
            Some(opened) => call(opened),
            none => call(none.insert(self.settings.connect()?)),
        });
        answer.map_err(|fault| self.settings.told(fault))
    }

    fn update(
        &self,
        on: &Connection,
        stream: &str,
        to: &(&str, &Position),
    ) -> rusqlite::Result<()> {
        const SQL: &str = "INSERT INTO positions (application, stream, shard, position, updated_at)
            VALUES (?1, ?2, ?3, ?4, ?5)
            ON CONFLICT DO UPDATE SET position = excluded.position, updated_at = excluded.updated_at
            WHERE excluded.position > positions.position";
        self.store(on, SQL, stream, to)
    }

    fn overwrite(
        &self,
        on: &Connection,
        stream: &str,
        to: &(&str, &Position),
    ) -> rusqlite::Result<()> {
        const SQL: &str = "INSERT INTO positions (application, stream, shard, position, updated_at)
            VALUES (?1, ?2, ?3, ?4, ?5)
            ON CONFLICT DO UPDATE SET position = excluded.position, updated_at = excluded.updated_at";
        self.store(on, SQL, stream, to)
    }

    /// Names are bound as bytes: in SQLite's text a NUL has no defined meaning.
    fn store(
        &self,
        on: &Connection,
        sql: &str,
        stream: &str,
        (shard, to): &(&str, &Position),
    ) -> rusqlite::Result<()> {
        let application = self.application.as_bytes();
        on.prepare_cached(sql)?.execute(params![
            application,
            stream.as_bytes(),
            shard.as_bytes(),
            to.key(),
            milliseconds_since_1970()
        ])?;
        Ok(())
    }
}

impl Store for SqliteStore {
    fn get_shard_iterator(
        &self,
        stream: &str,
        shard: &str,
    ) -> Result<Option<Position>, StoreError> {
        const SQL: &str =
            "SELECT position FROM positions WHERE application = ?1 AND stream = ?2 AND shard = ?3";
        self.read(|connection| {
            let mut statement = connection.prepare_cached(SQL)?;
            let application = self.application.as_bytes();
            let names = params![application, stream.as_bytes(), shard.as_bytes()];
            let mut rows = statement.query(names)?;
            rows.next()?.map(|row| position(row, 0)).transpose()
        })
    }

    fn update_shard_iterator(
        &self,
        stream: &str,
        shard: &str,
        to: &Position,
    ) -> Result<(), StoreError> {
        self.write(|connection| self.update(connection, stream, &(shard, to)))
    }

    fn shard_iterators(&self, stream: &str) -> Result<Vec<(String, Position)>, StoreError> {
        const SQL: &str =
            "SELECT shard, position FROM positions WHERE application = ?1 AND stream = ?2";
        self.read(|connection| {
            let mut statement = connection.prepare_cached(SQL)?;
            let names = params![self.application.as_bytes(), stream.as_bytes()];
            let rows = statement.query_map(names, |row| Ok((name(row, 0)?, position(row, 1)?)))?;
            rows.collect()
        })
    }

    fn reset_shard_iterator(
        &self,
        stream: &str,
        shard: &str,
        to: Option<&Position>,
    ) -> Result<(), StoreError> {
        const SQL: &str =
            "DELETE FROM positions WHERE application = ?1 AND stream = ?2 AND shard = ?3";
        self.write(|connection| {
            let Some(to) = to else {
                let application = self.application.as_bytes();
                let names = params![application, stream.as_bytes(), shard.as_bytes()];
                return connection.prepare_cached(SQL)?.execute(names).map(drop);
            };
            self.overwrite(connection, stream, &(shard, to))
        })
    }

    /// Stores all of them, or after an error none.
    fn import_shard_iterators(
        &self,
        stream: &str,
        positions: &[(String, Position)],
        import: Import,
    ) -> Result<(), StoreError> {
        self.write(|transaction| {
            positions.iter().try_for_each(|(shard, to)| match import {
                Import::Forward => self.update(transaction, stream, &(shard, to)),
                Import::Overwrite => self.overwrite(transaction, stream, &(shard, to)),
            })
        })
    }
}

fn position(row: &Row<'_>, column: usize) -> rusqlite::Result<Position> {
    let unreadable = |error: crate::error::BoxError| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error)
    };
    let key = row.get_ref(column)?.as_str().map_err(|error| unreadable(error.into()))?;
    key.parse::<Position>().map_err(|error| match fault::LaterKey::of(key) {
        Some(later) => unreadable(later.into()),
        None => unreadable(error.into()),
    })
}

fn name(row: &Row<'_>, column: usize) -> rusqlite::Result<String> {
    let bytes: Vec<u8> = row.get(column)?;
    String::from_utf8(bytes).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Blob, error.into())
    })
}

/// Only for people who read the file.
fn milliseconds_since_1970() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
