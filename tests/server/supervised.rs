//! Without a terminal, under systemd, with a pid file.

use std::ffi::OsString;
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::support::ports::free_port;
use crate::support::process::Process;
use crate::support::resp::ask;
use crate::support::sentinel::{Program, Sentinel};
use crate::support::wait::{PATIENCE, wait_until};

for_each_program! {
    a_daemon_serves_without_a_terminal_and_leaves_no_pid_file,
    systemd_is_told_of_readiness_and_of_the_end,
    a_service_of_debian_runs_in_the_foreground,
}

/// A process that has left its parent; it ends with the test.
struct Daemon(Pid);

impl Daemon {
    fn of(pid_file: &Path) -> Daemon {
        let text = || fs::read_to_string(pid_file).ok().filter(|text| text.ends_with('\n'));
        wait_until("the pid file is written", PATIENCE, || text().is_some());
        let raw = text().and_then(|text| text.trim().parse().ok()).expect("a pid");
        Daemon(Pid::from_raw(raw).expect("a pid"))
    }

    fn proc(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.0.as_raw_pid()))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended.
        let _ = kill_process(self.0, Signal::KILL);
    }
}

/// Starts `program` with these words; its exit code and what it said.
fn run(program: Program, folder: &Path, words: &[&str], extra: &str) -> (i32, String) {
    let port = words.iter().position(|word| *word == "--port").map_or("", |at| words[at + 1]);
    fs::write(folder.join("s.conf"), format!("port {port}\ndir {}\n{extra}", folder.display())).unwrap();
    let mut command: Vec<OsString> = vec![program.path().into(), "s.conf".into()];
    command.extend(words.iter().map(OsString::from));
    let said = folder.join("said");
    let _ = fs::remove_file(&said);
    let mut process = Process::spawn("the first process", &command, folder, &said);
    wait_until("the first process ends", PATIENCE, || process.exit_status().is_some());
    (process.exit_status().and_then(|status| status.code()).unwrap_or(-1), process.log_text())
}

fn a_daemon_serves_without_a_terminal_and_leaves_no_pid_file(program: Program) {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port().to_string();
    let config = "daemonize yes\npidfile s.pid\nlogfile s.log\n";
    let (code, said) = run(program, folder.path(), &["--port", &port], config);
    assert_eq!((code, said.as_str()), (0, ""));
    let daemon = Daemon::of(&folder.path().join("s.pid"));
    wait_until("it serves", PATIENCE, || ask(&format!("127.0.0.1:{port}"), &["PING"]).is_ok());

    for fd in 0..3 {
        assert_eq!(fs::read_link(daemon.proc(&format!("fd/{fd}"))).unwrap(), Path::new("/dev/null"), "{fd}");
    }
    // Process group and session are its own.
    let stat = fs::read_to_string(daemon.proc("stat")).unwrap();
    let after_name: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let pid = daemon.0.as_raw_pid().to_string();
    assert_eq!(after_name[2..4], [&pid, &pid], "{stat}");
    let comm = fs::read_to_string(daemon.proc("comm")).unwrap();
    assert_eq!(comm.trim(), program.path().file_name().unwrap().to_str().unwrap());
    let log = fs::read_to_string(folder.path().join("s.log")).unwrap();
    assert!(log.contains("Running mode=sentinel"), "{log}");

    kill_process(daemon.0, Signal::TERM).unwrap();
    wait_until("it ends", PATIENCE, || test_kill_process(daemon.0).is_err() || is_zombie(&daemon));
    assert!(!folder.path().join("s.pid").exists());
}

/// Where nobody collects orphans, an ended process stays in the table.
fn is_zombie(daemon: &Daemon) -> bool {
    fs::read_to_string(daemon.proc("stat")).is_ok_and(|stat| stat.contains(") Z "))
}

fn systemd_is_told_of_readiness_and_of_the_end(program: Program) {
    let folder = tempfile::tempdir().unwrap();
    let (socket, path) = notify_socket(folder.path());
    let port = free_port();
    let mut process =
        supervised(program, folder.path(), &path, &format!("port {port}\nsupervised systemd\n"));
    assert!(heard(&socket).ends_with("is loading...\n"));
    // Stock says it in two messages.
    let mut ready = heard(&socket);
    while !ready.contains("READY=1\n") {
        ready += &heard(&socket);
    }
    assert_eq!(ready, "STATUS=Ready to accept connections\nREADY=1\n");
    let info = ask(&format!("127.0.0.1:{port}"), &["INFO", "server"]).unwrap().text();
    assert!(info.contains("process_supervised:systemd"), "{info}");
    process.signal(Signal::TERM);
    assert_eq!(heard(&socket), "STOPPING=1\n");
    wait_until("it ends", PATIENCE, || process.exit_status().is_some());
    assert_eq!(process.exit_status().and_then(|status| status.code()), Some(0));
}

