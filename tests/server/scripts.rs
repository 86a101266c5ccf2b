//! Notification and client-reconfiguration scripts, executed by the real process.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::redis_server::{NodeOptions, RedisServer};
use crate::support::resp::{Client, Value};
use crate::support::sentinel::{Program, Sentinel};
use crate::support::wait::{PATIENCE, wait_until};

for_each_program! {
    a_notification_script_gets_its_words_and_no_descriptors,
    a_failed_script_is_tried_again_and_shown_meanwhile,
    a_script_that_fails_for_good_is_told,
    a_script_that_hangs_is_killed,
    scripts_inherit_environment_and_folder_and_leave_no_zombies,
    scripts_outlive_the_process,
    clients_are_told_of_a_failover,
}

/// Makes an executable script.
///
/// A program of its own writes it: a descriptor of this process, alive in a child that another test is just
/// forking, would make the file busy.
fn script(folder: &Path, name: &str, body: &str) -> String {
    let (path, draft) = (folder.join(name), folder.join(format!("{name}.draft")));
    fs::write(&draft, format!("#!/bin/sh\nhere=$(dirname \"$0\")\n{body}\n")).unwrap();
    let made = Command::new("install").args(["-m", "755"]).args([&draft, &path]).status().unwrap();
    assert!(made.success());
    path.to_str().unwrap().to_owned()
}

/// A sentinel of a master that nobody needs to reach, with this notification script.
fn notifying(program: Program, path: &str) -> Sentinel {
    let text =
        "bind 127.0.0.1\nsentinel monitor m 127.0.0.1 1 2\nsentinel down-after-milliseconds m 3600000\n";
    Sentinel::start(program, &format!("{text}sentinel notification-script m {path}\n"))
}

fn read(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).unwrap_or_default()
}

fn pending(sentinel: &Sentinel) -> Vec<Value> {
    sentinel.ask(&["SENTINEL", "PENDING-SCRIPTS"]).unwrap().items().to_vec()
}

fn info_line(sentinel: &Sentinel, name: &str) -> String {
    let info = sentinel.ask(&["INFO", "sentinel"]).unwrap().text();
    info.lines().find_map(|line| line.strip_prefix(&format!("{name}:"))).unwrap().to_owned()
}

fn debug(sentinel: &Sentinel, name: &str, value: &str) {
    assert_eq!(sentinel.ask(&["SENTINEL", "DEBUG", name, value]).unwrap().text(), "OK");
}

fn a_notification_script_gets_its_words_and_no_descriptors(program: Program) {
    let folder = tempfile::tempdir().unwrap();
    let body = "ls -l /proc/$$/fd > $here/fds; echo $PPID > $here/parent\n\
                printf '%s|' \"$0\" \"$@\" > $here/words.new; mv $here/words.new $here/words";
    let path = script(folder.path(), "notify", body);
    let mut sentinel = notifying(program, &path);
    wait_until("the script of +monitor", PATIENCE, || !read(folder.path(), "words").is_empty());
    assert_eq!(read(folder.path(), "words"), format!("{path}|+monitor|master m 127.0.0.1 1 quorum 2|"));
    assert_eq!(read(folder.path(), "parent").trim(), sentinel.process().pid().to_string());
    let fds = read(folder.path(), "fds");
    assert!(!fds.contains("socket:") && !fds.contains("eventpoll"), "{fds}");
    wait_until("an empty queue", PATIENCE, || pending(&sentinel).is_empty());
    assert_eq!(info_line(&sentinel, "sentinel_scripts_queue_length"), "0");
}

fn a_failed_script_is_tried_again_and_shown_meanwhile(program: Program) {
    let folder = tempfile::tempdir().unwrap();
    let path = script(folder.path(), "notify", "echo $1 >> $here/runs; [ $(wc -l < $here/runs) -ge 4 ]");
    let sentinel = notifying(program, &path);
    let scheduled = |script: &Value| script.field("flags").as_deref() == Some("scheduled");
    wait_until("the pause before the second run", PATIENCE, || {
        pending(&sentinel)
            .first()
            .is_some_and(|script| scheduled(script) && script.field("retry-num").as_deref() == Some("1"))
    });
    let waiting = pending(&sentinel);
    let names: Vec<String> = waiting[0].items().chunks(2).map(|pair| pair[0].text()).collect();
    assert_eq!(names, ["argv", "flags", "pid", "run-delay", "retry-num"]);
    let argv: Vec<String> = waiting[0].items()[1].items().iter().map(Value::text).collect();
    assert_eq!(argv, [&path, "+monitor", "master m 127.0.0.1 1 quorum 2"]);
    let delay: u64 = waiting[0].field("run-delay").unwrap().parse().unwrap();
    assert!((1..=30_000).contains(&delay) && waiting[0].field("pid").as_deref() == Some("0"), "{waiting:?}");
    assert_eq!(info_line(&sentinel, "sentinel_scripts_queue_length"), "1");
    assert_eq!(info_line(&sentinel, "sentinel_running_scripts"), "0");

    // What waits already keeps its time; a fresh one is tried again soon.
    fs::remove_file(folder.path().join("runs")).unwrap();
    debug(&sentinel, "script-retry-delay", "20");
    assert_eq!(sentinel.ask(&["SENTINEL", "RESET", "m"]).unwrap().text(), "1");
    wait_until("four runs", PATIENCE, || read(folder.path(), "runs").lines().count() == 4);
    wait_until("the job is done", PATIENCE, || pending(&sentinel).len() == 1);
    assert_eq!(read(folder.path(), "runs"), "+reset-master\n".repeat(4));
}

