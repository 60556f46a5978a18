//! Credentials that a command prints.

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, after, bounded, select_biased};
use serde_json::Value;

use crate::aws::credentials::given;
use crate::aws::credentials::question::{Question, UNWANTED};
use crate::aws::credentials::unavailable::Unavailable;
use crate::aws::credentials::{Credentials, words};
use crate::aws::http::quiet::MAX_BODY;
use crate::aws::text::cut;
use crate::model::time::spoken;

/// How long a `credential_process` may run.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);

/// The wait for a program that has closed its output, but has not ended.
const LINGER: Duration = Duration::from_millis(20);

/// A program in progress; its drop kills it, and what it has started, unless it has ended.
struct Program {
    child: Child,
    has_ended: bool,
}

impl Drop for Program {
    fn drop(&mut self) {
        if !self.has_ended {
            kill_group(self.child.id());
            // It may have ended meanwhile, and then there is nothing to kill.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// The program has a group of its own. The standard library has no way to end all of a group.
#[cfg(unix)]
fn kill_group(id: u32) {
    let mut kill = Command::new("kill");
    kill.args(["-KILL", "--", &format!("-{id}")]);
    kill.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // Where there is no such program, only the child itself is killed.
    let _ = kill.status();
}

#[cfg(not(unix))]
fn kill_group(_: u32) {}

/// Runs a command, split into words as a shell does, and reads what it prints.
///
/// # Errors
/// Why it gave none, with what it printed as errors. Its output is not shown, since it may contain a key.
pub(crate) fn run(command: &str, question: &Question) -> Result<Credentials, Unavailable> {
    let words = words::split(command).unwrap_or_default();
    let Some((program, arguments)) = words.split_first() else {
        return Err(Unavailable::for_good("it is not a command line"));
    };
    let now = |why: String| Unavailable::for_now(why);
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let child = command.spawn().map_err(|error| now(format!("{program:?}: {error}")))?;
    let program_in_progress = Program { child, has_ended: false };
    let (status, output, errors) = finish(program_in_progress, question)?;
    if !status.success() {
        let errors = cut(&String::from_utf8_lossy(&errors));
        return Err(now(format!("{program:?} ended with {status}: {errors}")));
    }
    let printed = serde_json::from_slice::<Value>(&output).unwrap_or_default();
    let keys = (printed["Version"] == 1).then(|| given::read(printed)).flatten();
    keys.ok_or_else(|| {
        now(format!("{program:?} did not print a JSON object of version 1 with a key"))
    })
}

/// Waits for the end of a program, and returns both of its outputs.
fn finish(
    mut program: Program,
    question: &Question,
) -> Result<(ExitStatus, Vec<u8>, Vec<u8>), Unavailable> {
    let until = Instant::now() + question.left(LIMIT);
    let output = read(program.child.stdout.take()).map_err(Unavailable::for_now)?;
    let errors = read(program.child.stderr.take()).map_err(Unavailable::for_now)?;
    let output = await_output(&output, until, question)?;
    let errors = await_output(&errors, until, question)?;
    Ok((program.wait(until, question)?, output, errors))
}

impl Program {
    fn wait(&mut self, until: Instant, question: &Question) -> Result<ExitStatus, Unavailable> {
        loop {
            let ended = self.child.try_wait();
            if let Some(status) = ended.map_err(|error| Unavailable::for_now(error.to_string()))? {
                self.has_ended = true;
                return Ok(status);
            }
            if Instant::now() >= until {
                return Err(late());
            }
            // The system has no wait with a limit.
            select_biased! {
                recv(question.ended()) -> _ => return Err(unwanted()),
                recv(after(LINGER)) -> _ => {}
            }
        }
    }
}

/// Reads an output to its end, in a thread that nobody can end: a program that this one has started may keep it open.
fn read(output: Option<impl Read + Send + 'static>) -> Result<Receiver<Vec<u8>>, String> {
    let (read, bytes) = bounded(1);
    let mut output = output.ok_or("it has no output")?.take(MAX_BODY as u64);
    let reading = thread::Builder::new().name("kc-process".to_owned()).spawn(move || {
        let mut bytes = Vec::new();
        // What was read before an error counts, and is not JSON if it was cut.
        let _ = output.read_to_end(&mut bytes);
        // If this came too late, there is no receiver any more.
        let _ = read.send(bytes);
    });
    reading.map_err(|error| format!("no thread to read its output: {error}"))?;
    Ok(bytes)
}

fn await_output(
    output: &Receiver<Vec<u8>>,
    until: Instant,
    question: &Question,
) -> Result<Vec<u8>, Unavailable> {
    select_biased! {
        recv(question.ended()) -> _ => Err(unwanted()),
        recv(output) -> bytes => Ok(bytes.unwrap_or_default()),
        recv(after(until.saturating_duration_since(Instant::now()))) -> _ => Err(late()),
    }
}

fn late() -> Unavailable {
    Unavailable::for_now(format!("no answer within {}", spoken(LIMIT)))
}

fn unwanted() -> Unavailable {
    Unavailable::for_now(UNWANTED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_ends_with_the_time_or_the_interest_also_if_another_has_its_output() {
        for command in ["sleep 1000", "sh -c 'exec >&- 2>&-; sleep 1000'"] {
            let (question, _interest) = Question::new(Duration::from_millis(50));
            assert_eq!(run(command, &question).unwrap_err(), late());
            let (question, interest) = Question::new(LIMIT);
            drop(interest);
            assert_eq!(run(command, &question).unwrap_err(), unwanted());
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_a_program_has_started_is_killed_with_it() {
        let path = std::env::temp_dir().join(format!("kc-started-{}", std::process::id()));
        let command = format!("sh -c 'sleep 1000 & echo $! > {}; wait'", path.display());
        let started = || std::fs::read_to_string(&path).ok().filter(|id| id.ends_with('\n'));
        let (question, interest) = Question::new(LIMIT);
        let running = thread::spawn(move || run(&command, &question));
        let until = Instant::now() + LIMIT;
        while started().is_none() && Instant::now() < until {
            thread::yield_now();
        }
        let status = format!("/proc/{}/cmdline", started().expect("it has started").trim());
        drop(interest);
        assert_eq!(running.join().unwrap().unwrap_err(), unwanted());
        // A process that was killed and not yet waited for has no command line.
        while std::fs::read_to_string(&status).is_ok_and(|line| line.contains("sleep")) {
            assert!(Instant::now() < until, "{status}");
            thread::yield_now();
        }
        std::fs::remove_file(&path).unwrap();
    }
}
