//! Standing for election: who goes first, when to try again, and counting the votes.
//!
//! Source: DESIGN section 3 "Candidates do not collide", "Votes"; S2, S4, S8, S9, S10.

use std::collections::{BTreeMap, BTreeSet};

use super::event::{Kind, Level, Note};
use super::failover::{Election, Failover, Forced, Other};
use super::ids::{Epoch, RunId};
use super::instance::{Kin, Master, MasterId, NodeId, PeerId};
use super::output::Output;
use super::persist::Held;
use super::schedule::Wake;
use super::time::{Span, Time};
use super::{Engine, LinkOwner};

/// Longest time-out of an election and longest term of a leader, whatever `election-timeout` says:
/// the other sentinels wait for no longer (S9).
const LONGEST_TERM: Span = Span::secs(10);
/// Shortest step between two ranks.
const SHORTEST_STEP: Span = Span::ms(20);
/// After this many losses with stock peers in the group ...
const LOSSES_BEFORE_QUIET: u32 = 3;
/// ... a candidate keeps quiet for so long: every new epoch voids a stock candidate's votes.
const QUIET: Span = Span::secs(11);
/// A retry that cannot succeed now (no majority within reach, no eligible replica) mints no epoch; when
/// nothing else tells of a change, it is considered again after this.
const VAIN_PAUSE: Span = Span::secs(1);
/// How long a forced failover waits for answers before it goes on without a majority (S8).
const FORCED_PATIENCE: Span = Span::secs(1);

/// Shorter delays of a failover are not logged.
const WORTH_TELLING: Span = Span::secs(1);

/// The majority of so many voters.
pub(super) fn majority(voters: usize) -> usize {
    voters / 2 + 1
}

/// Place of `me` among candidates, ordered by a hash of the run ids: the master's name is no part of
/// it, so that a mass failure has one preferred leader.
pub(super) fn rank_of<'a>(me: &RunId, others: impl Iterator<Item = &'a RunId>) -> u64 {
    let mine = (hash(me), me);
    others.filter(|other| (hash(other), *other) < mine).count() as u64
}

/// FNV-1a: any fixed hash does, but it must be the same in every release.
fn hash(run_id: &RunId) -> u64 {
    run_id.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// How an election stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Verdict {
    Won,
    WonWithoutMajority,
    Lost,
    Open,
}

impl Engine {
    /// min(10 s, election-timeout, failover-timeout): time-out of an election and length of a term.
    pub(super) fn term(&self, id: MasterId) -> Span {
        let timeout = self.masters.get(&id).map(|m| Span::from(m.settings.failover_timeout));
        LONGEST_TERM.min(self.tuning.election_timeout).min(timeout.unwrap_or(LONGEST_TERM))
    }

    /// How long a forced failover waits for answers: well within its term.
    fn forced_patience(&self, id: MasterId) -> Span {
        FORCED_PATIENCE.min(Span(self.term(id).0 / 2))
    }

    /// Until when a forced failover that campaigns waits for answers. What came while this process did not run is
    /// not read yet, so that time does not count.
    pub(super) fn forced_until(&self, id: MasterId) -> Option<Time> {
        let Failover::Election(election) = &self.masters.get(&id)?.failover else { return None };
        let stalled = self.stalls.within(election.started, Span::ZERO);
        (election.forced && election.campaigning)
            .then(|| election.started + self.forced_patience(id) + stalled)
    }

    /// The longest pause between two elections: 2 × failover-timeout.
    pub(super) fn longest_pause(&self, id: MasterId) -> Span {
        let timeout = self.masters.get(&id).map(|m| Span::from(m.settings.failover_timeout));
        timeout.map_or(Span::ZERO, |timeout| timeout + timeout)
    }

    /// Votes needed: a majority of the largest voter set that is known, and at least the quorum (S2).
    fn needed(&self, id: MasterId) -> usize {
        let quorum = self.masters.get(&id).map(|master| master.settings.quorum as usize);
        self.needed_by_order(id).max(quorum.unwrap_or(usize::MAX))
    }

    /// Votes needed by a forced failover: the majority makes its epoch its own (S8). The quorum says how many
    /// must think the master down, which nobody need think here; stock asks for neither.
    fn needed_by_order(&self, id: MasterId) -> usize {
        let Some(master) = self.masters.get(&id) else { return usize::MAX };
        majority((master.voters.len() + 1).max(master.voter_hint))
    }

