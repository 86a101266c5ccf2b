//! Commands of operators that change the whole process.

use crate::support::redis_server::{NodeOptions, RedisServer};
use crate::support::resp::{Client, Value};
use crate::support::sentinel::{Program, Sentinel};
use crate::support::wait::{PATIENCE, wait_until};

for_each_program! {
    options_of_the_process_change_and_survive_a_restart,
    debug_parameters_are_shown_and_set,
    the_info_of_all_nodes_is_kept,
    a_simulated_failure_ends_the_process_after_the_event,
}

/// Nobody listens there: port 1 of the loopback.
const CONFIG: &str = "bind 127.0.0.1\nloglevel warning\nsentinel monitor m 127.0.0.1 1 2\n";

/// One pair each: redis-sentinel 7.0 takes no more.
fn options_of_the_process_change_and_survive_a_restart(program: Program) {
    let mut sentinel = Sentinel::start(program, CONFIG);
    let mut client = Client::connect(&sentinel.address()).expect("connect");
    let mut set = |name: &str, value: &str| {
        client.command(&["SENTINEL", "CONFIG", "SET", name, value]).expect("reply").text()
    };
    for (name, value) in [
        ("announce-ip", "10.1.2.3"),
        ("Announce-Port", "7000"),
        ("resolve-hostnames", "YES"),
        ("announce-hostnames", "yes"),
        ("sentinel-user", "u"),
        ("sentinel-pass", "p-w"),
    ] {
        assert_eq!(set(name, value), "OK", "{name}");
    }
    assert_eq!(
        set("announce-port", "70000"),
        "ERR Invalid value '70000' to SENTINEL CONFIG SET 'announce-port'"
    );
    assert!(set("quorum", "1").starts_with("ERR Invalid argument 'quorum' to SENTINEL CONFIG SET"));
    for line in
        ["sentinel announce-ip \"10.1.2.3\"", "sentinel announce-port 7000", "sentinel resolve-hostnames yes"]
    {
        assert!(
            sentinel.config().replace("ip 10.1.2.3", "ip \"10.1.2.3\"").contains(line),
            "{line}: {}",
            sentinel.config()
        );
    }
    sentinel.restart();
    for (pattern, name, value) in [
        ("announce-i*", "announce-ip", "10.1.2.3"),
        ("ANNOUNCE-PORT", "announce-port", "7000"),
        ("res*", "resolve-hostnames", "yes"),
        ("*-pass", "sentinel-pass", "p-w"),
        ("sentinel-use?", "sentinel-user", "u"),
    ] {
        let shown = sentinel.ask(&["SENTINEL", "CONFIG", "GET", pattern]).expect("reply");
        let words: Vec<String> = shown.items().iter().map(Value::text).collect();
        assert_eq!(words, [name, value]);
    }
}

#[test]
fn several_options_are_set_together_or_not_at_all() {
    let mut sentinel = Sentinel::start(Program::Vigia, CONFIG);
    let mut client = Client::connect(&sentinel.address()).expect("connect");
    client.command(&["HELLO", "3"]).expect("hello");
    let mut say = |words: &[&str]| client.command(&[&["SENTINEL", "CONFIG"], words].concat()).expect("reply");
    assert_eq!(say(&["SET", "announce-ip", "h", "loglevel"]).text(), "ERR Missing argument 'loglevel' value");
    assert_eq!(say(&["SET", "announce-ip", "h", "loglevel", "debug"]).text(), "OK");
    let Value::Map(shown) = say(&["GET", "log*", "announce-ip"]) else { panic!("not a map") };
    let shown: Vec<_> = shown.iter().map(|(name, value)| (name.text(), value.text())).collect();
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(shown, [pair("loglevel", "debug"), pair("announce-ip", "h")]);
    assert!(sentinel.config().contains("\nloglevel debug\n"), "{}", sentinel.config());
    drop(client);
    // The end of a connection is logged at verbose.
    let closed = "connection closed";
    wait_until("a line below warning", PATIENCE, || sentinel.process().log_text().contains(closed));
}

