//! Rules, their text, and what they allow; the tables are what redis-sentinel 8.2.3 answered.

use bytes::Bytes;
use proptest::prelude::*;

use super::file::{parse, render};
use super::{Denied, NewUsers, RuleError, User, is_name, merge_selectors};
use crate::wire::command;

/// The user that these words make of a new one.
fn made(words: &[&str]) -> Result<User, RuleError> {
    let mut user = User::new(NewUsers::HearNothing);
    for rule in merge_selectors(words).expect("matched parentheses") {
        user.apply(&rule, NewUsers::HearNothing)?;
    }
    Ok(user)
}

fn text(words: &str) -> String {
    made(&words.split(' ').collect::<Vec<_>>()).unwrap_or_else(|error| panic!("{words}: {error}")).text()
}

#[test]
fn the_text_of_the_commands_keeps_the_order_and_forgets_what_is_overridden() {
    for (rules, commands) in [
        ("", "-@all"),
        (
            "+ping +sentinel|masters -sentinel|master +client|kill",
            "-@all +ping +sentinel|masters -sentinel|master +client|kill",
        ),
        ("+@all -@dangerous +role +@dangerous", "+@all +role +@dangerous"),
        ("-@all +@dangerous -@admin +sentinel", "-@all +@dangerous -@admin +sentinel"),
        ("+sentinel -sentinel|master +sentinel|master", "-@all +sentinel +sentinel|master"),
        ("+sentinel -sentinel|master -sentinel", "-@all -sentinel"),
        ("+sentinel|master +sentinel", "-@all +sentinel"),
        ("+@connection -client -client|kill +client|kill", "-@all +@connection -client +client|kill"),
        ("+role -role +@dangerous +role", "-@all +@dangerous +role"),
        ("+@dangerous +@admin -@dangerous", "-@all +@admin -@dangerous"),
        ("+@fast -@fast +@fast", "-@all +@fast"),
        ("-ping", "-@all -ping"),
        ("-ping +@all", "+@all"),
        ("+@all -@all +@all +ping", "+@all +ping"),
        ("+ping|hello +ping|world", "-@all +ping|hello +ping|world"),
        ("+ping|a -ping", "-@all -ping"),
        ("+ping|A +PING|a +Ping|a", "-@all +ping|a"),
        ("+@DANGEROUS +SENTINEL|Masters", "-@all +@dangerous +sentinel|masters"),
        ("+@read +@write -@read", "-@all +@write -@read"),
        ("allcommands -ping +ping|x", "+@all -ping +ping|x"),
        ("+ping +ping|a -@fast", "-@all +ping +ping|a -@fast"),
    ] {
        assert_eq!(
            made(&rules.split(' ').collect::<Vec<_>>()).unwrap().root().commands(),
            commands,
            "{rules}"
        );
    }
}