/// Debian's unit: a config with `daemonize yes`, overridden on the command line.
fn a_service_of_debian_runs_in_the_foreground(program: Program) {
    let folder = tempfile::tempdir().unwrap();
    let (socket, path) = notify_socket(folder.path());
    let config = format!(
        "protected-mode no\nport {}\ndaemonize yes\npidfile {dir}/s.pid\nlogfile {dir}/s.log\ndir {dir}\n\
         sentinel monitor mymaster 127.0.0.1 1 2\nsentinel down-after-milliseconds mymaster 30000\n\
         acllog-max-len 128\nsentinel parallel-syncs mymaster 1\nsentinel deny-scripts-reconfig yes\n\
         SENTINEL resolve-hostnames no\nSENTINEL master-reboot-down-after-period mymaster 0\n",
        free_port(),
        dir = folder.path().display(),
    );
    let mut process = supervised(program, folder.path(), &path, &config);
    while !heard(&socket).contains("READY=1\n") {}
    let pid = fs::read_to_string(folder.path().join("s.pid")).unwrap();
    assert_eq!(pid, format!("{}\n", process.pid()));
    process.signal(Signal::TERM);
    wait_until("it ends", PATIENCE, || process.exit_status().is_some());
    assert!(!folder.path().join("s.pid").exists());
}

fn notify_socket(folder: &Path) -> (UnixDatagram, PathBuf) {
    let path = folder.join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    (socket, path)
}

fn heard(socket: &UnixDatagram) -> String {
    let mut buffer = [0; 256];
    let length = socket.recv(&mut buffer).expect("a message for systemd");
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

fn supervised(program: Program, folder: &Path, socket: &Path, config: &str) -> Process {
    fs::write(folder.join("s.conf"), config).unwrap();
    let mut command: Vec<OsString> = vec!["env".into(), format!("NOTIFY_SOCKET={}", socket.display()).into()];
    command.extend([program.path().into(), folder.join("s.conf").into()]);
    command.extend(["--supervised", "systemd", "--daemonize", "no"].map(OsString::from));
    Process::spawn("a service", &command, folder, &folder.join("out"))
}

/// Stock's first process has ended with status 0 by then.
#[test]
fn a_daemon_that_cannot_listen_is_no_success_and_says_why() {
    let first = Sentinel::start(Program::Vigia, "bind 127.0.0.1\n");
    let folder = tempfile::tempdir().unwrap();
    let config = "daemonize yes\nbind 127.0.0.1\npidfile s.pid\n";
    let (code, said) = run(Program::Vigia, folder.path(), &["--port", &first.port.to_string()], config);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("bind: Address already in use"), "{said}");
    assert!(!folder.path().join("s.pid").exists(), "the pid of who serves may stand there");
}

#[test]
fn a_wrong_configuration_is_told_before_the_process_leaves() {
    let folder = tempfile::tempdir().unwrap();
    let (code, said) = run(Program::Vigia, folder.path(), &["--daemonize", "yes"], "hz x\nnonsense\n");
    assert_eq!(code, 1, "{said}");
    assert_eq!(said.matches("Reading the configuration file, at line").count(), 3, "{said}");
}

/// Debian's unit lets the kernel end a process that tries to change an owner.
#[test]
fn under_a_filter_of_system_calls_no_owner_is_changed() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: needs root, to give the file to somebody else");
        return;
    }
    for (filter, changes) in [(&["--seccomp-bpf"][..], false), (&[], true)] {
        let folder = tempfile::tempdir().unwrap();
        let (config, trace) = (folder.path().join("s.conf"), folder.path().join("trace"));
        let port = free_port();
        fs::write(&config, format!("port {port}\n")).unwrap();
        std::os::unix::fs::chown(&config, Some(65_534), Some(65_534)).unwrap();
        let mut command: Vec<OsString> = ["strace", "-f"].iter().chain(filter).map(OsString::from).collect();
        command.extend(["-e", "trace=chown,fchown,lchown,fchownat", "-o"].map(OsString::from));
        // strace lets go of what it traces when it is killed.
        let bound: [OsString; 4] =
            [trace.clone().into(), "setpriv".into(), "--pdeathsig".into(), "KILL".into()];
        command.extend(bound.into_iter().chain([Program::Vigia.path().into(), config.clone().into()]));
        let process = Process::spawn("traced", &command, folder.path(), &folder.path().join("log"));
        wait_until("the file is rewritten", PATIENCE, || {
            fs::read_to_string(&config).is_ok_and(|text| text.contains("sentinel myid"))
        });
        let address = format!("127.0.0.1:{port}");
        wait_until("it serves", PATIENCE, || ask(&address, &["PING"]).is_ok());
        let info = ask(&address, &["INFO", "server"]).unwrap().text();
        let pid = info.lines().find_map(|line| line.strip_prefix("process_id:")).expect("its pid");
        let sentinel = Daemon(Pid::from_raw(pid.parse().expect("a number")).expect("a pid"));
        drop(process);
        wait_until("it ends", PATIENCE, || test_kill_process(sentinel.0).is_err() || is_zombie(&sentinel));
        let traced = fs::read_to_string(&trace).unwrap();
        assert_eq!(traced.contains("chown"), changes, "{filter:?}: {traced}");
    }
}
