//! From the election to the announcement: the states of a failover.
//!
//! Source: spec 05; DESIGN section 3 from "Selection" to "Announcement"; S4, S5, S9, L3.

use std::collections::{BTreeMap, BTreeSet};

use super::Engine;
use super::LinkOwner;
use super::event::{Kind, Note};
use super::ids::{Epoch, RunId};
use super::info::Role;
use super::instance::{Expect, Kin, MasterId, NodeId, PeerId};
use super::output::{Output, Request};
use super::persist::Held;
use super::reply::Reply;
use super::schedule::Wake;
use super::scripts::Teller;
use super::select::{self, Candidate, Choice, Situation};
use super::time::{Span, Time};

/// Longest wait for the entries of stock peers and for fresh INFO before the choice, where three round trips
/// to the farthest stock peer take no longer.
const LOOK: Span = Span::ms(20);
/// ... and never longer than this: a stock peer that hangs must not hold up a failover.
const LONGEST_LOOK: Span = Span::ms(500);
/// Pause between two looks at the replica that is being promoted.
const PROMOTION_LOOK: Span = Span::ms(5);
/// A leader that stalled for longer than this stands down (S9).
const LONGEST_STALL: Span = Span::secs(1);
/// A node that refused to be promoted is passed over for so long: what made it refuse may be gone then.
const REFUSAL: Span = Span::secs(10);

/// Where the failover of a master stands. After the announcement it is `None` again: what is left is
/// the [`Job`].
#[derive(Debug, Default)]
pub(super) enum Failover {
    #[default]
    None,
    Election(Election),
    Select(Term),
    Send {
        term: Term,
        promoted: NodeId,
    },
    WaitPromotion {
        term: Term,
        promoted: NodeId,
    },
    /// Verified; waits until the new configuration is on disk.
    Announcing {
        promoted: NodeId,
        epoch: Epoch,
        forced: bool,
    },
}

/// An election that this sentinel stands for.
#[derive(Debug)]
pub(super) struct Election {
    pub(super) epoch: Epoch,
    pub(super) started: Time,
    pub(super) forced: bool,
    /// Only to state the configuration in force once more (S8).
    pub(super) reassert: bool,
    /// The vote for oneself is durable, the others were asked.
    pub(super) campaigning: bool,
    pub(super) granted: BTreeSet<RunId>,
    /// Who refused, and the vote it showed.
    pub(super) refused: BTreeMap<RunId, Option<(RunId, Epoch)>>,
}

/// The licence of an elected leader; it ends (S9).
#[derive(Debug)]
pub(super) struct Term {
    pub(super) epoch: Epoch,
    /// When its election began. The term counts from here: its voters, who hold back for as long, cannot
    /// have voted before.
    pub(super) began: Time,
    pub(super) elected: Time,
    pub(super) forced: bool,
    /// Stock peers that have not shown their entry of the master yet.
    pub(super) awaited: BTreeSet<PeerId>,
    /// The choice is made by then, whatever is missing.
    pub(super) look_until: Time,
}

/// When this sentinel stands for election.
#[derive(Debug, Default)]
pub(super) struct Candidacy {
    /// Ranks count from here: ODOWN, or the death of a leader.
    pub(super) anchor: Time,
    pub(super) not_before: Time,
    pub(super) losses: u32,
    /// The highest epoch that a voter showed.
    pub(super) seen: Epoch,
    /// Another sentinel that may be leading.
    pub(super) other: Option<Other>,
    /// Sentinels that said that their term under this epoch ended without a promotion.
    pub(super) idle: BTreeMap<RunId, Epoch>,
    /// No good replica, or a promotion time-out: go last until something changes.
    pub(super) last_place: bool,
    /// The end of a delay that the log told of.
    pub(super) delay_told: Time,
    pub(super) forced: Option<Forced>,
    pub(super) reassert: bool,
    /// After a lost election for it, not again before.
    pub(super) reassert_from: Time,
}

