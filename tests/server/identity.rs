//! The binary under the names of the originals: it answers as the one whose name it was started under.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::support::ports::free_port;
use crate::support::process::Process;
use crate::support::resp::{Client, Value, ask};
use crate::support::sentinel::Program;
use crate::support::wait::{PATIENCE, wait_until};

/// A process started through a link.
struct Linked {
    folder: tempfile::TempDir,
    process: Process,
    address: String,
}

impl Linked {
    /// Runs the program through a link called `name`, with `config` on a free port.
    fn start(name: &str, config: &str) -> Linked {
        for _ in 0..10 {
            let port = free_port();
            let folder = tempfile::tempdir().expect("temporary folder");
            let text = format!("port {port}\nbind 127.0.0.1\n{config}");
            fs::write(folder.path().join("s.conf"), text).expect("config file");
            let process = spawn(name, folder.path(), &["s.conf"]);
            let mut linked = Linked { folder, process, address: format!("127.0.0.1:{port}") };
            if linked.answers() {
                return linked;
            }
        }
        panic!("no free port for {name}");
    }

    fn answers(&mut self) -> bool {
        let mut ended = false;
        wait_until("it answers", PATIENCE, || {
            ended = self.process.exit_status().is_some();
            ended || ask(&self.address, &["PING"]).is_ok()
        });
        assert!(!ended || self.log().contains("Address already in use"), "{}", self.log());
        !ended
    }

    fn ask(&self, words: &[&str]) -> Value {
        ask(&self.address, words).expect("a reply")
    }

    fn log(&self) -> String {
        self.process.log_text()
    }

    fn config(&self) -> String {
        fs::read_to_string(self.folder.path().join("s.conf")).expect("config file")
    }
}

fn spawn(name: &str, folder: &Path, words: &[&str]) -> Process {
    let link = folder.join(name);
    symlink(fs::canonicalize(Program::Vigia.path()).expect("the binary"), &link).expect("a link");
    let command: Vec<OsString> = [link.into()].into_iter().chain(words.iter().map(OsString::from)).collect();
    Process::spawn(name, &command, folder, &folder.join("log"))
}

/// Runs it until it ends; its output.
fn output(name: &str, words: &[&str], config: &str) -> String {
    let folder = tempfile::tempdir().expect("temporary folder");
    fs::write(folder.path().join("s.conf"), config).expect("config file");
    let mut process = spawn(name, folder.path(), words);
    wait_until("it ends", PATIENCE, || process.exit_status().is_some());
    process.log_text()
}

fn info(linked: &Linked) -> String {
    linked.ask(&["INFO", "server"]).text()
}

const MONITOR: &str = "sentinel monitor m 127.0.0.1 1 1\nsentinel primary-reboot-down-after-period m 5\n";

#[test]
fn as_redis_sentinel_it_is_redis() {
    let linked = Linked::start("redis-sentinel", MONITOR);
    let hello = linked.ask(&["HELLO"]);
    assert_eq!([hello.field("server"), hello.field("version")].map(Option::unwrap), ["redis", "7.2.4"]);
    let info = info(&linked);
    assert!(info.starts_with("# Server\r\nredis_version:7.2.4\r\nvigia_version:"), "{info}");
    assert!(info.contains("\r\nredis_mode:sentinel\r\n") && !info.contains("valkey"), "{info}");
    assert!(info.contains("/redis-sentinel\r\nconfig_file:"), "{info}");
    let log = linked.log();
    assert!(log.contains("oO0OoO0OoO0Oo Redis is starting oO0OoO0OoO0Oo"), "{log}");
    assert!(log.contains("Redis version=7.2.4, bits=64") && log.contains("This is Vigia "), "{log}");
    assert_eq!(linked.ask(&["COMMAND", "LIST"]).items().len(), 73);
    assert_eq!(linked.ask(&["SENTINEL", "PRIMARY", "m"]).field("name").unwrap(), "m");
    assert!(linked.ask(&["SENTINEL", "HELP"]).items().contains(&Value::Simple("MASTERS".into())));
    assert!(!linked.ask(&["CLIENT", "LIST"]).text().contains("tot-net-in="));
    let config = linked.config();
    assert!(config.contains("\nsentinel master-reboot-down-after-period m 5\n"), "{config}");
    assert!(!config.contains("primary-"), "{config}");
}

