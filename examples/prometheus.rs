//! Serves what a consumer does to Prometheus, on this machine alone: `cargo run --features metrics,testing --example
//! prometheus -- 9090`, then look at `http://127.0.0.1:9090/metrics`.
//!
//! Without a port it takes a free one, reads until all records are handled, prints what Prometheus would see, and
//! ends.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::ExitCode;

use kinesis_consumer::testing::MemoryKinesis;
use kinesis_consumer::{BoxError, Config, LocalStore, Stream};
use metrics_exporter_prometheus::PrometheusBuilder;

const RECORDS: usize = 1_000;

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
    let port = std::env::args().nth(1).map(|port| port.parse()).transpose()?;
    // A port that was free a moment ago.
    let free = || Ok::<_, BoxError>(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port());
    let address = SocketAddr::from(([127, 0, 0, 1], port.map_or_else(free, Ok)?));
    PrometheusBuilder::new().with_http_listener(address).install()?;
    eprintln!("http://{address}/metrics");

    // In production: `KinesisClient::new()?`.
    let kinesis = MemoryKinesis::new();
    kinesis.create_stream("orders", 2);
    for number in 0..RECORDS {
        kinesis.put("orders", &format!("customer-{number}"), b"one espresso");
    }
    let stream = Stream::new(kinesis, "orders", LocalStore::new(), Config::new().limit(100))?;
    let (shutdown, mut handled) = (stream.shutdown(), 0);
    stream.listen(|batch| {
        handled += batch.len();
        if handled == RECORDS && port.is_none() {
            shutdown.now();
        }
        Ok(())
    })?;

    let mut scrape = TcpStream::connect(address)?;
    write!(scrape, "GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut seen = String::new();
    scrape.read_to_string(&mut seen)?;
    let numbers = seen.lines().filter(|line| line.starts_with("kinesis_"));
    numbers.for_each(|line| println!("{line}"));
    Ok(())
}
