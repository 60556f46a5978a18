//! A program that gets its credentials from files, variables and services of a test.
//!
//! It runs in a child process, which has the variables of the test and no others: this binary again, with `child`
//! only. It logs everything; no line may hold a secret.

use std::io::Write;
use std::process::Command;
use std::time::{Duration, Instant};

use kinesis_consumer::{Call, Client, KinesisClient};
use log::{LevelFilter, Log, Metadata, Record};

use crate::common::SOON;
use crate::common::children::test_of;
use crate::common::directory::Directory;
use crate::common::loopback::{ACTIVE, Server, chain, ok};

/// What each secret holds in the tests of credentials.
pub(crate) const HUSH: &str = "hush";

/// Tells `child` that it is one.
const MARK: &str = "KC_TEST_CHILD";
/// How many milliseconds its calls may take.
pub(crate) const DEADLINE: &str = "KC_TEST_DEADLINE";
/// How many calls it makes, one a second; one if it is not set.
pub(crate) const CALLS: &str = "KC_TEST_CALLS";

/// Shows every line. The rows of bytes that `ureq_proto` prints are shown as text, one after the other.
struct Everything;

impl Log for Everything {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let line = record.args().to_string();
        let row = line.get(..40).filter(|_| record.target().starts_with("ureq_proto"));
        match row.and_then(bytes) {
            Some(bytes) => std::io::stderr().write_all(&bytes).unwrap(),
            None => eprintln!("{} {}: {line}", record.level(), record.target()),
        }
    }

    fn flush(&self) {}
}

/// The bytes of a row, such as `4745 5420 ----`.
fn bytes(row: &str) -> Option<Vec<u8>> {
    let digits: Vec<char> = row.chars().filter(|it| !it.is_whitespace() && *it != '-').collect();
    let pairs = digits.chunks(2).map(|pair| pair.iter().collect::<String>());
    pairs.map(|pair| u8::from_str_radix(&pair, 16).ok()).collect()
}

#[test]
fn rows_of_bytes_are_shown_as_text() {
    assert_eq!(bytes("4745 5420 2f20 4854 5450 2f31 2e31 0d0a ").unwrap(), b"GET / HTTP/1.1\r\n");
    assert_eq!(bytes("6875 73-- ---- ---- ---- ---- ---- ---- ").unwrap(), b"hus");
    assert_eq!(bytes("Connected TcpStream to 127.0.0.1:1234 ok"), None);
}

#[test]
fn a_child_logs_every_byte_of_a_call_to_kinesis_so_that_a_secret_would_be_seen() {
    let trial = Trial::new("everything");
    let keys = [("AWS_ACCESS_KEY_ID", "k"), ("AWS_SECRET_ACCESS_KEY", "hush")];
    let (outcome, logged) =
        trial.run_logged(&[&keys[..], &[("AWS_SESSION_TOKEN", "seen")]].concat());
    assert_eq!(outcome, "Active");
    assert!(logged.contains("POST / HTTP/1.1\r\n") && logged.contains(": seen\r\n"), "{logged}");
}

#[test]
#[ignore = "what a child process runs, in an environment of its own"]
fn child() {
    if std::env::var_os(MARK).is_none() {
        return;
    }
    log::set_logger(&Everything).unwrap();
    log::set_max_level(LevelFilter::Trace);
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let mut builder = KinesisClient::builder();
    if let Some(millis) = number(DEADLINE) {
        builder = builder.deadline(Duration::from_millis(millis));
    }
    eprintln!("{builder:?}");
    let client = builder.build().unwrap();
    for call in 0..number(CALLS).unwrap_or(1) {
        if call > 0 {
            std::thread::sleep(Duration::from_secs(1));
        }
        let start = Instant::now();
        match client.describe_stream("orders", &Call::unbounded()) {
            Ok(status) => println!("\noutcome: {status:?}"),
            Err(error) => println!("\noutcome: {:?} {}", error.class(), chain(&error)),
        }
        eprintln!("\nwaited: {}", start.elapsed().as_millis());
    }
    eprintln!("{client:?}");
}

/// A server, and files that a child may be pointed to.
pub(crate) struct Trial {
    pub(crate) server: Server,
    pub(crate) folder: Directory,
}

impl Trial {
    pub(crate) fn new(name: &str) -> Self {
        Self { server: Server::saying(ok(ACTIVE)), folder: Directory::new(name) }
    }

    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// What a child says that has these variables and nothing else.
    pub(crate) fn run(&self, variables: &[(&str, &str)]) -> String {
        self.run_logged(variables).0
    }

    /// The same, and all that it logs.
    pub(crate) fn run_logged(&self, variables: &[(&str, &str)]) -> (String, String) {
        let mut child = Command::new(std::env::current_exe().unwrap());
        let test = test_of(module_path!(), "child");
        child.args(["--exact", &test, "--ignored", "--nocapture", "--test-threads=1"]);
        child
            .env_clear()
            .env(MARK, "1")
            .env("HOME", self.folder.path())
            .env("PATH", "/usr/bin:/bin");
        child.env("AWS_ENDPOINT_URL_KINESIS", self.server.url());
        child.env("AWS_EC2_METADATA_DISABLED", "true");
        child.envs(variables.iter().copied());
        let output = child.output().unwrap();
        let [text, logged] =
            [output.stdout, output.stderr].map(|it| String::from_utf8_lossy(&it).into_owned());
        let outcome = text.lines().rfind(|line| line.starts_with("outcome: "));
        let outcome = outcome.unwrap_or_else(|| panic!("{text}\n{logged}"));
        assert!(!outcome.contains(HUSH), "{outcome}");
        assert!(!logged.contains(HUSH), "{logged}");
        (outcome["outcome: ".len()..].to_owned(), logged)
    }

    /// The key and the token that a child with these variables signs with.
    #[track_caller]
    pub(crate) fn signs(&self, variables: &[(&str, &str)]) -> (String, Option<String>) {
        assert_eq!(self.run(variables), "Active");
        let request = self.server.requests.recv_timeout(SOON).unwrap();
        (request.key().to_owned(), request.token().map(str::to_owned))
    }

    /// The output of a child with these variables, which never has credentials.
    #[track_caller]
    pub(crate) fn fails(&self, variables: &[(&str, &str)]) -> String {
        self.fails_as("Fatal ", variables)
    }

    /// The output of a child with these variables, which has no credentials now.
    #[track_caller]
    pub(crate) fn fails_for_now(&self, variables: &[(&str, &str)]) -> String {
        self.fails_as("Transient ", variables)
    }

    #[track_caller]
    pub(crate) fn fails_as(&self, class: &str, variables: &[(&str, &str)]) -> String {
        let outcome = self.run(variables);
        assert!(outcome.starts_with(class), "{outcome}");
        assert!(self.server.requests.is_empty(), "nothing is sent with any key");
        outcome
    }
}

pub(crate) fn pair(key: &str, token: Option<&str>) -> (String, Option<String>) {
    (key.to_owned(), token.map(str::to_owned))
}
