//! Where data nodes are: an index of their addresses, and one entry for one process however it is called.
//!
//! Source: spec 07, section 3; DESIGN section 5.

use super::Engine;
use super::ids::Addr;
use super::info::Role;
use super::instance::{MasterId, Node, NodeId, PeerId};
use super::names::{User, is_name};

impl Engine {
    /// The instances of a name in the index of places.
    pub(super) fn index_user(&mut self, user: User) {
        if let User::Node(id) = user {
            self.index_node(id);
        }
    }

    pub(super) fn unindex_user(&mut self, user: User) {
        if let User::Node(id) = user {
            self.unindex_node(id);
        }
    }

    /// Finds a node by any of its places.
    pub(super) fn index_node(&mut self, id: NodeId) {
        let Some(node) = self.nodes.get(&id) else { return };
        for place in self.names.places(&node.addr) {
            self.by_place.insert((place, id));
        }
    }

    pub(super) fn unindex_node(&mut self, id: NodeId) {
        let Some(node) = self.nodes.get(&id) else { return };
        for place in self.names.places(&node.addr) {
            self.by_place.remove(&(place, id));
        }
    }

    /// The nodes at an address: those with this very host first.
    fn nodes_at(&self, addr: &Addr) -> impl Iterator<Item = (NodeId, &Node)> {
        let places = self.names.places(addr);
        places.into_iter().flat_map(|place| {
            let from = (place, NodeId(0));
            let at = from.0.clone();
            let found = self.by_place.range(from..).take_while(move |(place, _)| *place == at);
            found.filter_map(|(_, id)| Some((*id, self.nodes.get(id)?)))
        })
    }

    /// The first master in force at this address.
    pub(super) fn master_at(&self, addr: &Addr) -> Option<MasterId> {
        let mut nodes = self.nodes_at(addr);
        let found =
            nodes.find(|(id, node)| self.masters.get(&node.master).is_some_and(|master| master.node == *id));
        found.map(|(_, node)| node.master)
    }

    /// The replica of a master at this address.
    pub(super) fn replica_at(&self, master: MasterId, addr: &Addr) -> Option<NodeId> {
        let mut nodes = self.nodes_at(addr);
        nodes.find(|(_, node)| node.master == master && node.role == Role::Replica).map(|(id, _)| id)
    }

    /// An instance that was known by its IP announces a name: from now on it is known by that, wherever the
    /// name moves. Its entry keeps its name.
    pub(super) fn learn_name(&mut self, id: NodeId, addr: &Addr) {
        let by_ip = self.nodes.get(&id).is_some_and(|node| !is_name(&node.addr.host));
        if by_ip && is_name(&addr.host) && !self.names.get(&addr.host).is_none_or(|n| n.texts().is_empty()) {
            self.rename_node(id, addr);
        }
    }

    fn rename_node(&mut self, id: NodeId, addr: &Addr) {
        let Some(old) = self.nodes.get(&id).map(|node| (node.master, node.addr.clone())) else { return };
        if old.1 == *addr {
            return;
        }
        self.unindex_node(id);
        self.names.release(&old.1.host, User::Node(id));
        let now = self.now;
        self.names.adopt(now, &addr.host, User::Node(id));
        if let Some(node) = self.nodes.get_mut(&id) {
            node.addr = addr.clone();
        }
        self.index_node(id);
        if let Some(master) = self.masters.get_mut(&old.0)
            && master.replicas.remove(&*old.1.to_string()).is_some()
        {
            master.replicas.insert(addr.to_string().into(), id);
        }
        self.unsaved();
    }

    /// The same for another sentinel.
    pub(super) fn learn_peer_name(&mut self, id: PeerId, addr: &Addr) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        if is_name(&peer.addr.host) || !is_name(&addr.host) {
            return;
        }
        peer.addr = addr.clone();
        self.names.adopt(self.now, &addr.host, User::Peer(id));
        self.unsaved();
    }

    /// A replica that is known by its IP and by a name that stands for it now is one replica: the entry that
    /// was heard of last stays, under the name.
    pub(super) fn unite(&mut self, id: NodeId) {
        let Some(node) = self.nodes.get(&id).filter(|node| node.role == Role::Replica) else { return };
        let (master, addr) = (node.master, node.addr.clone());
        let twin = self.nodes_at(&addr).find(|(twin, node)| {
            *twin != id && node.master == master && node.role == Role::Replica && !is_name(&node.addr.host)
        });
        let Some(twin) = twin.map(|(twin, _)| twin) else { return };
        let heard = |id: &NodeId| self.nodes.get(id).and_then(|node| node.info_at);
        let promoted = self.masters.get(&master).and_then(|master| master.failover.promoted());
        let twin_stays = promoted != Some(id) && (promoted == Some(twin) || heard(&twin) > heard(&id));
        let (stays, goes) = if twin_stays { (twin, id) } else { (id, twin) };
        self.forget_replica(master, goes);
        self.rename_node(stays, &addr);
        self.publish_view(master);
    }

    /// A replica known by a name that turns out to be the master itself, which is known by its IP, is none: the
    /// master has the name from now on. Says whether it was.
    pub(super) fn unite_with_master(&mut self, id: NodeId) -> bool {
        let Some(node) = self.nodes.get(&id).filter(|node| node.role == Role::Replica) else { return false };
        let (master, addr) = (node.master, node.addr.clone());
        let Some(entry) = self.masters.get(&master) else { return false };
        let Some(in_force) = self.nodes.get(&entry.node) else { return false };
        let same =
            node.run_id.is_some() && node.run_id == in_force.run_id && self.same(&in_force.addr, &addr);
        if !same || is_name(&in_force.addr.host) || entry.failover.promoted() == Some(id) {
            return false;
        }
        let stays = entry.node;
        self.forget_replica(master, id);
        self.rename_node(stays, &addr);
        self.publish_view(master);
        true
    }
}
