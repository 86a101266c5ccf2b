//! The Unix socket, what a client may have waiting for it, and renamed commands.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;

use rustix::process::Signal;

use crate::support::sentinel::{Program, Sentinel};
use crate::support::wait::{PATIENCE, wait_until};

for_each_program! {
    a_unix_socket_serves_and_is_removed_at_the_end,
    a_socket_file_left_behind_is_no_obstacle,
    a_reply_beyond_the_limit_of_normal_clients_ends_the_connection,
    renamed_commands_answer_under_their_new_names_only,
}

/// Sends a request over the socket; what comes back until `end` is seen, or everything.
fn ask(path: &Path, request: &[u8], end: &str) -> String {
    let mut stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request).unwrap();
    let (mut heard, mut buffer) = (String::new(), [0; 4_096]);
    while !heard.contains(end) {
        match stream.read(&mut buffer).unwrap() {
            0 => break,
            length => heard.push_str(&String::from_utf8_lossy(&buffer[..length])),
        }
    }
    heard
}

fn socket(sentinel: &Sentinel) -> std::path::PathBuf {
    sentinel.config_path().with_file_name("s.sock")
}

fn a_unix_socket_serves_and_is_removed_at_the_end(program: Program) {
    // Protected mode is about addresses; there is none here.
    let mut sentinel =
        Sentinel::start(program, "unixsocket s.sock\nunixsocketperm 750\nprotected-mode yes\n");
    let path = socket(&sentinel);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o750);
    assert_eq!(ask(&path, b"PING\r\n", "\n"), "+PONG\r\n");
    if program == Program::Vigia {
        // From 7.2 on.
        let info = ask(&path, b"INFO server\r\n", "s.sock\r\n");
        assert!(info.contains("listener1:name=unix,bind=s.sock\r\n"), "{info}");
    }
    let list = ask(&path, b"CLIENT LIST\r\n", "user=");
    assert!(list.contains(" addr=s.sock:0 laddr=s.sock:0 ") && list.contains(" flags=U "), "{list}");
    // Itself, and perhaps one of those before that is not gone yet.
    let killed = ask(&path, b"CLIENT KILL LADDR s.sock:0 SKIPME no\r\n", "\n");
    assert!(killed.starts_with(':') && killed != ":0\r\n", "{killed}");

    let process = sentinel.process();
    process.signal(Signal::TERM);
    wait_until("it ends", PATIENCE, || process.exit_status().is_some());
    assert!(!path.exists());
    let log = process.log_text();
    assert!(log.contains("* Removing the unix socket file."), "{log}");
}

fn a_socket_file_left_behind_is_no_obstacle(program: Program) {
    let mut sentinel = Sentinel::start(program, "unixsocket s.sock\n");
    sentinel.kill();
    assert!(socket(&sentinel).exists());
    sentinel.restart();
    assert_eq!(ask(&socket(&sentinel), b"PING\r\n", "\n"), "+PONG\r\n");
}

fn a_reply_beyond_the_limit_of_normal_clients_ends_the_connection(program: Program) {
    let config = "unixsocket s.sock\nclient-output-buffer-limit normal 100kb 0 0\n";
    let sentinel = Sentinel::start(program, config);
    let ping = |bytes: usize| format!("*2\r\n$4\r\nPING\r\n${bytes}\r\n{}\r\n", "x".repeat(bytes));
    let small = ask(&socket(&sentinel), ping(50_000).as_bytes(), "x\r\n");
    assert_eq!(small.len(), "$50000\r\n".len() + 50_000 + 2);
    let large = ask(&socket(&sentinel), ping(3_000_000).as_bytes(), "x\r\n");
    assert!(large.len() < 3_000_000, "{} bytes came", large.len());
    let stats = sentinel.ask(&["PING"]).unwrap();
    assert_eq!(stats.text(), "PONG", "nobody else is ended");
}

fn renamed_commands_answer_under_their_new_names_only(program: Program) {
    let config = "rename-command ROLE part\nrename-command part whoami\nrename-command Info \"\"\n";
    let sentinel = Sentinel::start(program, config);
    assert_eq!(sentinel.ask(&["WhoAmI"]).unwrap().items()[0].text(), "sentinel");
    for name in ["role", "PART", "INFO"] {
        let reply = sentinel.ask(&[name]).unwrap().text();
        assert_eq!(reply, format!("ERR unknown command '{name}', with args beginning with: "));
    }
    sentinel.ask(&["SENTINEL", "FLUSHCONFIG"]).unwrap();
    for line in config.lines() {
        assert!(sentinel.config().contains(line), "{line}");
    }
}

/// The only thing that a Vigía does otherwise: it does not take the socket of a process that serves.
#[test]
fn the_socket_of_a_running_process_is_not_taken() {
    let first = Sentinel::start(Program::Vigia, "unixsocket s.sock\n");
    let folder = tempfile::tempdir().unwrap();
    let config = format!("port 0\nunixsocket {}\n", socket(&first).display());
    fs::write(folder.path().join("s.conf"), config).unwrap();
    let command = [Program::Vigia.path().into(), folder.path().join("s.conf").into()];
    let log = folder.path().join("log");
    let mut second = crate::support::process::Process::spawn("second", &command, folder.path(), &log);
    wait_until("it gives up", PATIENCE, || second.exit_status().is_some());
    let log = second.log_text();
    assert!(log.contains("Failed opening Unix socket: bind: Address already in use"), "{log}");
    assert_eq!(ask(&socket(&first), b"PING\r\n", "\n"), "+PONG\r\n");
}
