//! Making and losing connections.
//!
//! Reconnect at once, then every min(1 s, D/10) with jitter; an attempt that hangs is given up and
//! made again. Source: DESIGN section 3 "Detection", spec 04 section 3.

use std::net::IpAddr;
use std::sync::Arc;

use super::event::{Event, Kind};
use super::ids::{LinkId, RunId};
use super::input::DownCause;
use super::instance::{Expect, Kin, Link, MasterId, NodeId, PeerId, Phase, Reconf, Vitals};
use super::output::{Output, Request};
use super::resolve::Route;
use super::schedule::Wake;
use super::settings::Renames;
use super::time::{Span, Time};
use super::{Engine, LinkOwner};

/// Longest pause between two attempts.
const SLOWEST: Span = Span::secs(1);
/// After so many attempts in a row that hang (about D) at a process whose round trip is not known yet,
/// each attempt gets twice the time of the one before, up to [`SLOWEST`]: a network slower than D/10 would
/// never connect otherwise.
const IMPATIENT_ATTEMPTS: u32 = 10;
/// After so many at a process that was connected before, attempts get [`STRETCH`] times the pace.
const STUBBORN_ATTEMPTS: u32 = 100;
const STRETCH: u64 = 4;

/// How long a TLS handshake may take. Giving one up makes the other side, which may have a thousand clients to
/// shake hands with at once, pay for it again; so each attempt that hung doubles the time of the next one.
const HANDSHAKE: Span = Span::secs(1);
/// Times that it is doubled.
const HANDSHAKE_DOUBLINGS: u32 = 3;

/// How long one may wait for its turn here: that is nobody else's silence.
const TURN: Span = Span::secs(120);

/// When a TLS handshake counts as hanging.
fn handshake_limit(hung: u32) -> Span {
    Span(HANDSHAKE.0 << hung.min(HANDSHAKE_DOUBLINGS))
}

/// When an attempt counts as hanging: at the pace of reconnecting, or three round trips.
fn hang_limit(pace: Span, round_trip: Span, hung: u32) -> Span {
    let limit = match round_trip {
        Span::ZERO => Span(pace.0 << hung.saturating_sub(IMPATIENT_ATTEMPTS).min(10)),
        known if hung < STUBBORN_ATTEMPTS => pace.max(Span(3 * known.0)),
        known => Span(STRETCH * pace.0).max(Span(3 * known.0)),
    };
    limit.min(SLOWEST)
}

impl Engine {
    /// Starts what connections of a data node are missing and due, and sets the timer for the rest.
    pub(super) fn connect_node(&mut self, now: Time, id: NodeId) {
        let Some(node) = self.nodes.get(&id) else { return };
        let down_after = self.masters.get(&node.master).map_or(SLOWEST, |m| m.down_after());
        if node.addr.port == 0 {
            return;
        }
        let pace = self.pace(down_after);
        let mut next: Option<Time> = None;
        for owner in [LinkOwner::NodeCommand(id), LinkOwner::NodeEvents(id)] {
            let due = self.attempt(now, owner, pace);
            next = next.into_iter().chain(due).min();
        }
        match next {
            Some(at) => self.schedule.set(Wake::Connect(id), at),
            None => self.schedule.cancel(Wake::Connect(id)),
        }
    }

    /// The same for another sentinel.
    pub(super) fn connect_peer(&mut self, now: Time, id: PeerId) {
        let Some(peer) = self.peers.get(&id) else { return };
        if peer.addr.port == 0 {
            return;
        }
        let pace = self.pace(self.peer_down_after(id));
        match self.attempt(now, LinkOwner::Peer(id), pace) {
            Some(at) => self.schedule.set(Wake::PeerConnect(id), at),
            None => self.schedule.cancel(Wake::PeerConnect(id)),
        }
    }

    /// D of the strictest master that shares a peer.
    pub(super) fn peer_down_after(&self, id: PeerId) -> Span {
        let strictest = self.peers.get(&id).and_then(|peer| peer.limits.first_key_value());
        strictest.map_or(SLOWEST, |(down_after, _)| *down_after)
    }

    /// min(1 s, D/10), a tenth more or less.
    fn pace(&mut self, down_after: Span) -> Span {
        let pace = SLOWEST.0.min(down_after.0 / 10).max(1_000);
        Span(self.rng.between(pace - pace / 10, pace + pace / 10))
    }

