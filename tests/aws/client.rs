//! The AWS client against servers on this machine: fakes that misbehave, and an emulator.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use crossbeam_channel::unbounded;
use ferrokinesis::store::StoreOptions;
use kinesis_consumer::{
    Call, Client, ClientError, Credentials, ErrorClass, HashKeyRange, IteratorType, KinesisClient,
    StreamStatus, Token,
};

#[cfg(feature = "rusoto")]
use kinesis_consumer::RusotoProvider;

use crate::common::promptly::promptly;

const EMPTY: &str = r#"{"Records":[],"NextShardIterator":"next","MillisBehindLatest":0}"#;

/// A server of one connection at a time that answers each request as it is told.
pub(crate) struct Fake {
    pub(crate) address: SocketAddr,
    pub(crate) requests: crossbeam_channel::Receiver<String>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Fake {
    /// `answer` is told which request it is, from 0, and says whether the connection stays.
    pub(crate) fn new(
        mut answer: impl FnMut(&mut TcpStream, usize) -> bool + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let ended = Arc::new(AtomicBool::new(false));
        let (seen, requests) = unbounded();
        let flag = ended.clone();
        let thread = thread::spawn(move || {
            let mut count = 0;
            for stream in listener.incoming() {
                if flag.load(Ordering::SeqCst) {
                    return;
                }
                let mut stream = stream.unwrap();
                while let Some(request) = read_request(&mut stream) {
                    let _ = seen.send(request);
                    count += 1;
                    if !answer(&mut stream, count - 1) {
                        break;
                    }
                }
            }
        });
        Self { address, requests, ended, thread: Some(thread) }
    }

    /// The same answer to every request.
    fn saying(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        // A client that has seen enough closes its end.
        Self::new(move |stream, _| stream.write_all(&answer).is_ok())
    }

    fn client(&self, deadline: Duration) -> KinesisClient {
        client_of(self.address, deadline)
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        let result = self.thread.take().unwrap().join();
        assert!(result.is_ok() || thread::panicking(), "the fake panicked");
    }
}

fn client_of(address: SocketAddr, deadline: Duration) -> KinesisClient {
    let builder = KinesisClient::builder().endpoint(format!("http://{address}"));
    builder.region("us-east-1").credentials("key", "secret").deadline(deadline).build().unwrap()
}

/// The head and body of a request; `None` when the client has closed the connection.
fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut text = Vec::new();
    let mut byte = [0];
    while !text.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).unwrap_or(0) == 0 {
            return None;
        }
        text.push(byte[0]);
    }
    let head = String::from_utf8(text).unwrap().to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).ok()?;
    Some(head + &String::from_utf8(body).unwrap())
}

fn ok(body: &str) -> String {
    answer("200 OK", "", body)
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\n\r\n{body}")
}

/// Blocks until the client has closed the connection.
fn until_closed(stream: &mut TcpStream) {
    let mut rest = [0; 1024];
    while stream.read(&mut rest).unwrap_or(0) > 0 {}
}

fn read(client: &dyn Client) -> Result<usize, ClientError> {
    let answer = client.get_records(&Token::new("token"), 100, &Call::unbounded())?;
    Ok(answer.records.len())
}

const SECOND: Duration = Duration::from_secs(1);
/// How long an event may take on a machine that is busy; a third of the deadlines that must not be waited for.
const SOON: Duration = Duration::from_secs(20);

#[test]
fn a_server_that_never_answers_is_given_up_at_the_deadline() {
    let deadline = 2 * SECOND;
    let fake = Fake::new(|stream, _| {
        until_closed(stream);
        false
    });
    let client = fake.client(deadline);
    let mut calls = 0;
    for call in [read as fn(&dyn Client) -> Result<usize, ClientError>, |client| {
        client.describe_stream("stream", &Call::unbounded()).map(|_| 0)
    }] {
        promptly(deadline * 115 / 100, "a call without an answer", || {
            calls += 1;
            let start = Instant::now();
            let error = call(&client).unwrap_err();
            let taken = start.elapsed();
            assert_eq!(error.class(), ErrorClass::TooLarge, "{error}");
            assert!(taken >= deadline * 95 / 100, "{taken:?}");
            taken
        });
    }
    assert_eq!(fake.requests.len(), calls, "what timed out is not sent again");
}

