//! What clients see: redis-cli, the redis crate's sentinel client, and any outside probe.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use redis::Commands;
use redis::sentinel::{SentinelClient, SentinelServerType};

use crate::master_lost::expect_switch;
use crate::support::group::{Group, NAME, Shape};
use crate::support::sentinel::Program;

scenarios! {
    all: [
        redis_cli_reads_the_masters,
        the_redis_crate_keeps_writing_over_a_failover,
        an_outside_probe_keeps_writing_over_a_failover,
    ],
    vigia: [],
}

/// Command line of a probe (see `compat/clients`); the addresses of the sentinels are appended.
const PROBE: &str = "VIGIA_PROBE";

fn redis_cli_reads_the_masters(mix: &[Program]) {
    let group = Group::start(&Shape::of(mix));
    for sentinel in &group.sentinels {
        let text = redis_cli(sentinel.port, &["SENTINEL", "MASTERS"]);
        let lines: Vec<&str> = text.lines().collect();
        let fields: BTreeMap<&str, &str> =
            lines.chunks(2).map(|pair| (pair[0], *pair.get(1).unwrap_or(&""))).collect();
        assert_eq!(fields["name"], NAME);
        assert_eq!(fields["flags"], "master");
        assert_eq!(fields["num-slaves"], "2");
        assert_eq!(fields["num-other-sentinels"], (mix.len() - 1).to_string());

        let address = redis_cli(sentinel.port, &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME]);
        assert_eq!(address.trim().replace('\n', ":"), group.nodes[0].address());
        let map = redis_cli(sentinel.port, &["-3", "SENTINEL", "MASTER", NAME]);
        assert!(map.contains(NAME), "RESP3: {map}");
    }
}

fn redis_cli(port: u16, words: &[&str]) -> String {
    let output = Command::new("redis-cli").args(["-p", &port.to_string()]).args(words).output();
    let output = output.expect("redis-cli runs");
    assert!(output.status.success(), "redis-cli {words:?}: {output:?}");
    String::from_utf8(output.stdout).expect("text")
}

fn the_redis_crate_keeps_writing_over_a_failover(mix: &[Program]) {
    let mut group = Group::start(&Shape::of(mix));
    let urls: Vec<String> =
        group.sentinels.iter().map(|sentinel| format!("redis://{}", sentinel.address())).collect();
    let mut client = SentinelClient::build(urls, NAME.to_owned(), None, SentinelServerType::Master)
        .expect("addresses of sentinels");
    let mut write = || -> redis::RedisResult<i64> {
        let mut connection = client.get_connection()?;
        connection.set_read_timeout(Some(Duration::from_secs(1)))?;
        connection.incr("counter", 1)
    };
    let old = group.nodes[0].address();
    assert_eq!(write().expect("a write to a healthy group"), 1);

    group.nodes[0].kill();
    expect_switch(&mut group, &old);

    group.wait("the same client writes to the new master", |_group| write().is_ok());
}

/// A probe prints `master <ip:port>` when it finds one and `ok` for each acknowledged write, for
/// as long as it lives; errors during the outage are its own business.
fn an_outside_probe_keeps_writing_over_a_failover(mix: &[Program]) {
    let Ok(command) = std::env::var(PROBE) else {
        eprintln!("SKIPPED: {PROBE} names no probe (compat/run clients <name> does)");
        return;
    };
    let mut group = Group::start(&Shape::of(mix));
    let old = group.nodes[0].address();
    let mut probe = Probe::start(&command, &group);
    group.wait("the probe writes", |_group| probe.writes_to(&old) >= 3);

    group.nodes[0].kill();
    let new = expect_switch(&mut group, &old);

    group.wait("the probe writes to the new master", |_group| probe.writes_to(&new) >= 3);
}

/// A running probe; ends with its owner.
struct Probe {
    child: Child,
    lines: Receiver<String>,
    master: String,
    writes: BTreeMap<String, usize>,
}

impl Probe {
    fn start(command: &str, group: &Group) -> Probe {
        let mut words = command.split_whitespace();
        let mut child = Command::new(words.next().expect("a program"))
            .args(words)
            .args(group.sentinels.iter().map(|sentinel| sentinel.address()))
            .stdout(Stdio::piped())
            .spawn()
            .expect("the probe starts");
        let output = child.stdout.take().expect("piped");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let _gone = sender.send(line);
            }
        });
        Probe { child, lines, master: String::new(), writes: BTreeMap::new() }
    }

    /// Acknowledged writes so far while the probe said that `address` is the master.
    fn writes_to(&mut self, address: &str) -> usize {
        let ended = self.child.try_wait().expect("wait for a child of ours");
        assert!(ended.is_none(), "the probe ended: {ended:?}");
        for line in self.lines.try_iter() {
            match line.split_once(' ') {
                Some(("master", found)) => self.master = found.to_owned(),
                _ if line == "ok" => *self.writes.entry(self.master.clone()).or_default() += 1,
                _ => eprintln!("probe: {line}"),
            }
        }
        self.writes.get(address).copied().unwrap_or_default()
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        let _result = self.child.kill();
        let _status = self.child.wait();
    }
}
