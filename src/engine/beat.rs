//! Periodic commands: PING, INFO and hello. What is due together leaves in one write.
//!
//! Source: spec 04, section 4; DESIGN section 3 "Detection" for the pace of PING.

use super::event::Kind;
use super::hello::{self, Hello};
use super::ids::Addr;
use super::info::Role;
use super::instance::{Expect, MasterId, NodeId, PeerId, Phase};
use super::output::Request;
use super::schedule::Wake;
use super::time::{Span, Time};
use super::{Engine, LinkOwner};

/// Shortest pause between PINGs.
const FASTEST_PING: Span = Span::ms(10);
/// INFO while something is going on with the node.
const FAST_INFO: Span = Span::secs(1);
/// Commands per link that may be unanswered before INFO, PING and PUBLISH pause (per sharer).
const MOST_PENDING: usize = 100;

/// More PINGs per second than this are not sent by one process: with many instances P stretches towards
/// stock's ping-period. 100 instances may have P = 20 ms, 5,000 have 1 s.
const MOST_PINGS_PER_SECOND: u64 = 5_000;

/// P = min(ping-period, max(10 ms, D/10)), stretched when `instances` are many.
fn ping_period(longest: Span, down_after: Span, instances: usize) -> Span {
    let fair_share = Span(instances as u64 * Span::secs(1).0 / MOST_PINGS_PER_SECOND);
    longest.min(FASTEST_PING.max(Span(down_after.0 / 10)).max(fair_share))
}

impl Engine {
    fn ping_period(&self, down_after: Span) -> Span {
        ping_period(self.tuning.ping_period, down_after, self.nodes.len() + self.peers.len())
    }

    /// Sends what is due to a data node, replaces links that hang, and sets the next beat. A
    /// subscription link on which nothing was heard for 3 × publish-period is made anew: we should
    /// hear our own hello.
    pub(super) fn beat_node(&mut self, now: Time, id: NodeId) {
        let Some(node) = self.nodes.get(&id) else { return };
        let Some(master) = self.masters.get(&node.master) else { return };
        let down_after = master.down_after();
        if self.hangs(now, LinkOwner::NodeCommand(id), down_after, node.sdown.is_some()) {
            self.replace_link(now, LinkOwner::NodeCommand(id));
            return;
        }
        if let Phase::Up { since, .. } = node.sub.phase
            && now.since(since) > self.tuning.min_link_reconnect_period
            && now
                > node.sub.heard
                    + Span(3 * self.tuning.publish_period.0)
                    + self.stalls.within(node.sub.heard, Span::ZERO)
        {
            self.replace_link(now, LinkOwner::NodeEvents(id));
        }
        let period = self.ping_period(down_after);
        self.ping_node(now, id, period);
        self.info_node(now, id);
        self.hello_node(now, id);
        self.plan_beat(now, id);
    }

    fn ping_node(&mut self, now: Time, id: NodeId, period: Span) {
        let Some(node) = self.nodes.get_mut(&id) else { return };
        let due = node.vitals.last_ping.is_none_or(|at| now >= at + period);
        if node.cmd.up().is_none() || node.vitals.ping_sent.is_some() || !due || full(&node.cmd, 1) {
            return;
        }
        node.vitals.ping_sent = Some(now);
        node.vitals.last_ping = Some(now);
        node.vitals.silent_since.get_or_insert(now);
        self.send(LinkOwner::NodeCommand(id), Request::Ping, Expect::Ping);
        self.review_down(now, id);
    }

    fn info_node(&mut self, now: Time, id: NodeId) {
        let Some(node) = self.nodes.get_mut(&id) else { return };
        if node.cmd.up().is_none() || node.info_sent.is_some() || now < node.next_info || full(&node.cmd, 1) {
            return;
        }
        node.info_sent = Some(now);
        self.send(LinkOwner::NodeCommand(id), Request::Info, Expect::Info);
        let period = self.info_period(id);
        if let Some(node) = self.nodes.get_mut(&id) {
            node.next_info = now + period;
        }
    }

    fn hello_node(&mut self, now: Time, id: NodeId) {
        let Some(node) = self.nodes.get_mut(&id) else { return };
        let Some(local) = node.cmd.local() else { return };
        if now < node.next_hello || full(&node.cmd, 1) {
            return;
        }
        node.next_hello = now + self.tuning.publish_period;
        let master = node.master;
        self.publish(master, LinkOwner::NodeCommand(id), local);
    }

