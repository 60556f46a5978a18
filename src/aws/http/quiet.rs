//! One request over HTTP/1.1 whose bytes no log shows.
//!
//! ureq connects, speaks TLS and reaches a proxy. It does not send the request, because it prints every byte at level
//! `trace`, and these requests and answers hold keys.

use std::io::{Read, Write};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime};

use httparse::{EMPTY_HEADER, Response, Status};
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::Resolver;
use ureq::unversioned::transport::time;
use ureq::unversioned::transport::{
    ConnectionDetails, Connector, DefaultConnector, NextTimeout, ShutdownHandle, Transport,
    TransportAdapter,
};
use ureq::{Agent, Timeout};

use crate::aws::http::proxy::Route;
use crate::aws::http::tls::{self, Roots};
use crate::aws::http::transport::CONNECT;

/// Longer than any answer of a service of credentials.
pub(crate) const MAX_BODY: usize = 256 << 10;
/// Longer than the head of any answer.
const MAX_HEAD: usize = 64 << 10;
/// More headers than any answer has.
const MAX_HEADERS: usize = 100;

/// What ends a call from another thread.
pub(crate) type Register =
    Arc<dyn Fn(Weak<dyn ShutdownHandle>) -> Result<(), ureq::Error> + Send + Sync>;

/// A request, which may hold secrets.
pub(crate) struct Ask<'a> {
    pub(crate) method: &'static str,
    pub(crate) uri: &'a Uri,
    pub(crate) headers: Vec<(&'a str, &'a str)>,
    pub(crate) body: &'a [u8],
}

/// The way to a server.
pub(crate) struct Way<'a> {
    pub(crate) resolver: &'a dyn Resolver,
    pub(crate) proxy: Option<&'a Route>,
    pub(crate) roots: Option<Roots>,
    pub(crate) register: Register,
}

/// An answer, which may hold secrets.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The server's clock, if the answer has it.
    pub(crate) date: Option<SystemTime>,
    pub(crate) body: Vec<u8>,
}

/// How the body of an answer ends.
enum End {
    /// After this many bytes.
    Length(usize),
    /// After a chunk of no bytes.
    Chunks,
    /// With the connection.
    Closed,
}

struct Head {
    length: usize,
    status: u16,
    date: Option<SystemTime>,
    end: End,
}

/// Sends a request in a connection of its own, and reads the answer.
///
/// # Errors
/// If no complete answer came in time. The error shows nothing of the request and the answer.
pub(crate) fn exchange(
    ask: &Ask<'_>,
    way: &Way<'_>,
    limit: Duration,
) -> Result<Answer, ureq::Error> {
    let start = Instant::now();
    let mut stream = TransportAdapter::new(connect(ask.uri, way, limit)?, clock());
    let left = limit.saturating_sub(start.elapsed());
    stream.set_timeout(next(left, Timeout::Global));
    stream.write_all(&ask.to_bytes()?)?;
    receive(&mut stream)
}

/// ureq's own connections, without its requests.
// long: all that ureq wants to know of a connection.
fn connect(uri: &Uri, way: &Way<'_>, limit: Duration) -> Result<Box<dyn Transport>, ureq::Error> {
    let config = Agent::config_builder().proxy(way.proxy.map(|route| route.proxy.clone()));
    let config: Config = tls::set(config, way.roots.clone()).build();
    let connector: Arc<dyn Connector<(), Out = Box<dyn Transport>>> =
        Arc::new(DefaultConnector::default());
    let start = Instant::now();
    // A proxy looks the name up itself.
    let addrs = match way.proxy {
        Some(_) => way.resolver.empty(),
        None => way.resolver.resolve(uri, &config, next(limit.min(CONNECT), Timeout::Resolve))?,
    };
    let left = limit.saturating_sub(start.elapsed());
    let again = Arc::clone(&connector);
    let details = ConnectionDetails {
        uri,
        addrs,
        config: &config,
        request_level: false,
        resolver: way.resolver,
        now: time::Instant::now(),
        timeout: next(left.min(CONNECT), Timeout::Connect),
        current_time: clock(),
        run_connector: Arc::new(move |details: &ConnectionDetails<'_>| {
            again.connect(details, None)?.ok_or(ureq::Error::ConnectionFailed)
        }),
        register_shutdown: Arc::clone(&way.register),
    };
    connector.connect(&details, None)?.ok_or(ureq::Error::ConnectionFailed)
}

/// What is left of a time, as ureq says it.
fn next(left: Duration, reason: Timeout) -> NextTimeout {
    NextTimeout { after: left.into(), reason, ..NextTimeout::default() }
}

