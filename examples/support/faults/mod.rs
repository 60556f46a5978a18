//! A proxy that makes calls go wrong, in front of a server that does not.

mod connection;
mod fault;
mod http;
mod meter;
mod port;
mod request;
mod rewrite;
mod rule;

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle, Scope};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, bounded, select_biased};
use parking_lot::Mutex;

use self::connection::Connection;
pub(crate) use self::fault::Fault;
use self::meter::Meter;
use self::port::Port;
pub(crate) use self::request::{Operation, Request};
pub(crate) use self::rule::Rule;
use self::rule::{Script, Verdict};

/// More connections than this at a time are closed at once: each has a thread.
const MAX_CONNECTIONS: usize = 512;
/// How many calls are remembered.
const MAX_REMEMBERED: usize = 10_000;

/// A running fault layer. Without rules it forwards everything.
///
/// Dropping it cuts all connections and joins its threads. The first rule that is for a call decides
/// its fault, and rules that only change answers are added to it.
pub(crate) struct Faults {
    shared: Arc<Shared>,
    endpoint: String,
    /// Dropped before the thread is joined, which is what ends it.
    stop: Option<Sender<Infallible>>,
    thread: Option<JoinHandle<()>>,
}

/// What the threads of a layer share.
struct Shared {
    upstream: SocketAddr,
    port: Port,
    script: Mutex<Script>,
    meter: Mutex<Option<Meter>>,
    seen: Mutex<VecDeque<Request>>,
    waits: Mutex<Vec<(String, Duration)>>,
    /// The clients' ends of all connections, by number.
    open: Mutex<BTreeMap<u64, TcpStream>>,
    absences: Sender<Absence>,
    stopped: Receiver<Infallible>,
}

/// The port refuses connections for this long; the sender is dropped when that has begun.
struct Absence(Duration, Sender<Infallible>);

impl Faults {
    /// A layer in front of the server at this address, `http://127.0.0.1:port`. The seed is for rules
    /// with a rate; threads race for its numbers, so that it repeats a mix, not a sequence.
    pub(crate) fn before(upstream: &str, seed: u64) -> io::Result<Self> {
        let address = upstream.trim_start_matches("http://").parse();
        let upstream =
            address.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let (port, (stop, stopped)) = (Port::new()?, bounded(0));
        let (absences, ordered) = crossbeam_channel::unbounded();
        let endpoint = format!("http://{}", port.address());
        let shared = Arc::new(Shared {
            upstream,
            port,
            script: Mutex::new(Script::new(seed)),
            meter: Mutex::default(),
            seen: Mutex::default(),
            waits: Mutex::default(),
            open: Mutex::default(),
            absences,
            stopped,
        });
        let (listener, serving) = (shared.port.listen()?, Arc::clone(&shared));
        let serve = move || serving.serve(listener, &ordered);
        let thread = thread::Builder::new().name("faults".into()).spawn(serve)?;
        Ok(Self { shared, endpoint, stop: Some(stop), thread: Some(thread) })
    }

    /// The address, `http://127.0.0.1:port`.
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Adds a rule after the existing ones.
    pub(crate) fn add(&self, rule: Rule) -> &Self {
        self.shared.script.lock().add(rule);
        self
    }

    /// Removes every rule. The counts stay.
    pub(crate) fn clear(&self) {
        self.shared.script.lock().clear();
    }

    /// Throttles `GetRecords` as Amazon does: 5 calls and 2 MB a second for each shard.
    pub(crate) fn throttle_like_amazon(&self) {
        *self.shared.meter.lock() = Some(Meter::new(5, 2_000_000));
    }

    /// How often each kind of fault was injected, by its name.
    pub(crate) fn counts(&self) -> BTreeMap<String, usize> {
        self.shared.script.lock().counts()
    }

    /// How often this fault was injected.
    pub(crate) fn count(&self, fault: &Fault) -> usize {
        self.counts().get(&fault.name()).copied().unwrap_or(0)
    }

    /// The last 10,000 calls, with any outcome.
    pub(crate) fn seen(&self) -> Vec<Request> {
        self.shared.seen.lock().iter().cloned().collect()
    }

    /// How long a client waited each time for missing bytes, with the name of the fault.
    pub(crate) fn waits(&self) -> Vec<(String, Duration)> {
        self.shared.waits.lock().clone()
    }
}

