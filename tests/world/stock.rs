//! A modelled stock sentinel: enough of one to live in a group with Vigías. Source: spec 04 to 06.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use vigia::engine::{Addr, Epoch, LinkId, MasterName, Request, RunId, Span, Time};

use super::net::{ConnId, Msg, Way};
use super::oracles::{Hello, Sight};
use super::queue::Plan;
use super::reply::Owned;
use super::{Arrival, Body, MASTER, Pid, World};

/// A stock sentinel that watches [`MASTER`].
#[derive(Debug)]
pub struct Stock {
    /// Its `myid`.
    pub id: RunId,
    /// `current-epoch`.
    pub current_epoch: u64,
    /// The master's address.
    pub master: Addr,
    /// Version of the address.
    pub config_epoch: u64,
    /// Its last vote.
    pub vote: Option<(u64, RunId)>,
    /// Replicas, from INFO of the master.
    pub replicas: BTreeSet<Addr>,
    /// Other sentinels, from hellos.
    pub peers: BTreeMap<RunId, Addr>,
    /// The epochs in which it led.
    pub led: Vec<u64>,
    /// What it said.
    pub events: Vec<(Time, String)>,
    links: BTreeMap<Addr, StockLink>,
    hello_at: Time,
    info_at: Time,
    candidacy: Option<Candidacy>,
    not_before: Time,
}

#[derive(Debug)]
struct StockLink {
    conn: ConnId,
    hears: ConnId,
    up: bool,
    /// Requests that wait for their replies.
    asked: Vec<Request>,
    ping_pending_since: Option<Time>,
    last_attempt: Time,
    down_flag: bool,
}

#[derive(Debug)]
struct Candidacy {
    epoch: u64,
    since: Time,
    /// By `SENTINEL FAILOVER`: nobody is asked.
    forced: bool,
    /// Whom each other sentinel voted for, and in which epoch.
    votes: BTreeMap<RunId, (RunId, u64)>,
    /// Past its election.
    elected: bool,
    promoting: Option<Addr>,
}

const TICK: Span = Span::ms(80);

impl Stock {
    /// A fresh one.
    pub fn new(id: RunId, master: Addr, now: Time) -> Self {
        Self {
            id,
            current_epoch: 0,
            master,
            config_epoch: 0,
            vote: None,
            replicas: BTreeSet::new(),
            peers: BTreeMap::new(),
            led: Vec::new(),
            events: Vec::new(),
            links: BTreeMap::new(),
            hello_at: now,
            info_at: Time(0),
            candidacy: None,
            not_before: Time(0),
        }
    }

    /// The process is started again; stock forgets whom it voted for, not the epoch.
    pub(crate) fn restart(&mut self, now: Time) {
        self.links.clear();
        self.candidacy = None;
        self.hello_at = now;
    }

    /// Stock's vote rule. Source: spec 05, section 4.
    fn vote_for(&mut self, epoch: u64, candidate: &RunId) -> (Option<RunId>, u64) {
        self.current_epoch = self.current_epoch.max(epoch);
        let last = self.vote.as_ref().map_or(0, |(epoch, _)| *epoch);
        if last < epoch && self.current_epoch <= epoch {
            self.vote = Some((epoch, candidate.clone()));
        }
        match &self.vote {
            Some((epoch, leader)) => (Some(leader.clone()), *epoch),
            None => (None, 0),
        }
    }

    fn stand(&mut self, now: Time, forced: bool) {
        self.current_epoch += 1;
        let (epoch, id) = (self.current_epoch, self.id.clone());
        self.vote_for(epoch, &id);
        self.candidacy = Some(Candidacy {
            epoch,
            since: now,
            forced,
            votes: BTreeMap::new(),
            elected: false,
            promoting: None,
        });
        self.info_at = Time(0);
    }

    /// Votes of others count if their epoch is the current one, whatever epoch the candidate acts in; its own
    /// if it is still that of its candidacy. Source: spec 05, section 4, "Leader for epoch e".
    fn votes_for_itself(&self, candidacy: &Candidacy) -> usize {
        let current = |(leader, epoch): &&(RunId, u64)| *leader == self.id && *epoch == self.current_epoch;
        let own =
            self.vote.as_ref().is_some_and(|(epoch, leader)| *epoch == candidacy.epoch && *leader == self.id);
        candidacy.votes.values().filter(current).count() + usize::from(own)
    }

