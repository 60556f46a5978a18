//! The fault layer itself, as it looks on the wire.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::support::{Fault, Faults, Operation, Rule, Server};

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

/// What comes until the connection ends, or nothing more for a moment, and how it ends.
fn call(stream: &mut TcpStream) -> (String, Result<(), ErrorKind>) {
    stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    stream.write_all(CALL.as_bytes()).unwrap();
    let (mut bytes, mut piece) = (Vec::new(), [0; 4096]);
    let end = loop {
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
    let through = |fault: Fault| {
        faults.clear();
        faults.add(Rule::once(fault));
        call(&mut connect(&faults).unwrap())
    };
    let (whole, end) = through(Fault::Paged(1));
    let length = lengths(&whole).0;
    assert!(end == OPEN && lengths(&whole) == (length, length), "{whole}");
    assert!(whole.contains("ResourceNotFoundException"), "{whole}");

    assert_eq!(through(Fault::Reset), (String::new(), Err(ErrorKind::ConnectionReset)));
    assert_eq!(through(Fault::Closed), (String::new(), Ok(())));
    assert_eq!(through(Fault::NoAnswer), (String::new(), OPEN));
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
        let (answer, end) = through(fault.clone());
        assert_eq!((lengths(&answer), end), (sizes, wanted), "{fault:?}");
    }
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
    assert_eq!(call(&mut connect(&faults).unwrap()).0, "");
    assert_eq!(connect(&faults).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    assert_eq!(other.read(&mut [0]).unwrap_or(0), 0, "every connection is closed");
    while connect(&faults).is_err() {
        std::thread::yield_now();
        assert!(began.elapsed() < Duration::from_secs(10));
    }
    assert!(began.elapsed() >= away, "{:?}", began.elapsed());
    assert!(call(&mut connect(&faults).unwrap()).0.starts_with("HTTP/1.1 400"));
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
    assert_eq!(call(&mut hanging[0]).0, "");
    assert_eq!(call(&mut hanging[1]).0, "H");
    let mut refused = connect(&faults).unwrap();
    faults.add(Rule::once(Fault::Refused(every)));
    assert_eq!(call(&mut refused).0, "");
    let began = Instant::now();
    drop(faults);
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}
