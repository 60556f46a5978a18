//! What the consumers of this process log.

use std::sync::{Mutex, Once};

use log::{Level, LevelFilter, Log, Metadata, Record};

static LINES: Mutex<Vec<(Level, String)>> = Mutex::new(Vec::new());

struct Logs;

impl Log for Logs {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("kinesis_consumer")
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            LINES.lock().unwrap().push((record.level(), record.args().to_string()));
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

/// The warnings about a stream that hold this text. Each test has a stream of its own.
pub(crate) fn warnings(stream: &str, text: &str) -> Vec<String> {
    let stream = format!("stream {stream:?}");
    let lines = LINES.lock().unwrap();
    let about = lines.iter().filter(|(level, line)| {
        *level <= Level::Warn && line.contains(&stream) && line.contains(text)
    });
    about.map(|(_, line)| line.clone()).collect()
}
