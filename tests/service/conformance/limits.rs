//! How many records an answer holds.

use super::server::Case;
use super::stream::{TestStream, config};

pub(crate) fn limit_1(case: &Case) {
    let sizes = read_all(case, 1, 20);
    assert_eq!(sizes, [1; 20]);
}

pub(crate) fn limit_7(case: &Case) {
    let sizes = read_all(case, 7, 50);
    assert_eq!(sizes, [7, 7, 7, 7, 7, 7, 7, 1]);
}

pub(crate) fn limit_10000(case: &Case) {
    let sizes = read_all(case, 10_000, 10_200);
    assert_eq!(sizes, [10_000, 200]);
}

/// Reads what one shard holds before reading begins; the sizes of the batches.
fn read_all(case: &Case, limit: u32, records: usize) -> Vec<usize> {
    let stream = TestStream::new(case, 1);
    let all = stream.put(records);
    let reader = stream.read(config().limit(limit));
    reader.wait_for(records);
    let seen = reader.stop();
    seen.assert_is(all);
    stream.assert_resumes(config().limit(limit));
    seen.batches.into_iter().map(|(records, _)| records).collect()
}
