//! A held lease in time: when it must be shown to live, and until when its batches may be handed over.

use std::time::Duration;

/// A moment by the two clocks of a machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Since any fixed moment, by a clock that nobody sets. It may stand still while the machine is suspended.
    pub(crate) monotonic: Duration,
    /// Since 1970, by a clock that somebody may set.
    pub(crate) wall: Duration,
}

/// A lease that this worker holds.
///
/// A taker must see the same counter for longer than the failover time, from the end of one look to the begin of another.
/// The holder counts from the moment when it sent its last write that was done, and only up to nine tenths of that time: so
/// it stops before anybody takes the lease, also if one of the two clocks runs a tenth faster.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    failover: Duration,
    /// When the last write was sent that is known to be done.
    shown: Moment,
    /// When the last beat was sent, or has failed, and how long after that the next one is due.
    last: Moment,
    wait: Duration,
    /// Beats that failed since.
    failures: u32,
    /// Whether the consumer knows that no batch may be handed over.
    is_fenced: bool,
}

/// What changes for the batches of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// None may be handed over: somebody else may hold the lease.
    Fenced,
    /// They may be handed over again: nobody took the lease.
    Unfenced,
}

impl Moment {
    /// How much time has passed since an earlier moment, at most: a clock may have stood still, or have been set back. A
    /// wall clock that is set forward makes this too long, which is safe.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        let monotonic = self.monotonic.saturating_sub(earlier.monotonic);
        monotonic.max(self.wall.saturating_sub(earlier.wall))
    }
}

impl Held {
    /// A lease that is held since a write that was sent at this moment.
    pub(crate) fn new(failover: Duration, sent: Moment, rng: &mut fastrand::Rng) -> Self {
        let wait = between_beats(failover, rng);
        Self { failover, shown: sent, last: sent, wait, failures: 0, is_fenced: false }
    }

    /// How long until the next beat.
    pub(crate) fn next(&self, now: Moment) -> Duration {
        self.wait.saturating_sub(now.since(self.last))
    }

    /// A write of the holder was done, which was sent at this moment. A commit is a beat as well.
    pub(crate) fn shown(&mut self, sent: Moment, rng: &mut fastrand::Rng) {
        // Replies may come in another order than the writes.
        if sent.monotonic >= self.shown.monotonic {
            (self.shown, self.last, self.failures) = (sent, sent, 0);
            self.wait = between_beats(self.failover, rng);
        }
    }

    /// A beat failed, and nobody knows whether it was done.
    pub(crate) fn failed(&mut self, now: Moment, rng: &mut fastrand::Rng) {
        let most = self.failover / 48 * 2_u32.pow(self.failures.min(3));
        self.last = now;
        // Full jitter: all leases of a table fail together.
        self.wait = most.mul_f64(0.1 + 0.9 * rng.f64());
        self.failures += 1;
    }

    /// How much longer batches may be handed over; zero: none may.
    pub(crate) fn left(&self, now: Moment) -> Duration {
        (self.failover / 10 * 9).saturating_sub(now.since(self.shown))
    }

    /// How long ago the last write was sent that is known to be done.
    pub(crate) fn age(&self, now: Moment) -> Duration {
        now.since(self.shown)
    }

    /// There is nothing more to hand over. Returns whether the consumer was told of a fence that has not risen.
    pub(crate) fn lifts(&mut self) -> bool {
        std::mem::take(&mut self.is_fenced)
    }

    /// What has changed since it was asked last.
    pub(crate) fn change(&mut self, now: Moment) -> Option<Change> {
        let is_fenced = self.left(now).is_zero();
        let was_fenced = std::mem::replace(&mut self.is_fenced, is_fenced);
        match (was_fenced, is_fenced) {
            (false, true) => Some(Change::Fenced),
            (true, false) => Some(Change::Unfenced),
            _ => None,
        }
    }
}

