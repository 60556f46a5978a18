//! Ends that are not orderly stops: drops, panics, and refusals of the system.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Sender, bounded, unbounded};
use kinesis_consumer::testing::{MemoryKinesis, Operation};
use kinesis_consumer::{
    Answer, Batch, BoxError, Call, Client, ClientError, Config, Error, ErrorClass, IteratorType,
    Listener, LocalStore, ShardIterator, ShardPage, Store, Stream, StreamStatus, Token,
};

use crate::common::children::test_of;
use crate::common::{
    HOUR, Hooked, SOON, STREAM, StoreCall, Watched, id, kinesis, numbers, quick, stored, until,
};

fn stream(kinesis: &MemoryKinesis) -> Stream {
    Stream::new(kinesis.clone(), STREAM, LocalStore::new(), quick()).unwrap()
}

/// The text of the panic that this ends with.
fn panic_of<T>(act: impl FnOnce() -> T) -> &'static str {
    let panic = catch_unwind(AssertUnwindSafe(act)).err().expect("it panics");
    panic.downcast_ref::<&str>().copied().expect("the panic is one of these tests")
}

#[test]
fn a_shutdown_that_is_kept_after_the_end_changes_nothing() {
    let listener = stream(&kinesis(1, 1)).spawn(|_| Ok(())).unwrap();
    let shutdown = listener.shutdown();
    assert!(!shutdown.is_stopped());
    shutdown.now();
    listener.join().unwrap();
    let late = shutdown.clone();
    drop(shutdown);
    late.now();
    late.drain(SOON);
    assert!(late.is_stopped());
}

#[test]
fn a_shutdown_is_stopped_when_the_consumer_ended_by_itself() {
    let stream = stream(&kinesis(1, 1));
    let shutdown = stream.shutdown();
    assert!(stream.listen(|_| Err("no room".into())).is_err());
    assert!(shutdown.is_stopped());
}

#[test]
fn a_listener_that_is_dropped_by_a_panic_lets_that_panic_through() {
    let (tell, handled) = bounded(1);
    let panic = panic_of(|| {
        let handler = move |_: &_| Ok(tell.send(())?);
        let _listener = stream(&kinesis(1, 1)).spawn(handler).unwrap();
        handled.recv_timeout(SOON).unwrap();
        panic!("elsewhere");
    });
    assert_eq!(panic, "elsewhere");
    // Its consumer stopped: the handler, and its end of the channel, are gone.
    assert!(handled.recv_timeout(SOON).is_err());
}

#[test]
fn a_panicked_consumer_that_is_dropped_by_another_panic_does_not_abort() {
    let panic = panic_of(|| {
        let listener = stream(&kinesis(1, 1)).spawn(|_| panic!("in the handler")).unwrap();
        until_finished(&listener);
        let _dropped_while_panicking = listener;
        panic!("elsewhere");
    });
    assert_eq!(panic, "elsewhere");
}

fn until_finished(listener: &Listener) {
    until("the consumer has ended", || listener.is_finished());
}

#[test]
fn a_failed_consumer_may_be_dropped_unjoined() {
    let kinesis = kinesis(1, 1);
    let listener = stream(&kinesis).spawn(|_| Err("no room".into())).unwrap();
    until_finished(&listener);
    assert!(listener.shutdown().is_stopped());
    drop(listener);
    // Nothing of it is in the way of the next.
    let error = stream(&kinesis).listen(|_| Err("no room".into())).unwrap_err();
    assert!(matches!(error, Error::Handler { .. }), "{error}");
}

