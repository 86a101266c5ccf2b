//! `vigia demo` as a person or a script runs it.
//!
//! The ignored tests let Debian's redis-sentinel play the sentinels, which proves the demo itself.

#![allow(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

fn demo(temporary: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vigia"));
    command.arg("demo").args(arguments).env("TMPDIR", temporary).stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

fn show_a_failover(arguments: &[&str]) {
    let temporary = tempfile::tempdir().unwrap();
    let output = demo(temporary.path(), &[&["--kill-after", "0"], arguments].concat()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    for part in ["SENTINEL GET-MASTER-ADDR-BY-NAME mymaster", "+switch-master mymaster", "all sentinels told"]
    {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
    assert!(!text.contains('?'), "something was not measured:\n{text}");
    expect_nothing_left(temporary.path(), &pids(&text));
}

#[test]
fn a_failover_is_shown_and_everything_ends() {
    show_a_failover(&[]);
}

#[test]
#[ignore = "proves the demo, not Vigía"]
fn stock_sentinels_show_a_failover_and_everything_ends() {
    show_a_failover(&["--sentinel", "redis-sentinel"]);
}

#[test]
fn a_key_or_sigterm_ends_it_and_leaves_nothing() {
    end_it(&[], |demo| demo.stdin.as_mut().unwrap().write_all(b"q\n").unwrap());
    end_it(&[], |demo| kill_process(Pid::from_child(demo), Signal::TERM).unwrap());
}

#[test]
#[ignore = "proves the demo, not Vigía"]
fn with_stock_sentinels_a_key_or_sigterm_ends_it_and_leaves_nothing() {
    let stock = &["--sentinel", "redis-sentinel"];
    end_it(stock, |demo| demo.stdin.as_mut().unwrap().write_all(b"q\n").unwrap());
    end_it(stock, |demo| kill_process(Pid::from_child(demo), Signal::TERM).unwrap());
}

/// Lets the group come up, ends the demo by `end`, and checks that all is gone.
fn end_it(arguments: &[&str], end: impl FnOnce(&mut Child)) {
    let temporary = tempfile::tempdir().unwrap();
    let mut child = demo(temporary.path(), arguments).spawn().unwrap();
    let mut text = String::new();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    while !text.contains("Events of all three follow.") {
        assert_ne!(output.read_line(&mut text).unwrap(), 0, "the demo ended early:\n{text}");
    }
    end(&mut child);
    assert!(child.wait().unwrap().success());
    expect_nothing_left(temporary.path(), &pids(&text));
}

#[test]
fn without_a_server_it_says_what_to_install() {
    let temporary = tempfile::tempdir().unwrap();
    let output =
        demo(temporary.path(), &[]).env("PATH", temporary.path()).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("apt-get install redis-server"), "{text}");
}

/// The pids in the demo's table.
fn pids(text: &str) -> Vec<String> {
    let rows = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let rows =
        rows.filter(|row| row.len() == 4 && (row[0].starts_with("node-") || row[0].starts_with("sentinel-")));
    let pids: Vec<String> = rows.map(|row| row[3].to_owned()).collect();
    assert_eq!(pids.len(), 6, "six processes in\n{text}");
    pids
}

fn expect_nothing_left(temporary: &Path, pids: &[String]) {
    let left: Vec<PathBuf> =
        std::fs::read_dir(temporary).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(left.is_empty(), "left behind: {left:?}");
    for pid in pids {
        // The number may belong to somebody else by now, but not to a server of that folder.
        let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        assert!(!line.contains(&*temporary.to_string_lossy()), "still runs: {line}");
    }
}
