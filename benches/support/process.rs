//! A program that starts itself again, and what such a process has used.

use std::fs;
use std::process::{Child, Command, Stdio};

use kinesis_consumer::BoxError;

/// This program again, as something else.
pub(crate) fn again(arguments: &[&str]) -> Result<Child, BoxError> {
    let program = std::env::current_exe()?;
    Ok(Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?)
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
