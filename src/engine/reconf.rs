//! Pointing nodes at the master in force: the job after a failover, and corrections at any time.
//!
//! Source: spec 05, section 8; spec 04, section 5; DESIGN section 3 "Announcement", "Afterwards"; S6.

use super::Engine;
use super::LinkOwner;
use super::election::rank_of;
use super::event::Kind;
use super::failover::Failover;
use super::info::Role;
use super::instance::{Expect, Kin, MasterId, NodeId, Reconf};
use super::output::Request;
use super::reply::Reply;
use super::schedule::Wake;
use super::time::{Span, Time};

/// Pause between two looks at replicas that are being reconfigured, at first and later on.
const FAST_LOOK: Span = Span::ms(50);
const SLOW_LOOK: Span = Span::ms(500);
/// How long the looks stay fast.
const FAST_FOR: Span = Span::secs(2);
/// A leader that stalled for longer than this must ask the others first.
const LONGEST_STALL: Span = Span::secs(1);
/// Time between the turns of two Vigía that may correct a node.
const TURN: Span = Span::ms(300);
/// Pause between two corrections of one node.
const CORRECTION_PAUSE: Span = Span::secs(2);
/// A node that refused is told again after this: the operator may have mended its ACL.
const REFUSED_PAUSE: Span = Span::secs(1);

impl Engine {
    /// Sends the transaction that changes a node's master; its replies are read.
    /// Source: spec 05, section 7.
    pub(super) fn send_transaction(&mut self, id: NodeId, slaveof: Request) {
        let owner = LinkOwner::NodeCommand(id);
        self.send(owner, Request::Multi, Expect::Queued("MULTI"));
        self.send(owner, slaveof, Expect::Queued("SLAVEOF"));
        self.send(owner, Request::ConfigRewrite, Expect::Queued("CONFIG REWRITE"));
        self.send(owner, Request::KillNormal, Expect::Queued("CLIENT KILL TYPE normal"));
        self.send(owner, Request::KillPubsub, Expect::Queued("CLIENT KILL TYPE pubsub"));
        self.send(owner, Request::Exec, Expect::Exec);
    }

    /// A command of the transaction was not queued: EXEC will refuse the whole, unless MULTI itself was
    /// refused: then each command is carried out as it comes.
    pub(super) fn on_queued(&mut self, now: Time, id: NodeId, word: &str, reply: &Reply<'_>) {
        if let Reply::Error(error) = reply {
            self.command_refused(id, word, error);
            if word == "SLAVEOF" {
                self.transaction_refused(now, id, error);
            }
        }
    }

    /// The outcome of the transaction, one reply for each command.
    pub(super) fn on_exec(&mut self, now: Time, id: NodeId, reply: &Reply<'_>) {
        const WORDS: [&str; 4] =
            ["SLAVEOF", "CONFIG REWRITE", "CLIENT KILL TYPE normal", "CLIENT KILL TYPE pubsub"];
        let mut refused = None;
        match reply {
            Reply::Array(results) => {
                for (word, result) in WORDS.iter().zip(results) {
                    if let Reply::Error(error) = result {
                        self.command_refused(id, word, error);
                        if *word == "SLAVEOF" {
                            refused = Some((*error).to_owned());
                        }
                    }
                }
            }
            // The commands were carried out without a transaction; INFO tells what came of them.
            Reply::Error(error) if error.starts_with("ERR EXEC without MULTI") => {}
            Reply::Error(error) => refused = Some((*error).to_owned()),
            Reply::Status(_) | Reply::Integer(_) | Reply::Bulk(_) | Reply::Nil => {
                refused = Some("unexpected reply to EXEC".to_owned());
            }
        }
        if let Some(why) = refused {
            self.transaction_refused(now, id, &why);
        }
        self.info_now(now, id);
    }

    fn transaction_refused(&mut self, now: Time, id: NodeId, why: &str) {
        let Some(master) = self.nodes.get(&id).map(|node| node.master) else { return };
        let Some(entry) = self.masters.get(&master) else { return };
        if entry.failover.promoted() == Some(id) && matches!(entry.failover, Failover::WaitPromotion { .. }) {
            self.promotion_refused(now, master, id, why);
            return;
        }
        if let Some(node) = self.nodes.get_mut(&id) {
            node.told_again_at = now + REFUSED_PAUSE;
            node.corrected = None;
        }
    }

    /// Starts the reconfiguration of the replicas. In a manual failover the old master, which still
    /// takes writes, comes first; in any failover it does not count against `parallel-syncs`.
    pub(super) fn start_job(&mut self, now: Time, id: MasterId, forced: bool) {
        if forced && let Some(old) = self.retired_node(id) {
            self.reconfigure(now, id, old);
        }
        self.step_job(now, id);
    }

