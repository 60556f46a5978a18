//! Reading a stream whose older shards are closed.

use kinesis_consumer::IteratorType;

use super::server::Case;
use super::stream::{TestStream, config};

pub(crate) fn closed_stream_parents_first(case: &Case) {
    let stream = TestStream::new(case, 1);
    let all = stream.grow_family(20);
    let shards = stream.admin().shards().unwrap();
    let config = || config().limit(7); // several answers for each shard
    for _ in 0..2 {
        let seen = stream.read_fresh(config(), all.len());
        seen.assert_is(all.clone());
        seen.assert_parents_first(&shards);
        assert_eq!(seen.ended.len(), 4, "{:?}", seen.ended);
    }
    let reader = stream.read(config());
    reader.wait_for(all.len());
    reader.stop().assert_is(all);
    stream.assert_resumes(config());
}

pub(crate) fn restart_at_every_batch(case: &Case) {
    let stream = TestStream::new(case, 1);
    let all = stream.grow_family(10);
    let (mut ids, mut runs) = (Vec::new(), 0);
    while ids.len() < all.len() {
        runs += 1;
        assert!(runs <= 100, "{} of {} were read", ids.len(), all.len());
        let reader = stream.read(config().limit(5).capacity(1));
        reader.wait(|seen| !seen.batches.is_empty());
        ids.extend(reader.stop_now().records.into_iter().map(|entry| entry.id));
    }
    ids.sort_unstable();
    assert_eq!(ids, all.collect::<Vec<_>>());
    assert!(runs >= 3, "{runs} runs");
    stream.assert_resumes(config());
}

pub(crate) fn latest_with_closed_parents(case: &Case) {
    let stream = TestStream::new(case, 1);
    stream.grow_family(10);
    let config = || config().iterator_type(IteratorType::Latest);
    let reader = stream.read(config());
    stream.store().wait_for(stream.name(), 2);
    let new = stream.put(20);
    reader.wait_for(20);
    let seen = reader.stop();
    seen.assert_is(new);
    assert!(seen.ended.is_empty(), "a closed shard was read: {:?}", seen.ended);

    // Born while nobody reads: none of it is older than the latest that was asked for.
    let old = stream.put(20);
    stream.split_first();
    let new = stream.put(20);
    let reader = stream.read(config());
    reader.wait_for(40);
    let seen = reader.stop();
    seen.assert_is(old.start..new.end);
    seen.assert_parents_first(&stream.admin().shards().unwrap());
    stream.assert_resumes(config());
}
