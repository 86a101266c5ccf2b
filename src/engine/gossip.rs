//! Hellos of other sentinels: discovery, epochs, newer configurations.
//!
//! Source: spec 06, sections 2 to 5; DESIGN S6, S8, S10.

use super::election::{majority, rank_of};
use super::event::{Event, Kind, Subject};
use super::hello::{self, Hello, Malformed};
use super::ids::{Addr, Epoch, LinkId, MasterName, RunId};
use super::instance::{Kin, MasterId, PeerId, Sentinel};
use super::names::User;
use super::output::Output;
use super::persist::Held;
use super::registry::MOST_SENTINELS;
use super::scripts::Teller;
use super::time::{Span, Time};
use super::{Engine, LinkOwner};

/// Slack when judging the age of a hello.
const HELLO_SLACK: Span = Span::secs(1);

/// Everybody who lives says hello in this time: three publish periods of 2 s, theirs, not ours.
const GATHERING: Span = Span::secs(6);

impl Engine {
    /// A message on the hello channel of a data node. Our own are ignored.
    pub(super) fn on_message(&mut self, now: Time, link: LinkId, payload: &str) {
        let Some(owner) = self.owner(link) else { return };
        if let Some(link) = self.link_mut(owner) {
            link.heard = now;
        }
        self.on_hello(now, payload);
    }

    /// One hello, heard on a data node or sent to us directly.
    ///
    /// Differs: stock believes its own id when it comes by PUBLISH, and epochs like -1.
    pub(super) fn on_hello(&mut self, now: Time, payload: &str) {
        let hello = match hello::parse(payload) {
            Ok(hello) => hello,
            Err(Malformed::Fields) => return,
            Err(Malformed::Value(why)) => {
                let master = payload.split(',').nth(4).map(MasterName::from);
                if let Some(id) = master.and_then(|name| self.named(&name)) {
                    self.emit(id, Kind::HelloRejected, format!(" #{why}"));
                }
                return;
            }
        };
        if hello.run_id == &*self.globals.my_id {
            return;
        }
        let hosts = [&*hello.addr.host, &*hello.master_addr.host];
        if self.parks_hello(now, &MasterName::from(hello.master), hosts, payload) {
            return;
        }
        let Some(id) = self.named(&MasterName::from(hello.master)) else { return };
        let run_id = RunId::from(hello.run_id);
        self.meet(now, id, &run_id, &hello.addr);
        self.raise_epoch(id, hello.current_epoch);
        // Stock announces an empty host for a master that it cannot resolve.
        if !hello.master_addr.host.is_empty() {
            self.note_config(now, id, &run_id, &hello);
            self.consider_config(now, id, &run_id, &hello);
        }
        self.correct_replicas(now, id);
    }

    /// Finds, adds or moves the sender's entry.
    fn meet(&mut self, now: Time, id: MasterId, run_id: &RunId, addr: &Addr) {
        if !self.acceptable_host(&addr.host) {
            return;
        }
        let known = self.masters.get(&id).and_then(|m| m.sentinels.get(run_id)).map(|s| s.peer);
        let same = known.filter(|peer| self.peers.get(peer).is_some_and(|peer| self.same(&peer.addr, addr)));
        if let Some(peer) = same {
            self.learn_peer_name(peer, addr);
            self.heard_again(id, run_id);
            return;
        }
        if known.is_none() && self.masters.get(&id).is_none_or(|m| m.sentinels.len() >= MOST_SENTINELS) {
            self.emit(id, Kind::HelloRejected, " #too many sentinels");
            return;
        }
        match known {
            Some(peer) => self.move_sentinel(now, id, run_id, peer, addr),
            None => {
                self.displace(id, addr, run_id);
                self.add_sentinel(now, id, run_id.clone(), addr.clone());
                let moved = self.by_run_id.get(run_id).copied();
                let moved =
                    moved.filter(|peer| self.peers.get(peer).is_some_and(|p| !self.same(&p.addr, addr)));
                if let Some(peer) = moved {
                    self.move_sentinel(now, id, run_id, peer, addr);
                }
                self.changed(Some(id));
                self.publish_view(id);
                if let Some(subject) = self.sentinel_subject(id, run_id) {
                    let event = Event { kind: Kind::Sentinel, subject, detail: String::new() };
                    self.out.push(Output::Event(event));
                }
            }
        }
        self.heard_again(id, run_id);
    }

