//! The records that a run has put and read, so that the next run resumes.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use kinesis_consumer::BoxError;

/// Two files beside the store of positions.
pub(crate) struct Trail {
    put: PathBuf,
    read: File,
    read_before: Vec<usize>,
}

impl Trail {
    /// Opens `FILE.put` and `FILE.read`, or begins them.
    pub(crate) fn beside(store: &Path) -> Result<Self, BoxError> {
        let (put, read) = (with(store, "put"), with(store, "read"));
        let mut ids = fs::read(&read).unwrap_or_default();
        ids.truncate(ids.len() / 8 * 8); // the last one was not finished, so its batch comes again
        let read_before = ids
            .chunks_exact(8)
            .map(|id| u64::from_le_bytes(id.try_into().unwrap_or_default()) as usize);
        let read_before = read_before.collect();
        let file = OpenOptions::new().create(true).append(true).open(&read)?;
        file.set_len(ids.len() as u64)?;
        Ok(Self { put, read: file, read_before })
    }

    /// The ids that earlier runs read, in their order.
    pub(crate) fn read_before(&self) -> &[usize] {
        &self.read_before
    }

    /// How many records earlier runs have put.
    pub(crate) fn put_before(&self) -> Result<usize, BoxError> {
        match fs::read_to_string(&self.put) {
            Ok(text) => text.trim().parse().map_err(|_| {
                let put = self.put.display();
                format!("{put}: a run was killed while it put records, so nobody knows which: begin with another --store").into()
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error.into()),
        }
    }

    /// From now on the number of put records is unknown.
    pub(crate) fn putting(&self) -> Result<(), BoxError> {
        Ok(fs::write(&self.put, "putting")?)
    }

    /// This many are put.
    pub(crate) fn has_put(&self, records: usize) -> Result<(), BoxError> {
        Ok(fs::write(&self.put, records.to_string())?)
    }

    /// These were read; call it before their batch is committed.
    pub(crate) fn has_read(&mut self, ids: &[usize]) -> Result<(), BoxError> {
        let ids: Vec<u8> = ids.iter().flat_map(|id| (*id as u64).to_le_bytes()).collect();
        Ok(self.read.write_all(&ids)?)
    }
}

/// The path with this after it.
pub(crate) fn with(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}
