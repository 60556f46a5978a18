//! Alone in its process, whose threads it counts: how long a stop takes wherever the consumer is, and that nothing is
//! left of it.

// The threads of a process, and what they do, are to be seen there alone.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "helpers of tests, which Clippy does not see as tests")]

mod common;

use std::io::Read;
use std::net::TcpListener;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use kinesis_consumer::testing::{MemoryLeases, Operation};
use kinesis_consumer::{
    Batch, BoxError, Config, ErrorClass, Fleet, KinesisClient, LocalStore, Stream,
};
use parking_lot::Mutex;

use self::common::support::{Admin, REGION, Server};
use self::common::{HOUR, Hooked, SOON, STREAM, StoreCall, Watched, id, kinesis, until};

const ROUNDS: usize = 216;
/// The time that the machine may add to a stop without a wait, besides the time that it adds to all of them.
const SLACK: Duration = Duration::from_millis(10);

/// Every test here counts the threads of the process.
static ALONE: Mutex<()> = Mutex::new(());

/// Where the consumer is when it is to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    FullChannel,
    HourLongInterval,
    Backoff,
    ListingBackoff,
    StoreBackoff,
    CallWithoutAnswer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    Listen,
    Spawn,
    Receiver,
}

/// How it is stopped. Who has no listener to drop, or no receiver: that is `Now`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    Now,
    Drain,
    Drop,
    Leave,
}

const PLACES: [Place; 6] = [
    Place::FullChannel,
    Place::HourLongInterval,
    Place::Backoff,
    Place::ListingBackoff,
    Place::StoreBackoff,
    Place::CallWithoutAnswer,
];
const DOORS: [Door; 3] = [Door::Listen, Door::Spawn, Door::Receiver];
const STOPS: [Stop; 4] = [Stop::Now, Stop::Drain, Stop::Drop, Stop::Leave];

/// Every door, and every stop.
const ENDS: [(Door, Stop); 4] = [
    (Door::Listen, Stop::Now),
    (Door::Spawn, Stop::Drain),
    (Door::Receiver, Stop::Drop),
    (Door::Receiver, Stop::Leave),
];

/// Our threads, by what Linux shows of their names.
fn threads() -> Vec<(String, char)> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let seen = tasks.filter_map(|task| {
        // A thread may end while it is looked at.
        let text = std::fs::read_to_string(task.ok()?.path().join("stat")).ok()?;
        let (name, rest) = text.split_once('(')?.1.rsplit_once(')')?;
        Some((name.to_owned(), rest.trim_start().chars().next()?))
    });
    seen.filter(|(name, _)| name.starts_with("kc-")).collect()
}

fn asleep() {
    until("every thread waits", || threads().iter().all(|(_, state)| *state == 'S'));
}

/// A joined thread may still be seen for a moment, while the system takes it down.
fn gone() {
    until("no thread is left", || threads().is_empty());
}

/// Opens the door, stops the consumer when `ready` returns, and says how long that took.
fn stopped_in(
    stream: Stream,
    door: Door,
    stop: Stop,
    handler: impl FnMut(&Batch) -> Result<(), BoxError> + Send + 'static,
    ready: impl FnOnce() + Send,
) -> Duration {
    let shutdown = stream.shutdown();
    let ask = || if stop == Stop::Drain { shutdown.drain(HOUR) } else { shutdown.now() };
    let (listener, batches) = match door {
        Door::Listen => {
            return thread::scope(|scope| {
                let asking = scope.spawn(move || {
                    ready();
                    let asked = Instant::now();
                    ask();
                    asked
                });
                stream.listen(handler).unwrap();
                let ended = Instant::now();
                ended.duration_since(asking.join().unwrap())
            });
        }
        Door::Spawn => (stream.spawn(handler).unwrap(), None),
        Door::Receiver => {
            let (batches, listener) = stream.receiver().unwrap();
            (listener, Some(batches))
        }
    };
    ready();
    let (asked, mut batches) = (Instant::now(), batches);
    match stop {
        Stop::Drop => drop(listener),
        Stop::Leave if batches.is_some() => {
            batches = None;
            listener.join().unwrap();
        }
        _ => {
            ask();
            listener.join().unwrap();
        }
    }
    let took = asked.elapsed();
    drop(batches);
    took
}