    /// The master is ODOWN: this sentinel's turn comes by its rank.
    pub(super) fn odown_began(&mut self, now: Time, id: MasterId) {
        if let Some(master) = self.masters.get_mut(&id) {
            master.candidacy.anchor = now;
        }
        self.tell_vain(now, id);
        self.plan_candidacy(now, id);
    }

    /// A failover that was in vain before, and would be again, is not even tried: the log says why.
    fn tell_vain(&mut self, now: Time, id: MasterId) {
        let tried = self.masters.get(&id).filter(|master| master.candidacy.losses > 0);
        let Some(name) = tried.map(|master| master.name.clone()) else { return };
        if self.select_replica(now, id).is_none() {
            let text = format!("No failover of '{name}' is tried until a replica can be promoted");
            self.out.push(Output::Note(Note::Text { level: Level::Warning, text }));
        }
    }

    /// Starts an election if it is time, else sets the timer for it.
    pub(super) fn plan_candidacy(&mut self, now: Time, id: MasterId) {
        self.drop_vain_order(id);
        let Some(master) = self.masters.get(&id) else { return };
        let wanted = master.odown.is_some() || master.candidacy.forced.is_some();
        if !wanted || master.failover.in_progress() || self.saving_fails() {
            self.schedule.cancel(Wake::Candidacy(id));
            return;
        }
        let at = self.turn(now, id);
        if at > now {
            self.schedule.set(Wake::Candidacy(id), at);
            self.tell_delay(now, id);
        } else {
            self.schedule.cancel(Wake::Candidacy(id));
            self.stand(now, id);
        }
    }

    /// Logs once that a failover waits because of an earlier one, ours or another's.
    fn tell_delay(&mut self, now: Time, id: MasterId) {
        let Some(candidacy) = self.masters.get_mut(&id).map(|master| &mut master.candidacy) else { return };
        let other = candidacy.other.as_ref().map_or(Time::default(), |other| other.until);
        let until = candidacy.not_before.max(other);
        if until >= now + WORTH_TELLING && until != candidacy.delay_told {
            candidacy.delay_told = until;
            self.out.push(Output::Note(Note::NextFailover(until.since(now))));
        }
    }

    /// A `SENTINEL FAILOVER` that cannot be carried out because saving fails ends here: it must not come
    /// as a surprise when the disk works again.
    fn drop_vain_order(&mut self, id: MasterId) {
        let failing = self.saving_fails();
        let Some(master) = self.masters.get_mut(&id).filter(|master| !master.failover.in_progress()) else {
            return;
        };
        if failing && master.candidacy.forced.take().is_some() {
            self.emit(id, Kind::AbortNotElected, "");
        }
    }

    /// When this sentinel may stand: its rank, the pause after a loss, another leader's term, and the
    /// first moments of a sentinel that knows nobody (S10).
    fn turn(&self, now: Time, id: MasterId) -> Time {
        let Some(master) = self.masters.get(&id) else { return now };
        let candidacy = &master.candidacy;
        let rank_delay = self.rank_delay(id);
        let term_of_other =
            candidacy.other.as_ref().map_or(Time::default(), |other| other.until + rank_delay);
        if let Some(forced) = &candidacy.forced {
            return forced.not_before.max(term_of_other);
        }
        let mut at = candidacy.not_before.max(candidacy.anchor + rank_delay).max(term_of_other);
        at = at.max(self.looks_until(master.down_after()));
        if master.sentinels.is_empty() {
            // Nobody is known: the process is new, or the entry is, by MONITOR or RESET.
            let from = self.started.max(master.alone_since).max(master.reset_at);
            let stalled = self.stalls.within(from, Span::ZERO);
            at = at.max(from + Span(2 * self.tuning.publish_period.0) + stalled);
        }
        let in_vain = || {
            self.connected_sentinels(id).len() + 1 < self.needed(id)
                || self.choose_replica(now, id).best.is_none()
        };
        if candidacy.losses > 0 && at <= now && in_vain() {
            at = now + VAIN_PAUSE;
        }
        at
    }