    fn retired_node(&self, id: MasterId) -> Option<NodeId> {
        let replicas = self.masters.get(&id)?.replicas.values();
        replicas.copied().find(|node| {
            self.nodes
                .get(node)
                .is_some_and(|n| n.retired.is_some() && n.cmd.up().is_some() && n.sdown.is_none())
        })
    }

    /// Something about a replica or the new master changed: the job may go on.
    pub(super) fn reconf_changed(&mut self, now: Time, id: MasterId) {
        if self.masters.get(&id).is_some_and(|master| master.job.is_some()) {
            self.step_job(now, id);
        }
    }

    /// Goes on with the reconfiguration: `parallel-syncs` replicas at a time.
    pub(super) fn step_job(&mut self, now: Time, id: MasterId) {
        let Some(master) = self.masters.get(&id) else { return };
        let Some(started) = master.job.as_ref().map(|job| job.started) else { return };
        if self.stalls.longest(started) > LONGEST_STALL {
            self.end_job(id);
            return;
        }
        let deadline = started + Span::from(master.settings.failover_timeout);
        let replicas: Vec<NodeId> = master.replicas.values().copied().collect();
        for replica in &replicas {
            self.expire_sent(now, id, *replica);
        }
        self.feed_job(now, id, &replicas);
        let open = replicas.iter().filter_map(|replica| self.nodes.get(replica));
        let open = open.filter(|node| node.reconf != Reconf::Done && node.sdown.is_none()).count();
        if now >= deadline && open > 0 {
            self.emit(id, Kind::FailoverEndForTimeout, "");
            let left: Vec<NodeId> = replicas.into_iter().filter(|replica| self.is_left(*replica)).collect();
            self.end_job(id);
            self.last_effort(id, &left);
        } else if open == 0 {
            self.end_job(id);
        } else {
            let pause = if now.since(started) < FAST_FOR { FAST_LOOK } else { SLOW_LOOK };
            self.schedule.set(Wake::Reconf(id), (now + pause).min(deadline).max(now + Span(1)));
        }
    }

    /// The timer of the job: read those that are on their way, then go on.
    pub(super) fn look_at_job(&mut self, now: Time, id: MasterId) {
        let replicas: Vec<NodeId> =
            self.masters.get(&id).map(|m| m.replicas.values().copied().collect()).unwrap_or_default();
        for replica in replicas {
            let under_way = self.nodes.get(&replica).map(|node| node.reconf);
            if matches!(under_way, Some(Reconf::Sent(_) | Reconf::InProgress)) {
                self.info_now(now, replica);
            }
        }
        self.step_job(now, id);
    }

    fn feed_job(&mut self, now: Time, id: MasterId, replicas: &[NodeId]) {
        let Some(master) = self.masters.get(&id) else { return };
        let parallel = master.settings.parallel_syncs as usize;
        let running = |engine: &Self| {
            let nodes = replicas.iter().filter_map(|replica| engine.nodes.get(replica));
            let counted = nodes.filter(|node| node.retired.is_none());
            counted.filter(|node| matches!(node.reconf, Reconf::Sent(_) | Reconf::InProgress)).count()
        };
        for replica in replicas {
            let Some(node) = self.nodes.get(replica) else { continue };
            if node.reconf != Reconf::None || node.cmd.up().is_none() || node.sdown.is_some() {
                continue;
            }
            if node.retired.is_some() || running(self) < parallel {
                self.reconfigure(now, id, *replica);
            }
        }
    }

    fn reconfigure(&mut self, now: Time, id: MasterId, replica: NodeId) {
        let Some(addr) = self.usable_master(id) else { return };
        self.send_transaction(replica, Request::SlaveOf(addr));
        if let Some(node) = self.nodes.get_mut(&replica) {
            node.reconf = Reconf::Sent(now);
            node.corrected = Some(now);
        }
        self.emit_node(replica, Kind::SlaveReconfSent, "");
    }

    /// A replica that did not react for 10 s is told once more, and not waited for any more.
    fn expire_sent(&mut self, now: Time, id: MasterId, replica: NodeId) {
        let Some(node) = self.nodes.get(&replica) else { return };
        let expired =
            matches!(node.reconf, Reconf::Sent(at) if now.since(at) > self.tuning.slave_reconf_timeout);
        if !expired {
            return;
        }
        let connected = node.cmd.up().is_some();
        self.emit_node(replica, Kind::SlaveReconfSentTimeout, "");
        if connected {
            self.reconfigure(now, id, replica);
        }
        if let Some(node) = self.nodes.get_mut(&replica) {
            node.reconf = Reconf::Done;
        }
    }