/// Most of what a round waits for would last an hour, or for ever.
fn in_time<T: Send + 'static>(what: String, act: impl FnOnce() -> T + Send + 'static) -> T {
    let (tell, told) = bounded(1);
    let acting = thread::spawn(move || tell.send(act()));
    match told.recv_timeout(SOON) {
        Ok(result) => result,
        Err(RecvTimeoutError::Timeout) => panic!("not stopped: {what}"),
        Err(RecvTimeoutError::Disconnected) => resume_unwind(acting.join().unwrap_err()),
    }
}

/// One round in memory.
fn round(place: Place, door: Door, stop: Stop) -> Duration {
    let kinesis = kinesis(2, 0);
    for record in 0..20 {
        kinesis.put_to(STREAM, &id(record % 2), "key", b"data");
    }
    let (wanted, times) = match place {
        // All that fits, and one more of each shard.
        Place::FullChannel => (Operation::GetRecords, if door == Door::Receiver { 3 } else { 4 }),
        Place::ListingBackoff => (Operation::ListShards, 1),
        Place::StoreBackoff => (Operation::DescribeStreamSummary, 0),
        Place::HourLongInterval | Place::Backoff | Place::CallWithoutAnswer => {
            (Operation::GetRecords, 1)
        }
    };
    match place {
        Place::Backoff => kinesis.fail_next(wanted, usize::MAX, ErrorClass::Throttled),
        Place::ListingBackoff => kinesis.fail_next(wanted, usize::MAX, ErrorClass::Transient),
        _ => {}
    }
    let hanging = kinesis.clone();
    let (tell, calls) = unbounded();
    let client = Watched::new(&kinesis, move |operation| {
        if place == Place::CallWithoutAnswer && operation == wanted {
            hanging.hang_all(true);
        }
        let _ = tell.send(operation);
        Ok(())
    });
    let stopped = client.stopped();
    let (load, loads) = unbounded();
    let store = Hooked::new(&Arc::new(LocalStore::new()), move |call| match (place, call) {
        (Place::StoreBackoff, StoreCall::Load) => {
            let _ = load.send(());
            Err(kinesis_consumer::StoreError::retry("busy"))
        }
        _ => Ok(()),
    });
    let config = match place {
        Place::FullChannel => Config::new().interval(Duration::ZERO).limit(1).capacity(1),
        _ => Config::new().interval(HOUR),
    };
    let handler = move |_: &Batch| {
        // Disconnected by the stop. With an empty queue nothing is held up.
        if place == Place::FullChannel {
            let _ = stopped.recv();
        }
        Ok(())
    };
    let ready = || {
        if place == Place::StoreBackoff {
            loads.recv_timeout(SOON).unwrap();
        }
        await_calls(&calls, wanted, times);
        asleep();
    };
    let stream = Stream::new(client, STREAM, store, config).unwrap();
    stopped_in(stream, door, stop, handler, ready)
}

fn await_calls(calls: &Receiver<Operation>, wanted: Operation, times: usize) {
    for _ in 0..times {
        while calls.recv_timeout(SOON).unwrap() != wanted {}
    }
}

#[test]
fn hundreds_of_stops_wherever_the_consumer_is_leave_no_thread_behind() {
    let _alone = ALONE.lock();
    let mut rounds = Vec::new();
    for number in 0..ROUNDS {
        let place = PLACES[number % PLACES.len()];
        let door = DOORS[number / PLACES.len() % DOORS.len()];
        let stop = STOPS[number / (PLACES.len() * DOORS.len()) % STOPS.len()];
        let what = format!("{place:?}, {door:?}, {stop:?}");
        rounds.push((in_time(what, move || round(place, door, stop)), place, door, stop));
        gone();
    }
    rounds.sort_by_key(|round| round.0);
    println!("{ROUNDS} stops: longest {:?}", rounds[ROUNDS - 1]);
    let median = |place| {
        let of_place: Vec<_> = rounds.iter().filter(|round| round.1 == place).collect();
        println!("  {place:?}: longest {:?}", of_place[of_place.len() - 1]);
        of_place[of_place.len() / 2].0
    };
    // No wait of an hour fits into this time, so it is the machine's time for a stop. Rounds of all states alternated:
    // the machine was equally busy in each. The shortest back-off is 50 ms.
    let plain = median(Place::HourLongInterval);
    for place in PLACES {
        let middle = median(place);
        println!("  {place:?}: median {middle:?}");
        assert!(middle <= 3 * plain + SLACK, "{place:?}: {middle:?}, and {plain:?} elsewhere");
    }
    assert!(rounds[ROUNDS - 1].0 < SOON, "{:?}", rounds[ROUNDS - 1]);
}