#[test]
fn as_valkey_sentinel_it_is_valkey() {
    let linked = Linked::start("valkey-sentinel", MONITOR);
    let mut client = Client::connect(&linked.address).expect("a connection");
    let hello = client.command(&["HELLO", "3"]).expect("a map");
    assert_eq!([hello.field("server"), hello.field("version")].map(Option::unwrap), ["valkey", "8.0.1"]);
    let info = info(&linked);
    let start =
        "# Server\r\nredis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.0.1\r\nvigia_version:";
    assert!(info.starts_with(start), "{info}");
    assert!(info.contains("\r\nserver_mode:sentinel\r\n") && !info.contains("redis_mode"), "{info}");
    assert!(info.contains("\r\navailability_zone:\r\n"), "{info}");
    assert!(linked.log().contains("oO0OoO0OoO0Oo Valkey is starting oO0OoO0OoO0Oo"), "{}", linked.log());
    assert_eq!(linked.ask(&["COMMAND", "LIST"]).items().len(), 77);
    assert!(linked.ask(&["SENTINEL", "HELP"]).items().contains(&Value::Simple("PRIMARIES".into())));
    let error = linked.ask(&["ACL", "SAVE"]).text();
    assert!(error.starts_with("ERR This instance is not configured to use an ACL file. "), "{error}");
    let config = linked.config();
    assert!(config.contains("\nsentinel primary-reboot-down-after-period m 5\n"), "{config}");
    assert!(!config.contains("master-reboot"), "{config}");

    // What a client sent and got is counted: HELLO before, and this very command.
    let line = client.command(&["CLIENT", "INFO"]).expect("a line").text();
    let figure = |name: &str| -> u64 {
        let (_, rest) = line.split_once(name).unwrap_or_else(|| panic!("{name} in {line}"));
        rest.split_ascii_whitespace().next().and_then(|figure| figure.parse().ok()).expect("a number")
    };
    let sent = "*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n*2\r\n$6\r\nCLIENT\r\n$4\r\nINFO\r\n".len() as u64;
    assert_eq!((figure("tot-net-in="), figure("tot-cmds=")), (sent, 2), "{line}");
    assert!(figure("tot-net-out=") > 50, "{line}");
}

#[test]
fn valkey_may_introduce_itself_as_redis() {
    let linked = Linked::start("valkey-sentinel", "extended-redis-compatibility yes\n");
    let hello = linked.ask(&["HELLO"]);
    assert_eq!([hello.field("server"), hello.field("version")].map(Option::unwrap), ["redis", "7.2.4"]);
    let info = info(&linked);
    assert!(info.contains("\r\nredis_mode:sentinel\r\n") && !info.contains("server_mode"), "{info}");
    assert!(info.contains("\r\nserver_name:valkey\r\n"), "{info}");
}

#[test]
fn under_its_own_name_it_says_what_it_is() {
    let linked = Linked::start("vigia", MONITOR);
    let hello = linked.ask(&["HELLO"]);
    assert_eq!([hello.field("server"), hello.field("version")].map(Option::unwrap), ["redis", "7.2.4"]);
    let info = info(&linked);
    assert!(info.contains("\r\nredis_mode:sentinel\r\n") && info.contains("\r\nvigia_version:"), "{info}");
    assert!(linked.log().contains("Vigia is starting"), "{}", linked.log());
    assert_eq!(linked.ask(&["COMMAND", "LIST"]).items().len(), 77);
}

#[test]
fn versions_and_banners_are_those_of_the_product() {
    for (name, version, banner) in [
        ("redis-sentinel", "Redis server v=7.2.4 sha=", "*** FATAL CONFIG FILE ERROR (Redis 7.2.4) ***"),
        ("valkey-sentinel", "Valkey server v=8.0.1 sha=", "*** FATAL CONFIG FILE ERROR (Version 8.0.1) ***"),
        ("vigia", "Vigia server v=", "*** FATAL CONFIG FILE ERROR (Vigia "),
    ] {
        for flag in ["-v", "--version"] {
            assert!(output(name, &[flag], "").starts_with(version), "{name} {flag}");
        }
        let text = output(name, &["s.conf"], "nonsense\n");
        assert!(text.contains(banner), "{name}: {text}");
    }
}

#[test]
fn the_argument_that_makes_a_server_a_sentinel_is_accepted() {
    let port = free_port().to_string();
    let folder = tempfile::tempdir().expect("temporary folder");
    fs::write(folder.path().join("s.conf"), "bind 127.0.0.1\n").expect("config file");
    let mut process = spawn("redis-server", folder.path(), &["s.conf", "--sentinel", "--port", &port]);
    let address = format!("127.0.0.1:{port}");
    wait_until("it answers", PATIENCE, || {
        assert!(process.exit_status().is_none(), "{}", process.log_text());
        ask(&address, &["PING"]).is_ok()
    });
    assert_eq!(ask(&address, &["ROLE"]).expect("a reply").items()[0].text(), "sentinel");
}
