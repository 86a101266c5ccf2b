//! What the replies on our links mean, in the order of the requests.
//!
//! Source: spec 04, section 5.

use super::event::{Kind, Level, Note};
use super::ids::{LinkId, RunId};
use super::info::Role;
use super::instance::{Expect, Kin, NodeId, PeerId};
use super::output::{Output, Request};
use super::registry::MOST_SENTINELS;
use super::reply::Reply;
use super::time::{Span, Time};
use super::vigia::version_of;
use super::{Engine, LinkOwner};

impl Engine {
    /// The next reply on a link. A reply that nothing waits for is the other side's garbage.
    pub(super) fn on_reply(&mut self, now: Time, id: LinkId, reply: &Reply<'_>) {
        let Some(owner) = self.owner(id) else { return };
        let Some(link) = self.link_mut(owner) else { return };
        link.heard = now;
        let Some(expect) = link.pending.pop_front() else { return };
        match (expect, owner) {
            (Expect::Nothing, _) => {}
            (Expect::Subscribe, _) => {
                if reply.is_error() {
                    self.subscription_refused(now, id, owner);
                }
            }
            (Expect::Ping, LinkOwner::NodeCommand(node)) => self.on_node_pong(now, node, reply),
            (Expect::Ping, LinkOwner::Peer(peer)) => self.on_peer_pong(now, peer, reply),
            (Expect::Info, LinkOwner::NodeCommand(node)) => self.on_info_reply(now, node, reply),
            (Expect::Publish, LinkOwner::NodeCommand(node)) => self.on_published(node, reply),
            (Expect::Queued(word), LinkOwner::NodeCommand(node)) => self.on_queued(now, node, word, reply),
            (Expect::Exec, LinkOwner::NodeCommand(node)) => self.on_exec(now, node, reply),
            (Expect::Down { master, node, candidate_epoch }, LinkOwner::Peer(peer)) => {
                self.on_down_report(now, peer, (master, node), candidate_epoch, reply);
            }
            (Expect::MasterEntry { master, epoch }, LinkOwner::Peer(peer)) => {
                self.on_master_entry(now, peer, master, epoch, reply);
            }
            (Expect::VigiaHello, LinkOwner::Peer(peer)) => self.on_vigia_hello(peer, reply),
            (Expect::VigiaCalm { master, asked }, LinkOwner::Peer(peer)) => {
                self.on_vigia_calm(now, peer, (master, asked), reply);
            }
            (Expect::VigiaVoters { master }, LinkOwner::Peer(_)) => self.on_vigia_voters(now, master, reply),
            (
                Expect::Ping
                | Expect::Info
                | Expect::Publish
                | Expect::Queued(_)
                | Expect::Exec
                | Expect::Down { .. }
                | Expect::MasterEntry { .. }
                | Expect::VigiaHello
                | Expect::VigiaCalm { .. }
                | Expect::VigiaVoters { .. },
                _,
            ) => {}
        }
    }

    /// An error reply to SUBSCRIBE ends the subscription connection; the next attempt comes with the
    /// normal pace.
    fn subscription_refused(&mut self, now: Time, id: LinkId, owner: LinkOwner) {
        self.out.push(Output::Close { link: id });
        self.on_link_down(now, id, super::input::DownCause::Local);
        debug_assert!(matches!(owner, LinkOwner::NodeEvents(_)), "only subscription links subscribe");
    }

    fn on_node_pong(&mut self, now: Time, id: NodeId, reply: &Reply<'_>) {
        let Some(node) = self.nodes.get_mut(&id) else { return };
        let verdict = Verdict::of(reply);
        judge(&mut node.vitals, now, verdict);
        if verdict == Verdict::Pong {
            node.rebooted = None;
        }
        let kill_script = verdict == Verdict::Busy && node.sdown.is_some() && !node.script_kill_sent;
        if kill_script {
            node.script_kill_sent = true;
            self.send(LinkOwner::NodeCommand(id), Request::ScriptKill, Expect::Nothing);
        }
        self.review_down(now, id);
        self.beat_node(now, id);
    }

    fn on_peer_pong(&mut self, now: Time, id: PeerId, reply: &Reply<'_>) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        judge(&mut peer.vitals, now, Verdict::of(reply));
        self.review_peer_down(now, id);
        self.beat_peer(now, id);
    }

    fn on_info_reply(&mut self, now: Time, id: NodeId, reply: &Reply<'_>) {
        let Some(node) = self.nodes.get_mut(&id) else { return };
        node.info_sent = None;
        match reply.text() {
            Some(text) => {
                self.on_info(now, id, text);
                self.hasten_info(now, id);
            }
            None => {
                node.next_info = node.next_info.max(now + Span::secs(1));
            }
        }
        self.beat_node(now, id);
    }

