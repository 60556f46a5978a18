//! Credentials, kept while they are good.

use std::convert::Infallible;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use crossbeam_channel::{Receiver, TryRecvError, at, bounded, select_biased};
use parking_lot::Mutex;

use crate::aws::credentials::Credentials;
use crate::aws::credentials::question::{Interest, Question};
use crate::aws::credentials::source::Source;
use crate::aws::credentials::unavailable::Unavailable;
use crate::aws::http::bounds::Bounds;
use crate::control::membership::RunId;
use crate::error::client::ClientError;

/// New credentials are requested this long before the old ones expire, as Amazon's SDKs do.
const EARLY: Duration = Duration::from_secs(300);

/// How long after a failed refresh the next one waits, while the old credentials are still good.
const AGAIN: Duration = Duration::from_secs(30);

/// How long to wait after a source gave the refused keys again: a renewal may be in progress.
const ONCE_MORE: Duration = Duration::from_millis(100);

/// The credentials of all calls of a client.
///
/// One thread at a time asks for new ones. While the old ones are good no call waits for it. An error is given to the
/// waiting calls, and forgotten.
///
/// After a refusal every call asks. If the same keys come they are sent again: the service may know them a moment
/// later, and a renewal may be late.
#[derive(Debug)]
pub(crate) struct CredentialsCache {
    source: Source,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    current: Option<Arc<Credentials>>,
    /// The credentials that the service refused last, whatever their expiry, until it accepts the current ones.
    refused: Option<Arc<Credentials>>,
    not_before: Option<Instant>,
    asking: Option<Arc<Asking>>,
}

type Outcome = Result<Arc<Credentials>, Unavailable>;

/// One question in progress.
#[derive(Debug)]
struct Asking {
    /// `None` until it is answered, or for good if the source panicked.
    outcome: Arc<Mutex<Option<Outcome>>>,
    /// Disconnected when it is answered, or the source panicked.
    done: Receiver<Infallible>,
    /// Both are taken when the thread is joined. Dropping the interest ends its calls and waits.
    thread: Mutex<Option<(JoinHandle<()>, Interest)>>,
}

impl CredentialsCache {
    pub(crate) fn new(source: Source) -> Self {
        Self { source, state: Mutex::default() }
    }

    pub(crate) fn source(&self) -> &Source {
        &self.source
    }

    /// Good credentials; waits for them if there are none.
    ///
    /// # Errors
    /// If the source gave none, the consumer stops, or the deadline passes.
    // long: under one lock it is decided who asks, who waits and who is served.
    pub(crate) fn get(&self, bounds: &Bounds) -> Result<Arc<Credentials>, ClientError> {
        if let Source::Static(credentials) = &self.source {
            return Ok(credentials.clone());
        }
        let answered = self.state.lock().take_answered();
        if let Some(asking) = answered {
            self.absorb(&asking);
        }
        let asking = {
            let mut state = self.state.lock();
            let good = state.good();
            if state.asking.is_none() && state.is_due() {
                match Asking::start(&self.source) {
                    Ok(asking) => state.asking = Some(Arc::new(asking)),
                    Err(_) if good.is_some() => {} // these serve until there is a thread again
                    Err(error) => {
                        let message = format!("no thread to ask for credentials: {error}");
                        return Err(bounds.transient(message));
                    }
                }
            }
            match (good, &state.asking, &state.current) {
                (Some(good), _, _) => return Ok(good),
                (None, Some(asking), _) => asking.clone(),
                // Refused, and given again just now.
                (None, None, Some(current)) => return Ok(Arc::clone(current)),
                (None, None, None) => {
                    return Err(bounds.transient("no credentials are being asked for"));
                }
            }
        };
        asking.wait(bounds)?;
        self.absorb(&asking);
        asking.outcome().map_err(|why| {
            let has_given = self.state.lock().current.is_some();
            bounds.error(why.class(has_given), format!("no credentials: {}", why.reason))
        })
    }

    /// The service refused these: the next call asks for new ones. Returns whether new ones are useless: others were
    /// refused before, or there can be no others.
    pub(crate) fn refused(&self, refused: &Arc<Credentials>) -> bool {
        let is_static = matches!(self.source, Source::Static(_));
        is_static || self.state.lock().refuse(refused)
    }

    /// The service accepts these: earlier refusals do not count any more.
    pub(crate) fn accepted(&self, accepted: &Credentials) {
        if matches!(self.source, Source::Static(_)) {
            return;
        }
        let mut state = self.state.lock();
        if state.refused.is_some() && state.is_current(accepted) {
            state.refused = None;
        }
    }