    /// Rank k waits k steps. Candidates: this sentinel and the connected Vigía peers that see the
    /// master down, or did not answer the present question yet.
    fn rank_delay(&self, id: MasterId) -> Span {
        let Some(master) = self.masters.get(&id) else { return Span::ZERO };
        let sdown = self.nodes.get(&master.node).and_then(|node| node.sdown);
        let candidates = master.sentinels.iter().filter(|(_, sentinel)| {
            let kin = self.peers.get(&sentinel.peer);
            let kin = kin.is_some_and(|peer| peer.kin == Kin::Vigia && peer.cmd.up().is_some());
            let answered = sentinel.reported_at.is_some_and(|at| sdown.is_some_and(|since| at >= since));
            kin && (sentinel.master_down || !answered)
        });
        let candidates: Vec<_> = candidates.map(|(id, sentinel)| (id, sentinel.peer)).collect();
        let round_trip = candidates.iter().filter_map(|(_, peer)| self.peers.get(peer));
        let round_trip = round_trip.map(|peer| peer.vitals.round_trip).max().unwrap_or(Span::ZERO);
        let rank = if master.candidacy.last_place {
            candidates.len() as u64
        } else {
            rank_of(&self.globals.my_id, candidates.iter().map(|(id, _)| *id))
        };
        let step = SHORTEST_STEP.max(Span(3 * round_trip.0 + 3 * self.save_time().0));
        Span(step.0.min(LONGEST_TERM.0).saturating_mul(rank))
    }

    /// Mints an epoch, votes for itself, and asks the others as soon as that is durable.
    fn stand(&mut self, now: Time, id: MasterId) {
        let me = self.globals.my_id.clone();
        let Some(master) = self.masters.get(&id) else { return };
        let forced = master.candidacy.forced.is_some();
        let epoch = self.fresh_epoch(master);
        self.start_election(now, id, epoch, forced, false);
        self.raise_epoch(id, epoch);
        self.reveal_event(id, self.last_change(), Kind::TryFailover, "");
        self.vote(now, id, epoch, me);
        self.after_election_start(now, id, epoch);
    }

    /// The next epoch above every one that was seen.
    fn fresh_epoch(&self, master: &Master) -> Epoch {
        let seen = master.candidacy.seen.max(master.leader_epoch).max(master.config_epoch);
        Epoch(self.current_epoch.max(seen).0.saturating_add(1))
    }

    fn start_election(&mut self, now: Time, id: MasterId, epoch: Epoch, forced: bool, reassert: bool) {
        let Some(master) = self.masters.get_mut(&id) else { return };
        master.candidacy.reassert = reassert;
        master.voter_hint = 0;
        master.failover = Failover::Election(Election {
            epoch,
            started: now,
            forced,
            reassert,
            campaigning: false,
            granted: BTreeSet::new(),
            refused: BTreeMap::new(),
        });
    }

    fn after_election_start(&mut self, now: Time, id: MasterId, epoch: Epoch) {
        let patience = self.term(id);
        self.schedule.set(Wake::Failover(id), now + patience);
        let seq = self.masters.get(&id).map(|m| m.seq).unwrap_or_default();
        self.hold(seq, vec![Held::Campaign(id, epoch)], Vec::new());
        self.refresh_replicas(now, id);
    }

    /// An ordinary election for a fresh epoch, only to state the configuration in force once more.
    pub(super) fn reassert(&mut self, now: Time, id: MasterId) {
        if self.saving_fails() || self.connected_sentinels(id).len() + 1 < self.needed(id) {
            return;
        }
        let me = self.globals.my_id.clone();
        let Some(master) = self.masters.get(&id) else { return };
        let epoch = self.fresh_epoch(master);
        self.start_election(now, id, epoch, false, true);
        self.raise_epoch(id, epoch);
        self.vote(now, id, epoch, me);
        self.after_election_start(now, id, epoch);
    }

    /// The vote for oneself is durable: ask every connected sentinel for its own.
    pub(super) fn campaign(&mut self, id: MasterId, epoch: Epoch) {
        let now = self.now;
        let patience = self.forced_patience(id);
        let Some(election) = self.election(id, epoch) else { return };
        election.campaigning = true;
        if election.forced {
            self.schedule.set(Wake::Failover(id), now + patience);
        }
        for (_, peer) in self.connected_sentinels(id) {
            self.ask_vote(id, peer, epoch);
        }
        self.count_votes(now, id);
    }

    /// Asks for a vote, and for the voter set first: its answer comes before the vote is counted (S2).
    fn ask_vote(&mut self, id: MasterId, peer: PeerId, epoch: Epoch) {
        self.ask_voters(id, peer);
        self.send_ask(id, peer, Some(epoch));
    }