    fn master_is_down(&self, now: Time, down_after: Span) -> bool {
        let link = self.links.get(&self.master);
        link.and_then(|link| link.ping_pending_since).is_some_and(|at| now.since(at) > down_after)
    }

    fn hello_payload(&self, me: &Addr) -> String {
        format!(
            "{},{},{},{},{MASTER},{},{},{}",
            me.host,
            me.port,
            self.id,
            self.current_epoch,
            self.master.host,
            self.master.port,
            self.config_epoch
        )
    }

    fn entry(&self, now: Time, down: bool) -> Owned {
        let mut fields = vec![
            ("name", MASTER.to_owned()),
            ("ip", self.master.host.to_string()),
            ("port", self.master.port.to_string()),
            ("runid", String::new()),
            ("flags", if down { "s_down,master".to_owned() } else { "master".to_owned() }),
            ("link-pending-commands", "0".to_owned()),
            ("link-refcount", "1".to_owned()),
        ];
        if let Some(candidacy) = &self.candidacy {
            let state = match (&candidacy.promoting, candidacy.elected) {
                (Some(_), _) => "wait_promotion",
                (None, true) => "send_slaveof_noone",
                (None, false) => "wait_start",
            };
            fields[4].1.push_str(",failover_in_progress");
            if candidacy.forced {
                fields[4].1.push_str(",force_failover");
            }
            fields.push(("failover-state", state.to_owned()));
        }
        fields.push(("last-ping-sent", now.since(self.info_at).as_ms().to_string()));
        fields.push(("config-epoch", self.config_epoch.to_string()));
        fields.push(("num-slaves", self.replicas.len().to_string()));
        fields.push(("num-other-sentinels", self.peers.len().to_string()));
        let flat =
            fields.into_iter().flat_map(|(field, value)| [Owned::Bulk(field.to_owned()), Owned::Bulk(value)]);
        Owned::Array(flat.collect())
    }
}

impl World {
    /// A stock sentinel.
    pub fn stock(&self, pid: Pid) -> &Stock {
        match &self.procs[pid.0].body {
            Body::Stock(stock) => stock,
            Body::Node(_) | Body::Sentinel(_) => self.fail("not a stock sentinel"),
        }
    }

    fn stock_mut(&mut self, pid: Pid) -> &mut Stock {
        match &mut self.procs[pid.0].body {
            Body::Stock(stock) => stock,
            Body::Node(_) | Body::Sentinel(_) => panic!("not a stock sentinel"),
        }
    }

    pub(crate) fn on_stock_tick(&mut self, pid: Pid, life: u32) {
        let proc = &self.procs[pid.0];
        if !proc.alive || proc.life != life || proc.stopped {
            return;
        }
        let stock = self.stock(pid);
        let mut wanted: Vec<Addr> = vec![stock.master.clone()];
        wanted.extend(stock.replicas.iter().cloned());
        wanted.extend(stock.peers.values().cloned());
        for addr in wanted {
            self.stock_link(pid, &addr);
        }
        self.stock_periodic(pid);
        self.stock_candidate(pid);
        let jitter = Span::ms(self.rng.below(20));
        self.queue.push(self.now + TICK + jitter, Plan::StockTick { pid, life });
    }

    /// Opens the connections to one address, at most once a second.
    fn stock_link(&mut self, pid: Pid, addr: &Addr) {
        let now = self.now;
        let pending = match self.stock(pid).links.get(addr) {
            Some(link) if link.up || now.since(link.last_attempt) < Span::secs(1) => return,
            Some(link) => link.ping_pending_since,
            None => None,
        };
        if let Some(old) = self.stock_mut(pid).links.remove(addr) {
            self.close_client(old.conn);
            self.close_client(old.hears);
        }
        let conn = self.connect(pid, LinkId(0), addr);
        let hears = if self.at(addr).is_some_and(|at| self.is_sentinel(at)) {
            ConnId(0)
        } else {
            self.connect(pid, LinkId(1), addr)
        };
        let link = StockLink {
            conn,
            hears,
            up: false,
            asked: Vec::new(),
            ping_pending_since: Some(pending.unwrap_or(now)),
            last_attempt: now,
            down_flag: false,
        };
        self.stock_mut(pid).links.insert(addr.clone(), link);
    }

