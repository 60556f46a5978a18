//! `--lag`, in a pipe and on a terminal.

use super::TestStream;
use super::terminal::Terminal;

/// Lines and columns.
const SIZE: (u16, u16) = (24, 100);
const CTRL_C: &str = "\x03";

fn open(stream: &TestStream, arguments: &[&str], size: (u16, u16)) -> Terminal {
    Terminal::start(stream.program(arguments), size, false)
}

#[test]
fn in_a_pipe_it_is_a_line_for_each_shard() {
    let stream = TestStream::new(2);
    stream.put_numbers(0..10);
    let ended = stream.program(&["--lag", "--no-follow"]).start().end();
    assert_eq!((ended.status.code(), ended.lines.len()), (Some(0), 10));
    let lines: Vec<_> = ended.stderr.lines().collect();
    let [.., one, two] = &lines[..] else { panic!("{}", ended.stderr) };
    let records = |line: &str, shard| {
        let rest = line.strip_prefix(shard).unwrap().strip_prefix(": reading, ").unwrap();
        assert!(
            rest.contains("0 s behind, answered ") && rest.ends_with(" ago, 0 errors"),
            "{rest}"
        );
        rest.split(' ').next().unwrap().parse::<usize>().unwrap()
    };
    assert_eq!(records(one, "shardId-000000000000") + records(two, "shardId-000000000001"), 10);
    assert!(!ended.stderr.contains('\x1b'), "{}", ended.stderr);
}

#[test]
fn on_a_terminal_a_table_follows_splits_and_ends_with_ctrl_c() {
    let stream = TestStream::new(1);
    stream.put_numbers(0..1_234);
    let terminal = open(&stream, &["--lag", "--from", "trim-horizon"], SIZE);
    let table = terminal.until("one shard is read", |it| it.contains("reading             1,234"));
    assert!(table.starts_with("SHARD                 STATE             RECORDS"), "{table}");
    stream.admin.split(&stream.admin.open_shards().unwrap()[0]).unwrap();
    let table = terminal.until("its children are read", |it| it.matches("reading").count() == 2);
    let lines: Vec<_> = table.lines().map(str::trim_end).collect();
    let [_, parent, .., total] = &lines[..] else { panic!("{table}") };
    assert_eq!(lines.len(), 5, "{table}");
    assert!(parent.starts_with("shardId-000000000000  ended               1,234"), "{table}");
    assert!(total.starts_with("3 shards              1 ended             1,234"), "{table}");
    terminal.types(CTRL_C);
    let ended = terminal.end();
    assert_eq!(ended.status.code(), Some(130));
    assert_eq!(ended.screen.matches("SHARD").count(), 1, "{}", ended.screen);
    assert_eq!(ended.screen.lines().last(), Some("^C"), "{}", ended.screen);
}

#[test]
fn records_stand_above_the_table_whole() {
    let stream = TestStream::new(1);
    let terminal =
        Terminal::start(stream.program(&["--lag", "--from", "trim-horizon"]), SIZE, true);
    terminal.until("the table is there", |it| it.contains("1 shard "));
    for lot in 0..3 {
        stream.put(["one espresso", "two lungos"]);
        terminal.until("the records are there", |it| it.matches("two lungos").count() == lot + 1);
    }
    let screen = terminal.until("the table is below", |it| it.trim_end().ends_with('0'));
    let lines: Vec<_> = screen.lines().map(str::trim_end).collect();
    assert_eq!(lines[..6], ["one espresso", "two lungos"].repeat(3));
    let rest: Vec<_> = lines[6..].iter().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(rest, ["SHARD", "shardId-000000000000", "1"], "{screen}");
    terminal.types(CTRL_C);
    assert_eq!(terminal.end().status.code(), Some(130));
}

#[test]
fn shards_that_do_not_fit_are_counted() {
    let stream = TestStream::new(30);
    let terminal = open(&stream, &["--lag"], (10, 60));
    let table = terminal.until("all are started", |it| it.contains("30 shards"));
    let lines: Vec<_> = table.lines().map(str::trim_end).collect();
    assert_eq!((lines.len(), lines[7]), (9, "and 24 more"), "{table}");
    assert!(lines.iter().all(|line| line.len() <= 60), "{table}");
    terminal.types(CTRL_C);
    assert_eq!(terminal.end().status.code(), Some(130));
}

#[test]
fn a_warning_does_not_garble_the_table() {
    let stream = TestStream::new(1);
    let terminal = open(&stream, &["--lag"], SIZE);
    terminal.until("the table is there", |it| it.contains("reading"));
    drop(stream); // and its server
    let screen = terminal.until("a warning", |it| it.contains("backing off"));
    let lines: Vec<_> = screen.lines().collect();
    let head = lines.iter().position(|line| line.starts_with("SHARD ")).unwrap();
    let warning = lines[..head].concat();
    assert!(warning.starts_with("warn: stream \"orders\", shard "), "{screen}");
    assert_eq!(lines[head..].len(), 3, "{screen}");
    // Nobody knows what a server has that does not answer.
    terminal.until("it falls behind", |it| it.contains(" >") && !it.contains(">0 s"));
    terminal.types(CTRL_C);
    assert_eq!(terminal.end().status.code(), Some(130));
}

#[test]
fn colour_is_for_terminals_and_not_where_it_is_refused() {
    let stream = TestStream::new(1);
    for (value, expected) in [("", true), ("1", false)] {
        let program = stream.program(&["--lag", "--no-follow"]).variable("NO_COLOR", value);
        let ended = Terminal::start(program, SIZE, true).end();
        assert_eq!(ended.status.code(), Some(0));
        let is_bold = String::from_utf8(ended.bytes).unwrap().contains("\x1b[1mSHARD");
        assert_eq!(is_bold, expected, "NO_COLOR={value}");
    }
}
