//! The engine held against the rules of the model: one sentinel, any sequence of vote requests, hellos, saves, failed
//! saves and crashes, the same on both sides, and everything that can be seen must be equal.
//!
//! Elections of its own need links and are the business of the simulated groups.

use std::collections::BTreeMap;

use proptest::prelude::*;
use vigia::engine::settings::{Globals, MasterSettings};
use vigia::engine::{
    Addr, Answer, Command, Engine, Epoch, Input, MasterName, MasterState, Output, RunId, State, Ticket, Time,
};

use super::rules::{Durable, Id, Mutant, Rules};

/// What can happen to one sentinel.
#[derive(Clone, Copy, Debug)]
enum Op {
    /// Sentinel `from` asks for a vote.
    Ask {
        from: Id,
        epoch: u8,
    },
    /// Sentinel `from` says hello.
    Hello {
        from: Id,
        current: u8,
        config_epoch: u8,
        config: u8,
    },
    Save,
    SaveFails,
    Crash,
}

const MASTER: &str = "m";

fn id_of(id: Id) -> RunId {
    RunId::from(format!("{id}").repeat(40).as_str())
}

fn addr_of(config: u8) -> Addr {
    Addr::new(&format!("10.0.0.{}", config + 1), 6_379)
}

/// The real thing.
struct Real {
    engine: Engine,
    disk: State,
    now: u64,
    tickets: u64,
    answers: BTreeMap<u64, (Id, u8)>,
}

impl Real {
    fn new() -> Self {
        let known = |id: Id| (id_of(id), Addr::new(&format!("10.0.1.{id}"), 26_379));
        let master = MasterState {
            name: MasterName::from(MASTER),
            addr: addr_of(0),
            settings: MasterSettings::new(2),
            config_epoch: Epoch(0),
            leader_epoch: Epoch(0),
            leader: None,
            replicas: Vec::new(),
            sentinels: vec![known(2), known(3)],
            voters: vec![id_of(2), id_of(3)],
        };
        let disk = State { globals: Globals::new(id_of(1)), current_epoch: Epoch(0), masters: vec![master] };
        Self {
            engine: Engine::new(disk.clone(), 1, Time(0)),
            disk,
            now: 0,
            tickets: 0,
            answers: BTreeMap::new(),
        }
    }

    fn feed(&mut self, input: Input<'_>) {
        self.now += 100;
        for output in self.engine.handle(Time(self.now), input) {
            if let Output::Answer { ticket, answer: Answer::Down { leader, epoch, .. } } = output {
                let leader = leader.map_or(0, |leader| leader.as_bytes()[0] - b'0');
                self.answers.insert(ticket.0, (leader, number(epoch)));
            }
        }
    }

    fn run(&mut self, op: Op) {
        match op {
            Op::Ask { from, epoch } => {
                self.tickets += 1;
                let at = self.engine.snapshot().state.masters[0].addr.clone();
                let command = Command::IsMasterDown {
                    host: at.host,
                    port: i64::from(at.port),
                    epoch: i64::from(epoch),
                    candidate: Some(id_of(from)),
                };
                self.feed(Input::Command { ticket: Ticket(self.tickets), command });
            }
            Op::Hello { from, current, config_epoch, config } => {
                let payload = format!(
                    "10.0.1.{from},26379,{},{current},{MASTER},{},6379,{config_epoch}",
                    id_of(from),
                    addr_of(config).host
                );
                let command = Command::Hello(payload.as_str().into());
                self.feed(Input::Command { ticket: Ticket(1_000_000), command });
            }
            Op::Save => {
                let snapshot = self.engine.snapshot();
                self.disk = snapshot.state;
                self.feed(Input::Persisted(snapshot.seq));
            }
            Op::SaveFails => {
                let seq = self.engine.snapshot().seq;
                self.feed(Input::PersistFailed(seq));
            }
            Op::Crash => {
                self.engine = Engine::new(self.disk.clone(), 1, Time(self.now));
                self.feed(Input::Tick);
            }
        }
    }

    fn shown(&self) -> Durable {
        durable(&self.engine.snapshot().state)
    }
}

fn number(epoch: Epoch) -> u8 {
    u8::try_from(epoch.0).expect("small epochs")
}

fn durable(state: &State) -> Durable {
    let master = &state.masters[0];
    let config = master.addr.host.rsplit('.').next().and_then(|last| last.parse::<u8>().ok());
    Durable {
        current: number(state.current_epoch),
        vote_epoch: number(master.leader_epoch),
        vote: master.leader.as_ref().map_or(0, |leader| leader.as_bytes()[0] - b'0'),
        config_epoch: number(master.config_epoch),
        config: config.expect("an address of this test") - 1,
        voters: u8::try_from(master.voters.len()).expect("few") + 1,
    }
}

/// What the rules say.
struct Said {
    rules: Rules,
    mem: Durable,
    disk: Durable,
    failing: bool,
    /// The current epoch, or the master's state, is newer than the disk.
    dirty: bool,
    master_dirty: bool,
    held: Vec<(u64, (Id, u8))>,
    tickets: u64,
    answers: BTreeMap<u64, (Id, u8)>,
}

