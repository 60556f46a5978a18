//! Credentials that a command prints.

use std::process::Stdio;
use std::time::Duration;

use rusoto_core::credential::AwsCredentials;
use serde::Deserialize;
use tokio::process::Command;

use crate::aws::credentials::unavailable::Unavailable;
use crate::aws::text::cut;

/// How long a `credential_process` may run.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);

#[derive(Deserialize)]
struct Printed {
    #[serde(flatten)]
    credentials: AwsCredentials,
    #[serde(rename = "Version")]
    version: u8,
}

/// Runs a command, split into words as a shell does, and reads what it prints.
///
/// # Errors
/// Why it gave none. Its output is not shown, since it may contain a key.
pub(crate) async fn run(command: &str, limit: Duration) -> Result<AwsCredentials, Unavailable> {
    let words = shlex::split(command).unwrap_or_default();
    let Some((program, arguments)) = words.split_first() else {
        return Err(Unavailable::for_good("it is not a command line"));
    };
    let mut process = Command::new(program);
    // Killed when its caller does not wait any more: rusoto would leave it running.
    process.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let output = match tokio::time::timeout(limit, process.output()).await {
        Ok(output) => output.map_err(|error| Unavailable::for_now(error.to_string()))?,
        Err(_) => return Err(Unavailable::for_now(format!("no answer within {limit:?}"))),
    };
    if !output.status.success() {
        let stderr = cut(&String::from_utf8_lossy(&output.stderr));
        let status = output.status;
        return Err(Unavailable::for_now(format!("{program:?} ended with {status}: {stderr}")));
    }
    let printed = serde_json::from_slice::<Printed>(&output.stdout).ok();
    let printed = printed.filter(|printed| printed.version == 1).ok_or_else(|| {
        let reason = format!("{program:?} did not print a JSON object of version 1 with a key");
        Unavailable::for_now(reason)
    });
    Ok(printed?.credentials)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn a_process_has_a_limit_of_its_own() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let start = Instant::now();
        let limit = Duration::from_millis(50);
        let error = runtime.block_on(run("sleep 1000", limit)).unwrap_err();
        assert_eq!(error, Unavailable::for_now("no answer within 50ms"));
        assert!(start.elapsed() < LIMIT);
    }
}
