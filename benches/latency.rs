//! How long a record takes from the server to the handler: `cargo bench --bench latency`, in half a minute.
//!
//! A record arrives each 50 ms. The server takes 20 ms for an answer; a record that arrives in that time waits for the
//! next call; calls are 200 ms apart. So a record comes after 20 ms at the earliest, and after 220 ms at the latest.

#[path = "support/request.rs"]
mod request;

use std::io::{BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use kinesis_consumer::{BoxError, Config, KinesisClient, LocalStore, Stream};
use request::{head, response};

const EVERY: Duration = Duration::from_millis(50);
const SERVER: Duration = Duration::from_millis(20);
const INTERVAL: Duration = Duration::from_millis(200);
const RECORDS: usize = 600;

fn main() -> Result<(), BoxError> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let endpoint = format!("http://{}", listener.local_addr()?);
    let started = Instant::now();
    // They end with the process.
    thread::Builder::new().name("accept".into()).spawn(move || {
        for client in listener.incoming().flatten() {
            let serve = move || serve(client, started).ok();
            if let Err(error) = thread::Builder::new().spawn(serve) {
                eprintln!("no thread for a connection: {error}");
            }
        }
    })?;
    let client = KinesisClient::builder()
        .endpoint(endpoint)
        .region("us-east-1")
        .credentials("test", "test")
        .build()?;
    let config = Config::new().interval(INTERVAL);
    let stream = Stream::new(client, "latency", LocalStore::new(), config)?;
    let shutdown = stream.shutdown();
    let mut took = Vec::new();
    stream.listen(|batch| {
        for record in batch.records() {
            let number: u32 = record.sequence_number().parse()?;
            took.push(started.elapsed().saturating_sub(EVERY * number));
        }
        if took.len() >= RECORDS {
            shutdown.now();
        }
        Ok(())
    })?;
    took.sort();
    let at = |percent: usize| took[(took.len() - 1) * percent / 100].as_secs_f64() * 1e3;
    let (median, p99, most) = (at(50), at(99), at(100));
    let over = p99 - (INTERVAL + SERVER).as_secs_f64() * 1e3;
    println!("{:>8} {:>9} {:>9} {:>9}", "records", "p50 ms", "p99 ms", "most ms");
    println!("{:>8} {median:>9.1} {p99:>9.1} {most:>9.1}", took.len());
    println!(
        "\nlatency p50_ms={median:.2} p99_ms={p99:.2} max_ms={most:.2} p99_over_interval_and_server_ms={over:.2}"
    );
    Ok(())
}

/// Answers with the records that have arrived when the request comes, after a while.
fn serve(client: TcpStream, started: Instant) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    let (mut to, mut from) = (client.try_clone()?, BufReader::new(client));
    let (mut body, mut sent) = (Vec::new(), 0);
    while let Some((operation, length)) = head(&mut from)? {
        body.resize(length, 0);
        from.read_exact(&mut body)?;
        let text = match operation.as_str() {
            "GetRecords" => {
                let arrived = (started.elapsed().as_nanos() / EVERY.as_nanos()) as usize;
                let record = |number: usize| {
                    format!(r#"{{"SequenceNumber":"{number}","PartitionKey":"key","Data":""}}"#)
                };
                let records: Vec<_> = (sent + 1..=arrived).map(record).collect();
                sent = arrived;
                thread::sleep(SERVER);
                let records = records.join(",");
                format!(
                    r#"{{"Records":[{records}],"NextShardIterator":"n","MillisBehindLatest":0}}"#
                )
            }
            "ListShards" => SHARD.to_owned(),
            _ => r#"{"ShardIterator":"first"}"#.to_owned(),
        };
        to.write_all(&response(&text))?;
    }
    Ok(())
}

const SHARD: &str = r#"{"Shards":[{"ShardId":"shardId-000000000000","HashKeyRange":{"StartingHashKey":"0","EndingHashKey":"340282366920938463463374607431768211455"},"SequenceNumberRange":{"StartingSequenceNumber":"1"}}]}"#;
