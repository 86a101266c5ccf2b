//! How a world is made.

use std::collections::BTreeMap;
use std::collections::VecDeque;

use vigia::engine::settings::{Globals, MasterSettings};
use vigia::engine::{Addr, Epoch, MasterName, MasterState, Millis, RunId, Span, State, Time};

use super::clock::Clock;
use super::net::Conns;
use super::node::{Node, Role};
use super::oracles::Oracles;
use super::queue::{Plan, Queue};
use super::rng::Rng;
use super::sentinel::Sentinel;
use super::stock::Stock;
use super::trace::Trace;
use super::weather::Weather;
use super::{Body, MASTER, Pid, Proc, World};

/// What a world is like. Times in the unit of their name; pairs are lowest and highest.
#[derive(Clone, Debug)]
pub struct Options {
    /// Decides everything that chance decides.
    pub seed: u64,
    /// Number of Vigía processes.
    pub sentinels: usize,
    /// Number of modelled stock sentinels.
    pub stock: usize,
    /// Whether stock sentinels run candidates of their own.
    pub stock_candidates: bool,
    /// Number of masters that the Vigía watch; stock sentinels watch the first.
    pub masters: usize,
    /// Number of replicas of each master.
    pub replicas: usize,
    /// The sentinels know each other and the replicas from their files.
    pub acquainted: bool,
    /// Quorum.
    pub quorum: u32,
    /// `down-after-milliseconds`.
    pub down_after_ms: u64,
    /// `failover-timeout`.
    pub failover_timeout_ms: u64,
    /// `parallel-syncs`.
    pub parallel_syncs: u32,
    /// One way through the network.
    pub latency_us: (u64, u64),
    /// One durable write.
    pub disk_us: (u64, u64),
    /// The handshake of replication until the link is up.
    pub sync_us: (u64, u64),
    /// How late a timer fires at most.
    pub timer_late_us: u64,
    /// `resolve-hostnames`.
    pub resolve_hostnames: bool,
    /// `announce-hostnames`.
    pub announce_hostnames: bool,
    /// `deny-scripts-reconfig`.
    pub deny_scripts: bool,
    /// What clients write to a master per second.
    pub bytes_per_second: u64,
    /// Lines of the trace in a failure message.
    pub tail: usize,
    /// Keep a trace.
    pub trace: bool,
}

impl Options {
    /// Three sentinels, a master, two replicas, quorum 2, D = 1 s.
    pub fn seed(seed: u64) -> Self {
        Self {
            seed,
            sentinels: 3,
            stock: 0,
            stock_candidates: false,
            masters: 1,
            replicas: 2,
            acquainted: false,
            quorum: 2,
            down_after_ms: 1_000,
            failover_timeout_ms: 10_000,
            parallel_syncs: 1,
            latency_us: (100, 1_000),
            disk_us: (200, 3_000),
            sync_us: (2_000, 20_000),
            timer_late_us: 1_000,
            resolve_hostnames: false,
            announce_hostnames: false,
            deny_scripts: true,
            bytes_per_second: 10_000,
            tail: 120,
            trace: true,
        }
    }
}

impl World {
    /// An empty world.
    pub fn new(options: Options) -> Self {
        let mut queue = Queue::default();
        queue.push(Time(1_000_000), Plan::ReplicationCron);
        let mixed = (options.stock > 0).then(|| MasterName::from(MASTER)).into_iter().collect();
        Self {
            now: Time(1_000),
            rng: Rng::new(options.seed),
            procs: Vec::new(),
            trace: Trace::new(options.trace),
            last_stall_end: Time(0),
            promotions: Vec::new(),
            queue,
            conns: Conns::default(),
            next_ticket: 0,
            cuts: std::collections::BTreeSet::new(),
            answers: BTreeMap::new(),
            oracles: Oracles::new(mixed),
            weather: Weather::default(),
            masters: Vec::new(),
            brains: Vec::new(),
            spare: Vec::new(),
            dns: Default::default(),
            watch: true,
            steps_now: 0,
            options,
        }
    }