impl Candidacy {
    /// Whether another sentinel's term is not over.
    pub(super) fn other_may_lead(&self, now: Time) -> bool {
        self.other.as_ref().is_some_and(|other| now < other.until)
    }
}

/// A leader we voted for, or that was seen to win.
#[derive(Debug)]
pub(super) struct Other {
    pub(super) run_id: RunId,
    pub(super) epoch: Epoch,
    pub(super) until: Time,
    /// We had a connection to it since: only then does a refused one tell that it died.
    pub(super) connected: bool,
}

/// `SENTINEL FAILOVER` is to be carried out.
#[derive(Debug)]
pub(super) struct Forced {
    pub(super) until: Time,
    pub(super) not_before: Time,
}

/// Reconfiguration of the replicas after an announcement.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) started: Time,
}

impl Failover {
    /// Whether a failover is running, as the flag in replies says.
    pub(super) fn in_progress(&self) -> bool {
        match self {
            Self::None => false,
            Self::Election(election) => !election.reassert,
            Self::Select(_) | Self::Send { .. } | Self::WaitPromotion { .. } | Self::Announcing { .. } => {
                true
            }
        }
    }

    /// `failover-state` in replies.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Election(_) => "wait_start",
            Self::Select(_) => "select_slave",
            Self::Send { .. } => "send_slaveof_noone",
            Self::WaitPromotion { .. } | Self::Announcing { .. } => "wait_promotion",
        }
    }

    /// Its epoch.
    pub(super) fn epoch(&self) -> Option<Epoch> {
        match self {
            Self::None => None,
            Self::Election(election) => Some(election.epoch),
            Self::Select(term) | Self::Send { term, .. } | Self::WaitPromotion { term, .. } => {
                Some(term.epoch)
            }
            Self::Announcing { epoch, .. } => Some(*epoch),
        }
    }

    /// Whether an operator asked for it.
    pub(super) fn forced(&self) -> bool {
        match self {
            Self::None => false,
            Self::Election(election) => election.forced,
            Self::Select(term) | Self::Send { term, .. } | Self::WaitPromotion { term, .. } => term.forced,
            Self::Announcing { forced, .. } => *forced,
        }
    }

    /// The replica chosen for promotion.
    pub(super) fn promoted(&self) -> Option<NodeId> {
        match self {
            Self::None | Self::Election(_) | Self::Select(_) => None,
            Self::Send { promoted, .. }
            | Self::WaitPromotion { promoted, .. }
            | Self::Announcing { promoted, .. } => Some(*promoted),
        }
    }

    /// A promotion that was verified and is being saved: the node and its config epoch.
    pub(super) fn verified(&self) -> Option<(NodeId, Epoch)> {
        match self {
            Self::Announcing { promoted, epoch, .. } => Some((*promoted, *epoch)),
            Self::None
            | Self::Election(_)
            | Self::Select(_)
            | Self::Send { .. }
            | Self::WaitPromotion { .. } => None,
        }
    }

    fn term(&self) -> Option<&Term> {
        match self {
            Self::Select(term) | Self::Send { term, .. } | Self::WaitPromotion { term, .. } => Some(term),
            Self::None | Self::Election(_) | Self::Announcing { .. } => None,
        }
    }
}

