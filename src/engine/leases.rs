//! The loops of a process that shares a stream: one makes beats and nothing else, so that no other call delays them; the
//! other makes all other calls of the table.

use std::convert::Infallible;
use std::sync::Arc;
use std::thread::Scope;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, never};

use crate::core::event::Event;
use crate::core::fleet::steward::commit::lost;
use crate::core::fleet::steward::words::News;
use crate::engine::run::Run;
use crate::error::Error;
use crate::store::leases::keeper::Keeper;
use crate::sync::{self, at, select_biased};

/// The loops of a run, which end when this is dropped.
pub(super) struct Loops {
    keeper: Arc<Keeper>,
    _over: Sender<Infallible>,
}

impl Loops {
    /// Gives up all leases that are still held, when nothing is read, handled or stored any more.
    pub(super) fn end(self) {
        self.keeper.end();
    }
}

impl Run<'_> {
    /// Starts the loops, if this process shares the stream.
    pub(super) fn keep_leases<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
    ) -> Result<Option<Loops>, Error> {
        let Some(keeper) = &self.keeper else { return Ok(None) };
        let (over, is_over) = bounded(0);
        let heart_over = is_over.clone();
        let heart = move || self.beat(scope, keeper, &heart_over);
        let survey = move || self.keep(keeper, keeper.changed(), &is_over, || keeper.call());
        self.try_spawn(scope, "kc-heart", heart)
            .map_err(|source| self.no_thread("kc-heart", source))?;
        self.try_spawn(scope, "kc-survey", survey)
            .map_err(|source| self.no_thread("kc-survey", source))?;
        Ok(Some(Loops { keeper: Arc::clone(keeper), _over: over }))
    }

    /// Makes beats until the run is over, and finds more threads to do so if this one would be too slow.
    fn beat<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        keeper: &'scope Keeper,
        over: &Receiver<Infallible>,
    ) {
        let mut others = 1..;
        self.keep(keeper, keeper.beaten(), over, || {
            let wait = keeper.beat();
            while others.start < keeper.hearts() {
                let (name, over) = (format!("kc-heart-{}", others.start), over.clone());
                let heart = move || self.keep(keeper, keeper.beaten(), &over, || keeper.beat());
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

    /// Makes calls until the run is over. `make` says how long to wait at most until the next one.
    fn keep(
        &self,
        keeper: &Keeper,
        changed: &Receiver<()>,
        over: &Receiver<Infallible>,
        mut make: impl FnMut() -> Option<Duration>,
    ) {
        loop {
            let wait = make();
            self.tell_news(keeper);
            let due = wait.and_then(|wait| sync::now().checked_add(wait));
            let timer = due.map_or_else(never, at);
            select_biased! {
                recv(over) -> _ => return,
                recv(changed) -> _ => {}
                recv(timer) -> _ => {}
            }
        }
    }

    fn tell_news(&self, keeper: &Keeper) {
        for news in keeper.take_news() {
            self.tell_of_lease(news);
        }
    }

    // long: one branch for each kind of news.
    fn tell_of_lease(&self, news: News) {
        let stream = &self.engine.stream;
        let event = match news {
            News::Leased { shard, at, epoch } => Event::Leased { shard, at, epoch },
            News::Asked { shard, epoch, .. } => Event::Asked { shard, epoch },
            News::Lost { shard, epoch, why } => Event::LeaseLost { shard, epoch, why: lost(&why) },
            News::ListingWanted => Event::ListingWanted,
            News::Completed => Event::Completed,
            News::Failed(refusal) => {
                Event::Failed(Error::Fleet { stream: stream.to_string(), kind: refusal.into() })
            }
            News::Gained { shard, from } => {
                let from = from.unwrap_or_else(|| "nobody".to_owned());
                return log::info!(
                    "stream {stream:?}, shard {shard:?}: its lease was taken from {from}"
                );
            }
            News::Left { shard, to } => {
                let to = to.unwrap_or_else(|| "nobody".to_owned());
                return log::info!(
                    "stream {stream:?}, shard {shard:?}: its lease was left to {to}"
                );
            }
            News::Fenced { shard } => {
                return log::info!(
                    "stream {stream:?}, shard {shard:?}: its lease could not be kept up, so its batches wait"
                );
            }
            News::Unfenced { shard } => {
                return log::info!(
                    "stream {stream:?}, shard {shard:?}: its lease is kept up again"
                );
            }
        };
        self.tell(event);
    }
}
