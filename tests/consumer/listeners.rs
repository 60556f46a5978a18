//! Listeners that are dropped or joined by a thread of their own consumer, which cannot wait for itself.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use kinesis_consumer::testing::{MemoryKinesis, Operation};
use kinesis_consumer::{
    Batch, Config, Credentials, Error, KinesisClient, Listener, LocalStore, OnError, Stream,
};
use parking_lot::Mutex;

use crate::common::{Hooked, SOON, STREAM, StoreCall, Watched, kinesis, logs, quick, until};

/// The owner of the listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Handler,
    Worker,
    DeadLetter,
    Notice,
    Store(StoreCall),
    Client(Operation),
    Credentials,
    /// The handler of another consumer, which this one's handler runs.
    Nested,
    /// It is dropped with the handler.
    Captured,
}

const PLACES: [Place; 12] = [
    Place::Handler,
    Place::Worker,
    Place::DeadLetter,
    Place::Notice,
    Place::Store(StoreCall::Load),
    Place::Store(StoreCall::Update),
    Place::Client(Operation::ListShards),
    Place::Client(Operation::GetShardIterator),
    Place::Client(Operation::GetRecords),
    Place::Credentials,
    Place::Nested,
    Place::Captured,
];

/// Gets the listener, once, and drops or joins it.
#[derive(Clone)]
struct End {
    listener: Receiver<Listener>,
    joins: bool,
    /// Told how that went; disconnected when the consumer has dropped all that it had.
    tell: Sender<Result<(), Error>>,
}

impl End {
    fn comes(&self) {
        // Its sender goes when it was sent.
        let Ok(listener) = self.listener.recv_timeout(SOON) else { return };
        let mut ended = Ok(());
        match self.joins {
            true => ended = listener.join(),
            false => drop(listener),
        }
        self.tell.send(ended).unwrap();
    }
}

/// A consumer that ends itself there.
fn open(place: Place, end: End) -> Listener {
    let kinesis = kinesis(2, 10);
    let (in_client, in_store, in_notice) = (end.clone(), end.clone(), end.clone());
    let hanging = kinesis.clone();
    let client = Watched::new(&kinesis, move |operation| {
        match place {
            Place::Client(wanted) if operation == wanted => in_client.comes(),
            // A call that hangs is told.
            Place::Notice if operation == Operation::GetRecords => hanging.hang_all(true),
            _ => {}
        }
        Ok(())
    });
    let store = Hooked::new(&Arc::new(LocalStore::new()), move |call| {
        if place == Place::Store(call) {
            in_store.comes();
        }
        Ok(())
    });
    let mut config = quick();
    if place == Place::Notice {
        let stall = Duration::from_millis(1);
        config = config.stall_after(stall).on_notice(move |_| in_notice.comes());
    }
    if place == Place::DeadLetter {
        let end = end.clone();
        config = config.on_error(OnError::retry(1).dead_letter(move |_| {
            end.comes();
            Ok(())
        }));
    }
    let stream = match place {
        Place::Credentials => reading_with(config, end.clone()),
        _ => Stream::new(client, STREAM, store, config).unwrap(),
    };
    match place {
        Place::Worker => stream.spawn_workers(2, move |_| handler(place, end.clone())),
        _ => stream.spawn(handler(place, end)),
    }
    .unwrap()
}

type Handled = Result<(), kinesis_consumer::BoxError>;

