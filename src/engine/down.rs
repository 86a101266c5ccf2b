//! SDOWN, ODOWN, and asking the other sentinels.
//!
//! Source: spec 04, sections 6 and 7; DESIGN section 3 "Detection" and "Agreement".

use super::Engine;
use super::LinkOwner;
use super::event::{Event, Kind, Note};
use super::ids::{Addr, Epoch, RunId};
use super::info::Role;
use super::instance::{Expect, Kin, MasterId, NodeId, PeerId};
use super::output::{Output, Request};
use super::reply::Reply;
use super::schedule::Wake;
use super::time::{Span, Time};

/// First pause between two rounds of asking; it doubles up to `ask-period`.
const FIRST_ASK: Span = Span::ms(5);

impl Engine {
    /// Judges a data node now, tells of a change, and sets the timer for the next possible one.
    ///
    /// While a switch waits for its save, its nodes are not judged: the switch is told first, and then
    /// all of them are ([`Engine::greet_new_master`]).
    pub(super) fn review_down(&mut self, now: Time, id: NodeId) {
        if self.nodes.get(&id).is_some_and(|node| self.switch_is_held(node.master)) {
            self.schedule.cancel(Wake::Down(id));
            return;
        }
        let mut deadline = self.down_deadline(id);
        if let Some(node) = self.nodes.get(&id).filter(|node| node.sdown.is_none()) {
            let down_after = self.masters.get(&node.master).map_or(Span::ZERO, |master| master.down_after());
            deadline = deadline.map(|at| at.max(self.looks_until(down_after)));
        }
        let is_down = deadline.is_some_and(|at| at <= now);
        match deadline {
            Some(at) if !is_down => self.schedule.set(Wake::Down(id), at),
            Some(_) | None => self.schedule.cancel(Wake::Down(id)),
        }
        let Some(node) = self.nodes.get_mut(&id) else { return };
        match (node.sdown, is_down) {
            (None, true) => {
                node.sdown = Some(now);
                node.down_began = Some(now);
                self.sdown_began(now, id);
            }
            (Some(_), false) => {
                node.sdown = None;
                node.script_kill_sent = false;
                self.sdown_ended(now, id);
            }
            (None, false) | (Some(_), true) => {}
        }
    }

    /// When a node is SDOWN: silent for D; a master that says it is a replica for longer than
    /// D + 2 × info-period; a master that is loading for too long after a reboot.
    fn down_deadline(&self, id: NodeId) -> Option<Time> {
        let node = self.nodes.get(&id)?;
        let master = self.masters.get(&node.master)?;
        let down_after = master.down_after();
        let silence = node.vitals.silent_since.map(|at| at + down_after + self.stalls.within(at, down_after));
        if node.role == Role::Replica {
            return silence;
        }
        let two_infos = Span(2 * self.tuning.info_period.0);
        // What INFO said last grows no older while we stall.
        let stalled = |since: Time| self.stalls.within(since, down_after);
        let mismatch = (node.reported == Role::Replica)
            .then(|| node.reported_since + down_after + two_infos + stalled(node.reported_since));
        let patience = Span::from(master.settings.reboot_down_after);
        let reboot = node.rebooted.filter(|_| patience > Span::ZERO).map(|at| at + patience + stalled(at));
        [silence, mismatch, reboot].into_iter().flatten().min()
    }

    fn sdown_began(&mut self, now: Time, id: NodeId) {
        let Some(node) = self.nodes.get(&id) else { return };
        let (master, role) = (node.master, node.role);
        match role {
            Role::Replica => self.emit_node(id, Kind::Sdown, ""),
            Role::Master => {
                self.publish_view(master);
                self.emit_node(id, Kind::Sdown, "");
                if let Some(master) = self.masters.get_mut(&master) {
                    master.ask_round = 0;
                }
                self.refresh_replicas(now, master);
                self.ask_peers(now, master);
                self.check_odown(now, master);
            }
        }
        self.reconf_changed(now, master);
    }