    fn stock_periodic(&mut self, pid: Pid) {
        let now = self.now;
        let me = self.procs[pid.0].addr.clone();
        let stock = self.stock_mut(pid);
        let hello = (now.since(stock.hello_at) >= Span::secs(2)).then(|| {
            stock.hello_at = now;
            Arc::<str>::from(stock.hello_payload(&me))
        });
        if let Some(hello) = hello.as_ref().and_then(|payload| Hello::read(payload).ok()) {
            self.sight(&Sight::StockHello { hello: &hello });
        }
        let stock = self.stock_mut(pid);
        let info = now.since(stock.info_at) >= Span::secs(1);
        if info {
            stock.info_at = now;
        }
        let master = stock.master.clone();
        let addrs: Vec<Addr> =
            stock.links.iter().filter(|(_, link)| link.up).map(|(addr, _)| addr.clone()).collect();
        for addr in addrs {
            let node = !self.at(&addr).is_some_and(|at| self.is_sentinel(at));
            if info {
                self.stock_ask(pid, &addr, Request::Ping);
            }
            if info && node {
                self.stock_ask(pid, &addr, Request::Info);
            }
            if let Some(payload) = &hello {
                self.stock_ask(pid, &addr, Request::Publish(payload.clone()));
            }
            if info && !node && self.stock_sees_down(pid) {
                let stock = self.stock(pid);
                let candidate = stock.candidacy.as_ref().map(|_| stock.id.clone());
                let epoch = Epoch(stock.current_epoch);
                self.stock_ask(pid, &addr, Request::AskDown { addr: master.clone(), epoch, candidate });
            }
        }
    }

    /// Whether the master is SDOWN for it.
    pub fn stock_sees_down(&self, pid: Pid) -> bool {
        self.stock(pid).master_is_down(self.now, Span::ms(self.options.down_after_ms))
    }

    fn stock_ask(&mut self, pid: Pid, addr: &Addr, request: Request) {
        let now = self.now;
        let Some(link) = self.stock_mut(pid).links.get_mut(addr) else { return };
        if request == Request::Ping && link.ping_pending_since.is_none() {
            link.ping_pending_since = Some(now);
        }
        link.asked.push(request.clone());
        let conn = link.conn;
        self.transmit(conn, Way::Up, Msg::Request(request));
    }

    pub(crate) fn stock_arrival(&mut self, pid: Pid, arrival: Arrival) {
        match arrival {
            Arrival::Up(conn) => self.stock_up(pid, conn),
            Arrival::Down(conn, _) => {
                let links = &mut self.stock_mut(pid).links;
                if let Some(link) = links.values_mut().find(|link| link.conn == conn || link.hears == conn) {
                    link.up = false;
                    link.asked.clear();
                }
            }
            Arrival::Reply(conn, reply) => self.stock_reply(pid, conn, &reply),
            Arrival::Message(_, payload) => {
                if !payload.contains(&*self.stock(pid).id.0) {
                    self.stock_hello(pid, &payload);
                }
            }
            Arrival::Request(conn, request) => {
                let reply = self.stock_serves(pid, &request);
                self.reply(conn, reply);
            }
            Arrival::Disk(_) | Arrival::Operator(..) => {}
        }
    }

    fn stock_up(&mut self, pid: Pid, conn: ConnId) {
        let stock = self.stock_mut(pid);
        let Some((addr, link)) = stock.links.iter_mut().find(|(_, l)| l.conn == conn || l.hears == conn)
        else {
            return;
        };
        if link.hears == conn {
            return self.transmit(conn, Way::Up, Msg::Request(Request::Subscribe));
        }
        link.up = true;
        let addr = addr.clone();
        self.stock_ask(pid, &addr, Request::Ping);
    }

    fn stock_reply(&mut self, pid: Pid, conn: ConnId, reply: &Owned) {
        let stock = self.stock_mut(pid);
        let Some((addr, link)) = stock.links.iter_mut().find(|(_, link)| link.conn == conn) else { return };
        if link.asked.is_empty() {
            return;
        }
        let (addr, request) = (addr.clone(), link.asked.remove(0));
        match (request, reply) {
            (Request::Ping, Owned::Status(_)) => link.ping_pending_since = None,
            (Request::Ping, Owned::Error(text)) if text.starts_with("LOADING") => {
                link.ping_pending_since = None
            }
            (Request::Info, Owned::Bulk(text)) => self.stock_info(pid, &addr, text),
            (Request::AskDown { .. }, Owned::Array(items)) => self.stock_vote_came(pid, &addr, items),
            _ => {}
        }
    }

