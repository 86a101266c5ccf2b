//! Groups that know each other by host names, as in Kubernetes: every node has an address and a name of its own,
//! all have the same port, and names move.

use std::time::{Duration, Instant};

use crate::support::events::Recorder;
use crate::support::hosts::{Hosts, with_names};
use crate::support::redis_server::{NodeOptions, RedisServer};
use crate::support::resp::{Value, ask};
use crate::support::sentinel::{Program, Sentinel};
use crate::support::wait::{PATIENCE, holds_for, wait_until};

scenarios! {
    all: [
        a_group_fails_over_by_its_names,
        a_master_by_name_fails_over_among_ips,
        a_master_that_moves_stays_the_master,
    ],
    vigia: [
        a_replica_that_moves_stays_one_replica,
        a_resolver_that_hangs_delays_no_failover,
        a_name_that_hangs_delays_neither_the_start_nor_other_commands,
    ],
}

const PORT: u16 = 6_379;
/// `+slave` and the like, which would tell of a second entry or of a needless correction.
const SPURIOUS: [&str; 4] = ["+switch-master", "+slave", "+fix-slave-config", "+sentinel-address-switch"];

/// How a group speaks of itself.
#[derive(Clone, Copy)]
struct Style {
    /// `announce-hostnames`.
    announce: bool,
    /// Replicas announce names and follow the master by its name.
    by_name: bool,
    /// `down-after-milliseconds`.
    down_after: u64,
}

/// Fields drop in this order.
struct Group<'a> {
    recorders: Vec<Recorder>,
    sentinels: Vec<Sentinel>,
    nodes: Vec<RedisServer>,
    hosts: &'a mut Hosts,
    style: Style,
}

fn name(node: usize) -> String {
    if node == 0 { "m.test".to_owned() } else { format!("r{node}.test") }
}

impl<'a> Group<'a> {
    /// Three nodes at 127.0.0.10 and the next ones, and their sentinels; waits until all know all.
    fn start(hosts: &'a mut Hosts, mix: &[Program], style: Style) -> Self {
        let mut group =
            Self { recorders: Vec::new(), sentinels: Vec::new(), nodes: Vec::new(), hosts, style };
        for node in 0..3 {
            group.put(node, &format!("127.0.0.1{node}"));
        }
        let config = format!(
            "bind 127.0.0.1\nsentinel resolve-hostnames yes\nsentinel announce-hostnames {}\n\
             sentinel monitor mymaster m.test {PORT} 2\nsentinel down-after-milliseconds mymaster {}\n\
             sentinel failover-timeout mymaster 5000\n",
            if style.announce { "yes" } else { "no" },
            style.down_after
        );
        group.sentinels = mix.iter().map(|program| Sentinel::start(*program, &config)).collect();
        let recorders = group.sentinels.iter().enumerate();
        group.recorders = recorders.map(|(i, sentinel)| Recorder::start(i, &sentinel.address())).collect();
        group.wait_complete();
        group
    }

    /// Starts a node, or starts it again, at this address.
    fn put(&mut self, node: usize, ip: &str) {
        self.hosts.set(&name(node), ip);
        let mut extra = vec![format!("bind {ip}"), format!("bind-source-addr {ip}")];
        if self.style.by_name {
            extra.push(format!("replica-announce-ip {}", name(node)));
        }
        let master = if self.style.by_name { "m.test" } else { "127.0.0.10" };
        let replica_of = (node > 0).then(|| format!("{master}:{PORT}"));
        let (host, port) = (Some(ip.to_owned()), Some(PORT));
        let server =
            RedisServer::start(NodeOptions { replica_of, extra, host, port, ..NodeOptions::default() });
        if node < self.nodes.len() {
            self.nodes[node] = server;
        } else {
            self.nodes.push(server);
        }
    }

    fn list(&self, sentinel: usize, what: &str) -> Vec<Value> {
        let reply = self.sentinels[sentinel].ask(&["SENTINEL", what, "mymaster"]);
        reply.map(|reply| reply.items().to_vec()).unwrap_or_default()
    }

    /// Every sentinel sees exactly these nodes and sentinels, and all are well.
    fn is_complete(&self) -> bool {
        (0..self.sentinels.len()).all(|i| {
            let well = |entries: &[Value], flags: &str| {
                entries.iter().all(|entry| entry.field("flags").as_deref() == Some(flags))
            };
            let (replicas, peers) = (self.list(i, "REPLICAS"), self.list(i, "SENTINELS"));
            let linked = |entry: &Value| entry.field("master-link-status").as_deref() == Some("ok");
            let flags = self.sentinels[i].ask(&["SENTINEL", "MASTER", "mymaster"]);
            flags.is_ok_and(|entry| entry.field("flags").as_deref() == Some("master"))
                && replicas.len() == self.nodes.len() - 1
                && peers.len() == self.sentinels.len() - 1
                && well(&replicas, "slave")
                && well(&peers, "sentinel")
                && replicas.iter().all(linked)
                && self.recorders[i].is_ready()
        })
    }

