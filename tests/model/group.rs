//! Three sentinels, their disks and their network as a transition system.
//!
//! | here | in the code |
//! |---|---|
//! | [`Sentinel::disk`] | the files that `runtime::save` wrote last; `engine::State` |
//! | [`Sentinel::mem`] | the engine's fields; [`Rules`] names the functions |
//! | [`Sentinel::held`] | `engine::persist`, `Held`: answers that wait for a save |
//! | [`Phase`] | `engine::failover::Failover`, without the steps between election and promotion |
//! | [`Step::Save`], [`Step::SaveFails`] | `Input::Persisted`, `Input::PersistFailed` |
//! | [`Message`] | `IS-MASTER-DOWN-BY-ADDR` and its answer on a peer link; hellos |
//!
//! Assumptions
//! - A message that was sent may arrive never, late, in any order, any number of times, and at everybody; it is never
//!   forged. (Links are TCP, and an answer goes to who asked: they do less.)
//! - A candidate may take any epoch that its rules allow, however high the epochs that it has seen.
//! - A save writes all that is in memory at that moment, at once, or nothing (temporary file, fsync, rename). What is
//!   released by it counts as sent at that moment; a later moment is a late message.
//! - Any sentinel may find the master down and stand at any time; whether it should is S4's business. A candidate
//!   or leader that gives up is one that takes no further step.
//! - Sentinel n promotes replica n, so that two promotions under one epoch are two addresses.
//! - One master. Epochs are judged per master; the current epoch, which is the process', is only ever raised.
//! - Time is not in it: terms (S9's length), ranks and liveness (L1 to L3) are the simulation's business.

use std::collections::BTreeSet;

use stateright::{Model, Property};

use super::rules::{Durable, Id, Mutant, Rules};

/// Per master and epoch, a sentinel shows one vote.
pub const S1: &str = "S1: one vote per epoch";
/// Per master and epoch, one leader.
pub const S2: &str = "S2: one leader per epoch";
/// Epochs never fall, on disk or on the wire.
pub const S3: &str = "S3: epochs never fall";
/// What is shown is on the disk of who shows it.
pub const S7: &str = "S7: durable before visible";
/// One configuration per epoch.
pub const S8: &str = "S8: one configuration per epoch";
/// Nobody votes in an epoch of which it knows a configuration.
pub const FRESH: &str = "no vote in an epoch that has a configuration";
/// A leader that voted higher does not promote any more.
pub const S9: &str = "S9: no promotion after a higher vote";

const IDS: [Id; 3] = [1, 2, 3];

/// How far the search goes.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// No election in an epoch above this.
    pub epochs: u8,
    /// Crashes, of all sentinels together.
    pub crashes: u8,
    /// Failed writes, of all sentinels together.
    pub failures: u8,
}

/// The system to be checked.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    bounds: Bounds,
    rules: Rules,
}

/// What a sentinel does about the master.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Phase {
    /// Nothing.
    #[default]
    Idle,
    /// It stands in this epoch; its vote for itself is not on disk yet.
    Standing(u8),
    /// It asks for votes; one bit per voter that granted its own.
    Asking { epoch: u8, granted: u8 },
    /// It won, and may promote.
    Leading(u8),
    /// The promotion is verified; the new configuration is not on disk yet.
    Announcing(u8),
}

/// One sentinel.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Sentinel {
    /// What a restart finds.
    pub disk: Durable,
    /// What it knows.
    pub mem: Durable,
    /// The last write failed.
    pub failing: bool,
    /// Answers that wait for a save: vote and its epoch.
    pub held: BTreeSet<(Id, u8)>,
    /// Its part in a failover.
    pub phase: Phase,
}

/// What may be under way.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Message {
    /// Please vote for me.
    Ask { from: Id, epoch: u8 },
    /// My vote.
    Vote { from: Id, vote: Id, epoch: u8 },
    /// A configuration.
    Hello { current: u8, config_epoch: u8, config: u8 },
}

