//! When the stream is listed, and the claims that a listing answers.

use crate::core::event::{Action, Proof};
use crate::core::retry::Retry;
use crate::core::stream::leasing::Leasing;
use crate::core::stream::lineage::Lineage;
use crate::core::stream::listing::Next;
use crate::core::stream::missing::Look;
use crate::core::stream::{Coordinator, Phase, RARELY, Round, Turn};
use crate::model::shard::Shard;

impl Coordinator {
    pub(super) fn list(&mut self, turn: &mut Turn) {
        if matches!(self.round, Round::Idle | Round::Rare(_)) {
            self.list_on(turn);
        }
    }

    /// Begins a listing, or continues one with the page that was refused.
    pub(super) fn list_on(&mut self, turn: &mut Turn) {
        let page = self.listing.page(turn.now);
        self.ask(turn, page);
    }

    pub(super) fn ask(&mut self, turn: &mut Turn, page: Option<String>) {
        self.round = Round::UnderWay;
        if page.is_none() {
            self.claims.listing_begins();
            self.lineage.iter_mut().for_each(Lineage::listing_begins);
            self.leasing.iter_mut().for_each(Leasing::listing_begins);
        }
        turn.actions.push(Action::List { page });
    }

    pub(super) fn list_for_claims(&mut self, turn: &mut Turn) {
        if self.phase == Phase::Reading && self.claims.must_list() {
            self.list(turn);
        }
    }

    /// A listing has ended, complete or not: answers the claims that were made before it began.
    pub(super) fn confirm(&mut self, turn: &mut Turn, is_complete: bool) {
        if self.phase != Phase::Reading || !self.is_loaded() {
            return;
        }
        for shard in self.claims.take_asked() {
            let proof = match (is_complete, &self.lineage, &self.leasing) {
                (true, Some(lineage), _) => lineage.proof(&shard),
                (true, None, Some(leasing)) => leasing.proof(&shard),
                _ => Proof::Unknown,
            };
            turn.actions.push(Action::Confirm { shard, proof });
        }
        self.list_for_claims(turn);
    }

    pub(super) fn listing_went(&mut self, turn: &mut Turn, next: Next) {
        if !self.is_loaded() || self.phase != Phase::Reading {
            return;
        }
        match next {
            Next::Page(page) => self.ask(turn, page),
            Next::Describe => {
                self.confirm(turn, false);
                turn.actions.push(Action::Describe);
            }
            Next::Again { wait, has_failed } => {
                self.round = Round::Due(turn.now + wait);
                if has_failed {
                    self.confirm(turn, false);
                }
            }
            Next::Fail(error) => self.fail(turn, error),
            Next::Done(shards) => {
                self.round = Round::Idle;
                self.take_in(turn, shards);
                self.confirm(turn, true);
            }
        }
    }

    pub(super) fn take_in(&mut self, turn: &mut Turn, shards: Vec<Shard>) {
        if self.leasing.is_some() {
            return self.listed_in_fleet(turn, shards);
        }
        let Some(lineage) = &mut self.lineage else { return };
        if let Err(error) = lineage.listed(turn.now, shards) {
            return self.fail(turn, error);
        }
        lineage.give_up(turn.now);
        self.advance(turn);
        self.look_on(turn);
    }

    /// A complete listing did not show all shards that must exist: list again later.
    pub(super) fn look_on(&mut self, turn: &mut Turn) {
        let look = match &self.leasing {
            Some(leasing) => leasing.look(turn.now),
            None => self.lineage.as_ref().and_then(Lineage::look),
        };
        if self.phase != Phase::Reading {
            return;
        }
        let wait = match look {
            Some(Look::Soon) => self.looking.wait(turn.now, turn.rng, None),
            Some(Look::Rarely) | None => {
                self.looking = Retry::default();
                None
            }
        };
        self.round = match (wait, look) {
            (Some(wait), _) => Round::Due(turn.now + wait),
            (None, Some(_)) => Round::Rare(turn.now + RARELY),
            (None, None) => Round::Idle,
        };
    }
}