    fn sdown_ended(&mut self, now: Time, id: NodeId) {
        let Some(node) = self.nodes.get(&id) else { return };
        let (id_of_master, role) = (node.master, node.role);
        if role == Role::Master {
            self.schedule.cancel(Wake::Ask(id_of_master));
            if let Some(master) = self.masters.get_mut(&id_of_master) {
                master.voter_hint = 0;
                for sentinel in master.sentinels.values_mut() {
                    sentinel.master_down = false;
                }
            }
            self.publish_view(id_of_master);
            self.emit_node(id, Kind::SdownEnd, "");
            self.check_odown(now, id_of_master);
            self.master_recovered(now, id_of_master);
        } else {
            self.emit_node(id, Kind::SdownEnd, "");
            self.eligibility_changed(now, id_of_master);
        }
        self.reconf_changed(now, id_of_master);
    }

    /// A candidate must know its replicas as they are now.
    pub(super) fn refresh_replicas(&mut self, now: Time, id: MasterId) {
        let replicas = self.masters.get(&id).map(|m| m.replicas.values().copied().collect::<Vec<_>>());
        for node in replicas.unwrap_or_default() {
            self.info_now(now, node);
        }
    }

    /// ODOWN: this sentinel and at least quorum - 1 others see the master down.
    pub(super) fn check_odown(&mut self, now: Time, id: MasterId) {
        let Some(master) = self.masters.get(&id) else { return };
        let sdown = self.nodes.get(&master.node).is_some_and(|node| node.sdown.is_some());
        if sdown && self.in_doubt(now, id) {
            return;
        }
        let votes = 1 + master.sentinels.values().filter(|s| s.master_down).count();
        let quorum = master.settings.quorum;
        let is_down = sdown && votes >= quorum as usize;
        match (master.odown, is_down) {
            (None, true) => {
                self.set_odown(id, Some(now));
                self.publish_view(id);
                self.emit(id, Kind::Odown, format!(" #quorum {votes}/{quorum}"));
                self.refresh_replicas(now, id);
                self.odown_began(now, id);
            }
            (Some(_), false) => {
                self.set_odown(id, None);
                self.publish_view(id);
                self.emit(id, Kind::OdownEnd, "");
                self.plan_candidacy(now, id);
            }
            (None, false) | (Some(_), true) => {}
        }
    }

    fn set_odown(&mut self, id: MasterId, odown: Option<Time>) {
        if let Some(master) = self.masters.get_mut(&id) {
            master.odown = odown;
        }
    }

    /// One round of asking: at once on SDOWN, then after 5, 10, 20 ms ... up to 1 s as long as the
    /// master is SDOWN. A question that is unanswered is not repeated on the same connection.
    pub(super) fn ask_peers(&mut self, now: Time, id: MasterId) {
        let in_doubt = self.in_doubt(now, id);
        let Some(master) = self.masters.get_mut(&id) else { return };
        if self.nodes.get(&master.node).is_none_or(|node| node.sdown.is_none()) {
            return;
        }
        if in_doubt {
            let down_after = master.down_after();
            self.schedule.set(Wake::Ask(id), self.looks_until(down_after));
            return;
        }
        // An answer older than 5 × ask-period says nothing about now.
        let fresh = Span(5 * self.tuning.ask_period.0);
        for sentinel in master.sentinels.values_mut() {
            if sentinel.reported_at.is_some_and(|at| now.since(at) > fresh) {
                sentinel.master_down = false;
                sentinel.vote = None;
            }
        }
        let pause = Span(FIRST_ASK.0 << master.ask_round.min(8)).min(self.tuning.ask_period);
        master.ask_round = master.ask_round.saturating_add(1);
        self.schedule.set(Wake::Ask(id), now + pause);
        for (run_id, peer) in self.connected_sentinels(id) {
            self.ask_peer(id, &run_id, peer);
        }
        self.check_odown(now, id);
    }

