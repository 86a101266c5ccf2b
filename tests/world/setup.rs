//! How a world is made.

use std::collections::BTreeMap;
use std::collections::VecDeque;

use vigia::engine::settings::{Globals, MasterSettings};
use vigia::engine::{Addr, Epoch, MasterName, MasterState, Millis, RunId, Span, State, Time};

use super::node::{Node, Role};
use super::oracles::Oracles;
use super::queue::{Plan, Queue};
use super::rng::Rng;
use super::sentinel::Sentinel;
use super::stock::Stock;
use super::trace::Trace;
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
    /// Number of replicas.
    pub replicas: usize,
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
}

impl Options {
    /// Three sentinels, a master, two replicas, quorum 2, D = 1 s.
    pub fn seed(seed: u64) -> Self {
        Self {
            seed,
            sentinels: 3,
            stock: 0,
            stock_candidates: false,
            replicas: 2,
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
        }
    }
}

impl World {
    /// An empty world.
    pub fn new(options: Options) -> Self {
        let mut queue = Queue::default();
        queue.push(Time(1_000_000), Plan::ReplicationCron);
        let mixed = options.stock > 0;
        Self {
            now: Time(1_000),
            rng: Rng::new(options.seed),
            procs: Vec::new(),
            trace: Trace::new(),
            last_stall_end: Time(0),
            promotions: Vec::new(),
            queue,
            conns: BTreeMap::new(),
            next_conn: 0,
            next_ticket: 0,
            cuts: std::collections::BTreeSet::new(),
            answers: BTreeMap::new(),
            oracles: Oracles::new(mixed),
            dns: Default::default(),
            watch: true,
            steps_now: 0,
            options,
        }
    }

    /// One master with its replicas, watched by sentinels that know nothing but the master yet.
    pub fn group(options: Options) -> Self {
        let mut world = Self::new(options.clone());
        let master = world.add_node("m", MASTER, Role::Master);
        for n in 1..=options.replicas {
            world.add_replica(&format!("r{n}"), master);
        }
        let monitored = world.procs[master.0].addr.clone();
        for n in 1..=options.sentinels {
            world.add_sentinel(&format!("s{n}"), &[(MASTER, monitored.clone())]);
        }
        for n in 1..=options.stock {
            world.add_stock_sentinel(&format!("k{n}"), &monitored);
        }
        world
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
        self.add_proc(name, addr, Body::Node(Box::new(Node::new(group, role, run_id, replid, sync, rate))))
    }

    /// A replica that follows `of` and is in sync at once.
    pub fn add_replica(&mut self, name: &str, of: Pid) -> Pid {
        let addr = self.procs[of.0].addr.clone();
        let group = self.node(of).group.clone();
        let replid = self.node(of).replid.clone();
        let pid = self.add_node(name, &group, Role::Replica(addr));
        self.node_mut(pid).replid = replid;
        self.node_mut(pid).link = super::node::ReplLink::Up { via: of, life: 0, silent: None };
        pid
    }

    /// A Vigía that watches these masters.
    pub fn add_sentinel(&mut self, name: &str, masters: &[(&str, Addr)]) -> Pid {
        let count = self.sentinels().len() + self.stocks().len() + 1;
        let addr = Addr::new(&format!("10.0.1.{count}"), 26_379);
        let my_id = RunId::from(self.rng.run_id().as_str());
        let state = self.fresh_state(my_id, masters);
        let seed = self.rng.next();
        let pid = self.add_proc(name, addr, Body::Sentinel(Box::new(Sentinel::new(state, seed, self.now))));
        self.started(pid);
        pid
    }

    /// A modelled stock sentinel that watches [`MASTER`].
    pub fn add_stock_sentinel(&mut self, name: &str, monitored: &Addr) -> Pid {
        let count = self.sentinels().len() + self.stocks().len() + 1;
        let addr = Addr::new(&format!("10.0.1.{count}"), 26_379);
        let id = RunId::from(self.rng.run_id().as_str());
        let stock = Stock::new(id, monitored.clone(), self.now);
        let pid = self.add_proc(name, addr, Body::Stock(Box::new(stock)));
        self.queue.push(self.now + Span::ms(self.rng.within((1, 100))), Plan::StockTick { pid, life: 0 });
        pid
    }

    fn add_proc(&mut self, name: &str, addr: Addr, body: Body) -> Pid {
        self.procs.push(Proc {
            name: name.to_owned(),
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