    /// A refused PUBLISH means that other sentinels cannot find us through this node.
    fn on_published(&mut self, id: NodeId, reply: &Reply<'_>) {
        let Reply::Error(error) = reply else { return };
        let Some(node) = self.nodes.get_mut(&id) else { return };
        if node.sdown.is_none() && !error.starts_with("LOADING") && !error.starts_with("MASTERDOWN") {
            let text = format!("Node {} refuses our hello: {error}", node.addr);
            self.out.push(Output::Note(Note::Text { level: Level::Verbose, text }));
        }
    }

    fn on_vigia_hello(&mut self, id: PeerId, reply: &Reply<'_>) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        peer.kin = match reply {
            Reply::Array(words) if words.first().and_then(Reply::text).and_then(version_of).is_some() => {
                Kin::Vigia
            }
            Reply::Array(_)
            | Reply::Status(_)
            | Reply::Error(_)
            | Reply::Integer(_)
            | Reply::Bulk(_)
            | Reply::Nil => Kin::Stock,
        };
    }

    /// The voter set that a Vigía peer knows: a larger one than ours raises the majority we need (S2).
    fn on_vigia_voters(&mut self, now: Time, id: super::instance::MasterId, reply: &Reply<'_>) {
        let Reply::Array(words) = reply else { return };
        let Some(master) = self.masters.get_mut(&id) else { return };
        let mut all: std::collections::BTreeSet<RunId> = master.voters.clone();
        all.insert(self.globals.my_id.clone());
        all.extend(words.iter().filter_map(Reply::text).map(RunId::from));
        let hint = all.len().min(MOST_SENTINELS);
        if hint > master.voter_hint {
            master.voter_hint = hint;
            self.count_votes(now, id);
        }
    }

    /// `+reboot`, and the grace that a rebooted master gets while it loads. It is asked at once whether it
    /// still does: an answer that came before its INFO did not count.
    pub(super) fn note_run_id(&mut self, now: Time, id: NodeId, run_id: &str) {
        let Some(node) = self.nodes.get_mut(&id) else { return };
        if node.run_id.as_deref() == Some(run_id) {
            return;
        }
        let rebooted = node.run_id.replace(RunId::from(run_id)).is_some();
        if !rebooted {
            return;
        }
        let patience = self.masters.get(&node.master).map(|m| m.settings.reboot_down_after.0);
        if node.role == Role::Master && patience.is_some_and(|ms| ms > 0) {
            node.rebooted = Some(now);
            node.vitals.last_ping = None;
        }
        self.emit_node(id, Kind::Reboot, "");
    }
}

/// What a PING reply says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Verdict {
    /// `PONG`.
    Pong,
    /// `LOADING`, `MASTERDOWN`: alive.
    Acceptable,
    /// `BUSY`: a script runs.
    Busy,
    /// Anything else is a reply, but not one of a usable node.
    Unacceptable,
}

impl Verdict {
    fn of(reply: &Reply<'_>) -> Self {
        let text = match reply {
            Reply::Status(text) | Reply::Error(text) => *text,
            Reply::Integer(_) | Reply::Bulk(_) | Reply::Nil | Reply::Array(_) => return Self::Unacceptable,
        };
        if text.starts_with("PONG") {
            Self::Pong
        } else if text.starts_with("LOADING") || text.starts_with("MASTERDOWN") {
            Self::Acceptable
        } else if text.starts_with("BUSY") {
            Self::Busy
        } else {
            Self::Unacceptable
        }
    }
}

fn judge(vitals: &mut super::instance::Vitals, now: Time, verdict: Verdict) {
    if let Some(sent) = vitals.ping_sent.take() {
        let round = now.since(sent);
        vitals.round_trip = match vitals.round_trip {
            Span::ZERO => round,
            smoothed => Span((smoothed.0 * 7 + round.0) / 8),
        };
    }
    vitals.last_pong = now;
    if matches!(verdict, Verdict::Pong | Verdict::Acceptable) {
        vitals.silent_since = None;
        vitals.last_available = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_counts_as_alive() {
        let table = [
            (Reply::Status("PONG"), Verdict::Pong),
            (Reply::Error("LOADING Redis is loading the dataset in memory"), Verdict::Acceptable),
            (Reply::Error("MASTERDOWN Link with MASTER is down"), Verdict::Acceptable),
            (Reply::Error("BUSY Redis is busy running a script"), Verdict::Busy),
            (Reply::Error("NOAUTH Authentication required."), Verdict::Unacceptable),
            (Reply::Error("MISCONF Redis is configured to save"), Verdict::Unacceptable),
            (Reply::Bulk(b"PONG"), Verdict::Unacceptable),
            (Reply::Nil, Verdict::Unacceptable),
        ];
        for (reply, verdict) in table {
            assert_eq!(Verdict::of(&reply), verdict, "{reply:?}");
        }
    }
}