    /// The vote for oneself could not be saved: no election.
    pub(super) fn campaign_not_saved(&mut self, id: MasterId, epoch: Epoch) {
        let now = self.now;
        if self.election(id, epoch).is_some() {
            self.lose(now, id);
        }
    }

    fn election(&mut self, id: MasterId, epoch: Epoch) -> Option<&mut Election> {
        match &mut self.masters.get_mut(&id)?.failover {
            Failover::Election(election) if election.epoch == epoch => Some(election),
            Failover::Election(_)
            | Failover::None
            | Failover::Select(_)
            | Failover::Send { .. }
            | Failover::WaitPromotion { .. }
            | Failover::Announcing { .. } => None,
        }
    }

    /// The answer of a voter. Another vote, or a lower epoch, is a refusal.
    pub(super) fn on_vote(
        &mut self,
        now: Time,
        id: MasterId,
        voter: &RunId,
        asked: Epoch,
        vote: Option<(RunId, Epoch)>,
        leader_epoch: Epoch,
    ) {
        let me = self.globals.my_id.clone();
        if let Some(master) = self.masters.get_mut(&id) {
            master.candidacy.seen = master.candidacy.seen.max(leader_epoch);
        }
        if self.burns(asked, voter, vote.as_ref()) {
            self.burnt_late(now, id, asked);
        }
        let Some(election) = self.election(id, asked) else { return };
        match vote {
            Some((leader, epoch)) if leader == me && epoch == asked => {
                election.granted.insert(voter.clone());
            }
            other => {
                election.refused.insert(voter.clone(), other);
            }
        }
        self.count_votes(now, id);
    }

    /// Decides an election as soon as it can be decided.
    pub(super) fn count_votes(&mut self, now: Time, id: MasterId) {
        match self.verdict(now, id) {
            Verdict::Won => self.win(now, id, false),
            Verdict::WonWithoutMajority => self.win(now, id, true),
            Verdict::Lost => self.lose(now, id),
            Verdict::Open => {}
        }
    }

    fn verdict(&self, now: Time, id: MasterId) -> Verdict {
        let Some(master) = self.masters.get(&id) else { return Verdict::Open };
        let Failover::Election(election) = &master.failover else { return Verdict::Open };
        if !election.campaigning {
            return Verdict::Open;
        }
        if now >= election.started + self.term(id) {
            return Verdict::Lost;
        }
        let needed = if election.forced { self.needed_by_order(id) } else { self.needed(id) };
        let votes = election.granted.iter().filter(|voter| master.voters.contains(*voter)).count() + 1;
        let answered =
            |voter: &RunId| election.granted.contains(voter) || election.refused.contains_key(voter);
        let down =
            |voter: &RunId| master.sentinels.get(voter).is_some_and(|sentinel| sentinel.sdown.is_some());
        let reachable = self.connected_sentinels(id);
        let open = reachable.iter().filter(|(voter, _)| !answered(voter) && !down(voter)).count();
        let burnt =
            election.refused.iter().any(|(voter, vote)| self.burns(election.epoch, voter, vote.as_ref()));
        if votes >= needed {
            return if burnt { Verdict::Lost } else { Verdict::Won };
        }
        let answers = votes + election.refused.len();
        if election.forced && answers < majority(master.voters.len() + 1) {
            let waited = self.forced_until(id).is_some_and(|at| now >= at);
            return match (waited, burnt) {
                (false, _) => Verdict::Open,
                (true, false) => Verdict::WonWithoutMajority,
                (true, true) => Verdict::Lost,
            };
        }
        if votes + open < needed { Verdict::Lost } else { Verdict::Open }
    }

    /// Whether this answer to a request for a vote spoils the epoch, whatever the others voted: a stock peer
    /// that voted for itself may act in that epoch without a majority (its manual failover asks nobody), or
    /// with votes of a later one (it counts those of its current epoch). The next epoch is ours alone.
    ///
    /// Source: DESIGN section 4, S8.
    fn burns(&self, asked: Epoch, voter: &RunId, vote: Option<&(RunId, Epoch)>) -> bool {
        let kin = self.by_run_id.get(voter).and_then(|peer| self.peers.get(peer)).map(|peer| peer.kin);
        kin != Some(Kin::Vigia) && vote.is_some_and(|(leader, epoch)| leader == voter && *epoch == asked)
    }

