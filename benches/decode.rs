//! The cost of decoding an answer, compared with rusoto's decoder of the same text: `cargo bench --bench decode`, in
//! ten seconds.
//!
//! Answers of a megabyte; the least of several rounds in turns, as the machine is shared.

use std::hint::black_box;
use std::time::Instant;

use kinesis_consumer::{Answer, BoxError};
use rusoto_kinesis::GetRecordsOutput;

const ROUNDS: usize = 15;
const ANSWER: usize = 1 << 20;
/// Answers that are decoded for one figure.
const TIMES: usize = 20;

fn main() -> Result<(), BoxError> {
    println!("{:<7} {:>9} {:>11} {:>9}", "record", "ours MB/s", "rusoto MB/s", "x rusoto");
    let mut lines = Vec::new();
    for (name, size) in [("100B", 100), ("1KiB", 1 << 10), ("50KiB", 50 << 10)] {
        let body = answer(size);
        let (mut ours, mut rusoto) = (f64::INFINITY, f64::INFINITY);
        for _ in 0..ROUNDS {
            ours = ours.min(time(|| Ok(Answer::from_json(&body)?.records.len()))?);
            rusoto = rusoto.min(time(|| {
                Ok(serde_json::from_slice::<GetRecordsOutput>(&body)?.records.len())
            })?);
        }
        let speed = |seconds: f64| (body.len() * TIMES) as f64 / seconds / 1e6;
        let ratio = ours / rusoto;
        println!("{name:<7} {:>9.0} {:>11.0} {ratio:>9.2}", speed(ours), speed(rusoto));
        lines.push(format!("decode_{name} x_rusoto={ratio:.3}"));
    }
    println!("\n{}", lines.join("\n"));
    Ok(())
}

/// How many seconds it takes to decode this [`TIMES`] times.
fn time(decode: impl Fn() -> Result<usize, BoxError>) -> Result<f64, BoxError> {
    let started = Instant::now();
    for _ in 0..TIMES {
        black_box(decode()?);
    }
    Ok(started.elapsed().as_secs_f64())
}

fn answer(size: usize) -> Vec<u8> {
    let data = base64_simd::STANDARD.encode_to_string(vec![b'x'; size]);
    let record = |number: usize| {
        format!(
            r#"{{"SequenceNumber":"4959000000000000000000000000000000000000000000{number:010}","ApproximateArrivalTimestamp":1700000000.123,"Data":"{data}","PartitionKey":"key-{number:08}"}}"#
        )
    };
    let records: Vec<String> = (0..(ANSWER / size).min(10_000)).map(record).collect();
    let records = records.join(",");
    let text =
        format!(r#"{{"Records":[{records}],"NextShardIterator":"token","MillisBehindLatest":0}}"#);
    text.into_bytes()
}