#[test]
fn the_deadline_of_a_call_covers_a_body_that_trickles() {
    let fake = Fake::new(|stream, _| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n");
        while stream.write_all(b" ").is_ok() {
            thread::sleep(Duration::from_millis(20));
        }
        false
    });
    let client = fake.client(60 * SECOND);
    promptly(SECOND * 115 / 100, "a body that trickles", || {
        let call = Call::unbounded().with_deadline(SECOND);
        let start = Instant::now();
        let error = client.get_records(&Token::new("token"), 100, &call).unwrap_err();
        assert_eq!(error.class(), ErrorClass::TooLarge, "{error}");
        start.elapsed()
    });
}

#[test]
fn an_interrupt_ends_a_call_in_progress_at_once_and_for_good() {
    for head in ["", "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{"] {
        let fake = Fake::new(move |stream, _| {
            let _ = stream.write_all(head.as_bytes());
            until_closed(stream);
            false
        });
        let client = fake.client(60 * SECOND);
        let session = client.session().unwrap();
        thread::scope(|scope| {
            let call = scope.spawn(|| read(&*session));
            fake.requests.recv_timeout(SOON).unwrap();
            let start = Instant::now();
            session.interrupt();
            assert!(call.join().unwrap().is_err());
            assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
        });
        let start = Instant::now();
        assert!(read(&*session).is_err());
        assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
        assert_eq!(fake.requests.len(), 0, "an interrupted call is not sent again");
    }
}

#[test]
fn an_interrupted_session_leaves_the_client_and_other_sessions_alone() {
    let fake = Fake::new(|stream, _| {
        stream.write_all(ok(EMPTY).as_bytes()).unwrap();
        false
    });
    let client = fake.client(10 * SECOND);
    let (one, other) = (client.session().unwrap(), client.session().unwrap());
    one.interrupt();
    assert!(read(&*one).is_err());
    assert_eq!((read(&*other).unwrap(), read(&client).unwrap()), (0, 0));
}

#[test]
fn a_cut_body_asks_for_fewer_records() {
    let cut = ok(EMPTY).replace("content-length: 6", "content-length: 96");
    let fake = Fake::new(move |stream, _| {
        stream.write_all(cut.as_bytes()).unwrap();
        false
    });
    let error = read(&fake.client(10 * SECOND)).unwrap_err();
    assert_eq!(error.class(), ErrorClass::TooLarge, "{error}");
}

#[test]
fn an_error_that_is_cut_before_it_tells_which_is_transient() {
    let said = "HTTP/1.1 400 Bad Request\r\ncontent-length: 120\r\n\r\n\
        {\"__type\":\"ProvisionedThroughputExc";
    let fake = Fake::new(move |stream, _| {
        stream.write_all(said.as_bytes()).unwrap();
        false
    });
    let error = read(&fake.client(10 * SECOND)).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Transient, "{error}");
    assert!(error.to_string().contains("HTTP status 400"), "{error}");
}

#[test]
fn what_is_no_answer_of_kinesis_is_transient() {
    let html = answer("200 OK", "content-type: text/html\r\n", "<html>Welcome</html>");
    let moved = answer("307 Moved", "location: http://127.0.0.1:1/\r\n", "");
    for said in [html, moved, ok("{}"), ok(""), answer("204 None", "", ""), "SSH-2.0\r\n".into()] {
        let fake = Fake::saying(said.clone());
        let client = fake.client(2 * SECOND);
        let error = read(&client).unwrap_err();
        assert_eq!(error.class(), ErrorClass::Transient, "{said}: {error}");
    }
}

#[test]
fn html_names_its_content_type() {
    let html = answer("200 OK", "content-type: text/html\r\n", "<html>Welcome</html>");
    let error = read(&Fake::saying(html).client(10 * SECOND)).unwrap_err().to_string();
    assert!(error.contains("text/html") && !error.contains("Welcome"), "{error}");
}

#[test]
fn connections_that_close_between_or_during_calls_are_survived() {
    // Keeps the connection, closes it after the answer, closes it instead of the answer, in turn.
    let fake = Fake::new(|stream, number| {
        if number % 3 == 2 {
            return false;
        }
        stream.write_all(ok(EMPTY).as_bytes()).unwrap();
        number % 3 == 0
    });
    let client = fake.client(10 * SECOND);
    for call in 0..20 {
        assert_eq!(read(&client).unwrap(), 0, "{call}");
    }
}

