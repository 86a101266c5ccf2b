//! The only code that adds, removes and re-addresses masters, replicas and sentinels.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::durable::{MasterState, State};
use super::event::{Event, Kind, MasterRef, Subject};
use super::failover::{Candidacy, Failover};
use super::ids::{Addr, Epoch, MasterName, RunId, Seq};
use super::info::Role;
use super::instance::{Link, Master, MasterId, Node, NodeId, Peer, PeerId, Phase, Reconf, Sentinel};
use super::names::User;
use super::output::Output;
use super::persist::Held;
use super::schedule::Wake;
use super::settings::MasterSettings;
use super::time::Time;
use super::view::{MasterView, Status};
use super::{Engine, LinkOwner};

/// More replicas of one master than this are garbage of a node that says it is a master.
const MOST_REPLICAS: usize = 10_000;
/// More sentinels of one master than this are forged.
pub(super) const MOST_SENTINELS: usize = 1_000;

impl Engine {
    /// Starts to watch a master with everything that is known of it.
    pub(super) fn add_master(&mut self, now: Time, state: MasterState) -> MasterId {
        let id = MasterId(self.next_id());
        let node = self.add_node(now, id, Role::Master, state.addr);
        let known: BTreeSet<RunId> = state.sentinels.iter().map(|(run_id, _)| run_id.clone()).collect();
        let voters: BTreeSet<RunId> = known.iter().cloned().chain(state.voters).collect();
        let heard_since_reset = (voters != known).then(|| known.clone());
        let master = Master {
            name: state.name.clone(),
            settings: state.settings,
            node,
            replicas: BTreeMap::new(),
            sentinels: BTreeMap::new(),
            config_epoch: state.config_epoch,
            leader_epoch: state.leader_epoch,
            leader: state.leader.clone(),
            durable_vote: (state.leader, state.leader_epoch),
            voters,
            heard_since_reset,
            reset_at: now,
            voter_hint: 0,
            alone_since: Time::default(),
            odown: None,
            ask_round: 0,
            failover: Failover::None,
            candidacy: Candidacy::default(),
            job: None,
            led_by: None,
            calm_asked: None,
            seq: Seq(0),
            config_seq: Seq(0),
            lineage: VecDeque::new(),
            view: None,
        };
        self.masters.insert(id, master);
        self.note_renames(id);
        self.by_name.insert(state.name, id);
        for addr in state.replicas {
            self.add_replica(now, id, addr);
        }
        for (run_id, addr) in state.sentinels {
            self.add_sentinel(now, id, run_id, addr);
        }
        self.review_down(now, node);
        id
    }

    /// Keeps the list of masters with renamed commands.
    pub(super) fn note_renames(&mut self, id: MasterId) {
        if self.masters.get(&id).is_some_and(|master| !master.settings.renames.is_empty()) {
            self.renaming.insert(id);
        } else {
            self.renaming.remove(&id);
        }
    }

    /// Forgets a master, its replicas, and the sentinels that no other master shares.
    pub(super) fn remove_master(&mut self, id: MasterId) {
        self.forget_replicas(id);
        self.forget_sentinels(id);
        let Some(master) = self.masters.remove(&id) else { return };
        self.renaming.remove(&id);
        self.remove_node(master.node);
        self.by_name.remove(&master.name);
        for wake in [Wake::Ask(id), Wake::Candidacy(id), Wake::Failover(id), Wake::Reconf(id)] {
            self.schedule.cancel(wake);
        }
        self.out.push(Output::ViewGone(master.name));
    }

    /// Adds a replica of `master` unless one has this address; says whether it is new.
    pub(super) fn add_replica(&mut self, now: Time, id: MasterId, addr: Addr) -> Option<NodeId> {
        let master = self.masters.get(&id)?;
        let is_master = self.nodes.get(&master.node).is_some_and(|node| self.same(&node.addr, &addr));
        if is_master || master.replicas.len() >= MOST_REPLICAS || self.replica_at(id, &addr).is_some() {
            return None;
        }
        let key = Arc::from(addr.to_string());
        let node = self.add_node(now, id, Role::Replica, addr);
        self.masters.get_mut(&id)?.replicas.insert(key, node);
        self.review_down(now, node);
        Some(node)
    }

    /// Forgets one replica of a master.
    pub(super) fn forget_replica(&mut self, id: MasterId, replica: NodeId) {
        let Some(master) = self.masters.get_mut(&id) else { return };
        master.replicas.retain(|_, node| *node != replica);
        self.remove_node(replica);
    }

    /// Forgets all replicas of a master.
    pub(super) fn forget_replicas(&mut self, id: MasterId) {
        let Some(master) = self.masters.get_mut(&id) else { return };
        for node in std::mem::take(&mut master.replicas).into_values() {
            self.remove_node(node);
        }
    }

