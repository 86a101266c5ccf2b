//! A deterministic virtual world: whole groups of engines, data nodes, disks and a network on virtual time.
//!
//! One seed decides everything. No threads, no sockets, no clock: the world runs from one planned
//! happening (or engine deadline) to the next, and every observation passes the safety oracles.
#![allow(dead_code, unreachable_pub, reason = "shared by several test targets, each using a part")]
#![allow(clippy::wildcard_enum_match_arm, reason = "an observer picks the few kinds that it looks for")]

/// Adds a line to the trace; costs nothing while no trace is kept.
macro_rules! tell {
    ($world:expr, $($what:tt)*) => {
        if $world.trace.is_on() {
            let line = format!($($what)*);
            $world.tell(&line);
        }
    };
}

pub mod clock;
pub mod disk;
pub mod dns;
pub mod episode;
pub mod faults;
pub mod info;
pub mod net;
pub mod node;
pub mod oracles;
pub mod queue;
pub mod replication;
pub mod reply;
pub mod rng;
pub mod scenario;
#[cfg(test)]
mod selftest;
pub mod sentinel;
pub mod setup;
pub mod stock;
pub mod trace;
pub mod weather;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use vigia::engine::{
    Addr, Answer, Command, Input, MasterName, MasterView, Output, Request, Span, Ticket, Time,
};

use clock::Clock;
use net::{ConnId, Conns};
use node::Node;
use oracles::{Oracles, Sight};
use queue::{Plan, Queue};
use reply::Owned;
use rng::Rng;
use sentinel::Sentinel;
pub use setup::Options;
use stock::Stock;
use trace::Trace;
use weather::Weather;

/// The name of the master in a world made by [`World::group`].
pub const MASTER: &str = "mymaster";

/// Steps at one moment of virtual time before the world says that nothing moves.
const STEPS_PER_MOMENT: u32 = 20_000;

/// One process of the world.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Pid(pub usize);

/// A process on a host of its own.
#[derive(Debug)]
pub struct Proc {
    /// What traces call it: `m`, `r1`, `s1`.
    pub name: Arc<str>,
    /// Its own clock.
    pub clock: Clock,
    /// Where it listens.
    pub addr: Addr,
    /// Whether the process runs.
    pub alive: bool,
    /// Whether its host answers.
    pub host_up: bool,
    /// Stopped by SIGSTOP: the kernel still accepts, nothing is read.
    pub stopped: bool,
    /// Which run of the process this is.
    pub life: u32,
    /// What arrived while it was stopped.
    pub inbox: VecDeque<Arrival>,
    /// What it is.
    pub body: Body,
}

/// What a process is.
#[derive(Debug)]
pub enum Body {
    /// A Redis server.
    Node(Box<Node>),
    /// A Vigía.
    Sentinel(Box<Sentinel>),
    /// A modelled stock sentinel.
    Stock(Box<Stock>),
}

/// What reaches a process.
#[derive(Clone, Debug)]
pub enum Arrival {
    /// Its connection stands.
    Up(ConnId),
    /// Its connection or attempt failed; `true` if it was refused.
    Down(ConnId, bool),
    /// A reply on its connection.
    Reply(ConnId, Owned),
    /// A published message on its connection.
    Message(ConnId, Arc<str>),
    /// A request on a connection that it serves.
    Request(ConnId, Request),
    /// A write is durable (or failed); nothing to tell if it was given up long ago.
    Disk(Option<(vigia::engine::Seq, bool)>),
    /// A command of the operator.
    Operator(Ticket, Command),
}