    /// A known sentinel under a new address: all its entries move with it.
    fn move_sentinel(&mut self, now: Time, id: MasterId, run_id: &RunId, peer: PeerId, addr: &Addr) {
        self.close_peer_link(peer);
        let Some(entry) = self.peers.get_mut(&peer) else { return };
        let old = std::mem::replace(&mut entry.addr, addr.clone());
        let others = entry.masters.iter().filter(|master| **master != id).count();
        self.names.release(&old.host, User::Peer(peer));
        self.names.adopt(now, &addr.host, User::Peer(peer));
        let shown = self.shown(addr);
        let detail = format!(" ip {} port {} for {run_id}", shown.host, shown.port);
        self.emit(id, Kind::SentinelAddressSwitch, detail);
        if others > 0
            && let Some(subject) = self.sentinel_subject(id, run_id)
        {
            let detail = format!(" {others} additional matching instances");
            self.out.push(Output::Event(Event { kind: Kind::SentinelAddressUpdate, subject, detail }));
        }
        self.changed(Some(id));
        self.connect_peer(now, peer);
    }

    /// A new sentinel at the address of a known one takes its place everywhere, in the voter set
    /// too: the count of voters stays as it is.
    fn displace(&mut self, id: MasterId, addr: &Addr, new: &RunId) {
        let Some(master) = self.masters.get(&id) else { return };
        let at_addr = |peer: &PeerId| self.peers.get(peer).is_some_and(|peer| self.same(&peer.addr, addr));
        let Some(old) = master.sentinels.iter().find(|(_, s)| at_addr(&s.peer)).map(|(id, _)| id.clone())
        else {
            return;
        };
        if let Some(subject) = self.sentinel_subject(id, &old) {
            let event = Event { kind: Kind::SentinelInvalidAddr, subject, detail: String::new() };
            self.out.push(Output::Event(event));
        }
        let masters =
            self.by_run_id.get(&old).and_then(|peer| self.peers.get(peer)).map(|p| p.masters.clone());
        for master in masters.unwrap_or_default() {
            self.remove_sentinel(master, &old);
            if let Some(entry) = self.masters.get_mut(&master) {
                entry.voters.remove(&old);
                entry.voters.insert(new.clone());
            }
            self.changed(Some(master));
            self.publish_view(master);
        }
    }

    /// After a RESET the old voter set stays the base of the majority until a majority of it was
    /// heard again, and all that live have had the time to be heard (S10).
    fn heard_again(&mut self, id: MasterId, run_id: &RunId) {
        let now = self.now;
        let Some(master) = self.masters.get_mut(&id) else { return };
        let Some(heard) = &mut master.heard_since_reset else { return };
        heard.insert(run_id.clone());
        let again = heard.intersection(&master.voters).count() + 1;
        let gathered = self.stalls.observed(now, master.reset_at) >= GATHERING;
        if gathered && again >= majority(master.voters.len() + 1) {
            master.voters = master.sentinels.keys().cloned().collect();
            master.heard_since_reset = None;
            self.changed(Some(id));
        }
    }

    fn note_config(&mut self, now: Time, id: MasterId, run_id: &RunId, hello: &Hello<'_>) {
        let sentinel = self.masters.get_mut(&id).and_then(|m| m.sentinels.get_mut(run_id));
        if let Some(sentinel) = sentinel {
            sentinel.last_hello = now;
            sentinel.config = Some((hello.master_addr.clone(), hello.config_epoch));
        }
    }

    /// A newer configuration is adopted, an older one changes nothing, an equal one with another
    /// address is a conflict.
    fn consider_config(&mut self, now: Time, id: MasterId, run_id: &RunId, hello: &Hello<'_>) {
        let Some(master) = self.masters.get(&id) else { return };
        let known = master.sentinels.contains_key(run_id);
        let Some(in_force) = self.nodes.get(&master.node).map(|node| node.addr.clone()) else { return };
        let same = self.same(&in_force, &hello.master_addr);
        let ours = master.failover.verified().map_or(master.config_epoch, |(_, epoch)| epoch);
        if !known || hello.config_epoch < ours {
            return;
        }
        if hello.config_epoch == ours {
            if !same && master.failover.verified().is_none() {
                self.settle_conflict(now, id);
            }
            return;
        }
        if !self.acceptable_host(&hello.master_addr.host) {
            return;
        }
        if same {
            self.adopt_epoch(now, id, run_id, hello);
        } else if self.shown(&hello.master_addr).host.is_empty() {
            // Clients could not be told where it is. The name is looked up again, the hello comes again.
            self.tell_unresolved(now, &hello.master_addr.host);
        } else {
            self.adopt_config(now, id, run_id, hello, &in_force);
        }
    }

