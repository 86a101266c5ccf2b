//! The order on the way out: fsync of the new file, rename, fsync of the folder, and only then the bytes
//! of a vote or an event (S7). A kill cannot show it, so strace does.
//!
//! Without strace, or without the right to trace, the test says so on stderr and ends; CI installs strace.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::Path;

use crate::support::process::Process;
use crate::support::resp::Client;
use crate::support::sentinel::{Program, Sentinel};
use crate::support::wait::{PATIENCE, wait_until};

const CALLS: &str =
    "trace=fsync,fdatasync,rename,renameat,renameat2,read,readv,recvfrom,recvmsg,write,writev,sendto,sendmsg";
const CANDIDATE: &str = "0123456789012345678901234567890123456789";

#[test]
fn a_vote_and_its_event_leave_only_after_the_folder_is_synced() {
    let sentinel = Sentinel::start(Program::Vigia, "sentinel monitor m 127.0.0.1 1 2\n");
    let mut subscriber = Client::connect(&sentinel.address()).expect("a connection for events");
    subscriber.command(&["SUBSCRIBE", "+vote-for-leader"]).expect("subscribed");
    let folder = tempfile::tempdir().expect("temporary folder");
    let trace = folder.path().join("trace");
    let Some(mut strace) = attach(&sentinel, folder.path(), &trace) else { return };

    let mut asker = Client::connect(&sentinel.address()).expect("a connection for the vote");
    let vote = asker.command(&["SENTINEL", "IS-MASTER-DOWN-BY-ADDR", "127.0.0.1", "1", "7", CANDIDATE]);
    assert_eq!(vote.expect("a vote").items()[1].text(), CANDIDATE);
    let event = subscriber.read().expect("an event");
    assert!(event.items()[2].text().contains(CANDIDATE), "{event:?}");
    let text = wait_for_sends(&trace, &mut strace);

    let calls = finished_calls(&text);
    let at = |from: usize, what: &str, is: &dyn Fn(&str) -> bool| {
        let found = calls[from..].iter().position(|call| is(call));
        from + found.unwrap_or_else(|| panic!("no {what} after call {from} in\n{text}"))
    };
    let asked = at(0, "question", &|call| is_receive(call) && call.contains("IS-MASTER-DOWN"));
    let file =
        at(asked, "fsync of the new file", &|call| call.contains("sync(") && call.contains("sentinel.conf."));
    let renamed = at(file, "rename", &|call| call.contains("rename") && call.contains("sentinel.conf\""));
    let synced =
        at(renamed, "fsync of the folder", &|call| call.contains("sync(") && !call.contains("sentinel.conf"));
    let first_send = at(0, "send", &|call| is_send(call) && call.contains(CANDIDATE));
    assert!(
        synced < first_send,
        "sent in call {first_send} ({}), durable in call {synced}\n{text}",
        calls[first_send]
    );
}

/// strace on a running sentinel, once it is attached to all of its threads.
fn attach(sentinel: &Sentinel, folder: &Path, trace: &Path) -> Option<Process> {
    let pid = sentinel.pid().to_string();
    let words = ["strace", "-f", "-y", "-s", "4096", "-e", CALLS, "-p", &pid, "-o"];
    let mut command: Vec<OsString> = words.iter().map(OsString::from).collect();
    command.push(trace.into());
    if std::process::Command::new("strace").arg("-V").output().is_err() {
        eprintln!("skipped: strace is not installed");
        return None;
    }
    let mut strace = Process::spawn("strace", &command, folder, &folder.join("log"));
    let mut refused = false;
    wait_until("strace is attached", PATIENCE, || {
        refused = strace.exit_status().is_some();
        refused || strace.log_text().contains("attached")
    });
    if refused {
        eprintln!("skipped: strace may not trace here: {}", strace.log_text());
        return None;
    }
    Some(strace)
}

/// The trace, once both the vote and the event are in it.
fn wait_for_sends(trace: &Path, strace: &mut Process) -> String {
    let mut text = String::new();
    wait_until("the sends are in the trace", PATIENCE, || {
        text = fs::read_to_string(trace).unwrap_or_default();
        let sends = text.lines().filter(|line| is_send(line) && line.contains(CANDIDATE)).count();
        sends >= 2 || strace.exit_status().is_some()
    });
    text
}

/// Calls in order, each whole: a call of one thread may be shown in two parts. A sync or rename counts
/// from its end on, a send from its beginning.
fn finished_calls(text: &str) -> Vec<String> {
    let mut begun: BTreeMap<&str, &str> = BTreeMap::new();
    let mut calls = Vec::new();
    for line in text.lines() {
        let Some((pid, call)) = line.split_once(' ') else { continue };
        if let Some(start) = call.strip_suffix("<unfinished ...>") {
            if is_send(start) {
                calls.push(start.to_owned());
            } else {
                begun.insert(pid, start);
            }
        } else if let Some((_, rest)) = call.split_once(" resumed>") {
            if let Some(start) = begun.remove(pid) {
                calls.push(format!("{start}{rest}"));
            }
        } else {
            calls.push(call.to_owned());
        }
    }
    calls
}

fn is_receive(call: &str) -> bool {
    ["read(", "readv(", "recvfrom(", "recvmsg("].iter().any(|name| call.contains(name))
}

fn is_send(call: &str) -> bool {
    let sends = ["sendto(", "sendmsg(", "writev(", "write("].iter().any(|name| call.contains(name));
    sends && (call.contains("TCP") || call.contains("socket:"))
}
