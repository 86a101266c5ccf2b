//! What operators do to running groups, at one sentinel or at several at once.

use std::collections::BTreeSet;
use std::sync::Arc;

use vigia::engine::{Command, MasterName, Span, Time};

use crate::world::{Pid, World};

/// Some of the sentinels that run; at least one, if there is one.
fn some(world: &mut World) -> Vec<Pid> {
    let live = world.live_sentinels();
    if live.is_empty() {
        return live;
    }
    let first = *world.rng.pick(&live);
    if world.rng.one_in(2) {
        return vec![first];
    }
    live.into_iter().filter(|pid| *pid == first || world.rng.one_in(2)).collect()
}

/// SENTINEL FAILOVER.
pub(crate) fn failover(world: &mut World, group: usize) {
    let name = world.masters[group].clone();
    let all = world.options.sentinels;
    for pid in some(world) {
        // One that was told of the master a moment ago knows nobody yet: it would take itself for the whole.
        let lonely = world.view_of(pid, &name).is_some_and(|view| view.sentinels == 1 && all > 1);
        if !lonely {
            world.command(pid, Command::Failover(name.clone()));
        }
    }
}

/// SENTINEL RESET *. While something is cut off, one sentinel and once only: sentinels that forget each other
/// on both sides of a cut, and watch different nodes, have no place left where they could meet again.
pub(crate) fn reset(world: &mut World) {
    let mut chosen = some(world);
    if !world.is_whole() {
        let again = world.count_events(Time(0), "+reset-master") > 0;
        chosen.truncate(usize::from(!again));
    }
    for pid in chosen {
        world.command(pid, Command::Reset("*".into()));
    }
}

/// SENTINEL SET of an option that changes how fast or how many.
pub(crate) fn set(world: &mut World, group: usize) {
    let (option, value) = match world.rng.below(3) {
        0 => ("down-after-milliseconds", *world.rng.pick(&[200, 700, 1_500])),
        1 => ("parallel-syncs", world.rng.within((1, 3))),
        _ => ("failover-timeout", *world.rng.pick(&[2_000, 20_000])),
    };
    for pid in some(world) {
        let name = world.masters[group].clone();
        world.command(pid, set_one(name, option, value));
    }
}

fn set_one(name: MasterName, option: &str, value: u64) -> Command {
    let args = vec![Arc::from(option), Arc::from(value.to_string())];
    Command::Set { name, args, not_executable: BTreeSet::new() }
}

/// SENTINEL REMOVE at some; half of them get the master back soon, the others after the repair.
pub(crate) fn remove(world: &mut World, group: usize) {
    let name = world.masters[group].clone();
    let mut chosen = some(world);
    if !world.is_whole() {
        // What only one side of a cut knows, an operator does not take from all of it.
        chosen.truncate(1);
    }
    let keeps = |pid: &Pid| !chosen.contains(pid) && world.view_of(*pid, &name).is_some();
    if !world.live_sentinels().iter().any(keeps) {
        chosen.pop(); // Somebody must be left who knows the group.
    }
    for pid in &chosen {
        world.command(*pid, Command::Remove(name.clone()));
    }
    world.run_for(Span::ms(50));
    if world.rng.one_in(2) {
        for pid in chosen {
            monitor(world, pid, &name);
        }
    }
}

/// Every sentinel that lost a master gets it back.
pub(crate) fn monitor_again(world: &mut World) {
    for pid in world.live_sentinels() {
        for name in world.masters.clone() {
            monitor(world, pid, &name);
        }
    }
}

/// SENTINEL MONITOR, and the options that it had, where the master is not monitored.
fn monitor(world: &mut World, pid: Pid, name: &MasterName) {
    let proc = &world.procs[pid.0];
    if !proc.alive || proc.stopped || world.view_of(pid, name).is_some() {
        return;
    }
    let others = world.live_sentinels();
    let shown = others.iter().find_map(|other| world.view_of(*other, name).map(|view| view.addr.clone()));
    let nodes = world.nodes_of(name);
    let addr = shown.unwrap_or_else(|| world.procs[nodes[0].0].addr.clone());
    let quorum = i64::from(world.options.quorum);
    let monitor =
        Command::Monitor { name: name.clone(), host: addr.host, port: i64::from(addr.port), quorum };
    world.command(pid, monitor);
    let (d, timeout) = (world.options.down_after_ms, world.options.failover_timeout_ms);
    world.command(pid, set_one(name.clone(), "down-after-milliseconds", d));
    world.command(pid, set_one(name.clone(), "failover-timeout", timeout));
}
