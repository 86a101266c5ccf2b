//! The figures of INFO are counted, not made up.

use std::time::Duration;

use crate::support::resp::{Client, Value, encode};
use crate::support::sentinel::{Program, Sentinel};
use crate::support::wait::{PATIENCE, wait_until};

for_each_program! {
    commands_and_errors_are_counted,
    bytes_and_connections_are_counted,
    clients_are_counted_by_what_they_do,
    rates_rise_and_fall,
    the_largest_request_is_remembered_for_a_while,
}

const CONFIG: &str = "bind 127.0.0.1\nsentinel monitor m 127.0.0.1 1 2\n";

/// The number behind `name:` in INFO, asked on this connection.
fn figure(client: &mut Client, name: &str) -> f64 {
    let info = client.command(&["INFO"]).expect("INFO").text();
    let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {name} in {info}")).parse().expect("a number")
}

fn client(sentinel: &Sentinel) -> Client {
    Client::connect(&sentinel.address()).expect("a connection")
}

fn commands_and_errors_are_counted(program: Program) {
    let sentinel = Sentinel::start(program, CONFIG);
    let mut client = client(&sentinel);
    let names = ["total_commands_processed", "total_error_replies"];
    let before = names.map(|name| figure(&mut client, name));
    for words in [
        &["PING"][..],
        &["NOSUCH"],
        &["CLIENT", "LIST", "TYPE", "foo"],
        &["SENTINEL", "MASTER"],
        &["SENTINEL", "MASTER", "none"],
        &["SENTINEL", "NOSUCH"],
        &["SENTINEL", "MASTERS"],
    ] {
        client.command(words).expect("a reply");
    }
    let after = names.map(|name| figure(&mut client, name));
    // What is no command, or has a wrong number of words, is not executed; INFO itself is.
    assert_eq!(after[0] - before[0], 4.0 + 2.0);
    assert_eq!(after[1] - before[1], 5.0);
}

fn bytes_and_connections_are_counted(program: Program) {
    let sentinel = Sentinel::start(program, CONFIG);
    let mut client = client(&sentinel);
    let names = ["total_net_input_bytes", "total_net_output_bytes", "total_connections_received"];
    let before = names.map(|name| figure(&mut client, name));
    client.command(&["PING", &"x".repeat(1_000)]).expect("a reply");
    let _other =
        Client::connect(&sentinel.address()).expect("a connection").command(&["PING"]).expect("PONG");
    let after = names.map(|name| figure(&mut client, name));
    // Each question, the INFO of all three before it included, is 14 bytes.
    let sent = encode(&["PING", &"x".repeat(1_000)]).len() + encode(&["PING"]).len();
    let asked = 3 * encode(&["INFO"]).len();
    assert_eq!(after[0] - before[0], (sent + asked) as f64);
    assert!(after[1] - before[1] > 1_000.0, "{before:?} {after:?}");
    assert_eq!(after[2] - before[2], 1.0);
}

fn clients_are_counted_by_what_they_do(program: Program) {
    let sentinel = Sentinel::start(program, CONFIG);
    let mut admin = client(&sentinel);
    let count = |admin: &mut Client| {
        ["connected_clients", "tracking_clients", "blocked_clients", "pubsub_channels", "pubsub_patterns"]
            .map(|name| figure(admin, name))
    };
    // The connection that found out that it answers may not be gone yet.
    wait_until("only we are there", PATIENCE, || count(&mut admin) == [1.0, 0.0, 0.0, 0.0, 0.0]);
    let mut tracking = client(&sentinel);
    assert_eq!(tracking.command(&["CLIENT", "TRACKING", "ON", "BCAST"]).expect("a reply").text(), "OK");
    let mut subscriber = client(&sentinel);
    subscriber.command(&["SUBSCRIBE", "a"]).expect("a confirmation");
    subscriber.command(&["PSUBSCRIBE", "b*"]).expect("a confirmation");
    assert_eq!(admin.command(&["CLIENT", "PAUSE", "60000", "WRITE"]).expect("a reply").text(), "OK");
    let mut held = client(&sentinel);
    held.send(&encode(&["PUBLISH", "__sentinel__:hello", "x"])).expect("sent");
    wait_until("the command is held", PATIENCE, || figure(&mut admin, "blocked_clients") == 1.0);
    assert_eq!(count(&mut admin), [4.0, 1.0, 1.0, 1.0, 1.0]);
    let list = admin.command(&["CLIENT", "LIST"]).expect("a list").text();
    assert!(list.contains("flags=b ") && list.contains("flags=tB ") && list.contains("flags=P "), "{list}");
    assert!(list.lines().any(|line| line.contains("flags=b ") && line.contains("cmd=publish")), "{list}");
    assert_eq!(admin.command(&["CLIENT", "UNPAUSE"]).expect("a reply").text(), "OK");
    assert_eq!(held.read().expect("the reply"), Value::Int(1));
    drop((tracking, subscriber, held));
    wait_until("they are gone", PATIENCE, || count(&mut admin) == [1.0, 0.0, 0.0, 0.0, 0.0]);
}

