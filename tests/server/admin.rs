//! Commands of operators that change the whole process.

use crate::support::resp::{Client, Value};
use crate::support::sentinel::{Program, Sentinel};
use crate::support::wait::{PATIENCE, wait_until};

for_each_program! {
    options_of_the_process_change_and_survive_a_restart,
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