#[test]
fn a_server_that_always_hangs_up_is_tried_four_times() {
    let fake = Fake::new(|stream, _| stream.shutdown(Shutdown::Both).is_err());
    let error = read(&fake.client(10 * SECOND)).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Transient, "{error}");
    assert_eq!(fake.requests.len(), 4);
}

#[test]
fn headers_of_any_bytes_are_taken() {
    let mut said =
        b"HTTP/1.1 200 OK\r\nx-amzn-errortype: \xff\xe9\r\nserver: \xc3\xa9\r\n".to_vec();
    said.extend_from_slice(b"date: \xe9\r\ncontent-length: 66\r\n\r\n");
    said.extend_from_slice(format!("{EMPTY:66}").as_bytes());
    assert_eq!(read(&Fake::saying(said.clone()).client(10 * SECOND)).unwrap(), 0);
    let failed = String::from_utf8_lossy(&said).replace("200 OK", "400 No").replace("66", "0");
    let error = read(&Fake::saying(failed).client(10 * SECOND)).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Fatal, "{error}");
}

#[test]
fn a_body_of_more_than_32_mib_is_refused_whether_announced_or_not() {
    let announced = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", (32 << 20) + 1);
    let unannounced = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_owned();
    for head in [announced, unannounced] {
        let fake = Fake::new(move |stream, _| {
            let _ = stream.write_all(head.as_bytes());
            let chunk = [b' '; 1 << 16];
            while stream.write_all(&chunk).is_ok() {}
            false
        });
        let error = read(&fake.client(20 * SECOND)).unwrap_err();
        assert_eq!(error.class(), ErrorClass::TooLarge, "{error}");
        assert!(error.to_string().contains("32 MiB"), "{error}");
    }
}

#[cfg(feature = "rusoto")]
#[test]
fn calls_work_inside_a_tokio_runtime() {
    let fake = Fake::saying(ok(EMPTY));
    let builder = KinesisClient::builder().endpoint(format!("http://{}", fake.address));
    let client = builder.credentials_provider(RusotoProvider::new(Sleeping)).build().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let read = runtime.block_on(async { read(&client) });
    assert_eq!(read.unwrap(), 0);
    assert!(fake.requests.recv().unwrap().contains("credential=providedkey/"));
}

/// Sleeps before it answers, so that it needs the timer of a runtime.
#[cfg(feature = "rusoto")]
struct Sleeping;

#[cfg(feature = "rusoto")]
impl rusoto_credential::ProvideAwsCredentials for Sleeping {
    fn credentials<'a, 'b>(&'a self) -> std::pin::Pin<Box<Provided<'b>>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(async {
            tokio::time::sleep(Duration::from_millis(10)).await;
            let key = rusoto_credential::AwsCredentials::new("providedkey", "secret", None, None);
            Ok(key)
        })
    }
}

#[cfg(feature = "rusoto")]
type Provided<'a> = dyn Future<Output = Result<rusoto_credential::AwsCredentials, rusoto_credential::CredentialsError>>
    + Send
    + 'a;

