//! Reads a stream with a closure, one batch after another, in the thread that called.

mod support;

use std::process::ExitCode;
use std::time::Duration;

use kinesis_consumer::{BoxError, Config, LocalStore, Stream};

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
    // A server in this process; yours needs no endpoint: `KinesisClient::new()?`.
    let demo = support::Demo::start("listen", 2)?;
    demo.put(100)?;

    let config = Config::new().interval(Duration::from_millis(200)).limit(20);
    let stream = Stream::new(demo.client()?, demo.stream(), LocalStore::new(), config)?;
    let shutdown = stream.shutdown();

    let mut handled = 0;
    stream.listen(|batch| {
        for record in batch.records() {
            let data = String::from_utf8_lossy(record.data());
            println!("{} {}: {data}", batch.shard(), record.partition_key());
        }
        handled += batch.len();
        if handled >= 100 {
            shutdown.now(); // this batch is still committed
        }
        Ok(()) // committed now; an error would stop the stream and come out of `listen`
    })?;

    println!("{handled} records handled");
    Ok(())
}
