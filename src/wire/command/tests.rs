//! Tables of commands and their errors; the texts were watched on redis-sentinel 7.0.15.

use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::engine::{Command, MasterName, RunId};
use crate::wire::{Proto, Value};

/// Words of a line; `''` is an empty word, `_` inside a word a blank.
fn words(line: &str) -> Vec<Bytes> {
    let word = |word: &str| match word {
        "''" => Bytes::new(),
        word => Bytes::from(word.replace('_', " ")),
    };
    line.split(' ').map(word).collect()
}

fn command(line: &str) -> ClientCommand {
    parse(&words(line)).unwrap_or_else(|error| panic!("{line}: {error}")).command
}

fn sentinel(line: &str) -> SentinelCommand {
    let ClientCommand::Sentinel(command) = command(line) else { panic!("{line}") };
    command
}

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

/// The error, and whether it is reported before authentication.
fn error(line: &str) -> (String, bool) {
    let error = parse(&words(line)).expect_err(line);
    (error.to_string(), error.spec.is_none())
}

#[test]
fn unknown_commands_and_wrong_counts_come_before_authentication() {
    for (line, expected) in [
        ("FOO", "ERR unknown command 'FOO', with args beginning with: "),
        ("FOO a b", "ERR unknown command 'FOO', with args beginning with: 'a' 'b' "),
        ("''", "ERR unknown command '', with args beginning with: "),
        ("GET / HTTP/1.1", "ERR unknown command 'GET', with args beginning with: '/' 'HTTP/1.1' "),
        ("SELECT 0", "ERR unknown command 'SELECT', with args beginning with: '0' "),
        ("sentinel|master x", "ERR unknown command 'sentinel|master', with args beginning with: 'x' "),
        ("SENTINEL", "ERR wrong number of arguments for 'sentinel' command"),
        ("SENTINEL FOO", "ERR unknown subcommand 'FOO'. Try SENTINEL HELP."),
        ("sentinel Foo a", "ERR unknown subcommand 'Foo'. Try SENTINEL HELP."),
        ("SENTINEL MASTER", "ERR wrong number of arguments for 'sentinel|master' command"),
        ("SENTINEL MASTER x y", "ERR wrong number of arguments for 'sentinel|master' command"),
        ("SENTINEL SET a b", "ERR wrong number of arguments for 'sentinel|set' command"),
        ("SENTINEL CONFIG GET", "ERR wrong number of arguments for 'sentinel|config' command"),
        ("SENTINEL INFO-CACHE", "ERR wrong number of arguments for 'sentinel|info-cache' command"),
        ("SENTINEL HELP x", "ERR wrong number of arguments for 'sentinel|help' command"),
        ("CLIENT", "ERR wrong number of arguments for 'client' command"),
        ("CLIENT NO-TOUCH on", "ERR unknown subcommand 'NO-TOUCH'. Try CLIENT HELP."),
        ("CLIENT ID x", "ERR wrong number of arguments for 'client|id' command"),
        ("CLIENT CACHING", "ERR wrong number of arguments for 'client|caching' command"),
        ("COMMAND FOO", "ERR unknown subcommand 'FOO'. Try COMMAND HELP."),
        ("COMMAND COUNT x", "ERR wrong number of arguments for 'command|count' command"),
        ("COMMAND GETKEYS", "ERR wrong number of arguments for 'command|getkeys' command"),
        ("ACL", "ERR wrong number of arguments for 'acl' command"),
        ("ACL FOO", "ERR unknown subcommand 'FOO'. Try ACL HELP."),
        ("AUTH", "ERR wrong number of arguments for 'auth' command"),
        ("ROLE x", "ERR wrong number of arguments for 'role' command"),
        ("SUBSCRIBE", "ERR wrong number of arguments for 'subscribe' command"),
        ("PUBLISH a", "ERR wrong number of arguments for 'publish' command"),
    ] {
        assert_eq!(error(line), (expected.to_owned(), true), "{line}");
    }
}