    /// Masters with their replicas, watched by sentinels that know nothing but the masters yet (unless
    /// they are acquainted).
    pub fn group(options: Options) -> Self {
        let mut world = Self::new(options.clone());
        let mut masters = Vec::new();
        for n in 1..=options.masters {
            let (group, node, replica) = match n {
                1 => (MASTER.to_owned(), "m".to_owned(), "r".to_owned()),
                _ => (format!("master{n}"), format!("m{n}"), format!("m{n}r")),
            };
            let master = world.add_node(&node, &group, Role::Master);
            for n in 1..=options.replicas {
                world.add_replica(&format!("{replica}{n}"), master);
            }
            masters.push((group, world.procs[master.0].addr.clone()));
        }
        let watched: Vec<(&str, Addr)> =
            masters.iter().map(|(name, at)| (name.as_str(), at.clone())).collect();
        if options.acquainted {
            world.add_acquainted(&watched);
            return world;
        }
        for n in 1..=options.sentinels {
            world.add_sentinel(&format!("s{n}"), &watched);
        }
        for n in 1..=options.stock {
            world.add_stock_sentinel(&format!("k{n}"), &masters[0].1);
        }
        world
    }

    /// Sentinels that know each other from their files.
    fn add_acquainted(&mut self, watched: &[(&str, Addr)]) {
        let (vigia, stock) = (self.options.sentinels, self.options.stock);
        let ids: Vec<RunId> = (0..vigia + stock).map(|_| self.fresh_id()).collect();
        for (n, id) in ids.iter().enumerate().take(vigia) {
            let mut state = self.fresh_state(id.clone(), watched);
            self.acquaint(&mut state, &ids);
            self.add_sentinel_with(&format!("s{}", n + 1), state);
        }
        for (n, id) in ids.into_iter().skip(vigia).enumerate() {
            self.add_stock_as(&format!("k{}", n + 1), id, &watched[0].1);
        }
    }

    fn fresh_id(&mut self) -> RunId {
        RunId::from(self.rng.run_id().as_str())
    }

    /// Everything that a file of a sentinel holds after it has run for a while.
    fn acquaint(&self, state: &mut State, ids: &[RunId]) {
        for master in &mut state.masters {
            let all = if &*master.name.0 == MASTER { ids.len() } else { self.options.sentinels };
            let others = ids.iter().take(all).enumerate().filter(|(_, id)| **id != state.globals.my_id);
            master.sentinels = others.map(|(n, id)| (id.clone(), sentinel_addr(n + 1))).collect();
            master.sentinels.sort();
            master.voters = master.sentinels.iter().map(|(id, _)| id.clone()).collect();
            let nodes = self.nodes_of(&master.name).into_iter().map(|pid| self.procs[pid.0].addr.clone());
            master.replicas = nodes.filter(|addr| *addr != master.addr).collect();
        }
    }

    /// A group that has run long enough for everybody to know everybody.
    pub fn settled(options: Options) -> Self {
        let mut world = Self::group(options);
        let all = world.sentinels().len() + world.stocks().len();
        let replicas = world.options.replicas;
        world.run_until("everybody knows everybody", Span::secs(30), |world| {
            world.sentinels().iter().all(|pid| {
                world
                    .view(*pid, MASTER)
                    .is_some_and(|view| view.sentinels == all && view.replicas == replicas)
            })
        });
        world.run_for(Span::secs(3));
        world
    }

    /// A data node.
    pub fn add_node(&mut self, name: &str, group: &str, role: Role) -> Pid {
        let count = self.nodes().len() + 1;
        let addr = Addr::new(&format!("10.0.0.{count}"), 6_379);
        let sync = Span(self.rng.within(self.options.sync_us));
        let run_id = self.rng.run_id();
        let replid = self.rng.run_id();
        let rate = self.options.bytes_per_second;
        let group = MasterName::from(group);
        if !self.masters.contains(&group) {
            self.masters.push(group.clone());
        }
        self.add_proc(name, addr, Body::Node(Box::new(Node::new(&group, role, run_id, replid, sync, rate))))
    }

