//! What goes wrong with an SQLite file, and whether it may pass.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::ErrorCode;

use crate::error::store::StoreError;
use crate::model::time::spoken;

/// A fault, before the name of the file is added.
#[derive(Debug)]
pub(super) enum Fault {
    /// SQLite said so.
    Sqlite(rusqlite::Error),
    /// The file could be neither found nor created.
    Create(io::Error),
    /// The same for the place that its link points to.
    CreateLinked { place: PathBuf, source: io::Error },
    /// The other threads of this store took too long.
    Queue,
    /// The file may be read, but not written.
    ReadOnly,
    /// There is no write-ahead log on this file system.
    NoLog,
    /// The file holds something else.
    Foreign,
    /// A newer version wrote the file.
    Newer { found: i64, known: usize },
    /// The path now leads to another file, or to none.
    Moved,
}

/// The key of a kind of position that this version does not know.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a known kind of position")]
pub(super) struct LaterKey(String);

impl LaterKey {
    /// The first character is the kind, and each new kind sorts after the older ones: any other fault
    /// of a key is damage.
    pub(super) fn of(key: &str) -> Option<Self> {
        let kind = key.bytes().next()?;
        let is_later = kind.is_ascii_alphanumeric() && kind > b'3';
        is_later.then(|| Self(key.chars().take(200).collect()))
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl Fault {
    // long: one text for each kind of fault.
    pub(super) fn into_store_error(self, path: &Path, busy_timeout: Duration) -> StoreError {
        let told = |what: &str| format!("positions in {}: {what}", path.display());
        let fatal = |what: &str| StoreError::fatal(told(what));
        match self {
            Self::Sqlite(error) => classify(error, told, busy_timeout),
            Self::Create(error) => uncreated(error, told),
            Self::CreateLinked { place, source } => {
                uncreated(source, |what| told(&format!("a link to {}: {what}", place.display())))
            }
            Self::Queue => StoreError::retry(told(&format!(
                "other threads have used the file for {}: the disk is slow, or another process holds the file",
                spoken(busy_timeout)
            ))),
            Self::ReadOnly => fatal(READ_ONLY),
            Self::NoLog => fatal(
                "SQLite cannot keep a write-ahead log here: choose a directory on a disk of this machine",
            ),
            Self::Foreign => {
                fatal("the file is a database of another program: choose another path")
            }
            Self::Newer { found, known } => fatal(&format!(
                "the file has version {found}, and this version of kinesis-consumer knows {known} at \
                 most: use a newer one, or another file"
            )),
            Self::Moved => fatal(
                "the file was moved, replaced or deleted while it was open: restart with the right file",
            ),
        }
    }

    pub(super) fn is_busy(&self) -> bool {
        matches!(self, Self::Sqlite(error)
            if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy))
    }
}

// long: a table of codes.
fn classify(
    error: rusqlite::Error,
    told: impl Fn(&str) -> String,
    busy_timeout: Duration,
) -> StoreError {
    let (retry, fatal) =
        (|what: &str| StoreError::retry(told(what)), |what: &str| StoreError::fatal(told(what)));
    let (unreadable, later) = match &error {
        rusqlite::Error::FromSqlConversionFailure(_, _, why) => (true, why.is::<LaterKey>()),
        _ => (false, false),
    };
    let answer = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => retry(&format!(
            "another connection has kept the file locked for {}: end its program, or wait for it",
            spoken(busy_timeout)
        )),
        Some(ErrorCode::DiskFull) => retry(FULL),
        Some(ErrorCode::SystemIoFailure) if has_no_room(&error) => retry(FULL),
        Some(ErrorCode::SystemIoFailure) => {
            retry("the file could not be read or written: check the disk")
        }
        Some(ErrorCode::FileLockingProtocolFailed) => retry("the file could not be locked"),
        Some(ErrorCode::OutOfMemory) => retry("there is no memory left"),
        Some(ErrorCode::DatabaseCorrupt) => fatal(DAMAGED),
        None if later => fatal(
            "the file holds a position in a form that this version of kinesis-consumer does not know: \
             use a newer one, or another file",
        ),
        None if unreadable => fatal(DAMAGED),
        Some(ErrorCode::ReadOnly) => fatal(READ_ONLY),
        Some(ErrorCode::NotADatabase) => {
            fatal("the file is not an SQLite database: choose another path, or delete it")
        }
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => fatal(
            "the file cannot be opened: it must be a file, in a directory that this process may write",
        ),
        _ => fatal("SQLite refused"),
    };
    answer.with_source(error)
}

/// Whether an input or output failed for lack of room. SQLite says this in several ways: this code is all it says when
/// it enlarges its shared memory, which is the first thing that it does with a file.
fn has_no_room(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map(|error| error.extended_code);
    code == Some(SQLITE_IOERR_SHMSIZE)
}

/// A number of SQLite's interface, which never changes.
const SQLITE_IOERR_SHMSIZE: i32 = 10 | (19 << 8);

const FULL: &str = "the disk is full: free some space";
const DAMAGED: &str =
    "the file is damaged: put a copy in its place, or delete it and import positions";
const READ_ONLY: &str =
    "the file is read-only: let the user of this process write it and its directory";

fn uncreated(error: io::Error, told: impl Fn(&str) -> String) -> StoreError {
    let answer = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StoreError::retry(told(FULL)),
        ErrorKind::NotFound => StoreError::fatal(told("the directory does not exist: create it")),
        ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => StoreError::fatal(told(
            "the file cannot be created: let the user of this process write the directory",
        )),
        _ => StoreError::fatal(told("the file cannot be created")),
    };
    answer.with_source(error)
}