    /// The answer came after the election was won: there is still time to step back.
    fn burnt_late(&mut self, now: Time, id: MasterId, asked: Epoch) {
        let Some(master) = self.masters.get(&id) else { return };
        let ours = master.failover.epoch() == Some(asked);
        if ours && matches!(master.failover, Failover::Select(_) | Failover::Send { .. }) {
            self.stand_down(now, id, "a stock sentinel stands in the same epoch");
        }
    }

    fn win(&mut self, now: Time, id: MasterId, without_majority: bool) {
        let Some(master) = self.masters.get_mut(&id) else { return };
        let Failover::Election(election) = &master.failover else { return };
        let (epoch, forced, reassert) = (election.epoch, election.forced, election.reassert);
        let began = election.started;
        if reassert {
            self.reassert_won(id, epoch);
            return;
        }
        if without_majority {
            self.emit(id, Kind::ForcedWithoutMajority, format!(" #epoch {epoch}"));
        }
        self.elected(now, id, epoch, began, forced);
    }

    /// Gives the epoch up at once. The next one is above every epoch seen, after 100 to 300 ms that
    /// double with each loss; or another sentinel is seen to have won, then its term is respected.
    pub(super) fn lose(&mut self, now: Time, id: MasterId) {
        let Some(master) = self.masters.get_mut(&id) else { return };
        let Failover::Election(election) = std::mem::take(&mut master.failover) else { return };
        master.candidacy.reassert = false;
        self.schedule.cancel(Wake::Failover(id));
        if election.reassert {
            let pause = Span::ms(self.rng.between(100, 300));
            if let Some(master) = self.masters.get_mut(&id) {
                master.candidacy.reassert_from = now + pause;
            }
            return;
        }
        self.emit(id, Kind::AbortNotElected, "");
        self.tell_idle(id, election.epoch);
        let winner = self.possible_winner(id, &election);
        let delay = self.loss_delay(id);
        let term = self.term(id);
        let failing = self.saving_fails();
        let connected = winner.as_ref().is_some_and(|(run_id, _)| self.is_connected(run_id));
        let Some(master) = self.masters.get_mut(&id) else { return };
        let candidacy = &mut master.candidacy;
        candidacy.losses = candidacy.losses.saturating_add(1);
        candidacy.not_before = now + delay;
        if let Some((run_id, epoch)) = winner {
            candidacy.other = Some(Other { run_id, epoch, until: now + term, connected });
        }
        if let Some(forced) = &mut candidacy.forced {
            forced.not_before = now + delay;
            if failing || now >= forced.until {
                candidacy.forced = None;
            }
        }
        self.plan_candidacy(now, id);
    }

    /// Somebody else who may have won, by the votes that were shown and those that were not. One that
    /// did not win says so itself (if it is a Vigía, which may have been ordered to).
    fn possible_winner(&self, id: MasterId, election: &Election) -> Option<(RunId, Epoch)> {
        let voters = self.masters.get(&id)?.voters.len();
        let silent = voters.saturating_sub(election.granted.len() + election.refused.len());
        let votes: Vec<&(RunId, Epoch)> = election.refused.values().filter_map(Option::as_ref).collect();
        let idle = &self.masters.get(&id)?.candidacy.idle;
        let others = votes.iter().filter(|(leader, epoch)| {
            *leader != self.globals.my_id && idle.get(leader).is_none_or(|idle| idle < epoch)
        });
        let is_stock = |id: &RunId| {
            self.by_run_id.get(id).and_then(|id| self.peers.get(id)).is_some_and(|p| p.kin == Kin::Stock)
        };
        let enough = |vote: &&&(RunId, Epoch)| {
            let needed = if is_stock(&vote.0) { self.needed(id) } else { self.needed_by_order(id) };
            votes.iter().filter(|other| **other == **vote).count() + silent >= needed
        };
        others.into_iter().find(enough).map(|vote| (*vote).clone())
    }

    fn loss_delay(&mut self, id: MasterId) -> Span {
        let base = self.rng.between(100, 300);
        let Some(master) = self.masters.get(&id) else { return Span::ms(base) };
        let losses = master.candidacy.losses;
        let longest = self.longest_pause(id);
        let stock = master.sentinels.values().filter_map(|s| self.peers.get(&s.peer));
        let stock = stock.filter(|peer| peer.cmd.up().is_some()).any(|peer| peer.kin == Kin::Stock);
        let delay = Span::ms(base << losses.min(12)).min(longest);
        if stock && losses + 1 >= LOSSES_BEFORE_QUIET { delay.max(QUIET) } else { delay }
    }

