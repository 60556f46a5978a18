//! The cost of reading: CPU time of the client for a million records, or a GB, compared with the least that any client
//! must spend, and with plain rusoto: `cargo bench --bench drain`, in five minutes.
//!
//! Each client and the server is a process of its own; they take turns, and a figure is the median of several
//! rounds. `-- --rounds N` sets how many (5). `-- --shards` measures this crate with 1 to 512 shards instead.

mod clients;
#[path = "../support/process.rs"]
mod process;
#[path = "../support/request.rs"]
mod request;
#[path = "../support/server.rs"]
mod server;
#[path = "../support/tls.rs"]
mod tls;

use std::path::Path;

use kinesis_consumer::BoxError;
use process::{Server, cpu_ticks, measure, peak_kib};

const CLIENTS: [&str; 3] = ["floor", "ours", "rusoto"];
const SHARDS: usize = 4;
/// Bytes of data in a record, how many records are read, and whether over TLS.
const CASES: [(&str, usize, usize, bool); 6] = [
    ("100B", 100, 4_000_000, false),
    ("1KiB", 1 << 10, 2_000_000, false),
    ("50KiB", 50 << 10, 60_000, false),
    ("100B-TLS", 100, 2_000_000, true),
    ("1KiB-TLS", 1 << 10, 1_000_000, true),
    ("50KiB-TLS", 50 << 10, 30_000, true),
];
/// How many shards are read, to show the cost of a record with more shards.
const MANY: [usize; 4] = [1, 8, 64, 512];
const MANY_RECORDS: usize = 4_000_000;

fn main() -> Result<(), BoxError> {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    if let Some(served) = server::asked(&words) {
        return served;
    }
    match words[..] {
        ["--client", client, address, shards, records] => {
            let (bytes, before) =
                clients::drain(client, address, shards.parse()?, records.parse()?)?;
            println!("{} {bytes} {}", cpu_ticks()? - before, peak_kib()?);
            Ok(())
        }
        [] => compare(5),
        ["--rounds", rounds] => compare(rounds.parse()?),
        ["--shards"] => shards(7),
        _ => Err("only --rounds N, or --shards".into()),
    }
}

/// The cost of one client.
#[derive(Clone, Copy, Debug)]
struct Figures {
    cpu_seconds: f64,
    bytes: f64,
    peak_mib: f64,
}

fn compare(rounds: usize) -> Result<(), BoxError> {
    println!(
        "{:<9} {:<7} {:>14} {:>10} {:>9} {:>10} {:>9}",
        "record", "client", "CPU s/million", "CPU s/GB", "x floor", "x rusoto", "peak MiB"
    );
    let directory = std::env::temp_dir().join(format!("drain-{}", std::process::id()));
    std::fs::create_dir(&directory)?;
    let trusted = tls::certificate(&directory)?;
    let mut lines = Vec::new();
    for (name, size, records, is_tls) in CASES {
        let certificate = is_tls.then_some(trusted.as_path());
        let mut runs = vec![Vec::new(); CLIENTS.len()];
        for _ in 0..rounds {
            for (client, runs) in CLIENTS.into_iter().zip(&mut runs) {
                runs.push(run(client, size, SHARDS, records, certificate)?);
            }
        }
        let medians: Vec<Figures> = runs.into_iter().map(median).collect();
        for (client, figures) in CLIENTS.into_iter().zip(&medians) {
            let of = |other: &Figures| {
                (figures.cpu_seconds / figures.bytes) / (other.cpu_seconds / other.bytes)
            };
            let (floor, rusoto) = (of(&medians[0]), of(&medians[2]));
            let million = figures.cpu_seconds / figures.bytes * size as f64 * 1e6;
            let gigabyte = figures.cpu_seconds / figures.bytes * 1e9;
            let peak = figures.peak_mib;
            println!(
                "{name:<9} {client:<7} {million:>14.2} {gigabyte:>10.2} {floor:>9.2} {rusoto:>10.2} {peak:>9.0}"
            );
            lines.push(format!("drain_{name}_{client} x_floor={floor:.3} x_rusoto={rusoto:.3} cpu_s_per_gb={gigabyte:.3} peak_mib={peak:.0}"));
        }
    }
    std::fs::remove_dir_all(directory)?;
    println!("\n{}", lines.join("\n"));
    Ok(())
}

/// The cost of a record of 1 KiB with this many shards: the least of several runs, since the machine is shared.
fn shards(rounds: usize) -> Result<(), BoxError> {
    println!("{:>6} {:>14} {:>9} {:>9}", "shards", "CPU s/million", "x least", "peak MiB");
    let mut figures: [Option<Figures>; MANY.len()] = [None; MANY.len()];
    for _ in 0..rounds {
        // In turns, since the machine's speed changes by the minute.
        for (shards, best) in MANY.into_iter().zip(&mut figures) {
            let run = run("warm", 1 << 10, shards, MANY_RECORDS, None)?;
            *best = Some(best.filter(|best| cost(best) < cost(&run)).unwrap_or(run));
        }
    }
    let figures = MANY.into_iter().zip(figures.into_iter().flatten());
    let figures: Vec<(usize, Figures)> = figures.collect();
    let least = figures.iter().map(|(_, it)| cost(it)).fold(f64::INFINITY, f64::min);
    for (shards, it) in figures {
        let (million, ratio) = (cost(&it) * 1_024.0 * 1e6, cost(&it) / least);
        let peak = it.peak_mib;
        println!("{shards:>6} {million:>14.2} {ratio:>9.2} {peak:>9.0}");
    }
    Ok(())
}

fn run(
    client: &str,
    size: usize,
    shards: usize,
    records: usize,
    certificate: Option<&Path>,
) -> Result<Figures, BoxError> {
    let server = Server::start(size, shards, certificate)?;
    let (shards, records) = (shards.to_string(), records.to_string());
    let numbers = measure(&["--client", client, server.address(), &shards, &records], certificate)?;
    server.stop()?;
    let [ticks, bytes, peak_kib] = numbers[..] else {
        return Err(format!("{client} said {numbers:?}").into());
    };
    Ok(Figures { cpu_seconds: ticks / 100.0, bytes, peak_mib: peak_kib / 1024.0 })
}

fn median(mut runs: Vec<Figures>) -> Figures {
    runs.sort_by(|a, b| cost(a).total_cmp(&cost(b)));
    runs[runs.len() / 2]
}

fn cost(run: &Figures) -> f64 {
    run.cpu_seconds / run.bytes
}
