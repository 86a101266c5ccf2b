//! A private network in which a host can vanish: the test runs itself again in a network
//! namespace of its own, and the master in a second one, joined by a veth pair.
//!
//! Nothing outside the two namespaces changes, and both end with the processes in them.

use std::process::Command;

/// Set in the process that runs inside the namespace.
const INSIDE: &str = "VIGIA_TEST_INSIDE_NETNS";

/// The address of everybody else (TEST-NET-1, RFC 5737).
pub const NEAR: &str = "192.0.2.1";
/// The address of the master's host.
pub const FAR: &str = "192.0.2.2";

/// Fixed hardware addresses, so that both sides can know each other without ARP.
const NEAR_MAC: &str = "02:00:00:00:00:01";
const FAR_MAC: &str = "02:00:00:00:00:02";

/// Runs `scenario` inside a network namespace of its own by executing `test` (its full name)
/// again; prints why when the machine does not allow namespaces.
pub fn in_a_private_network(test: &str, scenario: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_some() {
        run("ip", &["link", "set", "lo", "up"]);
        return scenario();
    }
    if let Err(reason) = namespaces_work() {
        eprintln!("SKIPPED {test}: no network namespaces here ({reason})");
        return;
    }
    let status = Command::new("unshare")
        .arg("--net")
        .arg(std::env::current_exe().expect("path of this test"))
        .args(["--exact", test, "--nocapture", "--include-ignored"])
        .env(INSIDE, "1")
        .status()
        .expect("unshare runs");
    assert!(status.success(), "{test} failed in its namespace");
}

/// Joins the network of the process `pid` (started with `unshare --net`) to this one.
pub fn connect_host(pid: u32) {
    let pid = pid.to_string();
    let start = std::time::Instant::now();
    // `unshare` needs a moment before its child is in the new namespace.
    while namespace_of("self") == namespace_of(&pid) {
        assert!(start.elapsed().as_secs() < 60, "the child never got its own network");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    run(
        "ip",
        &["link", "add", "near", "address", NEAR_MAC, "type", "veth", "peer", "far", "address", FAR_MAC],
    );
    run("ip", &["link", "set", "far", "netns", &pid]);
    run("ip", &["addr", "add", &format!("{NEAR}/24"), "dev", "near"]);
    run("ip", &["link", "set", "near", "up"]);
    run("ip", &["neigh", "replace", FAR, "lladdr", FAR_MAC, "nud", "permanent", "dev", "near"]);
    inside(&pid, &["link", "set", "lo", "up"]);
    inside(&pid, &["addr", "add", &format!("{FAR}/24"), "dev", "far"]);
    plug(&pid);
}

/// Pulls the cable: packets vanish both ways and connects hang.
pub fn unplug_host(pid: u32) {
    inside(&pid.to_string(), &["link", "set", "far", "down"]);
}

/// Puts the cable back.
pub fn plug_host(pid: u32) {
    plug(&pid.to_string());
}

fn plug(pid: &str) {
    inside(pid, &["link", "set", "far", "up"]);
    inside(pid, &["neigh", "replace", NEAR, "lladdr", NEAR_MAC, "nud", "permanent", "dev", "far"]);
}

fn namespaces_work() -> Result<(), String> {
    for (program, arguments) in [
        ("unshare", &["--net", "ip", "link", "add", "near", "type", "veth", "peer", "far"][..]),
        ("nsenter", &["--version"]),
    ] {
        let output = Command::new(program).args(arguments).output();
        let output = output.map_err(|error| format!("{program}: {error}"))?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
        }
    }
    Ok(())
}

fn namespace_of(pid: &str) -> Option<std::path::PathBuf> {
    std::fs::read_link(format!("/proc/{pid}/ns/net")).ok()
}

fn inside(pid: &str, ip_arguments: &[&str]) {
    let mut words = vec!["--target", pid, "--net", "ip"];
    words.extend_from_slice(ip_arguments);
    run("nsenter", &words);
}

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {stderr}");
}
