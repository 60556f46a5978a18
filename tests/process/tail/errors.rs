//! What it says when it fails.

use std::fs::OpenOptions;
use std::net::TcpListener;

use super::TestStream;
use crate::program::{Ended, Program};

/// One line, and the exit status of a failure.
fn failed(ended: Ended) -> String {
    assert_eq!((ended.status.code(), ended.lines.len()), (Some(1), 0), "{}", ended.stderr);
    let last = ended.stderr.lines().last().unwrap();
    last.strip_prefix("tail: ").unwrap_or_else(|| panic!("{last}")).to_owned()
}

#[test]
fn a_stream_or_a_shard_that_is_not_there_is_named() {
    let stream = TestStream::new(1);
    let ended = Program::new(stream.server.endpoint()).arguments(&["nothing"]).start().end();
    let text = failed(ended);
    assert!(text.starts_with("stream \"nothing\" does not exist here: check its name"), "{text}");
    assert!(text.contains("ListShards answered ResourceNotFoundException"), "{text}");
    let text = failed(stream.program(&["--shard", "shardId-7"]).start().end());
    assert_eq!(text, "stream \"orders\" has no shard \"shardId-7\", but shardId-000000000000");
}

#[test]
fn a_server_that_is_not_there_is_told_at_once_and_given_up_soon() {
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let running = Program::new(&format!("http://127.0.0.1:{port}")).arguments(&["orders"]).start();
    let warning = running.said();
    assert!(warning.starts_with("warn: stream \"orders\": ListShards failed"), "{warning}");
    let text = failed(running.end());
    assert!(text.starts_with("stream \"orders\" cannot be read, tried for 1"), "{text}");
    // The reason is said once, and in full.
    assert!(warning.contains("Connection refused"), "{warning}");
    assert!(text.ends_with(", for the reason above"), "{text}");
}

#[test]
fn missing_credentials_are_told() {
    let program = Program::bare().arguments(&["orders", "--endpoint", "http://127.0.0.1:9"]);
    let ended = program.start().end();
    assert_eq!(ended.stderr.matches("no credentials").count(), 1, "{}", ended.stderr);
    assert!(!ended.stderr.contains("::"), "{}", ended.stderr);
    failed(ended);
}

#[test]
fn a_server_of_http_elsewhere_is_read_from_if_that_is_allowed() {
    // Which leads to this machine, and is no address of loopback.
    let stream = TestStream::new(1);
    stream.put(["one espresso"]);
    let endpoint = stream.server.endpoint().replace("127.0.0.1", "0.0.0.0");
    let program = |more: &[&str]| {
        Program::new(&endpoint).arguments(&["orders", "--no-follow"]).arguments(more)
    };
    let text = failed(program(&[]).start().end());
    assert!(text.starts_with("--endpoint: ") && text.contains("--allow-http"), "{text}");
    assert!(!text.contains("::"), "{text}");
    assert_eq!(program(&["--allow-http"]).start().end().success(), ["one espresso"]);
}

#[test]
fn a_region_that_is_nowhere_is_asked_for_by_the_name_of_its_option() {
    let program = Program::without_region().arguments(&["orders"]).with_credentials();
    let text = failed(program.start().end());
    assert!(text.starts_with("--region: none is set: neither by --region"), "{text}");
    assert!(!text.contains("::"), "{text}");
}

#[test]
fn a_setting_out_of_range_is_named_as_the_command_line_names_it() {
    let text = failed(Program::new("http://example.com").arguments(&["orders"]).start().end());
    assert!(text.starts_with("--endpoint: ") && !text.contains("::"), "{text}");
    let text = failed(Program::new("http://127.0.0.1:9").arguments(&["or ders"]).start().end());
    assert!(text.starts_with("STREAM: \"or ders\" is not a stream name"), "{text}");
    let future = ["orders", "--from", "2999-01-01T00:00:00Z"];
    let text = failed(Program::new("http://127.0.0.1:9").arguments(&future).start().end());
    assert!(text.starts_with("--from: the timestamp is "), "{text}");
}

#[test]
fn a_full_disk_is_a_failure() {
    let stream = TestStream::new(1);
    stream.put(["one espresso"]);
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let text = failed(stream.program(&["--from", "1h"]).stdout(full).start().end());
    assert!(text.starts_with("standard output cannot be written: No space left"), "{text}");
}

#[test]
fn a_wrong_command_line_is_another_status() {
    let wrong: [&[&str]; 6] = [
        &[],
        &["orders", "--limit", "0"],
        &["orders", "--from", "yesterday"],
        &["orders", "--grep", ""],
        &["orders", "--format", "xml"],
        &["orders", "--follow"],
    ];
    for arguments in wrong {
        let ended = Program::bare().arguments(arguments).start().end();
        assert_eq!(ended.status.code(), Some(2), "{arguments:?}");
        assert!(ended.stderr.contains("error: ") && ended.lines.is_empty(), "{}", ended.stderr);
    }
    let help = Program::bare().arguments(&["--help"]).start().end().success().join("\n");
    assert!(help.contains("Examples:") && help.contains("Exit status:"), "{help}");
}