#[test]
fn the_text_of_a_user() {
    let pw = "#30c952fab122c3f9759f02a6d95c3758b246b4fee239957b2d4fee46e26170c4";
    let x = "#2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881";
    for (rules, expected) in [
        ("", "off sanitize-payload resetchannels -@all"),
        (
            "ON NoPass skip-sanitize-payload AllKeys ALLCHANNELS allcommands",
            "on nopass skip-sanitize-payload ~* &* +@all",
        ),
        (">pw >pw >x", &format!("off sanitize-payload {pw} {x} resetchannels -@all")),
        (">pw >x <pw", &format!("off sanitize-payload {x} resetchannels -@all")),
        (&format!("nopass {x}"), &format!("off sanitize-payload {x} resetchannels -@all")),
        (">pw nopass", "off nopass sanitize-payload resetchannels -@all"),
        ("nopass resetpass", "off sanitize-payload resetchannels -@all"),
        (
            "~a* %R~b* %W~c* %rw~d* ~a* &ch &ch &x",
            "off sanitize-payload ~a* %R~b* %W~c* ~d* resetchannels &ch &x -@all",
        ),
        ("%R~a %W~a %R", "off sanitize-payload ~a %R~ resetchannels -@all"),
        ("%RW~* ~a", "off sanitize-payload %RW~* ~a resetchannels -@all"),
        ("~a ~* resetkeys ~b &a &* resetchannels &b", "off sanitize-payload ~b resetchannels &b -@all"),
        ("on >pw ~* &* +@all (+ping) reset", "off sanitize-payload resetchannels -@all"),
        (
            "(%R~x +@all) ( ) (allkeys allchannels allcommands -sentinel)",
            "off sanitize-payload resetchannels -@all (%R~x resetchannels +@all) (resetchannels -@all) (~* &* +@all -sentinel)",
        ),
        (
            "(+ping) clearselectors (+role ~k &c)",
            "off sanitize-payload resetchannels -@all (~k resetchannels &c -@all +role)",
        ),
        ("(+ping \"~k\")", "off sanitize-payload resetchannels -@all (~k resetchannels -@all +ping)"),
    ] {
        assert_eq!(text(rules), expected, "{rules}");
    }
    assert_eq!(User::open().text(), "on nopass sanitize-payload ~* &* +@all");
    assert!(User::with_password("pw").text().starts_with(&format!("on sanitize-payload {pw} ~*")));
    let hearing = User::new(NewUsers::HearAll);
    assert_eq!(hearing.text(), "off sanitize-payload &* -@all");
}

#[test]
fn what_is_wrong_with_a_rule() {
    let hash = "e528e908837a6f2c169a132a07f95107a5cc523f61d09d028c2fa799aeef4257";
    for (rules, error) in [
        (&["+get"][..], RuleError::Unknown),
        (&["-get"], RuleError::Unknown),
        (&["+@nosuch"], RuleError::Unknown),
        (&["+@pubsub|x"], RuleError::Unknown),
        (&["+quit"], RuleError::Unknown),
        (&["+sentinel|vigia"], RuleError::Unknown),
        (&["+sentinel|nosuch"], RuleError::Unknown),
        (&["+sentinel|nosuch|x"], RuleError::Unknown),
        (&["+command|x"], RuleError::Unknown),
        (&["-ping|x"], RuleError::Unknown),
        (&["-sentinel|master|x"], RuleError::Unknown),
        (&["+ping|a|b"], RuleError::Unknown),
        (&["+"], RuleError::Unknown),
        (&["-"], RuleError::Unknown),
        (&["+@"], RuleError::Unknown),
        (&["+|"], RuleError::Unknown),
        (&["+a\u{1}"], RuleError::Unknown),
        (&["(+ping))"], RuleError::Unknown),
        (&["foo"], RuleError::Syntax),
        (&["on off"], RuleError::Syntax),
        (&["+ping|"], RuleError::Syntax),
        (&["+sentinel|"], RuleError::Syntax),
        (&["+ping|a b"], RuleError::Syntax),
        (&["%X~a"], RuleError::Syntax),
        (&["%~a"], RuleError::Syntax),
        (&["%"], RuleError::Syntax),
        (&["%RR~x"], RuleError::Syntax),
        (&["~a b"], RuleError::Syntax),
        (&["&a b"], RuleError::Syntax),
        (&["~a\u{1}"], RuleError::Syntax),
        (&["&a\n"], RuleError::Syntax),
        (&["+ping|\u{1}"], RuleError::Syntax),
        (&["(on)"], RuleError::Syntax),
        (&["(>pw)"], RuleError::Syntax),
        (&["(reset)"], RuleError::Syntax),
        (&["((+ping)"], RuleError::Syntax),
        (&["(+ping (x))"], RuleError::Syntax),
        (&["(+ping \"~k)"], RuleError::Syntax),
        (&[" (+ping)"], RuleError::Syntax),
        (&[")"], RuleError::Syntax),
        (&["+sentinel|master|x"], RuleError::SubFirstArg),
        (&["allkeys", "~x"], RuleError::KeysAfterAll),
        (&["~*", "%R~*"], RuleError::KeysAfterAll),
        (&["allchannels", "&x"], RuleError::ChannelsAfterAll),
        (&["<nopw"], RuleError::NoSuchPassword),
        (&[&format!("!{hash}")], RuleError::NoSuchPassword),
        (&["!abc"], RuleError::BadHash),
        (&["#abc"], RuleError::BadHash),
        (&[&format!("#E{}", &hash[1..])], RuleError::BadHash),
    ] {
        assert_eq!(made(rules).unwrap_err(), error, "{rules:?}");
    }
    let mut user = User::new(NewUsers::HearNothing);
    assert_eq!(user.apply(b"~\xff", NewUsers::HearNothing), Err(RuleError::Syntax));
    assert_eq!(user.apply(b">\xff\x01", NewUsers::HearNothing), Ok(()));
    assert!(!user.accepts(b"\xff\x01"), "off");
}