    /// Adds a sentinel of a master; the process is shared with other masters by its run id.
    pub(super) fn add_sentinel(
        &mut self,
        now: Time,
        id: MasterId,
        run_id: RunId,
        addr: Addr,
    ) -> Option<PeerId> {
        let peer = match self.by_run_id.get(&run_id) {
            Some(peer) => *peer,
            None => {
                let peer = PeerId(self.next_id());
                self.names.adopt(now, &addr.host, User::Peer(peer));
                self.peers.insert(peer, Peer::new(run_id.clone(), addr, now));
                self.by_run_id.insert(run_id.clone(), peer);
                peer
            }
        };
        let master = self.masters.get_mut(&id)?;
        let entry = self.peers.get_mut(&peer)?;
        if entry.masters.insert(id) {
            entry.add_limit(master.down_after());
        }
        master.sentinels.insert(run_id.clone(), Sentinel::new(peer, now));
        master.voters.insert(run_id);
        self.connect_peer(now, peer);
        self.review_peer_down(now, peer);
        Some(peer)
    }

    /// Forgets one sentinel of one master; the process too when no other master shares it.
    pub(super) fn remove_sentinel(&mut self, id: MasterId, run_id: &RunId) {
        let Some(master) = self.masters.get_mut(&id) else { return };
        let Some(sentinel) = master.sentinels.remove(run_id) else { return };
        let Some(peer) = self.peers.get_mut(&sentinel.peer) else { return };
        if peer.masters.remove(&id) {
            peer.remove_limit(master.down_after());
        }
        peer.down_in -= usize::from(sentinel.sdown.is_some());
        if peer.masters.is_empty() {
            self.close_peer_link(sentinel.peer);
            if let Some(peer) = self.peers.remove(&sentinel.peer) {
                self.names.release(&peer.addr.host, User::Peer(sentinel.peer));
            }
            self.by_run_id.remove(run_id);
            for wake in [
                Wake::PeerBeat(sentinel.peer),
                Wake::PeerConnect(sentinel.peer),
                Wake::PeerDown(sentinel.peer),
            ] {
                self.schedule.cancel(wake);
            }
        }
    }

    /// Forgets all sentinels of a master. The voter set stays (S10).
    pub(super) fn forget_sentinels(&mut self, id: MasterId) {
        let known: Vec<RunId> =
            self.masters.get(&id).map(|m| m.sentinels.keys().cloned().collect()).unwrap_or_default();
        for run_id in known {
            self.remove_sentinel(id, &run_id);
        }
    }

    /// Makes `addr` the master. The node keeps its links; the old master becomes a replica, as do
    /// all nodes known before. Source: spec 05, section 9.
    ///
    /// Differs: stock creates every entry anew and so forgets what it knew of the replicas.
    pub(super) fn switch_master(&mut self, now: Time, id: MasterId, addr: &Addr, epoch: Epoch) {
        let Some(master) = self.masters.get(&id) else { return };
        let old = master.node;
        let old_epoch = master.config_epoch;
        let new = match self.replica_at(id, addr) {
            Some(node) => {
                self.learn_name(node, addr);
                node
            }
            None => self.add_node(now, id, Role::Master, addr.clone()),
        };
        self.retire(now, old, old_epoch);
        self.take_office(now, new);
        let key = |node: &NodeId| self.nodes.get(node).map(|node| Arc::from(node.addr.to_string()));
        let (old_key, new_key): (Option<Arc<str>>, Option<Arc<str>>) = (key(&old), key(&new));
        let Some(master) = self.masters.get_mut(&id) else { return };
        if let Some(key) = new_key {
            master.replicas.remove(&key);
        }
        if let Some(key) = old_key {
            master.replicas.insert(key, old);
        }
        master.node = new;
        master.config_epoch = epoch;
        master.odown = None;
        master.failover = Failover::None;
        master.candidacy = Candidacy::default();
        master.job = None;
        master.voter_hint = 0;
        for sentinel in master.sentinels.values_mut() {
            sentinel.master_down = false;
        }
        let replicas = master.replicas.values();
        for replica in replicas {
            // A job that was under way under the old configuration is over, and whom a replica followed
            // before is no disobedience to the new one: the leader has its time to reach it.
            if let Some(node) = self.nodes.get_mut(replica) {
                node.reconf = Reconf::None;
                node.replica.master_since = now;
            }
        }
        for wake in [Wake::Ask(id), Wake::Candidacy(id), Wake::Failover(id), Wake::Reconf(id)] {
            self.schedule.cancel(wake);
        }
    }

