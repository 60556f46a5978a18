//! The runs that the current thread works for: it cannot wait for one of them.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::sync::Arc;

thread_local! {
    /// The runs, each as often as it was entered: a handler may run another consumer.
    static RUNS: RefCell<Vec<RunId>> = const { RefCell::new(Vec::new()) };
}

/// Names one run of a consumer.
#[derive(Clone, Debug)]
pub(crate) struct RunId(Arc<()>);

/// This thread works for a run until it is dropped.
#[must_use]
pub(crate) struct Membership {
    run: RunId,
    /// It is only about this thread.
    _not_send: PhantomData<*const ()>,
}

impl RunId {
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }

    /// From now on this thread works for the run, which may wait for it.
    pub(crate) fn enter(&self) -> Membership {
        // At the end of a thread there is nothing to remember any more.
        let _ = RUNS.try_with(|runs| runs.borrow_mut().push(self.clone()));
        Membership { run: self.clone(), _not_send: PhantomData }
    }

    /// Whether this thread works for the run.
    pub(crate) fn is_entered(&self) -> bool {
        RUNS.try_with(|runs| runs.borrow().iter().any(|run| run.is(self))).unwrap_or(false)
    }

    /// Every run that this thread works for; a thread that acts for it works for the same runs.
    pub(crate) fn entered() -> Vec<Self> {
        RUNS.try_with(|runs| runs.borrow().clone()).unwrap_or_default()
    }

    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        // As above.
        let _ = RUNS.try_with(|runs| {
            let mut runs = runs.borrow_mut();
            let last = runs.iter().rposition(|run| run.is(&self.run));
            last.map(|last| runs.remove(last))
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_works_for_a_run_until_it_has_left_it_as_often_as_it_entered() {
        let (one, other) = (RunId::new(), RunId::new());
        let outer = one.enter();
        let inner = one.enter();
        let nested = other.enter();
        assert!(one.is_entered() && other.is_entered() && RunId::entered().len() == 3);
        drop(inner);
        assert!(one.is_entered());
        drop(outer);
        assert!(!one.is_entered() && other.is_entered());
        let elsewhere = other.clone();
        assert!(!std::thread::spawn(move || elsewhere.is_entered()).join().unwrap());
        drop(nested);
        assert!(RunId::entered().is_empty());
    }
}
