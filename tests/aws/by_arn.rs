//! A stream that is given by its ARN: what is sent, and how answers are read, beside one that is given by its name.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kinesis_consumer::{
    Call, Client, Config, Error, ErrorClass, IteratorType, KinesisClient, LocalStore, Stream,
    StreamStatus, Token,
};
use serde_json::{Value, json};

use crate::common::loopback::{Request, Server, answer, described, ok, refusal, stream_of};

const ARN: &str = "arn:aws:kinesis:eu-west-1:123456789012:stream/orders";
/// As a user gives them.
const BOTH: [&str; 2] = ["orders", ARN];

fn client(server: &Server) -> KinesisClient {
    let builder = KinesisClient::builder().endpoint(server.url()).region("us-east-1");
    builder.credentials("key", "secret").build().unwrap()
}

fn body(request: &Request) -> Value {
    serde_json::from_str(&request.body).unwrap()
}

/// Without the signature, which changes by the second.
fn headers(request: &Request) -> Vec<String> {
    let mut names: Vec<_> = request.head.lines().skip(1).map(str::to_ascii_lowercase).collect();
    names.retain(|line| !["authorization", "x-amz-date"].iter().any(|it| line.starts_with(it)));
    let name = |line: String| line.split(':').next().unwrap().to_owned();
    let mut names: Vec<_> = names.into_iter().map(name).collect();
    names.sort();
    names
}

#[test]
fn a_consumer_says_the_arn_and_no_name_in_all_four_calls() {
    let (answered, was_listed) = (stream_of(1), AtomicBool::new(false));
    let server = Server::new(move |request| {
        let is_first =
            request.operation() == "ListShards" && !was_listed.swap(true, Ordering::SeqCst);
        // So that the stream is described.
        Some(if is_first { refusal("ResourceInUseException", "later") } else { answered(request) })
    });
    let config = Config::new().interval(Duration::from_millis(1));
    let stream = Stream::new(client(&server), ARN, LocalStore::new(), config).unwrap();
    assert_eq!(stream.name(), ARN);
    let listener = stream.spawn(|_| Ok(())).unwrap();
    let mut bodies = BTreeMap::<String, Value>::new();
    while bodies.len() < 4 {
        let request = server.requests.recv_timeout(Duration::from_secs(60)).unwrap();
        let said = body(&request);
        assert_eq!(said.get("StreamName"), None, "{said}");
        assert_eq!(said["StreamARN"], ARN, "{said}");
        bodies.insert(request.operation().to_owned(), said);
    }
    listener.shutdown().now();
    listener.join().unwrap();
    let operations: Vec<_> = bodies.keys().map(String::as_str).collect();
    let all = ["DescribeStreamSummary", "GetRecords", "GetShardIterator", "ListShards"];
    assert_eq!(operations, all);
    assert_eq!(bodies["ListShards"], json!({"StreamARN": ARN}));
    assert_eq!(bodies["GetRecords"]["ShardIterator"], "token");
}

#[test]
fn shards_that_are_listed_before_the_start_are_listed_by_the_arn() {
    let server = Server::new({
        let answered = stream_of(2);
        move |request| Some(answered(request))
    });
    let config = Config::new();
    let mut stream = Stream::new(client(&server), ARN, LocalStore::new(), config).unwrap();
    assert_eq!(stream.shards().unwrap().len(), 2);
    assert_eq!(body(&server.requests.recv().unwrap()), json!({"StreamARN": ARN}));
}

#[test]
fn what_is_sent_differs_from_a_name_in_nothing_else() {
    let server = Server::new({
        let answered = stream_of(1);
        move |request| Some(answered(request))
    });
    let client = client(&server);
    let [by_name, by_arn] = BOTH.map(|stream| {
        let call = Call::unbounded().with_stream(stream);
        client.describe_stream(stream, &call).unwrap();
        client.list_shards(stream, None, &call).unwrap();
        client.list_shards(stream, Some("more"), &call).unwrap();
        client.get_shard_iterator(stream, "shard", &IteratorType::Latest, &call).unwrap();
        client.get_records(&Token::new("token"), 7, &call).unwrap();
        server.requests.try_iter().collect::<Vec<_>>()
    });
    assert_eq!(by_name.len(), 5);
    for (one, other) in by_name.iter().zip(&by_arn) {
        assert_eq!(one.operation(), other.operation());
        assert_eq!(headers(one), headers(other), "{}", one.operation());
        let mut wanted = body(one);
        let wanted = wanted.as_object_mut().unwrap();
        if wanted.remove("StreamName").is_some() || one.operation() == "GetRecords" {
            wanted.insert("StreamARN".into(), ARN.into());
        }
        assert_eq!(body(other).as_object().unwrap(), wanted);
    }
    // A page is named by its token alone.
    assert_eq!(body(&by_arn[2]), json!({"NextToken": "more"}));
}