/// A state of the whole.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct State {
    sentinels: [Sentinel; 3],
    /// Everything that was ever sent.
    messages: BTreeSet<Message>,
    /// Who led in which epoch.
    leaders: BTreeSet<(u8, Id)>,
    crashes: u8,
    failures: u8,
    resets: u8,
    /// An epoch fell.
    fell: bool,
    /// Something was shown that its sender's disk did not hold.
    bare: bool,
    /// A vote was given in an epoch of a known configuration.
    stale_vote: bool,
    /// A leader promoted after it voted higher.
    usurped: bool,
}

/// What may happen next.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Step {
    /// A sentinel starts an election in this epoch.
    Stand(Id, u8),
    /// Its state is written.
    Save(Id),
    /// Its write fails.
    SaveFails(Id),
    /// It ends without a word and starts again.
    Crash(Id),
    /// It is told to RESET.
    Reset(Id),
    /// A leader promotes its replica, and sees that it is a master.
    Promote(Id),
    /// A message arrives.
    Deliver(Message, Id),
}

impl Group {
    /// The system under `mutant`, or under all rules.
    pub fn new(bounds: Bounds, mutant: Option<Mutant>) -> Self {
        Self { bounds, rules: Rules(mutant) }
    }
}

impl Model for Group {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        let mut state = State::default();
        for sentinel in &mut state.sentinels {
            sentinel.disk.voters = 3;
            sentinel.mem = sentinel.disk;
        }
        vec![state]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        // All are alike until one has done something: let it be the first.
        let alike = *state == self.init_states()[0];
        for id in IDS.into_iter().take(if alike { 1 } else { IDS.len() }) {
            let sentinel = state.at(id);
            let announcing = matches!(sentinel.phase, Phase::Announcing(_));
            if !sentinel.failing && !announcing {
                let fresh = self.rules.fresh_epoch(sentinel.mem)..=self.bounds.epochs;
                steps.extend(fresh.map(|epoch| Step::Stand(id, epoch)));
            }
            if sentinel.is_dirty() {
                steps.push(Step::Save(id));
                if state.failures < self.bounds.failures {
                    steps.push(Step::SaveFails(id));
                }
            }
            if state.crashes < self.bounds.crashes {
                steps.push(Step::Crash(id));
            }
            if state.resets == 0 && self.rules.broken(Mutant::ResetShrinks) {
                steps.push(Step::Reset(id));
            }
            if let Phase::Leading(_) = sentinel.phase {
                steps.push(Step::Promote(id));
            }
        }
        for message in &state.messages {
            for to in message.receivers() {
                steps.push(Step::Deliver(*message, to));
            }
        }
    }

    fn next_state(&self, before: &State, step: Step) -> Option<State> {
        let mut state = before.clone();
        match step {
            Step::Stand(id, epoch) => self.stand(&mut state, id, epoch),
            Step::Save(id) => self.save(&mut state, id),
            Step::SaveFails(id) => self.save_fails(&mut state, id),
            Step::Crash(id) => self.crash(&mut state, id),
            Step::Reset(id) => {
                state.resets += 1;
                let mem = state.at(id).mem;
                state.at_mut(id).mem = self.rules.reset(mem);
            }
            Step::Promote(id) => self.promote(&mut state, id),
            Step::Deliver(message, to) => self.deliver(&mut state, message, to),
        }
        state.note_falls(before, matches!(step, Step::Crash(_)));
        // A step that changes nothing is none.
        (state != *before).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let always = [
            Property::always(S1, |_, state: &State| state.votes_are_unique()),
            Property::always(S2, |_, state: &State| state.leaders_are_unique()),
            Property::always(S3, |_, state: &State| !state.fell),
            Property::always(S7, |_, state: &State| !state.bare),
            Property::always(S8, |_, state: &State| state.configs_are_unique()),
            Property::always(FRESH, |_, state: &State| !state.stale_vote),
            Property::always(S9, |_, state: &State| !state.usurped),
        ];
        always.into_iter().chain(self.possible()).collect()
    }
}