#[test]
fn a_stop_ends_a_listing_of_shards_and_everything_after_it() {
    for hangs in [true, false] {
        let kinesis = kinesis(2, 0);
        if hangs {
            kinesis.hang_all(true);
        } else {
            kinesis.fail_next(Operation::ListShards, usize::MAX, ErrorClass::Throttled);
        }
        let (client, calls) = Watched::telling(&kinesis);
        let mut stream = Stream::new(client, STREAM, LocalStore::new(), quick()).unwrap();
        let shutdown = stream.shutdown();
        thread::scope(|scope| {
            scope.spawn(move || {
                calls.recv_timeout(SOON).unwrap();
                shutdown.now();
            });
            let error = stream.shards().unwrap_err();
            assert!(matches!(error, Error::Stopped { .. }), "{error}");
        });
        let id = id(0);
        assert!(matches!(stream.choose([id.as_str()]), Err(Error::Stopped { .. })));
        stream.listen(|_| panic!("nothing is read after a stop")).unwrap();
    }
}

/// Reads with a client that panics in this call; as far as `listen` and `join`.
fn panics_of_the_client(operation: Operation) -> [&'static str; 3] {
    let kinesis = kinesis(3, 30);
    if operation == Operation::DescribeStreamSummary {
        kinesis.set_status(STREAM, kinesis_consumer::StreamStatus::Creating);
    }
    let stream = || {
        let client = Watched::new(&kinesis, move |called| {
            assert!(called != operation, "in the client");
            Ok(())
        });
        Stream::new(client, STREAM, LocalStore::new(), quick()).unwrap()
    };
    let listen = panic_of(|| stream().listen(|_| Ok(())));
    let join = panic_of(|| stream().spawn(|_| Ok(())).unwrap().join());
    let receiver = panic_of(|| {
        let (batches, listener) = stream().receiver().unwrap();
        assert!(batches.recv_timeout(SOON).is_err());
        listener.join()
    });
    [listen, join, receiver]
}

#[test]
fn a_panic_in_any_call_of_the_client_reaches_the_caller() {
    let operations = [
        Operation::ListShards,
        Operation::DescribeStreamSummary,
        Operation::GetShardIterator,
        Operation::GetRecords,
    ];
    for operation in operations {
        assert_eq!(panics_of_the_client(operation), ["in the client"; 3], "{operation:?}");
    }
}

/// Its second read of a shard lasts until the stop, and then panics.
struct PanicsWhenStopped(MemoryKinesis, Sender<()>);

impl Client for PanicsWhenStopped {
    fn describe_stream(&self, stream: &str, call: &Call) -> Result<StreamStatus, ClientError> {
        self.0.describe_stream(stream, call)
    }

    fn list_shards(
        &self,
        stream: &str,
        token: Option<&str>,
        call: &Call,
    ) -> Result<ShardPage, ClientError> {
        self.0.list_shards(stream, token, call)
    }

    fn get_shard_iterator(
        &self,
        stream: &str,
        shard: &str,
        at: &IteratorType,
        call: &Call,
    ) -> Result<ShardIterator, ClientError> {
        self.0.get_shard_iterator(stream, shard, at, call)
    }

    fn get_records(&self, token: &Token, limit: u32, call: &Call) -> Result<Answer, ClientError> {
        if self.0.calls(Operation::GetRecords) == 0 {
            return self.0.get_records(token, limit, call);
        }
        self.1.send(()).unwrap();
        // Disconnected by the stop.
        let _ = call.stopped().recv();
        panic!("when stopped");
    }
}

#[test]
fn a_panic_of_a_stopped_call_reaches_the_caller_and_what_is_committed_is_stored() {
    for _ in 0..50 {
        let (kinesis, store) = (kinesis(1, 1), Arc::new(LocalStore::new()));
        let (tell, reading) = unbounded();
        let client = PanicsWhenStopped(kinesis, tell);
        let config = quick().store_every(100, HOUR);
        let stream = Stream::new(client, STREAM, Arc::clone(&store), config).unwrap();
        let (batches, listener) = stream.receiver().unwrap();
        batches.recv_timeout(SOON).unwrap().commit().unwrap();
        reading.recv_timeout(SOON).unwrap();
        assert_eq!(stored(&*store, 0), None);
        listener.shutdown().now();
        assert_eq!(panic_of(|| listener.join()), "when stopped");
        assert!(stored(&*store, 0).is_some());
    }
}

