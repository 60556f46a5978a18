//! The first program of the README, as it stands there. Run the example `server` beside it, and export what that says.

use std::io::Write;
use std::process::ExitCode;
use std::thread;

use kinesis_consumer::{BoxError, Config, KinesisClient, SqliteStore, Stream};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

fn main() -> ExitCode {
    match read() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}"); // with what caused it
            ExitCode::FAILURE
        }
    }
}

fn read() -> Result<(), BoxError> {
    let client = KinesisClient::new()?; // region and credentials from the environment
    let store = SqliteStore::open("positions.db", "first")?; // "first" names this application
    let stream = Stream::new(client, "orders", store, Config::new())?;

    let shutdown = stream.shutdown();
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    thread::spawn(move || signals.forever().for_each(|_| shutdown.now()));

    let mut out = std::io::stdout();
    stream.listen(|batch| {
        for record in batch.records() {
            let text = String::from_utf8_lossy(record.data());
            writeln!(out, "{} {}: {text}", batch.shard(), record.partition_key())?;
        }
        Ok(()) // the batch is done: its position is stored now
    })?;
    Ok(())
}
