//! What one version stored, every later one reads; what a newer one stores is refused by name.
//!
//! The files beside this one are never changed: `README.md` tells what they are.

#![cfg(feature = "sqlite")]
mod kept;
mod newer;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use kinesis_consumer::Position;

use crate::common::directory::Directory;

/// A copy of the kept file, which opening would change.
fn copy(name: &str, to: &Directory) -> PathBuf {
    let copy = to.join(name);
    fs::copy(kept_file(name), &copy).unwrap();
    copy
}

fn kept_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/consumer/stored").join(name)
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