#[test]
fn a_panic_of_the_store_at_a_commit_reaches_the_caller() {
    let store = Hooked::new(&Arc::new(LocalStore::new()), |call| {
        assert!(call != StoreCall::Update, "in the store");
        Ok(())
    });
    let stream = Stream::new(kinesis(2, 2), STREAM, store, quick()).unwrap();
    assert_eq!(panic_of(|| stream.listen(|_| Ok(()))), "in the store");
}

/// Ends with the handler, once the other threads are where they are to be.
fn ends_while_others_are(
    config: Config,
    stuck: impl Fn(&MemoryKinesis),
    end: impl Fn() -> Result<(), BoxError>,
) -> Result<(), Error> {
    let kinesis = kinesis(4, 0);
    for record in 0..40 {
        kinesis.put_to(STREAM, &id(record % 4), "key", b"1");
    }
    let stream = Stream::new(kinesis.clone(), STREAM, LocalStore::new(), config).unwrap();
    stream.listen(|_| {
        stuck(&kinesis);
        end()
    })
}

#[test]
fn a_handler_that_panics_or_fails_frees_threads_blocked_in_a_send_a_wait_or_a_call() {
    let reads = |kinesis: &MemoryKinesis| kinesis.calls(Operation::GetRecords);
    // One batch is handled, one is queued, and each shard has one that it cannot send.
    let sending = |kinesis: &MemoryKinesis| until("sends are blocked", || reads(kinesis) == 6);
    // The first shard waits for its next call, the others for their first.
    let waiting = |_: &MemoryKinesis| {};
    let calling = |kinesis: &MemoryKinesis| {
        // Counted first: all may hang before the test sees them.
        let before = reads(kinesis);
        kinesis.hang_all(true);
        until("another call is made", || reads(kinesis) > before);
    };
    let fast = || Config::new().interval(Duration::ZERO);
    let places: [&dyn Fn(&MemoryKinesis); 3] = [&sending, &waiting, &calling];
    let configs = [fast().limit(1).capacity(1), Config::new().interval(HOUR), fast()];
    for (config, stuck) in configs.into_iter().zip(places) {
        let panics = || -> Result<(), BoxError> { panic!("in the handler") };
        let panic = panic_of(|| ends_while_others_are(config.clone(), stuck, panics));
        assert_eq!(panic, "in the handler");
        let error = ends_while_others_are(config, stuck, || Err("no room".into())).unwrap_err();
        assert!(matches!(error, Error::Handler { .. }), "{error}");
    }
}

#[test]
fn a_worker_that_panics_leaves_its_batch_uncommitted_and_the_others_at_work() {
    let (kinesis, store) = (kinesis(1, 0), Arc::new(LocalStore::new()));
    kinesis.put(STREAM, "key", b"0");
    let stream = Stream::new(kinesis.clone(), STREAM, Arc::clone(&store), quick()).unwrap();
    let (batches, listener) = stream.receiver().unwrap();
    let others = batches.clone();
    let worker = thread::spawn(move || {
        let _batch = batches.recv_timeout(SOON).unwrap();
        panic!("in a worker")
    });
    assert!(worker.join().is_err());
    kinesis.put(STREAM, "key", b"1");
    let batch = others.recv_timeout(SOON).unwrap();
    assert_eq!(numbers(&batch), [1]);
    // A later batch does not cover the one that was lost with its worker.
    batch.commit().unwrap();
    assert_eq!(store.get_shard_iterator(STREAM, &id(0)).unwrap(), None);
    drop(others);
    drop(listener);
}

/// Counts its sessions, and cannot list for so many times.
struct Sessions {
    kinesis: MemoryKinesis,
    count: Arc<AtomicUsize>,
}

impl Client for Sessions {
    fn describe_stream(&self, stream: &str, call: &Call) -> Result<StreamStatus, ClientError> {
        self.kinesis.describe_stream(stream, call)
    }