    fn stock_info(&mut self, pid: Pid, addr: &Addr, text: &str) {
        let stock = self.stock_mut(pid);
        let is_master = text.contains("role:master");
        if is_master && *addr == stock.master {
            for line in text.lines().filter(|line| line.starts_with("slave") && line.contains("ip=")) {
                let value = |key: &str| {
                    let rest = line.split(key).nth(1).unwrap_or("");
                    rest.split(',').next().unwrap_or("").to_owned()
                };
                if let Ok(port) = value("port=").parse() {
                    stock.replicas.insert(Addr::new(&value("ip="), port));
                }
            }
        }
        let promoted = stock.candidacy.as_ref().and_then(|candidacy| candidacy.promoting.clone());
        if is_master && promoted.as_ref() == Some(addr) {
            self.stock_won(pid, addr);
        }
    }

    /// A hello, by either way. Source: spec 06, section 2.
    fn stock_hello(&mut self, pid: Pid, payload: &str) {
        let fields: Vec<&str> = payload.split(',').collect();
        let Ok(hello) = Hello::read(payload) else { return };
        let Ok(port) = fields[1].parse() else { return };
        if &*hello.master.0 != MASTER {
            return;
        }
        let stock = self.stock_mut(pid);
        stock.peers.insert(RunId::from(fields[2]), Addr::new(fields[0], port));
        stock.current_epoch = stock.current_epoch.max(hello.current_epoch);
        if hello.config_epoch > stock.config_epoch {
            stock.config_epoch = hello.config_epoch;
            if stock.master != hello.addr {
                self.stock_switch(pid, &hello.addr);
            }
        }
    }

    fn stock_switch(&mut self, pid: Pid, addr: &Addr) {
        let now = self.now;
        let stock = self.stock_mut(pid);
        let old = std::mem::replace(&mut stock.master, addr.clone());
        stock.replicas.insert(old.clone());
        stock.replicas.remove(addr);
        stock.candidacy = None;
        let line = format!("+switch-master {MASTER} {} {} {} {}", old.host, old.port, addr.host, addr.port);
        stock.events.push((now, line.clone()));
        tell!(self, "{} EVENT {line}", self.name(pid));
    }

    fn stock_serves(&mut self, pid: Pid, request: &Request) -> Owned {
        let down = self.stock_sees_down(pid);
        let now = self.now;
        let timeout = Span::ms(self.options.failover_timeout_ms);
        let stock = self.stock_mut(pid);
        match request {
            Request::Ping => Owned::Status("PONG".to_owned()),
            Request::SetName(_) => Owned::ok(),
            Request::Publish(payload) => {
                let payload = payload.clone();
                self.stock_hello(pid, &payload);
                Owned::Integer(1)
            }
            Request::AskMaster(name) if *name == MasterName::from(MASTER) => stock.entry(now, down),
            Request::AskMaster(_) => Owned::Error("ERR No such master with that name".to_owned()),
            Request::AskDown { addr, epoch, candidate } => {
                let known = *addr == stock.master;
                let (leader, at) = match candidate {
                    Some(candidate) if known => {
                        let (leader, at) = stock.vote_for(epoch.0, candidate);
                        if at == epoch.0 && leader.as_ref() != Some(&stock.id) {
                            stock.not_before = now + timeout + timeout;
                        }
                        (leader, at)
                    }
                    Some(_) | None => (None, 0),
                };
                Owned::Array(vec![
                    Owned::Integer(i64::from(known && down)),
                    Owned::Bulk(leader.as_ref().map_or("*", |id| &id.0).to_owned()),
                    Owned::Integer(at as i64),
                ])
            }
            Request::Vigia(_) => {
                Owned::Error("ERR unknown subcommand 'VIGIA'. Try SENTINEL HELP.".to_owned())
            }
            _ => Owned::Error("ERR unknown command".to_owned()),
        }
    }