/// The world.
#[derive(Debug)]
pub struct World {
    /// How it was made; printed with every failure.
    pub options: Options,
    /// Virtual time.
    pub now: Time,
    /// All chance comes from here.
    pub rng: Rng,
    /// Every process, by [`Pid`].
    pub procs: Vec<Proc>,
    /// What happened.
    pub trace: Trace,
    /// Last moment at which a healed connection came out of its retransmission back-off.
    pub last_stall_end: Time,
    /// Promotions that took place: when and which node.
    pub promotions: Vec<(Time, Pid)>,
    queue: Queue,
    conns: Conns,
    next_ticket: u64,
    cuts: BTreeSet<(Pid, Pid)>,
    answers: BTreeMap<Ticket, Answer>,
    pub(crate) oracles: Oracles,
    /// What the network does to packets.
    pub weather: Weather,
    /// The names of the masters.
    pub masters: Vec<MasterName>,
    brains: Vec<Pid>,
    /// Buffers for outputs.
    spare: Vec<Vec<Output>>,
    /// Names and resolvers.
    pub dns: dns::Dns,
    /// Oracles are off in a world that is broken on purpose.
    pub watch: bool,
    steps_now: u32,
}

impl World {
    /// Runs for a span of virtual time.
    pub fn run_for(&mut self, span: Span) {
        let until = self.now + span;
        while self.step(until) {}
        self.now = until;
    }

    /// Runs until `done` holds; the moment at which it did.
    ///
    /// # Panics
    /// With the trace, when it does not hold within `limit`.
    pub fn run_until(&mut self, what: &str, limit: Span, done: impl Fn(&Self) -> bool) -> Time {
        let until = self.now + limit;
        while !done(self) {
            if !self.step(until) {
                self.now = until;
                self.fail(&format!("not within {} ms: {what}", limit.as_ms()));
            }
        }
        self.now
    }

    /// Does the next thing, unless it lies after `until`.
    fn step(&mut self, until: Time) -> bool {
        let event = self.queue.next_at();
        let wake = self.next_wake();
        let before = self.now;
        // Input that is readable comes before a deadline of the same moment.
        let done = match (event, wake) {
            (Some(at), wake) if at <= until && wake.is_none_or(|(due, _)| at <= due.max(self.now)) => {
                let (at, plan) = self.queue.pop().expect("peeked");
                self.now = self.now.max(at);
                self.happen(plan);
                true
            }
            (_, Some((due, pid))) if due <= until => {
                self.now = self.now.max(due);
                self.feed(pid, Input::Tick);
                true
            }
            _ => false,
        };
        self.count_step(before);
        done
    }

    fn count_step(&mut self, before: Time) {
        self.steps_now = if self.now > before { 0 } else { self.steps_now + 1 };
        if self.steps_now > STEPS_PER_MOMENT {
            self.fail("no progress: too many steps at one moment");
        }
    }

    fn happen(&mut self, plan: Plan) {
        match plan {
            Plan::Syn { conn, attempt } => self.on_syn(conn, attempt),
            Plan::SynAck { conn, attempt } => self.on_syn_ack(conn, attempt),
            Plan::Refused { conn } => self.on_refused(conn),
            Plan::Pump { conn, way } => self.on_pump(conn, way),
            Plan::Disk { pid, life } => self.on_disk(pid, life),
            Plan::DiskTimeout { pid, life, write } => self.on_disk_timeout(pid, life, write),
            Plan::Synced { pid, life, handshake } => self.on_synced(pid, life, handshake),
            Plan::ReplicationCron => self.on_replication_cron(),
            Plan::Loaded { pid, life } => self.on_loaded(pid, life),
            Plan::LookedUp { pid, life, host } => self.on_looked_up(pid, life, &host),
            Plan::StockTick { pid, life } => self.on_stock_tick(pid, life),
            Plan::Continue { pid, life } => self.on_continue(pid, life),
        }
    }

    /// Gives a process what arrived, or keeps it while the process is stopped.
    pub(crate) fn arrive(&mut self, pid: Pid, arrival: Arrival) {
        if !self.procs[pid.0].alive {
            return;
        }
        if self.procs[pid.0].stopped {
            self.procs[pid.0].inbox.push_back(arrival);
            return;
        }
        match (&self.procs[pid.0].body, arrival) {
            (Body::Node(_), Arrival::Request(conn, request)) => self.node_request(conn, &request),
            (Body::Sentinel(_), arrival) => self.sentinel_arrival(pid, arrival),
            (Body::Stock(_), arrival) => self.stock_arrival(pid, arrival),
            (Body::Node(_), other) => unreachable!("a data node got {other:?}"),
        }
    }

