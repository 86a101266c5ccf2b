//! Shapes of replies in RESP2 and RESP3, with a master that nobody needs to reach.

use crate::support::resp::{Client, Value, ask};
use crate::support::sentinel::{Program, Sentinel};

for_each_program! {
    hello_negotiates_the_protocol,
    a_master_entry_has_its_fields_in_order,
    resp3_answers_with_maps,
    info_has_the_lines_that_tools_parse,
    runtime_settings_reach_the_config_file,
    host_names_are_shown_as_addresses,
}

/// Nobody listens there: port 1 of the loopback.
const CONFIG: &str = "bind 127.0.0.1\nsentinel monitor m 127.0.0.1 1 2\n";

fn hello_negotiates_the_protocol(program: Program) {
    let sentinel = Sentinel::start(program, "");
    let mut client = Client::connect(&sentinel.address()).expect("connect");

    let two = client.command(&["HELLO"]).unwrap();
    assert_eq!(two.items().len(), 12, "six pairs, flat: {two:?}");
    assert_eq!(two.field("proto").as_deref(), Some("2"));

    let three = client.command(&["hello", "3", "SETNAME", "me"]).unwrap();
    let Value::Map(pairs) = &three else { panic!("not a map: {three:?}") };
    let keys: Vec<String> = pairs.iter().map(|(key, _)| key.text()).collect();
    assert_eq!(keys, ["server", "version", "proto", "id", "mode", "modules"]);
    assert_eq!(three.field("server").as_deref(), Some("redis"));
    assert_eq!(three.field("proto").as_deref(), Some("3"));
    assert_eq!(three.field("mode").as_deref(), Some("sentinel"));
    assert_eq!(client.command(&["CLIENT", "GETNAME"]).unwrap().text(), "me");
    assert_eq!(client.command(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "x"]).unwrap(), Value::Null);

    let refused = client.command(&["HELLO", "2", "AUTH", "nobody", "x"]).unwrap();
    assert_eq!(refused.text(), "WRONGPASS invalid username-password pair or user is disabled.");
    let odd = client.command(&["HELLO", "3", "FOO"]).unwrap();
    assert_eq!(odd.text(), "ERR Syntax error in HELLO option 'FOO'");
}

fn a_master_entry_has_its_fields_in_order(program: Program) {
    let sentinel = Sentinel::start(program, CONFIG);
    let reply = sentinel.ask(&["SENTINEL", "MASTER", "m"]).unwrap();
    let names: Vec<String> = reply.items().chunks(2).map(|pair| pair[0].text()).collect();
    let always: Vec<&str> =
        names.iter().map(String::as_str).filter(|name| !name.ends_with("-down-time")).collect();
    assert_eq!(
        always,
        [
            "name",
            "ip",
            "port",
            "runid",
            "flags",
            "link-pending-commands",
            "link-refcount",
            "last-ping-sent",
            "last-ok-ping-reply",
            "last-ping-reply",
            "down-after-milliseconds",
            "info-refresh",
            "role-reported",
            "role-reported-time",
            "config-epoch",
            "num-slaves",
            "num-other-sentinels",
            "quorum",
            "failover-timeout",
            "parallel-syncs",
        ]
    );
    assert!(
        reply.items().iter().all(|item| matches!(item, Value::Bulk(_))),
        "every value is a bulk: {reply:?}"
    );
    assert_eq!(reply.field("quorum").as_deref(), Some("2"));
    assert_eq!(reply.field("down-after-milliseconds").as_deref(), Some("30000"));
    assert_eq!(reply.field("failover-timeout").as_deref(), Some("180000"));
    let address = sentinel.ask(&["SENTINEL", "get-master-addr-by-name", "m"]).unwrap();
    assert_eq!(address, Value::Array(vec![Value::Bulk("127.0.0.1".into()), Value::Bulk("1".into())]));
}

