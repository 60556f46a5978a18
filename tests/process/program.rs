//! An example, as a child of this process.

use std::env;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, unbounded};
use rustix::process::{Pid, Signal, kill_process};

/// How long an event may take on a machine that is busy with something else.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// What is to run.
pub(crate) struct Program {
    example: &'static str,
    directory: Option<PathBuf>,
    pub(crate) arguments: Vec<String>,
    pub(crate) variables: Vec<(String, String)>,
    stdout: Option<Stdio>,
}

/// A running one; dropping it kills it.
pub(crate) struct Running {
    child: Child,
    /// Lines of standard output, unless that is read by the test itself.
    lines: Receiver<String>,
    stderr: Receiver<String>,
}

/// One that has ended, with what it wrote and nobody has looked at yet.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) lines: Vec<String>,
    pub(crate) stderr: String,
}

pub(crate) fn path(text: &str) -> PathBuf {
    Path::new(text).to_owned()
}

/// Beside the folder of this test: `target/<profile>/examples/tail`, say.
pub(crate) fn executable(example: &str) -> PathBuf {
    let this = env::current_exe().unwrap();
    let profile = this.parent().and_then(Path::parent).unwrap();
    let found = profile.join("examples").join(example);
    assert!(found.exists(), "{found:?} is not there: cargo build --example {example}");
    found
}

impl Program {
    /// The example `tail` on the server of this address.
    pub(crate) fn new(endpoint: &str) -> Self {
        Self::bare().arguments(&["--endpoint", endpoint]).with_credentials()
    }

    /// With an environment that knows nothing of this user's.
    pub(crate) fn bare() -> Self {
        Self::without_region().variable("AWS_REGION", "us-east-1")
    }

    /// The same, without a region.
    pub(crate) fn without_region() -> Self {
        Self::example("tail")
    }

    /// An example, with an environment that knows nothing of this user's, and no region.
    pub(crate) fn example(example: &'static str) -> Self {
        let (arguments, variables) = (Vec::new(), Vec::new());
        let program = Self { example, directory: None, arguments, variables, stdout: None };
        program
            .variable("HOME", env!("CARGO_TARGET_TMPDIR"))
            .variable("TERM", "xterm-256color")
            .variable("AWS_EC2_METADATA_DISABLED", "true")
    }

    pub(crate) fn with_credentials(self) -> Self {
        self.variable("AWS_ACCESS_KEY_ID", "test").variable("AWS_SECRET_ACCESS_KEY", "test")
    }

    pub(crate) fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(|it| it.to_string()));
        self
    }

    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// Where it is started.
    pub(crate) fn directory(mut self, directory: &Path) -> Self {
        self.directory = Some(directory.to_owned());
        self
    }

    /// Where standard output goes, in the place of `Running::line`.
    pub(crate) fn stdout(mut self, to: impl Into<Stdio>) -> Self {
        self.stdout = Some(to.into());
        self
    }

    /// Starts it; its standard output comes in lines.
    pub(crate) fn start(self) -> Running {
        let (mut running, stdout) = self.start_unread();
        running.lines = stdout.map_or_else(never, lines_of);
        running
    }

    /// Starts it; its standard output is the test's to read, if it is a pipe.
    pub(crate) fn start_unread(self) -> (Running, Option<ChildStdout>) {
        let directory = self.directory.unwrap_or_else(|| path("."));
        let mut child = Command::new(executable(self.example))
            .current_dir(directory)
            .args(self.arguments)
            .env_clear()
            .envs(self.variables)
            .stdin(Stdio::null())
            .stdout(self.stdout.unwrap_or_else(Stdio::piped))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = child.stdout.take();
        let stderr = lines_of(child.stderr.take().unwrap());
        (Running { child, lines: never(), stderr }, stdout)
    }
}

impl Running {
    /// The next line of standard output.
    pub(crate) fn line(&self) -> String {
        self.lines.recv_timeout(SOON).expect("a line of standard output")
    }

    /// The next lines of standard output.
    pub(crate) fn take(&self, count: usize) -> Vec<String> {
        (0..count).map(|_| self.line()).collect()
    }

    /// The next line of standard output, if there is one within this time.
    pub(crate) fn line_within(&self, time: Duration) -> Option<String> {
        self.lines.recv_timeout(time).ok()
    }

    /// The next line of standard error.
    pub(crate) fn said(&self) -> String {
        self.stderr.recv_timeout(SOON).expect("a line of standard error")
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits until it has ended.
    pub(crate) fn end(mut self) -> Ended {
        let stderr = to_the_end(&self.stderr);
        let lines = to_the_end(&self.lines);
        let status = self.child.wait().unwrap();
        Ended { status, lines, stderr: stderr.join("\n") }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended, or a test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    /// What it wrote, when all was well.
    pub(crate) fn success(self) -> Vec<String> {
        assert_eq!((self.status.code(), self.stderr.as_str()), (Some(0), ""));
        self.lines
    }
}

/// What comes until the other end is closed.
fn to_the_end(lines: &Receiver<String>) -> Vec<String> {
    let mut all = Vec::new();
    loop {
        match lines.recv_timeout(SOON) {
            Ok(line) => all.push(line),
            Err(RecvTimeoutError::Disconnected) => return all,
            Err(RecvTimeoutError::Timeout) => panic!("it goes on, after {all:?}"),
        }
    }
}

/// The thread ends with the pipe.
fn lines_of(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (send, lines) = unbounded();
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines() {
            // A test that has ended looks at nothing more.
            let _ = send.send(line.unwrap());
        }
    });
    lines
}

/// Nothing, and that at once.
fn never() -> Receiver<String> {
    unbounded().1
}
