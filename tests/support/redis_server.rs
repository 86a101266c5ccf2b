//! A real data node: redis-server with its own folder and config file.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::process::Signal;

use super::ports::free_port;
use super::process::Process;
use super::resp::{Value, ask};
use super::tls::Secrets;
use super::wait::{PATIENCE, wait_until};

/// Tries to find a port that nobody takes between the check and the bind of the child.
const PORT_TRIES: usize = 10;

/// How to start a data node.
#[derive(Clone, Default)]
pub struct NodeOptions {
    /// Address (`ip:port`) of the master to follow.
    pub replica_of: Option<String>,
    /// `requirepass` and `masterauth`.
    pub password: Option<String>,
    /// It listens and follows with TLS only.
    pub tls: Option<Arc<Secrets>>,
    /// Further lines of its config file.
    pub extra: Vec<String>,
    /// Address under which the test reaches it; default 127.0.0.1. Other than that, it binds all.
    pub host: Option<String>,
    /// Its port, in a network of its own; default a free one.
    pub port: Option<u16>,
    /// Words before `redis-server`, e.g. `unshare --net`.
    pub prefix: Vec<String>,
    /// Called with the pid of the started process, before it is expected to answer.
    pub started: Option<fn(u32)>,
}

/// One running (or killed, or stopped) data node.
pub struct RedisServer {
    // Before its folder: the end of its log is printed when a test fails.
    process: Process,
    folder: tempfile::TempDir,
    options: NodeOptions,
    vanished: bool,
    /// Its port; kept over restarts.
    pub port: u16,
}

impl RedisServer {
    /// Starts a node on a free port and waits until it answers.
    pub fn start(options: NodeOptions) -> RedisServer {
        for _ in 0..PORT_TRIES {
            let port = options.port.unwrap_or_else(free_port);
            let folder = tempfile::Builder::new().prefix("vigia-node-").tempdir().expect("temporary folder");
            fs::write(folder.path().join("redis.conf"), config(&options, port)).expect("config file");
            if let Some(tls) = &options.tls {
                tls.speak_at(&format!("{}:{port}", options.host.as_deref().unwrap_or("127.0.0.1")));
            }
            let process = spawn(&options, &folder, port);
            let mut server = RedisServer { folder, options: options.clone(), process, vanished: false, port };
            if server.wait_ready() {
                return server;
            }
        }
        panic!("redis-server found its port taken {PORT_TRIES} times");
    }

    /// `ip:port`.
    pub fn address(&self) -> String {
        format!("{}:{}", self.options.host.as_deref().unwrap_or("127.0.0.1"), self.port)
    }

    /// One command on a fresh connection, authenticated when the node has a password.
    pub fn ask(&self, words: &[&str]) -> io::Result<Value> {
        let Some(password) = &self.options.password else { return ask(&self.address(), words) };
        let mut client = super::resp::Client::connect(&self.address())?;
        client.command(&["AUTH", password])?;
        client.command(words)
    }

    /// First word of ROLE: `master` or `slave`; `None` while it does not answer.
    pub fn role(&self) -> Option<String> {
        self.ask(&["ROLE"]).ok()?.items().first().map(Value::text)
    }

    /// Address of the master that it follows with its link up.
    pub fn follows(&self) -> Option<String> {
        let role = self.ask(&["ROLE"]).ok()?;
        let items = role.items();
        let following = items.first()?.text() == "slave" && items.get(3)?.text() == "connected";
        following.then(|| format!("{}:{}", items[1].text(), items[2].text()))
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// SIGSTOP: connections stay open, nothing answers.
    pub fn stop(&mut self) {
        self.process.stop();
    }

    /// SIGCONT.
    pub fn resume(&mut self) {
        self.process.resume();
    }

    /// Its host drops off the network: the process runs but does not count as running.
    pub fn vanishes(&mut self, cut: fn(u32)) {
        cut(self.process.pid());
        self.vanished = true;
    }

    /// Its host is back.
    pub fn reappears(&mut self, heal: fn(u32)) {
        heal(self.process.pid());
        self.vanished = false;
    }

    /// SIGTERM, and waits for the end.
    pub fn shut_down(&mut self) {
        self.process.signal(Signal::TERM);
        wait_until("redis-server ends on SIGTERM", PATIENCE, || self.process.exit_status().is_some());
    }

    /// Starts it again on the same port with the config file as it was rewritten meanwhile.
    pub fn restart(&mut self) {
        self.process.kill();
        self.process = spawn(&self.options, &self.folder, self.port);
        assert!(self.wait_ready(), "the port of a restarted redis-server was taken");
    }

    /// Whether the process runs, is not stopped, and can be reached.
    pub fn is_running(&mut self) -> bool {
        !self.vanished && self.process.is_running()
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// False when the process ended because its port was taken.
    fn wait_ready(&mut self) -> bool {
        if let Some(started) = self.options.started {
            started(self.process.pid());
        }
        let mut ended = false;
        wait_until("redis-server answers", PATIENCE, || {
            ended = self.process.exit_status().is_some();
            ended || self.ask(&["PING"]).is_ok_and(|reply| reply.text() == "PONG")
        });
        if ended {
            let log = self.process.log_text();
            assert!(log.contains("Address already in use"), "redis-server ended:\n{log}");
        }
        !ended
    }
}

fn spawn(options: &NodeOptions, folder: &tempfile::TempDir, port: u16) -> Process {
    let mut command: Vec<OsString> = options.prefix.iter().map(OsString::from).collect();
    command.push("redis-server".into());
    command.push(folder.path().join("redis.conf").into());
    let log: PathBuf = folder.path().join("log");
    Process::spawn(&format!("node {port}"), &command, folder.path(), &log)
}

fn config(options: &NodeOptions, port: u16) -> String {
    let mut lines = vec![
        options.tls.as_ref().map_or_else(|| format!("port {port}"), |tls| tls.lines_only(port)),
        "save \"\"".to_owned(),
        "appendonly no".to_owned(),
        "repl-diskless-sync yes".to_owned(),
        "repl-diskless-sync-delay 0".to_owned(),
        "repl-ping-replica-period 1".to_owned(),
        "repl-timeout 5".to_owned(),
        "protected-mode no".to_owned(),
    ];
    if options.host.is_none() {
        lines.push("bind 127.0.0.1".to_owned());
    }
    if let Some(password) = &options.password {
        lines.push(format!("requirepass {password}"));
        lines.push(format!("masterauth {password}"));
    }
    if let Some(master) = &options.replica_of {
        lines.push(format!("replicaof {}", master.replace(':', " ")));
    }
    lines.extend(options.extra.iter().cloned());
    lines.join("\n") + "\n"
}
