//! The cost of idle shards: CPU and memory of a client that polls each of them once a second, compared with the least
//! that any client must spend: `cargo bench --bench idle`, in five minutes.
//!
//! `-- --rounds N` sets how many rounds a figure is the median of (3).

#[path = "../support/process.rs"]
mod process;
#[path = "../support/request.rs"]
mod request;
#[path = "../support/server.rs"]
mod server;
#[path = "../support/tls.rs"]
mod tls;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use kinesis_consumer::{BoxError, Config, KinesisClient, LocalStore, Stream};
use process::{Server, cpu_ticks, measure, peak_kib};

const CLIENTS: [&str; 2] = ["floor", "ours"];
/// How many, and whether over TLS.
const CASES: [(usize, bool); 4] = [(500, false), (1_000, false), (500, true), (1_000, true)];
const INTERVAL: Duration = Duration::from_secs(1);
/// First all connect; then it is measured.
const WARM: Duration = Duration::from_secs(3);
const MEASURED: Duration = Duration::from_secs(8);

fn main() -> Result<(), BoxError> {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    if let Some(served) = server::asked(&words) {
        return served;
    }
    match words[..] {
        ["--client", client, address, shards] => idle(client, address, shards.parse()?),
        [] => compare(3),
        ["--rounds", rounds] => compare(rounds.parse()?),
        _ => Err("only --rounds N".into()),
    }
}

/// The cost of one client: hundredths of a second of CPU, KiB at most, and connections.
type Figures = [f64; 3];

fn compare(rounds: usize) -> Result<(), BoxError> {
    println!(
        "{:>9} {:<7} {:>9} {:>9} {:>9} {:>9} {:>12}",
        "shards", "client", "% of core", "x floor", "RSS MiB", "x floor", "connections"
    );
    let directory = std::env::temp_dir().join(format!("idle-{}", std::process::id()));
    std::fs::create_dir(&directory)?;
    let trusted = tls::certificate(&directory)?;
    let mut lines = Vec::new();
    for (shards, is_tls) in CASES {
        let certificate = is_tls.then_some(trusted.as_path());
        let name = format!("{shards}{}", if is_tls { "-TLS" } else { "" });
        let mut runs = vec![Vec::new(); CLIENTS.len()];
        for _ in 0..rounds {
            for (client, runs) in CLIENTS.into_iter().zip(&mut runs) {
                runs.push(run(client, shards, certificate)?);
            }
        }
        let medians: Vec<Figures> = runs.into_iter().map(median).collect();
        for (client, [ticks, peak, connections]) in CLIENTS.into_iter().zip(&medians) {
            let percent = ticks / MEASURED.as_secs_f64();
            let (cpu, memory) = (ticks / medians[0][0], peak / medians[0][1]);
            let mib = peak / 1024.0;
            println!(
                "{name:>9} {client:<7} {percent:>9.1} {cpu:>9.2} {mib:>9.0} {memory:>9.2} {connections:>12}"
            );
            lines.push(format!("idle_{name}_{client} x_floor={cpu:.3} rss_x_floor={memory:.3} cpu_percent={percent:.2} rss_mib={mib:.1} connections={connections}"));
        }
    }
    std::fs::remove_dir_all(directory)?;
    println!("\n{}", lines.join("\n"));
    Ok(())
}

fn run(client: &str, shards: usize, certificate: Option<&Path>) -> Result<Figures, BoxError> {
    let server = Server::start(0, shards, certificate)?;
    let shards = shards.to_string();
    let mut figures = measure(&["--client", client, server.address(), &shards], certificate)?;
    figures.push(server.stop()?);
    figures.try_into().map_err(|said| format!("{client} said {said:?}").into())
}

fn median(mut runs: Vec<Figures>) -> Figures {
    runs.sort_by(|a, b| a[0].total_cmp(&b[0]));
    runs[runs.len() / 2]
}

/// Polls for a while, and prints the cost.
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
        .endpoint(address)
        .region("us-east-1")
        .credentials("test", "test")
        .build()?;
    let config = Config::new().interval(INTERVAL);
    Ok(Stream::new(client, "idle", LocalStore::new(), config)?.spawn(|_| Ok(()))?)
}

/// A thread, a socket and a small buffer for a shard; nothing is signed, and hardly anything decoded.
fn floor(address: &str, shard: usize, shards: usize) -> Result<(), BoxError> {
    let (scheme, address) = address.split_once("://").ok_or("no scheme")?;
    let to = TcpStream::connect(address)?;
    to.set_nodelay(true)?;
    let delay = INTERVAL * shard as u32 / shards as u32;
    let request = request(address);
    // It ends with the process.
    let thread = thread::Builder::new().stack_size(64 << 10);
    match scheme {
        "https" => {
            let to = tls::connect(to)?;
            thread.spawn(move || poll(to, &request, delay))?;
        }
        _ => {
            thread.spawn(move || poll(to, &request, delay))?;
        }
    }
    Ok(())
}

fn request(address: &str) -> String {
    let token = "A".repeat(224);
    let input = format!(r#"{{"ShardIterator":"{token}","Limit":10000}}"#);
    let length = input.len();
    format!(
        "POST / HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/x-amz-json-1.1\r\nX-Amz-Target: Kinesis_20131202.GetRecords\r\nContent-Length: {length}\r\n\r\n{input}"
    )
}

fn poll(connection: impl Read + Write, request: &str, delay: Duration) -> std::io::Result<()> {
    thread::sleep(delay);
    let mut from = BufReader::new(connection);
    let (mut line, mut body) = (String::new(), Vec::new());
    let mut next = Instant::now();
    loop {
        from.get_mut().write_all(request.as_bytes())?;
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
}
