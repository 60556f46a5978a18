//! What happens when the system has no more files or threads: an error, never an abort or a hang.
//!
//! Each case runs in a child process with little of either: this binary again, with one test alone.
#![cfg(target_os = "linux")]

use std::process::Command;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, unbounded};
use kinesis_consumer::testing::MemoryKinesis;
use kinesis_consumer::{
    Call, Client, Config, Credentials, KinesisClient, LocalStore, Position, SqliteStore, Store,
    StoreError, Stream,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::common::children::test_of;
use crate::common::directory::Directory;
use crate::common::loopback::{Server, chain, says, stream_of};

/// Tells a child that it is one, and where its server is.
const SERVER: &str = "KC_TEST_SERVER";
/// For a thread's stack; a child with little memory for them gets few threads.
const STACK: &str = "RUST_MIN_STACK";

/// What a child says that runs this test within these limits of the shell.
fn run(test: &str, limits: &str, stack: &str, server: &str) -> String {
    let mut child = Command::new("timeout");
    child.args(["300", "sh", "-c", &format!("{limits}; exec \"$0\" \"$@\"")]);
    child.arg(std::env::current_exe().unwrap());
    let test = test_of(module_path!(), test);
    child.args(["--exact", &test, "--ignored", "--nocapture", "--test-threads=1"]);
    child.env_clear().env("PATH", "/usr/bin:/bin").env(SERVER, server).env(STACK, stack);
    let output = child.output().unwrap();
    let (said, also) = (output.stdout, String::from_utf8_lossy(&output.stderr).into_owned());
    let said = String::from_utf8(said).unwrap();
    assert!(output.status.success(), "{}: {said} {also}", output.status);
    said
}

fn client(url: &str) -> KinesisClient {
    let builder = KinesisClient::builder().endpoint(url).credentials("key", "secret");
    builder.deadline(Duration::from_secs(20)).build().unwrap()
}

#[test]
#[ignore = "what a child process runs, within limits"]
fn child_of_few_files() {
    let Ok(url) = std::env::var(SERVER) else { return };
    let config = Config::new().interval(Duration::ZERO).max_outage(Duration::from_secs(1));
    let stream = Stream::new(client(&url), "orders", LocalStore::new(), config).unwrap();
    println!("outcome: {}", chain(&stream.listen(|_| Ok(())).unwrap_err()));
}

#[test]
fn files_that_run_out_are_an_error_of_the_shard() {
    let good = stream_of(40);
    // Reads hang, so that each shard needs a connection of its own.
    let server =
        Server::new(move |request| (request.operation() != "GetRecords").then(|| good(request)));
    let said = run("child_of_few_files", "ulimit -n 20", "", &server.url());
    let facts = ["outcome: ", "\"orders\"", "shardId-0", "os error 24", "the limit of open files"];
    says(&said, &facts);
}

#[test]
#[ignore = "what a child process runs, within limits"]
fn child_of_few_threads() {
    if std::env::var_os(SERVER).is_none() {
        return;
    }
    let kinesis = MemoryKinesis::new();
    kinesis.create_stream("orders", 64);
    let stream = Stream::new(kinesis, "orders", LocalStore::new(), Config::new()).unwrap();
    println!("outcome: {}", chain(&stream.listen(|_| Ok(())).unwrap_err()));
}

#[test]
fn threads_that_run_out_are_an_error_that_ends_those_that_run() {
    // Stacks of 256 MiB in 2 GiB: the first threads start, those of most shards do not.
    let said = run("child_of_few_threads", "ulimit -v 2097152", "268435456", "none");
    says(
        &said,
        &["outcome: thread \"kc-0000", "\"orders\"", "the limit of threads", "os error 11"],
    );
}

#[test]
#[ignore = "what a child process runs, within limits"]
fn child_of_a_full_disk() {
    let Ok(file) = std::env::var(SERVER) else { return };
    let kinesis = MemoryKinesis::new();
    kinesis.create_stream("orders", 1);
    kinesis.put("orders", "key", b"1");
    let open = || SqliteStore::open(&file, "billing").unwrap();
    let impatient = Config::new().store_patience(Duration::from_millis(100));
    let stream = Stream::new(kinesis.clone(), "orders", open(), impatient).unwrap();
    println!("\nimpatient: {}", chain(&stream.listen(|_| Ok(())).unwrap_err()));

    let store = Asked { store: open(), answers: unbounded() };
    let failures = store.answers.1.clone();
    let stream = Stream::new(kinesis, "orders", store, Config::new()).unwrap();
    let shutdown = stream.shutdown();
    let room = std::thread::spawn(move || {
        failures.recv_timeout(Duration::from_secs(60)).unwrap();
        let limit = getrlimit(Resource::Fsize).maximum;
        setrlimit(Resource::Fsize, Rlimit { current: limit, maximum: limit }).unwrap();
    });
    let read = stream.listen(|batch| {
        shutdown.now();
        println!("read: {}", batch.len());
        Ok(())
    });
    room.join().unwrap();
    read.unwrap();
    println!("stored: {}", open().shard_iterators("orders").unwrap().len());
}

/// Reports each failed read of its positions.
struct Asked {
    store: SqliteStore,
    answers: (Sender<()>, Receiver<()>),
}

impl Store for Asked {
    fn get_shard_iterator(
        &self,
        stream: &str,
        shard: &str,
    ) -> Result<Option<Position>, StoreError> {
        self.store.get_shard_iterator(stream, shard)
    }

    fn update_shard_iterator(
        &self,
        stream: &str,
        shard: &str,
        to: &Position,
    ) -> Result<(), StoreError> {
        self.store.update_shard_iterator(stream, shard, to)
    }

    fn shard_iterators(&self, stream: &str) -> Result<Vec<(String, Position)>, StoreError> {
        let answer = self.store.shard_iterators(stream);
        if answer.is_err() {
            self.answers.0.send(()).unwrap();
        }
        answer
    }

    fn reset_shard_iterator(
        &self,
        stream: &str,
        shard: &str,
        to: Option<&Position>,
    ) -> Result<(), StoreError> {
        self.store.reset_shard_iterator(stream, shard, to)
    }
}

#[test]
fn a_disk_that_is_full_at_the_start_is_told_as_such_and_waited_for() {
    let directory = Directory::new("full");
    let file = directory.file();
    // It exists, as after a restart; then no file may be made longer than a block of 512 bytes.
    drop(SqliteStore::open(&file, "billing").unwrap());
    let said =
        run("child_of_a_full_disk", "trap '' XFSZ; ulimit -S -f 1", "", file.to_str().unwrap());
    let impatient = said.lines().find(|line| line.starts_with("impatient: ")).unwrap();
    says(impatient, &["\"orders\"", "positions.db", "the disk is full: free some space"]);
    says(&said, &["read: 1", "stored: 1"]);
}

#[test]
#[ignore = "what a child process runs, within limits"]
fn child_of_no_thread() {
    let Ok(url) = std::env::var(SERVER) else { return };
    let memory = || {
        let kinesis = MemoryKinesis::new();
        kinesis.create_stream("orders", 1);
        Stream::new(kinesis, "orders", LocalStore::new(), Config::new()).unwrap()
    };
    println!("\nlisten: {}", chain(&memory().listen(|_| Ok(())).unwrap_err()));
    println!("spawn: {}", chain(&memory().spawn(|_| Ok(())).unwrap_err()));
    println!("receiver: {}", chain(&memory().receiver().unwrap_err()));
    let described = client(&url).describe_stream("orders", &Call::unbounded());
    println!("name: {}", chain(&described.unwrap_err()));
    let asking = KinesisClient::builder().endpoint(url);
    let asking =
        asking.credentials_provider(|| Ok(Credentials::new("key", "secret"))).build().unwrap();
    let described = asking.describe_stream("orders", &Call::unbounded());
    println!("credentials: {}", chain(&described.unwrap_err()));
}

#[test]
fn without_any_thread_every_door_and_every_call_is_an_error() {
    let server = Server::new(|_| None);
    let url = format!("http://localhost:{}", server.address.port());
    // More than the addresses that a process has.
    let said = run("child_of_no_thread", "true", &(1_u64 << 47).to_string(), &url);
    let line = |start: &str| said.lines().find(|line| line.starts_with(start)).unwrap().to_owned();
    for (start, thread) in [
        ("listen: ", "kc-coordinator"),
        ("spawn: ", "kc-dispatch"),
        ("receiver: ", "kc-coordinator"),
    ] {
        says(&line(start), &[thread, "\"orders\"", "raise the limit of threads"]);
    }
    says(&line("name: "), &["no thread to look up the host", "raise the limit of threads"]);
    says(&line("credentials: "), &["no thread to ask for credentials"]);
    assert!(server.requests.is_empty());
}
