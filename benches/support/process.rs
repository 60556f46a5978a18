//! A program that starts itself again, and what such a process has used.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use kinesis_consumer::BoxError;

use crate::tls::TRUSTED;

/// A server in a process of its own, over TLS if there is a certificate.
pub(crate) struct Server {
    process: Child,
    said: BufReader<ChildStdout>,
    address: String,
}

impl Server {
    /// This program again, as the server of records of so many bytes in so many shards.
    pub(crate) fn start(
        size: usize,
        shards: usize,
        certificate: Option<&Path>,
    ) -> Result<Self, BoxError> {
        let (size, shards) = (size.to_string(), shards.to_string());
        let mut arguments = vec!["--server", &size, &shards];
        arguments.extend(certificate.and_then(Path::to_str));
        let mut process = again(&arguments, None)?;
        let mut said = BufReader::new(process.stdout.take().ok_or("no output")?);
        let mut address = String::new();
        said.read_line(&mut address)?;
        Ok(Self { process, said, address: address.trim_end().to_owned() })
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Ends it: how many connections it has taken.
    pub(crate) fn stop(mut self) -> Result<f64, BoxError> {
        drop(self.process.stdin.take()); // which ends it
        let mut connections = String::new();
        self.said.read_to_string(&mut connections)?;
        self.process.wait()?;
        Ok(connections.trim().parse()?)
    }
}

/// Runs this program again as a client: the numbers that it prints.
pub(crate) fn measure(
    arguments: &[&str],
    certificate: Option<&Path>,
) -> Result<Vec<f64>, BoxError> {
    let output = again(arguments, certificate)?.wait_with_output()?;
    let text = String::from_utf8(output.stdout)?;
    let numbers: Result<Vec<f64>, _> = text.split_whitespace().map(str::parse).collect();
    if !output.status.success() {
        return Err(format!("{arguments:?} ended with {}", output.status).into());
    }
    Ok(numbers?)
}

/// This program again, as something else; what it trusts is the certificate.
fn again(arguments: &[&str], trusted: Option<&Path>) -> Result<Child, BoxError> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
    if let Some(certificate) = trusted {
        command.env(TRUSTED, certificate);
    }
    Ok(command.spawn()?)
}

/// User and system time of this process, in hundredths of a second.
pub(crate) fn cpu_ticks() -> Result<u64, BoxError> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit(") ").next().unwrap_or_default();
    let fields: Vec<&str> = after_name.split(' ').collect();
    Ok(fields[11].parse::<u64>()? + fields[12].parse::<u64>()?)
}

/// The most memory that this process has had, in KiB.
pub(crate) fn peak_kib() -> Result<u64, BoxError> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