    /// A replica that follows `of` and is in sync at once.
    pub fn add_replica(&mut self, name: &str, of: Pid) -> Pid {
        let addr = self.procs[of.0].addr.clone();
        let group = self.node(of).group.to_string();
        let replid = self.node(of).replid.clone();
        let pid = self.add_node(name, &group, Role::Replica(addr));
        self.node_mut(pid).replid = replid;
        self.node_mut(pid).link = super::node::ReplLink::Up { via: of, life: 0, silent: None };
        pid
    }

    /// A Vigía that watches these masters.
    pub fn add_sentinel(&mut self, name: &str, masters: &[(&str, Addr)]) -> Pid {
        let my_id = self.fresh_id();
        let state = self.fresh_state(my_id, masters);
        self.add_sentinel_with(name, state)
    }

    fn add_sentinel_with(&mut self, name: &str, state: State) -> Pid {
        let addr = self.next_sentinel_addr();
        let seed = self.rng.next();
        let pid = self.add_proc(name, addr, Body::Sentinel(Box::new(Sentinel::new(state, seed, self.now))));
        self.brains.push(pid);
        self.started(pid);
        pid
    }

    fn next_sentinel_addr(&self) -> Addr {
        sentinel_addr(self.sentinels().len() + self.stocks().len() + 1)
    }

    /// A modelled stock sentinel that watches [`MASTER`].
    pub fn add_stock_sentinel(&mut self, name: &str, monitored: &Addr) -> Pid {
        let id = self.fresh_id();
        self.add_stock_as(name, id, monitored)
    }

    fn add_stock_as(&mut self, name: &str, id: RunId, monitored: &Addr) -> Pid {
        let addr = self.next_sentinel_addr();
        let stock = Stock::new(id, monitored.clone(), self.now);
        let pid = self.add_proc(name, addr, Body::Stock(Box::new(stock)));
        self.queue.push(self.now + Span::ms(self.rng.within((1, 100))), Plan::StockTick { pid, life: 0 });
        pid
    }

    fn add_proc(&mut self, name: &str, addr: Addr, body: Body) -> Pid {
        self.procs.push(Proc {
            name: name.into(),
            clock: Clock::true_time(),
            addr,
            alive: true,
            host_up: true,
            stopped: false,
            life: 0,
            inbox: VecDeque::new(),
            body,
        });
        Pid(self.procs.len() - 1)
    }

    /// The state of a sentinel that watches these masters and knows nothing more.
    pub fn fresh_state(&self, my_id: RunId, masters: &[(&str, Addr)]) -> State {
        let settings = MasterSettings {
            down_after: Millis(self.options.down_after_ms),
            failover_timeout: Millis(self.options.failover_timeout_ms),
            parallel_syncs: self.options.parallel_syncs,
            ..MasterSettings::new(self.options.quorum)
        };
        let mut list: Vec<MasterState> = masters
            .iter()
            .map(|(name, addr)| MasterState {
                name: MasterName::from(*name),
                addr: addr.clone(),
                settings: settings.clone(),
                config_epoch: Epoch(0),
                leader_epoch: Epoch(0),
                leader: None,
                replicas: Vec::new(),
                sentinels: Vec::new(),
                voters: Vec::new(),
            })
            .collect();
        list.sort_by(|a, b| a.name.cmp(&b.name));
        let globals = Globals {
            deny_scripts_reconfig: self.options.deny_scripts,
            resolve_hostnames: self.options.resolve_hostnames,
            announce_hostnames: self.options.announce_hostnames,
            ..Globals::new(my_id)
        };
        State { globals, current_epoch: Epoch(0), masters: list }
    }
}

/// Where the n-th sentinel listens.
fn sentinel_addr(n: usize) -> Addr {
    Addr::new(&format!("10.0.1.{n}"), 26_379)
}