#[test]
fn selectors_may_be_spread_over_words() {
    let merged = |words: &[&str]| {
        merge_selectors(words)
            .map(|rules| rules.into_iter().map(|rule| String::from_utf8(rule).unwrap()).collect::<Vec<_>>())
            .map_err(|unmatched| unmatched.to_string())
    };
    assert_eq!(
        merged(&["on", "(+ping", "~a)", "(+role)", "x"]).unwrap(),
        ["on", "(+ping ~a)", "(+role)", "x"]
    );
    assert_eq!(merged(&["(", "+ping", "", ")"]).unwrap(), ["( +ping  )"]);
    for words in [&["foo", "(+ping"][..], &["(+ping", "on", "foo"]] {
        let expected = "Unmatched parenthesis in acl selector starting at '(+ping'.";
        assert_eq!(merged(words), Err(expected.to_owned()));
    }
}

/// What is denied of a command to a user made of rules, or nothing.
fn denied(user: &User, command: &str) -> Option<Denied> {
    let argv: Vec<_> = command.split(' ').map(|word| Bytes::copy_from_slice(word.as_bytes())).collect();
    user.check(command::lookup(&argv).unwrap(), &argv).err()
}

#[test]
fn commands_and_channels_are_checked_selector_by_selector() {
    for (rules, command, expected) in [
        ("", "ping", Some(Denied::Command)),
        ("", "auth x", None),
        ("", "hello 3", None),
        ("", "quit", None),
        ("+ping", "PING", None),
        ("+sentinel|master", "sentinel MASTER m", None),
        ("+sentinel|master", "sentinel masters", Some(Denied::Command)),
        ("+sentinel", "sentinel vigia 1", None),
        ("+@all -sentinel|masters", "sentinel masters", Some(Denied::Command)),
        ("+@all -@dangerous", "role", Some(Denied::Command)),
        ("+command|list", "command", Some(Denied::Command)),
        ("+command -command|list", "command", None),
        ("+command -command|list", "command list", Some(Denied::Command)),
        ("+ping|Hello", "ping", Some(Denied::Command)),
        ("+ping|Hello", "ping HELLO", None),
        ("+ping|a +@fast -@fast", "ping a", Some(Denied::Command)),
        ("+@all -ping +ping|a", "ping b", Some(Denied::Command)),
        ("+@all", "publish c x", Some(Denied::Channel(1))),
        ("+publish &c*", "publish c1 x", None),
        ("+subscribe &[a-c]*", "subscribe b bb", None),
        ("+subscribe &[a-c]*", "subscribe b B d", Some(Denied::Channel(2))),
        ("+psubscribe &ch*", "psubscribe ch*", None),
        ("+psubscribe &ch*", "psubscribe ch", Some(Denied::Channel(1))),
        ("+@all", "unsubscribe x", None),
        ("+@all", "punsubscribe x", None),
        ("(+publish &ch)", "publish ch x", None),
        ("(+publish &ch)", "publish other x", Some(Denied::Channel(1))),
        ("(+publish &ch)", "role", Some(Denied::Command)),
        ("+publish (&ch)", "publish ch x", Some(Denied::Channel(1))),
        ("+subscribe &a (+subscribe &a &b) (+subscribe &c)", "subscribe a b", None),
        ("+subscribe &a (+subscribe &a &b) (+subscribe &c)", "subscribe a b c", Some(Denied::Channel(3))),
        ("+subscribe &a (+subscribe &a &b) (+subscribe &c)", "subscribe c b", Some(Denied::Channel(2))),
        ("-@all ~* &* +@all", "sentinel masters", None),
        ("(+@all &*)", "psubscribe *", None),
        ("(+@all &*) clearselectors", "ping", Some(Denied::Command)),
    ] {
        let user = made(&rules.split(' ').collect::<Vec<_>>()).unwrap();
        assert_eq!(denied(&user, command), expected, "{rules}: {command}");
    }
    assert_eq!(denied(&User::open(), "shutdown"), None);
}