    /// A vote for somebody else: an election of ours under a lower epoch is over, and the other one's
    /// term is respected.
    pub(super) fn voted_for_other(&mut self, now: Time, id: MasterId, other: RunId, epoch: Epoch) {
        let until = now + self.term(id);
        let connected = self.is_connected(&other);
        let Some(master) = self.masters.get_mut(&id) else { return };
        master.candidacy.other = Some(Other { run_id: other, epoch, until, connected });
        let below = master.failover.epoch().is_some_and(|ours| ours < epoch);
        if below && matches!(master.failover, Failover::Election(_)) {
            self.lose(now, id);
        } else if below && matches!(master.failover, Failover::Select(_) | Failover::Send { .. }) {
            self.stand_down(now, id, "a vote for a higher epoch was given");
        } else {
            self.plan_candidacy(now, id);
        }
    }

    /// A newer configuration ends whatever this sentinel was doing for the master.
    pub(super) fn yield_to(&mut self, now: Time, id: MasterId, epoch: Epoch) {
        let Some(master) = self.masters.get_mut(&id) else { return };
        master.candidacy.forced = None;
        master.candidacy.other = None;
        master.candidacy.seen = master.candidacy.seen.max(epoch);
        match &master.failover {
            Failover::None => {}
            Failover::Election(_) => self.lose(now, id),
            Failover::Select(_) | Failover::Send { .. } => {
                self.stand_down(now, id, "a newer configuration is known")
            }
            Failover::WaitPromotion { promoted, .. } | Failover::Announcing { promoted, .. } => {
                let promoted = *promoted;
                self.abandon_promotion(id, promoted);
            }
        }
    }

    /// A promotion that was sent and is not to be told any more: the node is, or becomes, a master that
    /// nobody will name, so it may be turned back as one that was retired.
    fn abandon_promotion(&mut self, id: MasterId, promoted: NodeId) {
        self.schedule.cancel(Wake::Failover(id));
        let Some(master) = self.masters.get_mut(&id) else { return };
        master.failover = Failover::None;
        if let Some(node) = self.nodes.get_mut(&promoted).filter(|_| promoted != master.node) {
            node.retired = Some(master.config_epoch);
        }
    }

    /// `SENTINEL FAILOVER`: obeys the same vote rule (S8). While another sentinel may be leading it
    /// waits, and ends as one with that one's failover when its configuration arrives.
    pub(super) fn force_failover(&mut self, now: Time, id: MasterId) {
        let term = self.term(id);
        if let Some(master) = self.masters.get_mut(&id) {
            let until = master.candidacy.other.as_ref().map_or(now, |other| other.until.max(now)) + term;
            master.candidacy.forced = Some(Forced { until, not_before: now });
        }
        self.plan_candidacy(now, id);
    }

    /// A peer came or went: elections reach more or fewer voters, a leader may be gone.
    pub(super) fn peer_link_changed(&mut self, now: Time, peer: PeerId) {
        let Some(entry) = self.peers.get(&peer) else { return };
        let run_id = entry.run_id.clone();
        let (up, refused) = (entry.cmd.up().is_some(), entry.cmd.refused);
        for id in entry.masters.iter().copied().collect::<Vec<_>>() {
            if refused {
                self.leader_gone(now, id, &run_id);
            }
            if up {
                self.leader_connected(id, &run_id);
                self.reached(now, id, peer);
            }
            self.count_votes(now, id);
        }
    }

    fn leader_connected(&mut self, id: MasterId, run_id: &RunId) {
        let other = self.masters.get_mut(&id).and_then(|master| master.candidacy.other.as_mut());
        if let Some(other) = other.filter(|other| other.run_id == *run_id) {
            other.connected = true;
        }
    }

    /// Whether there is a connection to the sentinel of this id.
    pub(super) fn is_connected(&self, run_id: &RunId) -> bool {
        let peer = self.by_run_id.get(run_id).and_then(|peer| self.peers.get(peer));
        peer.is_some_and(|peer| peer.cmd.up().is_some())
    }

    /// The connection to the sentinel we voted for broke, and reconnecting is refused: it is dead,
    /// and its term with it (S9). A merely silent leader's term is waited out.
    fn leader_gone(&mut self, now: Time, id: MasterId, run_id: &RunId) {
        let Some(master) = self.masters.get_mut(&id) else { return };
        let dead = |other: &Other| other.connected && other.run_id == *run_id;
        if !master.candidacy.other.as_ref().is_some_and(dead) {
            return;
        }
        master.candidacy.other = None;
        master.candidacy.anchor = now;
        self.plan_candidacy(now, id);
    }

