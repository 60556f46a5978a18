//! Reads 10,000 records while they are put, through a split and a merge, and counts every one.
//!
//! `--endpoint URL` takes another server than the one inside; `--records N` and `--size BYTES` set
//! how much is put.

mod support;

use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use kinesis_consumer::{BoxError, Config, LocalStore, Stream};
use support::{Arguments, Check, Demo, Plan};

const INTERVAL: Duration = Duration::from_millis(200);

fn main() -> Result<ExitCode, BoxError> {
    let arguments = Arguments::read()?;
    let demo = Demo::start_at(arguments.endpoint, "quickstart", 4)?;
    eprintln!("stream {} with 4 shards on {}", demo.stream(), demo.endpoint());

    let config = Config::new().interval(INTERVAL);
    let stream = Stream::new(demo.client()?, demo.stream(), LocalStore::new(), config)?;
    let shutdown = stream.shutdown();

    let plan = Plan::new(arguments.records, arguments.size);
    let mut check = Check::new(&plan);
    thread::scope(|scope| {
        let (all_read, wait) = crossbeam_channel::bounded(1);
        let (demo, plan) = (&demo, &plan);
        let producer = scope.spawn(move || {
            let put = plan.put_all(demo.admin());
            if put.is_ok() && wait.recv_timeout(plan.patience()).is_ok() {
                thread::sleep(INTERVAL * 5); // time for whatever should not come
            }
            shutdown.now();
            put
        });
        stream.listen(|batch| {
            if check.take(batch)? {
                let _ = all_read.try_send(()); // full: it is known already
            }
            Ok(())
        })?;
        drop(all_read); // the producer waits no longer if reading has ended by itself
        producer.join().map_err(|_| "the producer panicked")?
    })?;

    let (line, perfect) = check.verdict();
    println!("{line}");
    Ok(if perfect { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
