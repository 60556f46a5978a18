//! A stream that is given by its ARN: what is accepted, under which key its positions are, and what is told of it.

use std::sync::Arc;

use kinesis_consumer::testing::{MemoryKinesis, Operation};
use kinesis_consumer::{
    Client, Config, Error, Import, LocalStore, Position, Store, StoreError, Stream,
    export_positions, import_positions,
};
use log::Level;

use crate::common::loopback::{chain, says};
use crate::common::{
    Hooked, STREAM, StoreCall, Watched, id, kinesis, logs, numbers, quick, stored,
};

fn arn(name: &str) -> String {
    format!("arn:aws-us-gov:kinesis:us-gov-west-1:123456789012:stream/{name}")
}

fn open(kinesis: &MemoryKinesis, stream: &str, store: &Arc<LocalStore>) -> Stream {
    Stream::new(kinesis.clone(), stream, Arc::clone(store), quick()).unwrap()
}

/// What a stream delivers until it has delivered so many.
fn read(stream: Stream, count: usize) -> Result<Vec<usize>, Error> {
    let (shutdown, mut read) = (stream.shutdown(), Vec::new());
    stream.listen(|batch| {
        read.extend(numbers(batch));
        if read.len() >= count {
            shutdown.now();
        }
        Ok(())
    })?;
    read.sort_unstable();
    Ok(read)
}

/// A store that holds what a run by the name has read, and a stream with more since.
fn read_by_name() -> (MemoryKinesis, Arc<LocalStore>) {
    let (kinesis, store) = (kinesis(1, 5), Arc::new(LocalStore::new()));
    assert_eq!(read(open(&kinesis, STREAM, &store), 5).unwrap(), [0, 1, 2, 3, 4]);
    for record in 5..8 {
        kinesis.put(STREAM, "key", record.to_string().as_bytes());
    }
    (kinesis, store)
}

#[test]
fn the_whole_arn_is_the_key_of_the_store() {
    let (kinesis, store) = (kinesis(2, 20), Arc::new(LocalStore::new()));
    assert_eq!(read(open(&kinesis, &arn(STREAM), &store), 20).unwrap().len(), 20);
    assert_eq!(store.shard_iterators(&arn(STREAM)).unwrap().len(), 2);
    assert_eq!(store.shard_iterators(STREAM).unwrap(), []);
    kinesis.put(STREAM, "key", b"20");
    assert_eq!(read(open(&kinesis, &arn(STREAM), &store), 1).unwrap(), [20]);
}

#[test]
fn positions_under_the_name_are_an_error_before_anything_is_read() {
    let (kinesis, store) = read_by_name();
    let calls = kinesis.calls(Operation::ListShards);
    for error in [
        open(&kinesis, &arn(STREAM), &store).listen(|_| panic!("nothing is read")).unwrap_err(),
        open(&kinesis, &arn(STREAM), &store).spawn(|_| Ok(())).unwrap().join().unwrap_err(),
    ] {
        let Error::StoredUnderName { stream, name, .. } = &error else { panic!("{error}") };
        assert_eq!((stream.as_str(), name.as_str()), (arn(STREAM).as_str(), STREAM));
        assert_eq!((error.stream(), error.is_retriable()), (Some(arn(STREAM).as_str()), false));
        says(
            &chain(&error),
            &["keep positions under \"orders\"", "export", "import", "to begin anew"],
        );
    }
    assert_eq!(kinesis.calls(Operation::ListShards), calls);
    assert_eq!(store.shard_iterators(&arn(STREAM)).unwrap(), []);
}

#[test]
fn the_name_as_the_key_resumes_what_was_read_by_name() {
    let (kinesis, store) = read_by_name();
    let before = stored(&*store, 0);
    let mut stream = open(&kinesis, &arn(STREAM), &store);
    stream.store_key(STREAM).unwrap();
    assert_eq!(read(stream, 3).unwrap(), [5, 6, 7]);
    assert!(stored(&*store, 0) > before);
    assert_eq!(store.shard_iterators(&arn(STREAM)).unwrap(), []);
}

#[test]
fn the_arn_as_the_key_begins_anew() {
    let (kinesis, store) = read_by_name();
    let mut stream = open(&kinesis, &arn(STREAM), &store);
    stream.store_key(arn(STREAM)).unwrap();
    assert_eq!(read(stream, 8).unwrap().len(), 8);
    // From now on it has positions of its own.
    kinesis.put(STREAM, "key", b"8");
    assert_eq!(read(open(&kinesis, &arn(STREAM), &store), 1).unwrap(), [8]);
}

