//! One client's connection.

use std::io::{self, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::net::TcpSocket;

use super::Shared;
use super::fault::Fault;
use super::http::{Message, Upstream};
use super::request::{Operation, Request};
use super::rewrite::Rewriter;

const JSON: &str = "application/x-amz-json-1.1";
const PAGE: &str = "<html><body>The gateway is not feeling well.</body></html>";

/// Answers the calls of one connection, one after the other, as the script says.
pub(super) struct Connection<'a> {
    shared: &'a Shared,
    client: BufReader<TcpStream>,
    upstream: Upstream,
}

/// What happens to the connection next.
#[derive(PartialEq, Eq)]
enum Then {
    Keep,
    Close,
}

impl<'a> Connection<'a> {
    pub(super) fn new(shared: &'a Shared, client: TcpStream) -> Self {
        let upstream = Upstream::new(shared.upstream);
        Self { shared, client: BufReader::new(client), upstream }
    }

    /// Runs until one of the two sides closes it. An error of the connection is only its end.
    pub(super) fn serve(mut self) {
        while let Ok(Some(message)) = Message::read(&mut self.client) {
            let request = Request::new(&message);
            if !matches!(self.answer(&request, &message), Ok(Then::Keep)) {
                return;
            }
        }
    }

    fn answer(&mut self, request: &Request, message: &Message) -> io::Result<Then> {
        let verdict = self.shared.decide(request);
        if let Some(fault) = &verdict.fault {
            self.shared.script.lock().count(fault.name());
            if let Some(then) = self.instead(request, fault)? {
                return Ok(then);
            }
        }
        if !self.shared.admit(request) {
            self.shared.script.lock().count("over the limits of a shard".into());
            return self.refuse(400, Some("ProvisionedThroughputExceededException"));
        }
        let upstream = &mut self.upstream;
        let mut server = Rewriter { upstream, request, message };
        let mut answer = server.forward()?;
        for rewrite in &verdict.rewrites {
            let (rewritten, differs) = server.apply(rewrite, answer)?;
            answer = rewritten;
            if differs {
                self.shared.script.lock().count(rewrite.name());
            }
        }
        self.shared.charge(request, answer.body.len());
        match &verdict.fault {
            Some(fault) => self.spoil(fault, answer),
            None => self.send(&answer.bytes(), Then::Keep),
        }
    }

    /// The faults that need no answer of the server.
    fn instead(&mut self, request: &Request, fault: &Fault) -> io::Result<Option<Then>> {
        Ok(Some(match fault {
            Fault::Refused(time) => {
                self.shared.go_away(*time);
                Then::Close
            }
            Fault::Reset => self.reset()?,
            Fault::Closed => Then::Close,
            Fault::NoAnswer => self.hang(fault, Instant::now()),
            Fault::Error { status, code } => self.refuse(*status, *code)?,
            Fault::Empty if request.operation == Operation::GetRecords => {
                let token = &request.token;
                let body =
                    json!({"Records": [], "NextShardIterator": token, "MillisBehindLatest": 1_000});
                self.send(&Message::answer(200, JSON, body.to_string()).bytes(), Then::Keep)?
            }
            _ => return Ok(None),
        }))
    }

    /// Sends the server's answer with a fault.
    fn spoil(&mut self, fault: &Fault, answer: Message) -> io::Result<Then> {
        let began = Instant::now();
        let half = answer.body.len() / 2;
        let cut = |answer: &Message| [answer.head(), answer.body[..half].to_vec()].concat();
        match fault {
            Fault::ClosedAfter => self.send(&answer.bytes(), Then::Close),
            Fault::Truncated => self.send(&cut(&answer), Then::Close),
            Fault::ResetInBody => {
                self.send(&cut(&answer), Then::Close)?;
                self.reset()
            }
            Fault::Stalled => {
                self.send(&cut(&answer), Then::Keep)?;
                Ok(self.hang(fault, began))
            }
            Fault::LengthTooLong => {
                let length = (answer.body.len() + 100).to_string();
                self.send(&answer.with_header("content-length", length).bytes(), Then::Keep)?;
                Ok(self.hang(fault, began))
            }
            Fault::LengthTooShort => {
                let length = half.to_string();
                self.send(&answer.with_header("content-length", length).bytes(), Then::Keep)
            }
            Fault::CutTo(length) => {
                let body = answer.body[..answer.body.len().min(*length)].to_vec();
                self.send(&answer.with_body(body).bytes(), Then::Keep)
            }
            Fault::Malformed => {
                let mut body = answer.body.clone();
                body[half..].fill(1);
                self.send(&answer.with_body(body).bytes(), Then::Keep)
            }
            Fault::Html => self.send(&Message::answer(200, "text/html", PAGE).bytes(), Then::Keep),
            Fault::ForeignHeader => {
                let answer =
                    answer.with_header("x-amzn-note", b"gr\xfc\xdfe \xe2\x82\xac".to_vec());
                self.send(&answer.bytes(), Then::Keep)
            }
            Fault::Dripped { bytes, every } => self.drip(fault, &answer, *bytes, *every),
            _ => self.send(&answer.bytes(), Then::Keep),
        }
    }

    fn refuse(&mut self, status: u16, code: Option<&str>) -> io::Result<Then> {
        let answer = match code {
            Some(code) => {
                let body = json!({"__type": code, "message": "The fault layer says no."});
                Message::answer(status, JSON, body.to_string())
            }
            None => Message::answer(status, "text/html", PAGE),
        };
        self.send(&answer.bytes(), Then::Keep)
    }

    fn drip(
        &mut self,
        fault: &Fault,
        answer: &Message,
        bytes: usize,
        every: Duration,
    ) -> io::Result<Then> {
        let began = Instant::now();
        for piece in answer.bytes().chunks(bytes) {
            if self.send(piece, Then::Keep).is_err() || self.shared.pause(every) {
                self.shared.waited(fault, began);
                return Ok(Then::Close);
            }
        }
        Ok(Then::Keep)
    }

    /// Sends nothing more until the client closes the connection.
    fn hang(&mut self, fault: &Fault, since: Instant) -> Then {
        let mut rest = [0; 1024];
        while self.client.read(&mut rest).unwrap_or(0) > 0 {}
        self.shared.waited(fault, since);
        Then::Close
    }

    /// Ends the connection with a reset at its close, which happens at once.
    fn reset(&mut self) -> io::Result<Then> {
        // Only tokio can set it, and needs no runtime for it. This is not the last descriptor.
        let socket = TcpSocket::from_std_stream(self.client.get_ref().try_clone()?);
        socket.set_zero_linger()?;
        Ok(Then::Close)
    }

    fn send(&mut self, bytes: &[u8], then: Then) -> io::Result<Then> {
        self.client.get_mut().write_all(bytes)?;
        Ok(then)
    }
}