#[test]
fn a_subscription_may_go_on_if_any_selector_has_its_channel() {
    let user = made(&["&ch*", "(&other)"]).unwrap();
    assert!(user.may_hear(b"ch1", false) && user.may_hear(b"ch*", true) && user.may_hear(b"other", false));
    assert!(!user.may_hear(b"ch1*", true) && !user.may_hear(b"x", false));
}

#[test]
fn passwords_open_only_users_that_are_on() {
    for (rules, password, expected) in [
        ("on nopass", "anything", true),
        ("nopass", "anything", false),
        ("on >a >b", "b", true),
        ("on >a", "b", false),
        ("on", "", false),
        ("off >a", "a", false),
    ] {
        let user = made(&rules.split(' ').collect::<Vec<_>>()).unwrap();
        assert_eq!(user.accepts(password.as_bytes()), expected, "{rules} {password}");
    }
    assert!(!User::open().must_log_in() && User::with_password("x").must_log_in());
    assert!(made(&["on"]).unwrap().must_log_in() && made(&["nopass"]).unwrap().must_log_in());
}

#[test]
fn names() {
    assert!(is_name("") && is_name("a\"b") && is_name("ü"));
    assert!(!is_name("a b") && !is_name("a\0") && !is_name("a\n"));
}

#[test]
fn all_errors_of_an_acl_file_are_told() {
    let end = "WARNING: ACL errors detected, no change to the previously active ACL rules was performed";
    let text = b"user x on +ping\nfoo bar\n\nuser\nuser x\n user y on   +ping  \r\nuser z on (+nosuch)\nuser  v on\nuser k\ton\n\
        user e foo +bar baz +@qux\nuser u (+ping\n#c";
    assert_eq!(
        parse(text, "f", NewUsers::HearNothing).unwrap_err(),
        format!(
            "f:2 should start with user keyword followed by the username. f:4 should start with user keyword \
             followed by the username. WARNING: Duplicate user 'x' found on line 5. f:7: Error in applying operation \
             '(+nosuch)': Unknown command or category name in ACL. f:8: Syntax error. 'f:9: username 'k\ton' \
             contains invalid characters. f:10: Syntax error. f:10: Error in applying operation '+bar': Unknown command or \
             category name in ACL. f:10: Error in applying operation '+@qux': Unknown command or category name in ACL. \
             f:11: Unmatched parenthesis in acl selector starting at '(+ping'. f:12 should start with user keyword \
             followed by the username. {end}"
        )
    );
    let users = parse(b"user b on (+ping ~a) &x\n\nuser a\n", "f", NewUsers::HearNothing).unwrap();
    let rendered = render(users.iter().map(|(name, user)| (name.as_str(), user)));
    assert_eq!(
        rendered,
        "user a off sanitize-payload resetchannels -@all\n\
         user b on sanitize-payload resetchannels &x -@all (~a resetchannels -@all +ping)\n"
    );
}