    /// Whether a replica must be told a last time when the job's time is over.
    fn is_left(&self, replica: NodeId) -> bool {
        let node = self.nodes.get(&replica);
        node.is_some_and(|node| {
            matches!(node.reconf, Reconf::None | Reconf::InProgress) && node.cmd.up().is_some()
        })
    }

    fn last_effort(&mut self, id: MasterId, replicas: &[NodeId]) {
        let Some(addr) = self.usable_master(id) else { return };
        for replica in replicas {
            self.send_transaction(*replica, Request::SlaveOf(addr.clone()));
            self.emit_node(*replica, Kind::SlaveReconfSentBe, "");
        }
    }

    fn end_job(&mut self, id: MasterId) {
        let Some(master) = self.masters.get_mut(&id) else { return };
        master.job = None;
        let replicas: Vec<NodeId> = master.replicas.values().copied().collect();
        for replica in replicas {
            if let Some(node) = self.nodes.get_mut(&replica) {
                node.reconf = Reconf::None;
            }
        }
        self.schedule.cancel(Wake::Reconf(id));
        self.emit(id, Kind::FailoverEnd, "");
    }

    /// Progress of a replica that was told to follow the new master.
    pub(super) fn reconf_progress(&mut self, now: Time, id: MasterId, replica: NodeId) {
        let in_line = self.nodes.get(&replica).is_some_and(|node| self.is_in_line(node));
        let Some(node) = self.nodes.get_mut(&replica).filter(|_| in_line) else { return };
        node.retired = None;
        if matches!(node.reconf, Reconf::Sent(_)) {
            node.reconf = Reconf::InProgress;
            self.emit_node(replica, Kind::SlaveReconfInprog, "");
        }
        let Some(node) = self.nodes.get_mut(&replica) else { return };
        if node.reconf == Reconf::InProgress && node.replica.link_up {
            node.reconf = Reconf::Done;
            self.emit_node(replica, Kind::SlaveReconfDone, "");
            self.reconf_changed(now, id);
        }
    }

    /// A replica begins to say that it is a master. Whether it is an old one to be demoted needs the
    /// word of the new one and of the other sentinels, who see the same and tell us as we tell them.
    pub(super) fn claim_appeared(&mut self, now: Time, id: MasterId, replica: NodeId) {
        let retired = self.nodes.get(&replica).is_some_and(|node| node.retired.is_some());
        let Some(master) = self.masters.get(&id).filter(|_| retired && !self.busy(id)).map(|m| m.node) else {
            return;
        };
        self.info_now(now, master);
        self.hello_all(now, id);
    }

    /// News of the master or of another sentinel: a correction may have waited for it.
    pub(super) fn correct_replicas(&mut self, now: Time, id: MasterId) {
        let replicas: Vec<NodeId> = match self.masters.get(&id) {
            Some(master) if !self.busy(id) => master.replicas.values().copied().collect(),
            Some(_) | None => return,
        };
        for replica in replicas {
            let Some(node) = self.nodes.get(&replica).filter(|node| node.info_at.is_some()) else { continue };
            match node.reported {
                Role::Master => self.correct_claim(now, id, replica),
                Role::Replica => self.correct_address(now, id, replica),
            }
        }
    }

    /// A replica of ours says that it is a master.
    pub(super) fn correct_claim(&mut self, now: Time, id: MasterId, replica: NodeId) {
        let Some(node) = self.nodes.get(&replica) else { return };
        let in_job = !matches!(node.reconf, Reconf::None);
        if in_job || self.busy(id) || !self.may_correct(now, replica) || !self.looks_sane(now, id) {
            return;
        }
        let since = node.reported_since;
        // Another leader may just have promoted it (redis#1445).
        let grace = Span(4 * self.tuning.publish_period.0);
        let over = |at: Time| self.stalls.observed(now, at) > grace;
        let patient = over(since) && node.down_began.is_none_or(over);
        let known_old = node.retired.is_some();
        let our_turn = known_old && (self.led_by_me(id) || self.is_our_turn(now, id, since));
        if patient || (our_turn && self.all_agree(now, id, since)) {
            self.correct(now, id, replica, Kind::ConvertToSlave);
        }
    }

