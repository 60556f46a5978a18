//! Shows how far each shard is, on a thread of its own, so that slow output does not delay it.

use std::convert::Infallible;
use std::io;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use kinesis_consumer::Monitor;

use crate::interrupt::Caught;
use crate::rate::Rate;
use crate::screen::{Colour, Screen};
use crate::table::{Kind, Line, Row, table};

/// How often the table is drawn.
const DRAW: Duration = Duration::from_millis(250);
/// How often lines are written without a terminal.
const WRITE: Duration = Duration::from_secs(5);

/// Its drop shows the last state, and joins.
pub(crate) struct Lag {
    /// Both are taken when it is dropped.
    stop: Option<Sender<Infallible>>,
    thread: Option<JoinHandle<()>>,
}

struct View {
    screen: Screen,
    monitor: Monitor,
    rate: Rate,
}

impl Lag {
    pub(crate) fn show(screen: Screen, monitor: Monitor, signal: Caught) -> io::Result<Self> {
        let (stop, stopped) = bounded(0);
        let every = if screen.has_table() { DRAW } else { WRITE };
        let mut view = View { screen, monitor, rate: Rate::default() };
        let show = move || {
            view.rate.saw(Instant::now(), &view.monitor.progress());
            while stopped.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                view.show();
            }
            // A terminal shows ^C below the table, where the next one would be drawn.
            if !view.screen.has_table() || !signal.is_any() {
                view.show();
                view.screen.draw_last();
            }
            view.screen.finish();
        };
        let thread = Some(thread::Builder::new().name("tail-lag".into()).spawn(show)?);
        Ok(Self { stop: Some(stop), thread })
    }
}

impl Drop for Lag {
    fn drop(&mut self) {
        drop(self.stop.take());
        // A panic has been shown already.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl View {
    fn show(&mut self) {
        let progress = self.monitor.progress();
        self.rate.saw(Instant::now(), &progress);
        let rows = Row::all(&progress, &self.rate);
        if !self.screen.has_table() {
            return rows.iter().for_each(|row| self.screen.say(row.sentence()));
        }
        let lines = table(&rows, self.screen.room());
        let lines: Vec<_> = lines.into_iter().map(|line| self.paint(line)).collect();
        self.screen.draw(lines.join("\n"));
    }

    fn paint(&self, line: Line) -> String {
        let colour = match line.kind {
            Kind::Plain => return line.text,
            Kind::Head => Colour::Bold,
            Kind::Faint => Colour::Dim,
            Kind::Late => Colour::Yellow,
            Kind::Failing => Colour::Red,
        };
        self.screen.paint(colour, line.text)
    }
}
