//! Standard error: its messages, and the table.

use std::env;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rustix::termios::tcgetwinsize;

/// The size of a terminal that does not report it.
const SIZE: (usize, usize) = (80, 24);

/// A clone writes to the same place.
#[derive(Clone)]
pub(crate) struct Screen {
    /// What draws the table, several lines as one, so that they change at once.
    table: Option<ProgressBar>,
    is_finished: Arc<AtomicBool>,
    is_coloured: bool,
    /// Whether records go to a terminal, which is then the same one.
    is_shared: bool,
}

#[derive(Clone, Copy)]
pub(crate) enum Colour {
    Bold = 1,
    Dim = 2,
    Red = 31,
    Yellow = 33,
}

impl Screen {
    /// With a table, if there is a terminal to draw it on.
    pub(crate) fn new(with_table: bool) -> Self {
        let is_drawable =
            io::stderr().is_terminal() && env::var("TERM").is_ok_and(|it| it != "dumb");
        let table = (with_table && is_drawable).then(table);
        // https://no-color.org: present, and not empty.
        let is_refused = env::var_os("NO_COLOR").is_some_and(|it| !it.is_empty());
        let is_coloured = is_drawable && !is_refused;
        Self {
            table,
            is_finished: Arc::default(),
            is_coloured,
            is_shared: io::stdout().is_terminal(),
        }
    }

    /// Whether a table is drawn, in the place of lines.
    pub(crate) fn has_table(&self) -> bool {
        self.table.is_some()
    }

    /// The columns and lines that the table may take.
    pub(crate) fn room(&self) -> (usize, usize) {
        let size = tcgetwinsize(io::stderr()).ok().filter(|it| it.ws_col > 0 && it.ws_row > 0);
        let (columns, lines) = size.map_or(SIZE, |it| (it.ws_col.into(), it.ws_row.into()));
        // The line below is the shell's; records take the rest.
        (columns, if self.is_shared { lines / 2 } else { lines - 1 })
    }

    /// Draws the table.
    pub(crate) fn draw(&self, text: String) {
        if let Some(table) = &self.table {
            table.set_message(text); // not if it was drawn a moment ago
        }
    }

    /// Draws the last table, whenever the one before was drawn.
    pub(crate) fn draw_last(&self) {
        if let Some(table) = &self.table {
            table.force_draw();
        }
    }

    /// Leaves the table on the screen, and moves below it.
    pub(crate) fn finish(&self) {
        if self.table.is_some() {
            self.is_finished.store(true, Ordering::SeqCst);
            self.say("");
        }
    }

    /// Writes to standard output, while the table is out of the way if it is on the same terminal.
    pub(crate) fn write<T>(&self, write: impl FnOnce() -> T) -> T {
        match self.drawn() {
            Some(table) if self.is_shared => table.suspend(write),
            _ => write(),
        }
    }

    /// Writes a line.
    pub(crate) fn say(&self, line: impl Display) {
        // If that fails, there is no place to report it.
        let say = || drop(writeln!(io::stderr().lock(), "{line}"));
        match self.drawn() {
            Some(table) => table.suspend(say),
            None => say(),
        }
    }

    /// The table, while it is drawn.
    fn drawn(&self) -> Option<&ProgressBar> {
        self.table.as_ref().filter(|_| !self.is_finished.load(Ordering::SeqCst))
    }

    pub(crate) fn paint(&self, colour: Colour, text: impl Display) -> String {
        match self.is_coloured {
            true => format!("\x1b[{}m{text}\x1b[0m", colour as u8),
            false => text.to_string(),
        }
    }
}

fn table() -> ProgressBar {
    let table = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    table.with_style(ProgressStyle::with_template("{msg}").expect("the template is well formed"))
}
