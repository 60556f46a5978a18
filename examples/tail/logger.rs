//! The warnings of the library.

use log::{Level, LevelFilter, Log, Metadata, Record};
use parking_lot::Mutex;

use crate::failure;
use crate::screen::{Colour, Screen};

struct Logger(Screen);

/// The last line that was shown.
static LAST: Mutex<String> = Mutex::new(String::new());

/// The last message, which a following error does not repeat.
pub(crate) fn last() -> String {
    LAST.lock().clone()
}

/// Shows warnings and errors, without disturbing the table.
pub(crate) fn install(screen: &Screen) {
    let logger = Box::leak(Box::new(Logger(screen.clone()))); // as long as the process
    // It is the first one, and the only one.
    let _ = log::set_logger(logger).map(|()| log::set_max_level(LevelFilter::Warn));
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= Level::Warn
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let level = record.level().as_str().to_lowercase();
            let text = failure::plain(&record.args().to_string());
            self.0.say(format_args!("{} {text}", self.0.paint(Colour::Yellow, level + ":")));
            *LAST.lock() = text;
        }
    }

    fn flush(&self) {}
}
