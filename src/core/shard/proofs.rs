//! Claims about a shard, and what a listing proves about them.

use std::time::Duration;

use crate::core::event::Proof;
use crate::core::shard::Poller;
use crate::core::shard::caught_up::CaughtUp;
use crate::core::shard::doubt::Doubt;
use crate::core::shard::step::Step;

impl Poller {
    /// Requests a proof of the claim, unless the shard is known to be closed: then it is read once more.
    pub(super) fn ask(&mut self, now: Duration, rng: &mut fastrand::Rng) -> Step {
        if !self.doubts.is_closed() {
            return Step::Confirm;
        }
        self.doubts.take();
        self.read_on(now, rng)
    }

    // long: a table of doubt and proof.
    pub(super) fn confirmed(
        &mut self,
        now: Duration,
        rng: &mut fastrand::Rng,
        proof: Proof,
    ) -> Step {
        let Some(doubt) = self.doubts.take() else { return self.call(now) };
        match (doubt, proof) {
            // It may have been closed after it was read: one more answer from now on shows the end.
            (Doubt::End, Proof::Closed | Proof::Gone) => {
                self.doubts.close();
                self.call(now)
            }
            // The earlier listing may be of another stream with the same name.
            (Doubt::End, Proof::WasClosed | Proof::Open | Proof::Unknown) => self.read_on(now, rng),
            (Doubt::Vanished(_), Proof::Gone) if self.doubts.is_gone() => self.aged_out(now),
            // It may have aged out a moment ago.
            (Doubt::Vanished(error), Proof::Closed | Proof::WasClosed | Proof::Gone) => {
                match self.doubts.is_lost(now, rng, self.settings.max_outage) {
                    Some(wait) => self.backs_off(wait, error),
                    // If it is there all the same, it may hold more than was read.
                    None => {
                        self.caught_up = CaughtUp::default();
                        self.aged_out(now)
                    }
                }
            }
            (Doubt::Vanished(error), Proof::Open) => {
                match self.doubts.is_lost(now, rng, self.settings.max_outage) {
                    Some(wait) => self.backs_off(wait, error),
                    None => {
                        let lasted = self.doubts.lost_for(now, &error);
                        Step::Fail(self.client_error(lasted, error))
                    }
                }
            }
            // The listing would have failed if another stream had replaced this one.
            (Doubt::Replaced(_), Proof::Closed | Proof::WasClosed | Proof::Gone | Proof::Open) => {
                self.call(now)
            }
            // A missing listing says nothing about the shard.
            (Doubt::Vanished(_), Proof::Unknown) => Step::Wait(self.doubts.wait(now, rng)),
            (Doubt::Replaced(error), Proof::Unknown) => {
                self.missing = Some(error);
                self.token = None;
                Step::Wait(self.doubts.wait(now, rng))
            }
        }
    }

    /// An end was claimed and not proved: reading continues after the last record.
    fn read_on(&mut self, now: Duration, rng: &mut fastrand::Rng) -> Step {
        if self.doubts.is_strange(now) {
            self.warn(
                "answers have no next shard iterator, as if the shard had ended, but no listing shows its end; reading continues",
            );
        }
        let wait = self.doubts.wait(now, rng);
        Step::Wait(wait)
    }
}
