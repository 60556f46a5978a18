//! A server that answers every `GetRecords` alike, so that only the client is measured.

use std::io::{BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use kinesis_consumer::BoxError;

use crate::request::{head, response};
use crate::tls;

/// How much data an answer holds, about.
const ANSWER: usize = 1 << 20;

/// Serves, if that is what the program was started for: `--server SIZE SHARDS [CERTIFICATE]`.
pub(crate) fn asked(words: &[&str]) -> Option<Result<(), BoxError>> {
    let ["--server", size, shards, certificate @ ..] = words else { return None };
    let certificate = certificate.first().map(Path::new);
    let numbers = size.parse().and_then(|size| Ok((size, shards.parse()?)));
    Some(match numbers {
        Ok((size, shards)) => serve(size, shards, certificate),
        Err(error) => Err(error.into()),
    })
}

/// Serves a stream on a free port, and prints its address, until its standard input ends; then it prints how
/// many connections it has taken. Records of `size` bytes come by the megabyte, and none if it is 0; over TLS, if
/// there is a certificate.
fn serve(size: usize, shards: usize, certificate: Option<&Path>) -> Result<(), BoxError> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let acceptor = certificate.map(tls::acceptor).transpose()?;
    let scheme = if acceptor.is_some() { "https" } else { "http" };
    println!("{scheme}://{}", listener.local_addr()?);
    let (answers, taken) = (Arc::new(Answers::new(size, shards)), Arc::new(AtomicUsize::new(0)));
    let connections = Arc::clone(&taken);
    thread::Builder::new().name("accept".into()).spawn(move || {
        for client in listener.incoming().flatten() {
            let answers = Arc::clone(&answers);
            taken.fetch_add(1, Ordering::Relaxed);
            if client.set_nodelay(true).is_err() {
                continue; // it has gone away already
            }
            // A client that goes away ends its thread.
            let acceptor = acceptor.clone();
            let serve = move || match acceptor {
                None => answers.serve(client).ok(),
                Some(acceptor) => answers.serve(acceptor.accept(client).ok()?).ok(),
            };
            if let Err(error) = thread::Builder::new().stack_size(256 << 10).spawn(serve) {
                eprintln!("no thread for a connection: {error}");
            }
        }
    })?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    // Whoever does not want to know has closed the pipe.
    let _ = writeln!(std::io::stdout(), "{}", connections.load(Ordering::Relaxed));
    Ok(())
}

/// How many records one answer holds.
pub(crate) fn records_in_answer(size: usize) -> usize {
    ANSWER.checked_div(size).unwrap_or(0).min(10_000)
}

struct Answers {
    records: Vec<u8>,
    shards: Vec<u8>,
}

impl Answers {
    fn new(size: usize, shards: usize) -> Self {
        let data = base64_simd::STANDARD.encode_to_string(vec![b'x'; size]);
        let record = |number| {
            format!(
                r#"{{"SequenceNumber":"4959000000000000000000000000000000000000000000{number:010}","ApproximateArrivalTimestamp":1700000000.123,"Data":"{data}","PartitionKey":"key-{number:08}"}}"#
            )
        };
        let records: Vec<String> = (0..records_in_answer(size)).map(record).collect();
        let token = "A".repeat(224); // as long as Amazon's
        let records = format!(
            r#"{{"Records":[{}],"NextShardIterator":"{token}","MillisBehindLatest":0}}"#,
            records.join(",")
        );
        let step = u128::MAX / shards as u128;
        let last = shards - 1;
        let shard = |number: usize| {
            let start = step * number as u128;
            let end = if number == last { u128::MAX } else { start + step - 1 };
            format!(
                r#"{{"ShardId":"shardId-{number:012}","HashKeyRange":{{"StartingHashKey":"{start}","EndingHashKey":"{end}"}},"SequenceNumberRange":{{"StartingSequenceNumber":"1"}}}}"#
            )
        };
        let shards: Vec<String> = (0..shards).map(shard).collect();
        let shards = format!(r#"{{"Shards":[{}]}}"#, shards.join(","));
        Self { records: response(&records), shards: response(&shards) }
    }

    fn serve(&self, client: impl Read + Write) -> std::io::Result<()> {
        let mut from = BufReader::new(client);
        let mut body = Vec::new();
        while let Some((operation, length)) = head(&mut from)? {
            body.resize(length, 0);
            from.read_exact(&mut body)?;
            match operation.as_str() {
                "GetRecords" => from.get_mut().write_all(&self.records)?,
                "ListShards" => from.get_mut().write_all(&self.shards)?,
                _ => from.get_mut().write_all(&response(r#"{"ShardIterator":"first"}"#))?,
            }
        }
        Ok(())
    }
}
