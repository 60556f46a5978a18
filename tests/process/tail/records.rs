//! Which records are written, and how.

use std::thread::sleep;
use std::time::Duration;

use serde_json::Value;

use super::{TestStream, sorted};

fn json(line: &str) -> Value {
    serde_json::from_str(line).unwrap()
}

#[test]
fn each_format_writes_a_record_as_it_says() {
    let stream = TestStream::new(1);
    stream.put(["one espresso"]);
    stream.admin.put(vec![("customer".into(), vec![0xff, 0x0a])]).unwrap();
    assert_eq!(
        stream.lines(&["--no-follow", "--format", "hex"]),
        [hex::encode("one espresso"), "ff0a".into()]
    );
    let lines = stream.lines(&["--no-follow", "--format", "json", "--limit", "2"]);
    let [text, bytes] = [json(&lines[0]), json(&lines[1])];
    assert_eq!((&text["data"], &bytes["data_base64"]), (&"one espresso".into(), &"/wo=".into()));
    assert_eq!(
        (&text["shard"], &bytes["partition_key"]),
        (&"shardId-000000000000".into(), &"customer".into())
    );
    assert_eq!(stream.lines(&["--no-follow", "--limit", "1"]), ["one espresso"]);
}

#[test]
fn grep_keeps_what_holds_the_text_and_the_limit_counts_what_is_kept() {
    let stream = TestStream::new(1);
    stream.put_numbers(0..100);
    let kept = stream.lines(&["--no-follow", "--grep", "7"]);
    assert_eq!(
        kept,
        (0..100).map(|it| it.to_string()).filter(|it| it.contains('7')).collect::<Vec<_>>()
    );
    let three = stream.lines(&["--from", "trim-horizon", "--grep", "7", "--limit", "3"]);
    assert_eq!(three, ["7", "17", "27"]);
}

#[test]
fn no_follow_reads_what_there_is_through_splits_and_merges() {
    let stream = TestStream::new(2);
    stream.put_numbers(0..50);
    let open = stream.admin.open_shards().unwrap();
    stream.admin.split(&open[0]).unwrap();
    stream.put_numbers(50..100);
    let open = stream.admin.open_shards().unwrap();
    stream.admin.merge(&open[0], &open[1]).unwrap();
    stream.put_numbers(100..150);
    assert_eq!(sorted(stream.lines(&["--no-follow"])), Vec::from_iter(0..150));
    assert_eq!(stream.lines(&["--no-follow", "--from", "latest"]), <[&str; 0]>::default());
}

#[test]
fn no_follow_ends_on_a_stream_that_is_written_to_all_the_time() {
    let stream = TestStream::new(1);
    stream.put_numbers(0..10);
    let mut running = stream.program(&["--no-follow"]).start();
    let mut put = 10;
    while !running.has_ended() {
        stream.put_numbers(put..put + 1);
        put += 1;
        assert!(put < 10_000, "it goes on and on");
    }
    let lines = sorted(running.end().success());
    assert!(lines.len() >= 10 && lines == Vec::from_iter(0..lines.len()), "{lines:?}");
}

#[test]
fn latest_is_what_comes_after_the_start() {
    let stream = TestStream::new(1);
    stream.put(["old"]);
    let running = stream.program(&["--limit", "1"]).start();
    // When it has its place is not told: something comes until it has.
    let mut first = None;
    for attempt in 0..600 {
        stream.put([format!("new {attempt}").as_str()]);
        first = running.line_within(Duration::from_millis(100));
        if first.is_some() {
            break;
        }
    }
    assert!(first.unwrap().starts_with("new "));
    running.end().success();
}

#[test]
fn times_and_ages_begin_at_what_arrived_then() {
    let stream = TestStream::new(1);
    stream.put(["before"]);
    sleep(Duration::from_millis(1_100)); // the server counts whole seconds
    stream.put(["after"]);
    let all = stream.lines(&["--no-follow", "--format", "json"]);
    let time = json(&all[1])["arrival"].as_str().unwrap().to_owned();
    assert_eq!(stream.lines(&["--no-follow", "--from", &time]), ["after"]);
    assert_eq!(stream.lines(&["--no-follow", "--from", "1h"]), ["before", "after"]);
}

#[test]
fn a_sequence_number_is_taken_for_one_shard() {
    let stream = TestStream::new(2);
    stream.put_numbers(0..20);
    let shard = ["--no-follow", "--shard", "shardId-000000000001"];
    let all = stream.lines(&[&shard[..], &["--format", "json"]].concat());
    let expected: Vec<_> =
        all[3..].iter().map(|line| json(line)["data"].as_str().unwrap().to_owned()).collect();
    let number = json(&all[3])["sequence_number"].as_str().unwrap().to_owned();
    assert_eq!(stream.lines(&[&shard[..], &["--from", &number]].concat()), expected);

    let ended = stream.program(&["--from", &number]).start().end();
    assert_eq!(ended.status.code(), Some(1));
    assert_eq!(
        ended.stderr,
        "tail: a sequence number belongs to one shard, and 2 of stream \"orders\" would be read from it: \
         choose one with --shard"
    );
}

#[test]
fn chosen_shards_are_read_alone() {
    let stream = TestStream::new(4);
    stream.put_numbers(0..80);
    let read = |arguments: &[&str]| {
        let lines = stream.lines(&[&["--no-follow", "--format", "json"], arguments].concat());
        let shards = lines.iter().map(|line| json(line)["shard"].as_str().unwrap().to_owned());
        (lines.len(), shards.collect::<std::collections::BTreeSet<_>>())
    };
    let two = ["shardId-000000000001", "shardId-000000000003"];
    let (some, shards) = read(&["--shard", two[0], "--shard", two[1]]);
    assert_eq!(Vec::from_iter(shards), two);
    let (others, _) = read(&["--shard", "shardId-000000000000", "--shard", "shardId-000000000002"]);
    assert_eq!(some + others, 80);
}
