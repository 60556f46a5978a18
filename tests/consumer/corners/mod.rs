//! The corners of reading a stream, each made to happen to a whole consumer.

mod errors;
mod gaps;
mod gate;
mod lineage;
mod resuming;
mod server;
mod sqlite;
mod start;
mod stores;

use std::collections::BTreeMap;

use kinesis_consumer::{Error, Gap, SequenceNumber, Stream};

use crate::common::{SOON, numbers, until};

/// What a batch said.
#[derive(Debug)]
struct Seen {
    shard: String,
    numbers: Vec<usize>,
    ends: bool,
    gap: Option<Gap>,
}

/// Reads, and commits each batch, until `enough` says so; it is asked after each commit.
///
/// # Panics
/// If nothing comes for a while, or the records of a shard are out of order.
fn read(stream: Stream, mut enough: impl FnMut(&[Seen]) -> bool) -> Vec<Seen> {
    let (batches, listener) = stream.receiver().unwrap();
    let (mut seen, mut last) = (Vec::new(), BTreeMap::new());
    loop {
        let Ok(batch) = batches.recv_timeout(SOON) else {
            listener.shutdown().now();
            panic!("{:?} after {seen:?}", listener.join());
        };
        for record in batch.records() {
            let number: SequenceNumber = record.sequence_number().parse().unwrap();
            let before = last.insert(batch.shard().to_owned(), number.clone());
            assert!(before < Some(number), "{} is out of order", batch.shard());
        }
        batch.commit().unwrap();
        let gap = batch.gap().cloned();
        let (shard, ends) = (batch.shard().to_owned(), batch.ends_shard());
        seen.push(Seen { shard, numbers: numbers(&batch), ends, gap });
        if enough(&seen) {
            break;
        }
    }
    listener.shutdown().now();
    listener.join().unwrap();
    seen
}

/// Every record, in the order in which they came.
fn all(seen: &[Seen]) -> Vec<usize> {
    seen.iter().flat_map(|seen| seen.numbers.iter().copied()).collect()
}

fn sorted(seen: &[Seen]) -> Vec<usize> {
    let mut all = all(seen);
    all.sort_unstable();
    all
}

fn up_to(records: usize) -> impl FnMut(&[Seen]) -> bool {
    move |seen| all(seen).len() >= records
}

/// The first batch of a shard comes after the last one of another.
fn assert_after(seen: &[Seen], child: &str, parent: &str) {
    let begun = seen.iter().position(|seen| seen.shard == child).expect("the child is read");
    let ended = seen.iter().position(|seen| seen.shard == parent && seen.ends);
    assert!(
        ended.is_some_and(|ended| ended < begun),
        "{child} before the end of {parent}: {seen:?}"
    );
}

/// The error that reading ends with.
fn failure(stream: Stream) -> Error {
    let listener = stream.spawn(|_| Ok(())).unwrap();
    until("reading fails", || listener.is_finished());
    listener.join().unwrap_err()
}
