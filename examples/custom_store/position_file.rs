//! A text file of positions, which is rewritten at every change.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Mutex;

use kinesis_consumer::{BoxError, Position, StoreError};

pub(crate) type Positions = BTreeMap<(String, String), Position>;

/// One process at a time may have the file open.
pub(crate) struct PositionFile(PathBuf, Mutex<Positions>);

impl PositionFile {
    /// Each line is a stream, a shard and a position's key; none of them can hold a space.
    pub(crate) fn open(path: PathBuf) -> Result<Self, BoxError> {
        let text = if path.exists() { fs::read_to_string(&path)? } else { String::new() };
        let mut positions = Positions::new();
        for line in text.lines() {
            let [stream, shard, key] = line.split(' ').collect::<Vec<_>>()[..] else {
                return Err(format!("{} is damaged", path.display()).into());
            };
            positions.insert((stream.into(), shard.into()), key.parse()?);
        }
        Ok(Self(path, Mutex::new(positions)))
    }

    /// Makes a change, and keeps it only after it is on the disk.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Positions)) -> Result<(), StoreError> {
        let mut positions = self.1.lock().expect("nothing panics while it is held");
        let mut changed = positions.clone();
        change(&mut changed);
        let failed =
            |error: io::Error| StoreError::retry("the file of positions").with_source(error);
        self.write(&changed).map_err(failed)?;
        *positions = changed;
        Ok(())
    }

    pub(crate) fn read<T>(&self, read: impl FnOnce(&Positions) -> T) -> T {
        read(&self.1.lock().expect("nothing panics while it is held"))
    }

    /// The new file replaces the old one in one step: after a crash one of them exists, and is complete.
    fn write(&self, positions: &Positions) -> io::Result<()> {
        let lines = positions.iter().map(|((stream, shard), to)| (stream, shard, to.key()));
        let new = self.0.with_extension("new");
        let mut file = File::create(&new)?;
        for (stream, shard, key) in lines {
            writeln!(file, "{stream} {shard} {key}")?;
        }
        file.sync_all()?;
        fs::rename(new, &self.0)
    }
}