fn debug_parameters_are_shown_and_set(program: Program) {
    let sentinel = Sentinel::start(program, CONFIG);
    let all = sentinel.ask(&["SENTINEL", "DEBUG"]).expect("reply");
    assert_eq!(all.items()[..2].iter().map(Value::text).collect::<Vec<_>>(), ["INFO-PERIOD", "10000"]);
    assert_eq!(all.items().len(), 26);
    assert_eq!(all.field("SCRIPT-RETRY-DELAY").as_deref(), Some("30000"));

    let say = |words: &[&str]| sentinel.ask(&[&["SENTINEL", "DEBUG"], words].concat()).expect("reply").text();
    assert_eq!(
        say(&["info-period", "500", "ping-period", "0"]),
        "ERR Invalid argument '0' for SENTINEL DEBUG 'ping-period'"
    );
    assert_eq!(
        say(&["tilt-period"]),
        "ERR Unknown option or number of arguments for SENTINEL DEBUG 'tilt-period'"
    );
    assert_eq!(say(&["PUBLISH-PERIOD", "700"]), "OK");
    let all = sentinel.ask(&["SENTINEL", "DEBUG"]).expect("reply");
    assert_eq!(
        (all.field("INFO-PERIOD").as_deref(), all.field("PUBLISH-PERIOD").as_deref()),
        (Some("500"), Some("700"))
    );
}

/// A master with a replica, watched by one sentinel that knows both.
fn watched_pair(program: Program) -> ([RedisServer; 2], Sentinel) {
    let master = RedisServer::start(NodeOptions::default());
    let replica_of = Some(master.address());
    let replica = RedisServer::start(NodeOptions { replica_of, ..NodeOptions::default() });
    let address = master.address().replace(':', " ");
    let text = format!("sentinel monitor m {address} 1\nsentinel down-after-milliseconds m 5000\n");
    let sentinel = Sentinel::start(program, &format!("bind 127.0.0.1\n{text}"));
    assert_eq!(sentinel.ask(&["SENTINEL", "DEBUG", "info-period", "100"]).expect("reply").text(), "OK");
    wait_until("the replica is known and linked", PATIENCE, || {
        let replicas = sentinel.ask(&["SENTINEL", "REPLICAS", "m"]).expect("reply");
        replicas.items().first().and_then(|entry| entry.field("master-link-status")).as_deref() == Some("ok")
    });
    ([master, replica], sentinel)
}

fn the_info_of_all_nodes_is_kept(program: Program) {
    let (_nodes, sentinel) = watched_pair(program);
    assert_eq!(sentinel.ask(&["SENTINEL", "INFO-CACHE", "x"]).expect("reply").items().len(), 0);
    let cached = sentinel.ask(&["SENTINEL", "INFO-CACHE", "m", "x", "m"]).expect("reply");
    let [name, nodes] = cached.items() else { panic!("not one master: {cached:?}") };
    assert_eq!(name.text(), "m");
    for (node, role) in nodes.items().iter().zip(["role:master", "role:slave"]) {
        let [Value::Int(age), text] = node.items() else { panic!("not age and text: {node:?}") };
        assert!((0..60_000).contains(age) && text.text().contains(role), "{node:?}");
    }
    assert_eq!(nodes.items().len(), 2);
}

fn a_simulated_failure_ends_the_process_after_the_event(program: Program) {
    for (flag, bits, last_event) in [
        ("crash-after-election", "1", "+elected-leader master m"),
        ("crash-after-promotion", "2", "+promoted-slave slave"),
    ] {
        let (_nodes, mut sentinel) = watched_pair(program);
        let say = |words: &[&str]| sentinel.ask(words).expect("reply").text();
        assert_eq!(say(&["SENTINEL", "SIMULATE-FAILURE", flag]), "OK");
        let shown = format!("sentinel_simulate_failure_flags:{bits}\r\n");
        assert!(say(&["INFO", "sentinel"]).contains(&shown), "{flag}");
        assert_eq!(say(&["SENTINEL", "FAILOVER", "m"]), "OK");
        wait_until("the simulated crash", PATIENCE, || sentinel.process().exit_status().is_some());
        assert_eq!(sentinel.process().exit_status().and_then(|status| status.code()), Some(99), "{flag}");
        let log = sentinel.process().log_text();
        let after = log.split(last_event).nth(1).unwrap_or_else(|| panic!("{flag}:\n{log}"));
        assert!(!after.contains(" +"), "an event after {last_event}:\n{log}");
        assert!(after.contains(" # Sentinel CRASH because of SENTINEL simulate-failure"), "{flag}:\n{log}");
    }
}

#[test]
fn host_names_are_taken_as_soon_as_that_is_allowed() {
    let sentinel = Sentinel::start(Program::Vigia, CONFIG);
    let say = |words: &[&str]| sentinel.ask(&[&["SENTINEL"], words].concat()).expect("reply").text();
    let monitor = ["MONITOR", "n", "localhost", "2", "1"];
    assert_eq!(say(&monitor), "ERR Invalid IP address or hostname specified");
    assert_eq!(say(&["CONFIG", "SET", "resolve-hostnames", "yes", "announce-hostnames", "yes"]), "OK");
    assert_eq!(say(&monitor), "OK");
    let addr = sentinel.ask(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "n"]).expect("reply");
    assert_eq!(addr.items()[0].text(), "localhost");
}
