//! The vote: at most one per master and epoch, on disk before anybody sees it.
//!
//! Source: DESIGN section 3 "Votes", S1, S3, S7; spec 05 section 4.
//! Differs: stock also demands that its process-wide current epoch is not above the asked one, which
//! ends all elections when many masters die at once; and it answers when its write failed.

use std::sync::Arc;

use super::Engine;
use super::event::{Event, Kind, Subject};
use super::ids::{Addr, Epoch, RunId, Seq, Ticket};
use super::instance::MasterId;
use super::names::Parked;
use super::output::{Answer, Output};
use super::persist::Held;
use super::time::Time;

impl Engine {
    /// `IS-MASTER-DOWN-BY-ADDR`: the down flag, and the vote on record for this master.
    pub(super) fn on_is_master_down(
        &mut self,
        now: Time,
        ticket: Ticket,
        host: &str,
        port: i64,
        epoch: i64,
        candidate: Option<RunId>,
    ) {
        if self.mention(now, host) {
            let host: Arc<str> = host.into();
            let question = Parked::IsMasterDown { ticket, host: Arc::clone(&host), port, epoch, candidate };
            self.park(now, &host, None, question);
            return;
        }
        let port = u16::try_from(port).ok();
        let found = port.and_then(|port| self.master_at(&Addr::new(host, port)));
        let Some(id) = found else {
            self.answer(ticket, Answer::Down { down: false, leader: None, epoch: Epoch(0) });
            return;
        };
        let Some(candidate) = candidate else {
            let down = self.sees_down(now, id);
            self.answer(ticket, Answer::Down { down, leader: None, epoch: Epoch(0) });
            return;
        };
        let epoch = Epoch(u64::try_from(epoch).unwrap_or(0));
        if self.saving_fails() {
            let answer = self.durable_vote(now, id);
            self.answer(ticket, answer);
            return;
        }
        self.vote(now, id, epoch, candidate);
        let Some(master) = self.masters.get(&id) else { return };
        let answer = Answer::Down {
            down: self.sees_down(now, id),
            leader: master.leader.clone(),
            epoch: master.leader_epoch,
        };
        let seq = master.seq;
        let failed = vec![Output::Answer { ticket, answer: self.durable_vote(now, id) }];
        self.hold(seq, vec![Held::Output(Output::Answer { ticket, answer })], failed);
    }

    fn sees_down(&self, now: Time, id: MasterId) -> bool {
        let node = self.masters.get(&id).and_then(|master| self.nodes.get(&master.node));
        node.is_some_and(|node| node.sdown.is_some()) && !self.in_doubt(now, id)
    }

    /// What is known to be on disk: all that may be shown while saving fails.
    fn durable_vote(&self, now: Time, id: MasterId) -> Answer {
        let vote = self.masters.get(&id).map(|master| master.durable_vote.clone());
        let (leader, epoch) = vote.unwrap_or_default();
        Answer::Down { down: self.sees_down(now, id), leader, epoch }
    }

    /// Raises the current epoch to `epoch` if that is larger, and votes for `candidate` if no vote
    /// and no configuration of this epoch or a later one is known for the master.
    pub(super) fn vote(&mut self, now: Time, id: MasterId, epoch: Epoch, candidate: RunId) {
        self.raise_epoch(id, epoch);
        let Some(master) = self.masters.get_mut(&id) else { return };
        let config_epoch = master.failover.verified().map_or(master.config_epoch, |(_, epoch)| epoch);
        if master.leader_epoch >= epoch || config_epoch >= epoch {
            return;
        }
        master.leader = Some(candidate.clone());
        master.leader_epoch = epoch;
        let seq = self.changed(Some(id));
        self.vote_changed(id, seq);
        self.reveal_event(id, seq, Kind::VoteForLeader, format!("{candidate} {epoch}"));
        if candidate != self.globals.my_id {
            self.voted_for_other(now, id, candidate, epoch);
        }
    }

    /// Adopts a larger current epoch; `+new-epoch` follows when it is durable.
    pub(super) fn raise_epoch(&mut self, id: MasterId, epoch: Epoch) {
        if epoch <= self.current_epoch {
            return;
        }
        self.current_epoch = epoch;
        let seq = self.changed(None);
        self.reveal_event(id, seq, Kind::NewEpoch, epoch.to_string());
    }

    /// Emits an event about a master once the change it reveals is durable.
    pub(super) fn reveal_event(&mut self, id: MasterId, seq: Seq, kind: Kind, detail: impl Into<String>) {
        if let Some(master) = self.master_ref(id) {
            let event = Event { kind, subject: Subject::Master(master), detail: detail.into() };
            self.reveal(seq, Output::Event(event));
        }
    }

    pub(super) fn answer(&mut self, ticket: Ticket, answer: Answer) {
        self.out.push(Output::Answer { ticket, answer });
    }
}
