//! Starts that must fail, with the text that says why, and the way a sentinel ends.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::process::Signal;

use crate::support::ports::free_port;
use crate::support::process::Process;
use crate::support::sentinel::{Program, Sentinel};
use crate::support::wait::{PATIENCE, wait_until};

for_each_program! {
    a_broken_line_is_shown_with_its_number_and_reason,
    a_start_without_a_config_file_fails,
    a_missing_config_file_is_named,
    a_config_file_that_cannot_be_written_is_refused,
    a_taken_port_is_named,
    sigterm_ends_it_with_status_0,
    a_restart_keeps_its_id,
}

/// Runs `program` with `arguments` in `folder` until it ends; its exit code and all its output.
pub(crate) fn run_to_end(program: Program, folder: &Path, arguments: &[OsString]) -> (i32, String) {
    let mut command: Vec<OsString> = Vec::new();
    command.push(program.path().into());
    command.extend_from_slice(arguments);
    let mut process = Process::spawn("a start that fails", &command, folder, &folder.join("log"));
    let mut status = None;
    wait_until("the start fails", PATIENCE, || {
        status = process.exit_status();
        status.is_some()
    });
    (status.and_then(|status| status.code()).unwrap_or(-1), process.log_text())
}

pub(crate) fn folder_with(config: &str) -> (tempfile::TempDir, OsString) {
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = folder.path().join("sentinel.conf");
    fs::write(&path, config).expect("config file");
    (folder, path.into())
}

fn a_broken_line_is_shown_with_its_number_and_reason(program: Program) {
    let table = [
        ("sentinel monitor m 127.0.0.1 1 0", 1, "Quorum must be 1 or greater."),
        ("\n# c\nsentinel monitor m 127.0.0.1 66000 1", 3, "Invalid port number."),
        (
            "sentinel monitor m 127.0.0.1 1 1\nsentinel down-after-milliseconds m 0",
            2,
            "negative or zero time parameter.",
        ),
        ("sentinel down-after-milliseconds m 1", 1, "No such master with specified name."),
        ("sentinel nonsense", 1, "Unrecognized sentinel configuration statement."),
        ("sentinel myid abc", 1, "Malformed Sentinel id in myid option."),
        ("port x", 1, "argument couldn't be parsed into an integer"),
        ("port 70000", 1, "argument must be between 0 and 65535 inclusive"),
        ("nonsense 1", 1, "Bad directive or wrong number of arguments"),
        ("port \"1", 1, "Unbalanced quotes in configuration line"),
        ("sentinel monitor m 127.0.0.1 1 1\nsentinel monitor m 127.0.0.1 2 1", 2, "Duplicate master name."),
    ];
    for (config, number, reason) in table {
        let (folder, path) = folder_with(config);
        let (code, output) = run_to_end(program, folder.path(), &[path]);
        assert_eq!(code, 1, "{config:?}: {output}");
        let line = config.lines().nth(number - 1).expect("the line");
        assert!(output.contains("*** FATAL CONFIG FILE ERROR"), "{config:?}: {output}");
        let shown = format!("Reading the configuration file, at line {number}\n>>> '{line}'\n{reason}");
        assert!(output.contains(&shown), "{config:?}: no\n{shown}\nin\n{output}");
    }
}

fn a_start_without_a_config_file_fails(program: Program) {
    let folder = tempfile::tempdir().expect("temporary folder");
    let port = free_port().to_string();
    let (code, output) = run_to_end(program, folder.path(), &["--port".into(), port.into()]);
    assert_eq!(code, 1, "{output}");
    assert!(output.contains("Sentinel needs config file on disk to save state. Exiting..."), "{output}");
}

fn a_missing_config_file_is_named(program: Program) {
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = folder.path().join("none.conf");
    let (code, output) = run_to_end(program, folder.path(), &[path.clone().into()]);
    assert_eq!(code, 1, "{output}");
    let text = format!("Fatal error, can't open config file '{}': No such file or directory", path.display());
    assert!(output.contains(&text), "{output}");
}

fn a_config_file_that_cannot_be_written_is_refused(program: Program) {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: needs root, to start the program as somebody who may not write the file");
        return;
    }
    let (folder, path) = folder_with(&format!("port {}\n", free_port()));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).expect("chmod");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("chmod");
    // The program itself may lie where only root can reach it: run a copy.
    let copy = folder.path().join(if program == Program::Stock { "redis-sentinel" } else { "vigia" });
    fs::copy(resolved(program), &copy).expect("copy of the program");
    let command = [
        &["setpriv", "--reuid", "65534", "--clear-groups", "--"].map(OsString::from)[..],
        &[copy.into(), path.clone()],
    ]
    .concat();
    let mut process = Process::spawn("unwritable", &command, folder.path(), &folder.path().join("log"));
    wait_until("the start fails", PATIENCE, || process.exit_status().is_some());
    let output = process.log_text();
    assert_eq!(process.exit_status().and_then(|status| status.code()), Some(1), "{output}");
    let text = format!(
        "Sentinel config file {} is not writable: Permission denied. Exiting...",
        path.to_string_lossy()
    );
    assert!(output.contains(&text), "{output}");
}

fn resolved(program: Program) -> std::path::PathBuf {
    let path = program.path();
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders)
        .map(|folder| folder.join(&path))
        .find(|full| full.is_file())
        .expect("the program")
}

fn a_taken_port_is_named(program: Program) {
    let first = Sentinel::start(program, "bind 127.0.0.1\n");
    let (folder, path) = folder_with(&format!("port {}\nbind 127.0.0.1\n", first.port));
    let (code, output) = run_to_end(program, folder.path(), &[path]);
    assert_eq!(code, 1, "{output}");
    let text = format!(
        "Warning: Could not create server TCP listening socket 127.0.0.1:{}: bind: Address already in use",
        first.port
    );
    assert!(output.contains(&text), "{output}");
    let last = format!("Failed listening on port {} (", first.port);
    assert!(output.contains(&last) && output.contains("), aborting."), "{output}");
}

fn sigterm_ends_it_with_status_0(program: Program) {
    let mut sentinel = Sentinel::start(program, "");
    let process = sentinel.process();
    process.signal(Signal::TERM);
    wait_until("it ends", PATIENCE, || process.exit_status().is_some());
    assert_eq!(process.exit_status().and_then(|status| status.code()), Some(0));
    let log = process.log_text();
    assert!(log.contains("User requested shutdown..."), "{log}");
    assert!(log.contains("Sentinel is now ready to exit, bye bye..."), "{log}");
}

fn a_restart_keeps_its_id(program: Program) {
    let mut sentinel = Sentinel::start(program, "");
    let id = sentinel.ask(&["SENTINEL", "MYID"]).unwrap().text();
    assert!(id.len() == 40 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    sentinel.restart();
    assert_eq!(sentinel.ask(&["SENTINEL", "MYID"]).unwrap().text(), id);
    assert!(sentinel.process().log_text().contains(&format!("Sentinel ID is {id}")));
}
