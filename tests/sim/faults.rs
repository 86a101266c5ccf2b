//! What strikes, and whom: drawn from the seed.

use vigia::engine::Span;

use crate::episode::master_of;
use crate::operators;
use crate::world::disk::DiskMode;
use crate::world::{Pid, World};

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident,)*) => {
        /// A kind of fault.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub(crate) enum Kind { $($(#[$doc])* $kind,)* }

        impl Kind {
            /// Every kind.
            pub(crate) const ALL: &'static [Self] = &[$(Self::$kind,)*];
        }
    };
}

kinds! {
    /// A master is killed.
    KillMaster,
    /// All masters are killed at once.
    KillAllMasters,
    /// Any process is killed.
    KillAny,
    /// A sentinel is killed.
    KillSentinel,
    /// A sentinel crashes between two of its next effects.
    CrashBetween,
    /// The host of a master is off.
    HostDown,
    /// Any process hangs.
    Hang,
    /// A master hangs.
    HangMaster,
    /// A sentinel pauses for a while.
    Pause,
    /// A dead process starts again.
    Start,
    /// A master is restarted.
    RestartMaster,
    /// A restarted master loads its data for a while.
    RestartLoading,
    /// A replica is restarted and comes back without data.
    RestartReplica,
    /// The network falls into two parts.
    Cut,
    /// One side of the network does not reach the other.
    CutOneWay,
    /// Some pairs of processes do not reach each other.
    CutPairs,
    /// Some ways are clogged, then deliver all at once.
    Clog,
    /// Some ways are slow.
    SlowWays,
    /// Segments are lost, published messages repeated.
    FoulWeather,
    /// All cuts are mended.
    Heal,
    /// The disk of a sentinel fails.
    DiskFails,
    /// The disk of a sentinel hangs.
    DiskHangs,
    /// The disk of a sentinel works again.
    DiskWorks,
    /// The clients of a master are disconnected.
    ResetClients,
    /// A replica gets another priority.
    Priority,
    /// CONFIG REWRITE of a group's nodes fails, or takes its time.
    BadRewrite,
    /// An ACL of a node refuses what sentinels send.
    Refusals,
    /// The clock of a sentinel jumps.
    Jump,
    /// SENTINEL FAILOVER at one sentinel, or at several at once.
    OrderFailover,
    /// SENTINEL RESET.
    OrderReset,
    /// SENTINEL SET.
    OrderSet,
    /// SENTINEL REMOVE, and later MONITOR.
    OrderRemove,
}

/// One fault of the menu strikes.
pub(crate) fn strike(world: &mut World, menu: &[Kind]) {
    let kind = *world.rng.pick(menu);
    let all: Vec<Pid> = (0..world.procs.len()).map(Pid).collect();
    let any = *world.rng.pick(&all);
    let group = world.rng.below(world.masters.len() as u64) as usize;
    let master = master_of(world, group);
    match kind {
        Kind::KillMaster => world.kill(master),
        Kind::KillAllMasters => {
            for group in 0..world.masters.len() {
                world.kill(master_of(world, group));
            }
        }
        Kind::KillAny => world.kill(any),
        Kind::HostDown => world.host_down(master),
        Kind::Hang => world.stop(any),
        Kind::HangMaster => world.stop(master),
        Kind::Start => start_somebody(world, &all),
        Kind::RestartMaster | Kind::RestartLoading => restart(world, master, kind == Kind::RestartLoading),
        Kind::RestartReplica | Kind::Priority | Kind::BadRewrite | Kind::Refusals => {
            bother_nodes(world, kind, group, master);
        }
        Kind::Cut
        | Kind::CutOneWay
        | Kind::CutPairs
        | Kind::Clog
        | Kind::SlowWays
        | Kind::FoulWeather
        | Kind::Heal => {
            spoil_network(world, kind, &all);
        }
        Kind::ResetClients => world.reset_clients(master),
        Kind::KillSentinel
        | Kind::CrashBetween
        | Kind::Pause
        | Kind::DiskFails
        | Kind::DiskHangs
        | Kind::DiskWorks
        | Kind::Jump => harm_sentinel(world, kind),
        Kind::OrderFailover => operators::failover(world, group),
        Kind::OrderReset => operators::reset(world),
        Kind::OrderSet => operators::set(world, group),
        Kind::OrderRemove => operators::remove(world, group),
    }
}