    /// The address stands, its version is newer: a reasserted configuration.
    fn adopt_epoch(&mut self, now: Time, id: MasterId, run_id: &RunId, hello: &Hello<'_>) {
        self.yield_to(now, id, hello.config_epoch);
        let led_by = self.leader_of(id, run_id, hello.config_epoch);
        if let Some(master) = self.masters.get_mut(&id) {
            master.config_epoch = hello.config_epoch;
            master.led_by = Some(led_by);
        }
        self.changed(Some(id));
        self.publish_view(id);
        self.plan_candidacy(now, id);
    }

    /// The master is somewhere else now. What a peer made durable is served even when our own disk
    /// fails; while it works, our save comes first.
    fn adopt_config(&mut self, now: Time, id: MasterId, run_id: &RunId, hello: &Hello<'_>, old: &Addr) {
        self.yield_to(now, id, hello.config_epoch);
        let new = &hello.master_addr;
        let mut news = Vec::new();
        if let Some(subject) = self.sentinel_subject(id, run_id) {
            news.push(Output::Event(Event { kind: Kind::ConfigUpdateFrom, subject, detail: String::new() }));
        }
        let old = &self.shown(old);
        news.extend(self.switch_event(id, old, new).map(Output::Event));
        let led_by = self.leader_of(id, run_id, hello.config_epoch);
        self.switch_master(now, id, new, hello.config_epoch);
        let to = self.master_ref(id).map_or_else(|| new.clone(), |master| master.addr);
        if let Some(master) = self.masters.get_mut(&id) {
            master.led_by = Some(led_by);
        }
        news.splice(0..0, self.fresh_view(id));
        news.extend(self.slave_events(id));
        let seq = self.changed(Some(id));
        if let Some(master) = self.masters.get_mut(&id) {
            master.config_seq = seq;
        }
        if self.saving_fails() {
            self.out.extend(news);
            self.reconfigure_clients(id, Teller::Observer, old, &to);
            self.greet_new_master(now, id);
        } else {
            let told = Held::TellClients { master: id, from: old.clone(), to };
            let held = news.iter().cloned().map(Held::Output).chain([told, Held::Greet(id)]).collect();
            self.hold(seq, held, news);
        }
    }

    /// Who won the epoch, as far as our own vote tells; else who told us. A vote for ourselves does not
    /// tell: we lost, or we would know.
    fn leader_of(&self, id: MasterId, teller: &RunId, epoch: super::ids::Epoch) -> RunId {
        let master = self.masters.get(&id).filter(|master| master.leader_epoch == epoch);
        let voted_for = master.and_then(|master| master.leader.as_ref());
        voted_for.filter(|leader| **leader != self.globals.my_id).unwrap_or(teller).clone()
    }

    /// `+switch-master <name> <old ip> <old port> <new ip> <new port>`.
    pub(super) fn switch_event(&self, id: MasterId, old: &Addr, new: &Addr) -> Option<Event> {
        let subject = self.master_ref(id)?;
        let detail = format!("{} {} {} {} {}", subject.name, old.host, old.port, new.host, new.port);
        Some(Event { kind: Kind::SwitchMaster, subject: Subject::Master(subject), detail })
    }

    /// `+slave` for every replica, with the master in force in the tail.
    pub(super) fn slave_events(&self, id: MasterId) -> Vec<Output> {
        let replicas = self.masters.get(&id).map(|m| m.replicas.values()).into_iter().flatten();
        let subjects = replicas.filter_map(|node| self.node_subject(*node));
        let event = |subject| Event { kind: Kind::Slave, subject, detail: String::new() };
        subjects.map(event).map(Output::Event).collect()
    }

    /// The fresh master is pinged and read at once; the old one is judged as a replica.
    pub(super) fn greet_new_master(&mut self, now: Time, id: MasterId) {
        let Some(master) = self.masters.get(&id) else { return };
        let node = master.node;
        let replicas: Vec<_> = master.replicas.values().copied().collect();
        let hanging = self.nodes.get(&node).is_some_and(|node| node.cmd.up().is_none());
        if hanging {
            self.replace_link(now, LinkOwner::NodeCommand(node));
        }
        if let Some(node) = self.nodes.get_mut(&node) {
            node.vitals.last_ping = None;
        }
        self.info_now(now, node);
        self.beat_node(now, node);
        self.review_down(now, node);
        for replica in replicas {
            self.review_down(now, replica);
            self.info_now(now, replica);
        }
    }

    /// How old a hello may be to count as what its sender holds now: two publish periods and slack.
    fn hello_fresh(&self) -> Span {
        Span(2 * self.tuning.publish_period.0) + HELLO_SLACK
    }

