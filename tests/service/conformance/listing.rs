//! Finding the shards of a stream.

use std::collections::BTreeSet;
use std::time::Duration;

use kinesis_consumer::{Call, Client, Error, ErrorClass};

use super::server::Case;
use super::stream::{TestStream, config};

/// More than a page holds: kinesis-local gives 100 if it is not told.
const MANY: usize = 120;

pub(crate) fn pages_of_shards(case: &Case) {
    let stream = TestStream::new(case, MANY as i64);
    let (client, call) = (stream.client(), Call::unbounded());
    let first = client.list_shards(stream.name(), None, &call).unwrap();
    case.check(first.shards.len() < MANY && first.next_token.is_some(), "there are several pages");

    let mut consumer = stream.consumer(config());
    let shards = consumer.shards().unwrap();
    let ids: BTreeSet<_> = shards.iter().map(|shard| shard.id().to_owned()).collect();
    assert_eq!((shards.len(), ids.len()), (MANY, MANY));

    let all = stream.put(500);
    let config = || config().interval(Duration::from_secs(5)); // a hundred shards are many calls
    let reader = stream.read(config());
    reader.wait_for(all.len());
    let seen = reader.stop();
    assert!(seen.by_shard().len() > 100, "{} shards were read", seen.by_shard().len());
    seen.assert_is(all);
    stream.assert_resumes(config());
}

pub(crate) fn stream_in_creation(case: &Case) {
    let stream = TestStream::unborn(case.endpoint(), case.name());
    stream.admin().begin_create(2).unwrap();
    let reader = stream.read(config());
    stream.admin().wait_until_active().unwrap();
    let all = stream.put(20);
    reader.wait_for(20);
    reader.stop().assert_is(all);
    stream.assert_resumes(config());
}

pub(crate) fn wrong_stream_name(case: &Case) {
    let stream = TestStream::unborn(case.endpoint(), case.name());
    let listened = stream.consumer(config()).listen(|_| panic!("nothing is read")).unwrap_err();
    let listed = stream.consumer(config()).shards().unwrap_err();
    for error in [listened, listed] {
        let Error::StreamNotFound { stream: name, source, .. } = &error else {
            panic!("{error:?}")
        };
        assert_eq!((name.as_str(), source.class()), (stream.name(), ErrorClass::NotFound));
        assert!(error.to_string().contains("check its name, the region"), "{error}");
    }
}
