//! Splits and merges while the stream is read.

use kinesis_consumer::{Call, ChildShard, Client, IteratorType};

use super::reader::{Door, Reader};
use super::server::Case;
use super::stream::{TestStream, config};

pub(crate) fn reshard_at_listen(case: &Case) {
    reshard_at(case, Door::Listen);
}

pub(crate) fn reshard_at_spawn(case: &Case) {
    reshard_at(case, Door::Spawn);
}

pub(crate) fn reshard_at_receiver(case: &Case) {
    reshard_at(case, Door::Receiver);
}

/// Split, merge, split again, with records before, meanwhile and after.
fn reshard_at(case: &Case, door: Door) {
    let stream = TestStream::new(case, 2);
    let reader = Reader::start(stream.consumer(config()), door);
    for merges in [false, true, false] {
        stream.put(20);
        let open = stream.admin().open_shards().unwrap();
        match merges {
            true => stream.admin().begin_merge(&open[0], &open[1]).unwrap(),
            false => stream.admin().begin_split(&open[0]).unwrap(),
        }
        stream.put(20); // some of it may still go to the shards that close
        stream.admin().wait_until_active().unwrap();
        reader.wait_for(stream.put(20).end);
    }
    let shards = stream.admin().shards().unwrap();
    assert_eq!(shards.len(), 7);
    let seen = reader.stop();
    seen.assert_is(0..180);
    assert_eq!(seen.ended.len(), 4, "{:?}", seen.ended);
    seen.assert_parents_first(&shards);
    stream.assert_resumes(config());
}

pub(crate) fn child_shards(case: &Case) {
    let stream = TestStream::new(case, 1);
    let reader = stream.read(config());
    let old = stream.put(20);
    stream.split_first();
    let new = stream.put(20);
    reader.wait_for(40);
    let seen = reader.stop();
    seen.assert_is(old.start..new.end);
    seen.assert_parents_first(&stream.admin().shards().unwrap());
    stream.assert_resumes(config());

    let mut children = announced(&stream, &seen.ended[0].0);
    let keys = |child: &ChildShard| child.hash_keys.unwrap();
    children.sort_by_key(|child| keys(child).start);
    let is_announced = match &children[..] {
        [low, high] => {
            assert!(keys(low).start == 0 && keys(high).end == u128::MAX, "{children:?}");
            assert_eq!((low.parents.len(), high.parents.len()), (1, 1));
            true
        }
        [] => false,
        _ => panic!("{children:?}"),
    };
    case.check(is_announced, "the last answer announces the children");
}

/// The children that the last answer of a closed shard tells.
fn announced(stream: &TestStream, shard: &str) -> Vec<ChildShard> {
    let (client, call) = (stream.client(), Call::unbounded());
    let at = IteratorType::TrimHorizon;
    let iterator = client.get_shard_iterator(stream.name(), shard, &at, &call).unwrap();
    let mut token = iterator.token;
    for _ in 0..20 {
        let answer = client.get_records(&token, 10_000, &call).unwrap();
        match answer.next {
            Some(next) => token = next,
            None => return answer.children,
        }
    }
    panic!("{shard} came to no end");
}