    /// Makes an attempt if the connection is missing and it is time; says when to look again.
    fn attempt(&mut self, now: Time, owner: LinkOwner, pace: Span) -> Option<Time> {
        let link = self.link(owner)?;
        match link.phase {
            Phase::Up { .. } => return None,
            Phase::Connecting { .. } if now < link.hang_at => return Some(link.hang_at),
            Phase::Connecting { id, since } => {
                self.links.remove(&id);
                self.out.push(Output::Close { link: id });
                self.attempt_hung(now, owner, since);
            }
            Phase::Down if now < link.retry_at => return Some(link.retry_at),
            Phase::Down => {}
        }
        self.open(now, owner, pace)
    }

    fn attempt_hung(&mut self, now: Time, owner: LinkOwner, since: Time) {
        self.next_address(owner);
        if let Some(link) = self.link_mut(owner) {
            link.phase = Phase::Down;
            link.hung = link.hung.saturating_add(1);
            link.refused = false;
        }
        self.silent_from(now, owner, since);
    }

    /// Starts an attempt; says when it counts as hanging.
    fn open(&mut self, now: Time, owner: LinkOwner, pace: Span) -> Option<Time> {
        let addr = self.addr_of(owner)?;
        let turn = self.link(owner).map_or(0, |link| link.turn);
        let ip = match self.route(now, &addr, turn, pace) {
            Route::To(ip) => ip,
            Route::Wait(until) => {
                let link = self.link_mut(owner)?;
                link.phase = Phase::Down;
                link.retry_at = until;
                link.awaits_name = true;
                return Some(until);
            }
        };
        let round_trip = self.vitals(owner).map_or(Span::ZERO, |vitals| vitals.round_trip);
        self.link_ids += 1;
        let id = LinkId(self.link_ids);
        let link = self.link_mut(owner)?;
        let hang_limit = hang_limit(pace, round_trip, link.hung);
        link.phase = Phase::Connecting { id, since: now };
        link.to = Some(ip);
        link.awaits_name = false;
        link.retry_at = now + pace;
        link.hang_at = now + hang_limit;
        let hang_at = link.hang_at;
        self.links.insert(id, owner);
        self.out.push(Output::Connect { link: id, addr, ip });
        Some(hang_at)
    }

    /// The network is passed, the handshake goes on.
    pub(super) fn on_link_reached(&mut self, now: Time, id: LinkId, begun: bool) {
        let Some(owner) = self.owner(id) else { return };
        let Some(link) = self.link_mut(owner) else { return };
        link.hang_at = now + if begun { handshake_limit(link.hung) } else { TURN };
        match owner {
            LinkOwner::NodeCommand(node) | LinkOwner::NodeEvents(node) => self.connect_node(now, node),
            LinkOwner::Peer(peer) => self.connect_peer(now, peer),
        }
    }

    /// A connection is established: introduce ourselves and see whether the other side lives.
    pub(super) fn on_link_up(&mut self, now: Time, id: LinkId, local: IpAddr) {
        let Some(owner) = self.owner(id) else { return };
        let Some(link) = self.link_mut(owner) else { return };
        link.phase = Phase::Up { id, since: now, local };
        link.hung = 0;
        link.refused = false;
        link.heard = now;
        self.address_proven(owner);
        self.authenticate(owner);
        let role = if matches!(owner, LinkOwner::NodeEvents(_)) { "pubsub" } else { "cmd" };
        let me: String = self.globals.my_id.chars().take(8).collect();
        let name = Arc::from(format!("sentinel-{me}-{role}"));
        self.send(owner, Request::SetName(name), Expect::Nothing);
        match owner {
            LinkOwner::NodeCommand(node) => self.greet_node(now, node),
            LinkOwner::NodeEvents(node) => {
                self.send(owner, Request::Subscribe, Expect::Subscribe);
                self.beat_node(now, node);
            }
            LinkOwner::Peer(peer) => self.greet_peer(now, peer),
        }
    }

    fn authenticate(&mut self, owner: LinkOwner) {
        let master = match owner {
            LinkOwner::NodeCommand(node) | LinkOwner::NodeEvents(node) => {
                self.nodes.get(&node).and_then(|node| self.masters.get(&node.master))
            }
            LinkOwner::Peer(_) => None,
        };
        let (user, pass) = match (master, owner) {
            (Some(master), _) => (master.settings.auth_user.clone(), master.settings.auth_pass.clone()),
            (None, LinkOwner::Peer(_)) => match &self.globals.sentinel_pass {
                Some(pass) => (self.globals.sentinel_user.clone(), Some(pass.clone())),
                None => (None, self.globals.requirepass.clone()),
            },
            (None, LinkOwner::NodeCommand(_) | LinkOwner::NodeEvents(_)) => return,
        };
        if let Some(pass) = pass {
            self.send(owner, Request::Auth { user, pass }, Expect::Nothing);
        }
    }

