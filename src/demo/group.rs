//! The group of the demo: three data nodes and three sentinels.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisResult};

use super::process::{Folder, Process, find_server};
use super::{DemoError, Options};

/// Name of the master that the sentinels watch.
pub(super) const NAME: &str = "mymaster";
/// `down-after-milliseconds` of the demo.
pub(super) const DOWN_AFTER_MS: u64 = 1_000;
/// Data nodes: one master, the rest replicas.
const NODES: usize = 3;
/// Sentinels; two of them are the quorum.
const SENTINELS: usize = 3;
/// How long the group may take to come together.
const START_LIMIT: Duration = Duration::from_secs(30);
/// Tries to find a port that nobody takes between the check and the bind of the child.
const PORT_TRIES: usize = 10;
/// Below the range from which Linux takes ports for outgoing connections.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// One entry of a SENTINEL reply.
type Fields = HashMap<String, String>;

/// One process and the port that it serves.
pub(super) struct Member {
    pub(super) process: Process,
    pub(super) port: u16,
    config: PathBuf,
}

/// All processes; sentinels drop first, so that the end of the nodes is no outage to them.
pub(super) struct Group {
    pub(super) sentinels: Vec<Member>,
    pub(super) nodes: Vec<Member>,
    server: PathBuf,
    pub(super) folder: Folder,
}

impl Group {
    /// Starts all processes and waits until every sentinel knows everybody.
    pub(super) async fn start(options: &Options) -> Result<Self, DemoError> {
        let server = find_server(options.server.as_deref())?;
        let this_program = || {
            std::env::current_exe()
                .map_err(|source| DemoError::Io { what: "cannot find this program".into(), source })
        };
        let sentinel = options.sentinel.clone().map_or_else(this_program, Ok)?;
        let folder = Folder::create(options.keep)?;
        let mut group = Self { sentinels: Vec::new(), nodes: Vec::new(), server: server.clone(), folder };

        for index in 0..NODES {
            let master = group.nodes.first().map(|node| node.port);
            let config = |port| node_config(port, master);
            let node = start_member(&group.folder, &format!("node-{}", index + 1), &server, config).await?;
            group.nodes.push(node);
        }
        group.wait("the replicas are in sync", Self::replicas_are_in_sync).await?;
        for index in 0..SENTINELS {
            let (name, master) = (format!("sentinel-{}", index + 1), group.nodes[0].port);
            let config = |port| sentinel_config(port, master);
            let member = start_member(&group.folder, &name, &sentinel, config).await?;
            group.sentinels.push(member);
        }
        group.wait("every sentinel knows the whole group", Self::is_complete).await?;
        Ok(group)
    }

    /// Index of the node that listens on `port`.
    pub(super) fn node_at(&self, port: u16) -> Option<usize> {
        self.nodes.iter().position(|node| node.port == port)
    }

    /// Port of the master that the sentinels name, asked of each in turn.
    pub(super) async fn master_port(&self) -> Option<u16> {
        for sentinel in &self.sentinels {
            let asked: RedisResult<(String, u16)> = async {
                let mut connection = connect(sentinel.port).await?;
                redis::cmd("SENTINEL")
                    .arg("GET-MASTER-ADDR-BY-NAME")
                    .arg(NAME)
                    .query_async(&mut connection)
                    .await
            }
            .await;
            if let Ok((_, port)) = asked {
                return Some(port);
            }
        }
        None
    }

    /// Starts the nodes that do not run, with the config files that they left behind.
    pub(super) fn restart_dead_nodes(&mut self) -> Result<usize, DemoError> {
        let mut started = 0;
        for node in self.nodes.iter_mut().filter_map(|node| (!node.process.is_running()).then_some(node)) {
            node.process = Process::start(&node.process.name.clone(), &self.server, &node.config)?;
            started += 1;
        }
        Ok(started)
    }