#[test]
fn option_errors_come_after_it() {
    for (line, expected) in [
        ("PING a b", "ERR wrong number of arguments for 'ping' command"),
        ("HELLO 4", "NOPROTO unsupported protocol version"),
        ("HELLO -3", "NOPROTO unsupported protocol version"),
        ("HELLO x", "ERR Protocol version is not an integer or out of range"),
        ("HELLO 03", "ERR Protocol version is not an integer or out of range"),
        ("HELLO AUTH default x", "ERR Protocol version is not an integer or out of range"),
        ("HELLO 3 FOO", "ERR Syntax error in HELLO option 'FOO'"),
        ("HELLO 3 SETNAME", "ERR Syntax error in HELLO option 'SETNAME'"),
        ("HELLO 2 AUTH x", "ERR Syntax error in HELLO option 'AUTH'"),
        ("HELLO 2 SETNAME a_b", "ERR Client names cannot contain spaces, newlines or special characters."),
        ("AUTH a b c", "ERR syntax error"),
        ("SHUTDOWN FOO", "ERR syntax error"),
        ("SHUTDOWN SAVE NOSAVE", "ERR syntax error"),
        ("SHUTDOWN ABORT NOW", "ERR syntax error"),
        ("COMMAND LIST FILTERBY", "ERR syntax error"),
        ("COMMAND LIST FILTERBY FOO x", "ERR syntax error"),
        ("SENTINEL MONITOR a b c d", "ERR Invalid quorum"),
        ("SENTINEL MONITOR a b c 1", "ERR Invalid port"),
        ("SENTINEL MONITOR a b 1 +1", "ERR Invalid quorum"),
        ("SENTINEL MONITOR a b 01 1", "ERR Invalid port"),
        ("SENTINEL IS-MASTER-DOWN-BY-ADDR h x 0 *", "ERR value is not an integer or out of range"),
        ("SENTINEL IS-MASTER-DOWN-BY-ADDR h 1 x *", "ERR value is not an integer or out of range"),
        (
            "SENTINEL CONFIG FOO a b",
            "ERR Only SENTINEL CONFIG GET <param> [<param> <param> ...] / SET <param> <value> [<param> <value> ...] are supported.",
        ),
        ("ACL CAT a b", "ERR unknown subcommand or wrong number of arguments for 'CAT'. Try ACL HELP."),
        ("ACL GENPASS x", "ERR value is not an integer or out of range"),
        (
            "ACL GENPASS 5000",
            "ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to 4096",
        ),
        ("ACL LOG x", "ERR value is not an integer or out of range"),
    ] {
        assert_eq!(error(line), (expected.to_owned(), false), "{line}");
    }
}

#[test]
fn option_errors_of_client_come_after_it_too() {
    for (line, expected) in [
        ("CLIENT SETNAME a_b", "ERR Client names cannot contain spaces, newlines or special characters."),
        ("CLIENT LIST TYPE foo", "ERR Unknown client type 'foo'"),
        ("CLIENT LIST ID x", "ERR Invalid client ID"),
        ("CLIENT LIST ID 1 2 TYPE normal", "ERR Invalid client ID"),
        ("CLIENT LIST ID", "ERR syntax error"),
        ("CLIENT LIST FOO", "ERR syntax error"),
        ("CLIENT LIST TYPE normal x", "ERR syntax error"),
        ("CLIENT KILL ID x", "ERR client-id should be greater than 0"),
        ("CLIENT KILL ID 0", "ERR client-id should be greater than 0"),
        ("CLIENT KILL TYPE foo", "ERR Unknown client type 'foo'"),
        ("CLIENT KILL SKIPME maybe", "ERR syntax error"),
        ("CLIENT KILL SKIPME no ID", "ERR syntax error"),
        ("CLIENT KILL FOO bar", "ERR syntax error"),
        ("CLIENT REPLY FOO", "ERR syntax error"),
        ("CLIENT PAUSE x", "ERR timeout is not an integer or out of range"),
        ("CLIENT PAUSE -1", "ERR timeout is negative"),
        ("CLIENT PAUSE x FOO", "ERR CLIENT PAUSE mode must be WRITE or ALL"),
        (
            "CLIENT PAUSE 0 ALL x",
            "ERR unknown subcommand or wrong number of arguments for 'PAUSE'. Try CLIENT HELP.",
        ),
        ("CLIENT NO-EVICT x", "ERR syntax error"),
        ("CLIENT UNBLOCK x", "ERR value is not an integer or out of range"),
        ("CLIENT UNBLOCK x FOO", "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR"),
        ("CLIENT TRACKING x", "ERR syntax error"),
        ("CLIENT TRACKING on REDIRECT", "ERR syntax error"),
        ("CLIENT TRACKING on REDIRECT x", "ERR value is not an integer or out of range"),
        ("CLIENT TRACKING on OPTIN OPTOUT", "ERR You can't specify both OPTIN mode and OPTOUT mode"),
        ("CLIENT TRACKING on OPTIN BCAST PREFIX a", "ERR OPTIN and OPTOUT are not compatible with BCAST"),
        ("CLIENT TRACKING on PREFIX a", "ERR PREFIX option requires BCAST mode to be enabled"),
        ("CLIENT SETINFO a b", "ERR Unrecognized option 'a'"),
        (
            "CLIENT SETINFO LIB-NAME a_b",
            "ERR LIB-NAME cannot contain spaces, newlines or special characters.",
        ),
    ] {
        assert_eq!(error(line), (expected.to_owned(), false), "{line}");
    }
}

