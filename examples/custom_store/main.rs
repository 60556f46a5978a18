//! Reads a stream in two runs; the second run resumes where the first one stopped.

mod file_store;
mod position_file;
#[path = "../support/mod.rs"]
mod support;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use kinesis_consumer::{BoxError, Config, Stream};

use file_store::FileStore;
use position_file::PositionFile;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), BoxError> {
    let demo = support::Demo::start("custom-store", 2)?;
    demo.put(100)?;

    let file = std::env::temp_dir().join(demo.stream());
    let first = read(&demo, &file, 40)?;
    let second = read(&demo, &file, 100 - first)?;
    std::fs::remove_file(&file)?;

    println!("{first} records in the first run, {second} in the second");
    if first + second == 100 { Ok(()) } else { Err("records came again".into()) }
}

/// Handles at least this many records.
fn read(demo: &support::Demo, file: &Path, wanted: usize) -> Result<usize, BoxError> {
    let store = FileStore(PositionFile::open(file.into())?);
    let config = Config::new().interval(Duration::from_millis(200)).limit(10);
    let stream = Stream::new(demo.client()?, demo.stream(), store, config)?;
    let shutdown = stream.shutdown();

    let mut handled = 0;
    stream.listen(|batch| {
        handled += batch.len();
        if handled >= wanted {
            shutdown.now();
        }
        Ok(())
    })?;
    Ok(handled)
}