    async fn wait(
        &mut self,
        what: &'static str,
        condition: impl AsyncFn(&Self) -> bool,
    ) -> Result<(), DemoError> {
        let start = Instant::now();
        while !condition(self).await {
            for member in self.nodes.iter_mut().chain(&mut self.sentinels) {
                if !member.process.is_running() {
                    return Err(member.process.ended());
                }
            }
            if start.elapsed() > START_LIMIT {
                return Err(DemoError::TimedOut { what, seconds: START_LIMIT.as_secs() });
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    async fn replicas_are_in_sync(&self) -> bool {
        let asked: RedisResult<String> = async {
            let mut connection = connect(self.nodes[0].port).await?;
            redis::cmd("INFO").arg("replication").query_async(&mut connection).await
        }
        .await;
        asked.is_ok_and(|info| info.matches("state=online").count() == NODES - 1)
    }

    async fn is_complete(&self) -> bool {
        for sentinel in &self.sentinels {
            let asked: RedisResult<(Fields, Vec<Fields>)> = async {
                let mut connection = connect(sentinel.port).await?;
                let master =
                    redis::cmd("SENTINEL").arg("MASTER").arg(NAME).query_async(&mut connection).await?;
                let replicas =
                    redis::cmd("SENTINEL").arg("REPLICAS").arg(NAME).query_async(&mut connection).await?;
                Ok((master, replicas))
            }
            .await;
            let Ok((master, replicas)) = asked else { return false };
            let is = |field: &str, value: &str| master.get(field).is_some_and(|found| found == value);
            let well = |replica: &Fields| {
                replica.get("flags").is_some_and(|flags| flags == "slave")
                    && replica.get("master-link-status").is_some_and(|status| status == "ok")
            };
            let peers = (SENTINELS - 1).to_string();
            let complete = is("flags", "master") && is("num-other-sentinels", &peers);
            if !complete || replicas.len() != NODES - 1 || !replicas.iter().all(well) {
                return false;
            }
        }
        true
    }
}

/// A connection to a process of the demo.
pub(super) async fn connect(port: u16) -> RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(Duration::from_secs(1)))
        .set_response_timeout(Some(Duration::from_secs(1)));
    Client::open(format!("redis://127.0.0.1:{port}"))?
        .get_multiplexed_async_connection_with_config(&config)
        .await
}

async fn start_member(
    folder: &Folder,
    name: &str,
    program: &Path,
    config: impl Fn(u16) -> String,
) -> Result<Member, DemoError> {
    let mut tries = 0;
    loop {
        tries += 1;
        let port = free_port().map_err(|source| DemoError::Io { what: "no free port".into(), source })?;
        let path = folder.write(&format!("{name}.conf"), &config(port))?;
        let mut process = Process::start(name, program, &path)?;
        let start = Instant::now();
        while process.is_running() && connect(port).await.is_err() && start.elapsed() < START_LIMIT {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        if process.is_running() {
            return Ok(Member { process, port, config: path });
        }
        if !process.found_its_port_taken() || tries == PORT_TRIES {
            return Err(process.ended());
        }
    }
}

fn free_port() -> std::io::Result<u16> {
    let mut last = None;
    for _ in 0..100 {
        let random = RandomState::new().hash_one(0_u8) % u64::from(PORTS.end - PORTS.start);
        let port = PORTS.start + u16::try_from(random).unwrap_or_default();
        match TcpListener::bind(("127.0.0.1", port)) {
            Ok(_listener) => return Ok(port),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| std::io::ErrorKind::AddrInUse.into()))
}

fn node_config(port: u16, master: Option<u16>) -> String {
    let follow = master.map(|master| format!("replicaof 127.0.0.1 {master}\n")).unwrap_or_default();
    format!(
        "port {port}\nbind 127.0.0.1\nsave \"\"\nappendonly no\nrepl-diskless-sync yes\n\
         repl-diskless-sync-delay 0\n{follow}"
    )
}

fn sentinel_config(port: u16, master: u16) -> String {
    format!(
        "port {port}\nbind 127.0.0.1\nsentinel monitor {NAME} 127.0.0.1 {master} 2\n\
         sentinel down-after-milliseconds {NAME} {DOWN_AFTER_MS}\nsentinel failover-timeout {NAME} 10000\n"
    )
}