#[test]
fn consumers_of_a_fleet_leave_no_thread_however_they_end() {
    let _alone = ALONE.lock();
    let (kinesis, table) = (kinesis(4, 40), MemoryLeases::new());
    let rows = table.clone();
    let holders = move || rows.rows().iter().filter(|row| row.contains_key("kcHolder")).count();
    for (round, (door, stop)) in ENDS.into_iter().enumerate() {
        let fleet = Fleet::new(table.clone()).worker_id(format!("worker-{round}"));
        let fleet = fleet.failover(Duration::from_secs(1));
        let stream = Stream::new(kinesis.clone(), STREAM, fleet, Config::new()).unwrap();
        // It has leases, or is about to have the first one.
        let held = holders.clone();
        let ready = move || {
            if round % 2 == 0 {
                until("it has all", || held() == 4);
            }
        };
        in_time(format!("{door:?} {stop:?}"), {
            let ready: Box<dyn FnOnce() + Send> = Box::new(ready);
            move || stopped_in(stream, door, stop, |_| Ok(()), ready)
        });
        gone();
        assert_eq!(holders(), 0, "{door:?} {stop:?}: a lease is left: {:?}", table.rows());
    }
}

#[test]
fn every_thread_has_a_name_of_its_own_that_the_system_shows_whole() {
    let _alone = ALONE.lock();
    for door in DOORS {
        let mut expected = vec!["kc-000000000000", "kc-000000000001", "kc-coordinator"];
        if door == Door::Spawn {
            expected.push("kc-dispatch");
        }
        expected.push("kc-store");
        let ready = || {
            until(&format!("{door:?} shows {expected:?}"), || {
                let mut names: Vec<_> = threads().into_iter().map(|thread| thread.0).collect();
                names.sort_unstable();
                names == expected
            });
        };
        let config = Config::new().interval(HOUR);
        let stream = Stream::new(kinesis(2, 0), STREAM, LocalStore::new(), config).unwrap();
        stopped_in(stream, door, Stop::Now, |_| Ok(()), ready);
        gone();
    }
}

fn client(endpoint: &str) -> KinesisClient {
    let client = KinesisClient::builder().endpoint(endpoint).region(REGION);
    client.credentials("test", "test").build().unwrap()
}

#[test]
fn a_stop_abandons_a_server_that_takes_the_first_call_and_never_answers() {
    let _alone = ALONE.lock();
    for (door, stop) in ENDS {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", silent.local_addr().unwrap());
        let (hold, held) = bounded(1);
        let ready = move || {
            let (mut socket, _) = silent.accept().unwrap();
            socket.read_exact(&mut [0; 100]).unwrap();
            hold.send(socket).unwrap();
        };
        let stream =
            Stream::new(client(&endpoint), STREAM, LocalStore::new(), Config::new()).unwrap();
        let took = stopped_in(stream, door, stop, |_| Ok(()), ready);
        println!("a call without an answer, over TCP, {door:?}, {stop:?}: {took:?}");
        // The deadline of a call is 30 s.
        assert!(took < SOON, "{took:?}");
        drop(held);
        gone();
    }
}

/// Lets every `GetRecords` wait for ever, and tells of each.
fn never_answering_reads(router: Router, tell: Sender<()>) -> Router {
    router.layer(from_fn(move |request: Request, next: Next| {
        let tell = tell.clone();
        async move {
            let target = request.headers().get("x-amz-target");
            if target.is_some_and(|target| target.as_bytes().ends_with(b".GetRecords")) {
                let _ = tell.send(());
                std::future::pending::<()>().await;
            }
            next.run(request).await
        }
    }))
}

#[test]
fn a_stop_abandons_reads_in_progress_over_real_connections() {
    let _alone = ALONE.lock();
    let (tell, reads) = unbounded();
    let server =
        Server::with(Server::options(), |router| never_answering_reads(router, tell)).unwrap();
    Admin::new(server.endpoint(), STREAM).unwrap().create(4).unwrap();
    for (door, stop) in ENDS {
        let config = Config::new().interval(Duration::ZERO);
        let stream =
            Stream::new(client(server.endpoint()), STREAM, LocalStore::new(), config).unwrap();
        let ready = || (0..4).for_each(|_| reads.recv_timeout(SOON).unwrap());
        let took = stopped_in(stream, door, stop, |_| Ok(()), ready);
        println!("four reads without an answer, over TCP, {door:?}, {stop:?}: {took:?}");
        assert!(took < SOON, "{took:?}");
        gone();
    }
}