#[test]
fn errors_repeat_at_most_128_bytes() {
    let a = |count: usize| "a".repeat(count);
    for (argv, expected) in [
        (vec!["FOO".into(), a(200)], format!("'FOO', with args beginning with: '{}' ", a(128))),
        (
            vec!["FOO".into(), a(100), "b".repeat(100), "c".into()],
            format!("'FOO', with args beginning with: '{}' '{}' ", a(100), "b".repeat(25)),
        ),
        (
            vec!["FOO".into(), a(124), "b".into()],
            format!("'FOO', with args beginning with: '{}' 'b' ", a(124)),
        ),
        (vec!["FOO".into(), a(125), "b".into()], format!("'FOO', with args beginning with: '{}' ", a(125))),
        (vec![a(200), "x".into()], format!("'{}', with args beginning with: 'x' ", a(128))),
        (
            vec!["FOO".into(), "a\0b".into(), "c".into()],
            "'FOO', with args beginning with: 'a' 'c' ".to_owned(),
        ),
    ] {
        let argv: Vec<Bytes> = argv.into_iter().map(Bytes::from).collect();
        assert_eq!(parse(&argv).unwrap_err().to_string(), format!("ERR unknown command {expected}"));
    }
    let sub = parse(&[bytes("client"), Bytes::from(a(200))]).unwrap_err();
    assert_eq!(sub.to_string(), format!("ERR unknown subcommand '{}'. Try CLIENT HELP.", a(128)));
}

#[test]
fn errors_keep_bytes_that_are_no_text() {
    let argv = [bytes("FOO"), Bytes::from_static(b"\xff")];
    let expected = &b"ERR unknown command 'FOO', with args beginning with: '\xff' "[..];
    assert_eq!(parse(&argv).unwrap_err().to_value(), Value::error(expected));
}

#[test]
fn names_ignore_case_and_are_told_in_full() {
    for (line, name) in [
        ("ping", "ping"),
        ("SeNtInEl MaStEr x", "sentinel|master"),
        ("sentinel primary x", "sentinel|primary"),
        ("client setname x", "client|setname"),
        ("COMMAND", "command"),
        ("command docs", "command|docs"),
        ("QUIT now", "quit"),
        ("reset", "reset"),
    ] {
        assert_eq!(parse(&words(line)).unwrap().name(), name);
    }
}

#[test]
fn connection_commands_are_typed() {
    use ClientCommand::*;
    for (line, expected) in [
        ("PING", Ping(None)),
        ("ping x", Ping(Some(bytes("x")))),
        ("HELLO", Hello(super::Hello::default())),
        (
            "hello 3 auth u p setname n",
            Hello(super::Hello {
                proto: Some(Proto::Resp3),
                options: vec![
                    HelloOption::Auth { user: bytes("u"), pass: bytes("p") },
                    HelloOption::SetName(bytes("n")),
                ],
                error: None,
            }),
        ),
        ("AUTH p", Auth { user: None, pass: bytes("p") }),
        ("AUTH u p", Auth { user: Some(bytes("u")), pass: bytes("p") }),
        ("INFO", Info(vec![])),
        ("INFO Sentinel CPU", Info(vec!["sentinel".into(), "cpu".into()])),
        ("ROLE", Role),
        ("SUBSCRIBE a b a", Subscribe(vec![bytes("a"), bytes("b"), bytes("a")])),
        ("PSUBSCRIBE *", PSubscribe(vec![bytes("*")])),
        ("UNSUBSCRIBE", Unsubscribe(vec![])),
        ("PUNSUBSCRIBE a", PUnsubscribe(vec![bytes("a")])),
        ("PUBLISH c p", Publish { channel: bytes("c"), payload: bytes("p") }),
        ("SHUTDOWN", Shutdown(super::Shutdown::Go)),
        ("SHUTDOWN nosave NOW force", Shutdown(super::Shutdown::Go)),
        ("SHUTDOWN ABORT ABORT", Shutdown(super::Shutdown::Abort)),
        ("QUIT", Quit),
        ("RESET", Reset),
    ] {
        assert_eq!(command(line), expected, "{line}");
    }
}

