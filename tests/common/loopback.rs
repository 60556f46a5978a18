//! A server on loopback that answers as a test says, to any number of connections at once.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, unbounded};

/// The header of an answer after which the connection is closed.
pub(crate) const CLOSE: &str = "connection: close\r\n";

/// One request, as it came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// The request line and the headers.
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Request {
    /// What is asked for: the path of the request line.
    pub(crate) fn path(&self) -> &str {
        self.head.split(' ').nth(1).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The operation of Kinesis.
    pub(crate) fn operation(&self) -> &str {
        self.header("x-amz-target").unwrap().rsplit('.').next().unwrap()
    }

    /// A text of the body.
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        let value = self.body.split(&format!(r#""{name}":""#)).nth(1)?;
        Some(value.split('"').next().unwrap().to_owned())
    }

    /// The shard and the place that its token names, of a read whose tokens are `shard/place`.
    pub(crate) fn place(&self) -> Option<(String, usize)> {
        let token = self.field("ShardIterator").filter(|_| self.operation() == "GetRecords")?;
        let (shard, from) = token.split_once('/')?;
        Some((shard.to_owned(), from.parse().unwrap()))
    }

    /// The access key id that it is signed with.
    pub(crate) fn key(&self) -> &str {
        let signature = self.header("authorization").unwrap();
        signature.split("Credential=").nth(1).unwrap().split('/').next().unwrap()
    }

    /// The session token that it is signed with.
    pub(crate) fn token(&self) -> Option<&str> {
        self.header("x-amz-security-token")
    }
}

/// The server; dropping it closes its connections.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) requests: Receiver<Request>,
    ended: Arc<AtomicBool>,
    /// Those that are open, by number.
    connections: Arc<Mutex<BTreeMap<usize, TcpStream>>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// `answer` gets each request; `None` lets the client wait until it gives up. An answer that says `connection: close`
    /// is the last one of its connection, also if its body is shorter than it says.
    pub(crate) fn new(answer: impl Fn(&Request) -> Option<String> + Send + Sync + 'static) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").unwrap(), answer)
    }

    /// A server at an address of this machine.
    pub(crate) fn on(
        listener: TcpListener,
        answer: impl Fn(&Request) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        let address = listener.local_addr().unwrap();
        let (seen, requests) = unbounded();
        let ended = Arc::new(AtomicBool::new(false));
        let connections = Arc::new(Mutex::new(BTreeMap::new()));
        let (flag, kept) = (Arc::clone(&ended), Arc::clone(&connections));
        let thread = thread::spawn(move || {
            thread::scope(|scope| {
                for (number, stream) in listener.incoming().enumerate() {
                    let stream = stream.unwrap();
                    kept.lock().unwrap().insert(number, stream.try_clone().unwrap());
                    if flag.load(Ordering::SeqCst) {
                        return;
                    }
                    let (seen, answer, kept) = (&seen, &answer, &kept);
                    scope.spawn(move || {
                        serve(stream, &|request| {
                            let _ = seen.send(request.clone());
                            answer(request)
                        });
                        // With the last of both, the connection is closed.
                        kept.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
                    });
                }
            });
        });
        Self { address, requests, ended, connections, thread: Some(thread) }
    }

    /// The same answer to every request.
    pub(crate) fn saying(answer: String) -> Self {
        Self::new(move |_| Some(answer.clone()))
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        for stream in self.connections.lock().unwrap_or_else(PoisonError::into_inner).values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        let result = self.thread.take().unwrap().join();
        assert!(result.is_ok() || thread::panicking(), "the server panicked");
    }
}

fn serve(mut stream: TcpStream, answer: &dyn Fn(&Request) -> Option<String>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while let Some(request) = read_request(&mut reader) {
        match answer(&request) {
            Some(answer) => {
                let head = answer.find("\r\n\r\n").map_or("", |end| &answer[..end + 2]);
                let is_last = head.contains(CLOSE);
                if stream.write_all(answer.as_bytes()).is_err() || is_last {
                    return;
                }
            }
            None => {
                // Until the client has closed the connection.
                let _ = reader.read_to_end(&mut Vec::new());
            }
        }
    }
}

fn read_request(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).unwrap_or(0) == 0 {
            return None;
        }
    }
    let request = Request { head, body: String::new() };
    let length = request.header("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request { body: String::from_utf8(body).unwrap(), ..request })
}

/// An answer with a status line, more headers, and a body.
pub(crate) fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\n\r\n{body}")
}

pub(crate) fn ok(body: &str) -> String {
    answer("200 OK", "", body)
}

/// An error of the service.
pub(crate) fn refusal(code: &str, message: &str) -> String {
    answer("400 Bad Request", "", &format!(r#"{{"__type":"{code}","message":"{message}"}}"#))
}

/// What a stream of so many empty shards answers.
pub(crate) fn stream_of(shards: usize) -> impl Fn(&Request) -> String + Send + Sync {
    stream(0..shards)
}

/// What a stream answers whose empty shards have these numbers.
pub(crate) fn stream(shards: Range<usize>) -> impl Fn(&Request) -> String + Send + Sync {
    let listed: Vec<_> = shards
        .map(|shard| {
            let keys = r#""HashKeyRange":{"StartingHashKey":"0","EndingHashKey":"340282366920938463463374607431768211455"}"#;
            let numbers = r#""SequenceNumberRange":{"StartingSequenceNumber":"1"}"#;
            format!(r#"{{"ShardId":"shardId-{shard:012}",{keys},{numbers}}}"#)
        })
        .collect();
    let listed = format!(r#"{{"Shards":[{}]}}"#, listed.join(","));
    move |request| match request.operation() {
        "ListShards" => ok(&listed),
        "DescribeStreamSummary" => ok(ACTIVE),
        "GetShardIterator" => ok(r#"{"ShardIterator":"token"}"#),
        _ => ok(r#"{"Records":[],"NextShardIterator":"token","MillisBehindLatest":0}"#),
    }
}

/// A description of a stream in this state.
pub(crate) fn described(status: &str) -> String {
    ok(&ACTIVE.replace("ACTIVE", status))
}

/// A description of an active stream.
pub(crate) const ACTIVE: &str = r#"{"StreamDescriptionSummary":{"StreamName":"orders","StreamARN":"arn","StreamStatus":"ACTIVE","RetentionPeriodHours":24,"StreamCreationTimestamp":1,"EnhancedMonitoring":[],"OpenShardCount":1}}"#;

/// What an error and its sources say, as a program shows it to people.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// Asserts that a text holds each of these facts.
#[track_caller]
pub(crate) fn says(text: &str, facts: &[&str]) {
    for fact in facts {
        assert!(text.contains(fact), "{fact:?} is not in: {text}");
    }
}
