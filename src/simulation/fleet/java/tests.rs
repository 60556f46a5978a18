//! Workers of Amazon's library do what real ones were seen to do.

use std::time::Duration;

use super::{Machine, Worker, WorldTask, lease};
use crate::core::fleet::lease::row::Row;
use crate::core::fleet::lease::writes::ask;
use crate::model::write::Applied;
use crate::simulation::fleet::java::Library::{self, Kcl2, Kcl3};
use crate::simulation::fleet::table::Faults;
use crate::simulation::fleet::world::{Plan, Player, World};
use crate::store::leases::LeaseTable;

const F: Duration = Duration::from_secs(4);
const SHARD: &str = "shardId-000000000000";

fn world(seed: u64, players: Vec<Player>, shards: usize) -> World {
    // As the table of the real workers was.
    let faults = Faults { page_age: Duration::ZERO, ..Faults::none(F) };
    let plan = Plan { shards, faults, ..Plan::calm(players, F, F * 1_000) };
    let mut world = World::with_plan(fastrand::Rng::with_seed(seed), plan);
    world.prepare();
    world
}

fn rows(world: &World) -> Vec<Row> {
    world.table.rows().iter().filter_map(lease).collect()
}

/// How many leases each worker has, the fewest first.
fn loads(world: &World) -> Vec<usize> {
    let rows = rows(world);
    let loads = (0..3).map(|worker| {
        let name = format!("worker-{worker}.");
        let is_its = |row: &&Row| row.owner.as_ref().is_some_and(|it| it.starts_with(&name));
        rows.iter().filter(is_its).count()
    });
    let mut loads: Vec<_> = loads.collect();
    loads.sort_unstable();
    loads
}

/// A real fleet of three, with twelve shards and this failover time, was even 39 seconds after the rows had appeared.
#[test]
fn the_first_worker_takes_all_and_the_others_steal_one_after_the_other() {
    let mut world = world(1, vec![Player::Java(Kcl2); 3], 12);
    let mut had = Vec::new();
    for second in 1..=60 {
        world.run_until(Duration::from_secs(second));
        had.push(loads(&world));
    }
    assert!(had.contains(&vec![0, 0, 12]), "{had:?}");
    assert!(had.iter().any(|loads| loads[2] == 8), "{had:?}");
    let even = had.iter().position(|loads| *loads == [4, 4, 4]).expect("it becomes even");
    assert!((20..55).contains(&even), "{even}");
    assert_eq!(had.last(), Some(&vec![4, 4, 4]), "and stays so");
    assert!(world.table.rows().len() == 12 && rows(&world).iter().all(|row| row.counter > 10));
}

/// Asks for the lease of a shard, and looks what becomes of it.
struct Asker {
    /// The row as it was when it was asked for.
    asked: Option<Row>,
}

const PUT: u64 = 0;
const ASK: u64 = 1;
const LOOK: u64 = 2;

impl Asker {
    fn ask(&mut self, machine: &mut Machine<'_>, row: &Row) {
        if machine.world.oracle.lock().unstored(SHARD) > 0 {
            machine.world.counts.fault("something to store");
        }
        let write = ask(row, "asker").expect("somebody holds it");
        let applied = machine.table().apply(&write).unwrap();
        let Applied::Done(asked) = applied else { panic!("{applied:?}") };
        self.asked = lease(&asked);
    }

    fn look(&self, machine: &mut Machine<'_>, row: &Row) {
        let asked = self.asked.as_ref().expect("it was asked for");
        let is_asked = row.checkpoint_owner.is_some() && row.owner == asked.owner;
        if is_asked && row.counter > asked.counter + 3 {
            machine.world.counts.fault("renewed although asked for");
        }
        if row.owner.as_deref() == Some("asker") && row.checkpoint_owner.is_none() {
            assert_eq!(machine.world.oracle.lock().unstored(SHARD), 0, "all is stored before");
            machine.world.counts.fault("handed over");
        }
    }
}

impl Worker for Asker {
    fn begin(&mut self, machine: &mut Machine<'_>) {
        machine.plan(F * 10, WorldTask::Own(PUT));
    }

    fn does(&mut self, machine: &mut Machine<'_>, task: WorldTask) {
        let row = machine.table().get(SHARD).unwrap().as_ref().and_then(lease).unwrap();
        let (after, next) = match task {
            WorldTask::Own(PUT) => {
                machine.world.put();
                (F / 4, ASK)
            }
            WorldTask::Own(ASK) => {
                self.ask(machine, &row);
                (F / 40, LOOK)
            }
            WorldTask::Own(LOOK) => {
                self.look(machine, &row);
                (F / 40, LOOK)
            }
            _ => panic!("a task of somebody else"),
        };
        machine.plan(after, WorldTask::Own(next));
    }
}

/// In how many of some worlds one who asks has seen a renewal, and the end of the handing over; and in how many it asked
/// while something was not stored yet.
fn seen(library: Library) -> [usize; 3] {
    let asker = Player::Other(|_| Box::new(Asker { asked: None }));
    let names = ["renewed although asked for", "handed over", "something to store"];
    let mut seen = [0; 3];
    for seed in 0..20 {
        let mut world = world(seed, vec![Player::Java(library), asker], 1);
        world.run_until(F * 16);
        let faults = &world.counts.faults;
        names.iter().zip(&mut seen).for_each(|(name, seen)| {
            *seen += usize::from(faults.contains_key(name));
        });
    }
    seen
}

#[test]
fn version_2_ignores_who_asks_and_version_3_hands_over_after_it_has_stored_all() {
    let [renewed, handed_over, unstored] = seen(Kcl2);
    assert_eq!((renewed, handed_over), (20, 0));
    assert!(unstored > 3, "{unstored}");
    let [renewed, handed_over, unstored] = seen(Kcl3);
    assert_eq!((renewed, handed_over), (0, 20));
    assert!(unstored > 3, "{unstored}");
}

#[test]
fn a_lease_of_a_dead_worker_is_taken_when_it_has_stood_still_for_the_failover_time() {
    let mut world = world(1, vec![Player::Java(Kcl2), Player::Java(Kcl3)], 1);
    world.run_until(F * 10);
    let before = rows(&world);
    let owner = before[0].owner.clone().unwrap();
    let dead = usize::from(owner.starts_with("worker-1"));
    world.crash(dead);
    let died = world.now();
    while rows(&world)[0].owner.as_ref() == Some(&owner) {
        world.run_until(world.now() + F / 40);
    }
    let time = world.now() - died;
    // Seen by one look, and found unmoved by another, two failover times apart.
    assert!(time > F && time < F * 5, "{time:?}");
}
