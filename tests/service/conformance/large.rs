//! Answers as large as they come.

use super::server::Case;
use super::stream::{TestStream, config};

/// Amazon's limits: the data of a record, and of an answer.
const RECORD: usize = 1_000_000;
const ANSWER: usize = 10 << 20;

pub(crate) fn ten_mebibyte_answers(case: &Case) {
    let stream = TestStream::new(case, 1);
    // One by one: some servers take a long time over a request of several megabytes.
    let all = (0..12).flat_map(|_| stream.put_sized(1, RECORD)).collect::<Vec<_>>();
    let reader = stream.read(config());
    reader.wait_for(all.len());
    let seen = reader.stop();
    seen.assert_is(all);
    let bytes: Vec<_> = seen.batches.iter().map(|(_, bytes)| *bytes).collect();
    assert_eq!(bytes.iter().sum::<usize>(), 12 * RECORD);
    let largest = bytes.into_iter().max().unwrap();
    assert!(largest >= 9 * RECORD, "the largest answer held {largest} bytes");
    stream.assert_resumes(config());
    case.check(largest <= ANSWER, format!("the largest answer held {largest} bytes"));
}
