//! A Vigía process of the world: executes the engine's outputs as the runtime would.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use vigia::engine::event::Kind;
use vigia::engine::{
    Addr, Answer, Command, DownCause, Engine, Event, Input, LinkId, MasterName, MasterView, Output, Request,
    RunId, ScriptEnd, State, Ticket, Time,
};

use super::disk::Disk;
use super::net::{ConnId, Msg, Way};
use super::oracles::{Hello, Sight};
use super::reply::Owned;
use super::{Arrival, Body, Pid, World};

/// A Vigía.
#[derive(Debug)]
pub struct Sentinel {
    /// The brain.
    pub engine: Engine,
    /// Its `myid`.
    pub id: RunId,
    /// Its disk.
    pub disk: Disk,
    /// What clients can read.
    pub views: BTreeMap<MasterName, Arc<MasterView>>,
    /// What it said, over all its lives.
    pub events: Vec<(Time, Event)>,
    /// It crashes after so many more effects.
    pub crash_after: Option<u32>,
    /// The scripts that it ran.
    pub scripts: Vec<(Time, Vec<Arc<str>>)>,
    /// How scripts end, at once; `None`: they run until they are killed.
    pub script_end: Option<ScriptEnd>,
    /// Its system does not even try to connect.
    pub no_route: bool,
    /// Which hints it gives and understands.
    pub release: Release,
    links: BTreeMap<LinkId, ConnId>,
    names: BTreeMap<ConnId, LinkId>,
    asked: BTreeMap<Ticket, Asked>,
    /// The engine's deadline, and when the timer fires for it.
    wake: Option<(Time, Time)>,
    voted_for_self: BTreeMap<MasterName, u64>,
    forced: BTreeMap<MasterName, bool>,
}

#[derive(Debug)]
struct Asked {
    /// Where the answer goes; `None` is the operator.
    to: Option<(ConnId, u64)>,
    /// The address asked about, if the answer shows a vote.
    about: Option<Addr>,
}

/// A release of Vigía, as its peers know it by its hints (`SENTINEL VIGIA`).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Release {
    /// The engine as it is: version 1.
    #[default]
    This,
    /// One that knows no hints.
    Older,
    /// One that speaks versions 1 and 2.
    Newer,
    /// One that speaks version 2 only.
    Foreign,
}

fn second_version(mut words: Vec<Arc<str>>) -> Vec<Arc<str>> {
    words[0] = "2".into();
    words
}

impl Sentinel {
    /// A process that starts with `state`.
    pub fn new(state: State, seed: u64, now: Time) -> Self {
        Self {
            engine: Engine::new(state.clone(), seed, now),
            id: state.globals.my_id.clone(),
            disk: Disk::new(state),
            views: BTreeMap::new(),
            events: Vec::new(),
            crash_after: None,
            scripts: Vec::new(),
            script_end: Some(ScriptEnd::Exited(0)),
            no_route: false,
            release: Release::This,
            links: BTreeMap::new(),
            names: BTreeMap::new(),
            asked: BTreeMap::new(),
            wake: None,
            voted_for_self: BTreeMap::new(),
            forced: BTreeMap::new(),
        }
    }

    /// The process is started again with what is on its disk.
    pub(crate) fn restart(&mut self, seed: u64, now: Time) {
        self.engine = Engine::new(self.disk.durable.clone(), seed, now);
        self.views.clear();
        self.links.clear();
        self.names.clear();
        self.asked.clear();
        self.wake = None;
        self.voted_for_self.clear();
    }
}

impl World {
    /// A sentinel.
    pub fn sentinel(&self, pid: Pid) -> &Sentinel {
        match &self.procs[pid.0].body {
            Body::Sentinel(sentinel) => sentinel,
            Body::Node(_) | Body::Stock(_) => self.fail("not a sentinel"),
        }
    }

    pub fn sentinel_mut(&mut self, pid: Pid) -> &mut Sentinel {
        match &mut self.procs[pid.0].body {
            Body::Sentinel(sentinel) => sentinel,
            Body::Node(_) | Body::Stock(_) => panic!("not a sentinel"),
        }
    }