fn clock() -> Arc<dyn Fn() -> time::Instant + Send + Sync> {
    Arc::new(time::Instant::now)
}

impl Ask<'_> {
    fn to_bytes(&self) -> Result<Vec<u8>, ureq::Error> {
        let path = self.uri.path_and_query().map_or("/", |path| path.as_str());
        let host = self.uri.authority().map(|authority| authority.as_str()).unwrap_or_default();
        let mut text = format!("{} {path} HTTP/1.1\r\nhost: {host}\r\n", self.method);
        for (name, value) in &self.headers {
            if !value.bytes().all(|byte| byte == b'\t' || byte == b' ' || byte.is_ascii_graphic()) {
                return Err(broken(&format!("the value of the header {name} is not plain text")));
            }
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if self.method != "GET" {
            text.push_str(&format!("content-length: {}\r\n", self.body.len()));
        }
        text.push_str("connection: close\r\n\r\n");
        Ok([text.as_bytes(), self.body].concat())
    }
}

/// Reads until the answer is complete.
fn receive(stream: &mut impl Read) -> Result<Answer, ureq::Error> {
    let (mut bytes, mut piece) = (Vec::new(), [0; 4_096]);
    let mut head = None;
    loop {
        let read = stream.read(&mut piece)?;
        bytes.extend_from_slice(&piece[..read]);
        if head.is_none() {
            head = read_head(&bytes)?;
            // Another answer follows an informational one.
            while let Some(Head { length, status: 100..=199, .. }) = head {
                bytes.drain(..length);
                head = read_head(&bytes)?;
            }
        }
        if let Some(Head { length, status, date, end }) = &head {
            if let Some(body) = end.body(&bytes[*length..], read == 0)? {
                return Ok(Answer { status: *status, date: *date, body });
            }
        }
        if read == 0 {
            return Err(broken("the answer was cut"));
        }
    }
}

/// The head of an answer; `None` if it is not complete.
fn read_head(bytes: &[u8]) -> Result<Option<Head>, ureq::Error> {
    let mut headers = [EMPTY_HEADER; MAX_HEADERS];
    let mut answer = Response::new(&mut headers);
    let length = match answer.parse(bytes) {
        Ok(Status::Complete(length)) => length,
        Ok(Status::Partial) if bytes.len() <= MAX_HEAD => return Ok(None),
        Ok(Status::Partial) => return Err(broken("the head of the answer does not end")),
        Err(_) => return Err(broken("the answer is not HTTP")),
    };
    let (status, header) = (answer.code.unwrap_or_default(), |name: &str| {
        let found = answer.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(found.value).ok()
    });
    let is_chunked = header("transfer-encoding")
        .is_some_and(|coding| coding.trim().eq_ignore_ascii_case("chunked"));
    let end = match header("content-length").map(|length| length.trim().parse()) {
        _ if is_chunked => End::Chunks,
        _ if matches!(status, 204 | 304) => End::Length(0),
        Some(Ok(length)) => End::Length(length),
        Some(Err(_)) => return Err(broken("the length of the answer is not a number")),
        None => End::Closed,
    };
    let date = header("date").and_then(|date| httpdate::parse_http_date(date).ok());
    Ok(Some(Head { length, status, date, end }))
}

impl End {
    /// The body, if all of it has come.
    fn body(&self, bytes: &[u8], is_closed: bool) -> Result<Option<Vec<u8>>, ureq::Error> {
        let too_long = Err(ureq::Error::BodyExceedsLimit(MAX_BODY as u64));
        match self {
            Self::Length(length) if *length > MAX_BODY => too_long,
            Self::Length(length) => Ok(bytes.get(..*length).map(<[u8]>::to_vec)),
            // Chunks of a byte each are several times as long as their body.
            Self::Closed | Self::Chunks if bytes.len() > 8 * MAX_BODY => too_long,
            Self::Closed if bytes.len() > MAX_BODY => too_long,
            Self::Closed => Ok(is_closed.then(|| bytes.to_vec())),
            Self::Chunks => match unchunk(bytes)? {
                Some(body) if body.len() > MAX_BODY => too_long,
                body => Ok(body),
            },
        }
    }
}

