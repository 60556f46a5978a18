//! The loops of a process that shares a stream: one makes beats and nothing else, so that no other call delays them; the
//! other makes all other calls of the table.

use std::convert::Infallible;
use std::sync::Arc;
use std::thread::Scope;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, never};

use crate::core::event::Event;
use crate::core::fleet::lease::refused::Loss;
use crate::core::fleet::steward::words::News;
use crate::engine::run::Run;
use crate::error::Error;
use crate::model::notice::{LossReason, Notice};
use crate::observe::fleet::FleetProgress;
use crate::store::leases::keeper::Keeper;
use crate::sync::{self, at, select_biased};

/// The loops of a run, which end when this is dropped.
pub(super) struct Loops<'a> {
    run: &'a Run<'a>,
    keeper: Arc<Keeper>,
    over: Sender<Infallible>,
    /// Ends with the loop that makes the calls besides beats.
    surveys: Receiver<Infallible>,
}

/// What follows from news: first the event, then the notice.
pub(super) type Told = (Option<Event>, Option<Notice>);

impl Loops<'_> {
    /// Gives up all leases that are still held, when nothing is read, handled or stored any more.
    pub(super) fn end(self) {
        let Self { run, keeper, over, surveys } = self;
        keeper.end();
        drop(over);
        // The answer to its last call may show a lease or a request, which nobody else would give up. No message comes.
        let _ = sync::recv(&surveys);
        keeper.end();
        run.tell_last();
    }
}

impl Run<'_> {
    /// Starts the loops, if this process shares the stream.
    pub(super) fn keep_leases<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
    ) -> Result<Option<Loops<'scope>>, Error> {
        let Some(keeper) = &self.keeper else { return Ok(None) };
        let watched = Arc::clone(keeper);
        self.engine.registry.joins(move || progress(&watched));
        let (over, is_over) = bounded(0);
        let heart_over = is_over.clone();
        let heart = move || self.beat(scope, keeper, &heart_over);
        let (surveying, surveys) = bounded::<Infallible>(0);
        let survey = move || {
            keep(keeper.changed(), &is_over, || keeper.call());
            drop(surveying);
        };
        self.try_spawn(scope, "kc-heart", heart)
            .map_err(|source| self.no_thread("kc-heart", source))?;
        self.try_spawn(scope, "kc-survey", survey)
            .map_err(|source| self.no_thread("kc-survey", source))?;
        Ok(Some(Loops { run: self, keeper: Arc::clone(keeper), over, surveys }))
    }

    /// Makes beats until the run is over, and finds more threads to do so if this one would be too slow.
    fn beat<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        keeper: &'scope Keeper,
        over: &Receiver<Infallible>,
    ) {
        let mut others = 1..;
        keep(keeper.beaten(), over, || {
            let wait = keeper.beat();
            while others.start < keeper.hearts() {
                let (name, over) = (format!("kc-heart-{}", others.start), over.clone());
                let heart = move || keep(keeper.beaten(), &over, || keeper.beat());
                if let Err(error) = self.try_spawn(scope, &name, heart) {
                    let stream = &self.engine.stream;
                    log::warn!(
                        "stream {stream:?}: there is no thread {name:?} to keep leases up while the table is slow: {error}"
                    );
                }
                others.next();
            }
            wait
        });
    }

    /// Gives a message when the steward has news. The coordinator alone takes them: so they keep their order, and no
    /// callback of the user delays a beat.
    pub(super) fn news(&self) -> Receiver<()> {
        self.keeper.as_ref().map_or_else(never, |keeper| keeper.told().clone())
    }

    /// Tells the user what is left to tell; the coordinator has ended.
    pub(super) fn tell_last(&self) {
        let notices = self.take_news().into_iter().filter_map(|(_, notice)| notice);
        notices.for_each(|notice| self.notify(&notice));
    }

    /// What the steward has said since the last call.
    pub(super) fn take_news(&self) -> Vec<Told> {
        let news = self.keeper.iter().flat_map(|keeper| keeper.take_news());
        news.map(|news| self.told(news)).collect()
    }

    /// What follows from news, and what people are told of it, by a notice or by the log alone.
    fn told(&self, news: News) -> Told {
        (news.event(&self.engine.stream), self.notice(news))
    }

    // long: one branch for each kind of news.
    fn notice(&self, news: News) -> Option<Notice> {
        Some(match news {
            News::Gained { shard, from } => Notice::Gained { shard, from },
            News::Lost { shard, why, .. } => {
                self.journal.lost(&shard, &why);
                Notice::Lost { shard, why: reason(&why) }
            }
            News::Left { shard, to } => Notice::Released { shard, to },
            News::Fenced { shard } => Notice::Fenced { shard },
            News::Unfenced { shard } => Notice::Unfenced { shard },
            News::Outage { lasted, why } => {
                self.journal.table_fails(lasted, &why);
                Notice::TableOutage { since: lasted }
            }
            News::Answers { lasted } => Notice::TableRecovered { lasted },
            News::Protocol { version } => Notice::Protocol { version },
            News::Beside(refusal) => {
                let (stream, why) = (&self.engine.stream, refusal.into_kind());
                log::warn!("stream {stream:?}: {why}; this one stays, since it holds leases");
                return None;
            }
            News::Leased { .. }
            | News::Asked { .. }
            | News::ListingWanted
            | News::Completed
            | News::Failed(_) => return None,
        })
    }
}

/// Makes calls until the run is over. `make` says how long to wait at most until the next one.
fn keep(
    changed: &Receiver<()>,
    over: &Receiver<Infallible>,
    mut make: impl FnMut() -> Option<Duration>,
) {
    loop {
        let wait = make();
        let due = wait.and_then(|wait| sync::now().checked_add(wait));
        let timer = due.map_or_else(never, at);
        select_biased! {
            recv(over) -> _ => return,
            recv(changed) -> _ => {}
            recv(timer) -> _ => {}
        }
    }
}

fn reason(loss: &Loss) -> LossReason {
    match loss {
        Loss::Taken { by } => LossReason::Taken { by: by.clone() },
        Loss::Gone => LossReason::RowGone,
        Loss::Misread(_) => LossReason::RowUnreadable,
        Loss::GivenUp { after } => LossReason::GivenUp { after: *after },
    }
}

/// What is known of the fleet now.
fn progress(keeper: &Keeper) -> FleetProgress {
    let (known, counts) = (keeper.outline(), keeper.counts());
    FleetProgress {
        worker: known.worker,
        held: known.held,
        target: known.target,
        workers: known.workers,
        unowned: known.unowned,
        oldest_beat: known.oldest_beat,
        surveyed: known.surveyed,
        calls: counts.calls(),
        refused: counts.refused(),
        errors: counts.errors(),
    }
}