#[test]
fn exported_positions_are_imported_under_the_arn_and_back() {
    let (kinesis, store) = read_by_name();
    let export = export_positions(&*store, STREAM).unwrap();
    let edited =
        export.replace("\"stream\": \"orders\"", &format!("\"stream\": {:?}", arn(STREAM)));
    assert_eq!(import_positions(&*store, &edited, Import::Forward).unwrap(), 1);
    assert_eq!(read(open(&kinesis, &arn(STREAM), &store), 3).unwrap(), [5, 6, 7]);
    // By its name again, under the key of the ARN.
    kinesis.put(STREAM, "key", b"8");
    let mut stream = open(&kinesis, STREAM, &store);
    stream.store_key(arn(STREAM)).unwrap();
    assert_eq!(read(stream, 1).unwrap(), [8]);
}

#[test]
fn a_store_that_fails_at_the_second_look_is_asked_again() {
    let (kinesis, store) = read_by_name();
    let looks = parking_lot::Mutex::new(0);
    let hooked = Hooked::new(&store, move |call| {
        let mut looks = looks.lock();
        *looks += usize::from(call == StoreCall::Load);
        match *looks {
            2 if call == StoreCall::Load => Err(StoreError::retry("busy")),
            _ => Ok(()),
        }
    });
    let stream = Stream::new(kinesis, &arn(STREAM), hooked, quick()).unwrap();
    let error = read(stream, 3).unwrap_err();
    assert!(matches!(error, Error::StoredUnderName { .. }), "{error}");
}

#[test]
fn a_key_that_a_store_could_confuse_is_refused() {
    let mut stream = open(&kinesis(1, 0), STREAM, &Arc::new(LocalStore::new()));
    for key in ["", "a b", "a\n", "ü", &"x".repeat(256)] {
        let error = stream.store_key(key).unwrap_err();
        assert!(matches!(error, Error::InvalidSetting { setting: "store_key", .. }), "{error}");
    }
    assert!(stream.store_key("x".repeat(255)).is_ok());
}

#[test]
fn what_is_no_arn_of_a_stream_is_refused_before_any_call() {
    let kinesis = kinesis(1, 0);
    for (given, reason) in [
        ("arn:aws:s3:::x", "it is of the service \"s3\""),
        ("arn:aws:kinesis:eu-west-1:1:stream/orders", "its account"),
        (&format!("{}/consumer/app:1522", arn(STREAM)), "the ARN of a consumer"),
    ] {
        let stream = Stream::new(kinesis.clone(), given, LocalStore::new(), Config::new());
        says(&chain(&stream.unwrap_err()), &["the setting \"name\": ", given, reason]);
    }
    assert_eq!(kinesis.calls(Operation::ListShards), 0);
}

#[test]
fn what_the_client_says_of_an_arn_is_the_error() {
    let boxed: Box<dyn Client> =
        Box::new(Arc::new(Watched::new(&kinesis(1, 0), |_| Ok(())).elsewhere()));
    let error = Stream::new(boxed, &arn(STREAM), LocalStore::new(), Config::new()).unwrap_err();
    assert_eq!(error.to_string(), format!("the setting \"name\": {} is elsewhere", arn(STREAM)));
}

#[test]
fn what_is_told_of_it_names_the_arn_and_every_thread_starts() {
    logs::keep();
    let (kinesis, name) = (MemoryKinesis::new(), "told-by-arn");
    kinesis.create_stream(name, 2);
    let put = kinesis.put(name, "key", b"0");
    let kept = Arc::new(LocalStore::new());
    let watched = Watched::new(&kinesis, |_| Ok(()));
    let stream = Stream::new(watched, &arn(name), Arc::clone(&kept), quick()).unwrap();
    let (monitor, shutdown) = (stream.monitor(), stream.shutdown());
    stream
        .listen(|batch| {
            assert_eq!((batch.stream(), batch.shard()), (arn(name).as_str(), put.shard.as_str()));
            let names: Vec<_> = monitor.progress().shards.into_iter().map(|it| it.shard).collect();
            assert_eq!(names, [id(0), id(1)]);
            shutdown.now();
            Ok(())
        })
        .unwrap();
    let lines = logs::lines(Level::Info, &arn(name));
    assert!(lines.iter().any(|line| line.starts_with("the consumer starts")), "{lines:?}");
    assert_eq!(lines.iter().filter(|line| line.contains("starts at")).count(), 2, "{lines:?}");
    let position = kept.get_shard_iterator(&arn(name), &put.shard).unwrap();
    assert_eq!(position, Some(Position::after(put.sequence)));
}
