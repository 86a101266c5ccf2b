//! Replies, byte by byte as redis-sentinel gives them (where it has the command).

use super::*;

const HELLO_TAIL: &str = "$4\r\nmode\r\n$8\r\nsentinel\r\n$7\r\nmodules\r\n*0\r\n";

fn hello(head: &str, proto: i64, id: u64) -> String {
    format!(
        "{head}\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$5\r\n7.2.4\r\n$5\r\nproto\r\n:{proto}\r\n$2\r\nid\r\n:{id}\r\n{HELLO_TAIL}"
    )
}

async fn session(server: &Server, steps: &[(&str, &str)]) {
    let mut client = server.client().await;
    for (request, expected) in steps {
        client.ask(request, expected).await;
    }
}

#[tokio::test]
async fn simple_commands() {
    let server = Server::start().await;
    session(
        &server,
        &[
            ("PING", "+PONG\r\n"),
            ("ping hi", "$2\r\nhi\r\n"),
            ("PING a b", "-ERR wrong number of arguments for 'ping' command\r\n"),
            ("ROLE", "*2\r\n$8\r\nsentinel\r\n*1\r\n$8\r\nmymaster\r\n"),
            ("sentinel get-master-addr-by-name mymaster", "*2\r\n$9\r\n127.0.0.1\r\n$4\r\n6379\r\n"),
            ("SENTINEL GET-MASTER-ADDR-BY-NAME nope", "*-1\r\n"),
            ("SENTINEL MASTER nope", "-ERR No such master with that name\r\n"),
            ("SENTINEL MASTERS", "*1\r\n*4\r\n$4\r\nname\r\n$8\r\nmymaster\r\n$4\r\nport\r\n$4\r\n6379\r\n"),
            ("SENTINEL MYID", "$40\r\n0123456789012345678901234567890123456789\r\n"),
            ("SENTINEL RESET *", ":1\r\n"),
            ("SENTINEL", "-ERR wrong number of arguments for 'sentinel' command\r\n"),
            ("SENTINEL foo", "-ERR unknown subcommand 'foo'. Try SENTINEL HELP.\r\n"),
            ("SELECT 0", "-ERR unknown command 'SELECT', with args beginning with: '0' \r\n"),
            ("PUBLISH a b", "-ERR Only HELLO messages are accepted by Sentinel instances.\r\n"),
            ("PUBLISH __sentinel__:hello x", ":1\r\n"),
            ("AUTH default x", "+OK\r\n"),
            ("AUTH nobody x", "-WRONGPASS invalid username-password pair or user is disabled.\r\n"),
            (
                "AUTH x",
                "-ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?\r\n",
            ),
            ("ACL WHOAMI", "$7\r\ndefault\r\n"),
            ("COMMAND COUNT", ":15\r\n"),
            ("INFO replication", "$0\r\n\r\n"),
            ("SHUTDOWN ABORT", "-ERR No shutdown in progress.\r\n"),
        ],
    )
    .await;
}

#[tokio::test]
async fn client_commands() {
    let server = Server::start().await;
    session(
        &server,
        &[
            ("CLIENT ID", ":1\r\n"),
            ("CLIENT GETNAME", "$-1\r\n"),
            ("CLIENT SETNAME x", "+OK\r\n"),
            ("CLIENT GETNAME", "$1\r\nx\r\n"),
            ("CLIENT SETNAME \"\"", "+OK\r\n"),
            ("CLIENT GETNAME", "$-1\r\n"),
            ("CLIENT SETINFO LIB-NAME lib", "+OK\r\n"),
            ("CLIENT NO-EVICT ON", "+OK\r\n"),
            ("CLIENT NO-TOUCH ON", "-ERR unknown subcommand 'NO-TOUCH'. Try CLIENT HELP.\r\n"),
            ("CLIENT TRACKING ON OPTIN", "+OK\r\n"),
            ("CLIENT GETREDIR", ":0\r\n"),
            ("CLIENT UNBLOCK 1", ":0\r\n"),
            ("CLIENT KILL 1.2.3.4:5", "-ERR No such client\r\n"),
            ("CLIENT KILL ID 9999", ":0\r\n"),
            ("CLIENT KILL USER nobody", "-ERR No such user 'nobody'\r\n"),
            ("CLIENT LIST TYPE pubsub", "$0\r\n\r\n"),
            ("CLIENT LIST ID 99", "$0\r\n\r\n"),
            ("CLIENT REPLY ON", "+OK\r\n"),
            ("CLIENT REPLY SKIP\r\nPING\r\nPING a", "$1\r\na\r\n"),
            (
                "CLIENT REPLY OFF\r\nPING\r\nCLIENT REPLY SKIP\r\nPING\r\nCLIENT REPLY ON\r\nPING",
                "+OK\r\n+PONG\r\n",
            ),
            ("CLIENT REPLY SKIP\r\nSENTINEL MASTER x\r\nPING", "+PONG\r\n"),
            ("CLIENT KILL USER default SKIPME no", ":1\r\n"),
        ],
    )
    .await;
}