/// Calls about the whole stream are those that go two ways.
#[test]
fn answers_are_read_alike() {
    let shards = r#"{"Shards":[
        {"ShardId":"shardId-000000000002","ParentShardId":"shardId-000000000000","AdjacentParentShardId":"",
         "HashKeyRange":{"StartingHashKey":"0","EndingHashKey":"9"},"New":{"x":[1]},
         "SequenceNumberRange":{"StartingSequenceNumber":"42","EndingSequenceNumber":"43"}},
        {"ShardId":"shardId-00000000000\u0033","ParentShardId":null,
         "HashKeyRange":{"StartingHashKey":"10","EndingHashKey":"340282366920938463463374607431768211455"},
         "SequenceNumberRange":{"StartingSequenceNumber":"44"}}],"NextToken":"more\"\\"}"#;
    let listed = Server::saying(ok(shards));
    let [by_name, by_arn] =
        BOTH.map(|it| client(&listed).list_shards(it, None, &Call::unbounded()).unwrap());
    assert_eq!(by_name.shards, by_arn.shards);
    assert_eq!((by_arn.shards.len(), by_arn.shards[0].parents().len()), (2, 1));
    assert_eq!(by_arn.next_token.as_deref(), Some("more\"\\"));
    assert_eq!(by_name.next_token, by_arn.next_token);
    for (said, wanted) in [
        ("CREATING", StreamStatus::Creating),
        ("ACTIVE", StreamStatus::Active),
        ("UPDATING", StreamStatus::Updating),
        ("DELETING", StreamStatus::Deleting),
    ] {
        let server = Server::saying(described(said));
        for stream in BOTH {
            let status = client(&server).describe_stream(stream, &Call::unbounded());
            assert_eq!(status.unwrap(), wanted, "{stream}");
        }
    }
}

#[test]
fn failures_are_classified_and_told_alike() {
    let refused = |code: &str| refusal(code, "no");
    let cut = ok(r#"{"Shards":[{"ShardId":"s"#);
    for (said, class) in [
        (refused("ResourceNotFoundException"), ErrorClass::NotFound),
        (refused("ResourceInUseException"), ErrorClass::InUse),
        (refused("InvalidArgumentException"), ErrorClass::InvalidArgument),
        (refused("ExpiredNextTokenException"), ErrorClass::ExpiredNextToken),
        (refused("LimitExceededException"), ErrorClass::Throttled),
        (refused("com.amazon.coral.service#ThrottlingException"), ErrorClass::Throttled),
        (refused("ExpiredTokenException"), ErrorClass::Credentials),
        (refused("AccessDeniedException"), ErrorClass::Fatal),
        (refused("SomethingNew"), ErrorClass::Fatal),
        (answer("503 Busy", "", ""), ErrorClass::Transient),
        (answer("404 Not Found", "", "<html>secret</html>"), ErrorClass::Fatal),
        (ok(""), ErrorClass::Transient),
        (ok("{}"), ErrorClass::Transient),
        (ok("null"), ErrorClass::Transient),
        (ok("<html>secret</html>"), ErrorClass::Transient),
        (ok(r#"{"Shards":null,"StreamDescriptionSummary":null}"#), ErrorClass::Transient),
        (ok(r#"{"Shards":[{"ShardId":"s"}]}"#), ErrorClass::Transient),
        (cut, ErrorClass::Transient),
        (described("SLEEPING"), ErrorClass::Transient),
    ] {
        let server = Server::saying(said.clone());
        let [by_name, by_arn] = BOTH.map(|stream| {
            let (client, call) = (client(&server), Call::unbounded());
            let listed = client.list_shards(stream, None, &call).expect_err(&said);
            let status = client.describe_stream(stream, &call).expect_err(&said);
            [listed, status].map(|error| {
                assert!(!error.to_string().contains("secret"), "{error}");
                (
                    error.operation(),
                    error.class(),
                    error.code().map(str::to_owned),
                    error.is_retriable(),
                )
            })
        });
        assert_eq!(by_name, by_arn, "{said}");
        assert!(by_arn.iter().all(|(_, found, ..)| *found == class), "{said}: {by_arn:?}");
    }
}

#[test]
fn an_arn_of_another_region_is_refused_without_a_call() {
    // Names that cannot be looked up: a call would fail.
    let client = |region: &str| {
        let builder = KinesisClient::builder().region(region);
        builder.endpoint(format!("https://kinesis.{region}.amazonaws.com")).build().unwrap()
    };
    let new =
        |region, arn| Stream::new(client(region), arn, LocalStore::new(), Config::new()).map(drop);
    assert!(new("eu-west-1", ARN).is_ok() && new("us-east-1", "orders").is_ok());
    let session = client("us-east-1").session().unwrap();
    for refused in [
        new("us-east-1", ARN),
        Stream::new(session, ARN, LocalStore::new(), Config::new()).map(drop),
    ] {
        let error = refused.unwrap_err();
        assert!(matches!(error, Error::InvalidSetting { setting: "name", .. }), "{error:?}");
        let text = error.to_string();
        assert!(
            text.contains("in region \"eu-west-1\"") && text.contains("\"us-east-1\""),
            "{text}"
        );
    }
}
