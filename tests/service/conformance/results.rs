//! What came of each case, for the table.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

pub(crate) enum Outcome {
    Passed,
    /// One assertion holds in reverse, for this reason.
    Differs(&'static str),
    Failed,
}

/// The results of one server.
pub(crate) struct Results {
    server: &'static str,
    outcomes: Vec<(&'static str, Outcome)>,
}

impl Results {
    pub(crate) fn new(server: &'static str) -> Self {
        Self { server, outcomes: Vec::new() }
    }

    pub(crate) fn add(&mut self, case: &'static str, outcome: Outcome) {
        self.outcomes.push((case, outcome));
    }

    /// Writes them down in this order, and fails if a case did.
    pub(crate) fn finish(mut self, order: &[&str], taken: Duration) {
        self.outcomes.sort_by_key(|(case, _)| order.iter().position(|name| name == case));
        let lines: Vec<String> = self.outcomes.iter().map(line).collect();
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("conformance");
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join(format!("{}.tsv", self.server)), lines.concat()).unwrap();

        let failed = self.outcomes.iter().filter(|(_, it)| matches!(it, Outcome::Failed));
        let failed: Vec<_> = failed.map(|(case, _)| *case).collect();
        let cases = lines.len();
        say(&format!("{}: {cases} cases in {:.0} s", self.server, taken.as_secs_f64()));
        assert!(failed.is_empty(), "on {}: {failed:?}", self.server);
    }
}

fn line((case, outcome): &(&str, Outcome)) -> String {
    let (result, reason) = match outcome {
        Outcome::Passed => ("passed", ""),
        Outcome::Differs(reason) => ("known difference", *reason),
        Outcome::Failed => ("FAILED", ""),
    };
    format!("{case}\t{result}\t{reason}\n")
}

/// Says it to whoever runs the test: `eprintln` would be kept from them if the test passes.
pub(crate) fn say(text: &str) {
    let line = format!("conformance, {text}\n");
    // At once, since others write too; an error means that nobody is there to be told.
    let _ = std::io::stderr().write_all(line.as_bytes());
}
