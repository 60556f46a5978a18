//! A directory for the files of a test, under `target`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Nobody else's, and gone at the end.
pub(crate) struct Directory(PathBuf);

impl Directory {
    /// Its name begins so, to tell whose it is if it stays behind.
    pub(crate) fn new(name: &str) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        // Another run may be under way.
        let name = format!("{name}-{}-{count}", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// For a store.
    pub(crate) fn file(&self) -> PathBuf {
        self.join("positions.db")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // What is left behind under target harms nobody.
        let _ = fs::remove_dir_all(&self.0);
    }
}
