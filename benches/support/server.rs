//! A server that answers every `GetRecords` alike, so that the client is what is measured.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use kinesis_consumer::BoxError;

/// How much data an answer holds, about.
const ANSWER: usize = 1 << 20;

/// Serves a stream on a free port, which it prints, until its standard input ends; then it prints how many
/// connections it has taken. Records of `size` bytes come by the megabyte, and none if it is 0.
pub(crate) fn serve(size: usize, shards: usize) -> Result<(), BoxError> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?);
    let (answers, taken) = (Arc::new(Answers::new(size, shards)), Arc::new(AtomicUsize::new(0)));
    let connections = Arc::clone(&taken);
    thread::Builder::new().name("accept".into()).spawn(move || {
        for client in listener.incoming().flatten() {
            let answers = Arc::clone(&answers);
            taken.fetch_add(1, Ordering::Relaxed);
            // A client that goes away ends its thread.
            let serve = move || answers.serve(client).ok();
            if let Err(error) = thread::Builder::new().stack_size(128 << 10).spawn(serve) {
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

    fn serve(&self, client: TcpStream) -> std::io::Result<()> {
        client.set_nodelay(true)?;
        let (mut to, mut from) = (client.try_clone()?, BufReader::new(client));
        let mut body = Vec::new();
        while let Some((operation, length)) = head(&mut from)? {
            body.resize(length, 0);
            from.read_exact(&mut body)?;
            match operation.as_str() {
                "GetRecords" => to.write_all(&self.records)?,
                "ListShards" => to.write_all(&self.shards)?,
                _ => to.write_all(&response(r#"{"ShardIterator":"first"}"#))?,
            }
        }
        Ok(())
    }
}

/// Which operation a request is for, and how long its body is; `None` at the end of the connection.
fn head(from: &mut impl BufRead) -> std::io::Result<Option<(String, usize)>> {
    let (mut operation, mut length, mut line) = (String::new(), 0, String::new());
    loop {
        line.clear();
        if from.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            if line == "\r\n" {
                return Ok(Some((operation, length)));
            }
            continue; // the request line
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().unwrap_or(0),
            "x-amz-target" => operation = value.rsplit('.').next().unwrap_or_default().to_owned(),
            _ => {}
        }
    }
}

fn response(body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.1\r\nx-amzn-RequestId: 00000000-0000-0000-0000-000000000000\r\nDate: Tue, 14 Nov 2023 22:13:20 GMT\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}
