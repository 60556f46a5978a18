//! Shards whose batches may not be handed over for a while, because somebody else may hold them.

use std::collections::BTreeMap;
use std::mem;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::doors;
use super::logs;
use super::parked::key;
use super::refusing::Refusing;
use super::try_all;
use super::world::{SOON, STREAM, World, a_while, current, with_thread};
use crate::config::Config;
use crate::delivery::batch::Batch;
use crate::delivery::on_error::OnError;
use crate::delivery::tenancy::{Tenancies, Tenancy};
use crate::error::Error;
use crate::error::store::{StoreError, StoreErrorKind};
use crate::model::notice::{Notice, ShardState};
use crate::model::shard::ChildShard;
use crate::stream::Stream;
use crate::sync::{self, Mutex};

const FIRST: &str = "shardId-000000000000";
const SECOND: &str = "shardId-000000000001";

/// After this time a fenced shard is looked at again.
const LOOK: Duration = Duration::from_secs(1);

/// The tenancies of all shards.
#[derive(Clone, Default)]
struct Fences(Arc<Mutex<BTreeMap<String, Arc<Fence>>>>);

/// The tenancy of a shard, whose fence the scenario lets fall and rise.
#[derive(Default)]
struct Fence(Mutex<Seen>);

#[derive(Default)]
struct Seen {
    is_down: bool,
    /// Whether nobody began to handle a batch since a look found the fence up, which was the last look.
    may_begin: bool,
    /// Looks since a batch was handed over that found the fence down.
    vain: u32,
    /// How often the children were told, and what they are.
    told: u32,
    children: Vec<String>,
}

impl Tenancy for Fence {
    fn left(&self) -> Duration {
        let mut seen = self.0.lock();
        seen.may_begin = !seen.is_down;
        seen.vain += u32::from(seen.is_down);
        if seen.is_down { Duration::ZERO } else { LOOK }
    }

    fn ends_with(&self, children: &[ChildShard]) {
        let mut seen = self.0.lock();
        seen.told += 1;
        seen.children = children.iter().map(|child| child.id.clone()).collect();
    }
}

impl Fence {
    fn falls(&self) {
        self.0.lock().is_down = true;
    }

    fn rises(&self) {
        self.0.lock().is_down = false;
    }

    /// Whether a batch came in vain since the last one was handed over.
    fn keeps(&self) -> bool {
        self.0.lock().vain > 0
    }

    /// A batch is handed over. Returns whether it was kept before.
    fn begins(&self) -> bool {
        let mut seen = self.0.lock();
        assert!(mem::take(&mut seen.may_begin), "it is handed over behind a fence");
        mem::take(&mut seen.vain) > 0
    }
}

impl Fences {
    fn of(&self, shard: &str) -> Arc<Fence> {
        Arc::clone(self.0.lock().entry(shard.to_owned()).or_default())
    }

    /// A consumer that looks at them.
    fn guard(&self, config: Config) -> Config {
        let fences = self.clone();
        let of = move |shard: &str| Some(fences.of(shard) as Arc<dyn Tenancy>);
        Config { tenancies: Some(Tenancies::new(of)), ..config }
    }

    /// A batch is handed over. Returns whether it was kept before.
    fn begins(&self, batch: &Batch) -> bool {
        self.of(batch.shard()).begins()
    }

    fn all_rise(&self) {
        self.0.lock().values().for_each(|fence| fence.rises());
    }

    /// They fall and rise for some while, and are up at last.
    fn fall_and_rise(&self) {
        for _ in 0..fastrand::u32(1..12) {
            let fence = self.of([FIRST, SECOND][fastrand::usize(..2)]);
            if fastrand::bool() {
                fence.falls()
            } else {
                fence.rises()
            }
            match fastrand::bool() {
                true => a_while(),
                false => current().sleep_for(Duration::from_millis(fastrand::u64(..3_000))),
            }
        }
        self.all_rise();
    }
}

/// Fences take long: meanwhile a shard is asked seldom, and yet often enough that a second batch waits too.
fn config() -> Config {
    World::config().interval(Duration::from_millis(300))
}

