//! The fault layer itself, as it looks on the wire.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::common::support::{Fault, Faults, Operation, Rule, Server};

/// How long an event may take on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long nothing must come.
const MOMENT: Duration = Duration::from_millis(100);
const CALL: &str = "POST / HTTP/1.1\r\nhost: x\r\nx-amz-target: Kinesis_20131202.ListShards\r\n\
     content-type: application/x-amz-json-1.1\r\nauthorization: AWS4-HMAC-SHA256 Credential=k/20200101/\
     us-east-1/kinesis/aws4_request, SignedHeaders=host, Signature=0\r\nx-amz-date: 20200101T000000Z\r\n\
     content-length: 18\r\n\r\n{\"StreamName\":\"s\"}";

/// The same body from this server for every call: there is no such stream.
fn layer() -> (Faults, Server) {
    let server = Server::start().unwrap();
    (Faults::before(server.endpoint(), 7).unwrap(), server)
}

fn connect(faults: &Faults) -> std::io::Result<TcpStream> {
    TcpStream::connect(faults.endpoint().trim_start_matches("http://"))
}

/// How much of an answer is to come.
#[derive(Clone, Copy)]
enum Until {
    /// The connection ends.
    End,
    /// The body has so many bytes.
    Body(usize),
    /// The body is as long as the head announces.
    Whole,
    /// So many bytes of anything.
    Bytes(usize),
}

impl Until {
    fn is_so(self, bytes: &[u8]) -> bool {
        let text = String::from_utf8_lossy(bytes);
        let has_body = |wanted: Option<usize>| {
            let head = bytes.windows(4).position(|it| it == b"\r\n\r\n").map(|at| at + 4);
            head.is_some_and(|head| {
                bytes.len() - head >= wanted.unwrap_or_else(|| lengths(&text).0)
            })
        };
        match self {
            Self::End => false,
            Self::Body(length) => has_body(Some(length)),
            Self::Whole => has_body(None),
            Self::Bytes(length) => bytes.len() >= length,
        }
    }
}

/// What comes: all that is waited for, and what may come in the moment after it; and how it ends.
fn call(stream: &mut TcpStream, until: Until) -> (String, Result<(), ErrorKind>) {
    stream.write_all(CALL.as_bytes()).unwrap();
    let (mut bytes, mut piece) = (Vec::new(), [0; 4096]);
    let end = loop {
        let wait = if until.is_so(&bytes) { MOMENT } else { PATIENCE };
        stream.set_read_timeout(Some(wait)).unwrap();
        match stream.read(&mut piece) {
            Ok(0) => break Ok(()),
            Ok(length) => bytes.extend_from_slice(&piece[..length]),
            Err(error) => break Err(error.kind()),
        }
    };
    (String::from_utf8_lossy(&bytes).into_owned(), end)
}

/// The status of the answer; nothing if the connection was closed.
fn status(stream: &mut TcpStream) -> String {
    stream.write_all(CALL.as_bytes()).unwrap();
    let mut answer = String::new();
    let mut reader = BufReader::new(stream);
    reader.read_line(&mut answer).unwrap();
    answer.get(9..12).unwrap_or_default().into()
}

/// What the head announces, and how long the body is.
fn lengths(answer: &str) -> (usize, usize) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    (length.parse().unwrap(), body.len())
}

#[test]
fn every_fault_is_on_the_wire_what_it_says() {
    const OPEN: Result<(), ErrorKind> = Err(ErrorKind::WouldBlock);
    let (faults, _server) = layer();
    let through = |fault: Fault, until: Until| {
        faults.clear();
        faults.add(Rule::once(fault));
        call(&mut connect(&faults).unwrap(), until)
    };
    let (whole, end) = through(Fault::Paged(1), Until::Whole);
    let length = lengths(&whole).0;
    assert!(end == OPEN && lengths(&whole) == (length, length), "{whole}");
    assert!(whole.contains("ResourceNotFoundException"), "{whole}");

    let reset = Err(ErrorKind::ConnectionReset);
    assert_eq!(through(Fault::Reset, Until::End), (String::new(), reset));
    assert_eq!(through(Fault::Closed, Until::End), (String::new(), Ok(())));
    assert_eq!(through(Fault::NoAnswer, Until::Bytes(0)), (String::new(), OPEN));
    for (fault, sizes, wanted) in [
        (Fault::ResetInBody, (length, length / 2), Err(ErrorKind::ConnectionReset)),
        (Fault::ClosedAfter, (length, length), Ok(())),
        (Fault::Truncated, (length, length / 2), Ok(())),
        (Fault::Stalled, (length, length / 2), OPEN),
        (Fault::LengthTooLong, (length + 100, length), OPEN),
        (Fault::LengthTooShort, (length / 2, length), OPEN),
        (Fault::CutTo(10), (10, 10), OPEN),
        (Fault::Malformed, (length, length), OPEN),
        (Fault::Dripped { bytes: 50, every: Duration::from_millis(1) }, (length, length), OPEN),
    ] {
        let until = if wanted == OPEN { Until::Body(sizes.1) } else { Until::End };
        let (answer, end) = through(fault.clone(), until);
        assert_eq!((lengths(&answer), end), (sizes, wanted), "{fault:?}");
    }
    let through = |fault| through(fault, Until::Whole);
    assert!(through(Fault::Malformed).0.ends_with("\u{1}\u{1}"));
    assert!(through(Fault::Html).0.ends_with("</html>"));
    assert!(through(Fault::ForeignHeader).0.contains("x-amzn-note: gr\u{fffd}"));
    let (answer, _) = through(Fault::Error { status: 503, code: None });
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("<html>"), "{answer}");
    let (answer, _) = through(Fault::refusal("LimitExceededException"));
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("__type"), "{answer}");
}

