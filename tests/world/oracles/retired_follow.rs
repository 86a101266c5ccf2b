//! L2: a node that was master and is no more comes back as a replica, without a hand: there is no second
//! master. Source: DESIGN, section 4.

use vigia::engine::MasterName;

use super::super::World;
use super::super::node::Role;
use super::converged;

/// Whether the group has one master.
///
/// # Errors
/// Which node is a second one.
pub fn check(world: &World, group: &MasterName) -> Result<(), String> {
    let Ok(Some(master)) = converged::agreed(world, group) else { return Ok(()) };
    for pid in world.nodes_of(group) {
        let proc = &world.procs[pid.0];
        let runs = proc.alive && !proc.stopped;
        let second = runs && pid != master && world.node(pid).role == Role::Master;
        if second && world.is_known(pid) {
            return Err(format!(
                "L2: {group}: {} is a second master beside {}",
                proc.name,
                world.name(master)
            ));
        }
    }
    Ok(())
}