    /// Runs a new engine for the first time.
    pub(crate) fn started(&mut self, pid: Pid) {
        let (name, state) = (self.name_of(pid), self.sentinel(pid).disk.durable.clone());
        let local = self.procs[pid.0].clock.local(self.now);
        self.sight(&Sight::Started { sentinel: &name, at: self.now, local });
        self.sight(&Sight::Saved { sentinel: &name, state: &state });
        self.feed(pid, Input::Tick);
    }

    /// The first timer that fires, and whose it is.
    pub(crate) fn next_wake(&self) -> Option<(Time, Pid)> {
        let procs = self.brains.iter().map(|pid| (*pid, &self.procs[pid.0]));
        let live = procs.filter(|(_, proc)| proc.alive && !proc.stopped);
        let wakes = live.filter_map(|(pid, proc)| match &proc.body {
            Body::Sentinel(sentinel) => sentinel.wake.map(|(_, fires)| (fires, pid)),
            Body::Node(_) | Body::Stock(_) => None,
        });
        wakes.min()
    }

    /// What the runtime tells right before the first input after a stall; what is due is left to that.
    pub fn feed_late(&mut self, pid: Pid, late: Input<'_>) {
        let now = self.procs[pid.0].clock.local(self.now);
        let outputs: Vec<Output> = self.sentinel_mut(pid).engine.handle(now, late).collect();
        for output in outputs {
            self.perform(pid, output);
        }
    }

    /// One stimulus for the engine, and everything that follows from it.
    pub(crate) fn feed(&mut self, pid: Pid, input: Input<'_>) {
        let (at, clock) = (self.now, self.procs[pid.0].clock);
        let now = clock.local(at);
        let late = self.rng.below(self.options.timer_late_us + 1);
        let mut outputs = self.spare.pop().unwrap_or_default();
        let sentinel = self.sentinel_mut(pid);
        outputs.extend(sentinel.engine.handle(now, input));
        let wake = sentinel.engine.next_wakeup();
        let due = wake.map(|(at, _)| at);
        if sentinel.wake.map(|(at, _)| at) != due {
            sentinel.wake = due.map(|at| (at, Time(clock.world(at).0 + late)));
        }
        let name = self.name_of(pid);
        self.sight(&Sight::Handled { sentinel: &name, at, now, wake });
        for output in outputs.drain(..) {
            if self.crashes_here(pid) {
                self.kill(pid);
            }
            if !self.procs[pid.0].alive {
                break; // It ended itself, or crashed between two effects.
            }
            self.perform(pid, output);
        }
        self.spare.push(outputs);
    }

    /// Counts down to a crash between two effects.
    fn crashes_here(&mut self, pid: Pid) -> bool {
        let sentinel = self.sentinel_mut(pid);
        match sentinel.crash_after {
            Some(0) => {
                sentinel.crash_after = None;
                true
            }
            Some(more) => {
                sentinel.crash_after = Some(more - 1);
                false
            }
            None => false,
        }
    }

    /// The clock of a process changed: its timer fires when the new one says so.
    pub(crate) fn clock_changed(&mut self, pid: Pid) {
        let (now, clock) = (self.now, self.procs[pid.0].clock);
        if let Body::Sentinel(sentinel) = &mut self.procs[pid.0].body {
            sentinel.wake = sentinel.wake.map(|(due, _)| (due, clock.world(due).max(now)));
        }
    }

