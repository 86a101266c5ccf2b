//! Durable before visible: outputs that reveal a change wait here until it is on disk.
//!
//! Source: DESIGN section 2 and S7. Differs: stock answers even if its write failed.

use std::collections::{BTreeSet, VecDeque};

use super::event::Note;
use super::ids::{Addr, Epoch, Seq};
use super::instance::MasterId;
use super::output::Output;
use super::schedule::Wake;
use super::scripts::Teller;
use super::time::{Span, Time};
use super::{Engine, Snapshot};

/// How long after a failed write the next one is tried.
const RETRY: Span = Span::secs(1);

/// What to do once a change is durable.
#[derive(Debug)]
pub(super) enum Held {
    /// Let this out.
    Output(Output),
    /// The vote for oneself is durable: ask the others.
    Campaign(MasterId, Epoch),
    /// The new configuration is durable: announce it.
    Announce(MasterId, Epoch),
    /// A configuration of another sentinel was announced: turn to the new master.
    Greet(MasterId),
    /// A configuration of another sentinel was announced: call the client-reconfiguration script.
    TellClients { master: MasterId, from: Addr, to: Addr },
    /// The client knows that the credentials towards other sentinels changed: use them.
    NewCredentials,
}

#[derive(Debug)]
struct Waiting {
    seq: Seq,
    ok: Vec<Held>,
    failed: Vec<Output>,
}

/// The state of saving.
#[derive(Debug, Default)]
pub(super) struct Persistence {
    /// Number of the last change.
    last: Seq,
    /// Everything up to this is on disk.
    done: Seq,
    /// Up to where a save was asked for.
    asked: Seq,
    /// The last write failed; nothing has been written since.
    failing: bool,
    waiting: VecDeque<Waiting>,
    /// Masters whose vote is newer than the disk, by change.
    unsaved_votes: BTreeSet<(Seq, MasterId)>,
    /// The last change of the current epoch.
    epoch_seq: Seq,
    /// When the outstanding save was asked for, and how long the last ones took.
    asked_at: Option<Time>,
    recent: Span,
}

impl Engine {
    /// Numbers a change of the durable state; it is written at the end of this call of `handle`.
    pub(super) fn changed(&mut self, master: Option<MasterId>) -> Seq {
        self.saving.last = Seq(self.saving.last.0 + 1);
        let seq = self.saving.last;
        match master {
            Some(id) => {
                if let Some(master) = self.masters.get_mut(&id) {
                    master.seq = seq;
                }
            }
            None => self.saving.epoch_seq = seq,
        }
        seq
    }

    /// Notes a change of the state that reveals nothing: it is written, and nothing waits for that.
    pub(super) fn unsaved(&mut self) {
        self.saving.last = Seq(self.saving.last.0 + 1);
    }

    /// Number of the last change.
    pub(super) fn last_change(&self) -> Seq {
        self.saving.last
    }

    /// Notes that the vote of `master` changed with `seq`.
    pub(super) fn vote_changed(&mut self, master: MasterId, seq: Seq) {
        self.saving.unsaved_votes.insert((seq, master));
    }

    /// Whether votes and elections are suspended because the state cannot be saved.
    pub(super) fn saving_fails(&self) -> bool {
        self.saving.failing
    }

    /// Whether everything that a hello about `master` tells is on disk.
    pub(super) fn is_durable(&self, master: MasterId) -> bool {
        let seq = self.masters.get(&master).map_or(Seq(0), |m| m.seq);
        seq.max(self.saving.epoch_seq) <= self.saving.done
    }

    /// Whether a configuration of another sentinel was adopted, but not saved and told yet.
    pub(super) fn switch_is_held(&self, master: MasterId) -> bool {
        let seq = self.masters.get(&master).map_or(Seq(0), |m| m.config_seq);
        seq > self.saving.done && !self.saving.failing
    }

    /// Smoothed time of a save; part of the step between candidates.
    pub(super) fn save_time(&self) -> Span {
        self.saving.recent
    }

    /// Lets `output` out once `seq` is durable; drops it when the write fails.
    pub(super) fn reveal(&mut self, seq: Seq, output: Output) {
        self.hold(seq, vec![Held::Output(output)], Vec::new());
    }

    /// Does `ok` once `seq` is durable, or lets `failed` out when the write fails.
    pub(super) fn hold(&mut self, seq: Seq, ok: Vec<Held>, failed: Vec<Output>) {
        if seq <= self.saving.done {
            self.release(ok);
        } else {
            self.saving.waiting.push_back(Waiting { seq, ok, failed });
        }
    }

