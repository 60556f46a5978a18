//! HTTP/1.1, as far as a proxy between a client and a server of ours needs it.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// More headers than this are no request of ours.
const MAX_HEAD: u64 = 64 << 10;
/// The server is in this process, or near.
const PATIENCE: Duration = Duration::from_secs(10);

/// A request or an answer whose body has a `Content-Length`.
#[derive(Clone, Debug)]
pub(super) struct Message {
    /// The request line, or the status line.
    start: String,
    headers: Vec<(String, Vec<u8>)>,
    pub(super) body: Vec<u8>,
}

impl Message {
    /// An answer.
    pub(super) fn answer(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("content-type".into(), content_type.into())];
        let message =
            Self { start: format!("HTTP/1.1 {status} Fault"), headers, body: body.into() };
        let length = message.body.len();
        message.with_header("content-length", length.to_string())
    }

    /// The next message; `None` if the other side has closed the connection before it.
    pub(super) fn read(from: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut head = from.by_ref().take(MAX_HEAD);
        let (mut start, mut headers) = (String::new(), Vec::new());
        if head.read_line(&mut start)? == 0 {
            return Ok(None);
        }
        loop {
            let mut line = Vec::new();
            head.read_until(b'\n', &mut line)?;
            if line == b"\r\n" {
                break;
            }
            let colon = line.iter().position(|byte| *byte == b':');
            let colon = colon.ok_or(ErrorKind::InvalidData)?;
            let name = String::from_utf8_lossy(&line[..colon]).to_ascii_lowercase();
            headers.push((name, line[colon + 1..].trim_ascii().to_vec()));
        }
        let mut message = Self { start: start.trim_end().into(), headers, body: Vec::new() };
        let length = message.header("content-length").and_then(|length| length.parse().ok());
        message.body.resize(length.unwrap_or(0), 0);
        from.read_exact(&mut message.body)?;
        Ok(Some(message))
    }

    /// A header's text, by its name in lower case.
    pub(super) fn header(&self, name: &str) -> Option<String> {
        let (_, value) = self.headers.iter().find(|(other, _)| other == name)?;
        Some(String::from_utf8_lossy(value).into_owned())
    }

    pub(super) fn with_header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.retain(|(other, _)| other != name);
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The same with another body, and its length.
    pub(super) fn with_body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        let length = self.body.len().to_string();
        self.with_header("content-length", length)
    }

    /// Everything before the body.
    pub(super) fn head(&self) -> Vec<u8> {
        let mut bytes = format!("{}\r\n", self.start).into_bytes();
        for (name, value) in &self.headers {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"\r\n");
        bytes
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.head();
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// Whether it is an answer with status 200.
    pub(super) fn is_ok(&self) -> bool {
        self.start.split(' ').nth(1) == Some("200")
    }
}

/// The server behind the proxy, over one kept connection.
pub(super) struct Upstream {
    address: SocketAddr,
    kept: Option<BufReader<TcpStream>>,
}

impl Upstream {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self { address, kept: None }
    }

    pub(super) fn call(&mut self, request: &Message) -> io::Result<Message> {
        if let Some(kept) = self.kept.take() {
            // The server may have closed it meanwhile.
            if let Ok(answer) = self.exchange(kept, request) {
                return Ok(answer);
            }
        }
        let stream = TcpStream::connect_timeout(&self.address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        self.exchange(BufReader::new(stream), request)
    }

    fn exchange(
        &mut self,
        mut stream: BufReader<TcpStream>,
        request: &Message,
    ) -> io::Result<Message> {
        stream.get_mut().write_all(&request.bytes())?;
        let answer = Message::read(&mut stream)?.ok_or(ErrorKind::UnexpectedEof)?;
        self.kept = Some(stream);
        Ok(answer)
    }
}
