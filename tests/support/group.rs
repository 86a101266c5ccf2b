//! A whole group: one master, its replicas, and the sentinels that watch them.

use std::collections::BTreeMap;

use super::events::{Event, Recorder};
use super::redis_server::{NodeOptions, RedisServer};
use super::resp::Value;
use super::sentinel::{Program, Sentinel};
use super::wait::{PATIENCE, wait_until};

/// Name of the master in every group.
pub const NAME: &str = "mymaster";

/// What a group is made of.
#[derive(Clone)]
pub struct Shape {
    /// One sentinel each.
    pub sentinels: Vec<Program>,
    /// Replicas at the start.
    pub replicas: usize,
    /// `quorum`.
    pub quorum: usize,
    /// `down-after-milliseconds`.
    pub down_after: u64,
    /// `failover-timeout` in ms.
    pub failover_timeout: u64,
    /// Options of every data node.
    pub nodes: NodeOptions,
    /// Options of the master, where they differ.
    pub master: Option<NodeOptions>,
}

impl Shape {
    /// Two replicas, majority quorum, and times that suit the slowest program of the mix.
    pub fn of(sentinels: &[Program]) -> Shape {
        let stock = sentinels.contains(&Program::Stock);
        Shape {
            sentinels: sentinels.to_vec(),
            replicas: 2,
            quorum: sentinels.len() / 2 + 1,
            down_after: if stock { 2_000 } else { 500 },
            failover_timeout: 5_000,
            nodes: NodeOptions::default(),
            master: None,
        }
    }
}

/// One sentinel's idea of the master.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Belief {
    /// `ip:port` from GET-MASTER-ADDR-BY-NAME.
    pub address: String,
    /// `config-epoch` of SENTINEL MASTER.
    pub epoch: u64,
}

/// A running group. Fields drop in this order: recorders first, then sentinels, then nodes.
pub struct Group {
    recorders: Vec<Recorder>,
    /// The sentinels, killed ones included.
    pub sentinels: Vec<Sentinel>,
    /// The data nodes; the first one is the master at the start.
    pub nodes: Vec<RedisServer>,
}

impl Group {
    /// Starts everything and waits until every sentinel sees the whole group with links up.
    pub fn start(shape: &Shape) -> Group {
        let nodes = start_nodes(shape);
        let master = nodes[0].address().replace(':', " ");
        let bind = if shape.master.is_none() { "bind 127.0.0.1\n" } else { "protected-mode no\n" };
        let password = shape.nodes.password.iter().map(|word| format!("sentinel auth-pass {NAME} {word}\n"));
        let config = format!(
            "{bind}sentinel monitor {NAME} {master} {}\nsentinel down-after-milliseconds {NAME} {}\n\
             sentinel failover-timeout {NAME} {}\n{}",
            shape.quorum,
            shape.down_after,
            shape.failover_timeout,
            password.collect::<String>(),
        );
        let start = |program: &Program| match &shape.nodes.tls {
            None => Sentinel::start(*program, &config),
            Some(secrets) => Sentinel::start_tls(*program, &config, secrets),
        };
        let sentinels: Vec<Sentinel> = shape.sentinels.iter().map(start).collect();
        let recorders = sentinels
            .iter()
            .enumerate()
            .map(|(i, sentinel)| Recorder::start(i, &sentinel.address()))
            .collect();
        let mut group = Group { recorders, sentinels, nodes };
        group.wait("the group is complete", Group::is_complete);
        group
    }

    /// Polls `condition`; prints all events when it does not come true.
    #[track_caller]
    pub fn wait(&mut self, what: &str, mut condition: impl FnMut(&mut Group) -> bool) {
        wait_until(what, PATIENCE, || condition(self));
    }

    /// Every living sentinel sees all nodes and all sentinels, and says that they are well.
    pub fn is_complete(&mut self) -> bool {
        let (replicas, peers) = (self.nodes.len() - 1, self.sentinels.len() - 1);
        self.alive().into_iter().all(|i| {
            let list = |what| self.ask(i, what).map(|reply| reply.items().to_vec()).unwrap_or_default();
            let healthy = |entries: &[Value], flags: &str| {
                entries.iter().filter(|entry| entry.field("flags").as_deref() == Some(flags)).count()
            };
            let linked = |entry: &Value| entry.field("master-link-status").as_deref() == Some("ok");
            let slaves = list("REPLICAS");
            self.recorders[i].is_ready()
                && self.flags(i) == "master"
                && healthy(&slaves, "slave") == replicas
                && slaves.iter().all(linked)
                && healthy(&list("SENTINELS"), "sentinel") == peers
        })
    }

    /// Indexes of the sentinels that run.
    pub fn alive(&mut self) -> Vec<usize> {
        (0..self.sentinels.len()).filter(|i| self.sentinels[*i].is_running()).collect()
    }

    /// `SENTINEL <what> mymaster` at sentinel `i`.
    pub fn ask(&self, i: usize, what: &str) -> Option<Value> {
        self.sentinels[i].ask(&["SENTINEL", what, NAME]).ok()
    }

    /// Flags of the master as sentinel `i` shows them; empty when it does not answer.
    pub fn flags(&self, i: usize) -> String {
        self.ask(i, "MASTER").and_then(|entry| entry.field("flags")).unwrap_or_default()
    }

    /// What sentinel `i` believes.
    pub fn belief(&self, i: usize) -> Option<Belief> {
        let before = self.ask(i, "MASTER")?;
        let address = self.ask(i, "GET-MASTER-ADDR-BY-NAME")?;
        let epoch = before.field("config-epoch")?.parse().ok()?;
        let address = address.items().iter().map(Value::text).collect::<Vec<_>>().join(":");
        // An answer that straddles a switch is not a belief.
        let after = self.ask(i, "MASTER")?;
        (before.field("config-epoch") == after.field("config-epoch")).then_some(Belief { address, epoch })
    }