fn handler(place: Place, end: End) -> impl FnMut(&Batch) -> Handled + Send + 'static {
    let captured: OnceLock<Mutex<Listener>> = OnceLock::new();
    move |_| {
        match place {
            Place::Handler | Place::Worker => end.comes(),
            Place::DeadLetter => return Err("refused".into()),
            Place::Nested => nested(&end),
            Place::Captured => {
                if let Ok(listener) = end.listener.recv_timeout(SOON) {
                    listener.shutdown().now();
                    captured.set(Mutex::new(listener)).unwrap();
                    end.tell.send(Ok(()))?;
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Runs another consumer on this thread, whose handler has the listener of the outer one.
fn nested(end: &End) {
    let inner = Stream::new(kinesis(1, 1), STREAM, LocalStore::new(), quick()).unwrap();
    let shutdown = inner.shutdown();
    let handler = |_: &Batch| {
        end.comes();
        shutdown.now();
        Ok(())
    };
    inner.listen(handler).unwrap();
}

/// A stream whose credentials are asked for before the first call.
fn reading_with(config: Config, end: End) -> Stream {
    let client = KinesisClient::builder()
        .endpoint("http://127.0.0.1:1")
        .region("us-east-1")
        .credentials_provider(move || {
            end.comes();
            Ok(Credentials::new("test", "test"))
        })
        .build();
    Stream::new(client.unwrap(), STREAM, LocalStore::new(), config).unwrap()
}

#[test]
fn a_listener_that_its_own_consumer_drops_or_joins_stops_it_and_does_not_wait() {
    for place in PLACES {
        for joins in [false, true] {
            let (send, listener) = bounded(1);
            let (tell, told) = unbounded();
            send.send(open(place, End { listener, joins, tell })).unwrap();
            drop(send);
            let told = |what: &str| match told.recv_timeout(SOON) {
                Err(crossbeam_channel::RecvTimeoutError::Timeout) => panic!("{place:?}: {what}"),
                told => told.ok(),
            };
            let ended = told("it waits for itself").expect("the listener was there");
            match ended {
                Err(Error::JoinedByItself { .. }) if joins && place != Place::Captured => {}
                Ok(()) if !joins || place == Place::Captured => {}
                ended => panic!("{place:?}: {ended:?}"),
            }
            assert!(told("the consumer is not stopped").is_none(), "once");
        }
    }
}

#[test]
fn the_listener_of_another_consumer_is_waited_for_as_usual() {
    let client = Watched::new(&kinesis(1, 1), |_| Ok(()));
    let (stopped, (tell, order)) = (client.stopped(), unbounded());
    let (handling, handled) = (tell.clone(), order.clone());
    let other = Stream::new(client, STREAM, LocalStore::new(), quick()).unwrap();
    let (entered, inside) = bounded(1);
    let other = other.spawn(move |_| {
        entered.send(())?;
        // Disconnected by the stop.
        let _ = stopped.recv();
        // In this time a call that does not wait returns.
        assert!(handled.recv_timeout(Duration::from_millis(100)).is_err(), "nobody waited");
        Ok(handling.send("handled")?)
    });
    inside.recv_timeout(SOON).unwrap();
    let mut other = Some(other.unwrap());
    let stream = Stream::new(kinesis(1, 1), STREAM, LocalStore::new(), quick()).unwrap();
    let shutdown = stream.shutdown();
    stream
        .listen(|_| {
            drop(other.take());
            tell.send("dropped")?;
            shutdown.now();
            Ok(())
        })
        .unwrap();
    drop(tell);
    assert_eq!(order.iter().collect::<Vec<_>>(), ["handled", "dropped"]);
}

#[test]
fn what_a_consumer_fails_with_after_its_listener_left_is_logged() {
    logs::keep();
    let stream = |kinesis: &MemoryKinesis| {
        kinesis.create_stream("left", 1);
        kinesis.put("left", "key", b"1");
        Stream::new(kinesis.clone(), "left", LocalStore::new(), quick()).unwrap()
    };
    for panics in [false, true] {
        let (send, receive) = bounded::<Listener>(1);
        let (alive, gone) = bounded::<()>(1);
        let listener = stream(&MemoryKinesis::new()).spawn(move |_| {
            let _alive = &alive;
            drop(receive.recv_timeout(SOON)?);
            assert!(!panics, "after it left");
            Err("after it left".into())
        });
        send.send(listener.unwrap()).unwrap();
        assert!(gone.recv_timeout(SOON).is_err());
    }
    // Which consumer has panicked is not told.
    until("both are told", || {
        let failed = "has failed: the handler failed on a batch of stream \"left\"";
        !logs::warnings("left", failed).is_empty() && !logs::warnings("", "has panicked").is_empty()
    });
}