    /// Whether a majority of the known sentinels, this one included, told since `since` that they
    /// hold the configuration in force; the Vigía among them also that nobody may be changing it.
    /// Source: DESIGN section 3 "Afterwards" (c).
    pub(super) fn config_confirmed(&self, now: Time, id: MasterId, since: Time) -> bool {
        let Some(master) = self.masters.get(&id) else { return false };
        let Some(addr) = self.nodes.get(&master.node).map(|node| &node.addr) else { return false };
        if master.candidacy.other_may_lead(now) {
            return false;
        }
        let holds = |at: Time, held: &Addr, epoch: Epoch| {
            at >= since
                && now.since(at) <= self.hello_fresh()
                && self.same(held, addr)
                && epoch == master.config_epoch
        };
        let agrees = |sentinel: &&Sentinel| match self.peers.get(&sentinel.peer).map(|peer| peer.kin) {
            Some(Kin::Vigia) => sentinel.calm.as_ref().is_some_and(|(at, held, e)| holds(*at, held, *e)),
            Some(Kin::Unknown) | None => false,
            Some(Kin::Stock) => {
                let config = sentinel.config.as_ref();
                config.is_some_and(|(held, epoch)| holds(sentinel.last_hello, held, *epoch))
            }
        };
        let agree = master.sentinels.values().filter(agrees).count() + 1;
        agree >= majority(master.voters.len() + 1)
    }

    /// Two addresses under one config epoch: the winner is what a majority holds, else the one with
    /// the smaller run id; the best-ranked Vigía that holds it reasserts it under a fresh epoch (S8).
    fn settle_conflict(&mut self, now: Time, id: MasterId) {
        let Some(master) = self.masters.get(&id) else { return };
        let candidacy = &master.candidacy;
        if master.failover.in_progress() || candidacy.reassert || now < candidacy.reassert_from {
            return;
        }
        let Some(ours) = self.nodes.get(&master.node).map(|node| node.addr.clone()) else { return };
        let fresh = |at: Time| now.since(at) <= self.hello_fresh();
        let claims: Vec<(&RunId, &Addr)> = master
            .sentinels
            .iter()
            .filter(|(_, s)| fresh(s.last_hello))
            .filter_map(|(id, s)| Some((id, s.config.as_ref().filter(|(_, e)| *e == master.config_epoch)?)))
            .map(|(id, (addr, _))| (id, addr))
            .filter(|(_, addr)| !self.may_have_moved(id, addr))
            .collect();
        let Some(theirs) = claims.iter().map(|(_, addr)| *addr).find(|addr| !self.same(addr, &ours)) else {
            return;
        };
        let votes = |addr: &Addr, own: usize| own + claims.iter().filter(|(_, a)| self.same(a, addr)).count();
        let majority = majority(master.voters.len() + 1);
        let we_win = if votes(&ours, 1) >= majority {
            true
        } else if votes(theirs, 0) >= majority {
            false
        } else {
            self.node_id_at(id, &ours) < self.node_id_at(id, theirs)
        };
        let kin = |run_id: &RunId| {
            let peer = self.by_run_id.get(run_id).and_then(|peer| self.peers.get(peer));
            peer.is_some_and(|peer| peer.kin == Kin::Vigia && peer.cmd.up().is_some())
        };
        let holders = claims.iter().filter(|(id, addr)| self.same(addr, &ours) && kin(id)).map(|(id, _)| *id);
        let best = rank_of(&self.globals.my_id, holders) == 0;
        let detail =
            format!(" #{} {} has the same config epoch {}", theirs.host, theirs.port, master.config_epoch);
        if we_win && best {
            self.emit(id, Kind::ConfigConflict, detail);
            self.reassert(now, id);
        }
    }

    /// Whether an address that nobody here has may be the master's own: with host names, a process that moved is
    /// found by one sentinel after the other.
    fn may_have_moved(&self, id: MasterId, addr: &Addr) -> bool {
        let in_force = self.masters.get(&id).and_then(|master| self.nodes.get(&master.node));
        let is_master = in_force.is_some_and(|node| self.same(&node.addr, addr));
        self.globals.resolve_hostnames && !is_master && self.replica_at(id, addr).is_none()
    }

    /// The run id of the node at this address; unknown sorts last.
    fn node_id_at(&self, id: MasterId, addr: &Addr) -> (bool, Option<RunId>) {
        let Some(master) = self.masters.get(&id) else { return (true, None) };
        let mut nodes =
            master.replicas.values().chain([&master.node]).filter_map(|node| self.nodes.get(node));
        let run_id = nodes.find(|node| self.same(&node.addr, addr)).and_then(|node| node.run_id.clone());
        (run_id.is_none(), run_id)
    }
}