impl Group {
    /// What must be reachable within the bounds: a model in which nothing happens keeps every promise.
    fn possible(&self) -> Vec<Property<Self>> {
        let mut possible = vec![
            Property::sometimes("a leader promotes, and everybody has that on disk", |_, state: &State| {
                state.sentinels.iter().all(|s| s.disk.config_epoch > 0)
            }),
            Property::sometimes("two stand in one epoch", |_, state: &State| state.collides()),
            Property::sometimes("a candidate is shown a vote for another", |_, state: &State| {
                state.refuses()
            }),
        ];
        if self.bounds.epochs > 1 {
            possible.push(Property::sometimes("two lead, in two epochs", |_, state: &State| {
                state.leaders.len() > 1
            }));
        }
        if self.bounds.crashes > 0 {
            possible.push(Property::sometimes("a leader dies after its vote", |_, state: &State| {
                let dead = |id: Id| state.at(id).disk.vote == id && state.at(id).phase == Phase::Idle;
                state.crashes > 0 && state.leaders.iter().any(|(_, id)| dead(*id))
            }));
        }
        if self.bounds.failures > 0 {
            possible.push(Property::sometimes("a failed write, and then a leader", |_, state: &State| {
                state.failures > 0 && !state.leaders.is_empty() && state.sentinels.iter().all(|s| !s.failing)
            }));
        }
        possible
    }

    fn stand(&self, state: &mut State, id: Id, epoch: u8) {
        let sentinel = state.at_mut(id);
        sentinel.mem = self.rules.vote(sentinel.mem, None, epoch, id);
        sentinel.phase = Phase::Standing(epoch);
        if self.rules.broken(Mutant::CampaignBeforeSave) {
            self.campaign(state, id);
        }
        if self.rules.broken(Mutant::ForcedAlone) {
            state.at_mut(id).phase = Phase::Leading(epoch);
            state.leaders.insert((epoch, id));
        }
    }

    fn campaign(&self, state: &mut State, id: Id) {
        if let Phase::Standing(epoch) = state.at(id).phase {
            state.at_mut(id).phase = Phase::Asking { epoch, granted: bit(id) };
            state.send(Message::Ask { from: id, epoch });
            self.count(state, id);
        }
    }

    fn count(&self, state: &mut State, id: Id) {
        let sentinel = state.at_mut(id);
        if let Phase::Asking { epoch, granted } = sentinel.phase
            && granted.count_ones() >= u32::from(self.rules.needed(sentinel.mem))
        {
            sentinel.phase = Phase::Leading(epoch);
            state.leaders.insert((epoch, id));
        }
    }

    fn save(&self, state: &mut State, id: Id) {
        let sentinel = state.at_mut(id);
        if let Phase::Announcing(epoch) = sentinel.phase {
            sentinel.mem.config_epoch = epoch;
            sentinel.mem.config = id;
            sentinel.phase = Phase::Idle;
        }
        sentinel.disk = sentinel.mem;
        sentinel.failing = false;
        for (vote, epoch) in std::mem::take(&mut state.at_mut(id).held) {
            state.send(Message::Vote { from: id, vote, epoch });
        }
        self.campaign(state, id);
        state.hello(id);
    }

    fn save_fails(&self, state: &mut State, id: Id) {
        state.failures += 1;
        let sentinel = state.at_mut(id);
        sentinel.failing = true;
        if let Phase::Standing(_) = sentinel.phase {
            sentinel.phase = Phase::Idle;
        }
        let on_disk = (sentinel.disk.vote, sentinel.disk.vote_epoch);
        for held in std::mem::take(&mut state.at_mut(id).held) {
            let stock = self.rules.broken(Mutant::AnswerAfterFailedSave);
            let (vote, epoch) = if stock { held } else { on_disk };
            state.send(Message::Vote { from: id, vote, epoch });
        }
    }

    fn crash(&self, state: &mut State, id: Id) {
        state.crashes += 1;
        let disk = state.at(id).disk;
        *state.at_mut(id) = Sentinel { disk, mem: self.rules.after_crash(disk), ..Sentinel::default() };
    }

