//! TLS towards clients: who is let in, what costs whom a place, and certificates that change.

use std::cell::Cell;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use openssl::ssl::{ShutdownState, SslContext};
use openssl::x509::X509;
use rustix::process::Signal;

use crate::support::certs::{Authority, Claims, Pair, replace};
use crate::support::ports::free_port;
use crate::support::redis_server::{NodeOptions, RedisServer};
use crate::support::resp::{Client, ask};
use crate::support::sentinel::{Program, Sentinel};
use crate::support::tls::{self, Secrets};
use crate::support::wait::{PATIENCE, wait_until};

for_each_program! {
    clients_need_a_certificate_as_configured,
    a_key_may_have_a_passphrase,
    tls_stands_beside_plain_tcp,
    who_does_not_speak_tls_is_closed_and_named,
    clients_beyond_the_limit_are_closed_before_the_handshake,
    broken_certificates_end_the_start_with_their_name,
}

/// A sentinel with TLS on a port of its own, beside the plain one.
struct Setup {
    secrets: Arc<Secrets>,
    sentinel: Sentinel,
    /// `ip:port` of TLS.
    address: String,
}

impl Setup {
    fn start(program: Program, lines: &str) -> Setup {
        Setup::with(program, Secrets::new(), lines)
    }

    fn with(program: Program, secrets: Arc<Secrets>, lines: &str) -> Setup {
        let tls_port = Cell::new(0);
        let config = format!("bind 127.0.0.1\n{}{lines}", secrets.lines());
        // New ports at each try.
        let sentinel = Sentinel::start_with(program, &config, |port| {
            tls_port.set(free_port());
            format!("port {port}\ntls-port {}\n", tls_port.get())
        });
        Setup { secrets, sentinel, address: format!("127.0.0.1:{}", tls_port.get()) }
    }

    /// A connection that checks the sentinel's certificate and shows everybody's.
    fn connect(&self) -> std::io::Result<Client> {
        Client::connect_tls(&self.address, &self.client())
    }

    fn client(&self) -> SslContext {
        self.secrets.client(Some(&self.secrets.pair))
    }

    /// The certificate that the sentinel shows to a new connection.
    fn shown(&self) -> Option<X509> {
        self.connect().ok()?.peer_certificate()
    }

    fn log(&mut self) -> String {
        self.sentinel.process().log_text()
    }

    #[track_caller]
    fn wait_log(&mut self, text: &str) {
        wait_until(&format!("the log says {text:?}"), PATIENCE, || self.log().contains(text));
    }