    /// Property L1: all living sentinels agree, exactly one living node is master, all others
    /// follow it. Returns what they agree on.
    pub fn converge(&mut self) -> Belief {
        let mut agreed = None;
        self.wait("the group converges on one master", |group| {
            agreed = group.agreed();
            agreed.is_some()
        });
        agreed.expect("just awaited")
    }

    /// What all living sentinels and nodes agree on, if they do.
    pub fn agreed(&mut self) -> Option<Belief> {
        let alive = self.alive();
        let belief = self.belief(*alive.first()?)?;
        if !alive.iter().all(|i| self.belief(*i).as_ref() == Some(&belief) && self.flags(*i) == "master") {
            return None;
        }
        let nodes_agree = self.nodes.iter_mut().all(|node| match node.is_running() {
            true if node.address() == belief.address => node.role().as_deref() == Some("master"),
            true => node.follows().as_ref() == Some(&belief.address),
            false => node.address() != belief.address,
        });
        nodes_agree.then_some(belief)
    }

    /// The node that listens at `address`.
    pub fn node_at(&mut self, address: &str) -> &mut RedisServer {
        self.nodes.iter_mut().find(|node| node.address() == address).expect("a node of this group")
    }

    /// All events of one sentinel.
    pub fn events(&self, sentinel: usize) -> Vec<Event> {
        self.recorders[sentinel].events()
    }

    /// Payloads of all events of one type at one sentinel.
    pub fn payloads(&self, sentinel: usize, channel: &str) -> Vec<String> {
        let events = self.events(sentinel).into_iter();
        events.filter(|event| event.channel == channel).map(|event| event.payload).collect()
    }

    /// Number of events of one type at one sentinel.
    pub fn count(&self, sentinel: usize, channel: &str) -> usize {
        self.payloads(sentinel, channel).len()
    }

    /// Waits until sentinel `i` has published `channel`.
    #[track_caller]
    pub fn wait_event(&mut self, i: usize, channel: &str) {
        self.wait(&format!("sentinel {i} publishes {channel}"), |group| group.count(i, channel) > 0);
    }

    /// The sentinels that were elected, in the order of the events.
    pub fn leaders(&self) -> Vec<usize> {
        let mut elected: Vec<Event> = (0..self.sentinels.len())
            .flat_map(|i| self.events(i))
            .filter(|event| event.channel == "+elected-leader")
            .collect();
        elected.sort_by_key(|event| event.at);
        elected.iter().map(|event| event.sentinel).collect()
    }

    /// Property S8: checks that `seen` holds one address per config epoch after adding what the
    /// entries of the living sentinels say now.
    ///
    /// An entry is one reply, so its address and epoch belong together; GET-MASTER-ADDR-BY-NAME
    /// would be a second question. (The original shows the new epoch beside the old address until
    /// its failover ends: this is for groups of Vigía.)
    pub fn check_one_address_per_epoch(&mut self, seen: &mut BTreeMap<u64, String>) {
        for i in self.alive() {
            let Some(entry) = self.ask(i, "MASTER") else { continue };
            let field = |name| entry.field(name).expect("a field that is always there");
            let epoch: u64 = field("config-epoch").parse().expect("a number");
            let address = format!("{}:{}", field("ip"), field("port"));
            let first = seen.entry(epoch).or_insert_with(|| address.clone());
            assert_eq!(*first, address, "sentinel {i}: two addresses under config epoch {epoch}");
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for i in self.alive() {
                for what in ["MASTER", "REPLICAS", "SENTINELS"] {
                    eprintln!("---- s{i} {what}: {}", short(self.ask(i, what)));
                }
            }
            let mut all: Vec<Event> = (0..self.recorders.len()).flat_map(|i| self.events(i)).collect();
            all.sort_by_key(|event| event.at);
            let start = all.first().map(|event| event.at);
            for event in all {
                let time = start.map_or(0.0, |start| (event.at - start).as_secs_f64());
                eprintln!("{time:9.3} s{} {} {}", event.sentinel, event.channel, event.payload);
            }
        }
    }
}

/// The telling fields of one entry or of a list of them.
fn short(reply: Option<Value>) -> String {
    let Some(reply) = reply else { return "no answer".to_owned() };
    let entries = if reply.field("name").is_some() { std::slice::from_ref(&reply) } else { reply.items() };
    let one = |entry: &Value| {
        let shown = ["port", "flags", "config-epoch", "master-link-status", "master-port", "info-refresh"];
        let fields = shown.iter().filter_map(|name| Some(format!("{name}={}", entry.field(name)?)));
        fields.collect::<Vec<_>>().join(" ")
    };
    entries.iter().map(one).collect::<Vec<_>>().join("; ")
}

fn start_nodes(shape: &Shape) -> Vec<RedisServer> {
    let master = RedisServer::start(shape.master.clone().unwrap_or_else(|| shape.nodes.clone()));
    let replica_options = NodeOptions { replica_of: Some(master.address()), ..shape.nodes.clone() };
    let mut nodes = vec![master];
    nodes.extend((0..shape.replicas).map(|_| RedisServer::start(replica_options.clone())));
    let (master, replicas) = nodes.split_at(1);
    wait_until("all replicas are in sync", PATIENCE, || {
        let info = master[0].ask(&["INFO", "replication"]).map(|reply| reply.text()).unwrap_or_default();
        info.matches("state=online").count() == shape.replicas
            && replicas.iter().all(|node| node.follows() == Some(master[0].address()))
    });
    nodes
}