    /// Asks one sentinel whether it sees the master down.
    fn ask_peer(&mut self, id: MasterId, run_id: &RunId, peer: PeerId) {
        let Some(sentinel) = self.masters.get_mut(&id).and_then(|m| m.sentinels.get_mut(run_id)) else {
            return;
        };
        if !std::mem::replace(&mut sentinel.asked, true) {
            self.send_ask(id, peer, None);
        }
    }

    /// Asks a peer that is no stock sentinel for the voter set that it knows (S2).
    pub(super) fn ask_voters(&mut self, id: MasterId, peer: PeerId) {
        if self.peers.get(&peer).is_none_or(|p| p.kin == Kin::Stock) {
            return;
        }
        let Some(master) = self.masters.get(&id) else { return };
        let words = ["1", "VOTERS", &master.name].map(std::sync::Arc::from).to_vec();
        self.send(LinkOwner::Peer(peer), Request::Vigia(words), Expect::VigiaVoters { master: id });
    }

    /// Sends `is-master-down-by-addr`, with our id when a vote is wanted for `candidate_epoch`.
    pub(super) fn send_ask(&mut self, id: MasterId, peer: PeerId, candidate_epoch: Option<Epoch>) {
        let Some(node) = self.masters.get(&id).map(|master| master.node) else { return };
        let Some(addr) = self.usable_master(id) else { return };
        let epoch = candidate_epoch.unwrap_or(self.durable_epoch);
        let candidate = candidate_epoch.map(|_| self.globals.my_id.clone());
        let expect = Expect::Down { master: id, node, candidate_epoch };
        let addr = self.address_held_by(id, peer).filter(|_| candidate.is_some()).unwrap_or(addr);
        self.send(LinkOwner::Peer(peer), Request::AskDown { addr, epoch, candidate }, expect);
    }

    /// Where a peer that holds another configuration of our epoch has the master. A sentinel knows masters
    /// by their addresses in this request, so its vote about a tie must be asked for with its own (S8).
    fn address_held_by(&self, id: MasterId, peer: PeerId) -> Option<Addr> {
        let master = self.masters.get(&id)?;
        if !master.candidacy.reassert {
            return None;
        }
        let (addr, epoch) = master.sentinels.get(&self.peers.get(&peer)?.run_id)?.config.clone()?;
        (epoch == master.config_epoch).then_some(addr)
    }

    /// The answer of another sentinel: array of integer, bulk, integer; anything else is ignored. One
    /// that comes after a switch speaks of the old master, one after a recovery of the past.
    pub(super) fn on_down_report(
        &mut self,
        now: Time,
        peer: PeerId,
        (id, asked): (MasterId, NodeId),
        candidate_epoch: Option<Epoch>,
        reply: &Reply<'_>,
    ) {
        let in_force = self.masters.get(&id).map(|master| master.node);
        let current = in_force == Some(asked);
        let node = self.nodes.get(&asked);
        let sdown = node.is_some_and(|node| node.sdown.is_some());
        let Some(run_id) = self.peers.get(&peer).map(|peer| peer.run_id.clone()) else { return };
        let Some(sentinel) = self.masters.get_mut(&id).and_then(|m| m.sentinels.get_mut(&run_id)) else {
            return;
        };
        if candidate_epoch.is_none() {
            sentinel.asked = false;
        }
        let Reply::Array(parts) = reply else { return };
        let [Reply::Integer(down), leader, Reply::Integer(leader_epoch)] = &parts[..] else { return };
        let Some(leader) = leader.text() else { return };
        let leader_epoch = Epoch(u64::try_from(*leader_epoch).unwrap_or(0));
        if current {
            sentinel.reported_at = Some(now);
            sentinel.master_down = *down == 1 && sdown;
        }
        let vote = (leader != "*").then(|| (RunId::from(leader), leader_epoch));
        if let Some((leader, epoch)) = &vote {
            if sentinel.vote.as_ref().is_none_or(|(_, known)| known != epoch) {
                let note = Note::Voted { voter: run_id.clone(), leader: leader.clone(), epoch: *epoch };
                self.out.push(Output::Note(note));
            }
            sentinel.vote = vote.clone();
        }
        self.check_odown(now, id);
        if let Some(asked) = candidate_epoch {
            self.on_vote(now, id, &run_id, asked, vote, leader_epoch);
        }
    }

