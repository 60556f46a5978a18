//! The file itself: who may read it, and whether it is still there.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

use super::fault::Fault;

/// A file that exists.
#[derive(Debug)]
pub(super) struct DatabaseFile {
    /// Absolute, so that it stays true in another working directory.
    path: PathBuf,
    identity: Option<Identity>,
}

/// The number of links in a row that Linux follows.
const MAX_LINKS: usize = 40;

/// Device and inode.
type Identity = (u64, u64);

/// Held while a file is created and closed. Closing a file drops every lock that the process has on
/// it, so no thread may open it as a database in between.
static CREATING: Mutex<()> = Mutex::new(());

impl DatabaseFile {
    /// Creates the file, empty and only for its owner, unless it exists.
    pub(super) fn create(path: &Path) -> Result<Self, Fault> {
        let path = std::path::absolute(path).map_err(Fault::Create)?;
        let creating = CREATING.lock();
        create_new(&path)?;
        drop(creating);
        let identity = identity(&path).map_err(Fault::Create)?;
        Ok(Self { path, identity })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the path still leads to the file. SQLite would continue to write into a deleted file.
    pub(super) fn check_in_place(&self) -> Result<(), Fault> {
        match identity(&self.path) {
            Ok(identity) if identity == self.identity => Ok(()),
            Ok(_) => Err(Fault::Moved),
            Err(error) if error.kind() == ErrorKind::NotFound => Err(Fault::Moved),
            // Any other error of the check says nothing about the file.
            Err(_) => Ok(()),
        }
    }
}

/// Creates the file unless it exists; like SQLite also at the target of a link, if that does not exist yet.
fn create_new(path: &Path) -> Result<(), Fault> {
    let mut place = path.to_owned();
    for _ in 0..MAX_LINKS {
        // Never opened if it exists: closing it would drop the locks of other stores in this process.
        match private().open(&place) {
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) if place == path => return Err(Fault::Create(error)),
            Err(source) => return Err(Fault::CreateLinked { place, source }),
        }
        // Something exists already: a link to anywhere, or anything else, which is checked later.
        let Ok(target) = fs::read_link(&place) else { return Ok(()) };
        place.pop();
        place.push(target);
    }
    Ok(())
}

/// SQLite gives its log and shared memory the mode of the database.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

#[cfg(unix)]
fn identity(path: &Path) -> io::Result<Option<Identity>> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = fs::metadata(path)?;
    Ok(Some((metadata.dev(), metadata.ino())))
}

/// There an open file cannot be moved away.
#[cfg(not(unix))]
fn identity(path: &Path) -> io::Result<Option<Identity>> {
    fs::metadata(path).map(|_| None)
}
