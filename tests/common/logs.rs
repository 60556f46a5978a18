//! What the consumers of this process log.

use std::collections::BTreeMap;
use std::sync::Once;

use log::{Level, LevelFilter, Log, Metadata, Record};
use parking_lot::Mutex;

/// By stream, so that many tests of one process do not slow one another. What names no stream is under no name.
static LINES: Mutex<BTreeMap<String, Vec<Line>>> = Mutex::new(BTreeMap::new());

#[derive(Clone)]
struct Line {
    level: Level,
    text: String,
}

struct Logs;

impl Log for Logs {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("kinesis_consumer")
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        // Lines for debugging are formatted, since that is code too, and not kept.
        let line = Line { level: record.level(), text: record.args().to_string() };
        if line.level <= Level::Info {
            let stream = stream_of(&line.text).to_owned();
            LINES.lock().entry(stream).or_default().push(line);
        }
    }

    fn flush(&self) {}
}

/// Starts keeping what is logged.
pub(crate) fn keep() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        log::set_logger(&Logs).unwrap();
        log::set_max_level(LevelFilter::Debug);
    });
}

/// What was logged about a stream at this level, without the stream. Each test has a stream of its own.
pub(crate) fn lines(level: Level, stream: &str) -> Vec<String> {
    let named = format!("stream {stream:?}");
    let about = of(stream).into_iter().filter(|line| line.level == level);
    let about = about.filter_map(|line| Some(line.text.strip_prefix(&named)?.to_owned()));
    about.map(|line| line.trim_start_matches([',', ':', ' ']).to_owned()).collect()
}

/// The warnings and errors about a stream that hold this text; of those without a stream, for "".
pub(crate) fn warnings(stream: &str, text: &str) -> Vec<String> {
    let about = of(stream).into_iter().filter(|line| line.level <= Level::Warn);
    about.map(|line| line.text).filter(|line| line.contains(text)).collect()
}

fn of(stream: &str) -> Vec<Line> {
    LINES.lock().get(stream).cloned().unwrap_or_default()
}

/// The stream that a line names, wherever it does.
fn stream_of(line: &str) -> &str {
    line.split_once("stream \"").and_then(|(_, rest)| rest.split('"').next()).unwrap_or_default()
}
