//! Subscriptions: confirmations, what a subscriber may say, and events.

use std::time::Duration;

use crate::support::resp::{Client, Value};
use crate::support::sentinel::{Program, Sentinel};

for_each_program! {
    resp2_subscribers_are_limited_to_their_commands,
    resp3_subscribers_go_on_asking,
    an_event_reaches_channels_and_patterns,
}

fn subscriber(sentinel: &Sentinel) -> Client {
    let mut client = Client::connect(&sentinel.address()).expect("connect");
    client.set_read_timeout(Duration::from_secs(60)).expect("socket option");
    client
}

fn resp2_subscribers_are_limited_to_their_commands(program: Program) {
    let sentinel = Sentinel::start(program, "");
    let mut client = subscriber(&sentinel);
    client.send(b"SUBSCRIBE a b\r\nPSUBSCRIBE *\r\nPING\r\nPING x\r\nROLE\r\nUNSUBSCRIBE a\r\n").unwrap();
    let expected = "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:2\r\n\
        *3\r\n$10\r\npsubscribe\r\n$1\r\n*\r\n:3\r\n*2\r\n$4\r\npong\r\n$0\r\n\r\n*2\r\n$4\r\npong\r\n$1\r\nx\r\n\
        -ERR Can't execute 'role': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed \
        in this context\r\n*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:2\r\n";
    let received = client.read_bytes(expected.len()).unwrap();
    assert_eq!(String::from_utf8_lossy(&received), expected);

    client.send(b"UNSUBSCRIBE\r\nPUNSUBSCRIBE\r\nUNSUBSCRIBE\r\nPING\r\n").unwrap();
    let expected = "*3\r\n$11\r\nunsubscribe\r\n$1\r\nb\r\n:1\r\n*3\r\n$12\r\npunsubscribe\r\n$1\r\n*\r\n:0\r\n\
        *3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n+PONG\r\n";
    let received = client.read_bytes(expected.len()).unwrap();
    assert_eq!(String::from_utf8_lossy(&received), expected);
}

fn resp3_subscribers_go_on_asking(program: Program) {
    let sentinel = Sentinel::start(program, "");
    let mut client = subscriber(&sentinel);
    client.command(&["HELLO", "3"]).unwrap();
    client
        .send(b"UNSUBSCRIBE +sentinel +slave\r\nPING\r\nSUBSCRIBE +switch-master\r\nROLE\r\nPING\r\n")
        .unwrap();
    let expected = ">3\r\n$11\r\nunsubscribe\r\n$9\r\n+sentinel\r\n:0\r\n>3\r\n$11\r\nunsubscribe\r\n$6\r\n+slave\r\n:0\r\n\
        +PONG\r\n>3\r\n$9\r\nsubscribe\r\n$14\r\n+switch-master\r\n:1\r\n*2\r\n$8\r\nsentinel\r\n*0\r\n+PONG\r\n";
    let received = client.read_bytes(expected.len()).unwrap();
    assert_eq!(String::from_utf8_lossy(&received), expected);
}

fn an_event_reaches_channels_and_patterns(program: Program) {
    let sentinel = Sentinel::start(program, "");
    let mut both = subscriber(&sentinel);
    both.command(&["SUBSCRIBE", "+monitor"]).unwrap();
    both.command(&["PSUBSCRIBE", "[-+]mon*"]).unwrap();
    let mut three = subscriber(&sentinel);
    three.command(&["HELLO", "3"]).unwrap();
    three.command(&["PSUBSCRIBE", "*"]).unwrap();

    assert_eq!(sentinel.ask(&["SENTINEL", "MONITOR", "m", "127.0.0.1", "1", "2"]).unwrap().text(), "OK");

    let payload = "master m 127.0.0.1 1 quorum 2";
    let words = |value: Value| value.items().iter().map(Value::text).collect::<Vec<_>>();
    assert_eq!(words(both.read().unwrap()), ["message", "+monitor", payload]);
    assert_eq!(words(both.read().unwrap()), ["pmessage", "[-+]mon*", "+monitor", payload]);
    let push = three.read().unwrap();
    assert!(matches!(push, Value::Push(_)), "{push:?}");
    assert_eq!(words(push), ["pmessage", "*", "+monitor", payload]);
}
