//! Faults on the way to a table.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;

use crate::common::loopback::{CLOSE, Request, Server, answer, refusal};

/// A call that takes longer is none: the servers are on this machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// It is not made, and the answer is an error of the service.
    Refused,
    /// It is not made, since too many were.
    Throttled,
    /// It is made, and no answer comes.
    Lost,
    /// It is made, and the connection is closed in the middle of the answer.
    Cut,
    /// It is made, and the answer comes this much later.
    Slow(Duration),
}

/// How a call fares; the choice may depend on the call.
type Choice = Box<dyn Fn(&Request) -> Option<Fault> + Send + Sync>;

/// A proxy in front of a server; dropping it ends it.
pub(crate) struct Proxy {
    server: Server,
    shared: Arc<Shared>,
}

struct Shared {
    upstream: SocketAddr,
    choice: Mutex<Arc<Choice>>,
    /// Held across a call, if the server is to have one at a time.
    turn: Option<Mutex<()>>,
    counts: Mutex<Counts>,
}

/// What went through.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    /// Calls by who signed them and their operation.
    pub(crate) calls: BTreeMap<(String, String), usize>,
    /// Faults by their names.
    pub(crate) faults: BTreeMap<&'static str, usize>,
}

impl Fault {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Throttled => "throttled",
            Self::Lost => "lost",
            Self::Cut => "cut",
            Self::Slow(_) => "slow",
        }
    }
}

impl Proxy {
    /// A proxy that lets everything through, in front of the server at this address, `http://127.0.0.1:port`.
    pub(crate) fn before(upstream: &str) -> Self {
        Self::new(upstream, None)
    }

    /// The same, which makes one call after the other, in front of a server that loses writes when they meet.
    pub(crate) fn in_turn_before(upstream: &str) -> Self {
        Self::new(upstream, Some(Mutex::default()))
    }

    fn new(upstream: &str, turn: Option<Mutex<()>>) -> Self {
        let upstream = upstream.trim_start_matches("http://").parse().unwrap();
        let choice: Choice = Box::new(|_| None);
        let choice = Mutex::new(Arc::new(choice));
        let shared = Arc::new(Shared { upstream, choice, turn, counts: Mutex::default() });
        let serving = Arc::clone(&shared);
        Self { server: Server::new(move |request| serving.answer(request)), shared }
    }

    pub(crate) fn endpoint(&self) -> String {
        self.server.url()
    }

    /// From now on, each call fares as this says.
    pub(crate) fn choose(
        &self,
        choice: impl Fn(&Request) -> Option<Fault> + Send + Sync + 'static,
    ) {
        *self.shared.choice.lock() = Arc::new(Box::new(choice));
    }

    /// From now on, all is well.
    pub(crate) fn heal(&self) {
        self.choose(|_| None);
    }

    /// What went through so far.
    pub(crate) fn counts(&self) -> Counts {
        // The list of whole requests would only grow.
        while self.server.requests.try_recv().is_ok() {}
        self.shared.counts.lock().clone()
    }
}

impl Shared {
    fn answer(&self, request: &Request) -> Option<String> {
        let choice = Arc::clone(&self.choice.lock());
        let fault = choice(request);
        self.count(request, fault);
        match fault {
            Some(Fault::Refused) => {
                let body = r#"{"__type":"InternalServerError","message":"not now"}"#;
                return Some(answer("500 Internal Server Error", "", body));
            }
            Some(Fault::Throttled) => {
                return Some(refusal("ProvisionedThroughputExceededException", "not so much"));
            }
            Some(Fault::Slow(time)) => {
                let answer = self.forward(request);
                thread::sleep(time);
                return answer;
            }
            Some(Fault::Lost | Fault::Cut) | None => {}
        }
        let answer = self.forward(request)?;
        match fault {
            Some(Fault::Lost) => None,
            Some(Fault::Cut) => Some(cut(&answer)),
            _ => Some(answer),
        }
    }

    fn count(&self, request: &Request, fault: Option<Fault>) {
        let mut counts = self.counts.lock();
        let call = (request.key().to_owned(), request.operation().to_owned());
        *counts.calls.entry(call).or_default() += 1;
        if let Some(fault) = fault {
            *counts.faults.entry(fault.name()).or_default() += 1;
        }
    }

    /// The answer of the server; none if it gives none, as at the end of a test.
    fn forward(&self, request: &Request) -> Option<String> {
        let _turn = self.turn.as_ref().map(Mutex::lock);
        exchange(self.upstream, request).ok()
    }
}

/// Makes a call on a connection of its own.
fn exchange(server: SocketAddr, request: &Request) -> io::Result<String> {
    let mut stream = TcpStream::connect(server)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    stream.write_all([request.head.as_bytes(), request.body.as_bytes()].concat().as_slice())?;
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), None);
    loop {
        let from = head.len();
        if reader.read_line(&mut head)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let line = head[from..].to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok();
        }
        // The other connection lives as long as its client wants.
        if line.starts_with("connection:") {
            head.truncate(from);
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length.ok_or(ErrorKind::InvalidData)?];
    reader.read_exact(&mut body)?;
    Ok(head + &String::from_utf8(body).map_err(io::Error::other)?)
}

/// Half of an answer, at whose end the connection is closed.
fn cut(answer: &str) -> String {
    let (status, rest) = answer.split_once("\r\n").unwrap();
    let (head, body) = rest.split_once("\r\n\r\n").unwrap();
    let half = (0..=body.len() / 2).rev().find(|at| body.is_char_boundary(*at)).unwrap();
    format!("{status}\r\n{CLOSE}{head}\r\n\r\n{}", &body[..half])
}