    /// What `redis-cli --tls` gets for PING.
    fn redis_cli(&self, pair: Option<&Pair>) -> String {
        let port = self.address.rsplit(':').next().unwrap();
        let mut command = Command::new("redis-cli");
        command.args(["--tls", "-p", port, "--cacert"]).arg(self.secrets.folder().join("ca.crt"));
        if let Some(pair) = pair {
            command.arg("--cert").arg(&pair.cert).arg("--key").arg(&pair.key);
        }
        let output = command.arg("PING").output().expect("redis-cli runs");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

fn clients_need_a_certificate_as_configured(program: Program) {
    let (secrets, stranger) = (Secrets::new(), Secrets::new());
    for (mode, ours, none, strangers) in
        [("yes", true, false, false), ("optional", true, true, false), ("no", true, true, true)]
    {
        let mut setup = Setup::with(program, Arc::clone(&secrets), &format!("tls-auth-clients {mode}\n"));
        let pairs = [(Some(&secrets.pair), ours), (None, none), (Some(&stranger.pair), strangers)];
        for (pair, is_let_in) in pairs {
            assert_eq!(setup.redis_cli(pair) == "PONG", is_let_in, "{mode}: {pair:?}");
        }
        if mode == "yes" {
            setup.wait_log("Error accepting a client connection: error:");
            assert!(setup.log().contains("peer did not return a certificate"));
        }
    }
}

fn a_key_may_have_a_passphrase(program: Program) {
    let secrets = Secrets::new();
    let locked = secrets.ca.issue("locked", Claims { pass: Some("a \"secret\""), ..Claims::default() });
    let lines = format!(
        "tls-cert-file {}\ntls-key-file {}\ntls-key-file-pass \"a \\\"secret\\\"\"\n",
        locked.cert.display(),
        locked.key.display()
    );
    let mut setup = Setup::with(program, secrets, &lines);
    assert_eq!(setup.redis_cli(Some(&setup.secrets.pair)), "PONG");
    // The passphrase survives the rewrite of the file.
    setup.sentinel.restart();
    assert_eq!(setup.redis_cli(Some(&setup.secrets.pair)), "PONG");
}

fn tls_stands_beside_plain_tcp(program: Program) {
    let setup = Setup::start(program, "");
    let mut client = setup.connect().unwrap();
    let list = client.command(&["CLIENT", "LIST"]).unwrap().text();
    assert!(list.contains(&format!("laddr={}", setup.address)), "{list}");
    let info = setup.sentinel.ask(&["INFO", "server"]).unwrap().text();
    assert!(info.contains(&format!("tcp_port:{}\r\n", setup.sentinel.port)), "{info}");
    if program == Program::Vigia {
        let tls = setup.address.rsplit(':').next().unwrap();
        let lines = format!(
            "listener0:name=tcp,bind=127.0.0.1,port={}\r\nlistener1:name=tls,bind=127.0.0.1,port={tls}\r\n",
            setup.sentinel.port
        );
        assert!(info.contains(&lines), "{info}");
    }
    // Long replies cross several records.
    let long = "x".repeat(200_000);
    let error = client.command(&[&long]).unwrap().text();
    assert!(error.starts_with("ERR unknown command 'xxx"), "{error:.100}");
    let all = client.command(&["COMMAND"]).unwrap();
    assert!(all.items().len() > 10);
    // With no other port, INFO shows that of TLS.
    let alone = Secrets::new();
    let sentinel = Sentinel::start_tls(program, "bind 127.0.0.1\n", &alone);
    let info = sentinel.ask(&["INFO", "server"]).unwrap().text();
    assert!(info.contains(&format!("tcp_port:{}\r\n", sentinel.port)), "{info}");
}

fn who_does_not_speak_tls_is_closed_and_named(program: Program) {
    let mut setup = Setup::start(program, "");
    let mut plain = TcpStream::connect(&setup.address).unwrap();
    plain.set_read_timeout(Some(PATIENCE)).unwrap();
    plain.write_all(b"PING\r\n").unwrap();
    let mut reply = Vec::new();
    // Reset or closed: both end it. What comes may be an alert, but no RESP.
    let _ = plain.read_to_end(&mut reply);
    assert!(!reply.starts_with(b"+"), "{reply:?}");
    setup.wait_log("Error accepting a client connection: error:");
    assert!(setup.log().contains("wrong version number"), "{}", setup.log());
    assert_eq!(setup.redis_cli(Some(&setup.secrets.pair)), "PONG");
}

fn clients_beyond_the_limit_are_closed_before_the_handshake(program: Program) {
    let setup = Setup::start(program, "maxclients 1\n");
    let mut first = None;
    wait_until("the check of the start has gone", PATIENCE, || {
        first = setup.connect().ok();
        first
            .as_mut()
            .is_some_and(|client| client.command(&["PING"]).is_ok_and(|reply| reply.text() == "PONG"))
    });
    let mut second = TcpStream::connect(&setup.address).unwrap();
    second.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut reply = Vec::new();
    let _ = second.read_to_end(&mut reply);
    assert!(reply.is_empty(), "{reply:?}");
    let mut first = first.unwrap();
    let info = first.command(&["INFO", "stats"]).unwrap().text();
    assert!(!info.contains("rejected_connections:0\r\n"), "{info}");
}

fn broken_certificates_end_the_start_with_their_name(program: Program) {
    let secrets = Secrets::new();
    let other = secrets.ca.issue("other", Claims { rsa: true, ..Claims::default() });
    let folder = secrets.folder().display();
    let missing = "error:80000002:system library::No such file or directory";
    for (lines, said) in [
        ("".to_owned(), "No tls-cert-file configured!".to_owned()),
        (
            format!(
                "tls-cert-file {folder}/none\ntls-key-file {folder}/node.key\ntls-ca-cert-file {folder}/ca.crt"
            ),
            format!("Failed to load certificate: {folder}/none: {missing}"),
        ),
        (
            format!("{}tls-key-file {}", secrets.lines(), other.key.display()),
            format!(
                "Failed to load private key: {}: error:05800074:x509 certificate routines::key values mismatch",
                other.key.display()
            ),
        ),
    ] {
        let (folder, path) =
            super::startup::folder_with(&format!("port 0\ntls-port {}\n{lines}\n", free_port()));
        let (code, output) = super::startup::run_to_end(program, folder.path(), &[path]);
        assert_eq!(code, 1, "{output}");
        assert!(output.contains(&said), "no {said:?} in\n{output}");
        assert!(output.contains("Failed to configure TLS. Check logs for more info."), "{output}");
    }
}

/// A second CA, also trusted by everybody, and the sentinel's certificate from it.
fn renew(secrets: &Secrets) {
    let (old, folder) = (fs::read(secrets.folder().join("ca.crt")).unwrap(), secrets.folder());
    let second = Authority::new(folder, "second");
    let both = [old, fs::read(folder.join("second.crt")).unwrap()].concat();
    replace(&folder.join("ca.crt"), &both);
    second.issue("node", Claims { rsa: true, ..Claims::default() });
}

fn same(a: &X509, b: &X509) -> bool {
    a.to_der().unwrap() == b.to_der().unwrap()
}

#[test]
fn certificates_are_reloaded_on_sighup_without_dropping_a_connection() {
    let mut setup = Setup::start(Program::Vigia, "");
    let before = setup.shown().unwrap();
    let mut old = setup.connect().unwrap();
    renew(&setup.secrets);
    setup.sentinel.process().signal(Signal::HUP);
    setup.wait_log("TLS certificates reloaded (SIGHUP)");

    let after = setup.shown().unwrap();
    assert!(!same(&before, &after), "the new certificate is shown");
    assert_eq!(old.command(&["PING"]).unwrap().text(), "PONG");
}

#[test]
fn certificates_are_reloaded_when_they_change_without_dropping_a_connection() {
    let mut setup = Setup::start(Program::Vigia, "");
    let before = setup.shown().unwrap();
    let mut old = setup.connect().unwrap();
    renew(&setup.secrets);
    setup.wait_log("TLS certificates reloaded (a file changed)");

    assert!(!same(&before, &setup.shown().unwrap()), "the new certificate is shown");
    assert_eq!(old.command(&["PING"]).unwrap().text(), "PONG");
}

#[test]
fn a_reload_that_fails_keeps_the_old_certificates_and_shouts() {
    let mut setup = Setup::start(Program::Vigia, "");
    let before = setup.shown().unwrap();
    let good = fs::read(&setup.secrets.pair.cert).unwrap();
    let client = setup.client();
    replace(&setup.secrets.pair.cert, b"not a certificate\n");
    setup.sentinel.process().signal(Signal::HUP);
    setup.wait_log("TLS certificates NOT reloaded (SIGHUP): the old ones stay in use");
    let said = format!("Failed to load certificate: {}", setup.secrets.pair.cert.display());
    assert!(setup.log().contains(&said), "{}", setup.log());
    let shown = Client::connect_tls(&setup.address, &client).unwrap().peer_certificate().unwrap();
    assert!(same(&before, &shown));

    replace(&setup.secrets.pair.cert, &good);
    setup.wait_log("TLS certificates reloaded (a file changed)");
}

#[test]
fn handshakes_that_hang_cost_nobody_a_place() {
    let setup = Setup::start(Program::Vigia, "maxclients 2\n");
    let hanging: Vec<TcpStream> = (0..20).map(|_| TcpStream::connect(&setup.address).unwrap()).collect();
    let mut clients = Vec::new();
    wait_until("both places are to be had", PATIENCE, || {
        clients = (0..2).filter_map(|_| setup.connect().ok()).collect();
        let replies = clients.iter_mut().filter_map(|client| client.command(&["PING"]).ok());
        replies.filter(|reply| reply.text() == "PONG").count() == 2
    });
    drop(hanging);
}

/// A node that nobody would believe: no TLS, or a certificate of a strange CA.
#[test]
fn links_trust_only_nodes_of_a_known_ca_and_the_log_says_what_to_do() {
    let (ours, strangers) = (Secrets::new(), Secrets::new());
    let strange =
        RedisServer::start(NodeOptions { tls: Some(Arc::clone(&strangers)), ..NodeOptions::default() });
    let plain = RedisServer::start(NodeOptions::default());
    let monitor = |name: &str, node: &RedisServer| {
        format!(
            "sentinel monitor {name} 127.0.0.1 {} 1\nsentinel down-after-milliseconds {name} 1000\n",
            node.port
        )
    };
    let lines = monitor("strange", &strange) + &monitor("plain", &plain);
    let mut setup = Setup::with(Program::Vigia, Arc::clone(&ours), &lines);
    setup.wait_log(&format!("TLS to {} failed: self-signed certificate", strange.address()));
    let ca = ours.folder().join("ca.crt");
    let advice = format!("Its certificate is not signed by a CA of {}", ca.display());
    assert!(setup.log().contains(&advice), "{}", setup.log());
    setup.wait_log(&format!("TLS to {} failed: ", plain.address()));
    let flags = |setup: &Setup, name: &str| {
        setup
            .sentinel
            .ask(&["SENTINEL", "MASTER", name])
            .ok()
            .and_then(|entry| entry.field("flags"))
            .unwrap_or_default()
    };
    wait_until("both are down", PATIENCE, || {
        ["strange", "plain"].iter().all(|name| flags(&setup, name).contains("s_down"))
    });

    // The operator adds their CA, and ours to the node (which asks for certificates too): no restart of ours.
    let both = [fs::read(&ca).unwrap(), fs::read(strangers.folder().join("ca.crt")).unwrap()].concat();
    replace(&ca, &both);
    let reread = ["CONFIG", "SET", "tls-ca-cert-file", ca.to_str().unwrap()];
    assert_eq!(strange.ask(&reread).unwrap().text(), "OK");
    wait_until("it is trusted", PATIENCE, || flags(&setup, "strange") == "master");
}

#[test]
fn host_names_are_checked_on_links_when_that_is_asked_for() {
    let secrets = Secrets::new();
    let node = RedisServer::start(NodeOptions { tls: Some(Arc::clone(&secrets)), ..NodeOptions::default() });
    let monitor = |name: &str, host: &str| {
        format!(
            "sentinel monitor {name} {host} {} 1\nsentinel down-after-milliseconds {name} 1000\n",
            node.port
        )
    };
    let lines = "vigia.tls-check-hostnames yes\nsentinel resolve-hostnames yes\n".to_owned()
        + &monitor("ip", "127.0.0.1")
        + &monitor("name", "localhost");
    let mut setup = Setup::with(Program::Vigia, Arc::clone(&secrets), &lines);
    let flags = |setup: &Setup, name| {
        let entry = setup.sentinel.ask(&["SENTINEL", "MASTER", name]);
        entry.ok().and_then(|entry| entry.field("flags")).unwrap_or_default()
    };
    setup.wait_log("Its certificate does not name 127.0.0.1");
    setup.wait_log("Its certificate does not name localhost");

    for (host, good, bad) in [("localhost", "name", "ip"), ("127.0.0.1", "ip", "name")] {
        let named = secrets.ca.issue(&format!("for-{host}"), Claims { hosts: &[host], ..Claims::default() });
        let (cert, key) = (named.cert.display().to_string(), named.key.display().to_string());
        let renewed = node.ask(&["CONFIG", "SET", "tls-cert-file", &cert, "tls-key-file", &key]);
        assert_eq!(renewed.unwrap().text(), "OK");
        // Connections that exist are not looked at again.
        let killed = node.ask(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        assert!(killed.is_ok(), "{killed:?}");
        wait_until(&format!("only {good} is believed"), PATIENCE, || {
            flags(&setup, good) == "master" && flags(&setup, bad).contains("s_down")
        });
    }
    // The directive stays in the file, and stock starts with it.
    let config = setup.sentinel.config();
    assert!(config.contains("vigia.tls-check-hostnames yes\n"), "{config}");
    let others = config.lines().filter(|line| !line.starts_with("port ") && !line.starts_with("tls-port "));
    let others: String = others.map(|line| format!("{line}\n")).collect();
    let back = Sentinel::start(Program::Stock, &others);
    assert_eq!(ask(&back.address(), &["PING"]).unwrap().text(), "PONG");
}

/// An end without a word looks like an attack to careful clients.
#[test]
fn a_connection_that_ends_says_so_in_tls() {
    let setup = Setup::start(Program::Vigia, "");
    let tcp = TcpStream::connect(&setup.address).unwrap();
    tcp.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut stream = tls::connect(&setup.client(), tcp).unwrap();
    stream.write_all(b"PING\r\nQUIT\r\n").unwrap();
    let mut all = String::new();
    stream.read_to_string(&mut all).unwrap();
    assert_eq!(all, "+PONG\r\n+OK\r\n");
    assert!(stream.get_shutdown().contains(ShutdownState::RECEIVED));
}

/// Messages come without a request, and a read that times out is not the end.
#[test]
fn a_subscriber_over_tls_gets_what_is_published() {
    let setup = Setup::start(Program::Vigia, "");
    let (mut reader, mut writer) = (setup.connect().unwrap(), setup.connect().unwrap());
    reader.command(&["SUBSCRIBE", "+monitor"]).unwrap();
    reader.set_read_timeout(Duration::from_millis(50)).unwrap();
    assert!(reader.peek().is_err(), "nothing yet");
    reader.set_read_timeout(PATIENCE).unwrap();
    let monitor = ["SENTINEL", "MONITOR", "m", "127.0.0.1", "1", "1"];
    assert_eq!(writer.command(&monitor).unwrap().text(), "OK");
    let message = reader.read().unwrap();
    assert_eq!(message.items()[2].text(), "master m 127.0.0.1 1 quorum 1");
}

/// What `openssl s_client` sees of a connection that leaves its session behind or goes on with it.
fn trace(setup: &Setup, option: &str) -> String {
    let (ca, pair) = (setup.secrets.folder().join("ca.crt"), &setup.secrets.pair);
    let mut client = Command::new("openssl");
    client.args(["s_client", "-quiet", "-connect", &setup.address, "-tls1_2", "-CAfile"]).arg(ca);
    client.arg("-cert").arg(&pair.cert).arg("-key").arg(&pair.key);
    client.arg(option).arg(setup.secrets.folder().join("session"));
    client.args(["-trace", "-ign_eof"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut client = client.spawn().expect("openssl runs");
    client.stdin.take().unwrap().write_all(b"QUIT\r\n").unwrap();
    let seen = String::from_utf8_lossy(&client.wait_with_output().unwrap().stdout).into_owned();
    assert!(seen.contains("ServerHello"), "{seen}");
    seen
}

#[test]
fn a_session_is_resumed_if_that_is_allowed_and_not_for_longer() {
    let secrets = Secrets::new();
    // The certificate is sent in a full handshake only.
    let is_resumed = |setup: &Setup| !trace(setup, "-sess_in").contains("Certificate, Length");
    for (lines, resumed) in
        [("", true), ("tls-session-caching no\n", false), ("tls-session-cache-timeout 0\n", false)]
    {
        let setup = Setup::with(Program::Vigia, Arc::clone(&secrets), lines);
        trace(&setup, "-sess_out");
        assert_eq!(is_resumed(&setup), resumed, "{lines}");
    }
    let lines = "tls-session-cache-timeout 1\nloglevel verbose\n";
    let mut setup = Setup::with(Program::Vigia, Arc::clone(&secrets), lines);
    trace(&setup, "-sess_out");
    let before = setup.log().matches("sessions expire").count();
    wait_until("the session is too old", PATIENCE, || {
        setup.log().matches("sessions expire").count() > before
    });
    assert!(!is_resumed(&setup));
}
