//! Positions where the next start resumes.

use std::io::{BufRead, BufReader};

use rustix::process::Signal;

use super::{TestStream, file, sorted};

#[test]
fn a_limit_in_the_middle_of_a_batch_is_gone_on_from() {
    let stream = TestStream::new(1);
    stream.put_numbers(0..10);
    let file = file("limit");
    let store = ["--store", file.to_str().unwrap(), "--from", "trim-horizon"];
    let read = |more: &[&str]| sorted(stream.lines(&[&store[..], more].concat()));
    assert_eq!(read(&["--limit", "3"]), [0, 1, 2]);
    // With --grep all that is left is asked for at once.
    assert_eq!(read(&["--limit", "1", "--grep", "6"]), [6]);
    assert_eq!(read(&["--no-follow"]), [7, 8, 9]);
    assert_eq!(read(&["--no-follow"]), [0; 0]);
}

#[test]
fn ctrl_c_commits_what_was_written() {
    let stream = TestStream::new(2);
    stream.put_numbers(0..20);
    let file = file("interrupted");
    let store = ["--store", file.to_str().unwrap(), "--from", "trim-horizon"];
    let running = stream.program(&store).start();
    assert_eq!(sorted(running.take(20)), Vec::from_iter(0..20));
    running.signal(Signal::INT);
    let ended = running.end();
    assert_eq!((ended.status.code(), ended.stderr.as_str()), (Some(130), ""));
    stream.put_numbers(20..25);
    assert_eq!(
        sorted(stream.lines(&[&store[..], &["--no-follow"]].concat())),
        Vec::from_iter(20..25)
    );
}

#[test]
fn ctrl_c_in_the_middle_of_a_batch_commits_what_is_out() {
    const RECORDS: usize = 2_000;
    let stream = TestStream::new(1);
    // More than a pipe holds, in one batch.
    let record = |number: usize| (number.to_string(), format!("{number:01000}").into_bytes());
    stream.admin.put((0..RECORDS).map(record).collect()).unwrap();
    let file = file("in-the-middle");
    let store = ["--store", file.to_str().unwrap(), "--from", "trim-horizon"];
    let (running, stdout) = stream.program(&store).start_unread();
    let mut lines = BufReader::new(stdout.unwrap()).lines();
    let mut read = vec![lines.next().unwrap().unwrap()];
    running.signal(Signal::INT);
    read.extend(lines.map(|line| line.unwrap()));
    assert_eq!(running.end().status.code(), Some(130));
    read.extend(stream.lines(&[&store[..], &["--no-follow"]].concat()));
    assert_eq!(sorted(read), Vec::from_iter(0..RECORDS));
}