    fn promote(&self, state: &mut State, id: Id) {
        let sentinel = state.at_mut(id);
        let Phase::Leading(epoch) = sentinel.phase else { return };
        if self.rules.must_stand_down(id, epoch, sentinel.mem) {
            sentinel.phase = Phase::Idle;
            return;
        }
        sentinel.phase = Phase::Announcing(epoch);
        let higher = sentinel.mem.vote_epoch > epoch;
        if self.rules.broken(Mutant::AnnounceBeforeSave) {
            state.tell(id, Durable { current: epoch, config_epoch: epoch, config: id, ..Durable::default() });
        }
        state.usurped |= higher;
    }

    fn deliver(&self, state: &mut State, message: Message, to: Id) {
        match message {
            Message::Ask { from, epoch } => self.on_ask(state, to, from, epoch),
            Message::Vote { from, vote, epoch } => {
                let sentinel = state.at_mut(to);
                if let Phase::Asking { epoch: mine, granted } = sentinel.phase
                    && self.rules.grants(to, mine, vote, epoch)
                {
                    sentinel.phase = Phase::Asking { epoch: mine, granted: granted | bit(from) };
                    self.count(state, to);
                }
            }
            Message::Hello { current, config_epoch, config } => {
                self.on_hello(state, to, current, config_epoch, config);
            }
        }
    }

    fn on_ask(&self, state: &mut State, to: Id, from: Id, asked: u8) {
        let sentinel = state.at_mut(to);
        if sentinel.failing && !self.rules.broken(Mutant::AnswerAfterFailedSave) {
            let (vote, epoch) = (sentinel.disk.vote, sentinel.disk.vote_epoch);
            state.send(Message::Vote { from: to, vote, epoch });
            return;
        }
        let verified = sentinel.verified();
        let before = sentinel.mem;
        sentinel.mem = self.rules.vote(before, verified, asked, from);
        let after = sentinel.mem;
        if after.vote_epoch > before.vote_epoch {
            sentinel.give_way(after.vote_epoch);
        }
        let stale = after.vote_epoch > before.vote_epoch
            && verified.unwrap_or(before.config_epoch) >= after.vote_epoch;
        state.stale_vote |= stale;
        let sentinel = state.at_mut(to);
        if !sentinel.is_dirty() || self.rules.broken(Mutant::AnswerBeforeSave) {
            state.send(Message::Vote { from: to, vote: after.vote, epoch: after.vote_epoch });
        } else {
            sentinel.held.insert((after.vote, after.vote_epoch));
        }
    }

    fn on_hello(&self, state: &mut State, to: Id, current: u8, config_epoch: u8, config: u8) {
        let sentinel = state.at_mut(to);
        sentinel.mem.current = sentinel.mem.current.max(current);
        if !self.rules.adopts(sentinel.mem, sentinel.verified(), config_epoch, config) {
            return;
        }
        sentinel.mem.config_epoch = config_epoch;
        sentinel.mem.config = config;
        sentinel.phase = Phase::Idle;
    }
}

impl Sentinel {
    /// A promotion that is verified, but not on disk. In the code: `Failover::verified`.
    fn verified(&self) -> Option<u8> {
        match self.phase {
            Phase::Announcing(epoch) => Some(epoch),
            Phase::Idle | Phase::Standing(_) | Phase::Asking { .. } | Phase::Leading(_) => None,
        }
    }

    fn is_dirty(&self) -> bool {
        self.mem != self.disk || self.failing || self.verified().is_some() || !self.held.is_empty()
    }

    /// A vote for somebody else in a higher epoch ends an election of ours. A leader notices when it wants to promote.
    fn give_way(&mut self, epoch: u8) {
        match self.phase {
            Phase::Standing(mine) | Phase::Asking { epoch: mine, .. } if mine < epoch => {
                self.phase = Phase::Idle;
            }
            Phase::Idle
            | Phase::Standing(_)
            | Phase::Asking { .. }
            | Phase::Leading(_)
            | Phase::Announcing(_) => {}
        }
    }
}