impl Engine {
    /// The election is won: ask stock peers what they are doing, read the replicas, then choose.
    pub(super) fn elected(&mut self, now: Time, id: MasterId, epoch: Epoch, began: Time, forced: bool) {
        let peers = self.connected_sentinels(id).into_iter().map(|(_, peer)| peer);
        let may_be_stock = |peer: &PeerId| self.peers.get(peer).is_some_and(|p| p.kin != Kin::Vigia);
        let awaited: BTreeSet<PeerId> = peers.filter(may_be_stock).collect();
        let trip = |peer: &PeerId| self.peers.get(peer).map(|peer| peer.vitals.round_trip);
        let replicas = self.masters.get(&id).map(|m| m.replicas.values()).into_iter().flatten();
        let trips = replicas.filter_map(|node| self.nodes.get(node)).map(|node| node.vitals.round_trip);
        let farthest = awaited.iter().filter_map(trip).chain(trips).max().unwrap_or(Span::ZERO);
        let look_until = now + LOOK.max(Span(3 * farthest.0)).min(LONGEST_LOOK);
        let Some(master) = self.masters.get_mut(&id) else { return };
        let name = master.name.clone();
        master.candidacy.other = None;
        master.candidacy.forced = None;
        let term = Term { epoch, began, elected: now, forced, awaited: awaited.clone(), look_until };
        master.failover = Failover::Select(term);
        self.schedule.cancel(Wake::Candidacy(id));
        self.emit(id, Kind::ElectedLeader, "");
        self.crash_if(|simulated| simulated.after_election);
        self.emit(id, Kind::StateSelectSlave, "");
        for peer in awaited {
            let expect = Expect::MasterEntry { master: id, epoch };
            self.send(LinkOwner::Peer(peer), Request::AskMaster(name.clone()), expect);
        }
        self.refresh_replicas(now, id);
        self.step_failover(now, id);
    }

    /// What a stock peer says of the master. One that is past its own election leads: step back.
    pub(super) fn on_master_entry(
        &mut self,
        now: Time,
        peer: PeerId,
        id: MasterId,
        epoch: Epoch,
        reply: &Reply<'_>,
    ) {
        let Some(master) = self.masters.get_mut(&id) else { return };
        let Failover::Select(term) = &mut master.failover else { return };
        if term.epoch != epoch {
            return;
        }
        term.awaited.remove(&peer);
        if entry_shows_leader(reply) {
            self.stand_down(now, id, "a stock sentinel is past its own election");
            return;
        }
        self.step_failover(now, id);
    }

    /// Goes on with a failover as far as it can go now.
    pub(super) fn step_failover(&mut self, now: Time, id: MasterId) {
        let Some(master) = self.masters.get(&id) else { return };
        match &master.failover {
            Failover::None | Failover::Announcing { .. } => self.schedule.cancel(Wake::Failover(id)),
            Failover::Election(election) => self.step_election(now, id, election.started),
            Failover::Select(_) => self.step_select(now, id),
            Failover::Send { promoted, .. } => self.step_send(now, id, *promoted),
            Failover::WaitPromotion { promoted, .. } => self.step_wait_promotion(now, id, *promoted),
        }
    }

    fn step_election(&mut self, now: Time, id: MasterId, started: Time) {
        let deadline = started + self.term(id);
        if now >= deadline {
            self.lose(now, id);
        } else {
            let patience = self.forced_until(id).filter(|at| *at > now);
            self.schedule.set(Wake::Failover(id), patience.map_or(deadline, |at| at.min(deadline)));
            self.count_votes(now, id);
        }
    }

    fn step_select(&mut self, now: Time, id: MasterId) {
        let Some(term) = self.masters.get(&id).and_then(|m| m.failover.term()) else { return };
        let elected = term.elected;
        // What came while this process did not run is not read yet.
        let look_until = term.look_until + self.stalls.within(elected, Span::ZERO);
        let waiting = !term.awaited.is_empty() || self.replicas_unread(id, elected);
        if waiting && now < look_until {
            self.schedule.set(Wake::Failover(id), look_until);
            return;
        }
        if let Some(why) = self.must_stand_down(now, id) {
            self.stand_down(now, id, why);
            return;
        }
        let best = self.select_replica(now, id);
        let Some(best) = best else {
            self.no_good_replica(now, id);
            return;
        };
        self.emit_node(best, Kind::SelectedSlave, "");
        if let Some(master) = self.masters.get_mut(&id)
            && let Failover::Select(term) = std::mem::take(&mut master.failover)
        {
            master.failover = Failover::Send { term, promoted: best };
        }
        self.emit_node(best, Kind::StateSendSlaveofNoone, "");
        self.step_failover(now, id);
    }