    pub(crate) fn sentinel_arrival(&mut self, pid: Pid, arrival: Arrival) {
        match arrival {
            Arrival::Up(conn) => {
                let local = local_ip(&self.procs[pid.0].addr);
                if let Some(link) = self.sentinel(pid).names.get(&conn).copied() {
                    self.feed(pid, Input::LinkUp { link, local });
                }
            }
            Arrival::Down(conn, refused) => {
                let sentinel = self.sentinel_mut(pid);
                let Some(link) = sentinel.names.remove(&conn) else { return };
                sentinel.links.remove(&link);
                let cause = if refused { DownCause::Refused } else { DownCause::Remote };
                tell!(self, "{} link {} down {cause:?}", self.name(pid), link.0);
                self.feed(pid, Input::LinkDown { link, cause });
            }
            Arrival::Reply(conn, reply) => {
                let Some(link) = self.sentinel(pid).names.get(&conn).copied() else { return };
                tell!(self, "{} <- link {} {reply}", self.name(pid), link.0);
                self.info_sight(pid, conn, &reply);
                self.feed(pid, Input::Reply { link, reply: reply.borrow() });
            }
            Arrival::Message(conn, payload) => {
                let Some(link) = self.sentinel(pid).names.get(&conn).copied() else { return };
                tell!(self, "{} <- link {} hello {payload}", self.name(pid), link.0);
                self.feed(pid, Input::Message { link, payload: &payload });
            }
            Arrival::Request(conn, request) => self.serve(pid, conn, request),
            Arrival::Disk(told) => {
                if let Some((seq, works)) = told {
                    tell!(self, "{} saved {} {works}", self.name(pid), seq.0);
                }
                self.disk_told(pid, told);
            }
            Arrival::Operator(ticket, command) => {
                self.sentinel_mut(pid).asked.insert(ticket, Asked { to: None, about: None });
                self.feed(pid, Input::Command { ticket, command });
            }
        }
    }

    /// A request of another sentinel.
    fn serve(&mut self, pid: Pid, conn: ConnId, request: Request) {
        let (command, about) = match request {
            Request::AskDown { addr, epoch, candidate } => {
                let about = candidate.is_some().then(|| addr.clone());
                let (host, port) = (addr.host, i64::from(addr.port));
                let epoch = i64::try_from(epoch.0).unwrap_or(-1);
                (Command::IsMasterDown { host, port, epoch, candidate }, about)
            }
            Request::AskMaster(name) => (Command::Master(name), None),
            Request::Publish(payload) => (Command::Hello(payload), None),
            Request::Vigia(words) => match self.hint(pid, conn, words) {
                Ok(words) => (Command::Vigia(words), None),
                Err(reply) => return self.reply(conn, reply),
            },
            Request::Ping => return self.reply(conn, Owned::Status("PONG".to_owned())),
            Request::SetName(_) => return self.reply(conn, Owned::ok()),
            Request::Auth { .. } => return self.reply(conn, Owned::Error(NO_PASSWORD.to_owned())),
            other => return self.reply(conn, Owned::Error(format!("ERR unknown command '{other:?}'"))),
        };
        let slot = self.reserve(conn);
        self.next_ticket += 1;
        let ticket = Ticket(self.next_ticket);
        tell!(self, "{} serves {command:?}", self.name(pid));
        self.sentinel_mut(pid).asked.insert(ticket, Asked { to: Some((conn, slot)), about });
        self.feed(pid, Input::Command { ticket, command });
    }

    /// What a hint of one release is to another: its words as they are sent, or the answer of a release that
    /// this engine is not.
    fn hint(&self, pid: Pid, conn: ConnId, words: Vec<Arc<str>>) -> Result<Vec<Arc<str>>, Owned> {
        let release = |pid: Pid| match &self.procs[pid.0].body {
            Body::Sentinel(sentinel) => sentinel.release,
            Body::Node(_) | Body::Stock(_) => Release::This,
        };
        let asking = self.conn(conn).map_or(Release::This, |conn| release(conn.client));
        let is_hello = words.get(1).is_some_and(|word| &**word == "HELLO");
        match (asking, release(pid)) {
            (Release::Older, _) | (_, Release::Older) => {
                Err(Owned::Error("ERR unknown subcommand 'VIGIA'. Try SENTINEL HELP.".to_owned()))
            }
            (_, Release::Newer | Release::Foreign) if is_hello => {
                let id = self.sentinel(pid).id.to_string();
                Err(Owned::Array(vec![Owned::Bulk("2".to_owned()), Owned::Bulk(id)]))
            }
            (Release::This | Release::Newer, Release::Foreign) => {
                Err(Owned::Error("ERR unknown VIGIA message".to_owned()))
            }
            (Release::Newer, _) if is_hello => Ok(second_version(words)),
            (Release::Foreign, _) => Ok(second_version(words)),
            (Release::This | Release::Newer, Release::This | Release::Newer) => Ok(words),
        }
    }

