//! Framing: inline commands, pipelines, limits, and what closes a connection.

use crate::support::resp::{Client, encode};
use crate::support::sentinel::{Program, Sentinel};

for_each_program! {
    exact_replies_to_raw_bytes,
    a_protocol_error_is_answered_and_closes_the_connection,
    a_request_in_pieces_is_put_together,
    a_long_pipeline_is_answered_in_order,
    a_request_of_http_is_closed_without_an_answer,
    before_a_password_requests_are_short,
}

/// (sent, received) on one connection each.
const EXACT: &[(&str, &str)] = &[
    ("PING\r\n", "+PONG\r\n"),
    ("PING\n", "+PONG\r\n"),
    ("\r\n\r\nping\r\n", "+PONG\r\n"),
    ("PING \"a b\"\r\n", "$3\r\na b\r\n"),
    ("ping 'it\\'s'\r\n", "$4\r\nit's\r\n"),
    ("PING \"\\x41\\n\"\r\n", "$2\r\nA\n\r\n"),
    ("*1\r\n$4\r\nPING\r\n", "+PONG\r\n"),
    ("*2\r\n$4\r\nPiNg\r\n$0\r\n\r\n", "$0\r\n\r\n"),
    ("*0\r\n*-1\r\n*1\r\n$4\r\nPING\r\n", "+PONG\r\n"),
    ("PING\r\nPING\r\nPING x\r\n", "+PONG\r\n+PONG\r\n$1\r\nx\r\n"),
    ("PING a b\r\n", "-ERR wrong number of arguments for 'ping' command\r\n"),
    ("GET\r\n", "-ERR unknown command 'GET', with args beginning with: \r\n"),
    ("SELECT 0\r\n", "-ERR unknown command 'SELECT', with args beginning with: '0' \r\n"),
    ("get a b\r\n", "-ERR unknown command 'get', with args beginning with: 'a' 'b' \r\n"),
    ("SENTINEL\r\n", "-ERR wrong number of arguments for 'sentinel' command\r\n"),
    ("SENTINEL MASTER\r\n", "-ERR wrong number of arguments for 'sentinel|master' command\r\n"),
    ("sentinel foo\r\n", "-ERR unknown subcommand 'foo'. Try SENTINEL HELP.\r\n"),
    ("SENTINEL MASTERS\r\n", "*0\r\n"),
    ("SENTINEL MASTER none\r\n", "-ERR No such master with that name\r\n"),
    ("SENTINEL REPLICAS none\r\n", "-ERR No such master with that name\r\n"),
    ("SENTINEL SLAVES none\r\n", "-ERR No such master with that name\r\n"),
    ("SENTINEL SENTINELS none\r\n", "-ERR No such master with that name\r\n"),
    ("SENTINEL CKQUORUM none\r\n", "-ERR No such master with that name\r\n"),
    ("SENTINEL FAILOVER none\r\n", "-ERR No such master with that name\r\n"),
    ("SENTINEL REMOVE none\r\n", "-ERR No such master with that name\r\n"),
    ("SENTINEL SET none quorum 1\r\n", "-ERR No such master with that name\r\n"),
    ("SENTINEL RESET none\r\n", ":0\r\n"),
    ("SENTINEL GET-MASTER-ADDR-BY-NAME none\r\n", "*-1\r\n"),
    ("SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 1 0 *\r\n", "*3\r\n:0\r\n$1\r\n*\r\n:0\r\n"),
    (
        "SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 x 0 *\r\n",
        "-ERR value is not an integer or out of range\r\n",
    ),
    ("ROLE\r\n", "*2\r\n$8\r\nsentinel\r\n*0\r\n"),
    ("PUBLISH other x\r\n", "-ERR Only HELLO messages are accepted by Sentinel instances.\r\n"),
    ("CLIENT GETNAME\r\n", "$-1\r\n"),
    ("CLIENT SETNAME me\r\nCLIENT GETNAME\r\n", "+OK\r\n$2\r\nme\r\n"),
    (
        "CLIENT SETNAME \"a b\"\r\n",
        "-ERR Client names cannot contain spaces, newlines or special characters.\r\n",
    ),
    ("INFO nonsense\r\n", "$0\r\n\r\n"),
    (
        "AUTH x\r\n",
        "-ERR AUTH <password> called without any password configured for the default user. \
         Are you sure your configuration is correct?\r\n",
    ),
    ("AUTH default x\r\n", "+OK\r\n"),
    ("AUTH nobody x\r\n", "-WRONGPASS invalid username-password pair or user is disabled.\r\n"),
    ("HELLO 4\r\n", "-NOPROTO unsupported protocol version\r\n"),
    ("HELLO x\r\n", "-ERR Protocol version is not an integer or out of range\r\n"),
    ("SENTINEL MONITOR a 127.0.0.1 1 x\r\n", "-ERR Invalid quorum\r\n"),
    ("SENTINEL MONITOR a 127.0.0.1 x 1\r\n", "-ERR Invalid port\r\n"),
    ("SENTINEL MONITOR a 127.0.0.1 1 0\r\n", "-ERR Quorum must be 1 or greater.\r\n"),
    (
        "SENTINEL MONITOR short 127.1 1 1\r\nSENTINEL GET-MASTER-ADDR-BY-NAME short\r\n",
        "+OK\r\n*2\r\n$9\r\n127.0.0.1\r\n$1\r\n1\r\n",
    ),
    ("SENTINEL MONITOR a not-an-ip 1 1\r\n", "-ERR Invalid IP address or hostname specified\r\n"),
    ("SENTINEL MONITOR a 127.0.0.1 65536 1\r\n", "-ERR Invalid port number.\r\n"),
    ("SHUTDOWN FOO\r\n", "-ERR syntax error\r\n"),
    ("SHUTDOWN ABORT\r\n", "-ERR No shutdown in progress.\r\n"),
];