/// The body in these chunks, if the last one is there.
fn unchunk(mut bytes: &[u8]) -> Result<Option<Vec<u8>>, ureq::Error> {
    let mut body = Vec::new();
    loop {
        let size = httparse::parse_chunk_size(bytes);
        let Status::Complete((start, size)) = size.map_err(|_| broken("a chunk has no size"))?
        else {
            return Ok(None);
        };
        if size == 0 {
            return Ok(Some(body));
        }
        let size = usize::try_from(size).unwrap_or(usize::MAX).min(MAX_BODY + 1);
        let Some(chunk) = bytes.get(start..start + size) else { return Ok(None) };
        body.extend_from_slice(chunk);
        let Some(rest) = bytes.get(start + size + 2..) else { return Ok(None) };
        bytes = rest;
    }
}

fn broken(why: &str) -> ureq::Error {
    ureq::Error::Io(std::io::Error::new(std::io::ErrorKind::InvalidData, why))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of an answer that arrives in pieces of this length.
    fn received(text: &str, piece: usize) -> Result<(u16, String), String> {
        struct Pieces<'a>(&'a [u8], usize);
        impl Read for Pieces<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
                let length = self.1.min(self.0.len()).min(buffer.len());
                let (piece, rest) = self.0.split_at(length);
                buffer[..length].copy_from_slice(piece);
                self.0 = rest;
                Ok(length)
            }
        }
        let answer = receive(&mut Pieces(text.as_bytes(), piece)).map_err(|it| it.to_string())?;
        Ok((answer.status, String::from_utf8(answer.body).unwrap()))
    }

    #[test]
    fn a_body_ends_by_its_length_by_its_chunks_or_with_the_connection() {
        for piece in [1, 2, 7, 4_096] {
            let whole = |text: &str| received(text, piece).unwrap();
            let body = |status: u16, body: &str| (status, body.to_owned());
            let of_length = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello, and more";
            assert_eq!(whole(of_length), body(200, "hello"));
            let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n\
                           3\r\nhel\r\nA;x=y\r\nlo, chunks\r\n0\r\n\r\n";
            assert_eq!(whole(chunked), body(200, "hello, chunks"));
            let closed = "HTTP/1.0 403 No\r\n\r\nno";
            assert_eq!(whole(closed), body(403, "no"));
            let early = "HTTP/1.1 103 Early\r\nlink: x\r\n\r\n";
            let informed = format!("{early}{early}{of_length}");
            assert_eq!(whole(&informed), body(200, "hello"));
            assert_eq!(whole("HTTP/1.1 204 None\r\n\r\n"), body(204, ""));
        }
    }

    #[test]
    fn what_is_cut_or_no_http_or_too_long_is_an_error() {
        for piece in [1, 4_096] {
            for (text, why) in [
                ("", "cut"),
                ("HTTP/1.1 200 OK\r\nconten", "cut"),
                ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello", "cut"),
                ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhel", "cut"),
                ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nx\r\n", "no size"),
                ("HTTP/1.1 200 OK\r\ncontent-length: nine\r\n\r\n", "not a number"),
                ("HTTP/1.1 200 OK\r\ncontent-length: 999999\r\n\r\n", "limit"),
                ("SSH-2.0-OpenSSH\r\n", "not HTTP"),
            ] {
                let error = received(text, piece).unwrap_err();
                assert!(error.contains(why), "{text:?}: {error}");
            }
        }
        let long = "x".repeat(MAX_BODY + 1);
        let chunked = format!(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{long}\r\n0\r\n\r\n",
            long.len()
        );
        for text in [format!("HTTP/1.1 200 OK\r\n\r\n{long}"), chunked] {
            assert!(received(&text, 4_096).unwrap_err().contains("limit"));
        }
        let endless = format!("HTTP/1.1 200 OK\r\n{}", "x: y\r\n".repeat(20));
        assert!(received(&endless, 4_096).unwrap_err().contains("cut"));
        let endless = format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(MAX_HEAD));
        assert!(received(&endless, 4_096).unwrap_err().contains("does not end"));
    }

    #[test]
    fn a_value_cannot_begin_another_header() {
        let uri = "http://localhost/x?y".parse().unwrap();
        let ask =
            |value| Ask { method: "PUT", uri: &uri, headers: vec![("token", value)], body: b"" };
        let text = String::from_utf8(ask("a b").to_bytes().unwrap()).unwrap();
        assert_eq!(
            text,
            "PUT /x?y HTTP/1.1\r\nhost: localhost\r\ntoken: a b\r\ncontent-length: 0\r\nconnection: \
             close\r\n\r\n"
        );
        let error = ask("hush\r\nx: y").to_bytes().unwrap_err().to_string();
        assert!(error.contains("token") && !error.contains("hush"), "{error}");
    }
}