    /// Judges another sentinel under every master that it watches with us.
    pub(super) fn review_peer_down(&mut self, now: Time, id: PeerId) {
        if self.nothing_new_of(now, id) {
            return;
        }
        let Some(peer) = self.peers.get(&id) else { return };
        let silent_since = peer.vitals.silent_since;
        let run_id = peer.run_id.clone();
        let mut down_in = peer.down_in;
        let mut next: Option<Time> = None;
        for master_id in peer.masters.iter().copied().collect::<Vec<_>>() {
            let Some(master) = self.masters.get_mut(&master_id) else { continue };
            let down_after = master.down_after();
            let deadline = silent_since.map(|at| at + down_after + self.stalls.within(at, down_after));
            let looks_until = match master.sentinels.get(&run_id).and_then(|sentinel| sentinel.sdown) {
                Some(_) => Time::default(),
                None => self.tilt.looks_until(down_after, self.tuning.tilt_period),
            };
            let deadline = deadline.map(|at| at.max(looks_until));
            let is_down = deadline.is_some_and(|at| at <= now);
            if !is_down {
                next = next.into_iter().chain(deadline).min();
            }
            let Some(sentinel) = master.sentinels.get_mut(&run_id) else { continue };
            let kind = match (sentinel.sdown, is_down) {
                (None, true) => Kind::Sdown,
                (Some(_), false) => Kind::SdownEnd,
                (None, false) | (Some(_), true) => continue,
            };
            sentinel.sdown = is_down.then_some(now);
            down_in = if is_down { down_in + 1 } else { down_in - 1 };
            if let Some(subject) = self.sentinel_subject(master_id, &run_id) {
                self.out.push(Output::Event(Event { kind, subject, detail: String::new() }));
            }
            self.count_votes(now, master_id);
        }
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.down_in = down_in;
        }
        match next {
            Some(at) => self.schedule.set(Wake::PeerDown(id), at),
            None => self.schedule.cancel(Wake::PeerDown(id)),
        }
    }

    /// Whether a sentinel is SDOWN under any master.
    pub(super) fn peer_is_down(&self, id: PeerId) -> bool {
        self.peers.get(&id).is_some_and(|peer| peer.down_in > 0)
    }

    /// Whether a look at the masters of a peer one by one would find nothing: it is down under none and
    /// the strictest D is not over yet (then the timer is set for that), or it is down under all and the
    /// longest D is over.
    fn nothing_new_of(&mut self, now: Time, id: PeerId) -> bool {
        let Some(peer) = self.peers.get(&id) else { return true };
        let (none, all) = (peer.down_in == 0, peer.down_in == peer.masters.len());
        let Some(since) = peer.vitals.silent_since else {
            self.schedule.cancel(Wake::PeerDown(id));
            return none;
        };
        let over = |d: Option<(&Span, &usize)>| d.map(|(d, _)| since + *d + self.stalls.within(since, *d));
        let strictest = peer.limits.first_key_value();
        let first = over(strictest).zip(strictest).map(|(at, (d, _))| at.max(self.looks_until(*d)));
        let last = over(peer.limits.last_key_value());
        if none && let Some(at) = first.filter(|at| *at > now) {
            self.schedule.set(Wake::PeerDown(id), at);
            return true;
        }
        all && last.is_some_and(|at| at <= now)
    }
}