    #[track_caller]
    fn wait_complete(&self) {
        let mut seen = String::new();
        let start = Instant::now();
        while !self.is_complete() {
            if start.elapsed() > PATIENCE {
                for i in 0..self.sentinels.len() {
                    seen += &format!("s{i}: {:?}\n", self.list(i, "REPLICAS"));
                }
                panic!("the group is not complete:\n{seen}");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The host that sentinel `i` tells clients.
    fn told(&self, i: usize) -> Option<String> {
        let reply = self.sentinels[i].ask(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster"]).ok()?;
        reply.items().first().map(Value::text)
    }

    /// What all sentinels tell clients, if it is the same.
    fn told_by_all(&self) -> Option<String> {
        let first = self.told(0)?;
        (1..self.sentinels.len()).all(|i| self.told(i).as_ref() == Some(&first)).then_some(first)
    }

    /// Waits until all sentinels name another host than `old`, then which node it is.
    #[track_caller]
    fn switched(&self, old: &str) -> usize {
        wait_until("all name another master", PATIENCE, || self.told_by_all().is_some_and(|new| new != old));
        let new = self.told_by_all().expect("just awaited");
        let is_it =
            |node: &usize| new == name(*node) || self.nodes[*node].address() == format!("{new}:{PORT}");
        (0..self.nodes.len()).find(is_it).unwrap_or_else(|| panic!("nobody's host: {new}"))
    }

    /// Events since `from` whose channel is one of `channels`.
    fn said(&self, from: Instant, channels: &[&str]) -> Vec<String> {
        let events = self.recorders.iter().flat_map(Recorder::events);
        let said = events.filter(|event| event.at >= from && channels.contains(&event.channel.as_str()));
        said.map(|event| format!("s{} {} {}", event.sentinel, event.channel, event.payload)).collect()
    }

    /// The old master is killed and comes back; everybody is where he should be, and known once.
    fn fail_over_and_back(&mut self) {
        let old = self.told_by_all().expect("they agree");
        self.nodes[0].kill();
        let new = self.switched(&old);
        assert_ne!(new, 0, "the dead one");
        let follows = if self.style.announce { name(new) } else { format!("127.0.0.1{new}") };
        let follows = Some(format!("{follows}:{PORT}"));
        let other = 3 - new;
        wait_until("the other replica follows", PATIENCE, || self.nodes[other].follows() == follows);
        self.nodes[0].restart();
        wait_until("the old master follows", PATIENCE, || self.nodes[0].follows() == follows);
        self.wait_complete();
        let from = Instant::now();
        for i in 0..self.sentinels.len() {
            self.sentinels[i].restart();
        }
        self.wait_complete();
        // Long enough for INFO of every node, and stock's look at them.
        holds_for("nobody is found twice", Duration::from_secs(12), || {
            (0..self.sentinels.len()).all(|i| self.list(i, "REPLICAS").len() == 2)
        });
        let said = self.said(from, &SPURIOUS);
        assert!(said.is_empty(), "{said:#?}");
    }
}

fn test_name(mix: &[Program], test: &str) -> String {
    let kind = match mix {
        crate::VIGIA => "vigia",
        crate::STOCK => "stock",
        _ => "mixed",
    };
    format!("names::{kind}::{test}")
}

/// Names everywhere, and shown as names.
fn a_group_fails_over_by_its_names(mix: &[Program]) {
    with_names(&test_name(mix, "a_group_fails_over_by_its_names"), |hosts| {
        let style = Style { announce: true, by_name: true, down_after: 1_000 };
        let mut group = Group::start(hosts, mix, style);
        assert_eq!(group.told_by_all().as_deref(), Some("m.test"));
        group.fail_over_and_back();
        let config = group.sentinels[0].config();
        assert!(config.contains("known-replica mymaster m.test 6379"), "{config}");
    });
}

/// Only the sentinels know the master by its name; everybody speaks of IPs.
fn a_master_by_name_fails_over_among_ips(mix: &[Program]) {
    with_names(&test_name(mix, "a_master_by_name_fails_over_among_ips"), |hosts| {
        let style = Style { announce: false, by_name: false, down_after: 1_000 };
        let mut group = Group::start(hosts, mix, style);
        assert_eq!(group.told_by_all().as_deref(), Some("127.0.0.10"));
        group.fail_over_and_back();
    });
}

/// It is gone for less than D, and comes back with the same name elsewhere.
fn a_master_that_moves_stays_the_master(mix: &[Program]) {
    with_names(&test_name(mix, "a_master_that_moves_stays_the_master"), |hosts| {
        for announce in [false, true] {
            let style = Style { announce, by_name: true, down_after: 20_000 };
            let mut group = Group::start(hosts, mix, style);
            let from = Instant::now();
            group.nodes[0].kill();
            group.put(0, "127.0.0.20");
            group.wait_complete();
            let told = if announce { "m.test" } else { "127.0.0.20" };
            wait_until("all name it", PATIENCE, || group.told_by_all().as_deref() == Some(told));
            wait_until("its replicas have found it", PATIENCE, || {
                group.nodes[1..].iter().all(|node| node.follows().as_deref() == Some("m.test:6379"))
            });
            holds_for("nobody is found twice", Duration::from_secs(3), || group.is_complete());
            let said = group.said(from, &SPURIOUS);
            assert!(said.is_empty(), "{said:#?}");
            let said = group.said(from, &["+sdown", "+odown"]);
            assert!(!said.iter().any(|line| line.contains("down master")), "{said:#?}");
        }
    });
}

fn a_replica_that_moves_stays_one_replica(mix: &[Program]) {
    with_names(&test_name(mix, "a_replica_that_moves_stays_one_replica"), |hosts| {
        for announce in [false, true] {
            let style = Style { announce, by_name: true, down_after: 500 };
            let mut group = Group::start(hosts, mix, style);
            let from = Instant::now();
            group.nodes[1].kill();
            wait_until("it is missed", PATIENCE, || group.said(from, &["+sdown"]).len() == mix.len());
            group.put(1, "127.0.0.21");
            group.wait_complete();
            holds_for("nobody is found twice", Duration::from_secs(12), || group.is_complete());
            let said = group.said(from, &SPURIOUS);
            assert!(said.is_empty(), "{said:#?}");
            // It is a candidate like any other.
            group.nodes[2].kill();
            let told = group.told_by_all().expect("they agree");
            group.nodes[0].kill();
            assert_eq!(group.switched(&told), 1);
        }
    });
}

/// The last good answers do.
fn a_resolver_that_hangs_delays_no_failover(mix: &[Program]) {
    with_names(&test_name(mix, "a_resolver_that_hangs_delays_no_failover"), |hosts| {
        // The nodes speak of IPs: redis-server itself stands still while it looks names up.
        let style = Style { announce: false, by_name: false, down_after: 1_000 };
        let mut group = Group::start(hosts, mix, style);
        group.hosts.hang();
        for node in 0..3 {
            group.hosts.forget(&name(node));
        }
        let from = Instant::now();
        let told = group.told_by_all().expect("they agree");
        group.nodes[0].kill();
        let new = group.switched(&told);
        let took = from.elapsed();
        assert!(took < Duration::from_secs(5), "a lookup takes ten seconds; the failover took {took:?}");
        group.nodes[0].restart();
        wait_until("the old master follows", PATIENCE, || {
            group.nodes[0].follows() == Some(format!("127.0.0.1{new}:{PORT}"))
        });
        for i in 0..mix.len() {
            assert_eq!(group.list(i, "REPLICAS").len(), 2);
        }
    });
}

fn a_name_that_hangs_delays_neither_the_start_nor_other_commands(mix: &[Program]) {
    let test = test_name(mix, "a_name_that_hangs_delays_neither_the_start_nor_other_commands");
    with_names(&test, |hosts| {
        hosts.hang();
        let from = Instant::now();
        let sentinel = Sentinel::start(
            mix[0],
            "bind 127.0.0.1\nsentinel resolve-hostnames yes\nsentinel monitor slow slow.test 6379 1\n\
             sentinel monitor good 127.0.0.10 6379 1\nsentinel down-after-milliseconds good 200\n",
        );
        let flags = |master: &str| {
            let entry = sentinel.ask(&["SENTINEL", "MASTER", master]);
            entry.ok().and_then(|entry| entry.field("flags")).unwrap_or_default()
        };
        wait_until("the other master is judged", PATIENCE, || flags("good").starts_with("s_down,"));
        assert!(from.elapsed() < Duration::from_secs(5), "{:?}", from.elapsed());

        let address = sentinel.address();
        let slow = std::thread::spawn(move || {
            ask(&address, &["SENTINEL", "MONITOR", "slow2", "slow2.test", "6379", "1"])
                .map(|reply| reply.text())
        });
        wait_until("the slow command is under way", PATIENCE, || {
            let clients = sentinel.ask(&["CLIENT", "LIST"]).map(|reply| reply.text()).unwrap_or_default();
            clients.contains("cmd=sentinel|monitor")
        });
        let from = Instant::now();
        let added = sentinel.ask(&["SENTINEL", "MONITOR", "quick", "127.0.0.11", "6379", "1"]);
        assert_eq!(added.expect("an answer").text(), "OK");
        assert!(from.elapsed() < Duration::from_secs(3), "{:?}", from.elapsed());
        assert!(!slow.is_finished(), "the slow one was asked first and is answered later");
        let answer = slow.join().expect("a thread").expect("an answer");
        assert_eq!(answer, "ERR Invalid IP address or hostname specified");
    });
}
