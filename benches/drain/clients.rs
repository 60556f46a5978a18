//! The compared clients: this crate, the least that any client must do, and plain rusoto.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use crossbeam_channel::bounded;
use kinesis_consumer::{BoxError, Budget, Config, KinesisClient, LocalStore, Stream};
use rusoto_core::credential::StaticProvider;
use rusoto_core::{HttpClient, Region};
use rusoto_kinesis::{GetRecordsInput, Kinesis};
use serde::Deserialize;

use crate::process::cpu_ticks;
use crate::server::records_in_answer;
use crate::tls;

const STREAM: &str = "drain";

/// Reads this many records with the client of this name. Returns the bytes of their data, so that the read is not
/// optimized away, and the CPU used before, in hundredths of a second.
pub(crate) fn drain(
    client: &str,
    address: &str,
    shards: usize,
    records: usize,
) -> Result<(usize, u64), BoxError> {
    let bytes = match client {
        "ours" => return ours(address, records, 0),
        // When each shard was read once: what a shard costs at its start is another question.
        "warm" => return ours(address, records, shards * records_in_answer(1 << 10)),
        "floor" => on_threads(shards, || floor(address, records / shards))?,
        "rusoto" => rusoto(address, shards, records / shards)?,
        _ => return Err(format!("no client {client:?}").into()),
    };
    Ok((bytes, 0))
}

/// After this many records, which are not counted.
fn ours(address: &str, records: usize, warm: usize) -> Result<(usize, u64), BoxError> {
    let client = KinesisClient::builder()
        .endpoint(address)
        .region("us-east-1")
        .credentials("test", "test")
        .build()?;
    let config = Config::new().interval(Duration::ZERO).budget(Budget::new(Budget::MIN));
    let stream = Stream::new(client, STREAM, LocalStore::new(), config)?;
    let (batches, listener) = stream.receiver()?;
    let (mut read, mut bytes, mut before) = (0, 0, 0);
    for batch in &batches {
        if read < warm && read + batch.len() >= warm {
            (bytes, before) = (0, cpu_ticks()?);
        }
        bytes += batch.records().iter().map(|record| record.data().len()).sum::<usize>();
        read += batch.len();
        batch.commit()?;
        if read >= warm + records {
            break;
        }
    }
    listener.shutdown().now();
    listener.join()?;
    Ok((bytes, before))
}

fn on_threads(
    shards: usize,
    read: impl Fn() -> Result<usize, BoxError> + Send + Sync + Copy,
) -> Result<usize, BoxError> {
    thread::scope(|scope| {
        let threads: Vec<_> = (0..shards).map(|_| scope.spawn(read)).collect();
        let mut bytes = 0;
        for thread in threads {
            bytes += thread.join().map_err(|_| "a reader panicked")??;
        }
        Ok(bytes)
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer<'a> {
    #[serde(borrow)]
    records: Vec<Record<'a>>,
    next_shard_iterator: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
#[allow(dead_code, reason = "a client reads them, whatever it does with them")]
struct Record<'a> {
    sequence_number: &'a str,
    partition_key: &'a str,
    approximate_arrival_timestamp: f64,
    data: &'a str,
}

/// A socket, one buffer, a borrowing decoder, and a separate payload for each record, whose memory is reused for the
/// next answer; nothing is signed.
fn floor(address: &str, records: usize) -> Result<usize, BoxError> {
    let (scheme, address) = address.split_once("://").ok_or("no scheme")?;
    let to = TcpStream::connect(address)?;
    to.set_nodelay(true)?;
    match scheme {
        "https" => floor_over(tls::connect(to)?, address, records),
        _ => floor_over(to, address, records),
    }
}

fn floor_over(
    connection: impl Read + Write,
    address: &str,
    records: usize,
) -> Result<usize, BoxError> {
    let mut from = BufReader::with_capacity(64 << 10, connection);
    let (mut token, mut body, mut line) = ("first".to_owned(), Vec::new(), String::new());
    let mut payloads: Vec<Vec<u8>> = Vec::new();
    let (mut read, mut bytes) = (0, 0);
    while read < records {
        let input = format!(r#"{{"ShardIterator":"{token}","Limit":10000}}"#);
        let length = input.len();
        from.get_mut().write_all(format!("POST / HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/x-amz-json-1.1\r\nX-Amz-Target: Kinesis_20131202.GetRecords\r\nContent-Length: {length}\r\n\r\n{input}").as_bytes())?;
        let mut length = 0;
        loop {
            line.clear();
            from.read_line(&mut line)?;
            if line == "\r\n" {
                break;
            }
            if let Some(value) = line.strip_prefix("Content-Length: ") {
                length = value.trim_end().parse()?;
            }
        }
        if body.len() < length {
            body.resize(length, 0);
        }
        from.read_exact(&mut body[..length])?;
        let answer: Answer<'_> = serde_json::from_slice(&body[..length])?;
        read += answer.records.len();
        payloads.resize_with(payloads.len().max(answer.records.len()), Vec::new);
        for (record, payload) in answer.records.iter().zip(&mut payloads) {
            payload.clear();
            base64_simd::STANDARD.decode_append(record.data, payload)?;
            bytes += payload.len();
        }
        token = answer.next_shard_iterator.to_owned();
    }
    Ok(bytes)
}

/// A thread for each shard, each with the runtime that rusoto needs, and a channel.
fn rusoto(address: &str, shards: usize, share: usize) -> Result<usize, BoxError> {
    let (batches, queue) = bounded(16);
    thread::scope(|scope| {
        let readers: Vec<_> = (0..shards)
            .map(|_| {
                let batches = batches.clone();
                scope.spawn(move || rusoto_shard(address, share, &batches))
            })
            .collect();
        drop(batches);
        let bytes = |records: &Vec<rusoto_kinesis::Record>| {
            records.iter().map(|record| record.data.len()).sum::<usize>()
        };
        let total = queue.iter().map(|records| bytes(&records)).sum();
        for reader in readers {
            reader.join().map_err(|_| "a reader panicked")??;
        }
        Ok(total)
    })
}

fn rusoto_shard(
    address: &str,
    records: usize,
    batches: &crossbeam_channel::Sender<Vec<rusoto_kinesis::Record>>,
) -> Result<(), BoxError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let region = Region::Custom { name: "us-east-1".into(), endpoint: address.to_owned() };
    let credentials = StaticProvider::new_minimal("test".into(), "test".into());
    let client = rusoto_kinesis::KinesisClient::new_with(HttpClient::new()?, credentials, region);
    let (mut read, mut token) = (0, "first".to_owned());
    while read < records {
        let input = GetRecordsInput { limit: Some(10_000), shard_iterator: token };
        let answer = runtime.block_on(client.get_records(input))?;
        read += answer.records.len();
        token = answer.next_shard_iterator.unwrap_or_default();
        batches.send(answer.records)?;
    }
    Ok(())
}
