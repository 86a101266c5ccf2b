//! A random episode: faults from the seed, repair, and then everything must be well within the bound (L1).

use vigia::engine::{Command, MasterName, Span, Time};

use super::disk::DiskMode;
use super::node::Role;
use super::oracles::{converged, retired_follow};
use super::rng::Rng;
use super::{MASTER, Options, Pid, World};

/// What L1 allows among Vigía after the last repair.
const BOUND: Span = Span::secs(2);

/// What replication itself may take on top: its own retry once a second, and the handshakes.
const REPLICATION: Span = Span::ms(1_200);

/// Options of an episode, all from its seed.
pub fn options(seed: u64) -> Options {
    let mut rng = Rng::new(seed ^ 0x00ED_150D_E000);
    let sentinels = *rng.pick(&[3, 3, 3, 5]);
    let quorums: &[u32] = if sentinels == 3 { &[1, 2, 2] } else { &[2, 3, 3] };
    Options {
        sentinels,
        replicas: *rng.pick(&[1, 2, 2, 3]),
        quorum: *rng.pick(quorums),
        down_after_ms: *rng.pick(&[300, 500, 1_000, 1_000, 2_000]),
        failover_timeout_ms: *rng.pick(&[3_000, 10_000, 60_000]),
        parallel_syncs: *rng.pick(&[1, 1, 2]),
        latency_us: *rng.pick(&[(50, 200), (100, 1_000), (500, 5_000)]),
        disk_us: *rng.pick(&[(100, 500), (200, 3_000), (2_000, 20_000)]),
        ..Options::seed(seed)
    }
}

/// Runs the episode of a seed; the time that convergence took after the last repair.
pub fn run(seed: u64) -> Span {
    run_in(World::settled(options(seed)), bound())
}

/// The same in a settled world, which is to converge within `limit`.
pub fn run_in(mut world: World, limit: Span) -> Span {
    let faults = world.rng.within((1, 5));
    for _ in 0..faults {
        random_fault(&mut world);
        let pause = world.rng.below(2_500 * world.options.down_after_ms);
        world.run_for(Span(pause));
    }
    repair(&mut world);
    let healed = world.now;
    while let Err(why) = converged(&world) {
        // A connection that came out of TCP's own back-off only now counts as healed now.
        let since = healed.max(world.last_stall_end);
        if world.now.since(since) > limit {
            let late = world.now.since(healed).as_ms();
            world.fail(&format!("L1: not converged {late} ms after the last repair: {why}"));
        }
        world.run_for(Span::ms(10));
    }
    let took = world.now.since(healed);
    world.run_for(Span::secs(3));
    if let Err(why) = converged(&world) {
        world.fail(&format!("L1: converged after {} ms, but not for good: {why}", took.as_ms()));
    }
    took
}

/// L1's bound; `VIGIA_L1_MS` replaces it, to see how long something takes that takes too long.
fn bound() -> Span {
    let other = std::env::var("VIGIA_L1_MS").ok().and_then(|text| text.parse().ok());
    other.map_or(BOUND + REPLICATION, Span::ms)
}

fn random_fault(world: &mut World) {
    let all: Vec<Pid> = (0..world.procs.len()).map(Pid).collect();
    let sentinels = world.sentinels();
    let any = *world.rng.pick(&all);
    let sentinel = *world.rng.pick(&sentinels);
    let master = world.nodes().into_iter().find(|pid| world.node(*pid).role == Role::Master).unwrap_or(any);
    match world.rng.below(16) {
        0 | 1 => world.kill(master),
        2 => world.kill(any),
        3 => world.host_down(master),
        4 => world.stop(master),
        5 => world.stop(any),
        6 => world.cont(any),
        7 => world.start(any),
        8 | 9 => random_cut(world, &all),
        10 => world.heal(),
        11 => world.set_disk(sentinel, DiskMode::Fails),
        12 => world.set_disk(sentinel, DiskMode::Hangs),
        13 => world.reset_clients(master),
        14 => {
            world.command(sentinel, Command::Failover(MasterName::from(MASTER)));
        }
        _ => {
            world.kill(master);
            let pause = Span(world.rng.below(2_000 * world.options.down_after_ms));
            world.run_for(pause);
            world.start(master);
        }
    }
}

fn random_cut(world: &mut World, all: &[Pid]) {
    let left: Vec<Pid> = all.iter().copied().filter(|_| world.rng.one_in(3)).collect();
    let right: Vec<Pid> = world.others(&left);
    if world.rng.one_in(3) {
        world.cut_one_way(&left, &right);
    } else {
        world.cut(&left, &right);
    }
}

/// Ends every fault: paths, processes, disks.
pub fn repair(world: &mut World) {
    for pid in world.sentinels() {
        if world.sentinel(pid).disk.mode != DiskMode::Works {
            world.set_disk(pid, DiskMode::Works);
        }
    }
    world.heal();
    for at in 0..world.procs.len() {
        if !world.procs[at].alive {
            world.start(Pid(at));
        }
    }
}

/// L1 and L2 of every group.
///
/// # Errors
/// What is not so.
pub fn converged(world: &World) -> Result<(), String> {
    world.masters.iter().try_for_each(|group| {
        retired_follow::check(world, group)?;
        converged::check(world, group)
    })
}

/// Runs until the group has converged; when it had.
pub fn until_converged(world: &mut World, limit: Span) -> Time {
    let until = world.now + limit;
    while let Err(why) = converged(world) {
        if world.now >= until {
            world.fail(&format!("not converged within {} ms: {why}", limit.as_ms()));
        }
        world.run_for(Span::ms(1));
    }
    world.now
}
