//! Memory of a consumer whose handler does not keep up: 64 shards of 50 KiB records, a budget of 32 MiB, for a
//! minute: `cargo bench --bench memory`. It fails if the manual's formula does not hold.
//!
//! `-- --seconds N` sets how long.

#[path = "../support/process.rs"]
mod process;
#[path = "../support/request.rs"]
mod request;
#[path = "../support/server.rs"]
mod server;
#[allow(dead_code, reason = "only what its server may need")]
#[path = "../support/tls.rs"]
mod tls;

use std::thread;
use std::time::{Duration, Instant};

use kinesis_consumer::{BoxError, Budget, Config, KinesisClient, LocalStore, Stream};
use process::{Server, cpu_ticks, measure, peak_kib};

const RECORD: usize = 50 << 10;
const BUDGET: usize = 32 << 20;
/// The parts of the formula, in MiB but for the first.
/// With the buffers that are kept for the next answers.
const SPARES: f64 = 1.25;
const PER_SHARD: f64 = 0.25;
const PROCESS: f64 = 24.0;
/// How many shards, and how long the handler takes for a batch of a megabyte.
const CASES: [(usize, Duration); 2] =
    [(64, Duration::from_millis(50)), (4, Duration::from_millis(1))];

fn main() -> Result<(), BoxError> {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    if let Some(served) = server::asked(&words) {
        return served;
    }
    match words[..] {
        ["--client", address, millis, seconds] => {
            let (millis, seconds) = (millis.parse()?, seconds.parse()?);
            read(address, Duration::from_millis(millis), Duration::from_secs(seconds))
        }
        [] => compare(60),
        ["--seconds", seconds] => compare(seconds.parse()?),
        _ => Err("only --seconds N".into()),
    }
}

fn compare(seconds: u64) -> Result<(), BoxError> {
    let columns = ["shards", "seconds", "batches", "used MiB", "peak RSS", "formula", "CPU s"];
    println!("{}", columns.map(|column| format!("{column:>9}")).join(" "));
    let mut lines = Vec::new();
    for (shards, handling) in CASES {
        let server = Server::start(RECORD, shards, None)?;
        let (millis, time) = (handling.as_millis().to_string(), seconds.to_string());
        let said = measure(&["--client", server.address(), &millis, &time], None)?;
        server.stop()?;
        let [batches, used, peak, ticks] = said[..] else { return Err("no figures".into()) };
        let formula =
            SPARES * BUDGET as f64 / f64::from(1 << 20) + shards as f64 * PER_SHARD + PROCESS;
        let (used, peak, cpu) = (used / f64::from(1 << 20), peak / 1_024.0, ticks / 100.0);
        println!(
            "{shards:>9} {seconds:>9} {batches:>9} {used:>9.1} {peak:>9.1} {formula:>9.1} {cpu:>9.2}"
        );
        lines.push(format!(
            "memory_{shards} peak_rss_mib={peak:.1} formula_mib={formula:.1} x_formula={:.3}",
            peak / formula
        ));
        if peak > formula {
            return Err(format!("{peak:.1} MiB is more than the formula's {formula:.1}").into());
        }
    }
    println!("\n{}", lines.join("\n"));
    Ok(())
}

/// Reads for this long, and prints how many batches came, how much of the budget was used at most, the peak of all
/// memory, and the CPU time.
fn read(address: &str, handling: Duration, time: Duration) -> Result<(), BoxError> {
    let client = KinesisClient::builder()
        .endpoint(address)
        .region("us-east-1")
        .credentials("test", "test")
        .build()?;
    let budget = Budget::new(BUDGET);
    let config = Config::new().interval(Duration::ZERO).capacity(10_000).budget(budget.clone());
    let stream = Stream::new(client, "memory", LocalStore::new(), config)?;
    let (batches, listener) = stream.receiver()?;
    let (started, mut read, mut most) = (Instant::now(), 0, 0);
    for batch in &batches {
        thread::sleep(handling);
        most = most.max(budget.used());
        read += 1;
        batch.commit()?;
        if started.elapsed() > time {
            break;
        }
    }
    drop((batches, listener));
    println!("{read} {most} {} {}", peak_kib()?, cpu_ticks()?);
    Ok(())
}