#[tokio::test]
async fn hello_in_all_forms() {
    let server = Server::start().await;
    session(
        &server,
        &[
            ("HELLO", &hello("*12", 2, 1)),
            ("HELLO 4", "-NOPROTO unsupported protocol version\r\n"),
            ("HELLO x", "-ERR Protocol version is not an integer or out of range\r\n"),
            ("HELLO 3 FOO", "-ERR Syntax error in HELLO option 'FOO'\r\n"),
            ("HELLO 3 AUTH nobody x", "-WRONGPASS invalid username-password pair or user is disabled.\r\n"),
            ("CLIENT GETNAME", "$-1\r\n"),
            ("hello 3 AUTH default x SETNAME n", &hello("%6", 3, 1)),
            ("CLIENT GETNAME", "$1\r\nn\r\n"),
            ("SENTINEL GET-MASTER-ADDR-BY-NAME nope", "_\r\n"),
            (
                "SENTINEL MASTER mymaster",
                "%2\r\n$4\r\nname\r\n$8\r\nmymaster\r\n$4\r\nport\r\n$4\r\n6379\r\n",
            ),
            ("INFO nothing", "$0\r\n\r\n"),
            ("HELLO 2", &hello("*12", 2, 1)),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_password_is_wanted_in_stocks_order_of_errors() {
    let server = Server::with(|settings| {
        settings.acl.set_user(b"default", &[">secret"]).unwrap();
    })
    .await;
    let noauth = "-NOAUTH Authentication required.\r\n";
    let hello_noauth = format!("-{}\r\n", super::super::auth::HELLO_NOAUTH);
    session(
        &server,
        &[
            ("PING", noauth),
            ("FOO x", "-ERR unknown command 'FOO', with args beginning with: 'x' \r\n"),
            ("SENTINEL foo", "-ERR unknown subcommand 'foo'. Try SENTINEL HELP.\r\n"),
            ("SENTINEL master", "-ERR wrong number of arguments for 'sentinel|master' command\r\n"),
            ("SENTINEL masters", noauth),
            ("CLIENT KILL a b c", noauth),
            ("SUBSCRIBE x", noauth),
            ("HELLO 3", &hello_noauth),
            ("HELLO 4", "-NOPROTO unsupported protocol version\r\n"),
            ("AUTH", "-ERR wrong number of arguments for 'auth' command\r\n"),
            ("AUTH a b c", "-ERR syntax error\r\n"),
            ("AUTH bad", "-WRONGPASS invalid username-password pair or user is disabled.\r\n"),
            ("AUTH secret", "+OK\r\n"),
            ("AUTH bad", "-WRONGPASS invalid username-password pair or user is disabled.\r\n"),
            ("PING", "+PONG\r\n"),
            ("RESET", "+RESET\r\n"),
            ("PING", noauth),
            ("QUIT", "+OK\r\n"),
        ],
    )
    .await;
}

#[tokio::test]
async fn subscribe_state_in_resp2() {
    let server = Server::start().await;
    let context = |name: &str| {
        format!(
            "-ERR Can't execute '{name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context\r\n"
        )
    };
    session(
        &server,
        &[
            ("UNSUBSCRIBE", "*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n"),
            (
                "UNSUBSCRIBE a b",
                "*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:0\r\n*3\r\n$11\r\nunsubscribe\r\n$1\r\nb\r\n:0\r\n",
            ),
            (
                "SUBSCRIBE a b a",
                "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:2\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:2\r\n",
            ),
            ("PING", "*2\r\n$4\r\npong\r\n$0\r\n\r\n"),
            ("PING hi", "*2\r\n$4\r\npong\r\n$2\r\nhi\r\n"),
            ("ROLE", &context("role")),
            ("SENTINEL masters", &context("sentinel|masters")),
            ("HELLO 3", &context("hello")),
            ("SENTINEL master", "-ERR wrong number of arguments for 'sentinel|master' command\r\n"),
            ("PSUBSCRIBE x*", "*3\r\n$10\r\npsubscribe\r\n$2\r\nx*\r\n:3\r\n"),
            ("UNSUBSCRIBE zz", "*3\r\n$11\r\nunsubscribe\r\n$2\r\nzz\r\n:3\r\n"),
            (
                "UNSUBSCRIBE",
                "*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:2\r\n*3\r\n$11\r\nunsubscribe\r\n$1\r\nb\r\n:1\r\n",
            ),
            ("PUNSUBSCRIBE", "*3\r\n$12\r\npunsubscribe\r\n$2\r\nx*\r\n:0\r\n"),
            ("PING", "+PONG\r\n"),
        ],
    )
    .await;
}

#[tokio::test]
async fn what_rustis_and_rueidis_send() {
    let server = Server::start().await;
    let mut rustis = server.client().await;
    rustis.send("SUBSCRIBE 43 115 119 105 116 99 104 45 109 97 115 116 101 114\r\n").await;
    let mut replies = String::new();
    while replies.matches("subscribe\r\n").count() < 14 {
        replies.push_str(&rustis.some().await);
    }
    assert!(replies.ends_with("$3\r\n114\r\n:12\r\n"), "115 and 116 come twice: {replies}");

    let mut rueidis = server.client().await;
    rueidis.send("HELLO 3\r\nCLIENT TRACKING ON OPTIN\r\nCLIENT SETINFO LIB-NAME r\r\n").await;
    rueidis.expect(&format!("{}+OK\r\n+OK\r\n", hello("%6", 3, 2))).await;
    rueidis.send("UNSUBSCRIBE +sentinel +slave\r\nPING\r\nSUBSCRIBE +switch-master\r\n").await;
    rueidis
        .expect(">3\r\n$11\r\nunsubscribe\r\n$9\r\n+sentinel\r\n:0\r\n>3\r\n$11\r\nunsubscribe\r\n$6\r\n+slave\r\n:0\r\n+PONG\r\n>3\r\n$9\r\nsubscribe\r\n$14\r\n+switch-master\r\n:1\r\n")
        .await;
    server.hub.publish("+switch-master", "m 1 2 3 4");
    rueidis.expect(">3\r\n$7\r\nmessage\r\n$14\r\n+switch-master\r\n$9\r\nm 1 2 3 4\r\n").await;
    rueidis.ask("ROLE", "*2\r\n$8\r\nsentinel\r\n*1\r\n$8\r\nmymaster\r\n").await;
}

#[tokio::test]
async fn info_has_what_tools_look_for() {
    let server = Server::start().await;
    let mut client = server.client().await;
    client.send("INFO\r\n").await;
    let mut text = String::new();
    while !text.contains("sentinels=3\r\n") {
        text.push_str(&client.some().await);
    }
    for wanted in [
        "# Server\r\nredis_version:7.2.4\r\n",
        "\r\nredis_mode:sentinel\r\n",
        "\r\ntcp_port:26379\r\n",
        "\r\n\r\n# Clients\r\nconnected_clients:1\r\n",
        "\r\nmaxclients:10000\r\n",
        "\r\n\r\n# Stats\r\ntotal_connections_received:1\r\ntotal_commands_processed:1\r\n",
        "\r\n\r\n# CPU\r\nused_cpu_sys:",
        "\r\n\r\n# Sentinel\r\nsentinel_masters:1\r\nsentinel_tilt:0\r\nsentinel_tilt_since_seconds:-1\r\nsentinel_total_tilt:0\r\nsentinel_running_scripts:0\r\nsentinel_scripts_queue_length:0\r\nsentinel_simulate_failure_flags:0\r\nmaster0:name=mymaster,status=ok,address=127.0.0.1:6379,slaves=2,sentinels=3\r\n",
    ] {
        assert!(text.contains(wanted), "{wanted:?} in {text}");
    }
    for unwanted in ["used_memory", "rdb_last_bgsave", "master_repl_offset", "cluster_enabled"] {
        assert!(!text.contains(unwanted), "{unwanted}");
    }
}

#[tokio::test]
async fn set_tells_the_engine_what_may_not_be_executed() {
    let mut server = Server::start().await;
    session(&server, &[("SENTINEL SET mymaster notification-script /no/such quorum 2", "+OK\r\n")]).await;
    let Some(Command::Set { not_executable, args, .. }) = server.asked.recv().await else {
        panic!("not a SET");
    };
    assert_eq!(args.len(), 4);
    assert_eq!(not_executable.into_iter().collect::<Vec<_>>(), [Arc::from("/no/such")]);
}