    /// Whether a replica that could be read was not read since the election.
    /// One whose connection was lost a moment ago counts: it may be that another leader has promoted it, which
    /// cuts every connection, and there must be no second one (S9).
    fn replicas_unread(&self, id: MasterId, elected: Time) -> bool {
        let replicas = self.masters.get(&id).map(|m| m.replicas.values()).into_iter().flatten();
        let nodes = replicas.filter_map(|node| self.nodes.get(node));
        let mut alive =
            nodes.filter(|node| node.sdown.is_none() && (node.cmd.up().is_some() || node.info_at.is_some()));
        alive.any(|node| node.info_at.is_none_or(|at| at < elected) && node.replica.priority != 0)
    }

    /// The best replica; says why the others are passed over.
    pub(super) fn select_replica(&mut self, now: Time, id: MasterId) -> Option<NodeId> {
        let choice = self.choose_replica(now, id);
        let master = self.masters.get(&id)?.name.clone();
        for (node, why) in choice.passed_over {
            if let Some(node) = self.nodes.get(&node) {
                let replica = node.name.clone();
                self.out.push(Output::Note(Note::PassedOver {
                    master: master.clone(),
                    replica,
                    reason: why,
                }));
            }
        }
        choice.best
    }

    /// The choice as it stands, with reasons in words.
    pub(super) fn choose_replica(&self, now: Time, id: MasterId) -> Reasons {
        let Some(master) = self.masters.get(&id) else { return Reasons::default() };
        let Some(node) = self.nodes.get(&master.node) else { return Reasons::default() };
        let situation = Situation {
            down_for: node.sdown.map(|since| now.since(since)),
            down_after: master.down_after(),
            ping_period: self.tuning.ping_period,
            info_period: self.tuning.info_period,
        };
        let replicas = master.replicas.values();
        let candidates: Vec<(NodeId, Candidate<'_>)> =
            replicas.filter_map(|replica| Some((*replica, self.candidate(now, id, *replica)?))).collect();
        let Choice { best, passed_over } = select::choose(situation, &candidates);
        Reasons {
            best,
            passed_over: passed_over.into_iter().map(|(node, why)| (node, why.to_string())).collect(),
        }
    }

    fn candidate(&self, now: Time, id: MasterId, replica: NodeId) -> Option<Candidate<'_>> {
        let master = self.masters.get(&id)?;
        let failed = self.nodes.get(&master.node)?;
        let node = self.nodes.get(&replica)?;
        let known = |replid: &Option<std::sync::Arc<str>>| {
            replid.as_ref().is_some_and(|replid| master.lineage.contains(replid))
        };
        let ours = known(&node.replid) || known(&node.replid2);
        Some(Candidate {
            down: node.sdown.is_some(),
            disconnected: node.cmd.up().is_none(),
            pong_age: now.since(node.vitals.last_available),
            info_age: node.info_at.map(|at| now.since(at)),
            priority: node.replica.priority,
            offset: node.replica.offset,
            link_down: Span::ms(u64::try_from(node.replica.link_down_ms).unwrap_or(0)),
            run_id: node.run_id.as_deref(),
            is_the_master: node.run_id.is_some() && node.run_id == failed.run_id,
            foreign: node.replid.is_some() && !master.lineage.is_empty() && !ours,
            refused: node.refused.as_ref().filter(|(at, _)| now.since(*at) < REFUSAL).map(|(_, why)| &**why),
            already_master: self.is_promoted_already(master, node),
        })
    }

    /// A replica that reports role master and whose second replication id is this group's: another
    /// leader promoted it and could not say so any more.
    fn is_promoted_already(&self, master: &super::instance::Master, node: &super::instance::Node) -> bool {
        let known = node.replid2.as_ref().is_some_and(|replid| master.lineage.contains(replid));
        node.reported == Role::Master && node.retired.is_none() && known
    }