fn rates_rise_and_fall(program: Program) {
    let sentinel = Sentinel::start(program, CONFIG);
    let mut client = client(&sentinel);
    wait_until("a rate is seen", PATIENCE, || {
        for _ in 0..50 {
            client.command(&["PING", "some text"]).expect("a reply");
        }
        ["instantaneous_ops_per_sec", "instantaneous_input_kbps", "instantaneous_output_kbps"]
            .iter()
            .all(|name| figure(&mut client, name) > 0.5)
    });
    // At most the asking itself is left when the burst is over.
    wait_until("the burst is forgotten", PATIENCE, || {
        std::thread::sleep(Duration::from_millis(400));
        figure(&mut client, "instantaneous_ops_per_sec") < 5.0
    });
}

fn the_largest_request_is_remembered_for_a_while(program: Program) {
    let sentinel = Sentinel::start(program, CONFIG);
    let (mut admin, mut slow) = (client(&sentinel), client(&sentinel));
    // A request of which the end has not come.
    slow.send(b"*2\r\n$4\r\nPING\r\n$200000\r\n").expect("sent");
    slow.send(&[b'x'; 100_000]).expect("sent");
    let name = "client_recent_max_input_buffer";
    wait_until("it is seen", PATIENCE, || figure(&mut admin, name) > 50_000.0);
    slow.send(&[b'x'; 100_000]).expect("sent");
    slow.send(b"\r\n").expect("sent");
    assert_eq!(slow.read().expect("the reply").text().len(), 200_000);
    wait_until("it is forgotten", PATIENCE, || {
        std::thread::sleep(Duration::from_millis(300));
        figure(&mut admin, name) < 50_000.0
    });
}

#[test]
fn a_master_can_be_told_to_forget_a_sentinel() {
    let sentinel = Sentinel::start(Program::Vigia, CONFIG);
    let id = "8".repeat(40);
    let hello = format!("127.0.0.1,1,{id},0,m,127.0.0.1,1,0");
    sentinel.ask(&["PUBLISH", "__sentinel__:hello", &hello]).expect("a reply");
    let reply = |words: &[&str]| sentinel.ask(words).expect("a reply").text();
    let quorum = || reply(&["SENTINEL", "CKQUORUM", "m"]);
    assert!(quorum().starts_with("OK 2 usable Sentinels."), "{}", quorum());
    assert_eq!(reply(&["SENTINEL", "FORGET", "m", "nobody"]), "ERR No such Sentinel with that id");
    assert_eq!(reply(&["SENTINEL", "FORGET", "x", &id]), "ERR No such master with that name");
    assert_eq!(
        reply(&["SENTINEL", "FORGET", "m"]),
        "ERR wrong number of arguments for 'sentinel|forget' command"
    );
    wait_until("the hello is saved", PATIENCE, || sentinel.config().contains(&id));
    assert_eq!(reply(&["sentinel", "forget", "m", &id]), "OK");
    assert!(!sentinel.config().contains(&id), "durable before +OK");
    let beside = std::fs::read_to_string(format!("{}.vigia", sentinel.config_path().display()));
    assert!(!beside.expect("the file beside it").contains(&id));
    assert!(quorum().starts_with("NOQUORUM 1 usable Sentinels."), "{}", quorum());

    sentinel.ask(&["PUBLISH", "__sentinel__:hello", &hello]).expect("a reply");
    assert_eq!(reply(&["SENTINEL", "RESET", "*"]), "1");
    let beside =
        || std::fs::read_to_string(format!("{}.vigia", sentinel.config_path().display())).expect("text");
    wait_until("RESET keeps the voters", PATIENCE, || {
        beside().contains(&id) && !sentinel.config().contains(&id)
    });
    assert_eq!(reply(&["SENTINEL", "RESET", "*", "force"]), "1");
    assert!(!beside().contains(&id), "durable before the answer");
    let error = "ERR wrong number of arguments for 'sentinel|reset' command";
    assert_eq!(reply(&["SENTINEL", "RESET", "*", "now"]), error);
}