fn resp3_answers_with_maps(program: Program) {
    let sentinel = Sentinel::start(program, CONFIG);
    let mut client = Client::connect(&sentinel.address()).expect("connect");
    client.command(&["HELLO", "3"]).unwrap();

    assert!(matches!(client.command(&["SENTINEL", "MASTER", "m"]).unwrap(), Value::Map(_)));
    let masters = client.command(&["SENTINEL", "MASTERS"]).unwrap();
    assert!(matches!(masters.items(), [Value::Map(_)]), "{masters:?}");
    assert!(matches!(client.command(&["INFO"]).unwrap(), Value::Bulk(_)));
    assert!(matches!(client.command(&["CLIENT", "LIST"]).unwrap(), Value::Verbatim(_)));
    let role = client.command(&["ROLE"]).unwrap();
    assert_eq!(role.items()[1], Value::Array(vec![Value::Bulk("m".into())]));
}

fn info_has_the_lines_that_tools_parse(program: Program) {
    let sentinel = Sentinel::start(program, CONFIG);
    let info = sentinel.ask(&["INFO"]).unwrap().text();
    for line in [
        "redis_mode:sentinel\r\n",
        &format!("tcp_port:{}\r\n", sentinel.port),
        "# Sentinel\r\nsentinel_masters:1\r\nsentinel_tilt:0\r\n",
        "sentinel_running_scripts:0\r\nsentinel_scripts_queue_length:0\r\n",
        "master0:name=m,status=ok,address=127.0.0.1:1,slaves=0,sentinels=1",
    ] {
        assert!(info.contains(line), "no {line:?} in INFO:\n{info}");
    }
    let section = sentinel.ask(&["INFO", "SENTINEL", "replication"]).unwrap().text();
    assert!(section.starts_with("# Sentinel\r\n"), "{section}");
}

fn runtime_settings_reach_the_config_file(program: Program) {
    let sentinel = Sentinel::start(program, "bind 127.0.0.1\n# a comment of the operator\n");
    let say = |words: &[&str]| ask(&sentinel.address(), words).unwrap().text();

    assert_eq!(say(&["SENTINEL", "MONITOR", "m", "127.0.0.1", "1", "2"]), "OK");
    let twice = say(&["SENTINEL", "MONITOR", "m", "127.0.0.1", "1", "2"]);
    assert_eq!(twice, "ERR Duplicate master name.");
    assert_eq!(say(&["SENTINEL", "SET", "m", "down-after-milliseconds", "1234", "quorum", "3"]), "OK");
    let bad = say(&["SENTINEL", "SET", "m", "quorum", "0"]);
    assert_eq!(bad, "ERR Invalid argument '0' for SENTINEL SET 'quorum'");

    let id = say(&["SENTINEL", "MYID"]);
    let config = sentinel.config();
    for line in [
        "# a comment of the operator",
        "sentinel monitor m 127.0.0.1 1 3",
        "sentinel down-after-milliseconds m 1234",
        "sentinel config-epoch m 0",
        "sentinel leader-epoch m 0",
        "sentinel current-epoch 0",
        &format!("sentinel myid {id}"),
    ] {
        assert!(config.lines().any(|found| found == line), "no {line:?} in\n{config}");
    }
    assert_eq!(say(&["SENTINEL", "REMOVE", "m"]), "OK");
    assert!(!sentinel.config().contains("sentinel monitor"), "{}", sentinel.config());
}

fn host_names_are_shown_as_addresses(program: Program) {
    let names = "bind 127.0.0.1\nsentinel resolve-hostnames yes\nsentinel monitor m localhost 1 1\n";
    let sentinel = Sentinel::start(program, names);
    assert_eq!(sentinel.ask(&["SENTINEL", "MONITOR", "n", "localhost", "2", "1"]).unwrap().text(), "OK");
    for name in ["m", "n"] {
        let addr = sentinel.ask(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", name]).unwrap();
        let host = addr.items()[0].text();
        assert!(host.parse::<std::net::IpAddr>().is_ok(), "{name} is at {host}");
    }
    let refused = sentinel.ask(&["SENTINEL", "MONITOR", "o", "no-such-host.invalid", "2", "1"]).unwrap();
    assert_eq!(refused.text(), "ERR Invalid IP address or hostname specified");
}
