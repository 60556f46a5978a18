//! Stops at Ctrl-C or SIGTERM: batches that were read are handled and committed, for ten seconds at most.

mod support;

use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use kinesis_consumer::{BoxError, Config, LocalStore, Stream};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::{iterator::Signals, low_level::raise};

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
    let demo = support::Demo::start("graceful-stop", 2)?;
    demo.put(500)?;

    let config = Config::new().interval(Duration::from_millis(200)).limit(10);
    let stream = Stream::new(demo.client()?, demo.stream(), LocalStore::new(), config)?;
    let shutdown = stream.shutdown();
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let watching = signals.handle();

    let mut handled = 0;
    thread::scope(|scope| {
        scope.spawn(move || {
            for (earlier, signal) in signals.forever().enumerate() {
                println!("signal {signal}");
                match earlier {
                    0 => shutdown.drain(Duration::from_secs(10)),
                    _ => shutdown.now(), // again: only the batch in hand is finished
                }
            }
        });
        let ended = stream.listen(|batch| {
            thread::sleep(Duration::from_millis(20)); // the work
            let before = handled;
            handled += batch.len();
            if before < 100 && handled >= 100 {
                raise(SIGTERM)?; // so that this example ends by itself
            }
            Ok(())
        });
        watching.close(); // ends the loop over signals
        ended
    })?;

    println!("{handled} records handled, and every batch committed");
    Ok(())
}