/// A rule, mostly a good one.
fn any_rule() -> impl Strategy<Value = String> {
    let command = prop_oneof![
        Just("ping"),
        Just("sentinel"),
        Just("sentinel|master"),
        Just("client|kill"),
        Just("client"),
        Just("@fast"),
        Just("@all"),
        Just("@dangerous"),
        Just("@geo"),
        Just("subscribe"),
        Just("PUBLISH"),
        Just("ping|x)"),
        Just("info|a\"b"),
    ];
    let pattern = r#"[a-c*"'()\\|~%&+é-]{0,4}"#;
    let part = prop_oneof![
        4 => (prop_oneof![Just('+'), Just('-')], command).prop_map(|(sign, name)| format!("{sign}{name}")),
        2 => (prop_oneof![Just("~"), Just("%R~"), Just("%W~"), Just("%RW~"), Just("&")], pattern).prop_map(|(kind, pattern)| format!("{kind}{pattern}")),
        1 => prop_oneof![Just("allkeys"), Just("resetkeys"), Just("allchannels"), Just("resetchannels")].prop_map(str::to_owned),
    ];
    let selector = proptest::collection::vec(part.clone(), 0..4).prop_map(|parts| {
        let quoted: Vec<_> = parts
            .iter()
            .map(|part| format!("\"{}\"", part.replace('\\', "\\\\").replace('"', "\\\"")))
            .collect();
        format!("({})", quoted.join(" "))
    });
    let whole = prop_oneof![
        Just("on"),
        Just("off"),
        Just("nopass"),
        Just("resetpass"),
        Just(">a"),
        Just(">b"),
        Just("<a"),
        Just("reset"),
        Just("clearselectors"),
        Just("sanitize-payload"),
        Just("skip-sanitize-payload"),
        Just(""),
    ];
    prop_oneof![6 => part, 2 => selector, 2 => whole.prop_map(str::to_owned)]
}

/// The user, its one pattern for all keys being the flag for all keys: they are written alike.
fn seen(user: &User) -> User {
    let mut user = user.clone();
    for selector in std::iter::once(&mut user.root).chain(&mut user.selectors) {
        if matches!(&selector.keys[..], [key] if key.pattern == "*" && key.read && key.write) {
            selector.keys.clear();
            selector.all_keys = true;
        }
    }
    user
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn the_text_makes_the_same_user_again(rules in proptest::collection::vec(any_rule(), 0..12), hear in any::<bool>()) {
        let new = if hear { NewUsers::HearAll } else { NewUsers::HearNothing };
        let mut user = User::new(new);
        for rule in &rules {
            // Rules that are wrong change nothing.
            let before = user.clone();
            if user.apply(rule.as_bytes(), new).is_err() {
                prop_assert_eq!(&user, &before);
            }
        }
        // As words of a `user` line or of SETUSER.
        let words = user.words();
        let mut again = User::new(new);
        for rule in merge_selectors(&words).unwrap() {
            prop_assert!(again.apply(&rule, new).is_ok(), "{:?} in {:?}", rule, words);
        }
        prop_assert_eq!(seen(&again), seen(&user));
        prop_assert_eq!(again.text(), user.text());
        // As a line of an ACL file.
        let file = render([("someone", &user)]);
        let users = parse(file.as_bytes(), "f", new).unwrap();
        prop_assert_eq!(seen(&users["someone"]), seen(&user));
    }

    #[test]
    fn no_rule_and_no_file_breaks_the_reader(rule in proptest::collection::vec(any::<u8>(), 0..40), text in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = User::open().apply(&rule, NewUsers::HearAll);
        let _ = parse(&text, "f", NewUsers::HearNothing);
        let _ = parse(&[b"user a ", &text[..]].concat(), "f", NewUsers::HearNothing);
    }
}