    /// INFO every 10 s, every second while its answer is awaited: a replica of a master that is
    /// ODOWN or in failover, a link that is down, or a role that is not what we think.
    fn info_period(&self, id: NodeId) -> Span {
        let Some(node) = self.nodes.get(&id) else { return self.tuning.info_period };
        let Some(master) = self.masters.get(&node.master) else { return self.tuning.info_period };
        let unexpected = node.reported != node.role;
        let astray = node.role == Role::Replica
            && (node.replica.link_down_ms != 0
                || master.odown.is_some()
                || master.failover.in_progress()
                || master.job.is_some()
                || !self.is_in_line(node));
        let period = self.tuning.info_period;
        if unexpected || astray { FAST_INFO.min(period) } else { period }
    }

    /// An answer may show that the next INFO is wanted sooner than was thought when it was asked for.
    pub(super) fn hasten_info(&mut self, now: Time, id: NodeId) {
        let soon = now + self.info_period(id);
        if let Some(node) = self.nodes.get_mut(&id) {
            node.next_info = node.next_info.min(soon);
        }
    }

    /// Sets the next beat of a data node.
    pub(super) fn plan_beat(&mut self, now: Time, id: NodeId) {
        let Some(node) = self.nodes.get(&id) else { return };
        let Some(master) = self.masters.get(&node.master) else { return };
        if node.cmd.up().is_none() {
            self.schedule.cancel(Wake::Beat(id));
            return;
        }
        let down_after = master.down_after();
        let ping = match node.vitals.ping_sent {
            Some(sent) => self.hang_deadline(sent, down_after, node.sdown.is_some()),
            None => node.vitals.last_ping.map_or(now, |at| at + self.ping_period(down_after)),
        };
        let mut next = ping.min(node.next_hello);
        if node.info_sent.is_none() {
            next = next.min(node.next_info);
        }
        self.schedule.set(Wake::Beat(id), unless_blocked(now, next));
    }

    /// Asks a node for INFO at once, or as soon as the outstanding answer is there.
    pub(super) fn info_now(&mut self, now: Time, id: NodeId) {
        if let Some(node) = self.nodes.get_mut(&id) {
            node.next_info = now;
        }
        self.info_node(now, id);
        self.plan_beat(now, id);
    }

    /// Whether a PING on this link is unanswered for so long that the link itself may be dead
    /// (half-open TCP): D/2, and not again every D/2 while the process is known to be SDOWN.
    fn hangs(&self, now: Time, owner: LinkOwner, down_after: Span, sdown: bool) -> bool {
        let sent = match owner {
            LinkOwner::NodeCommand(node) => self.nodes.get(&node).and_then(|node| node.vitals.ping_sent),
            LinkOwner::Peer(peer) => self.peers.get(&peer).and_then(|peer| peer.vitals.ping_sent),
            LinkOwner::NodeEvents(_) => None,
        };
        sent.is_some_and(|sent| now >= self.hang_deadline(sent, down_after, sdown))
    }

    fn hang_deadline(&self, sent: Time, down_after: Span, sdown: bool) -> Time {
        let half = Span(down_after.0 / 2);
        let patience = if sdown { half.max(self.tuning.min_link_reconnect_period) } else { half };
        sent + patience + self.stalls.within(sent, down_after)
    }

    /// Sends what is due to another sentinel and sets the next beat.
    pub(super) fn beat_peer(&mut self, now: Time, id: PeerId) {
        let down_after = self.peer_down_after(id);
        let sdown = self.peer_is_down(id);
        if self.hangs(now, LinkOwner::Peer(id), down_after, sdown) {
            self.replace_link(now, LinkOwner::Peer(id));
            return;
        }
        let period = self.ping_period(down_after);
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let Some(local) = peer.cmd.local() else {
            self.schedule.cancel(Wake::PeerBeat(id));
            return;
        };
        let room = !full(&peer.cmd, peer.masters.len());
        let due = peer.vitals.last_ping.is_none_or(|at| now >= at + period);
        let ping = room && due && peer.vitals.ping_sent.is_none();
        if ping {
            peer.vitals.ping_sent = Some(now);
            peer.vitals.last_ping = Some(now);
            peer.vitals.silent_since.get_or_insert(now);
        }
        let mut masters = Vec::new();
        if now >= peer.next_hello && room {
            peer.next_hello = now + self.tuning.publish_period;
            masters.extend(peer.masters.iter().copied());
        }
        if ping {
            self.send(LinkOwner::Peer(id), Request::Ping, Expect::Ping);
            self.review_peer_down(now, id);
        }
        for master in masters {
            self.publish(master, LinkOwner::Peer(id), local);
        }
        self.plan_peer_beat(now, id);
    }

