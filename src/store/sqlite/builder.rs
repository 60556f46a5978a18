//! The settings of an SQLite store.

use std::path::PathBuf;
use std::time::Duration;

use parking_lot::Mutex;
use rusqlite::{Connection, MAIN_DB, OpenFlags};

use super::fault::Fault;
use super::file::DatabaseFile;
use super::{Opened, SqliteStore, schema};
use crate::error::store::{StoreError, StoreErrorKind};

/// A longer time would not fit into SQLite's milliseconds.
const MAX_BUSY_TIMEOUT: Duration = Duration::from_millis(i32::MAX as u64);

/// Settings of a [`SqliteStore`], from [`SqliteStore::builder`].
///
/// ```
/// use kinesis_consumer::{Durability, SqliteStore};
///
/// # let directory = std::env::temp_dir().join(format!("kc-doc-builder-{}", std::process::id()));
/// # std::fs::create_dir_all(&directory)?;
/// # let file = directory.join("positions.db");
/// let store = SqliteStore::builder(&file)
///     .durability(Durability::Normal)
///     .open("billing")?;
/// # drop(store);
/// # std::fs::remove_dir_all(&directory)?;
/// # Ok::<(), kinesis_consumer::BoxError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct SqliteStoreBuilder {
    path: PathBuf,
    durability: Durability,
    busy_timeout: Duration,
}

/// What a stored position survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Durability {
    /// A loss of power: each position is on the disk before the call returns, by SQLite's own
    /// guarantee (`synchronous=FULL`), if the disk obeys.
    #[default]
    Full,
    /// Any end of the process, but not of the machine (`synchronous=NORMAL`): after
    /// a loss of power the file is intact, but the newest positions may be missing, and the records
    /// handled since come again. It is faster by the time of a disk write.
    Normal,
}

impl SqliteStoreBuilder {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, durability: Durability::default(), busy_timeout: Duration::from_secs(5) }
    }

    /// What a stored position survives. Defaults to [`Durability::Full`].
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// How long a call waits for the other threads of this store, and then again for other writers of
    /// the file, before it fails with [`Retry`](crate::StoreErrorKind::Retry); at most 24 days.
    /// Defaults to 5 seconds.
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = timeout.min(MAX_BUSY_TIMEOUT);
        self
    }

    /// Opens the file, or creates it, for the positions of this application.
    ///
    /// A fault that may pass, such as a full disk, is no error here: each call tries to open the file until it
    /// succeeds, so that a consumer waits for it as for any other failure of its store
    /// ([`Config::store_patience`](crate::Config::store_patience)).
    ///
    /// # Errors
    /// If the file can be neither opened nor created, and that will not pass, or if it does not hold positions.
    pub fn open(mut self, application: impl Into<String>) -> Result<SqliteStore, StoreError> {
        // It stays true in another working directory.
        if let Ok(absolute) = std::path::absolute(&self.path) {
            self.path = absolute;
        }
        let opened = match self.connect().map_err(|fault| self.told(fault)) {
            Ok(opened) => Some(opened),
            Err(error) if error.kind() == StoreErrorKind::Retry => None,
            Err(error) => return Err(error),
        };
        Ok(SqliteStore {
            application: application.into(),
            opened: Mutex::new(opened),
            settings: self,
        })
    }

    /// How long a call waits, for its turn and then for other processes.
    pub(super) fn patience(&self) -> Duration {
        self.busy_timeout
    }

    /// The error for a fault of this file.
    pub(super) fn told(&self, fault: Fault) -> StoreError {
        fault.into_store_error(&self.path, self.busy_timeout)
    }

    pub(super) fn connect(&self) -> Result<Opened, Fault> {
        let file = DatabaseFile::create(&self.path)?;
        let connection = self.connect_to(&file)?;
        Ok(Opened { file, connection })
    }

    fn connect_to(&self, file: &DatabaseFile) -> Result<Connection, Fault> {
        // Without URI: a path is a path. The mutex around the connection replaces SQLite's own.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(file.path(), flags)?;
        connection.busy_timeout(self.busy_timeout)?;
        // SQLite also opens a read-only file, and would fail only at the first commit.
        if connection.is_readonly(MAIN_DB)? {
            return Err(Fault::ReadOnly);
        }
        schema::prepare(&mut connection, schema::STEPS, self.busy_timeout)?;
        self.set_durability(&connection)?;
        file.check_in_place()?;
        Ok(connection)
    }

    fn set_durability(&self, connection: &Connection) -> rusqlite::Result<()> {
        let (synchronous, fullfsync) = match self.durability {
            Durability::Full => ("FULL", true),
            Durability::Normal => ("NORMAL", false),
        };
        connection.pragma_update(None, "synchronous", synchronous)?;
        // Only on macOS: there a plain fsync leaves data in the disk's own cache.
        connection.pragma_update(None, "fullfsync", fullfsync)?;
        connection.pragma_update(None, "checkpoint_fullfsync", fullfsync)
    }
}
