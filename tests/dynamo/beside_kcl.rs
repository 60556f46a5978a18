//! A consumer of a fleet in a process of its own, which `tests/kcl/run.sh` starts beside workers of Amazon's library.
//!
//! It tells on its standard output what it does, in lines like those of `tests/kcl/Worker.java`, until SIGTERM stops it in
//! good order. It has its settings from the environment.

use std::env;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kinesis_consumer::{Batch, Config, Fleet, KinesisClient, Notice, Stream};
use log::{LevelFilter, Log, Metadata, Record};
use signal_hook::consts::SIGTERM;
use signal_hook::iterator::Signals;

/// How long a stop may take.
const STOP: Duration = Duration::from_secs(20);

/// Shows on standard error what the consumer logs.
struct Shown;

impl Log for Shown {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("kinesis_consumer")
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            eprintln!("{} {} {}", millis(), record.level(), record.args());
        }
    }

    fn flush(&self) {}
}

fn setting(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("{name} is not set: tests/kcl/run.sh does that"))
}

fn duration(name: &str) -> Duration {
    Duration::from_millis(setting(name).parse().unwrap())
}

fn millis() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()
}

fn tell(kind: &str, shard: &str, more: &str) {
    println!("{kind} {} {shard} {more}", millis());
}

fn told(notice: &Notice) {
    match notice {
        Notice::Gained { shard, from, .. } => tell("INIT", shard, from.as_deref().unwrap_or("-")),
        Notice::Lost { shard, why, .. } => tell("LOST", shard, &format!("{why:?}")),
        Notice::Released { shard, to, .. } => tell("RELEASED", shard, to.as_deref().unwrap_or("-")),
        Notice::Fenced { shard, .. } => tell("FENCED", shard, ""),
        Notice::Unfenced { shard, .. } => tell("UNFENCED", shard, ""),
        other => eprintln!("{} {other:?}", millis()),
    }
}

fn handle(batch: &Batch) {
    for record in batch.records() {
        let data = String::from_utf8_lossy(record.data());
        tell("REC", batch.shard(), &format!("{} {data}", record.sequence_number()));
    }
    if batch.ends_shard() {
        tell("END", batch.shard(), "");
    }
}

#[test]
#[ignore = "what tests/kcl/run.sh starts, in an environment of its own"]
fn reads() {
    log::set_logger(&Shown).unwrap();
    log::set_max_level(LevelFilter::Info);
    let kinesis = KinesisClient::builder().region("us-east-1").credentials("key", "secret");
    let kinesis = kinesis.endpoint(setting("KINESIS_LOCAL_ENDPOINT")).build().unwrap();
    let table = kinesis.lease_table(setting("MEMBER_TABLE")).unwrap();
    let table = table.endpoint(&setting("DYNOXIDE_ENDPOINT")).unwrap();
    table.create().unwrap();
    let fleet = Fleet::new(table)
        .worker_id(setting("MEMBER_ID"))
        .failover(duration("MEMBER_FAILOVER"))
        .handoff_patience(duration("MEMBER_PATIENCE"));
    let config = Config::new().interval(Duration::from_millis(250)).on_notice(told);
    let stream = Stream::new(kinesis, &setting("MEMBER_STREAM"), fleet, config).unwrap();
    let listener = stream
        .spawn_workers(4, |_| {
            |batch: &Batch| {
                handle(batch);
                Ok(())
            }
        })
        .unwrap();
    let shutdown = listener.shutdown();
    let mut signals = Signals::new([SIGTERM]).unwrap();
    let watching = signals.handle();
    let watcher = std::thread::spawn(move || {
        for _ in signals.forever() {
            shutdown.drain(STOP);
        }
    });
    let ended = listener.join();
    watching.close();
    watcher.join().unwrap();
    tell(if ended.is_ok() { "STOPPED" } else { "FAILED" }, "-", &format!("{ended:?}"));
}
