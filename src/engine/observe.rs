//! What INFO of a data node changes. Source: spec 04, section 5.

use std::sync::Arc;

use super::Engine;
use super::event::Kind;
use super::failover::Failover;
use super::ids::Addr;
use super::info::{self, Info, Role};
use super::instance::{MasterId, Node, NodeId};
use super::names::Parked;
use super::time::Time;

/// How many replication ids of a group are remembered.
const LINEAGE: usize = 8;

/// Bytes of INFO that are kept for `INFO-CACHE`; a real one has 5 to 20 thousand.
const LONGEST_INFO: usize = 256 << 10;

impl Engine {
    /// Takes in an INFO text.
    pub(super) fn on_info(&mut self, now: Time, id: NodeId, text: &str) {
        let info = info::parse(text);
        if let Some(run_id) = info.run_id {
            self.note_run_id(now, id, run_id);
        }
        let Some(node) = self.nodes.get_mut(&id) else { return };
        let (master, role) = (node.master, node.role);
        node.info_at = Some(now);
        node.info_text = (text.len() <= LONGEST_INFO).then(|| Arc::from(text));
        note_fields(node, now, &info);
        self.note_master(now, id, &info);
        let Some(node) = self.nodes.get_mut(&id) else { return };
        let changed = info.role.filter(|reported| *reported != node.reported);
        if let Some(reported) = changed {
            node.reported = reported;
            node.reported_since = now;
        }
        if role == Role::Master {
            self.discover(now, id, master, &info.replicas);
        }
        self.note_lineage(master, id, &info);
        if let Some(reported) = changed {
            let kind = if reported == role { Kind::RoleChange } else { Kind::RoleMismatch };
            self.emit_node(id, kind, format!(" new reported role is {}", reported.as_str()));
            if (role, reported) == (Role::Replica, Role::Master) {
                self.claim_appeared(now, master, id);
            }
        }
        self.review_down(now, id);
        if !self.unite_with_master(id) {
            self.act_on_info(now, master, id);
        }
    }

    pub(super) fn act_on_info(&mut self, now: Time, master: MasterId, id: NodeId) {
        let Some(node) = self.nodes.get(&id) else { return };
        match (node.role, node.reported) {
            (Role::Replica, Role::Master) => {
                if !self.promotion_seen(now, master, id) {
                    self.correct_claim(now, master, id);
                }
            }
            (Role::Replica, Role::Replica) => {
                self.reconf_progress(now, master, id);
                self.correct_address(now, master, id);
            }
            (Role::Master, Role::Master) => {
                self.reconf_changed(now, master);
                self.correct_replicas(now, master);
            }
            (Role::Master, Role::Replica) => {}
        }
        let selecting =
            self.masters.get(&master).is_some_and(|master| matches!(master.failover, Failover::Select(_)));
        if selecting {
            self.step_failover(now, master);
        }
    }

    /// The replica that is being promoted says that it is a master.
    fn promotion_seen(&mut self, now: Time, master: MasterId, id: NodeId) -> bool {
        let Some(failover) = self.masters.get(&master).map(|m| &m.failover) else { return false };
        if failover.promoted() != Some(id) {
            return false;
        }
        if matches!(failover, Failover::WaitPromotion { .. }) {
            self.promotion_verified(now, master);
        }
        true
    }

    /// Replicas are known from the INFO of masters only. One with a new name is added once that was looked up,
    /// in vain or not.
    pub(super) fn discover(&mut self, now: Time, node: NodeId, id: MasterId, replicas: &[Addr]) {
        let mut found = false;
        for addr in replicas {
            if !self.acceptable_host(&addr.host) {
                continue;
            }
            if self.mention(now, &addr.host) {
                self.park(now, &addr.host, None, Parked::Reread(node));
                continue;
            }
            if let Some(known) = self.replica_at(id, addr) {
                self.learn_name(known, addr);
                continue;
            }
            let Some(node) = self.add_replica(now, id, addr.clone()) else { continue };
            self.changed(Some(id));
            self.publish_view(id);
            self.emit_node(node, Kind::Slave, "");
            found = true;
        }
        if found {
            self.eligibility_changed(now, id);
        }
    }

    /// Whom a node says that it follows. When that changed tells how long it may go on.
    fn note_master(&mut self, now: Time, id: NodeId, info: &Info<'_>) {
        let Some((host, port)) = info.master else { return };
        if self.mention(now, host) {
            self.park(now, host, None, Parked::Reread(id));
        }
        let known = self.nodes.get(&id).and_then(|node| node.replica.master.as_ref());
        if known.is_some_and(|known| &*known.host == host && known.port == port) {
            return;
        }
        let reported = Addr::new(host, port);
        let same = known.is_some_and(|known| self.same(known, &reported));
        let Some(node) = self.nodes.get_mut(&id) else { return };
        node.replica.master = Some(reported);
        if !same {
            node.replica.master_since = now;
        }
    }

    /// Whether INFO of a node says that it is a replica of `addr`.
    pub(super) fn points_at(&self, node: &Node, addr: &Addr) -> bool {
        node.reported == Role::Replica && node.replica.master.as_ref().is_some_and(|m| self.same(m, addr))
    }

    /// Whether it says that it is a replica of the master in force.
    pub(super) fn is_in_line(&self, node: &Node) -> bool {
        let master = self.masters.get(&node.master).and_then(|master| self.nodes.get(&master.node));
        master.is_some_and(|master| self.points_at(node, &master.addr))
    }

    /// Remembers whose history of writes this group has; a replica of another group never matches.
    /// A master begins a new history when its first replica links up, and may die before it is read
    /// again: then its replicas know.
    fn note_lineage(&mut self, id: MasterId, node: NodeId, info: &Info<'_>) {
        let Some(said_by) = self.nodes.get(&node) else { return };
        let history = match (said_by.role, info.role) {
            (Role::Master, Some(Role::Master)) => [info.replid2, info.replid],
            (Role::Replica, Some(Role::Replica)) if info.link_up && self.is_in_line(said_by) => {
                [None, info.replid]
            }
            _ => return,
        };
        let Some(master) = self.masters.get_mut(&id) else { return };
        for replid in history.into_iter().flatten() {
            if !master.lineage.iter().any(|known| &**known == replid) {
                master.lineage.push_back(Arc::from(replid));
            }
        }
        while master.lineage.len() > LINEAGE {
            master.lineage.pop_front();
        }
    }
}

fn note_fields(node: &mut Node, now: Time, info: &Info<'_>) {
    let replica = &mut node.replica;
    replica.link_down_ms = info.link_down_ms;
    if info.role == Some(Role::Replica) {
        replica.link_up = info.link_up;
        replica.offset = info.offset.unwrap_or(replica.offset);
        replica.announced = info.announced.unwrap_or(replica.announced);
        if node.reported != Role::Replica {
            replica.master_since = now;
        }
    }
    replica.priority = info.priority.unwrap_or(replica.priority);
    remember(&mut node.replid, info.replid);
    remember(&mut node.replid2, info.replid2);
}

fn remember(known: &mut Option<Arc<str>>, seen: Option<&str>) {
    if known.as_deref() != seen {
        *known = seen.map(Arc::from);
    }
}
