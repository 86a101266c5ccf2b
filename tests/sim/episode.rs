//! One episode: faults under the oracles of safety, repair, and then liveness within the stated bound.

use vigia::engine::event::Kind as EventKind;
use vigia::engine::{Event, Span, Time};

use crate::draw::{self, Episode};
use crate::tally::Tally;
use crate::world::{Pid, World, episode};
use crate::{faults, operators};

/// L1 among Vigía: two seconds after the last repair, plus what replication itself may take: its own retry
/// once a second, and the handshakes.
const BOUND: Span = Span::ms(2_000 + 1_200);

/// L1 in a group with stock peers.
const BOUND_MIXED: Span = Span::secs(25);

/// How long a node that claims to be a master is left alone by a sentinel that does not know it as a retired
/// one: four publish periods (redis#1445).
const CLAIM: Span = Span::secs(8);

/// A job waits for a replica that refused as for one that does not react: for slave-reconf-timeout (10 s). And a
/// master whose CONFIG REWRITE failed comes back as a replica of the old one: 20 s and D later it is SDOWN, and
/// a failover gives the role to the other.
const REFUSED: Span = Span::secs(20 + 2 + 10);

/// What has not ended by itself after this never will (L3).
const LONGEST: Span = Span::secs(25);

/// What an episode left behind.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// What it held.
    pub(crate) tally: Tally,
    /// Lines and hash of its trace.
    pub(crate) fingerprint: (u64, u64),
}

/// Runs the episode of a seed, with all oracles but `without`.
///
/// # Panics
/// When an oracle is violated; the message begins with the rule.
pub(crate) fn run(seed: u64, trace: bool, without: Option<&str>) -> Outcome {
    let mut drawn = draw::episode(seed);
    drawn.world.trace = trace;
    let mut world = begin(&drawn, without);
    for _ in 0..drawn.faults {
        faults::strike(&mut world, &drawn.menu);
        let pause = world.rng.below(drawn.pause * 10 * world.options.down_after_ms);
        world.run_for(Span(pause));
    }
    repair(&mut world);
    let healed = world.now;
    converge(&mut world, healed, without);
    let took = world.now.since(healed);
    let promotions = world.promotions.len();
    world.run_for(Span::ms(500));
    if world.promotions.len() > promotions {
        // A stock candidate may promote although the master is back, and an order of an operator may have
        // waited for its turn.
        let again = world.now;
        converge(&mut world, again, without);
    }
    check(&world, without).unwrap_or_else(|why| world.fail(&format!("{why} (again)")));
    if world.oracles.wait() {
        world.run_for(LONGEST);
    }
    Outcome { tally: Tally::of(&world, drawn.faults, took.as_ms()), fingerprint: world.trace.fingerprint() }
}

fn begin(drawn: &Episode, without: Option<&str>) -> World {
    let mut world = if drawn.world.acquainted {
        World::group(drawn.world.clone())
    } else {
        World::settled(drawn.world.clone())
    };
    if let Some(rule) = without {
        world.oracles.without(rule);
    }
    let sentinels = world.sentinels();
    for (pid, ppm) in sentinels.into_iter().zip(&drawn.drift) {
        world.drift(pid, *ppm);
    }
    let warm = Span::ms(200 + world.options.down_after_ms / 4);
    world.run_for(warm);
    world
}

/// Ends every fault, and puts back what operators took away.
fn repair(world: &mut World) {
    for pid in world.nodes() {
        faults::mend(world, pid);
    }
    for pid in world.sentinels() {
        world.sentinel_mut(pid).crash_after = None;
    }
    world.calm();
    episode::repair(world);
    operators::monitor_again(world);
}

/// Runs until all is well.
fn converge(world: &mut World, healed: Time, without: Option<&str>) {
    let bound = bound(world);
    while let Err(why) = check(world, without) {
        // A connection that came out of TCP's own back-off only now counts as healed now.
        let since = healed.max(world.last_stall_end);
        if world.now.since(since) > bound {
            let late = world.now.since(healed).as_ms();
            world.fail(&format!("{why} ({late} ms after the last repair)"));
        }
        world.run_for(Span::ms(10));
    }
}

/// A RESET or REMOVE makes a sentinel forget which nodes are retired, and a leader which replicas it has left
/// behind: then stock's patient rules are what remains, 8 s for a claim and failover-timeout for a replica
/// of somebody else.
fn bound(world: &World) -> Span {
    let orders = ["+reset-master", "-monitor"].iter().map(|event| world.count_events(Time(0), event));
    let forgot = orders.sum::<usize>() > 0;
    let mixed = world.options.stock > 0;
    let usual = if mixed { BOUND_MIXED } else { BOUND };
    let tied = world.count_events(Time(0), "-failover-forced-without-majority") > 0;
    let refused = world.count_events(Time(0), "-reconf-command-failed") > 0;
    let usual = if refused { usual.max(REFUSED + BOUND) } else { usual };
    let usual = if tied || has_orphan(world) { usual.max(CLAIM + BOUND) } else { usual };
    let patient = CLAIM.max(Span::ms(world.options.failover_timeout_ms)) + BOUND;
    if forgot { usual.max(patient) } else { usual }
}

/// Whether a node was promoted by a leader that nobody heard of any more: it died, or it could not verify the
/// promotion in its term. If the old master lives, the node is one that claims to be a master.
fn has_orphan(world: &World) -> bool {
    world.promotions.iter().any(|(at, pid)| {
        let addr = &world.procs[pid.0].addr;
        let switched = format!("{} {}", addr.host, addr.port);
        let told = |event: &Event| event.kind == EventKind::SwitchMaster && event.detail.ends_with(&switched);
        let events = world.sentinels().into_iter().flat_map(|pid| world.sentinel(pid).events.iter());
        !events.filter(|(when, _)| when >= at).any(|(_, event)| told(event))
    })
}

fn check(world: &World, without: Option<&str>) -> Result<(), String> {
    match episode::converged(world) {
        Err(why) if without.is_none_or(|rule| !why.starts_with(rule)) => Err(why),
        Err(_) | Ok(()) => Ok(()),
    }
}

/// The node that is master of a group, as far as the world knows.
pub(crate) fn master_of(world: &World, group: usize) -> Pid {
    let nodes = world.nodes_of(&world.masters[group]);
    let is_master = |pid: &&Pid| world.node(**pid).role == crate::world::node::Role::Master;
    *nodes.iter().find(is_master).unwrap_or(&nodes[0])
}