    fn perform(&mut self, pid: Pid, output: Output) {
        match output {
            Output::Connect { link, addr, ip } => {
                let addr = Addr::new(&ip.to_string(), addr.port);
                tell!(self, "{} connect {} to {addr}", self.name(pid), link.0);
                if self.sentinel(pid).no_route {
                    self.feed(pid, Input::ConnectFailed { link, why: "Network is unreachable" });
                    return self.feed(pid, Input::LinkDown { link, cause: DownCause::Remote });
                }
                let conn = self.connect(pid, link, &addr);
                let sentinel = self.sentinel_mut(pid);
                sentinel.names.insert(conn, link);
                if sentinel.links.insert(link, conn).is_some() {
                    self.fail(&format!("link {} was used twice", link.0));
                }
            }
            Output::Resolve(host) => self.look_up(pid, &host),
            Output::Close { link } => {
                tell!(self, "{} close {}", self.name(pid), link.0);
                if let Some(conn) = self.sentinel_mut(pid).links.remove(&link) {
                    self.sentinel_mut(pid).names.remove(&conn);
                    self.close_client(conn);
                }
            }
            Output::Send { link, request, renames: _ } => self.send(pid, link, request),
            Output::Save(seq) => self.save(pid, seq),
            Output::View(view) => self.on_view(pid, view),
            Output::ViewGone(name) => {
                self.sentinel_mut(pid).views.remove(&name);
            }
            Output::Event(event) => self.on_event(pid, event),
            Output::Note(note) => tell!(self, "{} note {note}", self.name(pid)),
            Output::RunScript { script, argv } => {
                let now = self.now;
                tell!(self, "{} runs {argv:?}", self.name(pid));
                self.sentinel_mut(pid).scripts.push((now, argv));
                if self.sentinel(pid).script_end != Some(ScriptEnd::NotStarted) {
                    self.feed(pid, Input::ScriptStarted { script, pid: 1 });
                }
                if let Some(end) = self.sentinel(pid).script_end {
                    self.feed(pid, Input::ScriptEnded { script, end });
                }
            }
            Output::KillScript(script) => {
                self.feed(pid, Input::ScriptEnded { script, end: ScriptEnd::Killed(9) });
            }
            Output::LogLevel(level) => tell!(self, "{} logs {level:?}", self.name(pid)),
            Output::Figures(figures) => tell!(self, "{} {figures:?}", self.name(pid)),
            Output::Exit(_) => self.kill(pid),
            Output::Answer { ticket, answer } => self.on_answer(pid, ticket, answer),
        }
    }

    fn send(&mut self, pid: Pid, link: LinkId, request: Request) {
        let Some(conn) = self.sentinel(pid).links.get(&link).copied() else { return };
        let Some((up, server)) = self.conn(conn).map(|conn| (conn.up, conn.server)) else { return };
        if !up {
            self.fail(&format!("{} sends {request:?} on a link that is not up", self.name(pid)));
        }
        let name = self.name_of(pid);
        tell!(
            self,
            "{name} -> {} link {} {}",
            server.map_or("nobody", |server| self.name(server)),
            link.0,
            show(&request)
        );
        match &request {
            Request::Publish(payload) => match Hello::read(payload) {
                Ok(hello) => self.sight(&Sight::Hello { sentinel: &name, hello: &hello }),
                Err(why) => self.fail(&why),
            },
            Request::SlaveOfNoOne => {
                if let Some(server) = server {
                    let (at, node) = (self.now, self.procs[server.0].addr.clone());
                    let group = self.node(server).group.clone();
                    self.sight(&Sight::Promotes { sentinel: &name, node: &node, group: &group, at });
                }
            }
            Request::AskDown { epoch, candidate: Some(candidate), .. } => {
                let own = *candidate == self.sentinel(pid).id;
                self.sight(&Sight::Campaign { sentinel: &name, epoch: epoch.0, own });
            }
            _ => {}
        }
        self.transmit(conn, Way::Up, Msg::Request(request));
    }

    fn info_sight(&mut self, pid: Pid, conn: ConnId, reply: &Owned) {
        let Owned::Bulk(text) = reply else { return };
        let Some(server) = self.conn(conn).and_then(|conn| conn.server) else { return };
        let Body::Node(body) = &self.procs[server.0].body else { return };
        let (group, at) = (body.group.clone(), self.now);
        let (sentinel, node) = (self.name_of(pid), self.procs[server.0].addr.clone());
        self.sight(&Sight::Info { sentinel: &sentinel, node: &node, group: &group, at, text });
    }

