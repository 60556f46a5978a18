//! The program on a terminal: what stands on the screen.

use std::io::{Read, Write};
use std::num::NonZero;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use crossbeam_channel::{Receiver, RecvTimeoutError, unbounded};
use parking_lot::Mutex;
use pty_process::Size;
use pty_process::blocking::{Command, Pty, open};

use crate::program::{Program, SOON, executable};

/// What it was when it had ended.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    /// All that was written.
    pub(crate) bytes: Vec<u8>,
    /// What stands on the screen.
    pub(crate) screen: String,
}

pub(crate) struct Terminal {
    pty: Arc<Pty>,
    child: Child,
    screen: Arc<Mutex<vt100::Parser>>,
    /// All that was written.
    bytes: Arc<Mutex<Vec<u8>>>,
    /// Told after each change.
    changed: Receiver<()>,
}

impl Terminal {
    /// Starts it; records go there too, unless they are thrown away.
    pub(crate) fn start(program: Program, size: (u16, u16), with_records: bool) -> Self {
        let (lines, columns) = size;
        let (pty, terminal) = open().unwrap();
        pty.resize(Size::new(lines, columns)).unwrap();
        let mut command = Command::new(executable("tail"))
            .args(program.arguments)
            .env_clear()
            .envs(program.variables);
        if !with_records {
            command = command.stdout(Stdio::null());
        }
        let child = command.spawn(terminal).unwrap();
        let pty = Arc::new(pty);
        let [height, width] = [lines, columns].map(|it| NonZero::new(it).unwrap());
        let screen = Arc::new(Mutex::new(vt100::Parser::new(height, width, 1_000)));
        let bytes = Arc::default();
        let changed = watch(Arc::clone(&pty), Arc::clone(&screen), Arc::clone(&bytes));
        Self { pty, child, screen, bytes, changed }
    }

    /// What stands on the screen now, line by line.
    pub(crate) fn contents(&self) -> String {
        let parser = self.screen.lock();
        let screen = parser.screen();
        let lines: Vec<_> = screen.rows(0, screen.size().1.into()).collect();
        lines.join("\n").trim_end().to_owned()
    }

    /// Waits until the screen is so, and says what stands there.
    pub(crate) fn until(&self, what: &str, is_so: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + SOON;
        loop {
            let contents = self.contents();
            if is_so(&contents) {
                return contents;
            }
            let change = self.changed.recv_deadline(deadline);
            assert!(change.is_ok(), "{what}, {change:?}:\n{contents}");
        }
    }

    pub(crate) fn types(&self, text: &str) {
        (&*self.pty).write_all(text.as_bytes()).unwrap();
    }

    /// Waits until it has ended.
    pub(crate) fn end(mut self) -> Ended {
        loop {
            match self.changed.recv_timeout(SOON) {
                Ok(()) => {}
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it goes on:\n{}", self.contents()),
            }
        }
        let status = self.child.wait().unwrap();
        let bytes = std::mem::take(&mut *self.bytes.lock());
        Ended { status, bytes, screen: self.contents() }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It has ended, or a test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Shows what comes until nobody has the terminal open any more, which is an error of the read.
fn watch(
    pty: Arc<Pty>,
    screen: Arc<Mutex<vt100::Parser>>,
    bytes: Arc<Mutex<Vec<u8>>>,
) -> Receiver<()> {
    let (tell, changed) = unbounded();
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count) = (&*pty).read(&mut buffer) {
            screen.lock().process(&buffer[..count]);
            bytes.lock().extend_from_slice(&buffer[..count]);
            // A test that has ended looks at nothing more.
            let _ = tell.send(());
        }
    });
    changed
}