    fn stock_vote_came(&mut self, pid: Pid, addr: &Addr, items: &[Owned]) {
        let [Owned::Integer(down), Owned::Bulk(leader), Owned::Integer(epoch)] = items else { return };
        let stock = self.stock_mut(pid);
        if let Some(link) = stock.links.get_mut(addr) {
            link.down_flag = *down == 1;
        }
        let voter = stock.peers.iter().find(|(_, at)| *at == addr).map(|(id, _)| id.clone());
        if let (Some(voter), Some(candidacy)) = (voter, &mut stock.candidacy)
            && leader != "*"
        {
            candidacy.votes.insert(voter, (RunId::from(leader.as_str()), *epoch as u64));
        }
    }

    /// It hears of an epoch, as from a vote about another master: they all share its current epoch.
    pub fn stock_hears_of_epoch(&mut self, pid: Pid, epoch: u64) {
        let stock = self.stock_mut(pid);
        stock.current_epoch = stock.current_epoch.max(epoch);
    }

    /// It stands for election, as when it sees ODOWN.
    pub fn stock_stands(&mut self, pid: Pid) {
        let now = self.now;
        self.stock_mut(pid).stand(now, false);
    }

    /// `SENTINEL FAILOVER` at a stock sentinel: an epoch, a vote for itself, and nobody is asked.
    pub fn stock_ordered(&mut self, pid: Pid) {
        let now = self.now;
        self.stock_mut(pid).stand(now, true);
    }

    /// The candidate of a stock sentinel, in short. Source: spec 05, sections 2 to 7.
    fn stock_candidate(&mut self, pid: Pid) {
        if !self.options.stock_candidates && self.stock(pid).candidacy.is_none() {
            return;
        }
        let (now, quorum) = (self.now, self.options.quorum as usize);
        let timeout = Span::ms(self.options.failover_timeout_ms);
        let down = self.stock_sees_down(pid);
        let stock = self.stock_mut(pid);
        let agree = 1 + stock.links.values().filter(|link| link.down_flag).count();
        match &stock.candidacy {
            None if down && agree >= quorum && now >= stock.not_before => {
                stock.not_before = now + timeout + timeout;
                stock.stand(now, false);
            }
            Some(candidacy) if now.since(candidacy.since) > timeout => stock.candidacy = None,
            Some(candidacy) if candidacy.elected && candidacy.promoting.is_none() => self.stock_promotes(pid),
            Some(candidacy) if !candidacy.elected => {
                let voters = stock.peers.len() + 1;
                let votes = stock.votes_for_itself(candidacy);
                if candidacy.forced || (votes > voters / 2 && votes >= quorum) {
                    self.stock_elected(pid);
                } else if now.since(candidacy.since) > Span(Span::secs(10).0.min(timeout.0)) {
                    stock.candidacy = None;
                }
            }
            Some(_) | None => {}
        }
    }

    fn stock_elected(&mut self, pid: Pid) {
        let stock = self.stock_mut(pid);
        let candidacy = stock.candidacy.as_mut().expect("a candidate");
        candidacy.elected = true;
        stock.led.push(candidacy.epoch);
        self.stock_promotes(pid);
    }

    /// Sends the promotion as soon as there is a link to a replica: stock waits as long as failover-timeout.
    fn stock_promotes(&mut self, pid: Pid) {
        let stock = self.stock_mut(pid);
        let chosen = stock.replicas.iter().find(|addr| {
            stock.links.get(*addr).is_some_and(|link| link.up && link.ping_pending_since.is_none())
        });
        let Some(addr) = chosen.cloned() else { return };
        stock.candidacy.as_mut().expect("a candidate").promoting = Some(addr.clone());
        for request in [
            Request::Multi,
            Request::SlaveOfNoOne,
            Request::ConfigRewrite,
            Request::KillNormal,
            Request::KillPubsub,
            Request::Exec,
        ] {
            self.stock_ask(pid, &addr, request);
        }
    }

    fn stock_won(&mut self, pid: Pid, addr: &Addr) {
        let stock = self.stock_mut(pid);
        let epoch = stock.candidacy.as_ref().expect("a candidate").epoch;
        stock.config_epoch = epoch;
        stock.hello_at = Time(0);
        let replicas: Vec<Addr> = stock.replicas.iter().filter(|replica| *replica != addr).cloned().collect();
        self.stock_switch(pid, addr);
        for replica in replicas {
            for request in [
                Request::Multi,
                Request::SlaveOf(addr.clone()),
                Request::ConfigRewrite,
                Request::KillNormal,
                Request::KillPubsub,
                Request::Exec,
            ] {
                self.stock_ask(pid, &replica, request);
            }
        }
    }
}
