//! A stream by its ARN, beside the same by its name.

use kinesis_consumer::{Call, Client, Error, ErrorClass, LocalStore, Stream};

use super::reader::{Door, Reader};
use super::server::Case;
use super::stream::{TestStream, config};

pub(crate) fn stream_by_arn(case: &Case) {
    let stream = TestStream::new(case, 3);
    let all = stream.put(60);
    let by_name = stream.read_fresh(config(), all.len());
    let arn = stream.admin().arn().unwrap();
    let status = stream.client().describe_stream(&arn, &Call::unbounded());
    case.check(status.is_ok(), "the stream is described by its ARN");
    if status.is_err() {
        return;
    }
    let reader = Reader::start(opened(&stream, &arn), Door::Spawn);
    reader.wait_for(all.len());
    stream.split_first();
    let more = stream.put(20);
    reader.wait_for(all.len() + more.len());
    let by_arn = reader.stop();
    by_arn.assert_is(all.start..more.end);
    let found = by_arn.by_shard();
    for (shard, entries) in by_name.by_shard() {
        let is_same =
            entries.iter().zip(&found[shard]).all(|(one, other)| one.sequence == other.sequence);
        assert!(is_same && entries.len() <= found[shard].len(), "{shard} is another by its ARN");
    }
    let unknown = arn.replace(stream.name(), "nobody");
    let error = opened(&stream, &unknown).listen(|_| panic!("nothing is read")).unwrap_err();
    let Error::StreamNotFound { stream: given, source, .. } = &error else { panic!("{error:?}") };
    assert_eq!((given, source.class()), (&unknown, ErrorClass::NotFound));
}

fn opened(stream: &TestStream, arn: &str) -> Stream {
    Stream::new(stream.client(), arn, LocalStore::new(), config()).unwrap()
}