#[test]
fn nothing_is_handed_over_while_the_fence_is_down_and_after_that_all_comes_once() {
    let outcomes = try_all(|| {
        let (world, fences) = (Arc::new(World::new(2)), Fences::default());
        let on_error = OnError::retry(None).halve(fastrand::bool());
        let stream = world.stream(fences.guard(config().on_error(on_error)));
        let (shutdown, takes, looks) = (stream.shutdown(), Arc::clone(&world), fences.clone());
        let handle = move |batch: &Batch| {
            if looks.begins(batch) {
                current().note("kept");
            }
            if fastrand::u32(..4) == 0 {
                return Err("not now".into());
            }
            takes.take_until_all(batch, &shutdown);
            Ok(())
        };
        with_thread(|| fences.fall_and_rise(), || doors::run(stream, handle)).unwrap();
        world.read_the_rest();
        world.check();
    });
    outcomes.each_occurs(&["kept"]);
}

#[test]
fn a_wait_for_the_fence_is_no_attempt_and_dead_letters_wait_too() {
    let outcomes = try_all(|| {
        let (world, fences) = (Arc::new(World::new(2)), Fences::default());
        world.put(6);
        let most = fastrand::u32(1..4);
        let letters = Arc::new(Mutex::new(Vec::new()));
        let (taken, takes, looks) = (Arc::clone(&letters), Arc::clone(&world), fences.clone());
        let (slot, stop) = (Arc::new(OnceLock::new()), Mutex::new(false));
        let stopper = Arc::clone(&slot);
        let on_error = OnError::retry(most).halve(most > 1 && fastrand::bool());
        let on_error = on_error.dead_letter(move |letter| {
            if looks.begins(letter.batch()) {
                current().note("a letter waited");
            }
            taken.lock().push((key(letter.batch()), letter.attempts()));
            takes.take_until_all(letter.batch(), stopper.get().expect("it is set before the run"));
            Ok(())
        });
        let stream = world.stream(fences.guard(config().on_error(on_error)));
        assert!(slot.set(stream.shutdown()).is_ok());
        let mut attempts = BTreeMap::<_, u32>::new();
        let rises = || {
            while !*stop.lock() {
                current().sleep_for(Duration::from_millis(fastrand::u64(50..2_000)));
                fences.all_rise();
            }
        };
        with_thread(rises, || {
            let ended = stream.listen(|batch| {
                let so_far = attempts.entry(key(batch)).or_default();
                if fences.begins(batch) {
                    current().note(if batch.is_part() {
                        "a half waited"
                    } else {
                        "an attempt waited"
                    });
                }
                *so_far += 1;
                if fastrand::u32(..3) == 0 {
                    fences.of(batch.shard()).falls();
                }
                a_while();
                Err("not this one".into())
            });
            *stop.lock() = true;
            ended.unwrap();
        });
        for (batch, told) in &*letters.lock() {
            assert_eq!((*told, attempts[batch]), (most, most), "{batch:?}");
        }
        world.read_the_rest();
        world.check();
    });
    outcomes.each_occurs(&["an attempt waited", "a letter waited", "a half waited"]);
}

#[test]
fn the_other_shards_continue_and_the_fenced_one_follows_soon() {
    try_all(|| {
        logs::keep();
        let (world, fences) = (World::new(2), Fences::default());
        (0..3).for_each(|_| drop(world.put_to_each()));
        let stream = world.stream(fences.guard(config()));
        let (shutdown, monitor) = (stream.shutdown(), stream.monitor());
        let (fence, risen) = (fences.of(FIRST), Mutex::new(None));
        fence.falls();
        let looks = || {
            current().sleep_for(Duration::from_secs(5));
            let before = world.count();
            world.put_to_each();
            current().sleep_for(Duration::from_secs(5));
            assert!(world.count() > before, "the other shard waits too");
            assert!(!world.has_read(FIRST) && fence.keeps());
            let states = monitor.progress().shards.into_iter();
            let fenced = states.filter(|shard| shard.state == ShardState::Fenced);
            let fenced: Vec<_> =
                fenced.map(|shard| (shard.shard, shard.handler_failures)).collect();
            assert_eq!(fenced, [(FIRST.to_owned(), 0)]);
            *risen.lock() = Some(sync::now());
            fence.rises();
        };
        let ended = with_thread(looks, || {
            stream.listen(|batch| {
                fences.begins(batch);
                let risen = risen.lock().filter(|_| !world.has_read(FIRST));
                if let Some(risen) = risen.filter(|_| batch.shard() == FIRST) {
                    assert!(sync::since(risen) < LOOK + SOON, "{:?}", sync::since(risen));
                }
                world.take_until_all(batch, &shutdown);
                Ok(())
            })
        });
        ended.unwrap();
        assert_eq!(logs::told(&["failed", "recovered", "dropped uncommitted"]), [""; 0]);
        world.check();
    });
}