    /// A voter is reachable (again): ask it, and forget the patience of earlier losses.
    fn reached(&mut self, now: Time, id: MasterId, peer: PeerId) {
        self.forgive_losses(now, id);
        let Some(master) = self.masters.get(&id) else { return };
        match &master.failover {
            Failover::Election(election) if election.campaigning => {
                let epoch = election.epoch;
                self.ask_vote(id, peer, epoch);
            }
            Failover::Election(_)
            | Failover::None
            | Failover::Select(_)
            | Failover::Send { .. }
            | Failover::WaitPromotion { .. }
            | Failover::Announcing { .. } => {}
        }
        if master_is_down(self, id) {
            self.schedule.set_earlier(Wake::Ask(id), now + Span::ms(1));
        }
        self.plan_candidacy(now, id);
    }

    /// Eligible replicas changed: what failed before may work now.
    pub(super) fn eligibility_changed(&mut self, now: Time, id: MasterId) {
        if let Some(master) = self.masters.get_mut(&id) {
            master.candidacy.last_place = false;
        }
        self.forgive_losses(now, id);
        self.plan_candidacy(now, id);
    }

    fn forgive_losses(&mut self, now: Time, id: MasterId) {
        let soon = now + Span::ms(self.rng.between(100, 300));
        let Some(master) = self.masters.get_mut(&id) else { return };
        if master.candidacy.losses > 0 {
            master.candidacy.losses = 0;
            master.candidacy.not_before = master.candidacy.not_before.min(soon);
        }
    }

    /// Saving works again: elections are possible.
    pub(super) fn reconsider_candidacies(&mut self, now: Time) {
        if !self.was_failing {
            return;
        }
        self.was_failing = false;
        let down = self.masters.iter().filter(|(_, m)| m.odown.is_some() || m.candidacy.forced.is_some());
        for id in down.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.plan_candidacy(now, id);
        }
    }

    /// A Vigía peer says that its term under `epoch` ended without a promotion.
    pub(super) fn leader_idle(&mut self, now: Time, id: MasterId, run_id: &RunId, epoch: Epoch) {
        let Some(master) = self.masters.get_mut(&id) else { return };
        if master.sentinels.contains_key(run_id) {
            master.candidacy.idle.insert(run_id.clone(), epoch);
        }
        let known = |other: &Other| other.run_id == *run_id && other.epoch == epoch;
        if !master.candidacy.other.as_ref().is_some_and(known) {
            return;
        }
        master.candidacy.other = None;
        master.candidacy.anchor = now;
        self.plan_candidacy(now, id);
    }

    /// Tells the peers that may be Vigía that our term ended without a promotion, so that they need not wait.
    pub(super) fn tell_idle(&mut self, id: MasterId, epoch: Epoch) {
        let Some(name) = self.masters.get(&id).map(|m| m.name.clone()) else { return };
        for (_, peer) in self.connected_sentinels(id) {
            if self.peers.get(&peer).is_some_and(|p| p.kin != Kin::Stock) {
                let epoch = epoch.to_string();
                let words =
                    ["1", "IDLE", &name, &self.globals.my_id, &epoch].map(std::sync::Arc::from).to_vec();
                let request = super::output::Request::Vigia(words);
                self.send(LinkOwner::Peer(peer), request, super::instance::Expect::Nothing);
            }
        }
    }
}

fn master_is_down(engine: &Engine, id: MasterId) -> bool {
    let node = engine.masters.get(&id).and_then(|master| engine.nodes.get(&master.node));
    node.is_some_and(|node| node.sdown.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sentinel_has_its_own_rank() {
        let ids: Vec<RunId> = ["a", "b", "c", "d"].map(RunId::from).to_vec();
        let mut ranks: Vec<u64> =
            ids.iter().map(|me| rank_of(me, ids.iter().filter(|other| *other != me))).collect();
        ranks.sort_unstable();
        assert_eq!(ranks, [0, 1, 2, 3]);
    }

    #[test]
    fn a_majority_is_more_than_half() {
        assert_eq!([1, 2, 3, 4, 5].map(majority), [1, 2, 2, 3, 3]);
    }
}