    fn list_shards(
        &self,
        stream: &str,
        token: Option<&str>,
        call: &Call,
    ) -> Result<ShardPage, ClientError> {
        self.kinesis.list_shards(stream, token, call)
    }

    fn get_shard_iterator(
        &self,
        stream: &str,
        shard: &str,
        at: &IteratorType,
        call: &Call,
    ) -> Result<ShardIterator, ClientError> {
        self.kinesis.get_shard_iterator(stream, shard, at, call)
    }

    fn get_records(&self, token: &Token, limit: u32, call: &Call) -> Result<Answer, ClientError> {
        self.kinesis.get_records(token, limit, call)
    }

    fn session(&self) -> Option<Arc<dyn Client>> {
        self.count.fetch_add(1, Ordering::Relaxed);
        Some(Arc::new(self.kinesis.clone()))
    }
}

#[test]
fn a_stream_has_one_session_however_often_its_shards_could_not_be_listed() {
    let (kinesis, count) = (kinesis(1, 1), Arc::new(AtomicUsize::new(0)));
    kinesis.fail_next(Operation::ListShards, 10, ErrorClass::Fatal);
    let client = Sessions { kinesis, count: Arc::clone(&count) };
    let mut stream = Stream::new(client, STREAM, LocalStore::new(), quick()).unwrap();
    assert_eq!(count.load(Ordering::Relaxed), 0, "making a stream makes no call");
    for _ in 0..10 {
        assert!(matches!(stream.shards(), Err(Error::Client { .. })));
    }
    assert_eq!(stream.shards().unwrap().len(), 1);
    let shutdown = stream.shutdown();
    let handler = |_: &Batch| {
        shutdown.now();
        Ok(())
    };
    stream.listen(handler).unwrap();
    assert_eq!(count.load(Ordering::Relaxed), 1);
}

/// Runs another test of this binary in a process where threads are scarce: the output, if it passed.
#[cfg(target_os = "linux")]
fn where_threads_are_scarce(test: &str, stack: u64, memory_kib: u64) -> String {
    let limited = format!("ulimit -v {memory_kib} && exec \"$0\" \"$@\"");
    let this = std::env::current_exe().unwrap();
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", &limited]).arg(this).arg(test_of(module_path!(), test));
    shell.args(["--exact", "--ignored", "--nocapture"]);
    // Each thread takes so much address space, which is limited for root as well.
    let output = shell.env("RUST_MIN_STACK", stack.to_string()).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
    text
}

#[test]
#[cfg(target_os = "linux")]
fn a_thread_that_the_system_refuses_is_a_typed_error() {
    const GIB: u64 = 1 << 30;
    // No thread at all; then some, but not one for each shard.
    where_threads_are_scarce("no_thread_can_be_started", 64 * GIB, (8 * GIB) >> 10);
    where_threads_are_scarce("not_every_shard_gets_a_thread", GIB, (16 * GIB) >> 10);
}

#[test]
#[ignore = "run by a_thread_that_the_system_refuses_is_a_typed_error"]
fn no_thread_can_be_started() {
    let kinesis = kinesis(1, 1);
    assert!(matches!(stream(&kinesis).listen(|_| Ok(())), Err(Error::Thread { .. })));
    assert!(matches!(stream(&kinesis).spawn(|_| Ok(())), Err(Error::Thread { .. })));
    assert!(matches!(stream(&kinesis).receiver(), Err(Error::Thread { .. })));
}

#[test]
#[ignore = "run by a_thread_that_the_system_refuses_is_a_typed_error"]
fn not_every_shard_gets_a_thread() {
    let kinesis = kinesis(64, 64);
    let error = stream(&kinesis).listen(|_| Ok(())).unwrap_err();
    assert!(matches!(error, Error::Thread { .. }), "{error}");
    let (batches, listener) = stream(&kinesis).receiver().unwrap();
    let error = listener.join().unwrap_err();
    assert!(matches!(error, Error::Thread { .. }), "{error}");
    drop(batches);
}