    fn on_view(&mut self, pid: Pid, view: Arc<MasterView>) {
        let name = self.name_of(pid);
        tell!(
            self,
            "{name} view {} {} configured {} {:?} replicas {} sentinels {} epoch {}",
            view.name,
            view.addr,
            view.configured,
            view.status,
            view.replicas,
            view.sentinels,
            view.config_epoch
        );
        self.sentinel_mut(pid).views.insert(view.name.clone(), view.clone());
        self.sight(&Sight::View { sentinel: &name, view: &view });
    }

    fn on_event(&mut self, pid: Pid, event: Event) {
        let name = self.name_of(pid);
        tell!(self, "{name} EVENT {event}");
        let now = self.now;
        let local = self.procs[pid.0].clock.local(now);
        self.sight(&Sight::Event { sentinel: &name, at: now, local, event: &event });
        let sentinel = self.sentinel_mut(pid);
        sentinel.events.push((now, event.clone()));
        let master = master_name(&event);
        match event.kind {
            Kind::VoteForLeader => self.own_vote(pid, &name, &master, &event),
            Kind::TryFailover => {
                sentinel.forced.insert(master, false);
            }
            Kind::ForcedWithoutMajority => {
                sentinel.forced.insert(master, true);
            }
            Kind::ElectedLeader => {
                let forced = sentinel.forced.get(&master).copied().unwrap_or(false);
                let Some(epoch) = sentinel.voted_for_self.get(&master).copied() else {
                    self.fail(&format!("{name} leads without a vote for itself"));
                };
                self.sight(&Sight::Elected { sentinel: &name, at: now, master: &master, epoch, forced });
            }
            _ => {}
        }
    }

    fn own_vote(&mut self, pid: Pid, name: &str, master: &MasterName, event: &Event) {
        let mut words = event.detail.split_whitespace();
        let (Some(leader), Some(epoch)) = (words.next(), words.next().and_then(|word| word.parse().ok()))
        else {
            self.fail(&format!("unreadable vote: {event}"));
        };
        if leader == &*self.sentinel(pid).id.0 {
            self.sentinel_mut(pid).voted_for_self.insert(master.clone(), epoch);
        }
        self.sight(&Sight::Vote { sentinel: name, master, epoch, leader });
    }

    fn on_answer(&mut self, pid: Pid, ticket: Ticket, answer: Answer) {
        let name = self.name_of(pid);
        tell!(self, "{name} answers {}", Owned::from(&answer));
        let Some(asked) = self.sentinel_mut(pid).asked.remove(&ticket) else {
            self.fail(&format!("{name} answers ticket {} twice, or out of the blue", ticket.0));
        };
        if let (Answer::Down { leader: Some(leader), epoch, .. }, Some(about)) = (&answer, &asked.about)
            && let Some(node) = self.at(about)
        {
            let master = self.node(node).group.clone();
            self.sight(&Sight::Vote { sentinel: &name, master: &master, epoch: epoch.0, leader });
        }
        match asked.to {
            Some((conn, slot)) => self.fill(conn, slot, Owned::from(&answer)),
            None => {
                self.answers.insert(ticket, answer);
            }
        }
    }
}

const NO_PASSWORD: &str = "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?";

/// The address a process connects from.
fn local_ip(addr: &Addr) -> IpAddr {
    addr.host.parse().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

/// The master that an event concerns; empty for an event about the process.
fn master_name(event: &Event) -> MasterName {
    event.subject.master_name().cloned().unwrap_or_else(|| MasterName::from(""))
}

/// A request in a trace.
fn show(request: &Request) -> String {
    match request {
        Request::AskDown { addr, epoch, candidate } => {
            format!("AskDown {addr} {epoch} {}", candidate.as_ref().map_or("*", |id| &id.0))
        }
        Request::SlaveOf(addr) => format!("SlaveOf {addr}"),
        Request::Vigia(words) => format!("Vigia {words:?}"),
        other => format!("{other:?}"),
    }
}