    /// Sets the next beat of another sentinel.
    pub(super) fn plan_peer_beat(&mut self, now: Time, id: PeerId) {
        let down_after = self.peer_down_after(id);
        let sdown = self.peer_is_down(id);
        let Some(peer) = self.peers.get(&id) else { return };
        if peer.cmd.up().is_none() {
            self.schedule.cancel(Wake::PeerBeat(id));
            return;
        }
        let ping = match peer.vitals.ping_sent {
            Some(sent) => self.hang_deadline(sent, down_after, sdown),
            None => peer.vitals.last_ping.map_or(now, |at| at + self.ping_period(down_after)),
        };
        self.schedule.set(Wake::PeerBeat(id), unless_blocked(now, ping.min(peer.next_hello)));
    }

    /// Tells one process of our view of a master, if all of it is durable; else as soon as it is.
    fn publish(&mut self, id: MasterId, owner: LinkOwner, local: std::net::IpAddr) {
        if !self.is_durable(id) {
            self.wanted_hellos.insert(id);
            return;
        }
        let Some(master) = self.masters.get(&id) else { return };
        let Some(node) = self.nodes.get(&master.node) else { return };
        let host = self.globals.announce_ip.as_deref().map_or_else(|| local.to_string(), str::to_owned);
        let payload = hello::format(&Hello {
            addr: Addr::new(&host, self.globals.announce_port.unwrap_or(self.globals.port)),
            run_id: &self.globals.my_id,
            current_epoch: self.current_epoch,
            master: &master.name,
            master_addr: self.usable(&node.addr),
            config_epoch: master.config_epoch,
        });
        self.send(owner, Request::Publish(payload.into()), Expect::Publish);
    }

    /// Tells everybody of our view of a master now, or as soon as it is durable.
    pub(super) fn hello_all(&mut self, now: Time, id: MasterId) {
        if !self.is_durable(id) {
            self.wanted_hellos.insert(id);
            return;
        }
        let Some(master) = self.masters.get(&id) else { return };
        let nodes: Vec<NodeId> = [master.node].into_iter().chain(master.replicas.values().copied()).collect();
        let peers: Vec<PeerId> = master.sentinels.values().map(|s| s.peer).collect();
        for peer in peers {
            if let Some(local) = self.peers.get(&peer).and_then(|peer| peer.cmd.local()) {
                self.publish(id, LinkOwner::Peer(peer), local);
            }
        }
        for node in nodes {
            if let Some(node) = self.nodes.get_mut(&node) {
                node.next_hello = now;
            }
            self.hello_node(now, node);
            self.plan_beat(now, node);
        }
    }

    /// The hellos that waited for a save.
    pub(super) fn send_wanted_hellos(&mut self) {
        let now = self.now;
        for id in std::mem::take(&mut self.wanted_hellos) {
            self.hello_all(now, id);
        }
    }

    /// A node refused a command that a failover needs; the operator should know before it is too late.
    pub(super) fn command_refused(&mut self, id: NodeId, command: &str, error: &str) {
        self.emit_node(id, Kind::ReconfCommandFailed, format!(" #{command}: {error}"));
    }
}

/// What is due and was not sent found too many unanswered commands: look again a little later.
fn unless_blocked(now: Time, next: Time) -> Time {
    if next > now { next } else { now + Span::ms(100) }
}

fn full(link: &super::instance::Link, sharers: usize) -> bool {
    link.pending.len() >= MOST_PENDING * sharers.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pings_come_every_tenth_of_d_unless_there_are_too_many() {
        let table = [
            (30_000, 5, 1_000),
            (5_000, 5, 500),
            (200, 5, 20),
            (50, 5, 10),
            (200, 500, 100),
            (200, 9_000, 1_000),
        ];
        for (down_after, instances, period) in table {
            assert_eq!(
                ping_period(Span::secs(1), Span::ms(down_after), instances),
                Span::ms(period),
                "D {down_after} of {instances}"
            );
        }
    }
}