fn a_script_that_fails_for_good_is_told(program: Program) {
    let folder = tempfile::tempdir().unwrap();
    let path = script(folder.path(), "notify", "exit 7");
    let sentinel = notifying(program, &path);
    wait_until("an empty queue", PATIENCE, || pending(&sentinel).is_empty());
    let mut client = Client::connect(&sentinel.address()).unwrap();
    client.command(&["SUBSCRIBE", "-script-error"]).unwrap();
    assert_eq!(sentinel.ask(&["SENTINEL", "RESET", "m"]).unwrap().text(), "1");
    client.set_read_timeout(PATIENCE).unwrap();
    let message = client.read().unwrap();
    assert_eq!(message.items()[2].text(), format!("{path} 0 7"));
}

fn a_script_that_hangs_is_killed(program: Program) {
    let folder = tempfile::tempdir().unwrap();
    let path = script(folder.path(), "notify", "echo $$ >> $here/pids; exec sleep 1000");
    let sentinel = notifying(program, &path);
    wait_until("the script runs", PATIENCE, || !read(folder.path(), "pids").is_empty());
    let pid = read(folder.path(), "pids").trim().to_owned();
    let running = pending(&sentinel);
    assert_eq!(running[0].field("flags").as_deref(), Some("running"));
    assert_eq!(running[0].field("pid"), Some(pid.clone()));
    assert_eq!(info_line(&sentinel, "sentinel_running_scripts"), "1");
    let mut client = Client::connect(&sentinel.address()).unwrap();
    client.command(&["SUBSCRIBE", "-script-timeout"]).unwrap();
    client.set_read_timeout(PATIENCE).unwrap();
    debug(&sentinel, "script-max-runtime", "1");
    assert_eq!(client.read().unwrap().items()[2].text(), format!("{path} {pid}"));
    wait_until("the process is gone", PATIENCE, || !Path::new(&format!("/proc/{pid}")).exists());
    // A death by signal is tried again, later.
    wait_until("it waits", PATIENCE, || pending(&sentinel)[0].field("flags").as_deref() == Some("scheduled"));
}

/// The processes whose parent is this one, and their states as `/proc` has them.
fn children(parent: u32) -> Vec<(u32, char)> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let of = |pid: u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let mut words = stat.rsplit_once(')')?.1.split_whitespace();
        let state = words.next()?.chars().next()?;
        (words.next()?.parse() == Ok(parent)).then_some((pid, state))
    };
    pids.filter_map(of).collect()
}

fn scripts_inherit_environment_and_folder_and_leave_no_zombies(program: Program) {
    let folder = tempfile::tempdir().unwrap();
    let body = "{ pwd; readlink /proc/$PPID/cwd; env; } > $here/new; mv $here/new $here/seen; exit 3";
    let path = script(folder.path(), "notify", body);
    let mut sentinel = notifying(program, &path);
    wait_until("the script ran", PATIENCE, || !read(folder.path(), "seen").is_empty());
    let seen = read(folder.path(), "seen");
    let lines: Vec<&str> = seen.lines().collect();
    assert_eq!(lines[0], lines[1], "the working directory is the server's");
    let given =
        std::env::vars().filter(|(name, value)| name.starts_with("CARGO_PKG") && !value.contains('\n'));
    let given: Vec<String> = given.map(|(name, value)| format!("{name}={value}")).collect();
    assert!(given.len() > 5, "cargo sets them for tests");
    let missing: Vec<&String> = given.iter().filter(|line| !lines.contains(&line.as_str())).collect();
    assert!(missing.is_empty(), "the environment is the server's: {missing:?} in {seen}");
    for _ in 0..20 {
        assert_eq!(sentinel.ask(&["SENTINEL", "RESET", "m"]).unwrap().text(), "1");
    }
    wait_until("an empty queue", PATIENCE, || pending(&sentinel).is_empty());
    assert_eq!(children(sentinel.pid()), [], "every child was collected");
    assert!(sentinel.is_running());
}

fn scripts_outlive_the_process(program: Program) {
    let folder = tempfile::tempdir().unwrap();
    let path = script(
        folder.path(),
        "notify",
        "echo $$ > $here/pid; read line < $here/wait; echo $line > $here/said",
    );
    let made = Command::new("mkfifo").arg(folder.path().join("wait")).status().unwrap();
    assert!(made.success());
    let mut sentinel = notifying(program, &path);
    wait_until("the script runs", PATIENCE, || !read(folder.path(), "pid").is_empty());
    assert!(sentinel.ask(&["SHUTDOWN"]).is_err(), "no answer but the end");
    wait_until("the end", PATIENCE, || !sentinel.is_running());
    fs::write(folder.path().join("wait"), "after the end\n").unwrap();
    wait_until("the script went on", PATIENCE, || read(folder.path(), "said") == "after the end\n");
}

fn clients_are_told_of_a_failover(program: Program) {
    let folder = tempfile::tempdir().unwrap();
    let path = script(folder.path(), "reconfig", "echo \"$@\" >> $here/words");
    let master = RedisServer::start(NodeOptions::default());
    let replica_of = Some(master.address());
    let replica = RedisServer::start(NodeOptions { replica_of, ..NodeOptions::default() });
    let (old, new) = (master.address().replace(':', " "), replica.address().replace(':', " "));
    let text =
        format!("bind 127.0.0.1\nsentinel monitor m {old} 1\nsentinel client-reconfig-script m {path}\n");
    let sentinel = Sentinel::start(program, &text);
    debug(&sentinel, "info-period", "100");
    wait_until("a failover can begin", PATIENCE, || {
        sentinel.ask(&["SENTINEL", "FAILOVER", "m"]).unwrap().text() == "OK"
    });
    wait_until("the script ran", PATIENCE, || !read(folder.path(), "words").is_empty());
    assert_eq!(read(folder.path(), "words"), format!("m leader start {old} {new}\n"));
}