#[test]
fn a_server_that_is_away_refuses_connections_and_comes_back_at_its_place() {
    let (faults, _server) = layer();
    let mut other = connect(&faults).unwrap();
    let away = Duration::from_millis(300);
    faults.add(Rule::once(Fault::Refused(away)));
    let began = Instant::now();
    assert_eq!(call(&mut connect(&faults).unwrap(), Until::End).0, "");
    match connect(&faults) {
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionRefused),
        // So late that it is back: `away` began after `began`.
        Ok(_) => assert!(began.elapsed() >= away, "{:?}", began.elapsed()),
    }
    assert_eq!(other.read(&mut [0]).unwrap_or(0), 0, "every connection is closed");
    while connect(&faults).is_err() {
        std::thread::yield_now();
        assert!(began.elapsed() < PATIENCE);
    }
    assert!(began.elapsed() >= away, "{:?}", began.elapsed());
    let (answer, _) = call(&mut connect(&faults).unwrap(), Until::Whole);
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
}

#[test]
fn rules_strike_when_they_say_and_are_counted() {
    let (faults, _server) = layer();
    let refusal = |number: u16| Fault::Error { status: 500 + number, code: None };
    faults.add(Rule::times(2, refusal(1)).after(1));
    faults.add(Rule::every(2, refusal(2)).on(Operation::ListShards));
    faults.add(Rule::always(refusal(3)).on(Operation::GetRecords));
    faults.add(Rule::always(refusal(4)).of("shardId-000000000000"));
    let statuses: Vec<_> = (0..7).map(|_| status(&mut connect(&faults).unwrap())).collect();
    assert_eq!(statuses, ["400", "501", "501", "502", "400", "502", "400"]);
    assert_eq!((faults.count(&refusal(1)), faults.count(&refusal(2))), (2, 2));
    assert_eq!((faults.count(&refusal(3)), faults.seen().len()), (0, 7));
}

#[test]
fn a_seed_repeats_its_mix() {
    let run = |seed| {
        let server = Server::start().unwrap();
        let faults = Faults::before(server.endpoint(), seed).unwrap();
        faults.add(Rule::rate(0.5, Fault::Closed));
        let calls = (0..20).map(|_| status(&mut connect(&faults).unwrap()).is_empty());
        calls.collect::<Vec<bool>>()
    };
    let first = run(3);
    assert!(first == run(3) && first != run(4), "{first:?}");
    assert!(first.contains(&true) && first.contains(&false), "{first:?}");
}

#[test]
fn dropping_the_layer_ends_whatever_hangs() {
    let (faults, _server) = layer();
    let every = Duration::from_secs(3_600);
    faults.add(Rule::once(Fault::NoAnswer));
    faults.add(Rule::once(Fault::Dripped { bytes: 1, every }));
    let mut hanging: Vec<TcpStream> = (0..2).map(|_| connect(&faults).unwrap()).collect();
    assert_eq!(call(&mut hanging[0], Until::Bytes(0)).0, "");
    assert_eq!(call(&mut hanging[1], Until::Bytes(1)).0, "H");
    let mut refused = connect(&faults).unwrap();
    faults.add(Rule::once(Fault::Refused(every)));
    assert_eq!(call(&mut refused, Until::End).0, "");
    // Or it lasts an hour.
    drop(faults);
}