    /// Stops the test with seed, options and the tail of the trace.
    pub fn fail(&self, why: &str) -> ! {
        if !self.trace.is_on() {
            panic!("{why}");
        }
        let file = format!("{}/world-seed-{}.trace", env!("CARGO_TARGET_TMPDIR"), self.options.seed);
        let saved = std::fs::write(&file, self.trace.all()).is_ok();
        let note = if saved { format!("full trace: {file}\n") } else { String::new() };
        panic!(
            "seed {} at {}: {why}\noptions: {:?}\n{note}{}",
            self.options.seed,
            self.now,
            self.options,
            self.trace.tail(self.options.tail)
        );
    }

    /// Stops the test with the trace unless `holds`.
    pub fn expect(&self, holds: bool, what: &str) {
        if !holds {
            self.fail(what);
        }
    }

    /// Shows the oracles what can be seen; a violation ends the test.
    pub(crate) fn sight(&mut self, sight: &Sight) {
        if !self.watch {
            return;
        }
        let mut oracles = std::mem::take(&mut self.oracles);
        let seen = self.seen_at_home(sight, &mut |sight| oracles.see(sight));
        self.oracles = oracles;
        if let Err(broken) = seen {
            tell!(self, "ORACLE {broken}");
            self.fail(&broken);
        }
    }

    /// Adds a line to the trace.
    pub(crate) fn tell(&mut self, line: &str) {
        self.trace.push(self.now, line);
    }

    /// A process by its name.
    ///
    /// # Panics
    /// If there is none.
    pub fn pid(&self, name: &str) -> Pid {
        let name = if name == "master" { "m" } else { name };
        match self.procs.iter().position(|proc| &*proc.name == name) {
            Some(at) => Pid(at),
            None => self.fail(&format!("no process is called {name}")),
        }
    }

    /// The name of a process.
    pub fn name(&self, pid: Pid) -> &str {
        &self.procs[pid.0].name
    }

    pub(crate) fn name_of(&self, pid: Pid) -> Arc<str> {
        self.procs[pid.0].name.clone()
    }

    /// Every Vigía.
    pub fn sentinels(&self) -> Vec<Pid> {
        self.brains.clone()
    }

    /// Every Vigía that runs.
    pub fn live_sentinels(&self) -> Vec<Pid> {
        self.pids(|proc| matches!(proc.body, Body::Sentinel(_)) && proc.alive && !proc.stopped)
    }

    /// Every data node of a group.
    pub fn nodes_of(&self, group: &MasterName) -> Vec<Pid> {
        self.pids(|proc| matches!(&proc.body, Body::Node(node) if node.group == *group))
    }

    /// Whether some running sentinel knows this data node; one that all have forgotten by RESET or REMOVE
    /// while it was away is a stranger, which nobody repairs.
    pub fn is_known(&self, pid: Pid) -> bool {
        let is = |addr: &Addr| self.at(addr) == Some(pid);
        self.live_sentinels().into_iter().any(|sentinel| {
            let masters = self.sentinel(sentinel).engine.snapshot().state.masters;
            masters.iter().any(|master| is(&master.addr) || master.replicas.iter().any(is))
        })
    }

    /// Every data node.
    pub fn nodes(&self) -> Vec<Pid> {
        self.pids(|proc| matches!(proc.body, Body::Node(_)))
    }

    /// Every stock sentinel.
    pub fn stocks(&self) -> Vec<Pid> {
        self.pids(|proc| matches!(proc.body, Body::Stock(_)))
    }

    fn pids(&self, wanted: impl Fn(&Proc) -> bool) -> Vec<Pid> {
        (0..self.procs.len()).map(Pid).filter(|pid| wanted(&self.procs[pid.0])).collect()
    }