#[test]
fn refused_credentials_are_replaced_for_the_next_call() {
    let fake = Fake::new(|stream, number| {
        let expired = r#"{"__type":"ExpiredTokenException","message":"too old"}"#;
        let said = if number == 0 { answer("400 Bad", "", expired) } else { ok(EMPTY) };
        stream.write_all(said.as_bytes()).is_ok()
    });
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = asked.clone();
    let function = move || {
        let number = counter.fetch_add(1, Ordering::SeqCst);
        Ok(Credentials::new(format!("key{number}"), "secret").with_session_token("token"))
    };
    let builder = KinesisClient::builder().endpoint(format!("http://{}", fake.address));
    let client = builder.credentials_provider(function).build().unwrap();
    let error = read(&client).unwrap_err();
    assert_eq!(
        (error.class(), error.code()),
        (ErrorClass::Credentials, Some("ExpiredTokenException"))
    );
    assert_eq!((read(&client).unwrap(), read(&client).unwrap()), (0, 0));
    let keys: Vec<_> = fake.requests.try_iter().collect();
    assert!(keys[0].contains("credential=key0/") && keys[1].contains("credential=key1/"));
    assert!(
        keys[2].contains("credential=key1/") && keys[2].contains("x-amz-security-token: token")
    );
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[test]
fn errors_of_every_call_are_classified_alike() {
    for (code, class) in [
        ("ResourceNotFoundException", ErrorClass::NotFound),
        ("com.amazon.coral.service#ThrottlingException", ErrorClass::Throttled),
        ("ExpiredNextTokenException", ErrorClass::ExpiredNextToken),
        ("UnrecognizedClientException", ErrorClass::Credentials),
        ("AccessDeniedException", ErrorClass::Fatal),
    ] {
        let body = format!(r#"{{"__type":"{code}","message":"no"}}"#);
        let fake = Fake::saying(answer("400 Bad Request", "", &body));
        let client = fake.client(10 * SECOND);
        let call = Call::unbounded();
        let latest = IteratorType::Latest;
        for error in [
            client.describe_stream("stream", &call).unwrap_err(),
            client.list_shards("stream", None, &call).unwrap_err(),
            client.get_shard_iterator("stream", "shard", &latest, &call).unwrap_err(),
            read(&client).unwrap_err(),
        ] {
            assert_eq!(error.class(), class, "{error}");
            assert_eq!(error.code(), code.rsplit('#').next());
            assert!(error.to_string().starts_with(error.operation()), "{error}");
        }
    }
}

#[test]
fn the_first_page_is_asked_for_by_name_and_the_next_by_token_alone() {
    let fake = Fake::saying(ok(r#"{"Shards":[],"NextToken":"more"}"#));
    let client = fake.client(10 * SECOND);
    let page = client.list_shards("stream", None, &Call::unbounded()).unwrap();
    assert_eq!(page.next_token.as_deref(), Some("more"));
    client.list_shards("stream", Some("more"), &Call::unbounded()).unwrap();
    let first = fake.requests.recv().unwrap();
    assert!(first.ends_with(r#"{"StreamName":"stream"}"#), "{first}");
    assert!(first.contains("x-amz-target: kinesis_20131202.listshards"), "{first}");
    assert!(first.contains("user-agent: kinesis-consumer/"), "{first}");
    assert!(fake.requests.recv().unwrap().ends_with(r#"{"NextToken":"more"}"#));
}

#[test]
fn a_listing_that_makes_no_sense_is_transient() {
    for body in [
        "",
        "<html>",
        r#"{"Shards":[{}]}"#,
        r#"{"Shards":[{"ShardId":"s","HashKeyRange":{"StartingHashKey":"x","EndingHashKey":"1"},"SequenceNumberRange":{"StartingSequenceNumber":"1"}}]}"#,
        r#"{"Shards":[{"ShardId":"s","HashKeyRange":{"StartingHashKey":"0","EndingHashKey":"1"},"SequenceNumberRange":{"StartingSequenceNumber":"x"}}]}"#,
    ] {
        let fake = Fake::saying(ok(body));
        let client = fake.client(10 * SECOND);
        let listed = client.list_shards("stream", None, &Call::unbounded());
        assert_eq!(listed.unwrap_err().class(), ErrorClass::Transient, "{body}");
        let described = client.describe_stream("stream", &Call::unbounded());
        assert_eq!(described.unwrap_err().class(), ErrorClass::Transient, "{body}");
    }
}

#[test]
fn the_servers_clock_comes_with_a_shard_iterator() {
    let date = "date: Tue, 15 Nov 1994 08:12:31 GMT\r\n";
    let fake = Fake::saying(answer("200 OK", date, r#"{"ShardIterator":"token"}"#));
    let client = fake.client(10 * SECOND);
    let at = IteratorType::TrimHorizon;
    let answer = client.get_shard_iterator("stream", "shard", &at, &Call::unbounded()).unwrap();
    let seconds =
        answer.server_time.unwrap().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    assert_eq!((answer.token, seconds), (Token::new("token"), 784_887_151));
}

#[test]
fn a_host_is_found_by_name() {
    let fake = Fake::saying(ok(EMPTY));
    let url = format!("http://localhost:{}", fake.address.port());
    let client = KinesisClient::builder().endpoint(url).credentials("k", "s").build().unwrap();
    assert_eq!((read(&client).unwrap(), read(&client).unwrap()), (0, 0));
}

/// An emulator in a thread of its own.
struct Emulator {
    address: SocketAddr,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Emulator {
    fn new() -> Self {
        let options =
            StoreOptions { create_stream_ms: 0, shard_limit: 100, ..StoreOptions::default() };
        let (address_out, address) = crossbeam_channel::bounded(1);
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let thread = thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let (router, _store) = ferrokinesis::create_app(options);
                let router = router.layer(axum::extract::DefaultBodyLimit::disable());
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                address_out.send(listener.local_addr().unwrap()).unwrap();
                let serve = async { axum::serve(listener, router).await.unwrap() };
                tokio::spawn(serve);
                let _ = stopped.await;
            });
        });
        let address = address.recv_timeout(SOON).unwrap();
        Self { address, stop: Some(stop), thread: Some(thread) }
    }

    /// Calls an operation that the consumer has no use for.
    fn call(&self, operation: &str, body: &serde_json::Value) -> String {
        let signature = "AWS4-HMAC-SHA256 Credential=k/20200101/us-east-1/kinesis/aws4_request, \
                         SignedHeaders=host, Signature=0";
        let request = ureq::post(format!("http://{}/", self.address))
            .config()
            .proxy(None)
            .build()
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", format!("Kinesis_20131202.{operation}"))
            .header("x-amz-date", "20200101T000000Z")
            .header("authorization", signature);
        request.send(body.to_string()).unwrap().body_mut().read_to_string().unwrap()
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        drop(self.stop.take());
        let _ = self.thread.take().unwrap().join();
    }
}

#[test]
fn records_go_through_an_emulator_and_come_back() {
    let emulator = Emulator::new();
    let client = client_of(emulator.address, 20 * SECOND);
    let call = Call::unbounded();
    let missing = client.describe_stream("nobody", &call).unwrap_err();
    assert_eq!(missing.class(), ErrorClass::NotFound, "{missing}");

    emulator.call("CreateStream", &serde_json::json!({"StreamName": "stream", "ShardCount": 1}));
    while client.describe_stream("stream", &call).unwrap() != StreamStatus::Active {
        thread::yield_now();
    }
    let start = SystemTime::now();
    for number in 0..3 {
        let data = ["aGVsbG8=", "", "/+8="][number];
        let put = serde_json::json!({"StreamName": "stream", "PartitionKey": format!("é{number}"), "Data": data});
        emulator.call("PutRecord", &put);
    }

    let page = client.list_shards("stream", None, &call).unwrap();
    let [shard] = &page.shards[..] else { panic!("{page:?}") };
    assert_eq!((shard.hash_keys(), shard.is_closed()), (HashKeyRange::ALL, false));
    assert_eq!((shard.parents().len(), page.next_token), (0, None));

    let session = client.session().unwrap();
    let iterator = |at| session.get_shard_iterator("stream", shard.id(), &at, &call);
    let first = iterator(IteratorType::TrimHorizon).unwrap();
    let answer = session.get_records(&first.token, 2, &call).unwrap();
    assert_eq!((answer.records.len(), answer.children.len()), (2, 0));
    let record = answer.records.first().unwrap();
    assert_eq!((record.data(), record.partition_key()), (&b"hello"[..], "é0"));
    let since = record.approximate_arrival().unwrap().duration_since(start - SECOND);
    assert!(since.unwrap() < 60 * SECOND);
    let rest = session.get_records(&answer.next.unwrap(), 10_000, &call).unwrap();
    assert_eq!(rest.records.len(), 1);
    assert_eq!(rest.records.first().unwrap().data(), [0xff, 0xef]);

    let at = record.sequence_number().parse().unwrap();
    let after = iterator(IteratorType::AfterSequenceNumber(at)).unwrap();
    assert_eq!(session.get_records(&after.token, 10, &call).unwrap().records.len(), 2);
    let timed = iterator(IteratorType::AtTimestamp(start - 5 * SECOND)).unwrap();
    assert_eq!(session.get_records(&timed.token, 10, &call).unwrap().records.len(), 3);
    let bad = iterator(IteratorType::AtSequenceNumber("1".parse().unwrap())).unwrap_err();
    assert_eq!(bad.class(), ErrorClass::InvalidArgument, "{bad}");
}

#[test]
fn nobody_there_is_transient_and_quick() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let start = Instant::now();
    let error = read(&client_of(address, 60 * SECOND)).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Transient, "{error}");
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    let refused = TcpStream::connect(address).map(|_| ()).map_err(|error| error.kind());
    assert_eq!(refused, Err(ErrorKind::ConnectionRefused), "the port was taken meanwhile");
}