impl Drop for Faults {
    fn drop(&mut self) {
        drop(self.stop.take());
        self.shared.cut_all();
        self.shared.wake();
        if let Some(Err(panic)) = self.thread.take().map(JoinHandle::join) {
            eprintln!("the fault layer panicked: {panic:?}");
        }
    }
}

impl Shared {
    /// Takes connections, each to a thread of its own, until it is stopped.
    fn serve(&self, listener: TcpListener, absences: &Receiver<Absence>) {
        thread::scope(|scope| {
            let mut listener = Some(listener);
            while let Some(Absence(time, begun)) =
                listener.take().and_then(|listener| self.listen(scope, &listener, absences))
            {
                // The listener is closed.
                self.cut_all();
                drop(begun);
                if self.pause(time) {
                    return;
                }
                match self.port.listen() {
                    Ok(again) => listener = Some(again),
                    Err(error) => eprintln!("the fault layer does not listen again: {error}"),
                }
            }
        });
    }

    /// Until the port refuses connections, or for ever.
    fn listen<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        listener: &TcpListener,
        absences: &Receiver<Absence>,
    ) -> Option<Absence> {
        while !self.is_stopped() {
            if let Ok(absence) = absences.try_recv() {
                return Some(absence);
            }
            let Ok((client, _)) = listener.accept() else { continue };
            if let Ok(kept) = client.try_clone() {
                self.connect(scope, kept, client);
            }
        }
        None
    }

    fn connect<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        kept: TcpStream,
        client: TcpStream,
    ) {
        let mut open = self.open.lock();
        let number = open.last_key_value().map_or(0, |(last, _)| last + 1);
        // The system must not join the small pieces.
        if open.len() == MAX_CONNECTIONS || client.set_nodelay(true).is_err() {
            return;
        }
        open.insert(number, kept);
        drop(open);
        let serve = move || {
            // The stop of the layer has cut this connection, or it is noticed here.
            if !self.is_stopped() {
                Connection::new(self, client).serve();
            }
            self.open.lock().remove(&number);
        };
        if thread::Builder::new().name("faults-call".into()).spawn_scoped(scope, serve).is_err() {
            self.open.lock().remove(&number);
        }
    }

    fn decide(&self, request: &Request) -> Verdict {
        let mut seen = self.seen.lock();
        if seen.len() == MAX_REMEMBERED {
            seen.pop_front();
        }
        seen.push_back(request.clone());
        self.script.lock().decide(request)
    }

    fn admit(&self, request: &Request) -> bool {
        match (&mut *self.meter.lock(), &request.shard) {
            (Some(meter), Some(shard)) if request.operation == Operation::GetRecords => {
                meter.admit(shard, Instant::now())
            }
            _ => true,
        }
    }

    /// The records of an answer are three quarters of its text, and little else.
    fn charge(&self, request: &Request, length: usize) {
        if let (Some(meter), Some(shard)) = (&mut *self.meter.lock(), &request.shard) {
            meter.charge(shard, Instant::now(), length / 4 * 3);
        }
    }

    fn waited(&self, fault: &Fault, since: Instant) {
        self.waits.lock().push((fault.name(), since.elapsed()));
    }

    /// Refuses connections for this long, and returns when that has begun.
    fn go_away(&self, time: Duration) {
        let (begin, begun) = bounded(0);
        // The other side lives as long as the layer.
        let _ = self.absences.send(Absence(time, begin));
        self.wake();
        select_biased! {
            recv(self.stopped) -> _ => {}
            recv(begun) -> _ => {}
        }
    }

    /// Ends an `accept` in progress.
    fn wake(&self) {
        // Refused: nothing listens, so there is nothing to wake.
        drop(TcpStream::connect(self.port.address()));
    }

    fn cut_all(&self) {
        for client in self.open.lock().values() {
            // It may be closed already.
            let _ = client.shutdown(Shutdown::Both);
        }
    }

    /// Waits. Returns whether it was stopped meanwhile.
    fn pause(&self, time: Duration) -> bool {
        self.stopped.recv_timeout(time) == Err(RecvTimeoutError::Disconnected)
    }

    fn is_stopped(&self) -> bool {
        self.stopped.try_recv() == Err(TryRecvError::Disconnected)
    }
}
