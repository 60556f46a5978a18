//! The select of the schedule: it waits until an arm can continue, and then lets crossbeam's choose.

use crossbeam_channel::{Receiver, Select, Sender, TryRecvError};

use super::schedule::Ready;

/// Whether a receive would not wait now. It owns a clone of the end, which is dropped by the thread that waits.
pub(crate) fn receives<T: Send + 'static>(from: &Receiver<T>) -> Ready {
    let from = from.clone();
    // Crossbeam's own question would spin first. Nobody runs between the two looks, so that nothing is taken.
    Box::new(move || !from.is_empty() || matches!(from.try_recv(), Err(TryRecvError::Disconnected)))
}

/// The same for a send.
pub(crate) fn sends<T: Send + 'static>(to: &Sender<T>) -> Ready {
    let to = to.clone();
    Box::new(move || {
        !to.is_full() || {
            let mut select = Select::new();
            select.send(&to);
            select.try_ready().is_ok()
        }
    })
}

/// Takes the arms as crossbeam's does. An arm's channel is evaluated twice: it must be a place, not a new timer.
macro_rules! select_biased {
    ($($arms:tt)*) => {{
        if let Some(member) = $crate::sync::controlled::schedule::current() {
            let what = $crate::sync::controlled::select::what!($($arms)*);
            member.wait(what, $crate::sync::controlled::select::ready!([] $($arms)*), None);
        }
        ::crossbeam_channel::select_biased! { $($arms)* }
    }};
}
pub(crate) use select_biased;

/// Whether an arm sends.
macro_rules! what {
    () => { "a select" };
    (send $($rest:tt)*) => { "a select that sends" };
    (recv($from:expr) -> $_name:pat => $_act:block $(,)? $($rest:tt)*) => {
        $crate::sync::controlled::select::what!($($rest)*)
    };
    (recv($from:expr) -> $_name:pat => $_act:expr, $($rest:tt)*) => {
        $crate::sync::controlled::select::what!($($rest)*)
    };
}
pub(crate) use what;

/// The arms' conditions.
macro_rules! ready {
    ([$($ready:expr,)*]) => { vec![$($ready),*] };
    ([$($ready:expr,)*] recv($from:expr) -> $_name:pat => $_act:block $(,)? $($rest:tt)*) => {
        $crate::sync::controlled::select::ready!(
            [$($ready,)* $crate::sync::controlled::select::receives(&$from),] $($rest)*
        )
    };
    ([$($ready:expr,)*] recv($from:expr) -> $_name:pat => $_act:expr, $($rest:tt)*) => {
        $crate::sync::controlled::select::ready!(
            [$($ready,)* $crate::sync::controlled::select::receives(&$from),] $($rest)*
        )
    };
    ([$($ready:expr,)*] send($to:expr, $_message:expr) -> $_name:pat => $_act:block $(,)? $($rest:tt)*) => {
        $crate::sync::controlled::select::ready!(
            [$($ready,)* $crate::sync::controlled::select::sends(&$to),] $($rest)*
        )
    };
    ([$($ready:expr,)*] send($to:expr, $_message:expr) -> $_name:pat => $_act:expr, $($rest:tt)*) => {
        $crate::sync::controlled::select::ready!(
            [$($ready,)* $crate::sync::controlled::select::sends(&$to),] $($rest)*
        )
    };
}
pub(crate) use ready;
