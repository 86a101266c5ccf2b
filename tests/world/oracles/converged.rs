//! L1: when faults have stopped, all sentinels of a group agree on one master under one epoch, it is a master,
//! sees no more failovers, and the replicas follow it. Source: DESIGN, section 4.

use vigia::engine::{MasterName, Status};

use super::super::node::{ReplLink, Role};
use super::super::{Pid, World};

/// Whether the group has converged.
///
/// # Errors
/// What is not so.
pub fn check(world: &World, group: &MasterName) -> Result<(), String> {
    let master = agreed(world, group).map_err(|why| format!("L1: {group}: {why}"))?;
    match master {
        Some(master) => replicas_follow(world, group, master).map_err(|why| format!("L1: {group}: {why}")),
        None => Ok(()),
    }
}

/// The master that every running sentinel shows; none if no sentinel runs.
///
/// # Errors
/// Who shows something else.
pub fn agreed(world: &World, group: &MasterName) -> Result<Option<Pid>, String> {
    let mut agreed: Option<(Pid, u64)> = None;
    for pid in world.live_sentinels() {
        let name = world.name(pid);
        let Some(view) = world.view_of(pid, group) else { return Err(format!("{name} shows no master")) };
        if view.addr != view.configured {
            return Err(format!("{name} has not switched to {} yet", view.addr));
        }
        if view.status != Status::Ok {
            return Err(format!("{name} sees the master {}", view.status.as_str()));
        }
        let Some(at) = world.at(&view.addr) else { return Err(format!("{name} shows nobody's address")) };
        let mine = (at, view.config_epoch.0);
        match &agreed {
            None => agreed = Some(mine),
            Some(first) if *first == mine => {}
            Some((first, epoch)) => {
                let (mine, first) = (world.name(mine.0), world.name(*first));
                return Err(format!("{name} has {mine} in {}, others {first} in {epoch}", view.config_epoch));
            }
        }
    }
    Ok(agreed.map(|(master, _)| master))
}

fn replicas_follow(world: &World, group: &MasterName, master: Pid) -> Result<(), String> {
    for pid in world.nodes_of(group) {
        let (name, proc) = (world.name(pid), &world.procs[pid.0]);
        if !proc.alive || proc.stopped {
            continue;
        }
        let is_master = pid == master;
        match &world.node(pid).role {
            Role::Replica(_) if is_master => return Err(format!("{name} should be master")),
            Role::Replica(of) if world.at(of) != Some(master) && world.is_known(pid) => {
                return Err(format!("{name} follows {of}"));
            }
            Role::Replica(of)
                if world.at(of) == Some(master) && !matches!(world.node(pid).link, ReplLink::Up { .. }) =>
            {
                return Err(format!("{name} is not linked to its master"));
            }
            // A second master is the business of L2.
            Role::Master | Role::Replica(_) => {}
        }
    }
    Ok(())
}
