//! How it ends: the exit status, and what it says.

use std::io::{BufRead, BufReader};
use std::time::Duration;

use rustix::process::Signal;

use super::TestStream;
use crate::program::SOON;

/// More than a pipe holds.
const MANY: usize = 2_000;

fn big(stream: &TestStream) {
    let record = |number: usize| (number.to_string(), vec![b'x'; 1_000]);
    stream.admin.put((0..MANY).map(record).collect()).unwrap();
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let stream = TestStream::new(1);
    big(&stream);
    let (running, stdout) = stream.program(&["--from", "trim-horizon"]).start_unread();
    let mut stdout = BufReader::new(stdout.unwrap());
    stdout.read_line(&mut String::new()).unwrap();
    drop(stdout);
    running.end().success();
}

#[test]
fn a_reader_that_goes_away_is_noticed_on_a_silent_stream() {
    let stream = TestStream::new(1);
    let (running, stdout) = stream.program(&["--from", "trim-horizon"]).start_unread();
    drop(stdout);
    running.end().success();
}

#[test]
fn a_signal_shows_in_the_exit_status() {
    let stream = TestStream::new(1);
    stream.put(["one espresso"]);
    for (signal, status) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let running = stream.program(&["--from", "trim-horizon"]).start();
        assert_eq!(running.line(), "one espresso");
        running.signal(signal);
        let ended = running.end();
        assert_eq!((ended.status.code(), ended.stderr.as_str()), (Some(status), ""));
    }
}

#[test]
fn a_second_signal_does_not_wait_for_output_that_nobody_reads() {
    let stream = TestStream::new(1);
    big(&stream);
    let (mut running, stdout) = stream.program(&["--from", "trim-horizon"]).start_unread();
    let mut stdout = BufReader::new(stdout.unwrap());
    stdout.read_line(&mut String::new()).unwrap();
    // It writes now, and the pipe will be full.
    let mut signals = 0;
    while !running.has_ended() {
        running.signal(Signal::INT);
        signals += 1;
        assert!(signals < SOON.as_millis() / 50, "it goes on");
        std::thread::sleep(Duration::from_millis(50)); // between two presses of a key
    }
    assert_eq!(running.end().status.code(), Some(130));
}
