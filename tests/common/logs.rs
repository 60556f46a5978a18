//! What the consumers of this process log.

use std::sync::Once;

use log::{Level, LevelFilter, Log, Metadata, Record};
use parking_lot::Mutex;

static LINES: Mutex<Vec<(Level, String)>> = Mutex::new(Vec::new());

struct Logs;

impl Log for Logs {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("kinesis_consumer")
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            LINES.lock().push((record.level(), record.args().to_string()));
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
    let stream = format!("stream {stream:?}");
    let lines = LINES.lock();
    let about = lines.iter().filter(|(at, _)| *at == level);
    let about = about.filter_map(|(_, line)| line.strip_prefix(&stream));
    about.map(|line| line.trim_start_matches([',', ':', ' ']).to_owned()).collect()
}