    /// A replica of ours follows somebody else.
    pub(super) fn correct_address(&mut self, now: Time, id: MasterId, replica: NodeId) {
        let Some(node) = self.nodes.get(&replica) else { return };
        let Some(followed) = &node.replica.master else { return };
        // What a new name stands for is not known yet.
        if self.is_in_line(node) || self.is_pending(&followed.host) || node.reconf != Reconf::None {
            return;
        }
        if self.busy(id) || !self.may_correct(now, replica) || !self.looks_sane(now, id) {
            return;
        }
        let Some(master) = self.masters.get(&id) else { return };
        let timeout = Span::from(master.settings.failover_timeout);
        let since = node.replica.master_since;
        let over = |at: Time| self.stalls.observed(now, at) > timeout;
        let patient = over(since) && node.down_began.is_none_or(over);
        if patient || self.left_behind(now, id, since) {
            self.correct(now, id, replica, Kind::FixSlaveConfig);
        }
    }

    /// While a failover or its job runs, corrections are its business.
    fn busy(&self, id: MasterId) -> bool {
        self.masters.get(&id).is_none_or(|master| master.failover.in_progress() || master.job.is_some())
    }

    fn may_correct(&self, now: Time, replica: NodeId) -> bool {
        let Some(node) = self.nodes.get(&replica) else { return false };
        node.corrected.is_none_or(|at| now.since(at) > CORRECTION_PAUSE)
            && now >= node.told_again_at
            && node.cmd.up().is_some()
            && node.sdown.is_none()
            && !self.in_doubt(now, node.master)
            && !self.switch_is_held(node.master)
    }

    /// Whether this sentinel led the failover to the configuration in force. That gives it the first turn,
    /// but no more: behind a partition the others may have elected a second leader in the meantime.
    fn led_by_me(&self, id: MasterId) -> bool {
        self.masters.get(&id).is_some_and(|master| master.led_by.as_ref() == Some(&self.globals.my_id))
    }

    /// INFO of the master, read since `since`, says master, and a majority told since then that it
    /// holds our configuration, the Vigía among them also that nobody may be changing it.
    fn all_agree(&mut self, now: Time, id: MasterId, since: Time) -> bool {
        let Some(node) = self.masters.get(&id).map(|master| master.node) else { return false };
        if self.nodes.get(&node).and_then(|node| node.info_at).is_none_or(|at| at < since) {
            self.info_now(now, node);
            return false;
        }
        let confirmed = self.config_confirmed(now, id, since);
        if !confirmed {
            self.ask_calm(now, id, since);
        }
        confirmed
    }

    /// One Vigía corrects at a time, by rank: the next one's turn comes when the node is still astray
    /// after [`TURN`], since the ones before may not know what this one knows.
    fn is_our_turn(&self, now: Time, id: MasterId, since: Time) -> bool {
        let connected = self.connected_sentinels(id);
        let kin = connected
            .iter()
            .filter(|(_, peer)| self.peers.get(peer).is_some_and(|peer| peer.kin == Kin::Vigia));
        let rank = rank_of(&self.globals.my_id, kin.map(|(run_id, _)| run_id));
        now.since(since) >= Span(TURN.0 * rank)
    }

    /// A replica that its leader left behind: the leader is this sentinel (restarted) or gone, and
    /// the others agree on the configuration. Replicas of a living leader are left to it.
    fn left_behind(&mut self, now: Time, id: MasterId, since: Time) -> bool {
        let Some(master) = self.masters.get(&id) else { return false };
        let leader_here = master.led_by.as_ref().is_some_and(|leader| self.is_connected(leader));
        (self.led_by_me(id) || (!leader_here && self.is_our_turn(now, id, since)))
            && self.all_agree(now, id, since)
    }

    /// *Master looks sane*: it says that it is a master, is not down, and was read lately.
    fn looks_sane(&self, now: Time, id: MasterId) -> bool {
        let Some(master) = self.masters.get(&id) else { return false };
        let Some(node) = self.nodes.get(&master.node) else { return false };
        node.reported == Role::Master
            && node.sdown.is_none()
            && master.odown.is_none()
            && node.info_at.is_some_and(|at| now.since(at) < Span(2 * self.tuning.info_period.0))
    }

    fn correct(&mut self, now: Time, id: MasterId, replica: NodeId, kind: Kind) {
        let Some(addr) = self.usable_master(id) else { return };
        if self.is_same_process(id, replica) {
            return;
        }
        if let Some(node) = self.nodes.get_mut(&replica) {
            node.corrected = Some(now);
        }
        self.emit_node(replica, kind, "");
        self.send_transaction(replica, Request::SlaveOf(addr));
        self.info_now(now, replica);
    }

    /// A node that is the master under another address must not become a replica of itself.
    fn is_same_process(&self, id: MasterId, replica: NodeId) -> bool {
        let master = self.masters.get(&id).and_then(|master| self.nodes.get(&master.node));
        let run_id = master.and_then(|node| node.run_id.as_ref());
        run_id.is_some() && self.nodes.get(&replica).and_then(|node| node.run_id.as_ref()) == run_id
    }
}
