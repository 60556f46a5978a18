//! The example `tail` as its users run it: the program itself, through pipes and on a terminal.
//!
//! `cargo test` builds it before it runs this; `cargo test --test process` alone does not. The parts of it that
//! only decide are tested where they stand, and run with this too.

mod by_arn;
mod ends;
mod errors;
mod lag;
mod live;
mod records;
mod resuming;
mod terminal;

#[path = "../../../examples/tail"]
#[allow(dead_code, reason = "for their tests")]
mod parts {
    mod failure;
    mod figures;
    mod format;
    mod rate;
    mod start;
    mod table;
    mod tips;
}

use std::path::PathBuf;

use crate::common::support::{Admin, Server};
use crate::program::{Program, path};

/// A stream of one test, on a server of its own.
struct TestStream {
    admin: Admin,
    server: Server,
}

impl TestStream {
    fn new(shards: i64) -> Self {
        let server = Server::start().unwrap();
        let admin = Admin::new(server.endpoint(), "orders").unwrap();
        admin.create(shards).unwrap();
        Self { admin, server }
    }

    /// Puts these, one after the other, under a key for each.
    fn put<'a>(&self, records: impl IntoIterator<Item = &'a str>) {
        let record = |text: &str| (format!("key-{text}"), text.as_bytes().to_vec());
        self.admin.put(records.into_iter().map(record).collect()).unwrap();
    }

    /// Puts `0`, `1` and so on.
    fn put_numbers(&self, numbers: std::ops::Range<usize>) {
        let numbers: Vec<_> = numbers.map(|number| number.to_string()).collect();
        self.put(numbers.iter().map(String::as_str));
    }

    /// What is to run on it.
    fn program(&self, arguments: &[&str]) -> Program {
        Program::new(self.server.endpoint()).arguments(&["orders"]).arguments(arguments)
    }

    /// What it writes until it ends by itself.
    fn lines(&self, arguments: &[&str]) -> Vec<String> {
        self.program(arguments).start().end().success()
    }
}

/// A file of this name that is not there.
fn file(name: &str) -> PathBuf {
    let folder = path(env!("CARGO_TARGET_TMPDIR")).join("tail");
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join(format!("{name}-{}.db", std::process::id()));
    for suffix in ["", "-wal", "-shm"] {
        // An earlier run left it, or none did.
        let _ = std::fs::remove_file(format!("{}{suffix}", file.display()));
    }
    file
}

/// Numbers in order, whatever the order of shards.
fn sorted(lines: Vec<String>) -> Vec<usize> {
    let mut numbers: Vec<_> = lines.iter().map(|line| line.parse().unwrap()).collect();
    numbers.sort_unstable();
    numbers
}
