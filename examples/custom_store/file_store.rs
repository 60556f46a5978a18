//! Positions in a directory, one small file for each shard.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;
use std::sync::Mutex;

use kinesis_consumer::{Position, Store, StoreError};

type Result<T> = std::result::Result<T, StoreError>;

/// The file `stream shard` holds the position's key. Neither name can hold a space.
pub(crate) struct FileStore {
    pub(crate) directory: PathBuf,
    /// Held from comparing to writing. Another process must not write into the same directory.
    pub(crate) writing: Mutex<()>,
}

impl FileStore {
    /// A new file takes the old one's place at once: after a crash one of them is there, and whole.
    fn write(&self, stream: &str, shard: &str, to: Option<&Position>) -> io::Result<()> {
        let (path, new) = (self.directory.join(format!("{stream} {shard}")), "new");
        if let Some(to) = to {
            let mut file = File::create(self.directory.join(new))?;
            file.write_all(to.key().as_bytes())?;
            file.sync_all()?;
            fs::rename(self.directory.join(new), path)?;
        } else if path.try_exists()? {
            fs::remove_file(path)?;
        }
        File::open(&self.directory)?.sync_all() // or the change of names is not on the disk
    }
}

impl Store for FileStore {
    fn get_shard_iterator(&self, stream: &str, shard: &str) -> Result<Option<Position>> {
        match fs::read_to_string(self.directory.join(format!("{stream} {shard}"))) {
            Ok(key) => Position::from_key(&key)
                .map(Some)
                .map_err(|error| StoreError::fatal("a file is damaged").with_source(error)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    fn update_shard_iterator(&self, stream: &str, shard: &str, to: &Position) -> Result<()> {
        let _writing = self.writing.lock().expect("nothing panics while it is held");
        match self.get_shard_iterator(stream, shard)? {
            Some(stored) if *to <= stored => Ok(()),
            _ => self.write(stream, shard, Some(to)).map_err(failed),
        }
    }

    fn shard_iterators(&self, stream: &str) -> Result<Vec<(String, Position)>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.directory).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            let pair = name.to_str().and_then(|name| name.split_once(' '));
            if let Some((_, shard)) = pair.filter(|(of, _)| *of == stream) {
                let position = self.get_shard_iterator(stream, shard)?;
                found.extend(position.map(|position| (shard.to_owned(), position)));
            }
        }
        Ok(found)
    }

    fn reset_shard_iterator(&self, stream: &str, shard: &str, to: Option<&Position>) -> Result<()> {
        let _writing = self.writing.lock().expect("nothing panics while it is held");
        self.write(stream, shard, to).map_err(failed)
    }
}

fn failed(error: io::Error) -> StoreError {
    StoreError::retry("the directory of positions").with_source(error)
}