    fn no_good_replica(&mut self, now: Time, id: MasterId) {
        if let Some(master) = self.masters.get_mut(&id) {
            master.candidacy.last_place = true;
        }
        self.abort(now, id, Kind::AbortNoGoodSlave, "");
    }

    /// Why a leader may not promote any more (S4, S9).
    fn must_stand_down(&self, now: Time, id: MasterId) -> Option<&'static str> {
        let master = self.masters.get(&id)?;
        let term = master.failover.term()?;
        if master.leader_epoch != term.epoch || master.leader.as_ref() != Some(&self.globals.my_id) {
            return Some("a vote for a higher epoch was given");
        }
        if master.config_epoch >= term.epoch {
            return Some("a newer configuration is known");
        }
        if self.stalls.longest(term.began) > LONGEST_STALL {
            return Some("this process stalled for more than a second");
        }
        if self.in_doubt(now, id) && !term.forced {
            return Some("this process did not run and must look again first (TILT)");
        }
        let up = self.nodes.get(&master.node).is_some_and(|node| node.sdown.is_none());
        if up && !term.forced {
            return Some("the master is back");
        }
        None
    }

    fn step_send(&mut self, now: Time, id: MasterId, promoted: NodeId) {
        if let Some(why) = self.must_stand_down(now, id) {
            self.stand_down(now, id, why);
            return;
        }
        if self.term_is_over(now, id) {
            self.promotion_timed_out(now, id);
            return;
        }
        let Some(node) = self.nodes.get(&promoted) else {
            self.promotion_timed_out(now, id);
            return;
        };
        if node.cmd.up().is_none() {
            return;
        }
        let adopted = self.masters.get(&id).is_some_and(|master| self.is_promoted_already(master, node));
        if !adopted {
            self.send_transaction(promoted, Request::SlaveOfNoOne);
        }
        if let Some(master) = self.masters.get_mut(&id)
            && let Failover::Send { term, promoted } = std::mem::take(&mut master.failover)
        {
            master.failover = Failover::WaitPromotion { term, promoted };
        }
        self.emit_node(promoted, Kind::StateWaitPromotion, "");
        if adopted {
            self.promotion_verified(now, id);
        } else {
            self.info_now(now, promoted);
            self.step_failover(now, id);
        }
    }

    fn step_wait_promotion(&mut self, now: Time, id: MasterId, promoted: NodeId) {
        if self.term_is_over(now, id) || !self.nodes.contains_key(&promoted) {
            self.promotion_timed_out(now, id);
            return;
        }
        self.schedule.set(Wake::Failover(id), now + PROMOTION_LOOK);
        self.info_now(now, promoted);
    }

    /// Sets the timer to the end of the term, or says that it is over.
    fn term_is_over(&mut self, now: Time, id: MasterId) -> bool {
        let Some(end) = self.end_of_term(id) else { return true };
        if now < end {
            self.schedule.set(Wake::Failover(id), end);
        }
        now >= end
    }

    fn end_of_term(&self, id: MasterId) -> Option<Time> {
        let term = self.masters.get(&id)?.failover.term()?;
        Some(term.began + self.term(id))
    }

    /// The promotion did not show in time. The link is given up too, so that what may still wait in it is
    /// not carried out later.
    fn promotion_timed_out(&mut self, now: Time, id: MasterId) {
        let Some(master) = self.masters.get_mut(&id) else { return };
        master.candidacy.last_place = true;
        let sent_to = match &master.failover {
            Failover::WaitPromotion { promoted, .. } => Some(*promoted),
            Failover::None
            | Failover::Election(_)
            | Failover::Select(_)
            | Failover::Send { .. }
            | Failover::Announcing { .. } => None,
        };
        let (config_epoch, in_force) = (master.config_epoch, master.node);
        self.abort(now, id, Kind::AbortSlaveTimeout, "");
        let Some(sent_to) = sent_to else { return };
        self.replace_link(now, LinkOwner::NodeCommand(sent_to));
        // The master is back: what was promoted in vain may be turned back as one that was retired.
        let is_back = self.nodes.get(&in_force).is_some_and(|node| node.sdown.is_none());
        if let Some(node) = self.nodes.get_mut(&sent_to).filter(|_| is_back && sent_to != in_force) {
            node.retired = Some(config_epoch);
        }
    }

    /// The node itself refused to be promoted: another replica may be luckier.
    pub(super) fn promotion_refused(&mut self, now: Time, id: MasterId, node: NodeId, why: &str) {
        if let Some(node) = self.nodes.get_mut(&node) {
            node.refused = Some((now, why.into()));
        }
        self.abort(now, id, Kind::AbortSlaveTimeout, "");
    }

    /// A leader gives its term up before it promoted anything.
    pub(super) fn stand_down(&mut self, now: Time, id: MasterId, why: &str) {
        self.abort(now, id, Kind::StoodDown, &format!(" #{why}"));
    }

    fn abort(&mut self, now: Time, id: MasterId, kind: Kind, detail: &str) {
        let delay = Span::ms(self.rng.between(100, 300));
        let longest = self.longest_pause(id);
        let Some(master) = self.masters.get_mut(&id) else { return };
        let epoch = master.failover.epoch();
        let acted = matches!(master.failover, Failover::WaitPromotion { .. });
        master.failover = Failover::None;
        let losses = master.candidacy.losses.min(12);
        master.candidacy.losses = losses + 1;
        master.candidacy.not_before = now + Span(delay.0 << losses).min(longest);
        self.schedule.cancel(Wake::Failover(id));
        self.emit(id, kind, detail);
        if let Some(epoch) = epoch.filter(|_| !acted) {
            self.tell_idle(id, epoch);
        }
        self.plan_candidacy(now, id);
    }

    /// INFO says that the chosen replica is a master: the new configuration is saved, then told. After
    /// the term it is for others to take that up: they may have elected another leader already.
    pub(super) fn promotion_verified(&mut self, now: Time, id: MasterId) {
        if self.end_of_term(id).is_some_and(|end| now >= end) {
            self.promotion_timed_out(now, id);
            return;
        }
        let Some(master) = self.masters.get_mut(&id) else { return };
        let Failover::WaitPromotion { term, promoted } = std::mem::take(&mut master.failover) else { return };
        let epoch = term.epoch;
        master.failover = Failover::Announcing { promoted, epoch, forced: term.forced };
        self.schedule.cancel(Wake::Failover(id));
        let seq = self.changed(Some(id));
        self.hold(seq, vec![Held::Announce(id, epoch)], Vec::new());
        self.info_now(now, promoted);
    }

    /// The new configuration is on disk: tell everybody, clients last but at once.
    ///
    /// Differs: stock's leader tells clients only after the last replica was reconfigured.
    pub(super) fn announce(&mut self, id: MasterId, epoch: Epoch) {
        let now = self.now;
        let Some(master) = self.masters.get(&id) else { return };
        let Some((promoted, _)) = master.failover.verified().filter(|(_, verified)| *verified == epoch)
        else {
            return;
        };
        if promoted == master.node {
            self.announce_reasserted(now, id, epoch);
            return;
        }
        let forced = master.failover.forced();
        let Some(addr) = self.nodes.get(&promoted).map(|node| node.addr.clone()) else { return };
        let new = self.shown(&addr);
        let Some(old) = self.master_ref(id).map(|master| master.addr) else { return };
        self.emit_node(promoted, Kind::PromotedSlave, "");
        self.crash_if(|simulated| simulated.after_promotion);
        self.emit(id, Kind::StateReconfSlaves, "");
        self.reconfigure_clients(id, Teller::Leader, &old, &new);
        let switched = self.switch_event(id, &old, &new);
        self.switch_master(now, id, &addr, epoch);
        let me = self.globals.my_id.clone();
        if let Some(master) = self.masters.get_mut(&id) {
            master.led_by = Some(me);
            master.job = Some(Job { started: now });
        }
        self.publish_view(id);
        self.hello_all(now, id);
        self.out.extend(switched.map(Output::Event));
        let slaves = self.slave_events(id);
        self.out.extend(slaves);
        self.greet_new_master(now, id);
        self.start_job(now, id, forced);
    }

    /// A reasserted configuration, same address and fresh epoch (S8): saved, then told. By the vote that it
    /// took, its node is the master, whatever it was made meanwhile.
    pub(super) fn reassert_won(&mut self, id: MasterId, epoch: Epoch) {
        let Some(master) = self.masters.get_mut(&id) else { return };
        master.failover = Failover::Announcing { promoted: master.node, epoch, forced: false };
        master.candidacy.reassert = false;
        self.schedule.cancel(Wake::Failover(id));
        let seq = self.changed(Some(id));
        self.hold(seq, vec![Held::Announce(id, epoch)], Vec::new());
    }

    fn announce_reasserted(&mut self, now: Time, id: MasterId, epoch: Epoch) {
        let me = self.globals.my_id.clone();
        let Some(master) = self.masters.get_mut(&id) else { return };
        // As before any promotion (S9): a higher vote may be another leader's licence by now.
        let still_leads = master.leader_epoch == epoch && master.leader.as_ref() == Some(&me);
        master.failover = Failover::None;
        master.config_epoch = epoch;
        master.led_by = Some(me);
        let node = master.node;
        self.publish_view(id);
        self.hello_all(now, id);
        // Those who did not see each other may have made the winner a replica: nobody would be a master.
        let is_replica =
            |node: &super::instance::Node| node.reported == Role::Replica && node.cmd.up().is_some();
        let may_promote = still_leads && !self.in_doubt(now, id);
        if may_promote && self.nodes.get(&node).is_some_and(is_replica) {
            self.send_transaction(node, Request::SlaveOfNoOne);
            self.info_now(now, node);
        }
        self.plan_candidacy(now, id);
    }

    /// The master answers again: an election or a leader that has not promoted yet steps back.
    pub(super) fn master_recovered(&mut self, now: Time, id: MasterId) {
        let Some(master) = self.masters.get(&id) else { return };
        if master.failover.forced() {
            return;
        }
        match &master.failover {
            Failover::Election(election) if !election.reassert => self.lose(now, id),
            Failover::Select(_) | Failover::Send { .. } => self.stand_down(now, id, "the master is back"),
            Failover::Election(_)
            | Failover::None
            | Failover::WaitPromotion { .. }
            | Failover::Announcing { .. } => {}
        }
    }

    /// A data node is connected or lost: a step may have waited for it.
    pub(super) fn node_link_changed(&mut self, now: Time, id: MasterId, node: NodeId) {
        let Some(master) = self.masters.get(&id) else { return };
        if master.failover.promoted() == Some(node) {
            self.step_failover(now, id);
        } else if matches!(master.failover, Failover::Select(_)) {
            self.info_now(now, node);
        }
        self.reconf_changed(now, id);
    }
}

/// The choice of a replica with the reasons in words.
#[derive(Debug, Default)]
pub(super) struct Reasons {
    pub(super) best: Option<NodeId>,
    pub(super) passed_over: Vec<(NodeId, String)>,
}

/// Whether `SENTINEL MASTER` of a stock peer shows a failover past its election, or one that needs none.
fn entry_shows_leader(reply: &Reply<'_>) -> bool {
    let Reply::Array(words) = reply else { return false };
    let field = |name: &str| {
        words.chunks(2).find_map(|pair| match pair {
            [key, value] if key.text() == Some(name) => value.text(),
            _ => None,
        })
    };
    let forced = field("flags").is_some_and(|flags| flags.split(',').any(|flag| flag == "force_failover"));
    let past_election = matches!(
        field("failover-state"),
        Some("select_slave" | "send_slaveof_noone" | "wait_promotion" | "reconf_slaves" | "update_config")
    );
    forced || past_election
}