#[test]
fn what_precedes_an_error_in_hello_and_in_filters_is_done_first() {
    let ClientCommand::Hello(hello) = command("HELLO 2 SETNAME n AUTH u p FOO") else { panic!() };
    assert_eq!(hello.options.len(), 2);
    assert_eq!(hello.error.unwrap().to_string(), "ERR Syntax error in HELLO option 'FOO'");
    let ClientCommand::Client(ClientSub::Kill(Kill::Filter(filter))) = command("CLIENT KILL USER u ID x")
    else {
        panic!()
    };
    assert_eq!(filter.users, [bytes("u")]);
    assert_eq!(filter.error.unwrap().to_string(), "ERR client-id should be greater than 0");
    let ClientCommand::Client(ClientSub::Tracking(tracking)) =
        command("CLIENT TRACKING ON REDIRECT 5 REDIRECT 6")
    else {
        panic!()
    };
    assert_eq!(tracking.redirect, Some(5));
    assert_eq!(
        tracking.error.unwrap().to_string(),
        "ERR A client can only redirect to a single other client"
    );
}

#[test]
fn client_commands_are_typed() {
    use ClientSub::*;
    let tracking = |tracking: super::Tracking| Tracking(super::Tracking { on: true, ..tracking });
    for (line, expected) in [
        ("CLIENT ID", Id),
        ("CLIENT SETNAME ''", SetName(Bytes::new())),
        ("CLIENT SETINFO lib-ver 1.2", SetInfo { version: true, value: bytes("1.2") }),
        ("CLIENT LIST", List { kind: None, ids: None }),
        ("CLIENT LIST TYPE PubSub", List { kind: Some(ClientKind::PubSub), ids: None }),
        ("CLIENT LIST ID 3 0", List { kind: None, ids: Some(vec![3, 0]) }),
        ("CLIENT KILL 1:1", Kill(super::Kill::Addr(bytes("1:1")))),
        (
            "CLIENT KILL USER default SKIPME no TYPE slave ID 5 ADDR a LADDR b MAXAGE 7",
            Kill(super::Kill::Filter(Box::new(ClientFilter {
                id: Some(5),
                kind: Some(ClientKind::Replica),
                users: vec![bytes("default")],
                error: None,
                addr: Some(bytes("a")),
                laddr: Some(bytes("b")),
                max_age: Some(7),
                skip_me: SkipMe::No,
            }))),
        ),
        ("CLIENT REPLY skip", Reply(ReplyMode::Skip)),
        ("CLIENT PAUSE 10 write", Pause { timeout_ms: 10, writes_only: true }),
        ("CLIENT NO-EVICT on", NoEvict(true)),
        ("CLIENT UNBLOCK 1 error", Unblock(1)),
        ("CLIENT CACHING maybe", Caching(bytes("maybe"))),
        ("CLIENT TRACKING on OPTIN", tracking(super::Tracking { opt_in: true, ..Default::default() })),
        (
            "CLIENT TRACKING on BCAST PREFIX a NOLOOP REDIRECT 5",
            tracking(super::Tracking {
                bcast: true,
                no_loop: true,
                redirect: Some(5),
                prefixes: vec![bytes("a")],
                ..Default::default()
            }),
        ),
    ] {
        assert_eq!(command(line), ClientCommand::Client(expected), "{line}");
    }
}

#[test]
fn sentinel_commands_for_the_engine_are_typed() {
    let name = || MasterName::from("M");
    let down = |candidate: Option<&str>| Command::IsMasterDown {
        host: "h".into(),
        port: 70_000,
        epoch: -1,
        candidate: candidate.map(RunId::from),
    };
    for (line, expected) in [
        ("SENTINEL MASTERS", Command::Masters),
        ("SENTINEL PRIMARIES", Command::Masters),
        ("SENTINEL MASTER M", Command::Master(name())),
        ("SENTINEL PRIMARY M", Command::Master(name())),
        ("SENTINEL REPLICAS M", Command::Replicas(name())),
        ("SENTINEL SLAVES M", Command::Replicas(name())),
        ("SENTINEL SENTINELS M", Command::Sentinels(name())),
        ("SENTINEL is-master-down-by-addr h 70000 -1 *", down(None)),
        ("SENTINEL IS-PRIMARY-DOWN-BY-ADDR h 70000 -1 x", down(Some("x"))),
        ("SENTINEL CKQUORUM M", Command::CkQuorum(name())),
        (
            "SENTINEL MONITOR M h 99999 0",
            Command::Monitor { name: name(), host: "h".into(), port: 99_999, quorum: 0 },
        ),
        ("SENTINEL REMOVE M", Command::Remove(name())),
        (
            "SENTINEL SET M quorum 2 x",
            Command::Set {
                name: name(),
                args: vec![Arc::from("quorum"), Arc::from("2"), Arc::from("x")],
                not_executable: Default::default(),
            },
        ),
        ("SENTINEL RESET *", Command::Reset("*".into())),
        ("SENTINEL FAILOVER M", Command::Failover(name())),
        ("SENTINEL FLUSHCONFIG", Command::FlushConfig),
        ("SENTINEL VIGIA 1 x", Command::Vigia(vec!["1".into(), "x".into()])),
    ] {
        assert_eq!(sentinel(line), SentinelCommand::Engine(expected), "{line}");
    }
}