fn start_somebody(world: &mut World, all: &[Pid]) {
    let dead: Vec<Pid> = all.iter().copied().filter(|pid| !world.procs[pid.0].alive).collect();
    if !dead.is_empty() {
        let pid = *world.rng.pick(&dead);
        world.start(pid);
    }
}

fn restart(world: &mut World, pid: Pid, loads: bool) {
    world.kill(pid);
    let (pause, d) = (world.rng.below(2_000), world.options.down_after_ms);
    world.run_for(Span(pause * d));
    let loading = if loads { Span(world.rng.below(3_000) * d) } else { Span::ZERO };
    world.start_loading(pid, loading);
}

fn harm_sentinel(world: &mut World, kind: Kind) {
    let sentinels = world.sentinels();
    let pid = *world.rng.pick(&sentinels);
    match kind {
        Kind::KillSentinel => world.kill(pid),
        Kind::CrashBetween => {
            let effects = world.rng.below(60) as u32;
            world.crash_after(pid, effects);
        }
        Kind::Pause => {
            let span = Span::ms(world.rng.below(3_000));
            world.pause(pid, span);
        }
        Kind::DiskFails => world.set_disk(pid, DiskMode::Fails),
        Kind::DiskHangs => world.set_disk(pid, DiskMode::Hangs),
        Kind::Jump => {
            let by = Span::ms(world.rng.below(5_000));
            world.jump(pid, by);
        }
        _ => world.set_disk(pid, DiskMode::Works),
    }
}

fn bother_nodes(world: &mut World, kind: Kind, group: usize, master: Pid) {
    let nodes = world.nodes_of(&world.masters[group]);
    let one = *world.rng.pick(&nodes);
    let (odds, slow) = (world.rng.below(4), Span::ms(world.rng.below(400)));
    match kind {
        Kind::RestartReplica if one != master => restart(world, one, false),
        Kind::RestartReplica => {}
        Kind::Priority => {
            world.fault(&format!("priority of {} is {}", world.name(one), odds * 50));
            world.node_mut(one).priority = odds as u32 * 50;
        }
        Kind::BadRewrite => {
            world.fault(&format!("CONFIG REWRITE of {} misbehaves", world.name(one)));
            let node = world.node_mut(one);
            node.rewrite_fails = odds < 2;
            node.rewrite_takes = slow;
        }
        _ => {
            let verb = ["config|rewrite", "slaveof", "client|kill", "multi"][odds as usize];
            world.fault(&format!("{} refuses {verb}", world.name(one)));
            let text = "NOPERM User default has no permissions to run this command";
            world.node_mut(one).refused.insert(verb, text);
        }
    }
}

/// A data node does as it is told again.
pub(crate) fn mend(world: &mut World, pid: Pid) {
    let node = world.node_mut(pid);
    node.loading = false;
    node.refused.clear();
    node.rewrite_fails = false;
    node.rewrite_takes = Span::ZERO;
    node.priority = node.priority.max(1);
}

fn spoil_network(world: &mut World, kind: Kind, all: &[Pid]) {
    let left: Vec<Pid> = all.iter().copied().filter(|_| world.rng.one_in(3)).collect();
    let right = world.others(&left);
    match kind {
        Kind::Cut => world.cut(&left, &right),
        Kind::CutOneWay => world.cut_one_way(&left, &right),
        Kind::FoulWeather => {
            let (lost, repeated) = (world.rng.below(50), world.rng.below(300));
            world.foul_weather(lost, repeated);
        }
        Kind::CutPairs => {
            for _ in 0..world.rng.within((1, 6)) {
                let (one, other) = (*world.rng.pick(all), *world.rng.pick(all));
                world.cut(&[one], &[other]);
            }
        }
        Kind::Clog | Kind::SlowWays => {
            for _ in 0..world.rng.within((1, 8)) {
                let (from, to) = (*world.rng.pick(all), *world.rng.pick(all));
                let span = Span::ms(world.rng.below(1_500));
                if kind == Kind::Clog {
                    world.clog(from, to, span);
                } else {
                    world.slow_way(from, to, Span(span.0 / 20));
                }
            }
        }
        _ => world.heal(),
    }
}
