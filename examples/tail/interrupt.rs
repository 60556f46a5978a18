//! Ctrl-C, and SIGTERM.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::thread::{self, JoinHandle};

use kinesis_consumer::Shutdown;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::{Handle, Signals};

/// The number that shells add to a signal in an exit status.
const BASE: i32 = 128;

/// Waits for a signal, which stops the consumer. The second one ends the process at once, for example in a write
/// without a reader.
pub(crate) struct Interrupt {
    caught: Caught,
    watching: Handle,
    /// Taken when it is dropped.
    thread: Option<JoinHandle<()>>,
}

/// The signal that came, if any; a clone shares it.
#[derive(Clone)]
pub(crate) struct Caught(Arc<AtomicI32>);

impl Interrupt {
    pub(crate) fn watch(shutdown: Shutdown) -> io::Result<Self> {
        let (caught, again) = (Caught(Arc::default()), Arc::new(AtomicBool::new(false)));
        // Not SIGHUP: it ends the process by itself, unless nohup ignores it.
        for signal in [SIGINT, SIGTERM] {
            // In this order, so that the first signal does not see itself.
            flag::register_conditional_shutdown(signal, BASE + signal, Arc::clone(&again))?;
            flag::register(signal, Arc::clone(&again))?;
        }
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        let (watching, seen) = (signals.handle(), caught.clone());
        let watch = move || {
            for signal in &mut signals {
                seen.0.store(signal, Ordering::SeqCst);
                shutdown.now();
            }
        };
        let thread = Some(thread::Builder::new().name("tail-signals".into()).spawn(watch)?);
        Ok(Self { caught, watching, thread })
    }

    pub(crate) fn caught(&self) -> &Caught {
        &self.caught
    }
}

impl Caught {
    pub(crate) fn is_any(&self) -> bool {
        self.status().is_some()
    }

    /// Its exit status.
    pub(crate) fn status(&self) -> Option<u8> {
        match self.0.load(Ordering::SeqCst) {
            0 => None,
            signal => u8::try_from(BASE + signal).ok(),
        }
    }
}

impl Drop for Interrupt {
    fn drop(&mut self) {
        self.watching.close();
        // It does not panic.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
