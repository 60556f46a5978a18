//! What shards cost in which nothing happens: CPU and memory of a client that polls each of them once a
//! second, against the least that any client must spend: `cargo bench --bench idle`, in two minutes.
//!
//! `-- --rounds N` sets how many rounds a figure is the median of (3).

#[path = "../support/process.rs"]
mod process;
#[path = "../support/server.rs"]
mod server;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use kinesis_consumer::{BoxError, Config, KinesisClient, LocalStore, Stream};
use process::{again, cpu_ticks, peak_kib};

const CLIENTS: [&str; 2] = ["floor", "ours"];
const SHARDS: [usize; 2] = [500, 1_000];
const INTERVAL: Duration = Duration::from_secs(1);
/// First all connect; then it is measured.
const WARM: Duration = Duration::from_secs(3);
const MEASURED: Duration = Duration::from_secs(8);

fn main() -> Result<(), BoxError> {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["--server", shards] => server::serve(0, shards.parse()?),
        ["--client", client, address, shards] => idle(client, address, shards.parse()?),
        [] => compare(3),
        ["--rounds", rounds] => compare(rounds.parse()?),
        _ => Err("only --rounds N".into()),
    }
}

/// What one client took: hundredths of a second of CPU, KiB at most, and connections.
type Figures = [f64; 3];

fn compare(rounds: usize) -> Result<(), BoxError> {
    println!(
        "{:>6} {:<7} {:>9} {:>9} {:>9} {:>12}",
        "shards", "client", "% of core", "x floor", "RSS MiB", "connections"
    );
    let mut lines = Vec::new();
    for shards in SHARDS {
        let mut runs = vec![Vec::new(); CLIENTS.len()];
        for _ in 0..rounds {
            for (client, runs) in CLIENTS.into_iter().zip(&mut runs) {
                runs.push(run(client, shards)?);
            }
        }
        let medians: Vec<Figures> = runs.into_iter().map(median).collect();
        for (client, [ticks, peak, connections]) in CLIENTS.into_iter().zip(&medians) {
            let percent = ticks / MEASURED.as_secs_f64();
            let (cpu, memory) = (ticks / medians[0][0], peak / medians[0][1]);
            let mib = peak / 1024.0;
            println!(
                "{shards:>6} {client:<7} {percent:>9.1} {cpu:>9.2} {mib:>9.0} {connections:>12}"
            );
            lines.push(format!("idle_{shards}_{client} x_floor={cpu:.3} rss_x_floor={memory:.3} cpu_percent={percent:.2} rss_mib={mib:.1} connections={connections}"));
        }
    }
    println!("\n{}", lines.join("\n"));
    Ok(())
}

fn run(client: &str, shards: usize) -> Result<Figures, BoxError> {
    let shards = shards.to_string();
    let mut server = again(&["--server", &shards])?;
    let mut said = BufReader::new(server.stdout.take().ok_or("no output")?);
    let mut address = String::new();
    said.read_line(&mut address)?;
    let output = again(&["--client", client, address.trim_end(), &shards])?.wait_with_output()?;
    drop(server.stdin.take()); // which ends it
    let mut connections = String::new();
    said.read_to_string(&mut connections)?;
    server.wait()?;
    let text = String::from_utf8(output.stdout)? + &connections;
    let numbers: Result<Vec<f64>, _> = text.split_whitespace().map(str::parse).collect();
    let figures = numbers?.try_into();
    figures.map_err(|_| format!("{client} ended with {}", output.status).into())
}

fn median(mut runs: Vec<Figures>) -> Figures {
    runs.sort_by(|a, b| a[0].total_cmp(&b[0]));
    runs[runs.len() / 2]
}

/// Polls for a while, and says what that took.
fn idle(client: &str, address: &str, shards: usize) -> Result<(), BoxError> {
    let listener = match client {
        "ours" => Some(ours(address)?),
        _ => {
            (0..shards).try_for_each(|shard| floor(address, shard, shards))?;
            None
        }
    };
    thread::sleep(WARM);
    let before = cpu_ticks()?;
    thread::sleep(MEASURED);
    println!("{} {}", cpu_ticks()? - before, peak_kib()?);
    // The connections of the others end with the process.
    listener.map_or(Ok(()), |listener| {
        listener.shutdown().now();
        Ok(listener.join()?)
    })
}

fn ours(address: &str) -> Result<kinesis_consumer::Listener, BoxError> {
    let client = KinesisClient::builder()
        .endpoint(format!("http://{address}"))
        .region("us-east-1")
        .credentials("test", "test")
        .build()?;
    let config = Config::new().interval(INTERVAL);
    Ok(Stream::new(client, "idle", LocalStore::new(), config)?.spawn(|_| Ok(()))?)
}

/// A thread, a socket and a small buffer for a shard; nothing is signed, and hardly anything decoded.
fn floor(address: &str, shard: usize, shards: usize) -> Result<(), BoxError> {
    let mut to = TcpStream::connect(address)?;
    to.set_nodelay(true)?;
    let mut from = BufReader::new(to.try_clone()?);
    let token = "A".repeat(224);
    let input = format!(r#"{{"ShardIterator":"{token}","Limit":10000}}"#);
    let length = input.len();
    let request = format!(
        "POST / HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/x-amz-json-1.1\r\nX-Amz-Target: Kinesis_20131202.GetRecords\r\nContent-Length: {length}\r\n\r\n{input}"
    );
    let delay = INTERVAL * shard as u32 / shards as u32;
    let poll = move || -> std::io::Result<()> {
        thread::sleep(delay);
        let (mut line, mut body) = (String::new(), Vec::new());
        let mut next = Instant::now();
        loop {
            to.write_all(request.as_bytes())?;
            let mut length = 0;
            loop {
                line.clear();
                if from.read_line(&mut line)? <= 2 {
                    break;
                }
                if let Some(value) = line.strip_prefix("Content-Length: ") {
                    length = value.trim_end().parse().unwrap_or(0);
                }
            }
            body.resize(length, 0);
            from.read_exact(&mut body)?;
            let _: serde_json::Value = serde_json::from_slice(&body)?;
            next += INTERVAL;
            thread::sleep(next.saturating_duration_since(Instant::now()));
        }
    };
    // It ends with the process.
    thread::Builder::new().stack_size(64 << 10).spawn(poll)?;
    Ok(())
}
