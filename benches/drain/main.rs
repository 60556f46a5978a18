//! What reading costs: CPU time of the client for a million records, or a GB, against the least that any
//! client must spend, and against rusoto as it comes: `cargo bench --bench drain`, in two minutes.
//!
//! Each client and the server is a process of its own; they take turns, and a figure is the median of several
//! rounds. `-- --rounds N` sets how many (5).

mod clients;
#[path = "../support/process.rs"]
mod process;
#[path = "../support/server.rs"]
mod server;

use std::io::{BufRead, BufReader};

use kinesis_consumer::BoxError;
use process::{again, cpu_ticks, peak_kib};

const CLIENTS: [&str; 3] = ["floor", "ours", "rusoto"];
/// Bytes of data in a record, and how many records are read.
const CASES: [(&str, usize, usize); 3] =
    [("100B", 100, 4_000_000), ("1KiB", 1 << 10, 2_000_000), ("50KiB", 50 << 10, 60_000)];

fn main() -> Result<(), BoxError> {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["--server", size] => server::serve(size.parse()?, clients::SHARDS),
        ["--client", client, address, records] => {
            let bytes = clients::drain(client, address, records.parse()?)?;
            println!("{} {bytes} {}", cpu_ticks()?, peak_kib()?);
            Ok(())
        }
        [] => compare(5),
        ["--rounds", rounds] => compare(rounds.parse()?),
        _ => Err("only --rounds N".into()),
    }
}

/// What one client took.
#[derive(Clone, Copy, Debug)]
struct Figures {
    cpu_seconds: f64,
    bytes: f64,
    peak_mib: f64,
}

fn compare(rounds: usize) -> Result<(), BoxError> {
    println!(
        "{:<7} {:<7} {:>14} {:>10} {:>9} {:>10} {:>9}",
        "record", "client", "CPU s/million", "CPU s/GB", "x floor", "x rusoto", "peak MiB"
    );
    let mut lines = Vec::new();
    for (name, size, records) in CASES {
        let mut runs = vec![Vec::new(); CLIENTS.len()];
        for _ in 0..rounds {
            for (client, runs) in CLIENTS.into_iter().zip(&mut runs) {
                runs.push(run(client, size, records)?);
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
                "{name:<7} {client:<7} {million:>14.2} {gigabyte:>10.2} {floor:>9.2} {rusoto:>10.2} {peak:>9.0}"
            );
            lines.push(format!("drain_{name}_{client} x_floor={floor:.3} x_rusoto={rusoto:.3} cpu_s_per_gb={gigabyte:.3} peak_mib={peak:.0}"));
        }
    }
    println!("\n{}", lines.join("\n"));
    Ok(())
}

fn run(client: &str, size: usize, records: usize) -> Result<Figures, BoxError> {
    let mut server = again(&["--server", &size.to_string()])?;
    let mut address = String::new();
    BufReader::new(server.stdout.take().ok_or("no output")?).read_line(&mut address)?;
    let output = again(&["--client", client, address.trim_end(), &records.to_string()])?
        .wait_with_output()?;
    drop(server.stdin.take()); // which ends it
    server.wait()?;
    let text = String::from_utf8(output.stdout)?;
    let numbers: Result<Vec<f64>, _> = text.split_whitespace().map(str::parse).collect();
    let [ticks, bytes, peak_kib] = numbers?[..] else {
        return Err(format!("{client} ended with {}", output.status).into());
    };
    Ok(Figures { cpu_seconds: ticks / 100.0, bytes, peak_mib: peak_kib / 1024.0 })
}

fn median(mut runs: Vec<Figures>) -> Figures {
    let cost = |run: &Figures| run.cpu_seconds / run.bytes;
    runs.sort_by(|a, b| cost(a).total_cmp(&cost(b)));
    runs[runs.len() / 2]
}