    /// A data node.
    pub fn node(&self, pid: Pid) -> &Node {
        match &self.procs[pid.0].body {
            Body::Node(node) => node,
            Body::Sentinel(_) | Body::Stock(_) => self.fail("not a data node"),
        }
    }

    /// A data node, to change it.
    pub fn node_mut(&mut self, pid: Pid) -> &mut Node {
        match &mut self.procs[pid.0].body {
            Body::Node(node) => node,
            Body::Sentinel(_) | Body::Stock(_) => panic!("not a data node"),
        }
    }

    /// A data node by its name, to change it.
    pub fn node_called(&mut self, name: &str) -> &mut Node {
        self.node_mut(self.pid(name))
    }

    /// What this sentinel shows of a master.
    pub fn view(&self, pid: Pid, master: &str) -> Option<&MasterView> {
        self.view_of(pid, &MasterName::from(master))
    }

    /// The same for a name at hand.
    pub fn view_of(&self, pid: Pid, master: &MasterName) -> Option<&MasterView> {
        self.sentinel(pid).views.get(master).map(AsRef::as_ref)
    }

    /// The node that most of the living sentinels of a master call master.
    pub fn master_of(&self, name: &str) -> Pid {
        let mut counts: BTreeMap<Pid, usize> = BTreeMap::new();
        for pid in self.live_sentinels() {
            if let Some(at) = self.view(pid, name).and_then(|view| self.at(&view.addr)) {
                *counts.entry(at).or_default() += 1;
            }
        }
        match counts.iter().max_by_key(|(_, count)| **count) {
            Some((pid, _)) => *pid,
            None => self.fail("no sentinel shows a master"),
        }
    }

    /// The events of a sentinel: channel and payload.
    pub fn events(&self, pid: Pid) -> Vec<(Time, String)> {
        self.sentinel(pid).events.iter().map(|(at, event)| (*at, event.to_string())).collect()
    }

    /// When an event whose line starts with `start` came, at or after `from`.
    pub fn event_at(&self, pid: Pid, from: Time, start: &str) -> Option<Time> {
        let events = &self.sentinel(pid).events;
        events
            .iter()
            .find(|(at, event)| *at >= from && event.to_string().starts_with(start))
            .map(|(at, _)| *at)
    }

    /// How many events of all sentinels since `from` start with `start`.
    pub fn count_events(&self, from: Time, start: &str) -> usize {
        self.sentinels()
            .iter()
            .flat_map(|pid| self.sentinel(*pid).events.iter())
            .filter(|(at, event)| *at >= from && event.to_string().starts_with(start))
            .count()
    }

    /// Gives a sentinel a command of the operator; the answer is kept under the ticket.
    pub fn command(&mut self, pid: Pid, command: Command) -> Ticket {
        self.next_ticket += 1;
        let ticket = Ticket(self.next_ticket);
        tell!(self, "operator -> {} {command:?}", self.name(pid));
        self.sight(&Sight::Cause { at: self.now });
        let sentinel = self.name_of(pid);
        match &command {
            Command::Failover(master) => self.sight(&Sight::Ordered { sentinel: &sentinel, master }),
            Command::Reset(_) => self.sight(&Sight::Reset { sentinel: &sentinel }),
            Command::ResetForce(_) => self.sight(&Sight::Forgotten { sentinel: &sentinel, master: None }),
            Command::Forget { name, .. } => {
                self.sight(&Sight::Forgotten { sentinel: &sentinel, master: Some(name) });
            }
            Command::Remove(master) | Command::Monitor { name: master, .. } => {
                self.sight(&Sight::Anew { sentinel: &sentinel, master });
            }
            _ => {}
        }
        self.arrive(pid, Arrival::Operator(ticket, command));
        ticket
    }

    /// The answer to a command, when it is there.
    pub fn answer(&self, ticket: Ticket) -> Option<&Answer> {
        self.answers.get(&ticket)
    }
}