impl Message {
    fn receivers(self) -> impl Iterator<Item = Id> {
        IDS.into_iter().filter(move |id| match self {
            Self::Ask { from, .. } | Self::Vote { from, .. } => *id != from,
            Self::Hello { .. } => true,
        })
    }
}

impl State {
    fn at(&self, id: Id) -> &Sentinel {
        &self.sentinels[usize::from(id) - 1]
    }

    fn at_mut(&mut self, id: Id) -> &mut Sentinel {
        &mut self.sentinels[usize::from(id) - 1]
    }

    /// Sends, and notes when more is shown than the disk of the sender holds.
    fn send(&mut self, message: Message) {
        self.bare |= match message {
            Message::Ask { from, epoch } => self.at(from).disk.vote_epoch < epoch,
            Message::Vote { from, vote, epoch } => {
                let disk = self.at(from).disk;
                epoch > disk.vote_epoch || (epoch == disk.vote_epoch && vote != disk.vote)
            }
            Message::Hello { .. } => false,
        };
        // A word about no vote at all changes nothing for anybody.
        if !matches!(message, Message::Vote { vote: 0, .. }) {
            self.messages.insert(message);
        }
    }

    /// Says hello.
    fn tell(&mut self, id: Id, what: Durable) {
        let disk = self.at(id).disk;
        self.bare |= what.current > disk.current || what.config_epoch > disk.config_epoch;
        let Durable { current, config_epoch, config, .. } = what;
        self.send(Message::Hello { current, config_epoch, config });
    }

    /// Says hello, when everything that it tells is on disk.
    fn hello(&mut self, id: Id) {
        let disk = self.at(id).disk;
        if disk.config_epoch > 0 {
            self.tell(id, disk);
        }
    }

    /// A crash may forget what was never shown; nothing else may make an epoch fall.
    fn note_falls(&mut self, before: &Self, crash: bool) {
        for (now, then) in self.sentinels.iter().zip(&before.sentinels) {
            let fell = |now: &Durable, then: &Durable| {
                now.current < then.current
                    || now.vote_epoch < then.vote_epoch
                    || now.config_epoch < then.config_epoch
            };
            self.fell |= fell(&now.disk, &then.disk);
            self.fell |= if crash { fell(&now.mem, &then.disk) } else { fell(&now.mem, &then.mem) };
        }
    }

    fn votes_are_unique(&self) -> bool {
        let mut shown = BTreeSet::new();
        for message in &self.messages {
            match *message {
                Message::Ask { from, epoch } => shown.insert((from, epoch, from)),
                Message::Vote { from, vote, epoch } => shown.insert((from, epoch, vote)),
                Message::Hello { .. } => false,
            };
        }
        let keys: BTreeSet<_> = shown.iter().map(|(from, epoch, _)| (*from, *epoch)).collect();
        keys.len() == shown.len()
    }

    fn leaders_are_unique(&self) -> bool {
        let epochs: BTreeSet<u8> = self.leaders.iter().map(|(epoch, _)| *epoch).collect();
        epochs.len() == self.leaders.len()
    }

    fn configs_are_unique(&self) -> bool {
        let told = self.messages.iter().filter_map(|message| match *message {
            Message::Hello { config_epoch, config, .. } => Some((config_epoch, config)),
            Message::Ask { .. } | Message::Vote { .. } => None,
        });
        let told: BTreeSet<_> = told.collect();
        let epochs: BTreeSet<u8> = told.iter().map(|(epoch, _)| *epoch).collect();
        epochs.len() == told.len()
    }

    fn collides(&self) -> bool {
        let asks = |id: Id, epoch: u8| self.messages.contains(&Message::Ask { from: id, epoch });
        asks(1, 1) && asks(2, 1)
    }

    /// Somebody asked in epoch 1, and was shown a vote for another.
    fn refuses(&self) -> bool {
        let vote = |from, vote| self.messages.contains(&Message::Vote { from, vote, epoch: 1 });
        self.collides() && vote(3, 1)
    }
}

fn bit(id: Id) -> u8 {
    1 << id
}