#[test]
fn other_sentinel_commands_are_typed() {
    for (line, expected) in [
        ("SENTINEL MYID", SentinelCommand::MyId),
        ("SENTINEL GET-MASTER-ADDR-BY-NAME M", SentinelCommand::GetMasterAddr(MasterName::from("M"))),
        ("SENTINEL get-primary-addr-by-name M", SentinelCommand::GetMasterAddr(MasterName::from("M"))),
        ("SENTINEL HELP", SentinelCommand::Help),
        ("SENTINEL CONFIG GET *", SentinelCommand::Engine(Command::ConfigGet(vec!["*".into()]))),
        (
            "SENTINEL CONFIG set a b",
            SentinelCommand::Engine(Command::ConfigSet(vec!["a".into(), "b".into()])),
        ),
        ("SENTINEL DEBUG", SentinelCommand::Engine(Command::Debug(vec![]))),
        (
            "SENTINEL SIMULATE-FAILURE help",
            SentinelCommand::Engine(Command::SimulateFailure(vec!["help".into()])),
        ),
        ("SENTINEL INFO-CACHE M", SentinelCommand::Engine(Command::InfoCache(vec![MasterName::from("M")]))),
        ("SENTINEL PENDING-SCRIPTS", SentinelCommand::Engine(Command::PendingScripts)),
    ] {
        assert_eq!(sentinel(line), expected, "{line}");
    }
    let strange = [bytes("sentinel"), bytes("remove"), Bytes::from_static(b"a\xff")];
    let expected = SentinelCommand::Engine(Command::Remove(MasterName::from("a\u{fffd}")));
    assert_eq!(parse(&strange).unwrap().command, ClientCommand::Sentinel(expected));
}

#[test]
fn the_table_is_sound() {
    assert_eq!(TABLE.iter().filter(|spec| !spec.hidden).count(), 15);
    assert_eq!(listed().count(), 77);
    for top in TABLE {
        assert_eq!(find(top.name.as_bytes()), Some(top));
        for sub in top.subs {
            assert_eq!(sub.split().0, top.name);
            assert_eq!(find(sub.name.to_uppercase().as_bytes()), Some(sub));
        }
    }
    let open: Vec<_> = TABLE.iter().filter(|spec| spec.has(Flag::NoAuth)).map(|spec| spec.name).collect();
    assert_eq!(open, ["auth", "hello", "quit", "reset"]);
}

/// Every row has a parser: no command of the right number of words is taken for an unknown one.
#[test]
fn every_row_is_parsed() {
    for spec in TABLE.iter().flat_map(|top| std::iter::once(top).chain(top.subs)) {
        let mut argv: Vec<Bytes> = spec.name.split('|').map(bytes).collect();
        argv.resize(argv.len().max(usize::from(spec.arity.unsigned_abs())), bytes("1"));
        if spec.subs.is_empty() || argv.len() == 1 {
            match parse(&argv) {
                Ok(parsed) => assert_eq!(parsed.spec, spec),
                Err(error) => assert_eq!(error.spec, Some(spec), "{error}"),
            }
        }
    }
}

proptest! {
    #[test]
    fn any_words_are_fine(argv in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..6), 0..6)) {
        let argv: Vec<Bytes> = argv.into_iter().map(Bytes::from).collect();
        let _ = parse(&argv);
    }

    #[test]
    fn any_options_are_fine(
        name in prop::sample::select(listed().map(|spec| spec.name).collect::<Vec<_>>()),
        args in prop::collection::vec("[a-z0-9-]{0,4}|on|off|id|type|auth|reset|get|set|filterby", 0..6),
    ) {
        let argv: Vec<Bytes> =
            name.split('|').map(bytes).chain(args.into_iter().map(Bytes::from)).collect();
        let _ = parse(&argv);
    }
}