    fn retire(&mut self, now: Time, old: NodeId, epoch: Epoch) {
        let Some(shown) = self.nodes.get(&old).map(|node| self.shown(&node.addr)) else { return };
        let Some(node) = self.nodes.get_mut(&old) else { return };
        node.role = Role::Replica;
        node.name = Arc::from(shown.to_string());
        node.reported = Role::Replica;
        node.reported_since = now;
        node.replica.master = None;
        node.replica.link_up = false;
        node.replica.master_since = now;
        node.sdown = None;
        node.rebooted = None;
        node.reconf = Reconf::None;
        node.retired = Some(epoch);
    }

    /// Silence gathered as a replica is no evidence against the new master: its clock starts now.
    fn take_office(&mut self, now: Time, new: NodeId) {
        let Some(node) = self.nodes.get_mut(&new) else { return };
        node.role = Role::Master;
        node.reported = Role::Master;
        node.reported_since = now;
        node.vitals.silent_since = node.vitals.silent_since.map(|_| now);
        node.sdown = None;
        node.down_began = None;
        node.rebooted = None;
        node.reconf = Reconf::None;
        node.refused = None;
        node.retired = None;
    }

    fn add_node(&mut self, now: Time, master: MasterId, role: Role, addr: Addr) -> NodeId {
        let id = NodeId(self.next_id());
        self.names.adopt(now, &addr.host, User::Node(id));
        let name = Arc::from(self.shown(&addr).to_string());
        self.nodes.insert(id, Node::new(master, role, addr, name, now));
        self.index_node(id);
        self.connect_node(now, id);
        id
    }

    pub(super) fn remove_node(&mut self, id: NodeId) {
        self.close_node_links(id);
        self.unindex_node(id);
        if let Some(node) = self.nodes.remove(&id) {
            self.names.release(&node.addr.host, User::Node(id));
        }
        for wake in [Wake::Beat(id), Wake::Connect(id), Wake::Down(id)] {
            self.schedule.cancel(wake);
        }
    }

    /// Ends both links of a data node on purpose: that starts no clock.
    pub(super) fn close_node_links(&mut self, id: NodeId) {
        self.command_link_lost(id);
        let Some(node) = self.nodes.get_mut(&id) else { return };
        let links = [reset(&mut node.cmd), reset(&mut node.sub)];
        for link in links.into_iter().flatten() {
            self.links.remove(&link);
            self.out.push(Output::Close { link });
        }
    }

