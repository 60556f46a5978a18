//! What one version stored, every later one reads; what a newer one stores is refused by name.
//!
//! The files beside this one are never changed: `README.md` tells what they are.

#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, reason = "helpers of tests, which Clippy does not see as tests")]

mod kept;
mod newer;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use kinesis_consumer::Position;

/// A directory of its own, gone at the end.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("stored-{}-{count}", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// A copy of the kept file, which opening would change.
    fn copy(&self, name: &str) -> PathBuf {
        let copy = self.0.join(name);
        fs::copy(kept_file(name), &copy).unwrap();
        copy
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // What is left behind under target harms nobody.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn kept_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stored").join(name)
}

/// The positions that the files of version 1 hold, each with the name of its shard.
fn positions() -> Vec<(String, Position)> {
    let number = "49590338271490256608559692538361571095921575989136588898".parse().unwrap();
    let (long, zero) = ("9".repeat(129).parse().unwrap(), "0".parse().unwrap());
    let at = |seconds, nanos| Position::Since(UNIX_EPOCH + Duration::new(seconds, nanos));
    let after = |sub| Position::After { sequence: "42".parse().unwrap(), sub };
    [
        ("since", at(1_714_552_200, 0)),
        ("since-nanoseconds", at(1_714_552_200, 250_000_001)),
        ("since-before-1970", Position::Since(UNIX_EPOCH - Duration::from_millis(1_500))),
        ("after", Position::after(number)),
        ("after-sub-zero", after(0)),
        ("after-sub", after(3)),
        ("after-last-sub", after(u64::MAX - 1)),
        ("after-zero", Position::after(zero)),
        ("end", Position::End { sequence: "42".parse().unwrap() }),
        ("end-long", Position::End { sequence: long }),
        ("name \"ü\n\0/", after(u64::MAX)),
    ]
    .map(|(shard, position)| (shard.to_owned(), position))
    .to_vec()
}