    /// Asks for a save if something changed since the last time; called at the end of `handle`.
    pub(super) fn ask_save(&mut self, now: Time) {
        if self.saving.last > self.saving.asked {
            self.saving.asked = self.saving.last;
            self.saving.asked_at.get_or_insert(now);
            self.out.push(Output::Save(self.saving.last));
        }
    }

    pub(super) fn on_persisted(&mut self, now: Time, seq: Seq) {
        if let Some(asked) = self.saving.asked_at.take() {
            let took = now.since(asked);
            self.saving.recent = Span((self.saving.recent.0 * 3 + took.0) / 4);
        }
        if seq < self.saving.asked {
            self.saving.asked_at = Some(now);
        }
        self.saving.done = self.saving.done.max(seq);
        if self.saving.failing {
            self.saving.failing = false;
            self.schedule.cancel(Wake::Save);
            self.out.push(Output::Note(Note::SavingWorks));
        }
        if self.saving.epoch_seq <= seq {
            self.durable_epoch = self.current_epoch;
        }
        self.remember_durable_votes(seq);
        while self.saving.waiting.iter().any(|w| w.seq <= seq) {
            let Some(at) = self.saving.waiting.iter().position(|w| w.seq <= seq) else { break };
            if let Some(waiting) = self.saving.waiting.remove(at) {
                self.release(waiting.ok);
            }
        }
        self.send_wanted_hellos();
        self.reconsider_candidacies(now);
    }

    /// A failed write: what waited for it is cancelled, and votes and elections stop until a later
    /// write succeeds. The change itself stays in memory, as in stock.
    pub(super) fn on_persist_failed(&mut self, now: Time, seq: Seq) {
        if seq <= self.saving.done {
            return;
        }
        self.saving.asked_at = None;
        if !self.saving.failing {
            self.saving.failing = true;
            self.was_failing = true;
            self.out.push(Output::Note(Note::SavingFails));
        }
        let (failed, kept): (VecDeque<_>, VecDeque<_>) =
            self.saving.waiting.drain(..).partition(|waiting| waiting.seq <= seq);
        self.saving.waiting = kept;
        for waiting in failed {
            self.out.extend(waiting.failed);
            for held in waiting.ok {
                self.cancel_held(now, waiting.seq, held);
            }
        }
        self.schedule.set_earlier(Wake::Save, now + RETRY);
    }

    /// The time to try a failed save again.
    pub(super) fn retry_save(&mut self, now: Time) {
        if self.saving.failing {
            self.out.push(Output::Save(self.saving.last));
            self.schedule.set(Wake::Save, now + RETRY);
        }
    }

    /// A candidate that could not save its vote gives up. A leader that could not save the new
    /// configuration waits: it may not announce it, but the node is a master already.
    fn cancel_held(&mut self, now: Time, seq: Seq, held: Held) {
        match held {
            Held::Output(_) => {}
            Held::Greet(master) => self.greet_new_master(now, master),
            Held::TellClients { master, from, to } => {
                self.reconfigure_clients(master, Teller::Observer, &from, &to);
            }
            Held::NewCredentials => self.reconnect_peers(now),
            Held::Campaign(master, epoch) => self.campaign_not_saved(master, epoch),
            Held::Announce(master, epoch) => {
                let ok = vec![Held::Announce(master, epoch)];
                self.saving.waiting.push_back(Waiting { seq, ok, failed: Vec::new() });
            }
        }
    }

    fn release(&mut self, held: Vec<Held>) {
        for held in held {
            match held {
                Held::Output(output) => self.out.push(output),
                Held::Campaign(master, epoch) => self.campaign(master, epoch),
                Held::Announce(master, epoch) => self.announce(master, epoch),
                Held::Greet(master) => self.greet_new_master(self.now, master),
                Held::TellClients { master, from, to } => {
                    self.reconfigure_clients(master, Teller::Observer, &from, &to);
                }
                Held::NewCredentials => self.reconnect_peers(self.now),
            }
        }
    }

    fn remember_durable_votes(&mut self, seq: Seq) {
        while let Some(&(changed, id)) = self.saving.unsaved_votes.first().filter(|(s, _)| *s <= seq) {
            self.saving.unsaved_votes.remove(&(changed, id));
            if self.saving.unsaved_votes.iter().any(|(_, other)| *other == id) {
                continue;
            }
            if let Some(master) = self.masters.get_mut(&id) {
                master.durable_vote = (master.leader.clone(), master.leader_epoch);
            }
        }
    }

    /// The state to write, with the number of the last change in it.
    ///
    /// A verified promotion is in it before it is announced: that is what the announcement waits for.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot { seq: self.saving.last, state: self.state() }
    }
}
