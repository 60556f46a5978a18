//! Tokens that are too old when they are used.

use std::thread::sleep;
use std::time::Duration;

use kinesis_consumer::{Call, Client, ErrorClass, IteratorType};

use super::server::Case;
use super::stream::{TestStream, config};

/// Longer than a token lives where it lives a second.
const TOO_LONG: Duration = Duration::from_millis(2200);

pub(crate) fn expired_tokens(case: &Case) {
    let stream = TestStream::at(case.expiring_endpoint(), case.name(), 2);
    let old = stream.put(20);
    // Every token is expired when its turn comes.
    let config = || config().interval(TOO_LONG).limit(8);
    let reader = stream.read(config());
    reader.wait_for(20);
    let new = stream.put(20);
    reader.wait_for(40);
    reader.stop().assert_is(old.start..new.end);
    stream.assert_resumes(config());

    let (client, call) = (stream.client(), Call::unbounded());
    let shard = stream.admin().shards().unwrap().remove(0).shard_id;
    let at = IteratorType::TrimHorizon;
    let iterator = client.get_shard_iterator(stream.name(), &shard, &at, &call).unwrap();
    sleep(TOO_LONG);
    let refusal = client.get_records(&iterator.token, 1, &call).err();
    let class = refusal.as_ref().map(|error| error.class());
    case.check(class == Some(ErrorClass::ExpiredIterator), format!("{refusal:?}: it has expired"));
}