fn exact_replies_to_raw_bytes(program: Program) {
    let sentinel = Sentinel::start(program, "");
    for (sent, expected) in EXACT {
        let mut client = Client::connect(&sentinel.address()).expect("connect");
        client.send(sent.as_bytes()).expect("send");
        let received = client.read_bytes(expected.len()).unwrap_or_default();
        assert_eq!(String::from_utf8_lossy(&received), *expected, "reply to {sent:?}");
        // Nothing may follow: the next reply starts where the last one ended.
        assert_eq!(client.command(&["PING", "fence"]).expect("a reply").text(), "fence", "after {sent:?}");
    }
}

fn a_protocol_error_is_answered_and_closes_the_connection(program: Program) {
    let sentinel = Sentinel::start(program, "");
    let long = "x".repeat(70_000);
    let table = [
        ("*x\r\n", "-ERR Protocol error: invalid multibulk length\r\n"),
        ("*2147483648\r\n", "-ERR Protocol error: invalid multibulk length\r\n"),
        ("*1\r\n:1\r\n", "-ERR Protocol error: expected '$', got ':'\r\n"),
        ("*1\r\n$-1\r\n", "-ERR Protocol error: invalid bulk length\r\n"),
        ("*1\r\n$x\r\n", "-ERR Protocol error: invalid bulk length\r\n"),
        ("*1\r\n$536870913\r\n", "-ERR Protocol error: invalid bulk length\r\n"),
        ("PING \"a\r\n", "-ERR Protocol error: unbalanced quotes in request\r\n"),
        (long.as_str(), "-ERR Protocol error: too big inline request\r\n"),
        ("PING\r\n*x\r\nPING\r\n", "+PONG\r\n-ERR Protocol error: invalid multibulk length\r\n"),
    ];
    for (sent, expected) in table {
        let mut client = Client::connect(&sentinel.address()).expect("connect");
        client.send(sent.as_bytes()).expect("send");
        let received = client.read_to_close().expect("the connection is closed");
        assert_eq!(
            String::from_utf8_lossy(&received),
            expected,
            "reply to {:?}",
            &sent[..sent.len().min(40)]
        );
    }
}

fn a_request_in_pieces_is_put_together(program: Program) {
    let sentinel = Sentinel::start(program, "");
    let mut client = Client::connect(&sentinel.address()).expect("connect");
    for byte in encode(&["PING", "in pieces"]) {
        client.send(&[byte]).expect("send");
    }
    assert_eq!(client.read().expect("a reply").text(), "in pieces");
}

fn a_long_pipeline_is_answered_in_order(program: Program) {
    let sentinel = Sentinel::start(program, "");
    let mut client = Client::connect(&sentinel.address()).expect("connect");
    let words: Vec<String> = (0..2_000).map(|i| format!("{i}")).collect();
    let bytes: Vec<u8> = words.iter().flat_map(|word| encode(&["PING", word])).collect();
    client.send(&bytes).expect("send");
    for word in &words {
        assert_eq!(client.read().expect("a reply").text(), *word);
    }
}

fn a_request_of_http_is_closed_without_an_answer(program: Program) {
    let sentinel = Sentinel::start(program, "");
    for sent in ["POST / HTTP/1.1\r\n", "Host: example.com\r\n"] {
        let mut client = Client::connect(&sentinel.address()).expect("connect");
        client.send(sent.as_bytes()).expect("send");
        assert_eq!(client.read_to_close().expect("closed"), b"", "{sent:?}");
    }
}

fn before_a_password_requests_are_short(program: Program) {
    let sentinel = Sentinel::start(program, "requirepass secret\n");
    let table = [
        ("*11\r\n", "-ERR Protocol error: unauthenticated multibulk length\r\n"),
        ("*1\r\n$16385\r\n", "-ERR Protocol error: unauthenticated bulk length\r\n"),
    ];
    for (sent, expected) in table {
        let mut client = Client::connect(&sentinel.address()).expect("connect");
        client.send(sent.as_bytes()).expect("send");
        let received = client.read_to_close().expect("closed");
        assert_eq!(String::from_utf8_lossy(&received), expected);
    }
    let mut client = Client::connect(&sentinel.address()).expect("connect");
    assert_eq!(client.command(&["PING"]).unwrap().text(), "NOAUTH Authentication required.");
    let wrong = "WRONGPASS invalid username-password pair or user is disabled.";
    assert_eq!(client.command(&["AUTH", "x"]).unwrap().text(), wrong);
    assert_eq!(client.command(&["AUTH", "secret"]).unwrap().text(), "OK");
    assert_eq!(client.command(&["PING"]).unwrap().text(), "PONG");
}