    /// Takes the answer, once.
    fn absorb(&self, asking: &Arc<Asking>) {
        asking.join();
        let mut state = self.state.lock();
        if state.asking.as_ref().is_some_and(|current| Arc::ptr_eq(current, asking)) {
            state.asking = None;
            state.learn(asking.outcome());
        }
    }
}

impl Drop for CredentialsCache {
    fn drop(&mut self) {
        if let Some(asking) = self.state.get_mut().asking.take() {
            asking.join();
        }
    }
}

impl State {
    fn is_current(&self, credentials: &Credentials) -> bool {
        self.current.as_ref().is_some_and(|current| current.sign_like(credentials))
    }

    /// Whether the service refuses the current ones.
    fn is_refused(&self) -> bool {
        self.refused.as_ref().is_some_and(|refused| self.is_current(refused))
    }

    /// The service refused these. Returns whether it had refused others before them.
    fn refuse(&mut self, refused: &Arc<Credentials>) -> bool {
        if !self.is_current(refused) {
            return false; // replaced meanwhile
        }
        match self.refused.replace(Arc::clone(refused)) {
            Some(before) if before.sign_like(refused) => false,
            before => {
                self.not_before = None;
                before.is_some()
            }
        }
    }

    /// The current ones, unless they are refused or expired.
    fn good(&self) -> Option<Arc<Credentials>> {
        let current = self.current.as_ref().filter(|_| !self.is_refused())?;
        let expired = current.expires().is_some_and(|expires| expires <= SystemTime::now());
        (!expired).then(|| current.clone())
    }

    /// Whether new ones must be requested.
    fn is_due(&self) -> bool {
        let ripe = self.not_before.is_none_or(|not_before| not_before <= Instant::now());
        let Some(good) = self.good() else { return ripe || !self.is_refused() };
        let soon = SystemTime::now() + EARLY;
        ripe && good.expires().is_some_and(|expires| expires <= soon)
    }

    /// The question in progress, if it has been answered.
    fn take_answered(&self) -> Option<Arc<Asking>> {
        let asking = self.asking.as_ref()?;
        (asking.done.try_recv() == Err(TryRecvError::Disconnected)).then(|| asking.clone())
    }

    fn learn(&mut self, outcome: Outcome) {
        match outcome {
            Ok(new) => {
                self.current = Some(new);
                // Credentials with a shorter life than the early refresh are always due.
                let wait = if self.is_refused() { ONCE_MORE } else { AGAIN };
                self.not_before = Instant::now().checked_add(wait);
            }
            Err(why) if self.good().is_some() => {
                self.not_before = Instant::now().checked_add(AGAIN);
                let reason = why.reason;
                log::warn!("could not get new credentials, the old ones are still used: {reason}");
            }
            // The calls that waited for it have it.
            Err(_) => self.not_before = None,
        }
    }
}

impl Asking {
    fn start(source: &Source) -> std::io::Result<Self> {
        let outcome = Arc::new(Mutex::new(None));
        let (answered, done) = bounded::<Infallible>(0);
        let (question, interest) = Question::new(source.limit());
        let thread = {
            let (source, outcome) = (source.clone(), outcome.clone());
            let asking_for = RunId::entered();
            thread::Builder::new().name("kc-credentials".to_owned()).spawn(move || {
                // Dropped last, and also when the source panics.
                let _answered = answered;
                // A closure that drops the listener of one of these runs would wait for itself.
                let _members: Vec<_> = asking_for.iter().map(RunId::enter).collect();
                let answer = source.ask(&question).map(Arc::new);
                *outcome.lock() = Some(answer);
            })?
        };
        Ok(Self { outcome, done, thread: Mutex::new(Some((thread, interest))) })
    }

    fn wait(&self, bounds: &Bounds) -> Result<(), ClientError> {
        select_biased! {
            recv(bounds.call().stopped()) -> _ => Err(bounds.stopped()),
            recv(self.done) -> _ => Ok(()),
            recv(at(bounds.until())) -> _ => {
                Err(bounds.transient("no credentials came before the deadline"))
            }
        }
    }

    fn outcome(&self) -> Outcome {
        let outcome = self.outcome.lock().clone();
        outcome.unwrap_or_else(|| Err(Unavailable::for_now("their source panicked")))
    }

    fn join(&self) {
        let thread = self.thread.lock().take();
        if let Some((thread, interest)) = thread {
            drop(interest);
            // A panic shows as the missing outcome.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests;