#[test]
fn a_stop_ends_while_the_fence_is_down_and_leaves_what_is_kept() {
    let outcomes = try_all(|| {
        logs::keep();
        let (world, fences) = (World::new(2), Fences::default());
        let on_error = if fastrand::bool() { OnError::stop() } else { OnError::retry(None) };
        let stream = world.stream(fences.guard(config().on_error(on_error)));
        let shutdown = stream.shutdown();
        let (is_drained, falls) = (fastrand::bool(), fastrand::u32(1..6));
        let limit = Duration::from_millis(if is_drained { fastrand::u64(..2_000) } else { 0 });
        let stopping = || {
            current().sleep_for(Duration::from_millis(fastrand::u64(..3_000)));
            let stop = || if is_drained { shutdown.drain(limit) } else { shutdown.now() };
            world.stops(stop);
        };
        let mut handled = 0;
        let ended = with_thread(stopping, || {
            stream.listen(|batch| {
                fences.begins(batch);
                world.take(batch);
                handled += 1;
                if handled == falls {
                    [FIRST, SECOND].iter().for_each(|shard| fences.of(shard).falls());
                }
                Ok(())
            })
        });
        ended.unwrap();
        let took = world.since_stop();
        assert!(took < limit + SOON, "{took:?}, {limit:?}");
        assert_eq!(logs::told(&["dropped uncommitted"]), [""; 0], "{:#?}", current().lines());
        if [FIRST, SECOND].iter().any(|shard| fences.of(shard).keeps()) {
            current().note(if is_drained { "left by a drain" } else { "left by a stop" });
        }
        world.read_the_rest();
        world.check();
    });
    outcomes.each_occurs(&["left by a drain", "left by a stop"]);
}

#[test]
fn a_long_drain_waits_for_the_fence() {
    let outcomes = try_all(|| {
        let (world, fences) = (World::new(2), Fences::default());
        let stream = world.stream(fences.guard(config()));
        let (shutdown, monitor) = (stream.shutdown(), stream.monitor());
        fences.of(FIRST).falls();
        let stopping = || {
            a_while();
            shutdown.drain(Duration::from_secs(60));
            fences.fall_and_rise();
        };
        let ended = with_thread(stopping, || {
            stream.listen(|batch| {
                if fences.begins(batch) {
                    current().note("kept");
                }
                world.take(batch);
                Ok(())
            })
        });
        ended.unwrap();
        let sent: u64 = monitor.progress().shards.iter().map(|shard| shard.records).sum();
        assert_eq!(world.count() as u64, sent);
        world.read_the_rest();
        world.check();
    });
    outcomes.each_occurs(&["kept"]);
}

/// A consumer whose first shard somebody else owns when it is fenced.
fn losing(world: &World, fences: &Fences, is_lost: &Arc<Mutex<bool>>) -> Stream {
    let (refusing, told) = (fences.of(FIRST), Arc::clone(is_lost));
    let refuses = move |shard: &str| {
        let is_refused = shard == FIRST && refusing.0.lock().is_down;
        is_refused.then(|| StoreError::lost("somebody else owns the shard"))
    };
    // A commit that is written later shows that the shard is lost while its next batches are kept.
    let config = config().store_every(100, Duration::from_millis(500));
    let config = config.on_notice(move |notice| {
        if matches!(notice, Notice::Lost { .. }) {
            *told.lock() = true;
        }
    });
    let store = Refusing { inside: Arc::clone(&world.store), refuses };
    Stream::new(world.kinesis.clone(), STREAM, store, fences.guard(config)).unwrap()
}