    /// Ends the link to another sentinel on purpose.
    pub(super) fn close_peer_link(&mut self, id: PeerId) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let link = reset(&mut peer.cmd);
        peer.vitals.ping_sent = None;
        if let Some(link) = link {
            self.links.remove(&link);
            self.out.push(Output::Close { link });
        }
        self.forget_asked(id);
    }

    /// The questions on a link that ended stay unanswered.
    pub(super) fn forget_asked(&mut self, id: PeerId) {
        let Some(peer) = self.peers.get(&id) else { return };
        for master in &peer.masters {
            if let Some(sentinel) =
                self.masters.get_mut(master).and_then(|m| m.sentinels.get_mut(&peer.run_id))
            {
                sentinel.asked = false;
            }
        }
    }

    fn next_id(&mut self) -> u32 {
        self.ids += 1;
        self.ids
    }

    /// Publishes the view of a master if it changed; behind a switch that waits for its save.
    pub(super) fn publish_view(&mut self, id: MasterId) {
        let Some(view) = self.fresh_view(id) else { return };
        if self.switch_is_held(id) {
            let seq = self.masters.get(&id).map_or(Seq(0), |master| master.config_seq);
            self.hold(seq, vec![Held::Output(view.clone())], vec![view]);
        } else {
            self.out.push(view);
        }
    }

    /// The view of a master as an output, if it changed.
    pub(super) fn fresh_view(&mut self, id: MasterId) -> Option<Output> {
        let master = self.masters.get(&id)?;
        let node = self.nodes.get(&master.node)?;
        let status = match (master.odown, node.sdown) {
            (Some(_), _) => Status::Odown,
            (None, Some(_)) => Status::Sdown,
            (None, None) => Status::Ok,
        };
        let shown = self.shown(&node.addr);
        let view = MasterView {
            name: master.name.clone(),
            addr: shown.clone(),
            configured: shown,
            status,
            replicas: master.replicas.len(),
            sentinels: master.sentinels.len() + 1,
            config_epoch: master.config_epoch,
        };
        if master.view.as_deref() == Some(&view) {
            return None;
        }
        let view = Arc::new(view);
        self.masters.get_mut(&id)?.view = Some(view.clone());
        Some(Output::View(view))
    }

    /// The durable state as it is now.
    pub(super) fn state(&self) -> State {
        let masters = self.by_name.values().filter_map(|id| self.master_state(*id)).collect();
        State { globals: self.globals.clone(), current_epoch: self.current_epoch, masters }
    }

    fn master_state(&self, id: MasterId) -> Option<MasterState> {
        let master = self.masters.get(&id)?;
        let (current, config_epoch) = match master.failover.verified() {
            Some((promoted, epoch)) => (promoted, epoch),
            None => (master.node, master.config_epoch),
        };
        let addr = self.saved(&self.nodes.get(&current)?.addr);
        let replicas = master.replicas.values().chain([&master.node]).filter(|node| **node != current);
        let replicas = self.distinct(&addr, replicas.filter_map(|node| self.nodes.get(node)));
        let sentinels = master.sentinels.iter();
        let sentinels =
            sentinels.filter_map(|(id, s)| Some((id.clone(), self.saved(&self.peers.get(&s.peer)?.addr))));
        Some(MasterState {
            name: master.name.clone(),
            addr,
            settings: master.settings.clone(),
            config_epoch,
            leader_epoch: master.leader_epoch,
            leader: master.leader.clone(),
            replicas,
            sentinels: sentinels.collect(),
            voters: master.voters.iter().cloned().collect(),
        })
    }

    /// The addresses of replicas as they are saved. No two may be the same, or stock does not start from
    /// the file: of names that stand for one IP at the moment all but one are saved as names.
    fn distinct<'a>(&self, master: &Addr, replicas: impl Iterator<Item = &'a Node>) -> Vec<Addr> {
        let mut taken = BTreeSet::from([master.clone()]);
        let saved = replicas.filter_map(|node| {
            let choices = [self.saved(&node.addr), node.addr.clone()];
            choices.into_iter().find(|addr| self.acceptable_host(&addr.host) && taken.insert(addr.clone()))
        });
        saved.collect()
    }

    /// The master of this name.
    pub(super) fn named(&self, name: &MasterName) -> Option<MasterId> {
        self.by_name.get(name).copied()
    }

    /// Name and address of a master, for events.
    pub(super) fn master_ref(&self, id: MasterId) -> Option<MasterRef> {
        let master = self.masters.get(&id)?;
        let addr = self.shown(&self.nodes.get(&master.node)?.addr);
        Some(MasterRef { name: master.name.clone(), addr })
    }

    /// A data node as the subject of an event.
    pub(super) fn node_subject(&self, id: NodeId) -> Option<Subject> {
        let node = self.nodes.get(&id)?;
        let master = self.master_ref(node.master)?;
        Some(match node.role {
            Role::Master => Subject::Master(master),
            Role::Replica => {
                Subject::Replica { name: node.name.clone(), addr: self.shown(&node.addr), master }
            }
        })
    }

    /// A sentinel of a master as the subject of an event.
    pub(super) fn sentinel_subject(&self, id: MasterId, run_id: &RunId) -> Option<Subject> {
        let peer = self.peers.get(&self.masters.get(&id)?.sentinels.get(run_id)?.peer)?;
        let master = self.master_ref(id)?;
        Some(Subject::Sentinel { run_id: run_id.clone(), addr: self.shown(&peer.addr), master })
    }

    /// An event about a master.
    pub(super) fn master_event(&self, id: MasterId, kind: Kind, detail: impl Into<String>) -> Option<Event> {
        Some(Event { kind, subject: Subject::Master(self.master_ref(id)?), detail: detail.into() })
    }

    /// Emits an event about a master.
    pub(super) fn emit(&mut self, id: MasterId, kind: Kind, detail: impl Into<String>) {
        let event = self.master_event(id, kind, detail);
        self.out.extend(event.map(Output::Event));
    }

    /// Emits an event about a data node.
    pub(super) fn emit_node(&mut self, id: NodeId, kind: Kind, detail: impl Into<String>) {
        if let Some(subject) = self.node_subject(id) {
            self.out.push(Output::Event(Event { kind, subject, detail: detail.into() }));
        }
    }

    /// The owner of a link that is still in use.
    pub(super) fn owner(&self, link: super::ids::LinkId) -> Option<LinkOwner> {
        self.links.get(&link).copied()
    }
}

/// Takes the connection out of a link.
fn reset(link: &mut Link) -> Option<super::ids::LinkId> {
    let id = link.id();
    link.phase = Phase::Down;
    link.pending.clear();
    link.retry_at = Time::default();
    link.turn = 0;
    id
}

/// A master as `SENTINEL MONITOR` makes it.
pub(super) fn fresh_master(name: MasterName, addr: Addr, quorum: u32) -> MasterState {
    MasterState {
        name,
        addr,
        settings: MasterSettings::new(quorum),
        config_epoch: Epoch(0),
        leader_epoch: Epoch(0),
        leader: None,
        replicas: Vec::new(),
        sentinels: Vec::new(),
        voters: Vec::new(),
    }
}
