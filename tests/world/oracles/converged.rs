//! L1: when faults have stopped, all sentinels of a group agree on one master under one epoch, it is a master,
//! sees no more failovers, and the replicas follow it. Source: DESIGN, section 4.

use vigia::engine::{Addr, MasterName, Status};

use super::super::World;
use super::super::node::{ReplLink, Role};

/// Whether the group has converged.
///
/// # Errors
/// What is not so.
pub fn check(world: &World, group: &MasterName) -> Result<(), String> {
    let addr = agreed(world, group).map_err(|why| format!("L1: {group}: {why}"))?;
    match addr {
        Some(addr) => replicas_follow(world, group, &addr).map_err(|why| format!("L1: {group}: {why}")),
        None => Ok(()),
    }
}

/// The master that every running sentinel shows; none if no sentinel runs.
///
/// # Errors
/// Who shows something else.
pub fn agreed(world: &World, group: &MasterName) -> Result<Option<Addr>, String> {
    let mut agreed: Option<(Addr, u64)> = None;
    for pid in world.live_sentinels() {
        let name = world.name(pid);
        let Some(view) = world.view_of(pid, group) else { return Err(format!("{name} shows no master")) };
        if view.addr != view.configured {
            return Err(format!("{name} has not switched to {} yet", view.addr));
        }
        if view.status != Status::Ok {
            return Err(format!("{name} sees the master {}", view.status.as_str()));
        }
        let mine = (view.addr.clone(), view.config_epoch.0);
        match &agreed {
            None => agreed = Some(mine),
            Some(first) if *first == mine => {}
            Some(first) => return Err(format!("{name} has {mine:?}, others {first:?}")),
        }
    }
    Ok(agreed.map(|(addr, _)| addr))
}

fn replicas_follow(world: &World, group: &MasterName, addr: &Addr) -> Result<(), String> {
    for pid in world.nodes_of(group) {
        let (name, proc) = (world.name(pid), &world.procs[pid.0]);
        if !proc.alive || proc.stopped {
            continue;
        }
        let is_master = proc.addr == *addr;
        match &world.node(pid).role {
            Role::Replica(_) if is_master => return Err(format!("{name} should be master")),
            Role::Replica(of) if of != addr && world.is_known(pid) => {
                return Err(format!("{name} follows {of}"));
            }
            Role::Replica(of) if of == addr && !matches!(world.node(pid).link, ReplLink::Up { .. }) => {
                return Err(format!("{name} is not linked to its master"));
            }
            // A second master is the business of L2.
            Role::Master | Role::Replica(_) => {}
        }
    }
    Ok(())
}