    fn greet_node(&mut self, now: Time, id: NodeId) {
        if let Some(node) = self.nodes.get_mut(&id) {
            node.vitals.last_ping = None;
            node.next_info = now;
            node.next_hello = now;
        }
        self.beat_node(now, id);
        self.link_changed(now, LinkOwner::NodeCommand(id));
    }

    fn greet_peer(&mut self, now: Time, id: PeerId) {
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.vitals.last_ping = None;
            peer.next_hello = now;
            peer.kin = Kin::Unknown;
        }
        let hello = ["1", "HELLO", &self.globals.my_id].map(Arc::from).to_vec();
        self.send(LinkOwner::Peer(id), Request::Vigia(hello), Expect::VigiaHello);
        self.beat_peer(now, id);
        self.link_changed(now, LinkOwner::Peer(id));
    }

    /// A connection could not even be tried. Source: spec 03, section 2: logged at debug.
    pub(super) fn on_connect_failed(&mut self, id: LinkId, why: &str) {
        let Some(owner) = self.owner(id) else { return };
        let (kind, subject) = match owner {
            LinkOwner::NodeCommand(node) => (Kind::CmdLinkReconnection, self.node_subject(node)),
            LinkOwner::NodeEvents(node) => (Kind::PubsubLinkReconnection, self.node_subject(node)),
            LinkOwner::Peer(peer) => {
                let peer = self.peers.get(&peer);
                let master = peer.and_then(|peer| Some((*peer.masters.first()?, &peer.run_id)));
                let subject = master.and_then(|(master, run_id)| self.sentinel_subject(master, run_id));
                (Kind::CmdLinkReconnection, subject)
            }
        };
        if let Some(subject) = subject {
            self.out.push(Output::Event(Event { kind, subject, detail: format!(" #{why}") }));
        }
    }

    /// A connection could not be made, or ended without our doing.
    pub(super) fn on_link_down(&mut self, now: Time, id: LinkId, cause: DownCause) {
        let Some(owner) = self.links.remove(&id) else { return };
        let Some(link) = self.link_mut(owner) else { return };
        let was_up = link.up().is_some();
        link.phase = Phase::Down;
        // Nobody listens there only if nobody does at any of its addresses.
        let refused = if !was_up && self.next_address(owner) {
            self.retry_at_once(now, owner);
            false
        } else {
            cause == DownCause::Refused
        };
        let Some(link) = self.link_mut(owner) else { return };
        let news = was_up || refused != link.refused;
        link.refused = refused;
        if cause != DownCause::Local {
            self.silent_from(now, owner, now);
        }
        self.reconnect(now, owner, was_up);
        if news {
            self.link_changed(now, owner);
        }
    }

    /// The command connection is gone since `since`: silence counts from there at the latest.
    fn silent_from(&mut self, now: Time, owner: LinkOwner, since: Time) {
        match owner {
            LinkOwner::NodeCommand(id) => {
                if let Some(node) = self.nodes.get_mut(&id) {
                    node.vitals.silent_since.get_or_insert(since);
                    self.review_down(now, id);
                }
            }
            LinkOwner::Peer(id) => {
                if let Some(peer) = self.peers.get_mut(&id) {
                    peer.vitals.silent_since.get_or_insert(since);
                    self.review_peer_down(now, id);
                }
            }
            LinkOwner::NodeEvents(_) => {}
        }
    }

    /// Closes a connection that hangs and opens a fresh one at once. Silence goes on counting.
    pub(super) fn replace_link(&mut self, now: Time, owner: LinkOwner) {
        let Some(link) = self.link_mut(owner) else { return };
        let Some(id) = link.id() else { return };
        let was_up = link.up().is_some();
        link.phase = Phase::Down;
        link.retry_at = now;
        self.links.remove(&id);
        self.out.push(Output::Close { link: id });
        self.reconnect(now, owner, was_up);
    }

    /// Forgets what was unanswered on a connection that is gone, and makes a new one when it is time.
    fn reconnect(&mut self, now: Time, owner: LinkOwner, was_up: bool) {
        match owner {
            LinkOwner::NodeCommand(node) => {
                self.command_link_lost(node);
                self.connect_node(now, node);
            }
            LinkOwner::NodeEvents(node) => {
                if let Some(node) = self.nodes.get_mut(&node) {
                    node.sub.pending.clear();
                }
                self.connect_node(now, node);
            }
            LinkOwner::Peer(peer) => {
                if let Some(peer) = self.peers.get_mut(&peer) {
                    peer.vitals.ping_sent = None;
                    peer.cmd.pending.clear();
                }
                if was_up {
                    self.forget_asked(peer);
                }
                self.connect_peer(now, peer);
            }
        }
    }

    /// What was unanswered on a command connection is lost; a reconfiguration is sent again.
    pub(super) fn command_link_lost(&mut self, id: NodeId) {
        let Some(node) = self.nodes.get_mut(&id) else { return };
        let unfinished = node.cmd.pending.iter().any(|expect| matches!(expect, Expect::Exec));
        if unfinished && matches!(node.reconf, Reconf::Sent(_)) {
            node.reconf = Reconf::None;
        }
        node.cmd.pending.clear();
        node.vitals.ping_sent = None;
        node.info_sent = None;
    }

    /// Sends a request and remembers what its reply will mean. Without a connection it is dropped.
    pub(super) fn send(&mut self, owner: LinkOwner, request: Request, expect: Expect) {
        let renames = self.renames(owner);
        let Some(link) = self.link_mut(owner) else { return };
        let Some(id) = link.up() else { return };
        link.pending.push_back(expect);
        self.out.push(Output::Send { link: id, request, renames });
    }

    /// Renamed commands: those of the node's master; for a peer those of the first master that has
    /// any, since the link is shared. Source: spec 01, section 5.4.
    fn renames(&self, owner: LinkOwner) -> Option<Renames> {
        let of = |id: &MasterId| {
            let renames = &self.masters.get(id)?.settings.renames;
            (!renames.is_empty()).then(|| renames.clone())
        };
        match owner {
            LinkOwner::NodeCommand(node) | LinkOwner::NodeEvents(node) => of(&self.nodes.get(&node)?.master),
            LinkOwner::Peer(peer) => {
                let masters = &self.peers.get(&peer)?.masters;
                self.renaming.iter().find(|id| masters.contains(id)).and_then(of)
            }
        }
    }

    pub(super) fn link(&self, owner: LinkOwner) -> Option<&Link> {
        match owner {
            LinkOwner::NodeCommand(node) => self.nodes.get(&node).map(|node| &node.cmd),
            LinkOwner::NodeEvents(node) => self.nodes.get(&node).map(|node| &node.sub),
            LinkOwner::Peer(peer) => self.peers.get(&peer).map(|peer| &peer.cmd),
        }
    }

    fn vitals(&self, owner: LinkOwner) -> Option<&Vitals> {
        match owner {
            LinkOwner::NodeCommand(node) | LinkOwner::NodeEvents(node) => {
                self.nodes.get(&node).map(|node| &node.vitals)
            }
            LinkOwner::Peer(peer) => self.peers.get(&peer).map(|peer| &peer.vitals),
        }
    }

    pub(super) fn link_mut(&mut self, owner: LinkOwner) -> Option<&mut Link> {
        match owner {
            LinkOwner::NodeCommand(node) => self.nodes.get_mut(&node).map(|node| &mut node.cmd),
            LinkOwner::NodeEvents(node) => self.nodes.get_mut(&node).map(|node| &mut node.sub),
            LinkOwner::Peer(peer) => self.peers.get_mut(&peer).map(|peer| &mut peer.cmd),
        }
    }

    fn retry_at_once(&mut self, now: Time, owner: LinkOwner) {
        if let Some(link) = self.link_mut(owner) {
            link.retry_at = now;
        }
    }

    pub(super) fn addr_of(&self, owner: LinkOwner) -> Option<super::ids::Addr> {
        match owner {
            LinkOwner::NodeCommand(node) | LinkOwner::NodeEvents(node) => {
                self.nodes.get(&node).map(|node| node.addr.clone())
            }
            LinkOwner::Peer(peer) => self.peers.get(&peer).map(|peer| peer.addr.clone()),
        }
    }

    /// What hangs on a connection being there: an election's reach, a takeover.
    fn link_changed(&mut self, now: Time, owner: LinkOwner) {
        match owner {
            LinkOwner::Peer(peer) => self.peer_link_changed(now, peer),
            LinkOwner::NodeCommand(node) => {
                let master = self.nodes.get(&node).map(|node| node.master);
                if let Some(master) = master {
                    self.node_link_changed(now, master, node);
                }
            }
            LinkOwner::NodeEvents(_) => {}
        }
    }

    /// The sentinels of a master that are connected.
    pub(super) fn connected_sentinels(&self, id: MasterId) -> Vec<(RunId, PeerId)> {
        let sentinels = self.masters.get(&id).map(|m| &m.sentinels).into_iter().flatten();
        let up = |peer: &PeerId| self.peers.get(peer).is_some_and(|p| p.cmd.up().is_some());
        sentinels.filter(|(_, s)| up(&s.peer)).map(|(id, s)| (id.clone(), s.peer)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::settings::Globals;
    use crate::engine::{Command, Epoch, Input, State, Ticket};

    /// What the engine does about its links at `ms`: `connect 1`, `close 1`...
    fn links(engine: &mut Engine, ms: u64, input: Input<'_>) -> Vec<String> {
        let outputs = engine.handle(Time(1_000 * ms), input);
        let text = |output| {
            if let Output::Connect { link, .. } = output {
                Some(format!("connect {}", link.0))
            } else if let Output::Close { link } = output {
                Some(format!("close {}", link.0))
            } else {
                None
            }
        };
        outputs.filter_map(text).collect()
    }

    #[test]
    fn a_handshake_gets_more_time_than_the_network() {
        let globals = Globals::new(RunId::from("me"));
        let state = State { globals, current_epoch: Epoch(0), masters: Vec::new() };
        let mut engine = Engine::new(state, 1, Time(0));
        let monitor = Command::Monitor { name: "m".into(), host: "10.0.0.1".into(), port: 1, quorum: 1 };
        let started = links(&mut engine, 0, Input::Command { ticket: Ticket(1), command: monitor });
        assert_eq!(started, ["connect 1", "connect 2"]);
        // The first attempts get about 100 ms.
        assert_eq!(links(&mut engine, 50, Input::LinkReached { link: LinkId(1), begun: true }), [""; 0]);
        assert_eq!(links(&mut engine, 200, Input::Tick), ["close 2", "connect 3"]);
        assert_eq!(links(&mut engine, 300, Input::LinkReached { link: LinkId(3), begun: true }), [""; 0]);
        assert_eq!(links(&mut engine, 1_049, Input::Tick), [""; 0]);
        assert_eq!(links(&mut engine, 1_050, Input::Tick), ["close 1", "connect 4"]);
        // An attempt of this connection hung before: two seconds.
        assert!(!links(&mut engine, 2_299, Input::Tick).contains(&"close 3".to_owned()));
        let outputs = links(&mut engine, 2_300, Input::Tick);
        assert!(outputs.contains(&"close 3".to_owned()), "{outputs:?}");
        // Waiting for its turn here takes nothing off the time of the next one, whose time is doubled again.
        let next =
            outputs.last().and_then(|text| text.strip_prefix("connect ")).and_then(|id| id.parse().ok());
        let next = LinkId(next.unwrap());
        let closes = |outputs: Vec<String>| outputs.contains(&format!("close {}", next.0));
        assert!(!closes(links(&mut engine, 2_301, Input::LinkReached { link: next, begun: false })));
        assert!((3..100).all(|second| !closes(links(&mut engine, 1_000 * second, Input::Tick))));
        assert!(!closes(links(&mut engine, 100_000, Input::LinkReached { link: next, begun: true })));
        assert!(!closes(links(&mut engine, 103_999, Input::Tick)));
        assert!(closes(links(&mut engine, 104_000, Input::Tick)));
        assert_eq!([0, 1, 3, 9].map(handshake_limit), [1, 2, 8, 8].map(Span::secs));
    }

    #[test]
    fn a_hanging_attempt_gets_more_time_only_where_the_network_may_be_slow() {
        let table = [
            (50, 0, 0, 50),
            (50, 0, 10, 50),
            (50, 0, 12, 200),
            (50, 0, 40, 1_000),
            (50, 1, 40, 50),
            (50, 30, 40, 90),
            (50, 1, 100, 200),
            (1_000, 1, 100, 1_000),
        ];
        for (pace, round_trip, hung, limit) in table {
            let got = hang_limit(Span::ms(pace), Span::ms(round_trip), hung);
            assert_eq!(got, Span::ms(limit), "pace {pace} round trip {round_trip} hung {hung}");
        }
    }
}
