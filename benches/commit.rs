//! The cost of storing a position: `cargo bench --bench commit`, in less than a minute.
//!
//! Each thread stores rising positions of a shard of its own, as commits do. A figure is the median of
//! several rounds; CPU is that of the whole process, in the kernel too.

use std::path::PathBuf;
use std::sync::Barrier;
use std::time::{Duration, Instant};
use std::{fs, thread};

use kinesis_consumer::{
    BoxError, Durability, LocalStore, Position, SqliteStore, Store, StoreError,
};

const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_millis(1_200);
const THREADS: [usize; 2] = [1, 64];

fn main() -> Result<(), BoxError> {
    // Under target, not in a temporary directory, which may be memory without a flush.
    let directory =
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("commit-{}", std::process::id()));
    fs::create_dir_all(&directory)?;
    let sqlite = |name: &str, durability| {
        // No commit fails because 63 others are before it.
        let builder = SqliteStore::builder(directory.join(name)).durability(durability);
        builder.busy_timeout(Duration::from_secs(60)).open("bench")
    };
    let stores: [(&str, Box<dyn Store>); 3] = [
        ("LocalStore", Box::new(LocalStore::new())),
        ("SqliteStore, full", Box::new(sqlite("full", Durability::Full)?)),
        ("SqliteStore, normal", Box::new(sqlite("normal", Durability::Normal)?)),
    ];

    println!("{:<20} {:>7} {:>13} {:>15}", "store", "threads", "commits/s", "CPU µs/commit");
    let mut lines = Vec::new();
    for (name, store) in &stores {
        for threads in THREADS {
            let (rate, cpu) = median(store.as_ref(), threads)?;
            let cpu = cpu.map_or("-".to_owned(), |micros| format!("{micros:.2}"));
            println!("{name:<20} {threads:>7} {rate:>13.0} {cpu:>15}");
            let id = name.to_lowercase().replace(", ", "_");
            lines.push(format!("commit_{id}_{threads} commits_per_s={rate:.0} cpu_us={cpu}"));
        }
    }
    println!("\n{}", lines.join("\n"));
    drop(stores);
    Ok(fs::remove_dir_all(directory)?)
}

/// Commits a second, and microseconds of CPU for each, if the system reports it.
type Figures = (f64, Option<f64>);

fn median(store: &dyn Store, threads: usize) -> Result<Figures, StoreError> {
    // A stream of its own for each round, so that every position is ahead.
    let streams = (0..=ROUNDS).map(|round| format!("{threads}-{round}"));
    let mut rounds =
        streams.map(|stream| round(store, &stream, threads)).collect::<Result<Vec<_>, _>>()?;
    rounds.remove(0); // it warmed up
    rounds.sort_by(|a, b| a.0.total_cmp(&b.0));
    Ok(rounds[ROUNDS / 2])
}

fn round(store: &dyn Store, stream: &str, threads: usize) -> Result<Figures, StoreError> {
    let start = Barrier::new(threads + 1);
    thread::scope(|scope| {
        let commit = |thread: usize| {
            let shard = format!("shardId-{thread:012}");
            let mut number = 10_u128.pow(38);
            start.wait();
            let begin = Instant::now();
            let mut commits = 0;
            while begin.elapsed() < ROUND {
                number += 1;
                // As many digits as Amazon's numbers have.
                let sequence = format!("495903382714902566{number}");
                let to = Position::after(sequence.parse().expect("digits"));
                store.update_shard_iterator(stream, &shard, &to)?;
                commits += 1;
            }
            Ok(commits)
        };
        let workers: Vec<_> = (0..threads).map(|it| scope.spawn(move || commit(it))).collect();
        let before = cpu();
        start.wait();
        let begin = Instant::now();
        let results = workers.into_iter().map(|worker| worker.join().expect("no commit panics"));
        let commits = results.sum::<Result<u64, StoreError>>()? as f64;
        let rate = commits / begin.elapsed().as_secs_f64();
        let spent = before.zip(cpu()).map(|(before, after)| (after - before).as_secs_f64());
        Ok((rate, spent.map(|seconds| seconds * 1e6 / commits)))
    })
}

/// The CPU time of the process, to 10 ms; on Linux only.
fn cpu() -> Option<Duration> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name in parentheses may hold spaces. utime and stime are fields 14 and 15, in 1/100 s.
    let fields = stat.rsplit_once(')')?.1.split_whitespace();
    let ticks = fields.skip(11).take(2).map(|field| field.parse::<u64>().ok());
    Some(Duration::from_millis(10 * ticks.sum::<Option<u64>>()?))
}
