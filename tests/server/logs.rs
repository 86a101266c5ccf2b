//! Where the log goes and how its lines look.

use std::ffi::OsString;
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;

use crate::support::ports::free_port;
use crate::support::process::Process;
use crate::support::sentinel::{Program, Sentinel};
use crate::support::wait::{PATIENCE, wait_until};

for_each_program! {
    a_log_file_may_be_rotated,
    the_system_log_hears_every_line,
}

fn a_log_file_may_be_rotated(program: Program) {
    let sentinel = Sentinel::start(program, "logfile s.log\n");
    let log = sentinel.config_path().with_file_name("s.log");
    wait_until("the start is logged", PATIENCE, || log.exists());
    fs::rename(&log, log.with_extension("old")).unwrap();
    sentinel.ask(&["SENTINEL", "MONITOR", "new", "127.0.0.1", "1", "1"]).unwrap();
    wait_until("a new file has the event", PATIENCE, || {
        fs::read_to_string(&log).is_ok_and(|text| text.contains("+monitor master new 127.0.0.1 1 quorum 1"))
    });
    let old = fs::read_to_string(log.with_extension("old")).unwrap();
    assert!(old.contains("Sentinel ID is"), "{old}");
}

/// In a mount namespace whose `/dev` is a folder of the test: the socket there is ours.
fn the_system_log_hears_every_line(program: Program) {
    if !can_mount() {
        eprintln!("SKIPPED: needs the right to make a mount namespace");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let dev = folder.path().join("dev");
    fs::create_dir(&dev).unwrap();
    for name in ["null", "urandom"] {
        fs::write(dev.join(name), "").unwrap();
    }
    let daemon = UnixDatagram::bind(dev.join("log")).unwrap();
    daemon.set_read_timeout(Some(PATIENCE)).unwrap();
    let config = format!(
        "port {}\nsyslog-enabled yes\nsyslog-ident watch\nsyslog-facility local3\nloglevel warning\n\
         sentinel monitor m 127.0.0.1 1 1\n",
        free_port()
    );
    fs::write(folder.path().join("s.conf"), config).unwrap();
    let mut process = in_own_dev(program, folder.path());

    let mut heard = String::new();
    while !heard.contains("+monitor master m 127.0.0.1 1 quorum 1") {
        let mut buffer = [0; 2_048];
        let length = daemon.recv(&mut buffer).expect("a message");
        heard = String::from_utf8_lossy(&buffer[..length]).into_owned();
    }
    // local3 is 19, a warning 4; then the time, as in `Nov  2 07:04:43`.
    let (head, text) = heard.split_once("]: ").unwrap();
    assert!(head.starts_with("<156>") && head.contains(&format!(" watch[{}", process.pid())), "{heard}");
    assert_eq!(head["<156>".len()..].chars().filter(|c| *c == ':').count(), 2, "{heard}");
    assert_eq!(text.trim_end_matches('\0'), "+monitor master m 127.0.0.1 1 quorum 1");
    // The other log goes on.
    wait_until("the log has it too", PATIENCE, || process.log_text().contains("+monitor master m"));
    process.signal(Signal::TERM);
    wait_until("it ends", PATIENCE, || process.exit_status().is_some());
}

fn can_mount() -> bool {
    let probe = Command::new("unshare").args(["-m", "true"]).output();
    probe.is_ok_and(|done| done.status.success())
}

fn in_own_dev(program: Program, folder: &Path) -> Process {
    let script =
        "for n in null urandom; do mount --bind /dev/$n dev/$n; done; mount --bind dev /dev; exec \"$@\"";
    let mut command: Vec<OsString> = ["unshare", "-m", "sh", "-ec", script, "sh"].map(OsString::from).into();
    command.extend([program.path().into(), folder.join("s.conf").into()]);
    Process::spawn("beside a log daemon", &command, folder, &folder.join("log"))
}

/// Valkey's format; Redis has none.
#[test]
fn logfmt_lines_have_their_fields() {
    let config = "log-format logfmt\nlog-timestamp-format milliseconds\nsentinel monitor m 127.0.0.1 1 1\n";
    let mut sentinel = Sentinel::start(Program::Vigia, config);
    let pid = sentinel.pid();
    wait_until("the master is monitored", PATIENCE, || sentinel.process().log_text().contains("+monitor"));
    let log = sentinel.process().log_text();
    for line in log.lines() {
        assert!(line.starts_with(&format!("pid={pid} role=sentinel timestamp=\"1")), "{line}");
    }
    assert!(log.contains("level=notice message=\"Running mode=sentinel"), "{log}");
    assert!(log.contains("level=warning message=\"+monitor master m 127.0.0.1 1 quorum 1\""), "{log}");
    assert!(sentinel.config().contains("log-format logfmt"));
}

#[test]
fn loglevel_nothing_says_nothing() {
    let mut sentinel =
        Sentinel::start(Program::Vigia, "loglevel nothing\nsentinel monitor m 127.0.0.1 1 1\n");
    sentinel.ask(&["SENTINEL", "MONITOR", "n", "127.0.0.1", "1", "1"]).unwrap();
    assert_eq!(sentinel.process().log_text(), "");
}