/// Three beats fit into the failover time, with room for one that fails.
fn between_beats(failover: Duration, rng: &mut fastrand::Rng) -> Duration {
    (failover / 3).mul_f64(0.95 + 0.1 * rng.f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::fleet::share::survey::{Holding, Seen, Survey};

    const F: Duration = Duration::from_secs(10);
    const SECOND: Duration = Duration::from_secs(1);

    fn at(seconds: f64) -> Moment {
        let time = Duration::from_secs_f64(seconds);
        Moment { monotonic: time, wall: time }
    }

    fn held() -> (Held, fastrand::Rng) {
        let mut rng = fastrand::Rng::with_seed(1);
        (Held::new(F, at(0.0), &mut rng), rng)
    }

    #[test]
    fn batches_may_be_handed_over_for_nine_tenths_of_the_failover_time_after_a_write_was_sent() {
        let (mut held, mut rng) = held();
        assert_eq!(held.left(at(2.0)), SECOND * 7);
        assert_eq!(held.change(at(8.9)), None);
        assert_eq!(held.change(at(9.0)), Some(Change::Fenced));
        assert_eq!(held.change(at(9.5)), None, "it is told once");
        // Sent at 8, answered at 10: nobody took the lease.
        held.shown(at(8.0), &mut rng);
        assert_eq!(held.change(at(10.0)), Some(Change::Unfenced));
        held.shown(at(5.0), &mut rng);
        assert_eq!(held.left(at(10.0)), SECOND * 7, "a reply that came late changes nothing");
    }

    #[test]
    fn a_fence_that_is_lifted_is_not_told_to_rise() {
        let (mut held, mut rng) = held();
        assert!(!held.lifts());
        assert_eq!((held.change(at(9.0)), held.age(at(9.0))), (Some(Change::Fenced), SECOND * 9));
        assert!(held.lifts() && !held.lifts());
        held.shown(at(9.0), &mut rng);
        assert_eq!((held.change(at(10.0)), held.age(at(10.0))), (None, SECOND));
    }

    #[test]
    fn the_clock_that_says_more_counts() {
        let (held, _) = held();
        let suspended = Moment { monotonic: SECOND, wall: SECOND * 3600 };
        let set_back = Moment { monotonic: SECOND * 9, wall: Duration::ZERO };
        assert!(held.left(suspended).is_zero() && held.left(set_back).is_zero());
        assert!(held.next(suspended).is_zero() && held.next(set_back).is_zero());
    }

    #[test]
    fn a_beat_is_due_three_times_in_the_failover_time_and_soon_after_a_failure() {
        let (mut held, mut rng) = held();
        for _ in 0..1_000 {
            held.shown(at(5.0), &mut rng);
            let next = held.next(at(5.0)).as_secs_f64();
            assert!((3.16..3.51).contains(&next), "{next}");
            assert_eq!(held.next(at(9.0)), Duration::ZERO);
            for most in [0.21, 0.42, 0.84, 1.67, 1.67, 1.67] {
                held.failed(at(8.0), &mut rng);
                let next = held.next(at(8.0)).as_secs_f64();
                assert!(next > most * 0.09 && next <= most, "{next} of {most}");
            }
        }
    }

    /// A holder and a taker, each with clocks of its own, over one row. Times are in nanoseconds of real time.
    struct World {
        rng: fastrand::Rng,
        now: u64,
        counter: u64,
        /// How fast each one's clocks run.
        rates: [f64; 2],
        /// How long the holder's monotonic clock stood still, and how far its wall clock was set.
        suspended: u64,
        set: i64,
        /// Whether the machine may be suspended. A wall clock that is set back meanwhile would hide that from any holder.
        is_portable: bool,
        /// When the holder sends no more beats.
        end: u64,
        /// How long the taker waits and looks at most.
        look: Duration,
        /// How long a call takes at most until it is done; its reply takes up to twice as long after that.
        call: Duration,
        /// When the reply of a beat comes, when the beat was sent, and whether the reply says that it was done.
        reply: Option<(u64, Moment, bool)>,
    }

    impl World {
        fn new(seed: u64) -> Self {
            let mut rng = fastrand::Rng::with_seed(seed);
            let rates = [0, 1].map(|_| 0.9501 + 0.0998 * rng.f64());
            let (is_portable, end) = (rng.u8(0..3) == 0, rng.u64(..60_000_000_000));
            // If its looks are close together, it takes the lease as soon as it may.
            let look = if rng.bool() { F / 400 } else { F / 4 };
            let call = if rng.bool() { F / 400 } else { F / 6 };
            let (now, counter, suspended, set, reply) = (0, 1, 0, 0, None);
            Self { rng, now, counter, rates, suspended, set, is_portable, end, look, call, reply }
        }

        fn pass(&mut self, most: Duration) {
            self.now += most.mul_f64(self.rng.f64()).as_nanos() as u64;
        }

        fn holders(&self) -> Moment {
            let time = |real: i64| Duration::from_nanos((real as f64 * self.rates[0]) as u64);
            let now = 3_600_000_000_000 + self.now as i64;
            Moment { monotonic: time(now - self.suspended as i64), wall: time(now + self.set) }
        }

        fn takers(&self) -> Duration {
            Duration::from_nanos((self.now as f64 * self.rates[1]) as u64)
        }

        /// The holder does something; perhaps it sends a beat, or gets a reply.
        fn holder_acts(&mut self, held: &mut Held) {
            match self.rng.u8(0..8) {
                0 if self.is_portable => {
                    let before = self.now;
                    self.pass(F * 2);
                    self.suspended += self.now - before;
                }
                1 if self.is_portable => self.set += self.rng.i64(0..30_000_000_000),
                1 => self.set = self.rng.i64(0..30_000_000_000),
                2 if self.is_portable => self.pass(F * 3),
                _ => {}
            }
            let mut rng = self.rng.fork();
            if let Some((_, sent, is_told)) = self.reply.take_if(|reply| reply.0 <= self.now) {
                match is_told {
                    true => held.shown(sent, &mut rng),
                    false => held.failed(self.holders(), &mut rng),
                }
            }
            let is_idle = self.reply.is_none() && self.now < self.end;
            if is_idle && held.next(self.holders()).is_zero() {
                let sent = self.holders();
                self.pass(self.call);
                let (is_done, is_told) = (rng.u8(0..4) > 0, rng.u8(0..4) > 0);
                self.counter += u64::from(is_done);
                let due = self.now + self.call.mul_f64(2.0 * rng.f64()).as_nanos() as u64;
                self.reply = Some((due, sent, is_done && is_told));
            }
        }
    }

    /// Looks at the row until it may be taken, and takes it; `None` if its counter has moved since.
    fn takes(world: &mut World, survey: &mut Survey) -> Option<()> {
        let begun = world.takers();
        world.pass(world.look);
        let counter = world.counter;
        world.pass(world.look);
        let row = Seen {
            key: "row",
            owner: Some("holder"),
            giver: None,
            counter,
            limit: None,
            failover: None,
            is_end: false,
        };
        survey.scanned(begun, world.takers(), [row]);
        matches!(survey.rows()[0].holding, Holding::Free { .. }).then_some(())?;
        (world.counter == counter).then_some(())
    }

    #[test]
    fn nobody_takes_a_lease_while_its_batches_may_be_handed_over() {
        let mut taken = 0;
        for seed in 0..1_000 {
            let mut world = World::new(seed);
            let mut rng = world.rng.fork();
            let mut held = Held::new(F, world.holders(), &mut rng);
            let mut survey = Survey::new("taker", F, F * 5);
            for _ in 0..4_000 {
                match world.rng.bool() {
                    true => world.holder_acts(&mut held),
                    false => {
                        if takes(&mut world, &mut survey).is_some() {
                            let left = held.left(world.holders());
                            assert!(left.is_zero(), "seed {seed}: taken with {left:?} left");
                            taken += 1;
                            break;
                        }
                    }
                }
                world.pass(world.look);
            }
        }
        assert!(taken > 900, "{taken} leases were taken");
    }
}