impl Said {
    fn new(rules: Rules) -> Self {
        let disk = Durable { voters: 3, ..Durable::default() };
        Self {
            rules,
            mem: disk,
            disk,
            failing: false,
            dirty: false,
            master_dirty: false,
            held: Vec::new(),
            tickets: 0,
            answers: BTreeMap::new(),
        }
    }

    fn run(&mut self, op: Op) {
        match op {
            Op::Ask { from, epoch } => {
                self.tickets += 1;
                if self.failing {
                    self.answers.insert(self.tickets, (self.disk.vote, self.disk.vote_epoch));
                    return;
                }
                self.dirty |= self.mem.current < epoch;
                let vote_before = (self.mem.vote, self.mem.vote_epoch);
                self.mem = self.rules.vote(self.mem, None, epoch, from);
                let answer = (self.mem.vote, self.mem.vote_epoch);
                self.master_dirty |= answer != vote_before;
                // An answer waits for everything about its master.
                if self.master_dirty {
                    self.held.push((self.tickets, answer));
                } else {
                    self.answers.insert(self.tickets, answer);
                }
            }
            Op::Hello { current, config_epoch, config, .. } => {
                self.dirty |= self.mem.current < current;
                self.mem.current = self.mem.current.max(current);
                if self.rules.adopts(self.mem, None, config_epoch, config) {
                    self.master_dirty = true;
                    self.mem.config_epoch = config_epoch;
                    self.mem.config = config;
                }
            }
            Op::Save => {
                self.disk = self.mem;
                self.failing = false;
                (self.dirty, self.master_dirty) = (false, false);
                self.answers.extend(self.held.drain(..));
            }
            // A write that failed when nothing was to be written is no news.
            Op::SaveFails if !self.dirty && !self.master_dirty && !self.failing => {}
            Op::SaveFails => {
                self.failing = true;
                let on_disk = (self.disk.vote, self.disk.vote_epoch);
                self.answers.extend(self.held.drain(..).map(|(ticket, _)| (ticket, on_disk)));
            }
            Op::Crash => {
                self.mem = self.rules.after_crash(self.disk);
                self.failing = false;
                (self.dirty, self.master_dirty) = (false, false);
                self.held.clear();
            }
        }
    }
}

fn op() -> impl Strategy<Value = Op> {
    let epoch = 0..6_u8;
    prop_oneof![
        4 => (2..4_u8, epoch.clone()).prop_map(|(from, epoch)| Op::Ask { from, epoch }),
        2 => (2..4_u8, epoch.clone(), epoch, 0..3_u8).prop_map(|(from, current, config_epoch, config)| {
            // A configuration was minted by an election: nobody's current epoch is below it.
            Op::Hello { from, current: current.max(config_epoch), config_epoch, config }
        }),
        3 => Just(Op::Save),
        1 => Just(Op::SaveFails),
        1 => Just(Op::Crash),
    ]
}

/// The first difference between the engine and the rules, if there is one.
fn compare(rules: Rules, ops: &[Op]) -> Result<(), String> {
    let (mut real, mut said) = (Real::new(), Said::new(rules));
    for (at, op) in ops.iter().enumerate() {
        real.run(*op);
        said.run(*op);
        let place = format!("after {at}: {op:?}");
        if real.answers != said.answers {
            return Err(format!("{place}: answers {:?}, the rules say {:?}", real.answers, said.answers));
        }
        if real.shown() != said.mem {
            return Err(format!("{place}: {:?}, the rules say {:?}", real.shown(), said.mem));
        }
        if durable(&real.disk) != said.disk {
            return Err(format!("{place}: disk {:?}, the rules say {:?}", durable(&real.disk), said.disk));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn the_engine_follows_the_rules(ops in proptest::collection::vec(op(), 1..40)) {
        if let Err(difference) = compare(Rules(None), &ops) {
            prop_assert!(false, "{}", difference);
        }
    }
}

/// The comparison can see: broken rules differ from the engine.
#[test]
fn broken_rules_differ_from_the_engine() {
    let ask = |from, epoch| Op::Ask { from, epoch };
    let hello = |config_epoch, config| Op::Hello { from: 2, current: config_epoch, config_epoch, config };
    let cases: [(Mutant, &[Op]); 4] = [
        (Mutant::VoteTwice, &[ask(2, 1), Op::Save, ask(3, 1), Op::Save]),
        (Mutant::VoteForUsedEpoch, &[hello(2, 1), Op::Save, ask(2, 2), Op::Save]),
        (Mutant::AdoptOlder, &[hello(2, 1), Op::Save, hello(1, 2)]),
        (Mutant::ForgetEpoch, &[ask(2, 3), Op::Save, Op::Crash]),
    ];
    for (mutant, ops) in cases {
        assert_eq!(compare(Rules(None), ops), Ok(()));
        assert!(compare(Rules(Some(mutant)), ops).is_err(), "{mutant:?}");
    }
}