#[test]
fn what_is_kept_of_a_lost_shard_is_dropped_whether_or_not_the_fence_rises() {
    let outcomes = try_all(|| {
        let (world, fences) = (World::new(2), Fences::default());
        (0..6).for_each(|_| drop(world.put_to_each()));
        let is_lost = Arc::new(Mutex::new(false));
        let stream = losing(&world, &fences, &is_lost);
        let shutdown = stream.shutdown();
        let fence = fences.of(FIRST);
        let (rises, is_drained) = (fastrand::bool(), fastrand::bool());
        let stopping = || {
            while !*is_lost.lock() {
                current().sleep_for(Duration::from_millis(10));
            }
            if fence.keeps() {
                current().note(if rises { "kept, lost, risen" } else { "kept and lost" });
            }
            if rises {
                // Its own writes are refused as before: the shard is given up.
                fence.rises();
            }
            a_while();
            let stop = || match is_drained {
                true => shutdown.drain(Duration::from_secs(60)),
                false => shutdown.now(),
            };
            world.stops(stop);
        };
        let ended = with_thread(stopping, || {
            stream.listen(|batch| {
                fences.begins(batch);
                assert!(batch.shard() != FIRST || !*is_lost.lock(), "it is handled on");
                world.take(batch);
                if batch.shard() == FIRST {
                    fence.falls();
                }
                Ok(())
            })
        });
        let is_told = matches!(
            &ended,
            Err(Error::Store { source, .. }) if source.kind() == StoreErrorKind::Lost
        );
        assert!(is_told, "{ended:?}");
        let took = world.since_stop();
        assert!(took < LOOK + SOON, "{took:?}");
        world.read_the_rest();
        world.check_that_nothing_is_lost();
    });
    outcomes.each_occurs(&["kept, lost, risen", "kept and lost"]);
}

#[test]
fn the_children_are_told_before_the_last_batch_comes() {
    let outcomes = try_all(|| {
        let (world, fences) = (Arc::new(World::new(1)), Fences::default());
        let [low, high] = world.kinesis.split(STREAM, FIRST);
        world.put(4);
        let heir = world.kinesis.merge(STREAM, &low, &high);
        world.put(4);
        let config = config().on_error(OnError::retry(None));
        let stream = world.stream(fences.guard(config));
        let (shutdown, takes, looks) = (stream.shutdown(), Arc::clone(&world), fences.clone());
        let handle = move |batch: &Batch| {
            looks.begins(batch);
            if batch.ends_shard() {
                let fence = looks.of(batch.shard());
                let seen = fence.0.lock();
                let children = match batch.shard() == FIRST {
                    true => vec![low.clone(), high.clone()],
                    false => vec![heir.clone()],
                };
                assert_eq!((seen.told, &seen.children), (1, &children), "{}", batch.shard());
                current().note(if batch.shard() == FIRST { "a split" } else { "a merge" });
            }
            takes.take_until_all(batch, &shutdown);
            Ok(())
        };
        with_thread(|| fences.fall_and_rise(), || doors::run(stream, handle)).unwrap();
        world.read_the_rest();
        world.check();
    });
    outcomes.each_occurs(&["a split", "a merge"]);
}

#[test]
fn a_receiver_gets_the_batch_which_is_not_current_until_the_fence_rises() {
    try_all(|| {
        let (world, fences) = (World::new(1), Fences::default());
        let (batches, listener) = world.stream(fences.guard(config())).receiver().unwrap();
        let fence = fences.of(FIRST);
        fence.falls();
        while !world.is_read() {
            let batch = batches.recv_timeout(Duration::from_secs(5)).unwrap();
            let is_down = fastrand::bool();
            if is_down {
                fence.falls()
            } else {
                fence.rises()
            }
            assert_eq!(batch.is_current(), !is_down);
            // Whether somebody else owns the shard is known by the store alone.
            batch.commit().unwrap();
            world.take(&batch);
        }
        listener.shutdown().now();
        listener.join().unwrap();
        world.read_the_rest();
        world.check();
    });
}
