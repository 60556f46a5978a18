//! Reads 10,000 records while they are put, through a split and a merge, and counts every record.
//!
//! `--store FILE` keeps positions, and everything else, in files: after Ctrl-C the same command resumes.
//! `--endpoint URL` uses another server than the one inside; `--records N` and `--size BYTES` set how much is put.

mod support;

use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use kinesis_consumer::{BoxError, Config, LocalStore, SqliteStore, Store, Stream};
use signal_hook::{consts::SIGINT, iterator::Signals};
use support::{Arguments, Check, Demo, Plan, Trail};

const INTERVAL: Duration = Duration::from_millis(200);

fn main() -> ExitCode {
    run().unwrap_or_else(|error| {
        eprintln!("{error:#}");
        ExitCode::FAILURE
    })
}

fn run() -> Result<ExitCode, BoxError> {
    let Arguments { endpoint, store, records, size } = Arguments::read()?;
    let (demo, store, plan): (_, Arc<dyn Store>, _) = match store {
        None => {
            let demo = Demo::start_at(endpoint, "quickstart", 4)?;
            (demo, Arc::new(LocalStore::new()), Plan::new(records, size))
        }
        Some(file) => {
            let (demo, trail) = (Demo::beside(&file, "quickstart", 4)?, Trail::beside(&file)?);
            let store = SqliteStore::open(&file, "quickstart")?;
            (demo, Arc::new(store), Plan::resumed(records, size, trail)?)
        }
    };
    eprintln!("stream {} with 4 shards on {}", demo.stream(), demo.endpoint());

    let config = Config::new().interval(INTERVAL);
    let stream = Stream::new(demo.client()?, demo.stream(), store, config)?;
    let (shutdown, interrupted) = (stream.shutdown(), stream.shutdown());
    let mut signals = Signals::new([SIGINT])?;
    let watching = signals.handle();

    let mut check = Check::new(&plan);
    let is_interrupted = thread::scope(|scope| {
        let ctrl_c =
            scope.spawn(move || signals.forever().take(1).map(|_| interrupted.now()).count());
        let (all_read, wait) = crossbeam_channel::bounded(1);
        if check.is_complete() {
            all_read.send(())?; // by an earlier run
        }
        let (demo, plan) = (&demo, &plan);
        let producer = scope.spawn(move || {
            let put = plan.put_all(demo.admin(), || shutdown.is_stopped());
            if put.is_ok() && wait.recv_timeout(plan.patience()).is_ok() {
                thread::sleep(INTERVAL * 5); // time for whatever should not come
            }
            shutdown.now();
            put
        });
        let ended = stream.listen(|batch| {
            if check.take(batch)? {
                let _ = all_read.try_send(()); // full: it is known already
            }
            Ok(())
        });
        drop(all_read); // the producer waits no longer if reading has ended by itself
        watching.close(); // and nobody for a signal
        ended?;
        producer.join().map_err(|_| "the producer panicked")??;
        Ok::<_, BoxError>(ctrl_c.join().is_ok_and(|signals| signals > 0))
    })?;
    if is_interrupted && !check.is_complete() {
        eprintln!("stopped at {check}; with --store, the same command resumes");
        return Ok(ExitCode::from(130));
    }

    let (line, perfect) = check.verdict();
    println!("{line}");
    Ok(if perfect { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
