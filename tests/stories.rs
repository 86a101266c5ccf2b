//! Stories of whole groups on virtual time, through the public contract of the engine.
//!
//! Every story runs under the safety oracles of `tests/world/oracles`. `VIGIA_EPISODES` sets the number of
//! random episodes, `VIGIA_EPISODE_FROM` their first seed.

mod world;

#[path = "stories/agreement.rs"]
mod agreement;
#[path = "stories/beside_stock.rs"]
mod beside_stock;
#[path = "stories/catalogue.rs"]
mod catalogue;
#[path = "stories/corners.rs"]
mod corners;
#[path = "stories/detection.rs"]
mod detection;
#[path = "stories/disks.rs"]
mod disks;
#[path = "stories/entries.rs"]
mod entries;
#[path = "stories/episodes.rs"]
mod episodes;
#[path = "stories/failover.rs"]
mod failover;
#[path = "stories/forget.rs"]
mod forget;
#[path = "stories/names.rs"]
mod names;
#[path = "stories/operators.rs"]
mod operators;
#[path = "stories/refusals.rs"]
mod refusals;
#[path = "stories/releases.rs"]
mod releases;
#[path = "stories/scripts.rs"]
mod scripts;
#[path = "stories/tilt.rs"]
mod tilt;
#[path = "stories/tuning.rs"]
mod tuning;

use vigia::engine::{MasterName, RunId, Span, Status, Time};
use world::{MASTER, Options, Pid, World};

fn name() -> MasterName {
    MasterName::from(MASTER)
}

/// A settled group of five with a failover-timeout of 10 s.
fn five(seed: u64) -> World {
    World::settled(Options { sentinels: 5, quorum: 3, ..Options::seed(seed) })
}

/// The id of the sentinel called `name`.
fn id_of(world: &World, name: &str) -> RunId {
    world.sentinel(world.pid(name)).id.clone()
}

fn three(seed: u64) -> World {
    World::settled(Options::seed(seed))
}

/// Waits until every living sentinel has switched to another master than `old`.
fn switched(world: &mut World, old: Pid, limit: Span) -> Time {
    world.run_until("every sentinel switched", limit, |world| {
        let is_new = |addr| world.at(addr).is_some_and(|pid| pid != old);
        world.live_sentinels().iter().all(|pid| {
            world.view(*pid, MASTER).is_some_and(|view| is_new(&view.configured) && is_new(&view.addr))
        })
    })
}

/// How long after `from` the first SDOWN of the master came, if any.
fn first_sdown(world: &World, from: Time) -> Option<Span> {
    let times = world.sentinels().into_iter().filter_map(|pid| world.event_at(pid, from, "+sdown master"));
    times.min().map(|at| at.since(from))
}

fn assert_no_sdown(world: &World, from: Time, why: &str) {
    if let Some(after) = first_sdown(world, from) {
        world.fail(&format!("false +sdown {} us after it began: {why}", after.0));
    }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let trace = |seed| {
        let mut world = World::group(Options::seed(seed));
        world.run_for(Span::secs(5));
        world.kill(world.pid("m"));
        world.run_for(Span::secs(5));
        world.trace.fingerprint()
    };
    assert_eq!(trace(42), trace(42));
    assert_ne!(trace(42), trace(43));
}

#[test]
fn the_modelled_stock_sentinels_fail_over_among_themselves() {
    let options = Options { sentinels: 0, stock: 3, stock_candidates: true, ..Options::seed(1) };
    let mut world = World::group(options);
    world.run_for(Span::secs(6));
    world.kill(world.pid("m"));
    world.run_until("a replica is promoted", Span::secs(30), |world| world.promotions.len() == 1);
    world.run_until("all switched", Span::secs(5), |world| {
        world.stocks().iter().all(|pid| world.stock(*pid).master != world.procs[0].addr)
    });
}

#[test]
fn a_group_gets_to_know_itself() {
    for seed in 0..20 {
        let world = three(seed);
        for pid in world.sentinels() {
            let view = world.view(pid, MASTER).expect("a view");
            assert_eq!((view.status, view.sentinels, view.replicas), (Status::Ok, 3, 2), "seed {seed}");
        }
        assert_eq!(world.count_events(Time(0), "+sentinel"), 6, "each of three found two others");
        assert_eq!(world.count_events(Time(0), "+slave"), 6, "each of three found two replicas");
        assert_no_sdown(&world, Time(0), "nothing happened");
    }
}
