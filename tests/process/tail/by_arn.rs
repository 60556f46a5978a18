//! A stream by its ARN.

use std::env;

use super::{TestStream, file};
use crate::common::loopback::{Server, stream_of};
use crate::common::support::Admin;
use crate::program::Program;

const ARN: &str = "arn:aws:kinesis:eu-west-1:123456789012:stream/orders";

#[test]
fn it_is_asked_for_by_its_arn_in_the_region_of_that() {
    for (more, region) in [(&[][..], "eu-west-1"), (&["--region", "us-east-1"], "us-east-1")] {
        let answered = stream_of(1);
        let server = Server::new(move |request| Some(answered(request)));
        let program = Program::without_region().with_credentials();
        let arguments = [ARN, "--endpoint", &server.url(), "--no-follow"];
        let ended = program.arguments(&arguments).arguments(more).start().end();
        assert_eq!(ended.success(), Vec::<String>::new());
        for request in server.requests.try_iter() {
            assert_eq!(request.field("StreamARN").as_deref(), Some(ARN), "{request:?}");
            let scope = format!("/{region}/kinesis/");
            assert!(request.header("authorization").unwrap().contains(&scope), "{request:?}");
        }
    }
}

#[test]
fn what_is_none_is_refused_without_a_call() {
    let answered = stream_of(1);
    let server = Server::new(move |request| Some(answered(request)));
    let ended = Program::new(&server.url()).arguments(&["arn:aws:s3:::x"]).start().end();
    assert_eq!(ended.status.code(), Some(1));
    let text =
        "tail: STREAM: \"arn:aws:s3:::x\" is not the ARN of a stream: it is of the service \"s3\"";
    assert!(ended.stderr.starts_with(text), "{}", ended.stderr);
    assert_eq!(server.requests.len(), 0);
    let elsewhere =
        ["--region", "us-east-1", "--endpoint", "https://kinesis.us-east-1.amazonaws.com"];
    let ended = Program::bare().with_credentials().arguments(&[ARN]).arguments(&elsewhere);
    let said = ended.start().end().stderr;
    assert!(said.contains("give the region of the stream by --region"), "{said}");
}

#[test]
fn positions_of_the_name_in_the_file_are_not_passed_over() {
    let (stream, store) = (TestStream::new(1), file("by-arn"));
    stream.put(["one espresso"]);
    let store = ["--store", store.to_str().unwrap()];
    assert_eq!(stream.lines(&[&store[..], &["--no-follow"]].concat()), ["one espresso"]);
    let program = Program::new(stream.server.endpoint()).arguments(&[ARN]).arguments(&store);
    let said = program.start().end().stderr;
    assert!(said.contains("the file of --store has positions of \"orders\""), "{said}");
    assert!(!said.contains("::store_key"), "{said}");
}

/// Where `KINESIS_LOCAL_ENDPOINT` says; the embedded server reads no ARN.
#[test]
fn it_is_read_from_kinesis_local() {
    let Some(endpoint) = env::var("KINESIS_LOCAL_ENDPOINT").ok().filter(|it| !it.is_empty()) else {
        assert!(
            env::var("CI").is_err(),
            "KINESIS_LOCAL_ENDPOINT is not set: tests/servers/run.sh sets it"
        );
        return;
    };
    let admin = Admin::new(&endpoint, format!("tail-{}", std::process::id())).unwrap();
    admin.create(2).unwrap();
    let record = |number: usize| (format!("key-{number}"), number.to_string().into_bytes());
    admin.put((0..20).map(record).collect()).unwrap();
    let arn = admin.arn().unwrap();
    let run =
        |stream: &str| Program::new(&endpoint).arguments(&[stream, "--no-follow"]).start().end();
    let [mut by_name, mut by_arn] = [admin.stream(), &arn].map(|stream| run(stream).success());
    let unknown = run(&arn.replace(admin.stream(), "nobody"));
    admin.delete().unwrap();
    assert_eq!(by_arn.len(), 20);
    by_name.sort();
    by_arn.sort();
    assert_eq!(by_arn, by_name);
    assert!(unknown.stderr.contains("stream/nobody\" does not exist here"), "{}", unknown.stderr);
}
